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

"""One Redfish exchange: the effect of a request, and its reply."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

from ironic_accel_emulator.bmc import (
    accepted,
    actions,
    auth,
    control,
    metadata,
    mischief,
    patching,
    pushing,
)
from ironic_accel_emulator.bmc.messages import Reply, Request
from ironic_accel_emulator.bmc.queries import Query
from ironic_accel_emulator.box import Box
from ironic_accel_emulator.documents import (
    ROOT,
    Document,
    encode,
    members,
    normal,
)
from ironic_accel_emulator.errors import RedfishError
from ironic_accel_emulator.ledger import Exchange

SERVICE = f'{ROOT}/UpdateService'
_ODATA = {'OData-Version': '4.0', 'Cache-Control': 'no-cache'}


@dataclass
class _Told:
    """A resource in the form in which it is sent."""

    body: Any
    tag: str
    link: str
    members: list[str]
    expanded: int = 0


def _told(found: Document) -> _Told:
    """Add the ETag to a document, and encode it."""
    tag, body = _tagged(found)
    return _Told(body, tag, metadata.described_by(found), members(found))


def _tagged(found: Document) -> tuple[str, bytes]:
    """A document's ETag, and its bytes with the ETag."""
    shown = found.pop('@odata.etag', None)
    body = encode(found)
    tag = f'W/"{zlib.crc32(body):08x}"'
    if shown is not None:
        found['@odata.etag'] = tag
        body = encode(found)
    return tag, body


class Service:
    """The Redfish service of one system, without a socket."""

    def __init__(self, box: Box) -> None:
        self.box = box

    def handle(self, request: Request) -> Reply:
        """Answer one request; never raises because of a client."""
        if request.path.startswith('/_twin'):
            return control.handle(self.box, request)
        request.path = normal(request.path)
        self.box.tick()
        if self.box.power.bmc_away:
            return self._noted(request, Reply(0, drop=True))
        mischief.delay(self.box, request)
        try:
            reply = self._answer(request)
        except RedfishError as error:
            reply = Reply.of_error(error)
            reply.close = error.status in (413, 503)
        reply.headers.update(_ODATA)
        mischief.damage(self.box, request, reply)
        return self._noted(request, reply)

    def _noted(self, request: Request, reply: Reply) -> Reply:
        options = self.box.options
        cost = options.cost_per_request
        cost += reply.expanded * options.cost_per_expanded
        status = 0 if reply.drop else reply.status
        with self.box.lock:
            entry = Exchange(
                self.box.timeline.now, request.method, request.path,
                status, cost,
            )  # fmt: skip
            self.box.ledger.requests.append(entry)
        return reply

    def _answer(self, request: Request) -> Reply:
        early = mischief.replacement(self.box, request)
        if early is not None:
            return early
        auth.check(self.box, request)
        if request.headers.get('odata-version', '4.0') != '4.0':
            raise RedfishError(412, 'PreconditionFailed')
        method = request.method
        if method in ('GET', 'HEAD'):
            with self.box.lock:
                return self._get(request)
        if method == 'POST':
            return self._post(request)
        with self.box.lock:
            if method == 'PATCH':
                return self._patch(request)
            if method == 'DELETE':
                return self._delete(request)
        allow = {'Allow': self._allowed(request.path)}
        raise RedfishError(405, 'OperationNotAllowed', headers=allow)

    # Reading

    def read(self, path: str) -> Document | None:
        """The resource at ``path`` for a client.

        Raises RedfishError 400 for an adapter that is off.
        """
        if self.box.hidden(path) == 'error':
            raise RedfishError(400, 'ServiceTemporarilyUnavailable', ('60',))
        found = auth.document(self.box, path)
        if found is None:
            found = self.box.document(path)
        if found is not None:
            mischief.change_properties(self.box, path, found)
        return found

    def _get(self, request: Request) -> Reply:
        special = metadata.special(self.box, request.path)
        if special is not None:
            return special
        task = self.box.tasks.monitored(request.path)
        if task is not None:
            return self._monitor(request.path)
        told = self._as_stored(request) or self._as_read(request)
        reply = Reply(200, told.body, expanded=told.expanded)
        reply.headers['ETag'] = accepted.shown_tag(self.box, told.tag)
        reply.headers['Allow'] = self._allowed(request.path)
        reply.headers['Link'] = told.link
        if request.headers.get('if-none-match') in (told.tag, '*'):
            reply.status, reply.body = 304, None
        return reply

    def _as_stored(self, request: Request) -> _Told | None:
        """A resource as stored, which is the usual case.

        None if state, time, a query or a fault may change it.
        """
        box, path = self.box, request.path
        if (
            request.query
            or path in box.overlays
            or path.startswith(auth.SESSIONS)
            or path not in box.documents
            or box.faults.changes_document(path)
            or box.tasks.document(path) is not None
        ):
            return None
        told = box.documents.once(path, _told)
        if told is None or not box.all_seen([path, *told.members]):
            return None
        return told

    def _as_read(self, request: Request) -> _Told:
        """A resource with all changes of state, time, query and faults.

        Raises RedfishError if there is none, and for an invalid query.
        """
        found = self.read(request.path)
        if found is None:
            raise RedfishError.missing(request.path)
        root = self.box.documents.see(ROOT) or {}
        features = root.get('ProtocolFeaturesSupported') or {}
        query = Query(request.query, features, self.read)
        found = mischief.lay_out(self.box, request, query.apply(found))
        told = _told(found)
        told.expanded = query.expanded
        if query.expanded:
            told.body = found  # some faults concern expanded resources
        return told

    def _monitor(self, path: str) -> Reply:
        """OpenBMC: 202 while the task is running, 204 once, then 404.

        NVIDIA: only the task reports the percentage.
        """
        task = self.box.tasks.monitored(path)
        if task is None or task.hidden or task.told_end:
            raise RedfishError.missing(path)
        document = self.box.tasks.document(task.uri) or {}
        if self.box.faults.take('monitor-error', path):
            return Reply(200, RedfishError(500, 'InternalError').body)
        if task.running:
            document['PercentComplete'] = 0
            timing = self.box.options.timing
            wait = str(self.box.retry_after(timing.retry_after))
            headers = {'Location': task.monitor, 'Retry-After': wait}
            return Reply(202, document, headers)
        task.told_end = True
        return Reply(204)

    def _allowed(self, path: str) -> str:
        owner, action, _ = path.partition('/Actions/')
        if action and path in actions.offered(self.box.document(owner)):
            return 'POST'
        if path == auth.SESSIONS:
            return 'GET, HEAD, POST'
        if path.startswith(auth.SESSIONS + '/'):
            return 'GET, HEAD, DELETE'
        if patching.writable(self.box, path):
            return 'GET, HEAD, PATCH'
        return 'GET, HEAD'

    # Writing

    def _post(self, request: Request) -> Reply:
        path, box = request.path, self.box
        service = box.documents.see(SERVICE) or {}
        if path == normal(service.get('MultipartHttpPushUri') or '-'):
            return pushing.push_multipart(box, request)
        if path == normal(service.get('HttpPushUri') or '-'):
            return self._http_push(request)
        body = request.json()
        if path == pushing.simple_update_target(service):
            return pushing.simple_update(box, body)
        with box.lock:
            if path in (auth.SESSIONS, f'{auth.SESSIONS}/Members'):
                return auth.log_in(box, body)
            if '/Actions/' in path:
                return actions.perform(box, path, body)
            if box.document(path) is None:
                raise RedfishError.missing(path)
            allow = {'Allow': self._allowed(path)}
            raise RedfishError(405, 'OperationNotAllowed', headers=allow)

    def _http_push(self, request: Request) -> Reply:
        kind = request.headers.get('content-type', '')
        if kind.startswith('multipart/'):
            return pushing.push_multipart(self.box, request)
        return pushing.push_plain(self.box, request)

    def _patch(self, request: Request) -> Reply:
        self._precondition(request)
        known = self.box.document(request.path) is not None
        if known and not patching.writable(self.box, request.path):
            allow = {'Allow': self._allowed(request.path)}
            raise RedfishError(405, 'OperationNotAllowed', headers=allow)
        if self.box.hidden(request.path) == 'error':
            raise RedfishError(400, 'ServiceTemporarilyUnavailable', ('60',))
        patching.patch(self.box, request.path, request.json())
        return Reply(200, self.read(request.path))

    def _precondition(self, request: Request) -> None:
        wanted = request.headers.get('if-match')
        strict = self.box.faults.find('if-match', request.path)
        if strict is None and wanted in (None, '*'):
            return
        found = self.read(request.path)
        if strict is not None and found is not None:
            tag, _ = _tagged(found)
            accepted.check_tag(strict.value or 'strong', tag, wanted)
            return
        if found is not None and _tagged(found)[0] != wanted:
            raise RedfishError(412, 'PreconditionFailed')

    def _delete(self, request: Request) -> Reply:
        if request.path.startswith(auth.SESSIONS + '/'):
            return auth.log_out(self.box, request.path)
        if self.read(request.path) is None:
            raise RedfishError.missing(request.path)
        allow = {'Allow': self._allowed(request.path)}
        raise RedfishError(405, 'OperationNotAllowed', headers=allow)
