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

"""Set the number of virtual functions of a card inside an instance.

A copy of this file is delivered: it needs nothing but the standard library
of Python 3.7. Source: Linux Documentation/ABI/testing/sysfs-bus-pci
(sriov_numvfs).
"""

from __future__ import annotations

from typing import Any

VALUE = int
ORDER = 30


def set_mode(card: Any, wanted: int, patience: float) -> bool:
    """Set the number of virtual functions of all ports of a card; whether it
    was changed. If the kernel refuses, the earlier numbers are restored."""
    card.await_file('sriov_numvfs', patience)
    ports = [c for c in card.functions()
             if c.read('sriov_numvfs') is not None]
    before = [(port, port.read('sriov_numvfs')) for port in ports]
    if {number for _, number in before} == {str(wanted)}:
        return False
    try:
        for port in ports:
            _write(port, str(wanted))
    except card.Failed as exc:
        raise card.Failed(str(exc) + _restore(before)) from exc
    for port in ports:
        port.check('sriov_numvfs', str(wanted))
    return True


def _restore(before: list[tuple[Any, str | None]]) -> str:
    """Restore the earlier numbers; in words what could not be restored."""
    left = []
    for port, number in before:
        try:
            _write(port, number or '0')
        except port.Failed:
            left.append(port.address)
    return (f"; {', '.join(left)} lost its virtual functions"
            if left else '')


def _write(port: Any, wanted: str) -> None:
    """The kernel changes the number only from zero and to zero."""
    now = port.read('sriov_numvfs')
    if now == wanted:
        return
    if now != '0':
        port.write('sriov_numvfs', '0')
    if wanted != '0':
        port.write('sriov_numvfs', wanted)
