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

"""Parameters of an adapter: the allow list, each function, and read-back.

The simulated mstconfig prints as mstflint 4.36 does; the names, types and
values are those of its ``mlxconfig_host.db``.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from ironic_accel.converge.ports import Result
from ironic_accel.inband.backend import LocalBackend
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.tools.mellanox import config
from ironic_accel.inband.tools.mellanox import modes
from ironic_accel.inband.tools.mellanox import tool as mellanox
from ironic_accel.model import catalog
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Device
from ironic_accel.model.device import Value
from ironic_accel.model.plan import Item
from ironic_accel.model.plan import Plan
from ironic_accel.model import planner
from ironic_accel.model.profile import Group
from ironic_accel.model.profile import Profile
from ironic_accel.model.reading_status import Standing
from ironic_accel_emulator.inside import tools
from ironic_accel_emulator.inside.tools.state import part
from ironic_accel_emulator.inside.tools.state import setting
from ironic_accel_emulator.inside.tools.state import State
from tests.unit.inband.tools import bench

AT, SECOND = '0000:17:00.0', '0000:17:00.1'
#: Parameters of the card, and of each of its two physical functions.
CARD = {
    'SRIOV_EN': 0, 'NUM_OF_VFS': 8, 'LINK_TYPE_P1': 2, 'LINK_TYPE_P2': 2,
    'PF_LOG_BAR_SIZE': 5, 'VF_LOG_BAR_SIZE': 1, 'EXP_ROM_PXE_ENABLE': 1,
    'EXP_ROM_UEFI_x86_ENABLE': 1, 'QOS_TRUST_STATE_P1': 1,
    'QOS_TRUST_STATE_P2': 1, 'ATS_ENABLED': 0, 'CNP_DSCP_P1': 48,
    'CNP_DSCP_P2': 48, 'LLDP_NB_RX_MODE_P1': 0, 'ADVANCED_PCI_SETTINGS': 0,
    # Real, and in no allow list.
    'NON_PREFETCHABLE_PF_BAR': 0}
FUNCTION = {'PCI_WR_ORDERING': 0, 'ROCE_CONTROL': 2}


def _settings(values: Mapping[str, int]) -> dict[str, Any]:
    return {k: setting(v, 'device-reset', default=v)
            for k, v in values.items()}


@pytest.fixture
def state(tmp_path: Path) -> State:
    """A ConnectX-7 with two ports in a host, and its tools."""
    found = State(tmp_path / 'state.json')
    found.create({
        AT: {'facts': {'psid': 'MT_0000000838'},
             'parts': {'nic': part('28.39.1002', 'device-reset')},
             'settings': _settings({**CARD, **FUNCTION})},
        SECOND: {'facts': {}, 'parts': {}, 'of': AT,
                 'settings': _settings(FUNCTION)}})
    bench.host(tmp_path)
    for address in (AT, SECOND):
        bench.files(tmp_path, f'sys/bus/pci/devices/{address}', **{
            'vendor': '0x15b3', 'device': '0x1021', 'class': '0x020000',
            'subsystem_vendor': '0x15b3', 'subsystem_device': '0x0001'})
    tools.install(tmp_path / 'bin', found.path,
                  ['mstflint', 'mstconfig', 'mstfwreset'])
    return found


def _backend(tmp_path: Path) -> tuple[Machine, LocalBackend, Device]:
    host = Machine(str(tmp_path / 'root'), str(tmp_path / 'bin'))
    backend = LocalBackend(host, [mellanox.Mellanox()],
                           folder=str(tmp_path / 'jobs'))
    return host, backend, backend.observe().devices[0]


def _set(host: Machine, card: Device, **wanted: Value) -> list[Result]:
    return list(mellanox.Mellanox().set(
        host, card, [Item(card.id, n if n.isupper() else n.replace('_', '-'),
                          'mode', v) for n, v in wanted.items()],
        bench.quiet))


def _plan(backend: LocalBackend, **wanted: Value) -> Plan:
    seen = backend.observe()
    profile = Profile('p', (Group('nics', {'kind': ('nic',)}, modes={
        n if n.isupper() else n.replace('_', '-'): v
        for n, v in wanted.items()}),))
    return planner.make_plan(seen, profile, (), backend.transports(seen),
                             catalog.load())


def _calls(state: State, *words: str) -> list[list[str]]:
    return [c for c in state.read()['calls'] if set(words) <= set(c)]


def _seen(card: Device) -> dict[str, Value | None]:
    return {m.name: m.current for m in card.modes}


def test_card_reports_its_modes_and_what_the_allow_list_has(
        tmp_path: Path, state: State) -> None:
    _, _, card = _backend(tmp_path)
    assert _seen(card) == {
        'sriov': 'disabled', 'vf-limit': 8, 'link-type': ('eth', 'eth'),
        'relaxed-ordering': 'per-mkey', 'roce': 'enabled',
        'qos-trust': ('pcp', 'pcp'), 'pf-log-bar-size': 5,
        'vf-log-bar-size': 1, 'option-rom-pxe': 'enabled',
        'option-rom-uefi-x86': 'enabled', 'ATS_ENABLED': 'false',
        'ADVANCED_PCI_SETTINGS': 'false', 'CNP_DSCP_P1': 48,
        'CNP_DSCP_P2': 48, 'LLDP_NB_RX_MODE_P1': 'OFF'}
    assert card.unread == ()
    facts = {m.name: (m.activation, m.persistent) for m in card.modes}
    assert facts['relaxed-ordering'] == (Activation.DEVICE_RESET, True)
    assert facts['ATS_ENABLED'] == (Activation.DEVICE_RESET, True)
    # BARs and expansion ROMs are the host's, which sees them as it boots.
    assert facts['pf-log-bar-size'] == (Activation.WARM_REBOOT, True)
    assert facts['option-rom-pxe'] == (Activation.WARM_REBOOT, True)


@pytest.mark.parametrize(('fault', 'table'), [(None, 0), ('no-json', 1)])
def test_parameters_are_the_same_from_the_json_and_from_the_table(
        tmp_path: Path, state: State, fault: str | None,
        table: int) -> None:
    """EXP_ROM_UEFI_x86_ENABLE has a small letter in its name."""
    state.fault('mstconfig', fault)
    _, _, card = _backend(tmp_path)
    assert _seen(card)['option-rom-uefi-x86'] == 'enabled'
    assert len(_seen(card)) == 15
    assert bool([c for c in _calls(state, 'mstconfig', 'query')
                 if '-j' not in c]) is bool(table)


#: Three columns as printSingleParam and printValue write them: a value that
#: is wider than its column has one blank behind it, an array has no values.
TABLE = f"""
Configurations:                             Default             Current{' '*13}Next Boot
        PF_LOG_BAR_SIZE                     5                   5{' '*19}6
        PCI_DOWNSTREAM_PORT_OWNER           Array[0..15]        Array[0..15]{' '*8}Array[0..15]
        PCI_ATOMIC_MODE                     PCI_ATOMIC_DISABLED_EXT_ATOMIC_ENABLED(0) PCI_ATOMIC_DISABLED_EXT_ATOMIC_ENABLED(0) PCI_ATOMIC_DISABLED_EXT_ATOMIC_ENABLED(0)
*RO     LLDP_NB_RX_MODE_P1                  OFF(0)              ALL(2){' '*14}OFF(0)
*       ROCE_CONTROL                        ROCE_ENABLE(2)      DEVICE_DEFAULT(0)   ROCE_ENABLE(2)
"""  # noqa: E501


def test_table_has_marks_long_values_and_arrays() -> None:
    found = config.parse_table(TABLE)
    product = catalog.load().product('nvidia-connectx-6-dx')
    (seen, unread) = modes.read(found, None, modes.names(found, product))
    assert {m.name: (m.current, m.pending, m.read_only) for m in seen} == {
        'roce': ('default', 'enabled', False),
        'pf-log-bar-size': (5, 6, False),
        'PCI_ATOMIC_MODE': (
            'PCI_ATOMIC_DISABLED_EXT_ATOMIC_ENABLED', None, False),
        'LLDP_NB_RX_MODE_P1': ('ALL', 'OFF', True)}
    assert unread == ()


def test_named_parameters_are_set_read_back_and_active_after_the_reset(
        tmp_path: Path, state: State) -> None:
    host, backend, card = _backend(tmp_path)
    results = _set(host, card, ATS_ENABLED='true', CNP_DSCP_P1=26,
                   LLDP_NB_RX_MODE_P1='ALL', relaxed_ordering='forced')
    assert [r.ok for r in results] == [True] * 4
    (first,) = _calls(state, 'set', '-d', AT)
    assert first[first.index('set') + 1:] == [
        'ATS_ENABLED=1', 'CNP_DSCP_P1=26', 'LLDP_NB_RX_MODE_P1=2',
        'PCI_WR_ORDERING=1']
    (second,) = _calls(state, 'set', '-d', SECOND)
    assert second[second.index('set') + 1:] == ['PCI_WR_ORDERING=1']
    waits = {m.name: (m.current, m.pending)
             for m in backend.observe().devices[0].modes}
    assert waits['ATS_ENABLED'] == ('false', 'true')
    assert waits['CNP_DSCP_P1'] == (48, 26)
    assert waits['CNP_DSCP_P2'] == (48, None)
    assert waits['LLDP_NB_RX_MODE_P1'] == ('OFF', 'ALL')
    assert waits['relaxed-ordering'] == ('per-mkey', 'forced')
    assert mellanox.Mellanox().reset(
        host, card, Activation.DEVICE_RESET, bench.quiet) == ()
    now = backend.observe().devices[0]
    assert _seen(now) | {
        'ATS_ENABLED': 'true', 'CNP_DSCP_P1': 26, 'LLDP_NB_RX_MODE_P1': 'ALL',
        'relaxed-ordering': 'forced'} == _seen(now)
    assert [m.name for m in now.modes if m.pending is not None] == []


def test_functions_that_differ_are_mixed_and_both_are_set(
        tmp_path: Path, state: State) -> None:
    with state.change() as document:
        own = document['cards'][SECOND]['settings']
        own['PCI_WR_ORDERING']['current'] = 1
    host, backend, card = _backend(tmp_path)
    assert _seen(card)['relaxed-ordering'] == 'mixed'
    plan = _plan(backend, relaxed_ordering='forced')
    assert plan.refused == ()
    assert [c.seen for s in plan.stages for a in s.actions
            for c in a.changes] == ['mixed']
    assert [r.ok for r in _set(host, card, relaxed_ordering='forced')] == [
        True]
    assert {c[2] for c in _calls(state, 'set', 'PCI_WR_ORDERING=1')} == {
        AT, SECOND}


def test_nothing_is_absent_from_a_card_that_does_not_answer(
        tmp_path: Path, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool that crashes says nothing of a parameter: it is unread."""
    state.fault('mstconfig', 'garble')
    _, backend, card = _backend(tmp_path)
    assert card.mode('ATS_ENABLED') is None and 'mode:*' in card.unread
    assert [r.unread for r in _plan(
        backend, ATS_ENABLED='true', sriov='enabled').refused] == [True] * 2

    def broken(*_: object) -> None:
        raise RuntimeError('defect')

    monkeypatch.setattr(mellanox.Mellanox, 'read', broken)
    _, backend, card = _backend(tmp_path)
    assert 'mode:*' in card.unread
    assert [r.unread for r in _plan(
        backend, CNP_DSCP_P1=26).refused] == [True]


def test_value_that_one_function_did_not_tell_is_none() -> None:
    """N/A of the second port is no other value than the first one's."""
    first, second = (config.Config({'PCI_WR_ORDERING': {
        'current_value': current, 'next_value': 'force_relax(1)',
        'read_only': read_only}}) for current, read_only in (
            ('force_relax(1)', False), ('N/A', True)))
    found = config.joined(first, {SECOND: second}, ['PCI_WR_ORDERING'])
    assert found.parameters['PCI_WR_ORDERING'] == {
        'current_value': 'N/A', 'next_value': 'force_relax(1)',
        'read_only': True}
    ((mode,), unread) = modes.read(
        found.parameters, None, ['relaxed-ordering'])
    assert (mode.current, mode.pending, mode.standing, unread) == (
        None, 'forced', Standing.ABSENT, ())


def test_parameter_that_one_function_may_not_write_is_read_only() -> None:
    """The table of an older mstconfig marks those alone that are."""
    plain = {'current_value': 'force_relax(1)', 'next_value': 'a(0)'}
    for first, second in (({}, {'read_only': True}),
                          ({'read_only': True}, {})):
        found = config.joined(
            config.Config({'PCI_WR_ORDERING': {**plain, **first}}),
            {SECOND: config.Config({'PCI_WR_ORDERING': {
                **plain, **second}})}, ['PCI_WR_ORDERING'])
        assert found.is_read_only('PCI_WR_ORDERING')


def test_function_without_a_parameter_is_not_one_to_write() -> None:
    """mstconfig fails for it, after the first function was written."""
    row = {'current_value': 'a(0)', 'next_value': 'a(0)'}
    found = config.joined(
        config.Config({'PCI_WR_ORDERING': row, 'ROCE_CONTROL': row}),
        {SECOND: config.Config({'ROCE_CONTROL': row})}, modes.PER_FUNCTION)
    assert found.functions == {'ROCE_CONTROL': (SECOND,)}
    assert found.unread == {}


def test_function_that_cannot_be_read_or_set_is_no_success(
        tmp_path: Path, state: State) -> None:
    state.fault('mstconfig', 'garble', on=f'-d {SECOND} ')
    host, backend, card = _backend(tmp_path)
    mode = card.mode('relaxed-ordering')
    assert mode is not None
    assert (mode.current, mode.standing) == (None, Standing.UNREAD)
    assert _seen(card)['sriov'] == 'disabled'
    assert [r.unread for r in _plan(
        backend, relaxed_ordering='forced').refused] == [True]
    # Where the second function breaks between the two writes.
    state.fault('mstconfig', 'lie', on=f'-d {SECOND} -y set')
    (result,) = _set(host, card, relaxed_ordering='forced')
    assert not result.ok and result.detail is not None
    assert (result.detail.expected, result.detail.seen) == (
        'PCI_WR_ORDERING=1', 'mixed')


def test_value_that_the_card_does_not_keep_fails(
        tmp_path: Path, state: State) -> None:
    host, _, card = _backend(tmp_path)
    state.fault('mstconfig', 'lie', on='set')
    (result,) = _set(host, card, ATS_ENABLED='true')
    assert not result.ok and result.detail is not None
    assert (result.detail.expected, result.detail.seen) == (
        'ATS_ENABLED=1', 'False(0)')


#: A name and value that a plan or a step may not ask for, and the reason.
REFUSED: list[tuple[str, Value, str]] = [
    ('NON_PREFETCHABLE_PF_BAR', 'true', 'not in the allow list'),
    ('FORCE_ETH_PCI_SUBCLASS', 'true', 'not in the allow list'),
    ('CNP_DSCP_P1', 64, 'from 0 to 63'), ('CNP_DSCP', 1, 'not in the allow'),
    ('ATS_ENABLED', 'maybe', 'one of true, false'),
    ('SRIOV_EN', 'true', 'not in the allow list'),
    ('PCI_WR_ORDERING', 'force_relax', 'not in the allow list')]


@pytest.mark.parametrize(('name', 'value', 'reason'), REFUSED)
def test_ramdisk_writes_nothing_that_the_allow_list_does_not_have(
        tmp_path: Path, state: State, name: str, value: Value,
        reason: str) -> None:
    """Whatever asks for it: a newer conductor, or a broken one."""
    host, _, card = _backend(tmp_path)
    (result,) = _set(host, card, **{name: value})
    assert not result.ok and result.detail is not None
    assert reason in result.detail.summary
    assert _calls(state, 'set') == []


def test_allow_list_is_by_the_family_of_the_product(
        tmp_path: Path, state: State) -> None:
    host, backend, card = _backend(tmp_path)
    for product in ('nvidia-connectx-4', 'site-nic', None):
        other = dataclasses.replace(card, product=product)
        (result,) = _set(host, other, ATS_ENABLED='true')
        assert not result.ok
        assert 'ATS_ENABLED' not in mellanox.Mellanox().sets(host, other)
        assert 'sriov' in mellanox.Mellanox().sets(host, other)
    assert _calls(state, 'set') == []
    (refusal,) = _plan(backend, NON_PREFETCHABLE_PF_BAR='true').refused
    assert 'does not have it for product nvidia-connectx-7' in refusal.reason


def test_read_only_parameter_is_refused_in_the_plan_and_in_the_step(
        tmp_path: Path, state: State) -> None:
    """A BlueField whose Arm side restricts its host, for example."""
    with state.change() as document:
        document['cards'][AT]['settings']['ATS_ENABLED']['read_only'] = True
    host, backend, card = _backend(tmp_path)
    mode = card.mode('ATS_ENABLED')
    assert mode is not None and mode.read_only
    (refusal,) = [r for r in _plan(backend, ATS_ENABLED='true').refused
                  if 'read-only' in r.reason]
    assert refusal.reason == (
        'the device reports it as read-only for its host')
    (result,) = _set(host, card, ATS_ENABLED='true')
    assert not result.ok and result.detail is not None
    assert 'read-only for this host' in result.detail.summary
    assert _calls(state, 'set') == []
    # The value that it has is no change, and no refusal.
    assert _plan(backend, ATS_ENABLED='false').refused == ()


def test_hidden_parameter_says_what_shows_it(
        tmp_path: Path, state: State) -> None:
    _, backend, _ = _backend(tmp_path)
    (refusal,) = _plan(backend, max_outstanding_read=0).refused
    assert 'ADVANCED_PCI_SETTINGS is true' in refusal.reason
