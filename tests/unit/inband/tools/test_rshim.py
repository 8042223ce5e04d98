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

"""Boot streams over rshim: whose device it is, what a stream is for."""

from __future__ import annotations

import pathlib
import stat

import pytest

from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Result
from ironic_accel.inband.backend import LocalBackend
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.tools.rshim import tool as rshim
from ironic_accel.model.device import Device
from ironic_accel.model.plan import Item
from ironic_accel_emulator.inside.tools import bluefield
from ironic_accel_emulator.inside.tree import Card
from ironic_accel_emulator.inside.tree import Tree

DPU = '0000:ca:00.0'


@pytest.fixture(name='tree')
def _tree(tmp_path: pathlib.Path) -> Tree:
    tree = Tree(tmp_path / 'root')
    tree.add(Card(DPU, ('15b3', 'a2dc', '15b3', '0001'), '020000'),
             Card('0000:31:00.0', ('15b3', 'a2dc', '15b3', '0001'),
                  '020000'))
    tree.put('/dev/rshim0/misc', bluefield.misc('0000:31:00.0'))
    tree.put('/dev/rshim1/misc', bluefield.misc(DPU, 2))
    (tmp_path / 'bin').mkdir()
    return tree


def _install(tmp_path: pathlib.Path, said: str, status: int = 0) -> None:
    path = tmp_path / 'bin' / rshim.TOOL
    path.write_text(f'#!/bin/sh\necho "$*" > {tmp_path}/argv\n'
                    f'printf \'{said}\'\nexit {status}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def _host(tree: Tree, tmp_path: pathlib.Path) -> Machine:
    return Machine(str(tree.root), f'{tmp_path}/bin:/usr/bin:/bin')


def _burn(tree: Tree, tmp_path: pathlib.Path, generation: int = 2
          ) -> Result:
    path = tmp_path / 'x.bfb'
    bluefield.boot_stream(path, 'DOCA_2.9', generation)
    (result,) = rshim.Rshim().update(
        _host(tree, tmp_path), Device('dpu-1', 'dpu', address=DPU),
        [Item('dpu-1', 'bfb', 'firmware', 'DOCA_2.9')],
        Ready(str(path), path.stat().st_size, ''), None, False,
        lambda summary, percent: None)
    return result


def test_each_card_has_its_own_rshim(
        tree: Tree, tmp_path: pathlib.Path) -> None:
    host = _host(tree, tmp_path)
    assert rshim.nodes(host) == {'0000:31:00': ('rshim0', '3'),
                                 '0000:ca:00': ('rshim1', '2')}
    tree.put('/dev/rshim2/misc', 'DEV_NAME        usb-1.1\n')
    tree.put('/dev/rshim3/misc', 'nonsense\n')
    assert len(rshim.nodes(host)) == 2


def test_update_names_the_other_components_that_it_writes(
        tree: Tree, tmp_path: pathlib.Path) -> None:
    _install(tmp_path, '')
    backend = LocalBackend(_host(tree, tmp_path), (rshim.Rshim(),),
                           folder=str(tmp_path / 'jobs'))
    seen = backend.observe()
    (transport,) = backend.transports(seen)
    (dpu,) = [d for d in seen.devices if d.address == DPU]
    burn = transport.updates[dpu.id, 'bfb']
    assert burn.also_writes == tuple(
        (dpu.id, n) for n in ('atf', 'uefi', 'nic', 'bmc', 'erot'))
    part = dpu.component('bfb')
    assert part is not None
    assert (part.running, part.id) == (None, 'rshim1')


def test_transport_is_empty_without_the_tool(
        tree: Tree, tmp_path: pathlib.Path) -> None:
    backend = LocalBackend(_host(tree, tmp_path), (rshim.Rshim(),),
                           folder=str(tmp_path / 'jobs'))
    seen = backend.observe()
    assert 'bfb-install is not installed' in seen.warnings[0].message
    (transport,) = backend.transports(seen)
    assert transport.updates == {}


def test_the_stream_goes_to_the_card(
        tree: Tree, tmp_path: pathlib.Path) -> None:
    _install(tmp_path, ' INFO[MISC]: DPU is ready\\n')
    assert _burn(tree, tmp_path).ok
    assert (tmp_path / 'argv').read_text() == (
        f'--bfb {tmp_path}/x.bfb --rshim rshim1\n')


@pytest.mark.parametrize(('said', 'status', 'words'), [
    (' ERR[MISC]: flash failed\\n INFO[MISC]: Rebooting...\\n', 0,
     'flash failed'),
    ('CRITICAL ERROR\\n', 0, 'CRITICAL ERROR'),
    (' INFO[BL2]: start\\n', 0, 'start'),
    ('INFO[MISC]: DPU is ready\\n', 1, 'status 1'),
])
def test_output_of_the_tool_counts_and_not_its_status_alone(
        tree: Tree, tmp_path: pathlib.Path, said: str, status: int,
        words: str) -> None:
    _install(tmp_path, said, status)
    result = _burn(tree, tmp_path)
    assert not result.ok and result.detail is not None
    assert words in result.detail.summary


def test_a_stream_for_another_chip_is_not_pushed(
        tree: Tree, tmp_path: pathlib.Path) -> None:
    _install(tmp_path, ' INFO[MISC]: DPU is ready\\n')
    detail = _burn(tree, tmp_path, 3).detail
    assert detail is not None
    assert (detail.expected, detail.seen) == ('BlueField-2', 'BlueField-3')
    assert not (tmp_path / 'argv').exists()


@pytest.mark.parametrize('body', [
    b'MTFW' * 100, b'\x42', b'\x42\x66\x02\x13' + 5 * b'\0'])
def test_invalid_boot_stream_is_reported(
        tmp_path: pathlib.Path, body: bytes) -> None:
    path = tmp_path / 'x'
    path.write_bytes(body)
    assert rshim.contents(str(path)) is None
    assert rshim.contents(str(tmp_path / 'gone')) is None
