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

"""What tools and drivers print, and what it means."""

from __future__ import annotations

import pathlib
import re
from typing import Any

import pytest

from ironic_accel.converge.ports import Ready
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine.pci_functions import Function
from ironic_accel.inband.tools.amd_gpu import tool as amd_gpu
from ironic_accel.inband.tools.family import DeviceReading
from ironic_accel.inband.tools.family import Family
from ironic_accel.inband.tools.gaudi import tool as gaudi
from ironic_accel.inband.tools.intel_gpu import tool as intel_gpu
from ironic_accel.inband.tools.mellanox import config as mellanox_config
from ironic_accel.inband.tools.mellanox import tool as mellanox
from ironic_accel.inband.tools.opae import tool as opae
from ironic_accel.inband.tools.qat import tool as qat
from ironic_accel.inband.tools.rshim import tool as rshim
from ironic_accel.model.device import Component
from ironic_accel.model.device import Value
from ironic_accel.model.plan import Item
from ironic_accel.model.reading_status import Standing
from ironic_accel_emulator.inside import tools
from ironic_accel_emulator.inside.tools import bluefield
from ironic_accel_emulator.inside.tools.state import part
from ironic_accel_emulator.inside.tools.state import setting
from ironic_accel_emulator.inside.tools.state import State
from tests.unit.inband.tools import bench

AT = '0000:4d:00.0'
NIC = '0000:17:00.0'


def _function(ids: str, class_code: str = '120000', at: str = AT,
              driver: str | None = None) -> Function:
    vendor, device = ids.split(':')
    return Function(at, vendor, device, vendor, '0001', class_code,
                    driver=driver)


def _told(family: Family, host: Machine, function: Function) -> DeviceReading:
    return family.read(host, [function]).devices[function.address]


def _state(folder: pathlib.Path, *names: str, at: str = AT,
           **card: Any) -> tuple[Machine, State]:
    """A host with a card that simulated tools know."""
    host = bench.host(folder)
    state = State(folder / 'state.json')
    state.create({at: {'facts': {}, 'parts': {}, 'settings': {}, **card}})
    tools.install(folder / 'bin', state.path, names)
    return host, state


# habanalabs: drivers/accel/habanalabs/common/habanalabs_drv.c, create_hdev.

@pytest.mark.parametrize(('word', 'health', 'unread'), [
    ('Operational', 'OK', False), ('operational', 'OK', False),
    ('Disabled', 'Critical', False), ('Malfunction', 'Critical', False),
    ('Needs reset', 'Critical', False), ('In reset', 'Warning', True),
    ('In device creation', 'Warning', True),
    ('In reset after device release', 'Warning', True),
    ('Resting', None, True), ('', None, True), (None, None, True)])
def test_status_of_habanalabs(tmp_path: pathlib.Path, word: str | None,
                              health: str | None, unread: bool) -> None:
    host = bench.host(tmp_path)
    where = bench.files(tmp_path, 'sys/class/accel/accel2/device',
                        pci_addr=f'{AT}\n', cpucp_ver='hl-gaudi2-1.22.0-x')
    if word is not None:
        (where / 'status').write_text(f'{word}\n')
    told = _told(gaudi.Gaudi(), host, _function('1da3:1020'))
    assert told.health == health
    assert any('health' in u.facts for u in told.unread) is unread


def test_gaudi_without_its_loaded_driver_is_unread(
        tmp_path: pathlib.Path) -> None:
    host = bench.host(tmp_path)
    bench.files(tmp_path, 'sys/bus/pci/drivers/habanalabs')
    told = _told(gaudi.Gaudi(), host, _function('1da3:1020'))
    assert 'health' in told.unread[0].facts


# amd-smi: amdsmi_cli/amdsmi_commands.py, bad_pages and metric.

_PAGE = {'page_address': 1, 'page_size': 4096, 'status': 'PENDING'}
_AMD: dict[str, tuple[dict[str, Any], str | None, bool]] = {
    'none': ({}, 'OK', False), 'errors': ({'uncorrected': 2}, 'Warning',
                                          False),
    'pending': ({'pending': [_PAGE]}, 'Warning', False),
    'one': ({'pending': _PAGE}, 'Warning', False),
    'broken': ({'un_res': [_PAGE], 'uncorrected': 1}, 'Critical', False),
    'no-count': ({'uncorrected': 'N/A'}, 'OK', False),
    'nothing': ({'uncorrected': 'N/A', 'pending': 'N/A', 'un_res': 'N/A'},
                None, False),
    'strange': ({'pending': 'some'}, 'OK', True),
    'word': ({'uncorrected': 'many', 'un_res': 'N/A', 'pending': 'N/A'},
             None, True)}


@pytest.mark.parametrize('name', _AMD)
@pytest.mark.parametrize('form', [None, 'list'])
def test_health_by_amd_smi(tmp_path: pathlib.Path, name: str,
                           form: str | None) -> None:
    facts, health, unread = _AMD[name]
    host, state = _state(
        tmp_path, 'amd-smi', facts={'name': 'MI300X', 'serial': '1', **facts},
        parts={'gpu': part('022')}, settings={
            'compute': setting('SPX'), 'memory': setting('NPS1')})
    state.fault('amd-smi', form)
    told = _told(amd_gpu.AmdGpu(), host, _function('1002:74a1'))
    assert told.health == health
    assert any('health' in u.facts for u in told.unread) is unread
    assert ('health' in told.absent) is (health is None and not unread)
    assert told.serial == '1' and len(told.modes) == 2


# xpu-smi: cli/src/core_stub (healthStatusEnumToString), cmd_health.cpp.

@pytest.mark.parametrize(('form', 'word', 'health'), [
    (None, 'OK', 'OK'), (None, 'Warning', 'Warning'),
    (None, 'Critical', 'Critical'), (None, 'Unknown', None),
    (None, 'Fine', None), ('words', 'OK', 'OK'),
    ('words', 'DEGRADED', 'Warning'), ('words', 'CRITICAL', 'Critical'),
    ('words', 'REPLACE', 'Critical'), ('words', 'SUPERB', None),
    ('v2', 'OK', 'OK'), ('v2', 'Critical', 'Critical'), ('v2', 'Fine', None),
    # Its component 4 is well, and is not the memory.
    ('renumbered', 'OK', 'OK'), ('renumbered', 'Warning', 'Warning'),
    ('renumbered', 'Unknown', None)])
def test_health_by_xpu_smi(tmp_path: pathlib.Path, form: str | None,
                           word: str, health: str | None) -> None:
    host, state = _state(
        tmp_path, 'xpu-smi', facts={'name': 'Flex', 'memory_health': word},
        parts={'gpu': part('a'), 'gfx-data': part('b')},
        settings={'ecc': setting(1)})
    state.fault('xpu-smi', form, on='health')
    told = _told(intel_gpu.IntelGpu(), host, _function(
        '8086:56c0', '038000'))
    assert told.health == health
    assert [u.facts for u in told.unread] == (
        [] if health else [('health',)])


# fpgainfo: libraries/libboard/board_*.

@pytest.mark.parametrize(('controller', 'running', 'standing'), [
    ('comma', '2.0.13', Standing.REPORTED),
    ('plain', '2.0.13', Standing.REPORTED),
    ('a10gx', '2.0.13', Standing.REPORTED), ('none', None, Standing.ABSENT)])
def test_every_boards_controller(
        tmp_path: pathlib.Path, controller: str, running: str | None,
        standing: Standing) -> None:
    host, _ = _state(
        tmp_path, 'fpgainfo', 'fpgasupdate', facts={
            'controller': controller},
        parts={'fim': part('2.0.1'), 'bmc': part('2.0.13')})
    told = _told(opae.Opae(), host, _function('8086:0b2b'))
    found = {c.name: (c.running, c.standing) for c in told.components}
    assert found['bmc'] == (running, standing) and told.unread == ()
    card = bench.device('fpga', AT, components=told.components)
    assert opae.Opae().updates(host, card) == (
        {'fim', 'bmc'} if running else {'fim'})


def test_missing_line_of_a_report_is_unread(
        tmp_path: pathlib.Path) -> None:
    host = bench.host(tmp_path)
    (tmp_path / 'report').write_text(
        f'PCIe s:b:d.f : {AT}\nBitstream Version : 2.0.1\n')
    bench.prints(tmp_path, 'fpgainfo', str(tmp_path / 'report'))
    told = _told(opae.Opae(), host, _function('8086:0b2b'))
    assert [c.name for c in told.components] == ['fim']
    assert [u.facts for u in told.unread] == [('firmware:bmc',)]


# bfb-install: scripts/bfb-install, and the card's log.

def _install(folder: pathlib.Path, fault: str | None) -> tuple[bool, str]:
    at = '0000:ca:00.0'
    host, state = _state(folder, 'bfb-install', at=at, facts={
        'rshim': 'rshim0'}, parts={'bfb': part('4.9.0')})
    bench.files(folder, 'dev/rshim0', misc=bluefield.misc(at))
    state.fault('bfb-install', fault)
    digest = bluefield.boot_stream(folder / 'bfb', '4.10.0')
    (result,) = rshim.Rshim().update(
        host, bench.device('dpu', at, components=(
            Component('bfb', 'rshim0'),)),
        [Item('card', 'bfb', 'firmware', '4.10.0')],
        Ready(str(folder / 'bfb'), 1, digest), None, False, bench.quiet)
    return result.ok, result.detail.summary if result.detail else ''


@pytest.mark.parametrize(('fault', 'well', 'words'), [
    (None, True, ''), ('no-nic-reset', True, ''),
    ('nic-update-failed', False, 'NIC firmware update failed'),
    ('fail', False, 'CRITICAL ERROR'), ('lie', False, 'bfb-install ended')])
def test_bfb_install_line_by_line(tmp_path: pathlib.Path, fault: str | None,
                                  well: bool, words: str) -> None:
    ok, said = _install(tmp_path, fault)
    assert ok is well and words in said


def test_what_bfb_install_printed_on_a_bluefield_3(
        tmp_path: pathlib.Path, cases: pathlib.Path) -> None:
    text = (cases / 'inband/F4-bfb-install-bf3.txt').read_text()
    log = ''.join(x for x in text.splitlines(True) if 'MISC]' in x[:12])
    at = '0000:ca:00.0'
    host = bench.host(tmp_path)
    bench.files(tmp_path, 'dev/rshim0', misc=bluefield.misc(at))
    for extra, well in (('', True), (' ERR[MISC]: BMC update failed\n',
                                     False)):
        (tmp_path / 'log').write_text(log + extra)
        bench.prints(tmp_path, 'bfb-install', str(tmp_path / 'log'))
        digest = bluefield.boot_stream(tmp_path / 'bfb', '4.10.0')
        (result,) = rshim.Rshim().update(
            host, bench.device('dpu', at),
            [Item('card', 'bfb', 'firmware', '4.10.0')],
            Ready(str(tmp_path / 'bfb'), 1, digest), None, False,
            bench.quiet)
        assert result.ok is well


# mstconfig: mlxconfig/mlxcfg_ui.cpp.

_SETTINGS = {'SRIOV_EN': (0, 0), 'NUM_OF_VFS': (8, 0),
             'LINK_TYPE_P1': (1, 1), 'LINK_TYPE_P2': (2, 1)}


def _connectx(folder: pathlib.Path) -> tuple[Machine, State]:
    host, state = _state(
        folder, 'mstflint', 'mstconfig', at=NIC,
        facts={'psid': 'MT_0000000838'},
        parts={'nic': part('28.39.1002', 'device-reset')}, settings={
            name: setting(now, 'device-reset', default=default)
            for name, (now, default) in _SETTINGS.items()})
    return host, state


def _modes(host: Machine) -> dict[str, Value | None]:
    told = _told(mellanox.Mellanox(), host,
                 _function('15b3:1021', '020000', NIC))
    return {m.name: m.current for m in told.modes}


@pytest.mark.parametrize('form', [None, 'no-json'])
def test_mstconfig_output_is_read_as_json_or_table(tmp_path: pathlib.Path,
                                        form: str | None) -> None:
    host, state = _connectx(tmp_path)
    state.fault('mstconfig', form)
    assert _modes(host) == {'sriov': 'disabled', 'vf-limit': 8,
                            'link-type': ('ib', 'eth')}
    card = bench.device('nic', NIC)
    family = mellanox.Mellanox()
    results = family.set(host, card, [
        Item('card', 'sriov', 'mode', 'enabled'),
        Item('card', 'link-type', 'mode', ('eth', 'eth'))], bench.quiet)
    assert [r.ok for r in results] == [True, True]
    told = _told(family, host, _function('15b3:1021', '020000', NIC))
    assert {m.name: m.pending for m in told.modes} == {
        'sriov': 'enabled', 'vf-limit': None, 'link-type': ('eth', 'eth')}


@pytest.mark.parametrize('form', ['tlv', 'no-json-tlv'])
def test_parameter_that_cannot_be_queried_is_unread_alone(
        tmp_path: pathlib.Path, form: str) -> None:
    host, state = _connectx(tmp_path)
    state.fault('mstconfig', form)
    told = _told(mellanox.Mellanox(), host,
                 _function('15b3:1021', '020000', NIC))
    seen = {m.name: m.current for m in told.modes}
    assert (seen.pop('vf-limit'), seen.pop('link-type')) == (8, ('ib', 'eth'))
    # The tool names no parameter: it may be any that such a card can have,
    # and none of the others.
    assert set(seen.values()) == {None}
    assert {'sriov', 'relaxed-ordering'} <= set(seen) and 'mode' not in seen
    (unread,) = told.unread
    assert 'Failed to query' in unread.answer
    assert set(unread.facts) == {f'mode:{n}' for n in seen} | {'mode:*'}


def test_firmware_without_current_values_is_unread(
        tmp_path: pathlib.Path) -> None:
    host, state = _connectx(tmp_path)
    state.fault('mstconfig', 'no-current')
    told = _told(mellanox.Mellanox(), host,
                 _function('15b3:1021', '020000', NIC))
    assert {(m.name, m.current, m.pending, m.standing)
            for m in told.modes} == {
        ('sriov', None, 'disabled', Standing.ABSENT),
        ('vf-limit', None, 8, Standing.ABSENT),
        ('link-type', None, ('ib', 'eth'), Standing.ABSENT)}


def test_first_of_two_parameters_is_used(tmp_path: pathlib.Path) -> None:
    host, state = _connectx(tmp_path)
    state.fault('mstconfig', 'half', on='set')
    results = mellanox.Mellanox().set(host, bench.device('nic', NIC), [
        Item('card', 'sriov', 'mode', 'enabled'),
        Item('card', 'vf-limit', 'mode', 32)], bench.quiet)
    assert {r.ref[1]: r.ok for r in results} == {
        'sriov': False, 'vf-limit': True}
    detail = next(r.detail for r in results if not r.ok)
    assert detail is not None and 'Bad parameters' in detail.summary
    assert (detail.expected, detail.seen) == ('SRIOV_EN=1', 'False(0)')


def test_invalid_value_is_refused_alone(
        tmp_path: pathlib.Path) -> None:
    host, _ = _connectx(tmp_path)
    results = mellanox.Mellanox().set(host, bench.device('nic', NIC), [
        Item('card', 'link-type', 'mode', ('eth',)),
        Item('card', 'vf-limit', 'mode', 32)], bench.quiet)
    assert {r.ref[1]: r.ok for r in results} == {
        'link-type': False, 'vf-limit': True}


def test_the_mstconfig_of_debian_12(tmp_path: pathlib.Path,
                                    cases: pathlib.Path) -> None:
    """Its real answer to ``-j``, and a table after its source."""
    text = (cases / 'inband/F6-mstconfig-4.21-debian12.txt').read_text()
    (tmp_path / 'no').write_text(text)
    table = '\n'.join([
        '\nDevice #1:\n----------\n', f'{"Device:":<16}{NIC:<16}\n',
        f'{"Configurations:":<16}{"Default":>36}{"Current":>16}'
        f'{"Next Boot":>18}',
        f'         {"SRIOV_EN":<36}{"False(0)":<16}{"False(0)":<16}'
        f'{"False(0)":<16}',
        f'*        {"NUM_OF_VFS":<36}{"0":<16}{"8":<16}{"16":<16}',
        f'         {"PF_LOG_BAR_SIZE":<36}{"N/A":<16}{"N/A":<16}'
        f'{"N/A":<16}', "The '*' shows parameters with next value different"])
    (tmp_path / 'yes').write_text(table)
    host = bench.host(tmp_path)
    tool = tmp_path / 'bin' / 'mstconfig'
    tool.write_text(f'''#!/bin/sh
        case "$*" in *-j*) /bin/cat {tmp_path}/no; exit 1;; esac
        /bin/cat {tmp_path}/yes''')
    tool.chmod(0o755)
    told = _told(mellanox.Mellanox(), host,
                 _function('15b3:1021', '020000', NIC))
    assert {m.name: (m.current, m.pending) for m in told.modes} == {
        'sriov': ('disabled', None), 'vf-limit': (8, 16),
        'pf-log-bar-size': (None, None)}
    # N/A: the card has the parameter and did not tell its value.
    assert {m.name for m in told.modes
            if m.standing is Standing.ABSENT} == {'pf-log-bar-size'}
    assert told.unread == ()


@pytest.mark.parametrize('line', [
    '         SRIOV_EN   False(0)   False(0)', '  SRIOV_EN',
    'Failed to query SRIOV_EN 1 2 3'])
def test_lines_outside_the_table_are_ignored(line: str) -> None:
    text = ('Configurations:   Default   Current   Next Boot\n'
            f'{line}\n         NUM_OF_VFS  0  8  16\n')
    assert set(mellanox_config.parse_table(text)) == {'NUM_OF_VFS'}
    assert mellanox_config.parse_table(line) == {}


def test_reason_of_a_failure_is_the_marked_line(
        tmp_path: pathlib.Path) -> None:
    host = bench.host(tmp_path)
    (tmp_path / 'said').write_text(
        'Device #1:\n-E- Failed to open the device\n  Note: query first\n')
    bench.prints(tmp_path, 'mstconfig', str(tmp_path / 'said'), status=3)
    told = _told(mellanox.Mellanox(), host,
                 _function('15b3:1021', '020000', NIC))
    assert all(re.search('status 3, output: -E- Failed to open the device',
                         u.answer) for u in told.unread)


# qat: Documentation/ABI/testing/sysfs-driver-qat.

@pytest.mark.parametrize(('state', 'current', 'pending', 'standing'), [
    ('up', ('sym', 'asym'), None, Standing.NOT_REPORTED),
    ('down', None, ('sym', 'asym'), Standing.ABSENT),
    ('restarting', None, None, Standing.UNREAD),
    (None, None, None, Standing.UNREAD)])
def test_services_of_a_device_that_is_down_are_no_proof(
        tmp_path: pathlib.Path, state: str | None, current: Any,
        pending: Any, standing: Standing) -> None:
    host = bench.host(tmp_path)
    files = {'cfg_services': 'asym;sym\n'}
    if state is not None:
        files['state'] = f'{state}\n'
    bench.files(tmp_path, f'sys/bus/pci/devices/{AT}/qat', **files)
    told = _told(qat.Qat(), host, _function('8086:4940', '0b4000',
                                            driver='4xxx'))
    (mode,) = told.modes
    assert (mode.current, mode.pending, mode.standing) == (
        current, pending, standing)
    assert bool(told.unread) is (standing is Standing.UNREAD)


# Tools that crash or cannot be started: in plain words.

@pytest.mark.parametrize(('script', 'words'), [
    ('#!/bin/sh\necho odd; kill -SEGV $$\n',
     'mstflint was ended by SIGSEGV, output: odd'),
    ('#!/bin/sh\nkill -KILL $$\n',
     'mstflint was ended by SIGKILL, output: none'),
    ('#!/bin/sh\nexit 3\n', 'mstflint ended with status 3, output: none'),
    ('#!/bin/sh\necho hm\n', 'mstflint ended with status 0, output: hm'),
    ('#!/bin/none\n', 'mstflint could not be started: ')])
def test_end_of_a_tool_is_named(tmp_path: pathlib.Path, script: str,
                          words: str) -> None:
    host = bench.host(tmp_path)
    tool = tmp_path / 'bin' / 'mstflint'
    tool.write_text(script)
    tool.chmod(0o755)
    told = _told(mellanox.Mellanox(), host,
                 _function('15b3:1021', '020000', NIC))
    assert told.unread[0].answer.startswith(words)
