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

"""Known bugs of upstream's Redfish firmware code, and their tests here.

``COVERED`` lists each known bug with the tests that would fail if it existed
here too. The existence of these tests is checked.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from ironic_accel.converge import advance
from ironic_accel.converge import outcome
from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Unknown
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import Rejected
from ironic_accel.model import loader
from ironic_accel.redfish.actions.system_power import SystemPower
from tests.contract.machine import Local
from tests.contract.machine import Machine
from tests.contract.machine import machine
from tests.contract.redfish.conftest import Start
from tests.contract.redfish import lookup
from tests.contract.redfish import plans

TESTS = Path(__file__).parents[2]

#: The bugs, and their tests as ``file::name``.
COVERED = {
    'a task that is New counts as failed': [
        'contract/redfish/actions/test_update_faults.py::'
        'test_a_new_task_counts_as_running'],
    'a task purged before the first poll': [
        'contract/redfish/actions/test_update_faults.py::'
        'test_a_task_purged_before_the_first_poll_is_unknown',
        'contract/redfish/test_upstream_bugs.py::'
        'test_a_run_completes_whatever_happens_to_its_task'],
    'a task done before the first poll': [
        'contract/redfish/actions/test_update_faults.py::'
        'test_a_task_that_ended_before_the_first_poll_has_succeeded',
        'contract/redfish/test_upstream_bugs.py::'
        'test_a_run_completes_whatever_happens_to_its_task'],
    'a running task counts as ended, or the reverse': [
        'contract/redfish/actions/test_update_faults.py::'
        'test_a_running_task_at_100_percent_is_running',
        'contract/redfish/test_upstream_bugs.py::'
        'test_a_task_that_never_ends_needs_an_operator'],
    'a component is missing after an update of the BMC': [
        'contract/redfish/test_upstream_bugs.py::'
        'test_a_component_missing_after_a_bmc_restart_is_reported'],
    'a reboot before the end of the write': [
        'contract/test_path.py::'
        'test_a_host_that_is_off_is_burnt_set_reset_once_and_proved',
        'contract/redfish/inventory/test_reading_faults.py::'
        'test_a_task_of_another_client_makes_the_system_busy'],
    'null is stored as a version': [
        'unit/conductor/node/test_inventory_store.py::'
        'test_an_unknown_version_is_no_version',
        'contract/redfish/inventory/test_reading_faults.py::'
        'test_an_invalid_property_of_a_firmware_entry'],
    'network adapters return 400 while the host is off': [
        'contract/redfish/inventory/test_reading_faults.py::'
        'test_an_unreadable_adapter_stays_unread'],
    'the power sync interrupts an update': [
        'unit/conductor/node/test_flash_guard.py::'
        'test_the_recorded_power_state_is_given',
        'functional/test_guard.py::'
        'test_the_power_sync_does_no_harm_while_an_instance_is_served'],
    'a wait restarts after 24 hours': [
        'contract/redfish/test_upstream_bugs.py::'
        'test_a_wait_ends_after_any_pause'],
    'a service step exceeds the heartbeat timeout': [
        'unit/conductor/operation/test_heartbeat.py::'
        'test_a_node_that_is_worked_on_is_no_node_that_waits'],
    'one request updates two identical cards': [
        'contract/redfish/test_upstream_bugs.py::'
        'test_only_the_selected_one_of_identical_cards_is_updated'],
    'Updateable false is ignored': [
        'contract/redfish/test_upstream_bugs.py::'
        'test_a_component_that_is_not_updateable_is_refused'],
    'a rejected auxiliary cycle is retried forever': [
        'contract/redfish/test_upstream_bugs.py::'
        'test_a_rejected_auxiliary_cycle_is_requested_once',
        'unit/conductor/operation/test_runner.py::'
        'test_a_refused_cycle_ends_and_the_host_is_on_again'],
}

NEW = '96.00.A6.00.01'
PUSH = '/redfish/v1/UpdateService/update-multipart'


def profile(digest: str, match: str = 'kind: gpu', more: str = '') -> str:
    """GPU firmware on an HGX H100."""
    return f"""
profile: 1
name: gpus
images:
  bundle:
    url: file:///images/bundle
    sha256: {digest}
    fits: {{board: "HGX H100 8-GPU"}}
devices:
  gpus:
    match: {{{match}}}
    firmware: {{gpu: {{version: "{NEW}", image: bundle}}}}
{more}"""


def posts(box: Machine) -> int:
    """The number of pushes."""
    return len([r for r in box.box.ledger.requests
                if (r.method, r.path) == ('POST', PUSH)])


@pytest.mark.parametrize('mistake', COVERED)
def test_every_mistake_has_tests(mistake: str) -> None:
    for test in COVERED[mistake]:
        file, _, name = test.partition('::')
        tree = ast.parse((TESTS / file).read_text())
        assert name in {f.name for f in tree.body
                        if isinstance(f, ast.FunctionDef)}, test


@pytest.mark.parametrize('fault', [
    'task-purged', 'task-done', 'task-new', 'task-early', 'task-warning'])
def test_a_run_completes_whatever_happens_to_its_task(
        tmp_path: Path, fault: str) -> None:
    """One push, whatever happens to its task, and then verification."""
    with machine('hgx-h100', tmp_path) as box:
        box.box.faults.add(fault)
        out = box.run(profile(box.image({'gpu': NEW})))
        assert isinstance(out, outcome.Converged), out
        # A BMC that lost its task is still writing: no second push and no
        # reset are allowed.
        assert len(box.box.ledger.pushes) == 1
        assert set(box.box.ledger.updates().values()) == {1}
        assert not box.box.ledger.violations


def test_a_task_that_never_ends_needs_an_operator(
        rig: Start, tmp_path: Path) -> None:
    """The work has ended, but the task stays Running."""
    at = rig('hgx-h100', 'System_0')
    at.box.faults.add('task-stuck')
    inventory = at.backend.observe()
    gpu = plans.gpus(inventory)[0]
    ticket = at.backend.start(
        plans.update(inventory, {(gpu, 'gpu'): NEW}),
        plans.bundle(tmp_path, gpu=NEW))
    at.clock.advance(7200)
    assert not isinstance(at.backend.poll(ticket), Ended | Unknown)
    assert [b.kind for b in at.backend.observe().busy] == ['task']


def test_a_run_with_an_endless_task_times_out(tmp_path: Path) -> None:
    with machine('hgx-h100', tmp_path) as box:
        box.box.faults.add('task-stuck')
        out = box.run(profile(box.image({'gpu': NEW}),
                              more='limits: {minutes: 60}'))
        assert isinstance(out, outcome.Failed), out
        assert posts(box) == 1
        # No reset while the BMC reports a running write.
        assert box.box.ledger.resets == []
        # The BMC restarts and loses the task: the next run continues.
        box.box.faults.clear()
        box.box.power.bmc_reset(box.box.managers[0])
        box.clock.advance(300)
        again = box.run(profile(box.image({'gpu': NEW})))
        assert isinstance(again, outcome.Converged), again
        assert posts(box) == 1


def test_a_component_missing_after_a_bmc_restart_is_reported(
        tmp_path: Path) -> None:
    """The auxiliary cycle restarts the BMC; one GPU stays missing."""
    with machine('hgx-h100', tmp_path) as box:
        box.box.faults.add('vanish-after-bmc', None, 'HGX_FW_GPU_SXM_4')
        for part in box.box.components.values():
            if part.id == 'HGX_FW_GPU_SXM_4':
                part.manager = box.box.managers[0]
        text = profile(box.image({'gpu': NEW})).replace(
            'match: {kind: gpu}', 'match: {kind: gpu}\n    count: 8')
        out = box.run(text)
        assert isinstance(out, outcome.Failed), out
        assert posts(box) == 1
        assert out.error.expected is not None
        assert '8' in out.error.expected
        assert out.error.seen == '7'


def test_a_wait_ends_after_any_pause(tmp_path: Path) -> None:
    """A pause of a day and a minute is more than an hour."""
    with machine('hgx-h100', tmp_path) as box:
        box.box.faults.add('task-stuck')
        asked = loader.load_text(profile(
            box.image({'gpu': NEW}), more='limits: {minutes: 60}'))[0]
        record = advance.begin(asked, None, box.clock.now())
        for _ in range(50):
            out, record = advance.advance(
                box.backend, Local(tmp_path), box.journal, asked, record,
                box.clock.now(), box.known, box.pace)
            if record.intent is not None:
                break
        assert isinstance(out, outcome.Wait)
        assert posts(box) == 1
        box.clock.advance(86_400 + 60)
        out, record = advance.advance(
            box.backend, Local(tmp_path), box.journal, asked, record,
            box.clock.now(), box.known, box.pace)
        assert isinstance(out, outcome.Failed), out
        assert 'limits.minutes' in out.error.summary
        assert record.intent is not None


def test_only_the_selected_one_of_identical_cards_is_updated(
        tmp_path: Path) -> None:
    with machine('hgx-h100', tmp_path) as box:
        meant = next(d for d in box.backend.observe().devices
                     if d.uri and d.uri.endswith('GPU_SXM_3'))
        out = box.run(profile(
            box.image({'gpu': NEW}),
            match=f'kind: gpu, location: "{meant.location}"'))
        assert isinstance(out, outcome.Converged), out
        running = {d.id: lookup.part(d, 'gpu').running
                   for d in box.backend.observe().devices
                   if d.kind == 'gpu'}
        assert [d for d, v in running.items() if v == NEW] == [meant.id]
        assert len(running) == 8
        push, = box.box.ledger.pushes
        assert len(push.targets or ()) == 1


def test_a_component_that_is_not_updateable_is_refused(tmp_path: Path) -> None:
    with machine('hgx-h100', tmp_path) as box:
        path = ('/redfish/v1/UpdateService/FirmwareInventory/'
                'HGX_FW_GPU_SXM_4')
        entry = lookup.document(box.box, path)
        entry['Updateable'] = False
        box.box.documents.put(path, entry)
        box.box.components['HGX_FW_GPU_SXM_4'].updateable = False
        out = box.run(profile(box.image({'gpu': NEW})))
        assert isinstance(out, outcome.Refused), out
        assert {r.item.device for r in out.plan.refused} == {
            'gpu-1653223000004'}
        assert 'the device reports it as not updateable' in {
            r.reason for r in out.plan.refused}
        assert box.box.ledger.count('POST', 'PATCH') == 0


def test_a_rejected_auxiliary_cycle_is_requested_once(
        rig: Start) -> None:
    """With the host off, as the plain form requires."""
    at = rig('hgx-h100', 'System_0', options={'power': 'Off'})
    at.box.faults.add('aux-refused')
    with pytest.raises(Rejected) as error:
        SystemPower(at.connector, at.system).aux_cycle()
    # The BMC is not busy, so it is not requested again.
    assert error.value.retry_after is None
    assert 'ChassisPowerStateOffRequired' in (
        error.value.detail.message_id or '')
    assert len([r for r in at.box.ledger.requests
                if r.method == 'POST']) == 1
    assert at.box.ledger.resets == []


def test_egm_is_set_in_the_settings_object(
        rig: Start, captures: Path) -> None:
    """NVIDIA's bmcweb accepts EGMModeEnabled there only."""
    at = rig(captures / 'gb300-supermicro.tar.gz', 'System_0')
    inventory = at.backend.observe()
    gpu = plans.gpus(inventory)[0]
    transport, = at.backend.transports(inventory)
    assert (gpu, 'egm') in transport.sets
    # Its activation is unknown, so no plan changes it.
    assert lookup.mode_at(inventory, gpu, 'egm').activation is None
    poll = at.backend.poll(at.backend.start(plans.set_mode(
        {gpu: 'disabled'}, 'egm', Activation.WARM_REBOOT)))
    assert isinstance(poll, Ended)
    assert [r.ok for r in poll.results] == [True]
    patch, = [r for r in at.box.ledger.requests if r.method == 'PATCH']
    assert patch.path.endswith('/Settings')
    mode = lookup.mode_at(at.backend.observe(), gpu, 'egm')
    assert (mode.current, mode.pending) == ('enabled', 'disabled')
