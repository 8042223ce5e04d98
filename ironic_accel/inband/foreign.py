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


"""Flashes that somebody else runs: seen in /proc, waited for, never ended.

A row is a program and the words of which one makes it write; a program
without words writes whenever it runs. Source of each: the tool's own manual
page or usage text (mstflint, mstfwmanager, XRT xbmgmt, OPAE fpgasupdate and
rsu, xpu-smi, hl-fw-loader, bfb-install, fwupdmgr and fwupdtool).
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator
import dataclasses
import os
import re

from ironic_accel.inband.host import Host

_WRITES: dict[str, frozenset[str]] = {
    'mstflint': frozenset({'burn', 'b', 'bb', 'br'}),
    'flint': frozenset({'burn', 'b', 'bb', 'br'}),
    'mstfwmanager': frozenset({'-u', '--update', '-i', '--image-file'}),
    'mlxfwmanager': frozenset({'-u', '--update', '-i', '--image-file'}),
    'xbmgmt': frozenset({'program'}),
    'fpgasupdate': frozenset(),
    'rsu': frozenset(),
    'xpu-smi': frozenset({'updatefw'}),
    'xpumcli': frozenset({'updatefw'}),
    'hl-fw-loader': frozenset(),
    'bfb-install': frozenset(),
    'fwupdmgr': frozenset({'install', 'local-install', 'update', 'upgrade'}),
    'fwupdtool': frozenset({'install', 'install-blob', 'update'}),
}

_INTERPRETER = re.compile(r'(?:ba|da)?sh|python[0-9.]*|perl')
_ADDRESS = re.compile(
    r'(?:([0-9a-f]{4}):)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])', re.IGNORECASE)


@dataclasses.dataclass(frozen=True, slots=True)
class Flash:
    """A process that writes firmware.

    :ivar address: the PCI address among its arguments, or None: it may be
        any card then.
    """

    pid: int
    program: str
    address: str | None


def flashes(host: Host, ours: Collection[int] = ()) -> tuple[Flash, ...]:
    """The flashes under way.

    :param ours: process ids of those that are known already; what they
        started stands in their sessions.
    """
    return tuple(f for f in _all(host) if f.pid not in ours
                 and _session(host, f.pid) not in ours)


def _session(host: Host, pid: int) -> int | None:
    """The session of a process (proc(5), /proc/PID/stat, field 6)."""
    fields = (host.read(f'/proc/{pid}/stat') or '').rpartition(')')[2]
    words = fields.split()
    return int(words[3]) if len(words) > 3 else None


def _all(host: Host) -> Iterator[Flash]:
    for name in host.names('/proc'):
        if not name.isdecimal() or int(name) == os.getpid():
            continue
        raw = host.read_bytes(f'/proc/{name}/cmdline') or b''
        argv = raw.decode(errors='replace').split('\0')
        program = _program(argv)
        if program is not None:
            found = (_ADDRESS.fullmatch(a) for a in argv)
            match = next((m for m in found if m), None)
            address = (f"{match[1] or '0000'}:{match[2]}".lower()
                       if match else None)
            yield Flash(int(name), program, address)


def _program(argv: list[str]) -> str | None:
    """The flashing tool that a command line runs, or None."""
    words = argv
    if words and _INTERPRETER.fullmatch(os.path.basename(words[0])):
        words = [w for w in words[1:] if not w.startswith('-')][:1] + argv
    name = os.path.basename(words[0]) if words else ''
    needed = _WRITES.get(name)
    if needed is None or (needed and not needed & set(argv)):
        return None
    return name
