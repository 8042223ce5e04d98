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
without words writes whenever it runs.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator
import dataclasses
import os
import re

from ironic_accel.inband.machine.machine import Machine

_FLINT = frozenset({
    'b', 'burn', 'bb', 'brom', 'drom', 'e', 'erase', 'fi', 'sg', 'smg', 'sv',
    'set_vpd', 'set_key', 'set_public_keys', 'set_forbidden_versions',
    'reset_cfg', 'ww', 'wwne', 'wb', 'wbne', 'ir', 'image_reactivation'})
_FWUPD = frozenset({'install', 'update', 'upgrade', 'reinstall',
                    'switch-branch', 'activate'})
_NVME = frozenset({'fw-download', 'fw-commit', 'fw-activate'})

_WRITES: dict[str, frozenset[str]] = {
    # mstflint 4.36, flint/cmd_line_parser.cpp, SubCmdMetaData
    'mstflint': _FLINT, 'flint': _FLINT,
    # mstflint 4.36, mlxfwupdate/cmd_line_parser.cpp: an image file alone
    # (-i) is only looked into
    'mstfwmanager': frozenset({'-u', '--update'}),
    'mlxfwmanager': frozenset({'-u', '--update'}),
    # rshim-user-space, man/bfb-install.8
    'bfb-install': frozenset(),
    # XRT, tools/xbmgmt2/xbmgmt.cpp and tools/xbflash2
    'xbmgmt': frozenset({'program'}), 'xbflash2': frozenset({'program'}),
    # OPAE SDK, python/opae.admin/setup.py; rsu loads what was written
    'fpgasupdate': frozenset(), 'fpgaflash': frozenset(),
    'fpgaotsu': frozenset(), 'super-rsu': frozenset(), 'rsu': frozenset(),
    # Intel XPU Manager, ial/cmn/cmd_updatefw.cpp; xpumcli until 1.3
    'xpu-smi': frozenset({'updatefw'}), 'xpumcli': frozenset({'updatefw'}),
    # Intel Gaudi documentation, Firmware Upgrade
    'hl-fw-loader': frozenset(),
    # fwupd 2.1, src/fu-cli.c and data/bash-completion/fwupdtool
    'fwupdmgr': _FWUPD | {'local-install', 'downgrade', 'sync', 'sync-bkc'},
    'fwupdtool': _FWUPD | {'install-blob'},
    # devlink-dev(8), ethtool(8), nvme(1)
    'devlink': frozenset({'flash'}),
    'ethtool': frozenset({'-f', '--flash'}),
    'nvme': _NVME,
}

_INTERPRETER = re.compile(r'(?:ba|da)?sh|python[0-9.]*|perl')
_ADDRESS = re.compile(
    r'(?:pci/)?(?:([0-9a-f]{4}):)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])',
    re.IGNORECASE)


@dataclasses.dataclass(frozen=True, slots=True)
class Flash:
    """A process that writes firmware.

    :ivar address: the PCI address among its arguments, or None: it may be
        any card then.
    """

    pid: int
    program: str
    address: str | None


def flashes(host: Machine, ours: Collection[int] = ()) -> tuple[Flash, ...]:
    """The flashes under way.

    :param ours: process ids of those that are known already; what they
        started stands in their sessions.
    """
    return tuple(f for f in _all(host) if f.pid not in ours
                 and _session(host, f.pid) not in ours)


def _session(host: Machine, pid: int) -> int | None:
    """The session of a process (proc(5), /proc/PID/stat, field 6)."""
    fields = (host.read(f'/proc/{pid}/stat') or '').rpartition(')')[2]
    words = fields.split()
    return int(words[3]) if len(words) > 3 and words[3].isdecimal() else None


def _all(host: Machine) -> Iterator[Flash]:
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
