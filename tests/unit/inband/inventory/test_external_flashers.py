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
"""Whose flash is seen in /proc, and whose look is not taken for one."""

from __future__ import annotations

import pathlib

import pytest

from ironic_accel.inband.inventory import external_flashers
from ironic_accel.inband.machine.machine import Machine


def _flashes(root: pathlib.Path, *argv: str) -> list[external_flashers.Flash]:
    folder = root / 'proc/4242'
    folder.mkdir(parents=True)
    (folder / 'cmdline').write_text('\0'.join([*argv, '']))
    return list(external_flashers.flashes(Machine(str(root))))


@pytest.mark.parametrize(('line', 'address'), [
    ('mstflint -d 17:00.0 -i x.bin -y burn', '0000:17:00.0'),
    ('flint -d 0000:17:00.0 ir', '0000:17:00.0'),
    ('mstflint -d 17:00.0 brom rom.bin', '0000:17:00.0'),
    ('mlxfwmanager -u -y', None),
    ('/usr/bin/xbmgmt program -d 0000:d8:00.0 --base', '0000:d8:00.0'),
    ('python3 /usr/bin/fpgasupdate x.bin 0000:3b:00.0', '0000:3b:00.0'),
    ('xpu-smi updatefw -d 0000:4d:00.0 -t GFX -f x', '0000:4d:00.0'),
    ('hl-fw-loader -y', None),
    ('bash /usr/sbin/bfb-install -b x.bfb -r rshim0', None),
    ('fwupdmgr local-install x.cab', None),
    ('fwupdtool install-blob x', None),
    ('devlink dev flash pci/0000:17:00.0 file x.bin', '0000:17:00.0'),
    ('ethtool --flash eth0 x.bin', None),
    ('nvme fw-download /dev/nvme0 -f x', None),
])
def test_a_flash_is_seen(tmp_path: pathlib.Path, line: str,
                         address: str | None) -> None:
    (found,) = _flashes(tmp_path, *line.split())
    assert (found.pid, found.address) == (4242, address)


@pytest.mark.parametrize('line', [
    'mstflint -d 17:00.0 -qq query', 'mlxfwmanager -i x.bin',
    'mlxfwmanager --query', 'xbmgmt examine -d 0000:d8:00.0',
    'xpu-smi discovery -j', 'fwupdmgr get-devices --json',
    'devlink dev info pci/0000:17:00.0', 'ethtool -i eth0',
    'nvme list', 'vim mstflint', 'tail -f fpgasupdate.log',
])
def test_a_look_is_none(tmp_path: pathlib.Path, line: str) -> None:
    assert _flashes(tmp_path, *line.split()) == []
