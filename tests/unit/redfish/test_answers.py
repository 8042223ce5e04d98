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

"""What services say: tasks, errors, times."""

from __future__ import annotations

import email.utils
import json
import time
from typing import Any
from unittest import mock

import pytest
from sushy import connector as sushy_connector

from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Running
from ironic_accel.converge.ports import Unknown
from ironic_accel.redfish import answers
from ironic_accel.redfish import tasks
from ironic_accel.redfish.answers import Answer

TASK = '/redfish/v1/TaskService/Tasks/7'
PARTS = [['gpu-1', 'gpu', 'HGX_FW_GPU_1'], ['gpu-2', 'gpu', 'HGX_FW_GPU_2']]


def answer(doc: dict[str, Any] | None, status: int = 200) -> mock.Mock:
    connector: mock.Mock = mock.create_autospec(
        sushy_connector.Connector, instance=True)
    response = mock.Mock(status_code=status)
    response.content = json.dumps(doc or {}).encode()
    connector.get.return_value = response
    return connector


def poll(**task: Any) -> Any:
    doc = {'@odata.id': TASK, '@odata.type': '#Task.v1_4_3.Task', **task}
    return tasks.poll(answer(doc), {
        'kind': 'task', 'task': TASK, 'parts': PARTS})


def said(severity: str, text: str, *args: str, key: str = 'Severity'
         ) -> dict[str, Any]:
    return {'MessageId': f'Update.1.0.{text}', 'Message': text,
            key: severity, 'MessageArgs': list(args)}


@pytest.mark.parametrize('state', [
    'New', 'Starting', 'Running', 'Pending', 'Stopping', 'Suspended',
    'Interrupted', 'Cancelling', 'Service', 'SomethingElse', None, 3])
def test_states_that_are_not_over(state: Any) -> None:
    assert isinstance(poll(TaskState=state, PercentComplete=100), Running)


@pytest.mark.parametrize(('state', 'status', 'ok'), [
    ('Completed', 'OK', True), ('Completed', 'Warning', True),
    ('Completed', None, True), ('Completed', 'Critical', False),
    ('Exception', 'Critical', False), ('Killed', 'OK', False),
    ('Cancelled', 'OK', False), ('Exception', 'OK', False)])
def test_states_that_are(state: str, status: str | None, ok: bool) -> None:
    found = poll(TaskState=state, TaskStatus=status)
    assert isinstance(found, Ended)
    assert [r.ok for r in found.results] == [ok, ok]


@pytest.mark.parametrize('key', ['Severity', 'MessageSeverity'])
def test_a_part_that_is_blamed_fails_alone(key: str) -> None:
    found = poll(TaskState='Exception', TaskStatus='Critical', Messages=[
        said('OK', 'UpdateSuccessful', 'x', 'HGX_FW_GPU_1', key=key),
        said('Critical', 'ApplyFailed', 'x', 'HGX_FW_GPU_2', key=key)])
    assert isinstance(found, Ended)
    assert [(r.ref[0], r.ok) for r in found.results] == [
        ('gpu-1', True), ('gpu-2', False)]
    detail = found.results[1].detail
    assert detail is not None
    assert detail.message_id == 'Update.1.0.ApplyFailed'


def test_a_completed_task_that_blames_a_part() -> None:
    found = poll(TaskState='Completed', TaskStatus='OK', Messages=[
        said('Critical', 'ApplyFailed',
             '/redfish/v1/UpdateService/FirmwareInventory/HGX_FW_GPU_1')])
    assert isinstance(found, Ended)
    assert [r.ok for r in found.results] == [False, True]


def test_a_failed_task_gives_its_gravest_reason() -> None:
    found = poll(TaskState='Exception', TaskStatus='Critical', Messages=[
        said('OK', 'Started'), said('Critical', 'VerificationFailed'),
        said('OK', 'Ended')])
    assert isinstance(found, Ended)
    assert {r.detail.message_id for r in found.results if r.detail} == {
        'Update.1.0.VerificationFailed'}


def test_a_task_that_says_running_and_has_ended_is_unknown() -> None:
    assert isinstance(poll(
        TaskState='Running', PercentComplete=100,
        EndTime='2026-01-01T00:00:00Z'), Unknown)


@pytest.mark.parametrize(('status', 'kind'), [(202, Running), (200, Ended),
                                              (204, Ended)])
def test_a_monitor_without_a_task(status: int, kind: type) -> None:
    found = tasks.poll(answer(None, status), {
        'kind': 'task', 'monitor': '/TaskMonitors/7', 'parts': PARTS})
    assert isinstance(found, kind)


def test_no_address_is_unknown() -> None:
    assert isinstance(tasks.poll(answer(None), {'kind': 'task'}), Unknown)


@pytest.mark.parametrize(('location', 'doc', 'expected'), [
    ('/redfish/v1/TaskService/Tasks/7/Monitor', {},
     {'task': TASK, 'monitor': f'{TASK}/Monitor'}),
    ('https://bmc/redfish/v1/TaskService/Tasks/7', {},
     {'task': TASK, 'monitor': TASK}),
    ('/redfish/v1/TaskService/TaskMonitors/9',
     {'@odata.type': '#Task.v1_4_3.Task', '@odata.id': TASK,
      'StartTime': 'then'},
     {'task': TASK, 'start': 'then',
      'monitor': '/redfish/v1/TaskService/TaskMonitors/9'}),
    (None, {'@odata.type': '#Task.v1_4_3.Task', '@odata.id': TASK},
     {'task': TASK}),
    (None, {}, {'kind': 'done'})])
def test_tickets(location: str | None, doc: dict[str, Any],
                 expected: dict[str, Any]) -> None:
    ticket = tasks.ticket(Answer(202, location, doc), [])
    assert ticket == {'kind': 'task', 'parts': [], **expected}


def test_the_gravest_message_of_an_error_counts() -> None:
    assert answers.message({'error': {
        'code': 'Base.1.0.GeneralError', '@Message.ExtendedInfo': [
            {'MessageId': 'A', 'Message': 'a', 'Severity': 'OK'},
            {'MessageId': 'B', 'Message': 'b',
             'MessageSeverity': 'Critical'}]}}) == ('B', 'b')
    assert answers.message({'error': {'code': 'C', 'message': 'c'}}) == (
        'C', 'c')
    assert answers.message({'error': 3}) == (None, None)
    assert answers.message({}) == (None, None)


def test_retry_after() -> None:
    assert answers.retry_after('17') == 17.0
    assert answers.retry_after(None) is None
    assert answers.retry_after('soon') is None
    later = email.utils.formatdate(time.time() + 100, usegmt=True)
    assert 90 < (answers.retry_after(later) or 0) < 101
    past = email.utils.formatdate(time.time() - 100, usegmt=True)
    assert answers.retry_after(past) == 0.0


@pytest.mark.parametrize(('name', 'busy'), [
    ('Base.1.8.ResourceInUse', True), ('IDRAC.2.8.SYS518', True),
    ('IDRAC.2.8.SUP029', False), (None, False)])
def test_messages_of_a_busy_service(name: str | None, busy: bool) -> None:
    assert (answers.busy_wait(name) is not None) is busy
