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

"""Responses that mean "not now", and responses with an unknown result."""

from __future__ import annotations

import email.utils
import json
from pathlib import Path
import re
import tarfile
import time
from typing import Any

import pytest
import requests

from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.redfish.client import responses
from ironic_accel.redfish.client import retry_rules
from ironic_accel.redfish.vendors import registry
from ironic_accel.redfish.vendors import task_rows

URI = '/redfish/v1/UpdateService/update-multipart'


def response(status: int, doc: Any = None, **headers: str
             ) -> requests.Response:
    found = requests.Response()
    found.status_code = status
    found._content = b'' if doc is None else json.dumps(doc).encode()
    found.headers.update({k.replace('_', '-'): v for k, v in headers.items()})
    return found


def told(*ids: str, severity: str = 'Warning', at: str = 'error'
         ) -> dict[str, Any]:
    """A response with messages, the first one the least severe."""
    messages = [{'MessageId': i, 'Message': f'says {i}',
                 'MessageSeverity': severity} for i in ids]
    body = {'@Message.ExtendedInfo': messages}
    return body if at == 'top' else {at: {'code': 'Base.1.8.GeneralError',
                                          **body}}


def refused(status: int, doc: Any = None, method: str = 'POST',
            **headers: str) -> Rejected | OutcomeUnknown:
    try:
        responses.judge(method, URI, response(status, doc, **headers))
    except (Rejected, OutcomeUnknown) as error:
        return error
    raise AssertionError('taken')


IDS = ['Base.1.8.ResourceInUse', 'Base.1.18.1.ResourceInUse',
       'ResourceInUse', 'Base.v1_4_0.ServiceTemporarilyUnavailable',
       'Base.1.8.ServiceShuttingDown', 'Update.1.0.UpdateInProgress',
       'NvidiaUpdate.1.0.UpdateInProgress', 'IDRAC.2.8.SYS518',
       'IDRAC.1.6.SWC0700', 'IDRAC.2.8.RAC0679', 'SYS518',
       'iLO.2.31.InvalidOperationForSystemState', 'iLO.2.31.DeviceIsBusy',
       'HpeCommon.2.1.ResourceNotReadyRetry',
       'iLO.2.31.UnableToModifyDuringSystemPOST',
       'SMC.1.0.OemFirmwareAlreadyInUpdateMode',
       'IDRAC.2.7.PWR8571', 'IDRAC.2.8.JCP030', 'IDRAC.2.8.RED034',
       'IDRAC.2.7.LC060', 'CrayHMS.1.0.FW008', 'CrayHMS.1.0.0.PW003',
       'CrayHMS.1.0.BMC003', 'IPC.1.0.NodeBusy',
       'IPC.1.0.0.FirmwareInUpdateMode']


@pytest.mark.parametrize('name', IDS)
@pytest.mark.parametrize('status', [400, 403, 409, 500])
@pytest.mark.parametrize('at', ['error', 'top', 'Accepted'])
def test_a_busy_response_has_a_time_to_wait(
        name: str, status: int, at: str) -> None:
    error = refused(status, told(name, at=at))
    assert isinstance(error, Rejected)
    assert error.retry_after == task_rows.BUSY
    assert error.detail.error_class is ErrorClass.TRANSIENT
    assert error.detail.message_id == name


def test_a_busy_message_counts_at_any_position() -> None:
    doc = told('Base.1.8.GeneralError', 'Base.1.8.PropertyValueError',
               'IDRAC.2.8.SYS518', severity='Critical')
    error = refused(400, doc)
    assert isinstance(error, Rejected)
    assert error.retry_after == task_rows.BUSY
    assert error.detail.message_id == 'IDRAC.2.8.SYS518'
    code = refused(409, {'error': {'code': 'Base.1.8.ResourceInUse'}})
    assert isinstance(code, Rejected)
    assert code.retry_after == task_rows.BUSY


@pytest.mark.parametrize('name', [
    'IDRAC.2.8.SUP029', 'Base.1.8.PropertyValueFormatError',
    'Base.1.8.ActionNotSupported', 'Other.1.0.DeviceIsBusy',
    'iLO.2.31.UpdateInPOST', 'Base.1.8.SYS518', 'Update', '', '...',
    'CrayHMS.1.0.FW000', 'CrayHMS.1.0.FW006', 'CrayHMS.1.0.PW004',
    'Other.1.0.FW008', 'Base.1.8.NodeBusy', 'IDRAC.2.7.RAC0720',
    'IDRAC.2.7.SYS406', 'IDRAC.2.7.LC068'])
def test_a_permanent_rejection_has_no_time_to_wait(name: str) -> None:
    error = refused(400, told(name))
    assert isinstance(error, Rejected)
    assert error.retry_after is None
    assert error.detail.error_class is ErrorClass.PERMANENT


@pytest.mark.parametrize('status', [408, 425, 429, 503])
@pytest.mark.parametrize('body', [
    None, [], 'busy', 3, {}, {'error': 'busy'}, {'error': []},
    {'error': {'@Message.ExtendedInfo': 'busy'}}])
def test_statuses_that_mean_not_now(status: int, body: Any) -> None:
    error = refused(status, body)
    assert isinstance(error, Rejected)
    assert error.retry_after == task_rows.BUSY
    assert refused(status, body, Retry_After='7').retry_after == 7  # type: ignore[union-attr]


@pytest.mark.parametrize('status', [500, 502, 504, 507, 520, 599])
def test_a_server_error_of_a_post_is_unknown(status: int) -> None:
    """bmcweb accepts an image and returns 500 if its processing is slow."""
    assert isinstance(refused(status, told('Base.1.8.InternalError')),
                      OutcomeUnknown)


@pytest.mark.parametrize(('status', 'method'), [
    (500, 'PATCH'), (501, 'POST'), (505, 'POST')])
def test_a_server_error_of_a_patch_may_be_repeated(
        status: int, method: str) -> None:
    error = refused(status, None, method)
    assert isinstance(error, Rejected)
    assert error.retry_after is None
    assert error.detail.error_class is ErrorClass.TRANSIENT


@pytest.mark.parametrize('status', [301, 302, 307, 308, 400, 404, 413])
def test_a_redirect_is_not_a_success(status: int) -> None:
    error = refused(status)
    assert isinstance(error, Rejected)
    assert error.detail.error_class is ErrorClass.PERMANENT


@pytest.mark.parametrize(('text', 'expected'), [
    ('17', 17), (' 17 ', 17), ('3.5', 3.5), ('0', 1), ('31536000', 600),
    ('9' * 60, 600), ('9' * 5000, None), ('-5', None), ('+5', None),
    ('²', None), ('٣', None), ('1e3', None), ('inf', None), ('nan', None),
    ('soon', None), ('', None), (None, None), ('5 seconds', None),
    ('Fri, 31 Dec 1999 23:59:59 GMT', 1), ('\ud800', None),
    ('Fri, 99 Foo 99999 99:99:99 GMT', None), (',', None)])
def test_retry_after_is_bounded(
        text: str | None, expected: float | None) -> None:
    assert retry_rules.seconds(text) == expected


def test_a_retry_after_date_is_relative_to_the_bmc_clock() -> None:
    later = email.utils.formatdate(time.time() + 100, usegmt=True)
    assert 90 < (retry_rules.seconds(later) or 0) < 101
    # A BMC whose clock is in 2001: in two minutes.
    assert retry_rules.seconds('Mon, 01 Jan 2001 00:02:00 GMT',
                           'Mon, 01 Jan 2001 00:00:00 GMT') == 120
    assert retry_rules.seconds('Mon, 01 Jan 2001 00:02:00 GMT',
                           'Mon, 01 Jan 2001 00:00:00') == 120
    assert retry_rules.seconds('Tue, 01 Jan 2002 00:00:00 GMT',
                           'Mon, 01 Jan 2001 00:00:00 GMT') == 600


#: Texts of messages that mean "not now" in the registries of vendors.
_WAIT = re.compile(
    r'in progress|is (already )?running|not ready|busy|temporar|inhibited|'
    r'unavailable|unable to|update mode|currently in use|is in use|'
    r'initializ|was aborted by BMC due', re.I)


@pytest.mark.parametrize(('name', 'prefixes'), [
    ('dell-r750-h100', {'IDRAC'}),
    ('a100x4-cray-ex235n', {'CrayHMS', 'IPC'})])
def test_the_rows_are_messages_of_real_registries(
        captures: Path, name: str, prefixes: set[str]) -> None:
    """Each id of a vendor's row is in the registry of its BMC, with a text
    that requires a wait."""
    found: dict[str, dict[str, Any]] = {}
    with tarfile.open(captures / f'{name}.tar.gz') as tree:
        for member in tree:
            if '/Registries/' not in member.name or not member.isfile():
                continue
            file = tree.extractfile(member)
            assert file is not None
            doc = json.load(file)
            if doc.get('RegistryPrefix') in prefixes and 'Messages' in doc:
                found.setdefault(doc['RegistryPrefix'], doc['Messages'])
    assert set(found) == prefixes
    checked = 0
    for row in (r for v in registry.vendors() for r in v.not_now):
        for prefix in prefixes:
            if row.registry == '.*' or not re.fullmatch(row.registry, prefix):
                continue
            for one in row.ids:
                said = found[prefix][one]
                assert _WAIT.search(said['Message']), (one, said)
                checked += 1
    assert checked >= 15
