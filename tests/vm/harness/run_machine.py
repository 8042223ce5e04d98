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

"""The host of a simulated BMC is a virtual machine.

``run_machine.py SETTINGS``: the guest of the emulator
(``ironic_accel_emulator.guest``), which starts it when the host is powered on
and kills it when the power is cut. It becomes QEMU; the boot device of the BMC
is the kernel parameter ``vm.boot``.
"""

from __future__ import annotations

import json
import os
import pathlib
import sys

from ironic_accel_emulator.guest import BOOT
from tests.vm.harness import guest


def main() -> None:
    """Be the machine."""
    settings = json.loads(pathlib.Path(sys.argv[1]).read_text('utf-8'))
    words = guest.command(
        pathlib.Path(settings['folder']), settings['devices'],
        {name: pathlib.Path(path)
         for name, path in settings['shares'].items()},
        parameters=[f'vm.boot={os.environ[BOOT]}'])
    os.execv(words[0], words)  # noqa: S606 - QEMU, no shell


if __name__ == '__main__':
    main()
