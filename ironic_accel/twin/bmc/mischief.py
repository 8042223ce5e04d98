# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Where the faults of a box meet its exchanges."""

from __future__ import annotations

import json
import time
from typing import Any

from ironic_accel.twin import pointers
from ironic_accel.twin.bmc.messages import Reply, Request
from ironic_accel.twin.box import Box
from ironic_accel.twin.documents import Document
from ironic_accel.twin.errors import RedfishError

_ZEROS = '0000000000000'
_ABSENT = object()
_TWISTS: dict[str, Any] = {
    'null': None,
    'absent': _ABSENT,
    'wrong-type': ['of', 'the', 'wrong', 'type'],
    'unknown-enum': 'TwinInvented',
}


def pause(box: Box, request: Request) -> None:
    """Let this request wait, unless its fault is lifted meanwhile."""
    for name, default in (('hang', 60.0), ('slow', 0.5)):
        fault = box.faults.take(name, request.path, request.method)
        if fault is not None:
            end = time.monotonic() + float(fault.value or default)
            while box.faults.stands(fault) and time.monotonic() < end:
                time.sleep(min(0.05, max(0.0, end - time.monotonic())))
            return


def instead(box: Box, request: Request) -> Reply | None:
    """An answer that is given in place of the right one.

    Raises RedfishError for the faults that are errors.
    """
    path, method, faults = request.path, request.method, box.faults
    if faults.take('refuse', path, method):
        return Reply(0, drop=True)
    if fault := faults.take('busy', path, method):
        raise RedfishError.busy(int(fault.value or 5))
    token = 'x-auth-token' in request.headers
    if token and faults.take('expire-session', path, method):
        box.sessions.clear()
    if fault := faults.take('status', path, method):
        raise RedfishError(int(fault.value or 500), 'InternalError')
    if faults.take('garbage', path, method):
        return Reply(200, b'<html>{"not": json')
    if '$expand' in request.query and faults.take('expand-error', path):
        raise RedfishError(500, 'InternalError')
    return None


def spoil(box: Box, request: Request, reply: Reply) -> None:
    """Spoil an answer after the request was carried out."""
    faults = box.faults
    if faults.take('drop', request.path, request.method):
        reply.drop = True
    if '$expand' not in request.query or not reply.expanded:
        return
    if faults.take('expand-truncated', request.path):
        reply.body = reply.encoded()[: len(reply.encoded()) // 2]
        reply.truncate = True
    elif faults.take('expand-wrong', request.path):
        reply.body = _collapsed(reply.body)


def _collapsed(document: Document) -> Document:
    """As if the service had ignored $expand below the first level."""
    found = json.loads(json.dumps(document))
    if isinstance(found.get('Members'), list):
        found['Members'] = [
            {'@odata.id': member.get('@odata.id')}
            for member in found['Members']
        ]
    return found  # type: ignore[no-any-return]


def twist(box: Box, path: str, document: Document) -> None:
    """Apply the faults of properties to a document."""
    for name, value in _TWISTS.items():
        fault = box.faults.find(name, path)
        if fault is None or not fault.value:
            continue
        if pointers.get(document, fault.value) is None:
            continue
        if value is _ABSENT:
            pointers.drop(document, fault.value)
        else:
            pointers.put(document, fault.value, value)
    gpu = document.get('ProcessorType') == 'GPU'
    if gpu and box.faults.active('serial-zeros', path):
        document['SerialNumber'] = _ZEROS
