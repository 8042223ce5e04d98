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

"""Apply the faults of a system to its HTTP exchanges."""

from __future__ import annotations

import json
import re
import time
from typing import Any
from urllib.parse import parse_qs

from ironic_accel_emulator import pointers
from ironic_accel_emulator.bmc.messages import Reply, Request
from ironic_accel_emulator.box import Box
from ironic_accel_emulator.documents import ROOT, Document, normal
from ironic_accel_emulator.errors import RedfishError

_ZEROS = '0000000000000'
_ABSENT = object()
_TWISTS: dict[str, Any] = {
    'null': None,
    'absent': _ABSENT,
    'wrong-type': ['of', 'the', 'wrong', 'type'],
    'unknown-enum': 'TwinInvented',
}


#: Foreign host of links and redirects (RFC 5737).
ASTRAY = 'http://192.0.2.66'


def delay(box: Box, request: Request) -> None:
    """Delay this request, unless its fault is removed meanwhile.

    If the client's timeout is known, simulated time passes instead of real
    time. Raises TimeoutError if the delay is longer than the timeout.
    """
    for name, default in (('hang', 60.0), ('slow', 0.5)):
        fault = box.faults.take(name, request.path, request.method)
        if fault is None:
            continue
        seconds = float(fault.value or default)
        if request.patience is not None:
            box.advance(min(seconds, request.patience))
            if seconds > request.patience:
                raise TimeoutError(f'{name} of {seconds} s')
            return
        end = time.monotonic() + seconds
        while box.faults.stands(fault) and time.monotonic() < end:
            time.sleep(min(0.05, max(0.0, end - time.monotonic())))
        return


def replacement(box: Box, request: Request) -> Reply | None:
    """A reply in place of the correct one.

    Raises RedfishError for the faults that are errors.
    """
    path, method, faults = request.path, request.method, box.faults
    if faults.take('refuse', path, method):
        return Reply(0, drop=True)
    if fault := faults.take('busy', path, method):
        error = RedfishError.busy()
        error.headers['Retry-After'] = fault.value or '5'
        raise error
    token = 'x-auth-token' in request.headers
    if token and faults.take('expire-session', path, method):
        box.sessions.clear()
    _services_down(box, path)
    if fault := faults.take('status', path, method):
        raise RedfishError(int(fault.value or 500), 'InternalError')
    if faults.take('garbage', path, method):
        return Reply(200, b'<html>{"not": json')
    if faults.take('empty', path, method):
        return Reply(200, b'{}')
    if fault := faults.take('body', path, method):
        return _body_reply(fault.value or '')
    if fault := faults.take('redirect', path, method):
        place = fault.value or f'{ASTRAY}{path}'
        return Reply(307, None, {'Location': place})
    if method == 'GET' and (fault := faults.take('other', path)):
        return Reply(200, box.document(normal(fault.value or ROOT)))
    if '$expand' in request.query and faults.take('expand-error', path):
        raise RedfishError(500, 'InternalError')
    return None


def _services_down(box: Box, path: str) -> None:
    """Services that are unavailable; raises RedfishError 503."""
    if '/HGX_' in path and box.faults.active('hmc-down', path):
        raise RedfishError(
            503, 'GeneralError', text='HMC communication failed'
        )
    listed = re.search(r'/(TaskService|JobService|Oem/Dell/Jobs)', path)
    if listed and box.faults.active('tasks-down', path):
        raise RedfishError(503, 'ServiceTemporarilyUnavailable', ('30',))


def _body_reply(value: str) -> Reply:
    """The reply of the fault ``body``."""
    found = re.fullmatch(r'(\d{3}):(.*)', value, re.DOTALL)
    status, text = (int(found[1]), found[2]) if found else (200, value)
    return Reply(status, text.encode())


def damage(box: Box, request: Request, reply: Reply) -> None:
    """Damage a reply after the request was performed."""
    faults, path = box.faults, request.path
    if faults.take('drop', path, request.method):
        reply.drop = True
    if reply.status == 200 and faults.take('cut', path, request.method):
        _truncate(reply)
    if '$expand' not in request.query or not reply.expanded:
        return
    if faults.take('expand-truncated', path):
        _truncate(reply)
    elif not isinstance(reply.body, dict):
        return  # cut already
    elif faults.take('expand-wrong', path):
        reply.body = _collapsed(reply.body)
    elif fault := faults.take('expand-drops', path):
        _remove_property(reply.body, fault.value or 'Id')


def _truncate(reply: Reply) -> None:
    reply.body = reply.encoded()[: len(reply.encoded()) // 2]
    reply.truncate = True


def _remove_property(value: Any, name: str, top: bool = True) -> None:
    """Remove a property from all resources within another."""
    if isinstance(value, dict):
        if not top and '@odata.type' in value:
            value.pop(name, None)
        for inner in value.values():
            _remove_property(inner, name, False)
    elif isinstance(value, list):
        for inner in value:
            _remove_property(inner, name, False)


def _collapsed(document: Document) -> Document:
    """The reply of a service that ignores $expand below the first level."""
    found = json.loads(json.dumps(document))
    if isinstance(found.get('Members'), list):
        found['Members'] = [
            {'@odata.id': member.get('@odata.id')}
            for member in found['Members']
        ]
    return found  # type: ignore[no-any-return]


def change_properties(box: Box, path: str, document: Document) -> None:
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
    for fault in box.faults.all('says', path):
        pointer, _, text = (fault.value or '/Says:null').partition(':')
        pointers.put(document, pointer, json.loads(text))
    members = document.get('Members')
    if isinstance(members, list) and members:
        fault = box.faults.find('short', path)
        if fault is not None:
            del members[-int(fault.value or 1):]
    gpu = document.get('ProcessorType') == 'GPU'
    if gpu and box.faults.active('serial-zeros', path):
        document['SerialNumber'] = _ZEROS


def lay_out(box: Box, request: Request, document: Document) -> Document:
    """A document in the form of this service: in pages, with full URLs."""
    fault = box.faults.find('pages', request.path)
    if fault is not None and isinstance(document.get('Members'), list):
        _page(request, document, int(fault.value or 1))
    fault = box.faults.find('absolute', request.path)
    if fault is None:
        return document
    found = _absolute(document, fault.value or ASTRAY)
    return found  # type: ignore[no-any-return]


def _page(request: Request, document: Document, size: int) -> None:
    """One page of a collection (DSP0266, Members@odata.nextLink)."""
    asked = parse_qs(request.query)
    start = int(asked.get('$skip', ['0'])[0])
    rest = document['Members']
    document['Members'] = rest[:size]
    if len(rest) > size:
        more = ''.join(f'&{name}={asked[name][0]}' for name in ('$expand',)
                       if name in asked)
        document['Members@odata.nextLink'] = (
            f'{request.path}?$skip={start + size}{more}'
        )


def _absolute(value: Any, host: str) -> Any:
    if isinstance(value, dict):
        return {k: _absolute(v, host) for k, v in value.items()}
    if isinstance(value, list):
        return [_absolute(v, host) for v in value]
    if isinstance(value, str) and value.startswith('/redfish/'):
        return host + value
    return value
