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


"""Firmware updates that another process runs: found in /proc, waited for,
never ended.

The tool families declare the programs of their vendors that write firmware
(``Family.flashers``); those of no vendor stand here.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import os
import re

from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.tools.family import Family
from ironic_accel.inband.tools.family import Flashers
from ironic_accel.inband.tools.family import HasFlashers

#: devlink-dev(8), ethtool(8), nvme(1).
KERNEL_TOOLS: Flashers = {
    'devlink': frozenset({'flash'}), 'ethtool': frozenset({'-f', '--flash'}),
    'nvme': frozenset({'fw-download', 'fw-commit', 'fw-activate'})}

_INTERPRETER = re.compile(r'(?:ba|da)?sh|python[0-9.]*|perl')
_ADDRESS = re.compile(
    r'(?:pci/)?(?:([0-9a-f]{4}):)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])',
    re.IGNORECASE)


@dataclasses.dataclass(frozen=True, slots=True)
class Flash:
    """A process that writes firmware.

    :ivar address: the PCI address among its arguments, or None: it may write
        any card then.
    """

    pid: int
    program: str
    address: str | None


def programs(families: Iterable[Family], others: Flashers | None = None
             ) -> Flashers:
    """The programs that write firmware: of the families, and of the kernel's
    own interfaces. One that two families declare writes if either says so.

    :param others: those of families that are not used.
    """
    found = dict(KERNEL_TOOLS)
    declared = [f.flashers for f in families if isinstance(f, HasFlashers)]
    for flashers in (*declared, others or {}):
        for name, words in flashers.items():
            known = found.get(name, words)
            found[name] = known | words if known and words else frozenset()
    return found


def flashes(host: Machine, known: Flashers, ours: Collection[int] = ()
            ) -> tuple[Flash, ...]:
    """The firmware updates that run now.

    :param known: the programs that write firmware (``programs``).
    :param ours: process ids of updates that this agent started, which are
        left out with all processes of their sessions.
    """
    return tuple(f for f in _all(host, known) if f.pid not in ours
                 and _session(host, f.pid) not in ours)


def _session(host: Machine, pid: int) -> int | None:
    """The session of a process (proc(5), /proc/PID/stat, field 6)."""
    fields = (host.read(f'/proc/{pid}/stat') or '').rpartition(')')[2]
    words = fields.split()
    return int(words[3]) if len(words) > 3 and words[3].isdecimal() else None


def _all(host: Machine, known: Flashers) -> Iterator[Flash]:
    for name in host.names('/proc'):
        if not name.isdecimal() or int(name) == os.getpid():
            continue
        raw = host.read_bytes(f'/proc/{name}/cmdline') or b''
        argv = raw.decode(errors='replace').split('\0')
        program = _program(argv, known)
        if program is not None:
            found = (_ADDRESS.fullmatch(a) for a in argv)
            match = next((m for m in found if m), None)
            address = (f"{match[1] or '0000'}:{match[2]}".lower()
                       if match else None)
            yield Flash(int(name), program, address)


def _program(argv: list[str], known: Flashers) -> str | None:
    """The program that a command line runs, if it writes firmware."""
    words = argv
    if words and _INTERPRETER.fullmatch(os.path.basename(words[0])):
        words = [w for w in words[1:] if not w.startswith('-')][:1] + argv
    name = os.path.basename(words[0]) if words else ''
    needed = known.get(name)
    if needed is None or (needed and not needed & set(argv)):
        return None
    return name
