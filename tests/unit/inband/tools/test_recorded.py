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

"""The oldest and the newest real output that was found of each tool.

``documents/README.md`` says where each comes from.
"""

from __future__ import annotations

import json
from pathlib import Path
import struct

import pytest

from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Result
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine.pci_functions import Function
from ironic_accel.inband.tools.alveo import tool as alveo
from ironic_accel.inband.tools.family import DeviceReading
from ironic_accel.inband.tools.fwupd import tool as fwupd
from ironic_accel.inband.tools.gaudi import tool as gaudi
from ironic_accel.inband.tools.mellanox import config as mellanox_config
from ironic_accel.inband.tools.mellanox import modes as mellanox_modes
from ironic_accel.inband.tools.opae import tool as opae
from ironic_accel.inband.tools.rshim import tool as rshim
from ironic_accel.model.device import Component
from ironic_accel.model.plan import Item
from tests.unit.inband.tools import bench


def _function(ids: str, address: str, code: str = '120000') -> Function:
    vendor, device = ids.split(':')
    return Function(address, vendor, device, vendor, '0001', code,
                    path=f'/sys/bus/pci/devices/{address}')


# fpgainfo and fpgasupdate.

@pytest.mark.parametrize(('board', 'address', 'fim', 'bmc'), [
    ('n3000', '0000:06:00.0', '0.2.3', 'D.2.0.21'),
    ('d5005', '0000:04:00.0', '4.0.1', '2.0.13'),
    ('n6000', '0000:0d:00.0', '5.0.1', '65.5.0'),
    # Without the board's library the line of the controller is missing:
    # that the card has none is not said.
    ('n6000-no-board', '0000:0d:00.0', '5.0.1', None)])
def test_fpgainfo(tmp_path: Path, board: str, address: str, fim: str,
                  bmc: str | None) -> None:
    host = bench.host(tmp_path)
    bench.prints(tmp_path, 'fpgainfo', f'fpgainfo-{board}.txt')
    told = opae.Opae().read(host, [_function('8086:0b2b', address)]
                            ).devices[address]
    assert {c.name: c.running for c in told.components} == {
        'fim': fim, **({'bmc': bmc} if bmc else {})}
    assert [f for u in told.unread for f in u.facts] == (
        [] if bmc else ['firmware:bmc'])


def test_fpgainfo_of_another_card_is_ignored(tmp_path: Path) -> None:
    host = bench.host(tmp_path)
    bench.prints(tmp_path, 'fpgainfo', 'fpgainfo-n6000.txt')
    at = '0000:0e:00.0'
    told = opae.Opae().read(host, [_function('8086:0b2b', at)]).devices[at]
    assert told.components == ()
    assert [u.facts for u in told.unread] == [('firmware',)]


def _update(folder: Path, log: str, status: int) -> Result:
    at = '0000:0d:00.0'
    host = bench.host(folder)
    bench.prints(folder, 'fpgainfo', 'fpgainfo-n6000.txt')
    bench.prints(folder, 'fpgasupdate', log, status=status)
    image = folder / 'image'
    image.write_bytes(struct.pack('<III', 0xb6eafd19, 4, 0) + b'\0' * 64)
    (result,) = opae.Opae().update(
        host, bench.device('fpga', at, components=(
            Component('fim', 'Bitstream', '5.0.1'),)),
        [Item('card', 'fim', 'firmware', '5.0.2')],
        Ready(str(image), 76, '0'), None, False, bench.quiet)
    return result


@pytest.mark.parametrize('log', ['n3000', 'd5005'])
def test_fpgasupdate(tmp_path: Path, log: str) -> None:
    """A warning and a hundred percent prove nothing: its last words do."""
    name = f'fpgasupdate-{log}.txt'
    assert _update(tmp_path, name, 0).ok
    assert not _update(tmp_path, name, 1).ok
    cut = tmp_path / 'cut'
    cut.write_text(bench.document(name).partition('Secure update')[0])
    result = _update(tmp_path, str(cut), 0)
    assert not result.ok and result.detail is not None
    assert 'fpgasupdate ended with status 0' in result.detail.summary


# xbmgmt.

def _report(folder: Path, text: str, address: str) -> DeviceReading:
    host = bench.host(folder)
    (folder / 'report').write_text(text)
    tool = folder / 'bin' / 'xbmgmt'
    tool.write_text('#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\n'
                    f'/bin/cat {folder}/report > "$2"\n')
    tool.chmod(0o755)
    return alveo.Alveo().read(
        host, [_function('10ee:5020', address)]).devices[address]


@pytest.mark.parametrize(('name', 'address', 'shell', 'sc'), [
    ('u200', '0000:65:00.0', 'xilinx_u200_qdma_201920_1', '4.3.7'),
    ('u250', '0000:03:00.0', 'xilinx_u250_gen3x16_base', '4.3.9')])
def test_xbmgmt_platform(tmp_path: Path, name: str, address: str,
                         shell: str, sc: str) -> None:
    text = bench.document(f'xbmgmt-platform-{name}.json')
    told = _report(tmp_path, text, address)
    assert told.unread == ()
    assert {c.name: c.running for c in told.components} == {
        'shell': shell, 'sc': sc}
    assert (told.serial, told.model, told.fit.board) == (None, None, name)
    other = _report(tmp_path, text, '0000:99:00.0')
    assert other.components == () and other.unread


@pytest.mark.parametrize(('said', 'running', 'fixed', 'unread'), [
    ('4.3.9(FIXED)', '4.3.9', True, False), ('7.1.12', '7.1.12', False,
                                             False),
    ('INACTIVE', None, False, False), ('UNKNOWN', None, False, False),
    ('query request (21) not supported for mgmtpf on windows', None, False,
     True), ('Error: SC is not ready: 0x0', None, False, True)])
def test_text_instead_of_a_version_is_ignored(
        tmp_path: Path, said: str, running: str | None, fixed: bool,
        unread: bool) -> None:
    """XRT, pull requests 5272, 3201 and 3133."""
    raw = json.loads(bench.document('xbmgmt-platform-u250.json'))
    raw['devices'][0]['platform']['current_shell']['sc_version'] = said
    told = _report(tmp_path, json.dumps(raw), '0000:03:00.0')
    parts = {c.name: c for c in told.components}
    assert ('sc' in parts) is (running is not None)
    if running:
        assert parts['sc'].running == running
        assert (parts['sc'].updateable is False) is fixed
    assert [f for u in told.unread for f in u.facts] == (
        ['firmware:sc'] if unread else [])


# rshim, mstconfig, hl-fw-loader.

@pytest.mark.parametrize(('name', 'card', 'chip'), [
    ('bluefield2', '0000:0f:00', '2'), ('bluefield3', '0000:e1:00', '3')])
def test_rshim(tmp_path: Path, name: str, card: str, chip: str) -> None:
    host = bench.host(tmp_path)
    bench.files(tmp_path, 'dev/rshim0',
                misc=bench.document(f'rshim-misc-{name}.txt'))
    assert rshim.nodes(host) == {card: ('rshim0', chip)}


@pytest.mark.parametrize(('name', 'sriov', 'vfs'), [
    ('mstconfig-query-connectx3pro', 'enabled', 8),
    ('mlxconfig-query-connectx4', 'disabled', 0)])
def test_table_without_current_values_is_unread(name: str, sriov: str,
                                       vfs: int) -> None:
    """Such a table says what will be, never what is."""
    found = mellanox_config.parse_table(bench.document(f'{name}.txt'))
    assert all(set(row) == {'next_value'} for row in found.values())
    modes, _ = mellanox_modes.read(found, None)
    seen = {m.name: (m.current, m.pending) for m in modes}
    assert (seen['sriov'], seen['vf-limit']) == (
        (None, sriov), (None, vfs))


def test_output_of_a_set_is_not_read_as_current_values() -> None:
    found = mellanox_config.parse_table(
        bench.document('mlxconfig-set-connectx7.txt'))
    assert all('current_value' not in row for row in found.values())


def test_hl_fw_loader(tmp_path: Path) -> None:
    host = bench.host(tmp_path)
    bench.prints(tmp_path, 'hl-fw-loader', 'hl-fw-loader-gaudi3.txt')
    at = '0000:19:00.0'
    told = gaudi.Gaudi().read(host, [_function('1da3:1060', at)]).devices[at]
    assert [(c.name, c.running) for c in told.components] == [
        ('spi', 'hl-gaudi3-1.22.0-fw-61.3.2-sec-9')]


# fwupdmgr.

@pytest.mark.parametrize(('row', 'updateable'), [(1, True), (2, False)])
def test_fwupd_rows(tmp_path: Path, row: int, updateable: bool) -> None:
    """A device that something keeps from being written is told all the
    same, and so are the others beside rows without name and version."""
    raw = json.loads(bench.document('fwupd-rows.json'))
    raw['Devices'][row]['Guid'] = sorted(fwupd.guids('15b3', '101d'))[:1]
    (tmp_path / 'rows').write_text('Idle…: 0%\n' + json.dumps(raw))
    host = bench.host(tmp_path)
    bench.prints(tmp_path, 'fwupdmgr', str(tmp_path / 'rows'))
    at = '0000:17:00.0'
    told = fwupd.Fwupd().read(
        host, [_function('15b3:101d', at, '020000')]).devices[at]
    (part,) = told.components
    assert (part.name, part.running, part.updateable) == (
        'nic', raw['Devices'][row]['Version'], updateable)
    card = bench.device('nic', at, components=told.components)
    assert fwupd.Fwupd().updates(host, card) == (
        {'nic'} if updateable else set())


def test_fwupd_error_with_status_0_is_unread(
        tmp_path: Path) -> None:
    host: Machine = bench.host(tmp_path)
    (tmp_path / 'error').write_text(
        '{"Error": {"Domain": "FwupdError", "Code": 8, "Message": '
        '"failed to find deadbeef"}}')
    bench.prints(tmp_path, 'fwupdmgr', str(tmp_path / 'error'))
    at = '0000:17:00.0'
    told = fwupd.Fwupd().read(
        host, [_function('15b3:101d', at, '020000')]).devices[at]
    assert [(u.answer, u.facts) for u in told.unread] == [
        ('failed to find deadbeef', ('firmware:nic',))]


def test_fwupd_without_devices_reports_nothing(
        tmp_path: Path) -> None:
    """FWUPD_ERROR_NOTHING_TO_DO is 9 (fwupd-error.h), status 2."""
    host: Machine = bench.host(tmp_path)
    (tmp_path / 'none').write_text(
        '{"Error": {"Domain": "FwupdError", "Code": 9, "Message": '
        '"No detected devices"}}')
    bench.prints(tmp_path, 'fwupdmgr', str(tmp_path / 'none'), 2)
    assert fwupd.Fwupd().read(
        host, [_function('15b3:101d', '0000:17:00.0', '020000')]).devices == {}
