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

"""Responses of services: tasks, errors, times."""

from __future__ import annotations

import json
from typing import Any
from unittest import mock

import pytest
from sushy import connector as sushy_connector
from sushy import exceptions

from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Running
from ironic_accel.converge.ports import Unknown
from ironic_accel.redfish.actions import tasks
from ironic_accel.redfish.client import responses
from ironic_accel.redfish.client.responses import Answer

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
    'Interrupted', 'Cancelling', 'Service', 'SomethingElse', None, 3, ''])
def test_states_of_running_tasks(state: Any) -> None:
    assert isinstance(poll(TaskState=state, PercentComplete=100), Running)


@pytest.mark.parametrize(('state', 'status', 'ok'), [
    ('Completed', 'OK', True), ('Completed', 'Warning', True),
    ('Completed', None, True), ('Completed', 'Critical', False),
    ('Exception', 'Critical', False), ('Killed', 'OK', False),
    ('Cancelled', 'OK', False), ('Exception', 'OK', False)])
def test_states_of_ended_tasks(
        state: str, status: str | None, ok: bool) -> None:
    found = poll(TaskState=state, TaskStatus=status)
    assert isinstance(found, Ended)
    assert [r.ok for r in found.results] == [ok, ok]


@pytest.mark.parametrize('key', ['Severity', 'MessageSeverity'])
def test_only_the_part_named_in_a_message_fails(key: str) -> None:
    found = poll(TaskState='Exception', TaskStatus='Critical', Messages=[
        said('OK', 'UpdateSuccessful', 'x', 'HGX_FW_GPU_1', key=key),
        said('Critical', 'ApplyFailed', 'x', 'HGX_FW_GPU_2', key=key)])
    assert isinstance(found, Ended)
    assert [(r.ref[0], r.ok) for r in found.results] == [
        ('gpu-1', True), ('gpu-2', False)]
    detail = found.results[1].detail
    assert detail is not None
    assert detail.message_id == 'Update.1.0.ApplyFailed'


def test_a_completed_task_with_a_failed_part() -> None:
    found = poll(TaskState='Completed', TaskStatus='OK', Messages=[
        said('Critical', 'ApplyFailed',
             '/redfish/v1/UpdateService/FirmwareInventory/HGX_FW_GPU_1')])
    assert isinstance(found, Ended)
    assert [r.ok for r in found.results] == [False, True]


def test_a_failed_task_reports_its_most_severe_message() -> None:
    found = poll(TaskState='Exception', TaskStatus='Critical', Messages=[
        said('OK', 'Started'), said('Critical', 'VerificationFailed'),
        said('OK', 'Ended')])
    assert isinstance(found, Ended)
    assert {r.detail.message_id for r in found.results if r.detail} == {
        'Update.1.0.VerificationFailed'}


def test_a_running_task_with_an_end_time_is_unknown() -> None:
    assert isinstance(poll(
        TaskState='Running', PercentComplete=100,
        EndTime='2026-01-01T00:00:00Z'), Unknown)


def fine(severity: str) -> dict[str, Any]:
    """A message of bmcweb for a success or a failure."""
    return {'@Message.ExtendedInfo': [
        {'MessageId': 'Base.1.13.0.Success', 'MessageSeverity': severity}]}


@pytest.mark.parametrize(('status', 'doc', 'kind'), [
    (202, {}, Running), (202, {'error': 'busy'}, Running), (204, {}, Ended),
    (200, fine('OK'), Ended), (201, fine('OK'), Ended),
    (200, {'Success': fine('Ok')}, Ended), (200, fine('Warning'), Unknown),
    (200, {}, Unknown), (200, {'error': {'code': 'x'}}, Unknown),
    (200, {'error': fine('Critical')}, Unknown), (200, [], Unknown),
    (200, 'fine', Unknown), (200, {'@odata.id': '/redfish/v1/UpdateService',
                                   '@odata.type': '#X.X'}, Unknown)])
@pytest.mark.parametrize('place', ['monitor', 'task'])
def test_responses_that_are_not_a_task(
        place: str, status: int, doc: Any, kind: type) -> None:
    """A monitor may return the response of the operation; a task not."""
    found = tasks.poll(answer(doc, status), {
        'kind': 'task', place: '/redfish/v1/TaskService/TaskMonitors/7',
        'parts': PARTS})
    if place == 'task' and kind is Ended:
        kind = Unknown
    assert isinstance(found, kind)
    if isinstance(found, Unknown):
        assert found.hidden


def failing(*statuses: int) -> mock.Mock:
    """A connector whose responses have these statuses, in that order."""
    connector: mock.Mock = mock.create_autospec(
        sushy_connector.Connector, instance=True)
    connector.get.side_effect = [
        exceptions.HTTPError('GET', 'x', mock.Mock(
            status_code=s, json=mock.Mock(return_value={}))) if s >= 400
        else mock.Mock(status_code=s, content=b'{}') for s in statuses]
    return connector


@pytest.mark.parametrize(('statuses', 'kind'), [
    ((404, 404), Unknown), ((410, 404), Unknown), ((500, 404), Running),
    ((404, 503), Running), ((400, 404), Unknown), ((403, 404), Unknown),
    ((405, 405), Unknown), ((404, 400), Unknown), ((429, 404), Running),
    ((404, 202), Running), ((500, 202), Running)])
def test_an_unreadable_task_never_ends(
        statuses: tuple[int, ...], kind: type) -> None:
    found = tasks.poll(failing(*statuses), {
        'kind': 'task', 'task': TASK, 'monitor': f'{TASK}/Monitor',
        'parts': PARTS})
    assert isinstance(found, kind)
    if isinstance(found, Unknown):
        assert found.hidden


JOB = '/redfish/v1/JobService/Jobs/JID_1'


@pytest.mark.parametrize('kind', [
    {'@odata.type': '#Job.v1_0_7.Job', 'JobState': 'Completed'},
    {'@odata.type': '#DellJob.v1_2_0.DellJob', 'JobState': 'Completed'},
    {'JobState': 'Completed'}, {'TaskState': 'Completed'}])
def test_a_job_is_followed_at_its_vendor_s_uri(
        kind: dict[str, Any]) -> None:
    """iDRAC removes the task and keeps the job in the JobService."""
    connector = failing(404)
    body = mock.Mock(status_code=200, content=json.dumps(
        {'@odata.id': JOB, **kind}).encode())
    connector.get.side_effect = [*connector.get.side_effect, body]
    found = tasks.poll(connector, {
        'kind': 'task', 'parts': PARTS,
        'task': '/redfish/v1/TaskService/Tasks/JID_1'})
    assert isinstance(found, Ended)
    assert [r.ok for r in found.results] == [True, True]
    assert [c.args[0] for c in connector.get.call_args_list] == [
        '/redfish/v1/TaskService/Tasks/JID_1', JOB]


@pytest.mark.parametrize('doc', [
    {'TaskState': 'UserIntervention', 'PercentComplete': 100},
    {'TaskState': 'Pending', 'Messages': [
        {'Message': 'Task successfully scheduled.'}]},
    {'TaskState': 'Completed', 'Oem': {'Dell': {'JobState': 'Scheduled'}}},
    {'JobState': 'Scheduled'}])
def test_a_job_that_waits_for_a_reset_is_staged(doc: dict[str, Any]) -> None:
    found = poll(**doc)
    assert isinstance(found, Ended)
    assert found.at_reset
    assert [r.ok for r in found.results] == [True, True]


def test_a_staged_task_may_have_a_failed_part() -> None:
    found = poll(TaskState='UserIntervention', PercentComplete=100, Messages=[
        said('Critical', 'ApplyFailed', 'HGX_FW_GPU_2')])
    assert isinstance(found, Ended)
    assert [r.ok for r in found.results] == [True, False]


@pytest.mark.parametrize('doc', [
    {'TaskState': 'Completed', 'TaskStatus': 'OK',
     'Oem': {'Dell': {'JobState': 'CompletedWithErrors'}}},
    {'JobState': 'Failed'},
    {'JobState': 'Completed', 'JobStatus': 'Critical'}])
def test_a_job_that_failed(doc: dict[str, Any]) -> None:
    found = poll(**doc)
    assert isinstance(found, Ended)
    assert [r.ok for r in found.results] == [False, False]


@pytest.mark.parametrize('own', ['/redfish/v1/TaskService/Tasks/8', TASK])
def test_a_task_uri_that_returns_another_task_is_unknown(own: str) -> None:
    connector = answer({'@odata.id': own, 'TaskState': 'Completed'})
    found = tasks.poll(connector, {
        'kind': 'task', 'task': TASK, 'parts': PARTS})
    assert isinstance(found, Ended if own == TASK else Unknown)


def test_a_ticket_without_uri_is_unknown() -> None:
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
    (None, {'TaskState': 'New', '@odata.id': TASK}, {'task': TASK}),
    (None, {'@odata.id': TASK}, {'task': TASK}),
    (None, {'TaskMonitor': f'{TASK}/Monitor'},
     {'task': TASK, 'monitor': f'{TASK}/Monitor'}),
    (None, {'JobState': 'New', '@odata.id': '/x/Jobs/JID_1'},
     {'task': '/x/Jobs/JID_1'}),
    ('/redfish/v1/TaskService/Tasks/JID_1', {},
     {'task': '/redfish/v1/TaskService/Tasks/JID_1',
      'monitor': '/redfish/v1/TaskService/Tasks/JID_1'}),
    (None, {'Accepted': {'@Message.ExtendedInfo': [{
        'MessageId': 'SMC.1.0.OemSimpleupdateAcceptedMessage',
        'MessageArgs': [TASK]}]}}, {'task': TASK}),
    (None, {'@Message.ExtendedInfo': [{
        'MessageId': 'Update.1.1.OperationTransitionedToJob',
        'MessageArgs': ['/redfish/v1/JobService/Jobs/4']}]},
     {'task': '/redfish/v1/JobService/Jobs/4'}),
    ('/redfish/v1/UpdateService/FirmwareInventory/Available-1', {},
     {'monitor': '/redfish/v1/UpdateService/FirmwareInventory/Available-1'}),
    (None, {}, {'kind': 'watch', 'said': 'HTTP 202 without a task'}),
    (None, fine('OK'), {'kind': 'watch', 'said': 'HTTP 202 without a task'}),
    (None, {'@odata.id': 7, 'TaskMonitor': 3, 'TaskState': 4},
     {'kind': 'watch', 'said': 'HTTP 202 without a task'}),
    (None, {'error': 'busy'},
     {'kind': 'watch', 'said': 'HTTP 202 without a task: busy'}),
    (None, {'@Message.ExtendedInfo': [{
        'MessageId': 'SMC.1.0.OemSimpleupdateAcceptedMessage',
        'MessageArgs': ['http://elsewhere', 3]}]},
     {'kind': 'watch', 'said': 'HTTP 202 without a task'})])
def test_the_ticket_of_a_response(location: str | None, doc: dict[str, Any],
                 expected: dict[str, Any]) -> None:
    ticket = tasks.ticket(Answer(202, location, doc), [])
    assert ticket == {'kind': 'task', 'parts': [], **expected}


def test_the_most_severe_message_of_an_error_is_used() -> None:
    assert responses.message({'error': {
        'code': 'Base.1.0.GeneralError', '@Message.ExtendedInfo': [
            {'MessageId': 'A', 'Message': 'a', 'Severity': 'OK'},
            {'MessageId': 'B', 'Message': 'b',
             'MessageSeverity': 'Critical'}]}}) == ('B', 'b')
    assert responses.message({'error': {'code': 'C', 'message': 'c'}}) == (
        'C', 'c')
    assert responses.message({'error': 3}) == (None, None)
    assert responses.message({}) == (None, None)
