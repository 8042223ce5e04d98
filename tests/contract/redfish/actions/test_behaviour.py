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

"""Whole runs with the behaviour of real BMCs in public reports.

``COVERED`` has the tests of each behaviour, also those in other files.
"""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path

import pytest

from ironic_accel.converge import outcome
from ironic_accel.converge.ports import Pace
from ironic_accel.model.errors import ErrorClass
from ironic_accel.redfish.backend import RedfishBackend
from ironic_accel_emulator.faults import Fault
from tests.contract.machine import Machine
from tests.contract.machine import machine
from tests.contract.redfish.actions.test_updates import harmless
from tests.contract.redfish.actions.test_updates import NEW
from tests.contract.redfish.actions.test_updates import profile

HGX = '/redfish/v1/Systems/HGX_Baseboard_0'

#: Behaviour of a BMC, and its tests.
COVERED = {
    'the GPU tray is unreachable': [f'{__name__}:test_a_gpu_tray_that_'],
    'one device stays unread': [
        f'{__name__}:test_one_unread_gpu_is_not_omitted_from_verification'],
    'every processor is unread while the host is on': [
        f'{__name__}:test_unread_gpus_do_not_count_as_absent'],
    'the task service is unreachable': [
        f'{__name__}:test_an_unread_task_service_counts_as_busy'],
    'the response to a push has no task': [
        f'{__name__}:test_an_update_without_a_task_is_waited_for',
        'tests.contract.redfish.actions.test_updates:test_one_push_whatever_the_response'],
    'a DPU in NIC mode is StandbyOffline': [
        f'{__name__}:test_a_dpu_is_set_to_nic_mode_and_back'],
    'a task waits for a reset': [
        'tests.contract.redfish.actions.test_updates:test_an_update_that_waits_for_a_reset_is_staged',
        'tests.contract.redfish.actions.test_others_staged:'
        'test_our_own_pending_update_is_not_foreign'],
    'If-Match is required in an unusual form': [
        'tests.contract.redfish.actions.test_settings:test_each_service_gets_the_form_of_if_match_that_it_requires'],
    'power on is rejected with not now': [
        'tests.contract.redfish.actions.test_system_power:test_a_power_cycle_continues_after_a_503',
        'tests.contract.redfish.actions.test_system_power:test_a_reset_rejected_with_not_now_is_repeated_later'],
    'one Target a push': [
        'tests.contract.redfish.actions.test_updates:test_a_service_with_one_target_per_push_gets_one',
        'tests.contract.redfish.actions.test_updates:test_two_targets_are_never_sent_to_a_service_with_one_per_push'],
    'a push of the profile\'s own style': [
        'tests.contract.redfish.actions.test_updates:test_the_push_style_of_a_profile_is_planned_with_its_collateral',
        'tests.contract.redfish.actions.test_updates:test_the_collateral_of_a_push'],
    'Targets are ignored': [
        'tests.contract.redfish.actions.test_updates:test_a_service_that_ignores_targets_requires_consent',
        'tests.contract.redfish.actions.test_updates:test_dell_updates_all_similar_devices_at_the_next_reset'],
    'a redirect to another host': [
        'tests.security.test_origin:test_a_redirect_'],
    'an entry that is Absent': [
        'tests.contract.redfish.inventory.test_cases:test_an_absent_entry_'],
    'a state in which a device does not work': [
        'tests.contract.redfish.inventory.test_cases:test_states_in_which_'],
}


@pytest.mark.parametrize('behaviour', COVERED)
def test_every_behaviour_has_tests(behaviour: str) -> None:
    for name in COVERED[behaviour]:
        module, _, prefix = name.partition(':')
        found = [n for n in vars(importlib.import_module(module))
                 if n.startswith(prefix)]
        assert found, name


def ends(box: Machine, asked: str, within: float) -> outcome.Failed:
    """The run fails with a transient error in time, and changes nothing."""
    box.pace = SELDOM
    began = box.clock.now()
    out = box.run(asked)
    assert isinstance(out, outcome.Failed), out
    assert out.error.error_class is ErrorClass.TRANSIENT
    assert box.clock.now() - began < within
    ledger = box.box.ledger
    assert (ledger.pushes, ledger.writes, ledger.resets) == ([], [], [])
    return out


def lifted(box: Machine, fault: Fault, after: float) -> None:
    box.box.timeline.after(after, lambda: box.box.faults.lift(fault), 'over')


def singly(box: Machine) -> None:
    """A BMC that does not offer ``$expand``."""
    backend = box.backend
    box.backend = RedfishBackend(
        backend._connector, backend._system, catalog=box.known,
        settings=dataclasses.replace(backend._settings, expand=False))


ECC = """
profile: 1
name: ecc
devices:
  gpus:
    match: {kind: gpu}
    count: %s
    modes: {ecc: disabled}
"""
#: Few inventories of a system that never responds correctly.
SELDOM = Pace(poll=60, look=600)
COUNTS = ['8', '{min: 0}', '{min: 1}']


@pytest.mark.parametrize('fault', [
    ('hmc-down', None, None), ('status', '503', f'{HGX}$'),
    ('status', '404', f'{HGX}$'), ('body', '503:{"error": "busy"}', HGX),
    ('empty', None, f'{HGX}$')])
@pytest.mark.parametrize('count', COUNTS[1:])
def test_a_gpu_tray_that_stays_unreachable_fails_the_run(
        tmp_path: Path, fault: tuple[str, str | None, str | None],
        count: str) -> None:
    with machine('hgx-h100', tmp_path) as box:
        box.box.faults.add(*fault)
        # Its background copy is unknown too, which delays the run.
        out = ends(box, ECC % count, 6600)
        assert 'HGX_' in str(out.error)


@pytest.mark.parametrize('minutes', [1, 25])
def test_a_gpu_tray_that_is_unreachable_for_minutes_is_waited_for(
        tmp_path: Path, minutes: int) -> None:
    """At the beginning, and after our own auxiliary cycle."""
    with machine('hgx-h100', tmp_path) as box:
        box.pace = Pace(poll=60, look=120)
        lifted(box, box.box.faults.add('hmc-down'), 60 * minutes)
        power = box.power

        def cycles(kind: str) -> None:
            power(kind)
            if kind == 'aux':
                lifted(box, box.box.faults.add('hmc-down'), 60 * minutes)

        box.power = cycles  # type: ignore[method-assign]
        out = box.run(profile(box.image({'gpu': NEW})))
        assert isinstance(out, outcome.Converged), out
        assert len(out.proofs) == 8
        assert len(box.box.ledger.pushes) == 1
        harmless(box)


@pytest.mark.parametrize('fault', [
    ('status', '500'), ('status', '404'), ('cut', None), ('empty', None),
    ('body', '{"error": "busy"}')])
@pytest.mark.parametrize('count', COUNTS[1:])
def test_one_unread_gpu_is_not_omitted_from_verification(
        tmp_path: Path, fault: tuple[str, str | None], count: str) -> None:
    with machine('hgx-h100', tmp_path) as box:
        singly(box)
        box.box.faults.add(*fault, f'{HGX}/Processors/GPU_SXM_4$')
        out = ends(box, ECC % count, 3000)
        assert 'GPU_SXM_4' in str(out.error)
        # Other parts of the system can still be updated.
        board = box.run("""
profile: 1
name: board
devices:
  board:
    match: {kind: baseboard}
    count: 1
    firmware: {fpga: {version: "3.09"}}
""")
        assert not isinstance(board, outcome.Failed), board


@pytest.mark.parametrize('box_name', ['hgx-h100', 'pcie-a100'])
@pytest.mark.parametrize('status', ['503', '404'])
@pytest.mark.parametrize('count', COUNTS[:2])
def test_unread_gpus_do_not_count_as_absent(
        tmp_path: Path, box_name: str, status: str, count: str) -> None:
    """Independent of the uptime of the host."""
    with machine(box_name, tmp_path) as box:
        singly(box)
        box.clock.advance(7200)
        box.box.faults.add('status', status, '/Processors/GPU')
        ends(box, ECC % count, 3000)


@pytest.mark.parametrize('fault', [
    ('tasks-down', None, None), ('status', '500', '/TaskService/Tasks$'),
    ('empty', None, '/TaskService$'), ('cut', None, '/TaskService/Tasks$')])
@pytest.mark.parametrize('what', ['update', 'mode'])
def test_an_unread_task_service_counts_as_busy(
        tmp_path: Path, fault: tuple[str, str | None, str | None],
        what: str) -> None:
    """An update of another client is running meanwhile."""
    with machine('hgx-h100', tmp_path) as box:
        box.box.misbehave('foreign-task=86400')
        box.box.faults.add(*fault)
        asked = (profile(box.image({'gpu': NEW})) if what == 'update'
                 else ECC % '8')
        out = ends(box, asked, 6600)
        assert 'TaskService' in str(out.error)
        assert box.box.ledger.violations == []


@pytest.mark.parametrize('answer', [
    ('success', None), ('bare', '200'), ('bare', '202'), ('bare', '204')])
@pytest.mark.parametrize('minutes', [1, 40])
def test_an_update_without_a_task_is_waited_for(
        tmp_path: Path, answer: tuple[str, str | None], minutes: int) -> None:
    """One push, and no power cut before the device has the version."""
    with machine('hgx-h100', tmp_path,
                 timing={'flash': 60.0 * minutes}) as box:
        box.box.faults.add(*answer)
        for task in ('task-purged', 'task-purged'):
            box.box.faults.add(task)
        if minutes > 1:
            box.look_rarely()
        out = box.run(profile(box.image({'gpu': NEW}),
                              'limits: {minutes: 600}'))
        assert isinstance(out, outcome.Converged), out
        assert len(box.box.ledger.pushes) == 1
        harmless(box)


CARD = """
profile: 1
name: card
devices:
  dpus:
    match: {kind: dpu}
    modes: {mode: %s}
limits: {reset: power-cycle}
"""


@pytest.mark.parametrize('fault', ['nic-mode-offline', None])
def test_a_dpu_is_set_to_nic_mode_and_back(
        tmp_path: Path, fault: str | None) -> None:
    """BlueField-3: it stays Paused and StandbyOffline in that mode."""
    with machine('bluefield-3', tmp_path) as box:
        if fault is not None:
            box.box.faults.add(fault)
        for mode in ('nic', 'nic', 'dpu', 'nic'):
            out = box.run(CARD % mode)
            assert isinstance(out, outcome.Converged), (mode, out)
        assert box.box.ledger.violations == []
