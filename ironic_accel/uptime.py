#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.

"""How long this machine runs, which no setting of a clock changes."""

from __future__ import annotations

import functools
import os
import pathlib
import time


def steady() -> float:
    """Seconds since this machine was started, suspended ones too.

    Nobody sets it, and it tells nothing to another machine.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@functools.cache
def boot() -> str:
    """What ``steady`` belongs to: this start of this machine.

    A time namespace may shift it for a container (time_namespaces(7)), so
    that belongs to the name.
    """
    found = pathlib.Path('/proc/sys/kernel/random/boot_id').read_text(
        encoding='ascii').strip()
    try:
        return f'{found}/{os.stat("/proc/self/ns/time").st_ino}'
    except FileNotFoundError:
        return found
