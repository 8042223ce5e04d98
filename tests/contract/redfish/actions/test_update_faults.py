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

"""Failing pushes: nothing is sent twice, and nothing counts as done."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Poll
from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Running
from ironic_accel.converge.ports import Ticket
from ironic_accel.converge.ports import Unknown
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from tests.contract.redfish.conftest import Start
from tests.contract.redfish import lookup
from tests.contract.redfish import plans

NEW = '96.00.A6.00.01'
PUSH = '/redfish/v1/UpdateService/update-multipart'


class Flash:
    """An update of eight GPUs."""

    def __init__(self, rig: Start, folder: Path, **given: Any) -> None:
        self.at = rig('hgx-h100', 'System_0', **given)
        self.inventory = self.at.backend.observe()
        self.gpus = plans.gpus(self.inventory)
        self.image = plans.bundle(folder, gpu=NEW)

    def start(self) -> Ticket:
        return self.at.backend.start(plans.update(
            self.inventory, {(g, 'gpu'): NEW for g in self.gpus}),
            self.image)

    def poll(self, ticket: Ticket) -> Poll:
        return self.at.backend.poll(ticket)

    @property
    def posts(self) -> int:
        return len([e for e in self.at.box.ledger.requests
                    if e.method == 'POST' and e.path == PUSH])


@pytest.fixture
def flash(rig: Start, tmp_path: Path) -> Flash:
    return Flash(rig, tmp_path)


def test_a_busy_service_returns_a_retry_after(flash: Flash) -> None:
    flash.at.box.faults.add('busy', '42', PUSH, 'POST')
    with pytest.raises(Rejected) as error:
        flash.start()
    assert error.value.retry_after == 42
    assert error.value.detail.error_class is ErrorClass.TRANSIENT
    assert error.value.detail.seen == 'HTTP 503'
    assert flash.posts == 1
    assert flash.at.box.ledger.pushes == []


def test_a_dropped_connection_after_the_body_is_unknown(
        flash: Flash) -> None:
    flash.at.box.faults.add('drop', None, PUSH, 'POST')
    with pytest.raises(OutcomeUnknown):
        flash.start()
    assert flash.posts == 1
    # The BMC processes it, which the next inventory shows.
    task, = flash.at.backend.observe().busy
    flash.at.clock.advance(60)
    task, = flash.at.backend.observe().busy
    assert set(task.targets) == {(g, 'gpu') for g in flash.gpus}
    assert task.ticket is not None
    assert isinstance(flash.poll(task.ticket), Running)
    flash.at.clock.advance(3000)
    poll = flash.poll(task.ticket)
    assert isinstance(poll, Ended)
    assert {r.ref for r in poll.results if r.ok} == set(task.targets)


def test_a_missing_response_is_unknown(
        rig: Start, tmp_path: Path) -> None:
    flash = Flash(rig, tmp_path, push_timeout=0.3)
    flash.at.box.faults.add('hang', '2', PUSH, 'POST')
    with pytest.raises(OutcomeUnknown):
        flash.start()


def test_an_unreachable_bmc_received_nothing(
        rig: Start, tmp_path: Path) -> None:
    flash = Flash(rig, tmp_path)
    flash.at.box.faults.add('refuse', None, '/redfish/v1')
    with pytest.raises(Unreachable):
        flash.start()
    assert flash.posts == 0


def test_an_expired_session_is_renewed_before_the_push(
        rig: Start, tmp_path: Path) -> None:
    flash = Flash(rig, tmp_path, user='admin', password='secret')
    flash.at.box.sessions.clear()
    ticket = flash.start()
    assert isinstance(flash.poll(ticket), Running)
    assert flash.posts == 1
    assert len(flash.at.box.ledger.pushes) == 1


def test_a_session_that_expires_during_the_push_counts_as_no_attempt(
        rig: Start, tmp_path: Path) -> None:
    flash = Flash(rig, tmp_path, user='admin', password='secret')
    flash.at.box.faults.add('expire-session', None, PUSH, 'POST', count=1)
    with pytest.raises(Rejected) as error:
        flash.start()
    assert error.value.retry_after is not None
    assert flash.posts == 1
    assert flash.at.box.ledger.pushes == []
    # Once more, with the new session of the read before it.
    assert isinstance(flash.poll(flash.start()), Running)
    assert len(flash.at.box.ledger.pushes) == 1


def test_secrets_stay_out_of_errors_and_logs(
        rig: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level('DEBUG')
    flash = Flash(rig, tmp_path, user='admin', password='sesame')
    token = flash.at.connector._session.headers['X-Auth-Token']
    flash.at.box.faults.add('drop', None, PUSH, 'POST')
    with pytest.raises(OutcomeUnknown) as error:
        flash.start()
    for secret in ('sesame', token):
        assert secret not in str(error.value)
        assert secret not in caplog.text


def test_an_image_that_changed_on_disk_is_not_sent(flash: Flash) -> None:
    Path(flash.image.path).write_bytes(b'something else')
    with pytest.raises(Rejected) as error:
        flash.start()
    assert 'sha256' in (error.value.detail.expected or '')
    assert flash.posts == 0


def test_a_too_large_image_is_rejected(
        rig: Start, tmp_path: Path) -> None:
    flash = Flash(rig, tmp_path)
    service = lookup.document(flash.at.box, '/redfish/v1/UpdateService')
    service['MaxImageSizeBytes'] = 1000
    flash.at.box.documents.put('/redfish/v1/UpdateService', service)
    flash.inventory = flash.at.backend.observe()
    part = flash.inventory.devices[1].component('gpu')
    assert part is not None
    assert part.max_image_bytes == 1000
    with pytest.raises((Rejected, OutcomeUnknown)):
        flash.start()
    assert flash.at.box.ledger.pushes == []


def test_a_second_push_waits_for_the_first(flash: Flash) -> None:
    flash.start()
    with pytest.raises(Rejected) as error:
        flash.start()
    assert error.value.retry_after == 60


def test_an_invalid_image_is_reported(flash: Flash, tmp_path: Path) -> None:
    path = tmp_path / 'junk.fwpkg'
    path.write_bytes(b'no package at all' * 100)
    flash.image = Ready(str(path), path.stat().st_size, hashlib.sha256(
        path.read_bytes()).hexdigest())
    ticket = flash.start()
    flash.at.clock.advance(60)
    poll = flash.poll(ticket)
    assert isinstance(poll, Ended)
    assert not any(r.ok for r in poll.results)
    detail = poll.results[0].detail
    assert detail is not None
    assert 'ResourceErrorsDetected' in (detail.message_id or '')
    assert detail.device == flash.gpus[0]


# The known faults of upstream's Redfish firmware code, one by one.

def test_a_new_task_counts_as_running(flash: Flash) -> None:
    flash.at.box.faults.add('task-new', '30')
    poll = flash.poll(flash.start())
    assert isinstance(poll, Running)
    assert 'New' in poll.summary


def test_a_task_purged_before_the_first_poll_is_unknown(
        flash: Flash) -> None:
    flash.at.box.faults.add('task-purged')
    assert isinstance(flash.poll(flash.start()), Unknown)


def test_a_task_that_ended_before_the_first_poll_has_succeeded(
        flash: Flash) -> None:
    flash.at.box.faults.add('task-done')
    ticket = flash.start()
    flash.at.clock.advance(60)
    poll = flash.poll(ticket)
    assert isinstance(poll, Ended)
    assert all(r.ok for r in poll.results)


def test_a_task_that_ends_with_a_warning_has_succeeded(
        flash: Flash) -> None:
    flash.at.box.faults.add('task-warning')
    ticket = flash.start()
    flash.at.clock.advance(3000)
    poll = flash.poll(ticket)
    assert isinstance(poll, Ended)
    assert all(r.ok for r in poll.results)


def test_a_running_task_at_100_percent_is_running(
        flash: Flash) -> None:
    flash.at.box.faults.add('task-early')
    ticket = flash.start()
    flash.at.clock.advance(60)
    assert isinstance(flash.poll(ticket), Running)


def test_a_task_lost_by_a_bmc_reset_is_unknown(flash: Flash) -> None:
    ticket = flash.start()
    flash.at.clock.advance(3000)
    flash.at.box.power.bmc_reset(flash.at.box.managers[0])
    flash.at.clock.advance(200)
    assert isinstance(flash.poll(ticket), Unknown)


def test_another_task_with_the_same_id_is_unknown(
        flash: Flash) -> None:
    ticket = dict(flash.start())
    assert isinstance(flash.poll(ticket), Running)
    ticket['start'] = '2001-01-01T00:00:00+00:00'
    assert isinstance(flash.poll(ticket), Unknown)


def test_one_failed_component_of_eight_is_named(flash: Flash) -> None:
    flash.at.box.faults.add('fail-component', None, 'GPU_SXM_5')
    ticket = flash.start()
    flash.at.clock.advance(3000)
    poll = flash.poll(ticket)
    assert isinstance(poll, Ended)
    bad, = [r for r in poll.results if not r.ok]
    assert bad.ref == (flash.gpus[4], 'gpu')
    assert bad.detail is not None
    assert bad.detail.message_id == 'Update.1.0.ApplyFailed'
    flash.at.clock.advance(600)
    pending = {d.id for d in flash.at.backend.observe().devices
               if (part := d.component('gpu')) and part.pending == NEW}
    assert pending == set(flash.gpus) - {flash.gpus[4]}


def test_an_accepted_image_without_effect_changes_no_version(
        flash: Flash) -> None:
    flash.at.box.faults.add('silent-noop')
    ticket = flash.start()
    flash.at.clock.advance(3600)
    assert isinstance(flash.poll(ticket), Ended)
    assert all(lookup.part(d, 'gpu').pending is None
               for d in flash.at.backend.observe().devices
               if d.kind == 'gpu')


def test_an_unreachable_bmc_is_polled_again(flash: Flash) -> None:
    ticket = flash.start()
    flash.at.box.faults.add('refuse', None, '/redfish/v1')
    with pytest.raises(Unreachable):
        flash.poll(ticket)
    flash.at.box.faults.clear()
    assert isinstance(flash.poll(ticket), Running)


def test_a_task_that_returns_errors_has_not_ended(flash: Flash) -> None:
    ticket = flash.start()
    flash.at.box.faults.add('status', '500', '/TaskService/Tasks')
    assert isinstance(flash.poll(ticket), Running)


@pytest.mark.parametrize('name', ['null', 'absent', 'wrong-type',
                                  'unknown-enum'])
def test_a_task_without_a_state_has_not_ended(
        flash: Flash, name: str) -> None:
    ticket = flash.start()
    flash.at.box.faults.add(name, '/TaskState', '/TaskService/Tasks')
    assert isinstance(flash.poll(ticket), Running)
