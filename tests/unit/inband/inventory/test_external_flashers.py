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
"""Which processes are firmware updates of others."""

from __future__ import annotations

from collections.abc import Sequence
import pathlib
from typing import ClassVar

import pytest

from ironic_accel.inband.backend import LocalBackend
from ironic_accel.inband.inventory import external_flashers
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.tools import common
from ironic_accel.inband.tools.family import Family
from ironic_accel.inband.tools.family import Flashers
from ironic_accel.inband.tools import loader
from tests.unit.inband import sample


def _flashes(root: pathlib.Path, *argv: str,
             families: Sequence[Family] | None = None
             ) -> list[external_flashers.Flash]:
    folder = root / 'proc/4242'
    folder.mkdir(parents=True)
    (folder / 'cmdline').write_text('\0'.join([*argv, '']))
    known = external_flashers.programs(
        loader.load()[0] if families is None else families)
    return list(external_flashers.flashes(Machine(str(root)), known))


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
def test_program_that_writes_firmware_is_detected(
        tmp_path: pathlib.Path, line: str, address: str | None) -> None:
    (found,) = _flashes(tmp_path, *line.split())
    assert (found.pid, found.address) == (4242, address)


@pytest.mark.parametrize('line', [
    'mstflint -d 17:00.0 -qq query', 'mlxfwmanager -i x.bin',
    'mlxfwmanager --query', 'xbmgmt examine -d 0000:d8:00.0',
    'xpu-smi discovery -j', 'fwupdmgr get-devices --json',
    'devlink dev info pci/0000:17:00.0', 'ethtool -i eth0',
    'nvme list', 'vim mstflint', 'tail -f fpgasupdate.log',
])
def test_program_that_reads_is_not_detected(
        tmp_path: pathlib.Path, line: str) -> None:
    assert _flashes(tmp_path, *line.split()) == []


class Acme(common.BaseFamily):
    """A family whose vendor writes firmware by one program."""

    name = 'acme'
    flashers: ClassVar[Flashers] = {'acmectl': frozenset({'update'}),
                                    'devlink': frozenset({'acme'})}


@pytest.mark.parametrize(('line', 'found'), [
    ('acmectl update 0000:17:00.0', True), ('acmectl show', False),
    ('devlink acme', True), ('devlink dev flash pci/0000:17:00.0', True),
    ('mstflint -d 17:00.0 -i x.bin -y burn', False)])
def test_programs_are_those_that_the_families_declare(
        tmp_path: pathlib.Path, line: str, found: bool) -> None:
    assert bool(_flashes(tmp_path, *line.split(), families=[Acme()])) is found


def test_program_without_arguments_writes_whenever_it_runs(
        tmp_path: pathlib.Path) -> None:
    class Other(Acme):
        flashers: ClassVar[Flashers] = {'acmectl': frozenset()}

    assert _flashes(tmp_path, 'acmectl', 'show', families=[Acme(), Other()])


@pytest.mark.parametrize(('declared', 'line', 'found'), [
    ({'acmectl': frozenset({'update'})}, 'acmectl update', True),
    ({'acmectl': frozenset({'update'})}, 'acmectl show', False),
    # What is declared wrongly counts as any run of the program.
    ({'acmectl': ['update']}, 'acmectl update', True),
    ({'acmectl': ['update']}, 'acmectl show', False),
    ({'acmectl': 'update'}, 'acmectl show', True),
    ({'acmectl': None}, 'acmectl show', True),
    ({'acmectl': frozenset({7})}, 'acmectl show', True),
    (['acmectl'], 'acmectl update', False)])
def test_programs_of_a_family_that_is_not_used_are_waited_for(
        tmp_path: pathlib.Path, declared: object, line: str, found: bool
        ) -> None:
    refused = type('Refused', (common.BaseFamily,), {
        'name': 'acme', 'read': None, 'flashers': declared})()
    loaded = loader.accepted([refused])
    assert loaded.families == ()
    root = sample.machine(tmp_path)[0].root
    process = pathlib.Path(root) / 'proc' / '4242'
    process.mkdir(parents=True)
    process.joinpath('cmdline').write_bytes(
        b'\0'.join(w.encode() for w in line.split()) + b'\0')
    backend = LocalBackend(Machine(str(root)), [refused],
                           folder=str(tmp_path / 'jobs'))
    busy = backend.observe().busy
    assert [b.ref for b in busy] == (['process 4242'] if found else [])


def test_programs_that_cannot_be_read_are_logged(
        caplog: pytest.LogCaptureFixture) -> None:
    class Broken(common.BaseFamily):
        name = 'acme'

        @property
        def flashers(self) -> Flashers:
            raise ValueError('no')

    loaded = loader.accepted([Broken()])
    assert loaded.flashers == {}
    assert len(loaded.warnings) == 1
    assert ('The programs of tool family Broken that write firmware cannot be '
            'read: no') in caplog.text
