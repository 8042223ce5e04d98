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

"""Set the services of an Intel QuickAssist device inside an instance.

A copy of this file is delivered: it needs nothing but the standard library
of Python 3.7. Source: Linux Documentation/ABI/testing/sysfs-driver-qat
(state, cfg_services).
"""

from __future__ import annotations

from typing import Any

VALUE = list
#: Before virtual functions: a device that goes down and up loses those.
ORDER = 20


def set_mode(card: Any, wanted: list[str], patience: float) -> bool:
    """Set the services, a set: down, write, up; whether it was changed."""
    card.await_file('qat/cfg_services', patience)
    card.await_file('qat/state', patience)
    up = card.read('qat/state') == 'up'
    before = card.read('qat/cfg_services') or ''
    same = _set(before) == set(wanted)
    if same and up:
        return False
    if up:
        card.write('qat/state', 'down')
    try:
        if not same:
            card.write('qat/cfg_services', ';'.join(sorted(wanted)))
        card.write('qat/state', 'up')
    except card.Failed:
        if up:
            if card.read('qat/cfg_services') != before:
                card.write('qat/cfg_services', before)
            card.write('qat/state', 'up')
        raise
    if _set(card.read('qat/cfg_services')) != set(wanted):
        card.check('qat/cfg_services', ';'.join(sorted(wanted)))
    card.check('qat/state', 'up')
    return True


def _set(text: str | None) -> set[str]:
    return {part for part in (text or '').split(';') if part}
