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

"""Basic authentication and Redfish sessions."""

from __future__ import annotations

import base64
import binascii
import secrets

from ironic_accel_emulator.bmc.messages import Reply, Request
from ironic_accel_emulator.box import Box
from ironic_accel_emulator.documents import ROOT, Document
from ironic_accel_emulator.errors import RedfishError

SESSIONS = f'{ROOT}/SessionService/Sessions'
# DSP0266 1.20, 13.3: readable without authentication.
_OPEN = ('/redfish', ROOT, f'{ROOT}/odata', f'{ROOT}/$metadata')


def check(box: Box, request: Request) -> None:
    """Check the credentials of a request.

    Raises RedfishError 401 for missing or wrong credentials, and for a
    session that is unknown or has expired.
    """
    token = request.headers.get('x-auth-token')
    if token is not None and token not in box.sessions.values():
        raise _unauthorized('NoValidSession')
    if box.options.user is None or token is not None:
        return
    if request.method in ('GET', 'HEAD') and request.path in _OPEN:
        return
    if request.method == 'POST' and request.path in (
        SESSIONS, f'{SESSIONS}/Members'
    ):  # fmt: skip
        return
    if not _basic(box, request.headers.get('authorization', '')):
        raise _unauthorized('NoValidSession')


def _unauthorized(name: str) -> RedfishError:
    headers = {'WWW-Authenticate': 'Basic realm="twin"'}
    return RedfishError(401, name, headers=headers)


def _basic(box: Box, header: str) -> bool:
    kind, _, text = header.partition(' ')
    if kind.lower() != 'basic':
        return False
    try:
        pair = base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return False
    user, _, password = pair.partition(':')
    return _right(box, user, password)


def _right(box: Box, user: object, password: object) -> bool:
    if box.options.user is None:
        return True
    return secrets.compare_digest(
        f'{user}:{password}'.encode(),
        f'{box.options.user}:{box.options.password}'.encode(),
    )


def log_in(box: Box, body: dict[str, object]) -> Reply:
    """Create a session; raises RedfishError 401 or 400."""
    for name in ('UserName', 'Password'):
        if not isinstance(body.get(name), str):
            raise RedfishError(400, 'PropertyMissing', (name,))
    if not _right(box, body['UserName'], body['Password']):
        raise _unauthorized('ResourceAtUriUnauthorized')
    name, token = secrets.token_hex(5), secrets.token_hex(16)
    box.sessions[name] = token
    uri = f'{SESSIONS}/{name}'
    headers = {'X-Auth-Token': token, 'Location': uri}
    return Reply(201, document(box, uri), headers)


def log_out(box: Box, path: str) -> Reply:
    """Delete a session; raises RedfishError 404."""
    if box.sessions.pop(path.rpartition('/')[2], None) is None:
        raise RedfishError.missing(path)
    return Reply(204)


def document(box: Box, path: str) -> Document | None:
    """The session collection or a session; None for anything else."""
    if path == SESSIONS:
        uris = [f'{SESSIONS}/{name}' for name in box.sessions]
        return {
            '@odata.id': SESSIONS,
            '@odata.type': '#SessionCollection.SessionCollection',
            'Name': 'Session Collection',
            'Members': [{'@odata.id': uri} for uri in uris],
            'Members@odata.count': len(uris),
        }
    name = path.removeprefix(SESSIONS + '/')
    if name not in box.sessions:
        return None
    return {
        '@odata.id': path,
        '@odata.type': '#Session.v1_3_0.Session',
        'Id': name,
        'Name': 'User Session',
        'UserName': box.options.user or 'anonymous',
    }
