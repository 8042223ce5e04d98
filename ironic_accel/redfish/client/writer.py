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

"""Writes that must not be repeated: one attempt each.

Sushy's connector sends a request again after timeouts and after a new login,
which would flash twice. Here a request is sent once, on its own connection
and with a known length. The result is one of: accepted, rejected, not sent,
or unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
import json
import os
from typing import Any, BinaryIO

from requests import exceptions as requests_errors
from sushy import exceptions
import urllib3

from ironic_accel.bounded import files
from ironic_accel.bounded import web
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.model import strict_json
from ironic_accel.redfish.client import access_failures
from ironic_accel.redfish.client import connector as connector_module
from ironic_accel.redfish.client import image_body
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client import origin
from ironic_accel.redfish.client import responses
from ironic_accel.redfish.client.responses import Answer
from ironic_accel.redfish.client import retry_rules
from ironic_accel.redfish.client import session as session_module


class Writer:
    """Sends writes to one BMC, each once, and each after
    ``BmcSettings.before_write``, whose errors are passed on.

    :param connector: a sushy connector; its session and credentials are
        used.
    """

    def __init__(self, connector: session_module.Connector,
                 settings: BmcSettings) -> None:
        self._connector = connector
        self._settings = settings

    def refresh(self, uri: str) -> None:
        """Read a resource that requires a session, so that an expired one is
        renewed before a write and never during one.

        :raises: Unreachable if that fails.
        """
        try:
            session_module.reading(self._connector, self._settings).get(uri)
        except exceptions.AccessError as error:
            raise session_module.failure(self._connector, error) from error
        except exceptions.HTTPError:
            # The session is valid, and the resource does not matter here.
            return
        except exceptions.SushyError as error:
            raise session_module.failure(self._connector, error) from error

    def send(self, method: str, uri: str,
             body: Mapping[str, Any] | None = None) -> Answer:
        """One small request with a JSON body.

        A PATCH that is rejected for its precondition (412, 428) is sent again
        with each known form of If-Match (``retry_rules``), as long as a read
        shows that nothing was changed. A redirect to the same path with or
        without its closing slash is followed once: nothing was done before.

        :raises: Rejected, Unreachable, OutcomeUnknown.
        """
        data = json.dumps(body or {}).encode()
        headers = {'Content-Type': 'application/json'}
        try:
            return self._small(method, uri, data, headers)
        except Rejected as error:
            if method != 'PATCH' or not _wants_match(error):
                raise
            refused = error
        return self._matched(uri, body or {}, data, headers, refused)

    def _small(self, method: str, uri: str, data: bytes,
               headers: dict[str, str]) -> Answer:
        """One small request, and a second one if only the slash was wrong."""
        timeout = self._settings.write_timeout
        try:
            return self._once(method, uri, data, headers, timeout, None)
        except responses.Redirected as error:
            other = uri[:-1] if uri.endswith('/') else f'{uri}/'
            if not _same_path(error.location, other):
                raise
        where = (origin.ResolvedUri(other, uri.property)
                 if isinstance(uri, origin.ResolvedUri) else other)
        return self._once(method, where, data, headers, timeout, None)

    def _matched(self, uri: str, body: Mapping[str, Any], data: bytes,
                 headers: dict[str, str], refused: Rejected) -> Answer:
        """A PATCH with If-Match, once with each form of it."""
        before = self._tagged(uri)
        if before is None:
            raise Rejected(refused.detail, error_class=ErrorClass.TRANSIENT)
        if _told(before[2], body) == _told(body, body):
            # Rejected, and yet applied: the read shows the new value.
            raise OutcomeUnknown(refused.detail,
                                 error_class=ErrorClass.TRANSIENT)
        tried: set[str] = set()
        now = before
        for _ in range(retry_rules.MOST_TAGS):
            form = next((f for f in retry_rules.if_match_values(now[0], now[1])
                         if f not in tried), None)
            if form is None:
                break
            tried.add(form)
            try:
                return self._small('PATCH', uri, data,
                                   {**headers, 'If-Match': form})
            except Rejected as error:
                if not _wants_match(error):
                    raise
                refused = error
            seen = self._tagged(uri)
            if seen is None or _told(seen[2], body) != _told(before[2], body):
                raise OutcomeUnknown(
                    refused.detail, error_class=ErrorClass.TRANSIENT)
            now = seen
        if not tried:
            raise Rejected(
                f'{uri}: the service requires an ETag and returns none')
        raise Rejected(refused.detail, expected='If-Match in a form that the '
                       'service accepts', todo='check which If-Match the '
                       'BMC requires: no known form was accepted')

    def _tagged(self, uri: str
                ) -> tuple[str | None, str | None, Mapping[str, Any]] | None:
        """The current state of a resource: both ETags and its properties."""
        try:
            response = session_module.reading(
                self._connector, self._settings).get(uri)
            doc = strict_json.parse_object(response.content)
        except (exceptions.SushyError, strict_json.NotJson):
            return None
        tag = doc.get('@odata.etag')
        return (response.headers.get('ETag'),
                tag if isinstance(tag, str) else None, doc)

    def push_multipart(self, uri: str, parameters: Mapping[str, Any],
                       path: str, size: int, sha256: str,
                       name: str | None = None) -> Answer:
        """Push an image to a MultipartHttpPushUri (DSP0266).

        :param path: the file; its size and SHA-256 are verified again.
        :param name: the file name in the request.
        :raises: Rejected, Unreachable, OutcomeUnknown.
        """
        with _opened(path) as file:
            body, content_type = image_body.multipart(
                _checked(file, path, size, sha256), parameters,
                name or os.path.basename(path))
            return self._once(
                'POST', uri, body, {'Content-Type': content_type},
                self._settings.push_timeout, body)

    def push_plain(self, uri: str, path: str, size: int, sha256: str
                   ) -> Answer:
        """Push an image as the request body to a HttpPushUri.

        :raises: Rejected, Unreachable, OutcomeUnknown.
        """
        with _opened(path) as file:
            body = image_body.ImageBody(_checked(file, path, size, sha256))
            return self._once('POST', uri, body,
                              {'Content-Type': 'application/octet-stream'},
                              self._settings.push_timeout, body)

    def _once(self, method: str, uri: str, data: Any,
              headers: dict[str, str], timeout: float,
              sent: image_body.ImageBody | None) -> Answer:
        base = connector_module.base(self._connector)
        where = origin.to_write(uri, origin.of(base))
        seconds = timeout + self._settings.connect_timeout
        if sent is not None:
            seconds += len(sent) / self._settings.push_rate
        limit = web.Limit(seconds, connector_module.ERROR_LIMIT + web.OVERHEAD,
                          timeout)
        if self._settings.before_write is not None:
            self._settings.before_write()
        with (connector_module.session_of(self._connector, base) as session,
              web.under(limit)):
            try:
                response = session.request(
                    method, base + where, data=data, stream=True,
                    # Passed explicitly: the environment overrides the
                    # session's value.
                    verify=self._connector._verify,
                    headers={'OData-Version': '4.0', **headers},
                    timeout=(self._settings.connect_timeout, timeout))
            except connector_module.BROKEN as error:
                raise _lost(method, uri, error, sent) from error
            with response:
                if response.status_code == 401:
                    self._check_session(session)
                return responses.judge(method, uri, response)

    def _check_session(self, session: web.Session) -> None:
        """Raise if a new session would not change an answer 401.

        A session may expire between a read and a write: it is renewed, and
        the write is sent again. If the same session is then rejected again,
        its user may read and not write; a password in each request cannot
        expire.

        :raises: NoAccess; nothing was written.
        """
        token = session.headers.get('X-Auth-Token')
        if token and getattr(self._connector, 'rejected_token', None) != token:
            self._connector.rejected_token = token
            return
        raise access_failures.rejected(
            f'the BMC at {session_module.address(self._connector)}',
            session_module.options(self._connector), 401,
            sent=session_module.sends_credentials(self._connector))


def _wants_match(error: Rejected) -> bool:
    return error.retry_after is None and error.detail.seen in {
        f'HTTP {status}' for status in retry_rules.PRECONDITION_REFUSED}


def _same_path(location: str, path: str) -> bool:
    """Whether a Location has that path; its host is ignored, as the request
    goes to the configured one in any case."""
    return origin.path(location) == origin.path(path)


def _told(doc: Any, body: Any) -> Any:
    """The values in a resource of the properties in a body."""
    if isinstance(body, Mapping):
        if not isinstance(doc, Mapping):
            return doc
        return {k: _told(doc.get(k), v) for k, v in body.items()
                if not k.startswith('@')}
    if isinstance(body, list) and isinstance(doc, list):
        return [_told(d, b) for d, b in zip(doc, body, strict=False)]
    return doc


def _opened(path: str) -> BinaryIO:
    """Open an image that is about to be sent.

    :raises: Rejected if it cannot be opened.
    """
    try:
        return files.open_regular(path, follow=False)
    except OSError as error:
        raise _unreadable(path, error) from error


def _checked(file: BinaryIO, path: str, size: int, sha256: str
             ) -> files.Checked:
    """A file that is about to be sent, verified.

    :raises: Rejected if it has changed since it was fetched.
    """
    image = files.Checked(file, size, sha256)
    try:
        seen = image.verify()
    except OSError as error:
        raise _unreadable(path, error) from error
    if seen is not None:
        raise Rejected(f'{path}: the image has changed since it was checked',
                       error_class=ErrorClass.NEEDS_OPERATOR,
                       expected=f'{size} bytes, sha256 {sha256}', seen=seen)
    return image


def _unreadable(path: str, error: OSError) -> Rejected:
    return Rejected(f'{path}: cannot read the image: {error.strerror}',
                    error_class=ErrorClass.NEEDS_OPERATOR)


def _lost(method: str, uri: str, error: BaseException,
          sent: image_body.ImageBody | None) -> OutcomeUnknown | Unreachable:
    """The error for a transport error: whether anything was sent."""
    text = f'{method} {uri}: {type(error).__name__}: {error}'
    never = isinstance(error, requests_errors.ConnectTimeout
                       | requests_errors.SSLError
                       | requests_errors.ProxyError)
    seen: BaseException | None = error
    while seen is not None and not never:
        inner = seen.args[0] if seen.args else None
        reason = getattr(inner, 'reason', None)
        never = isinstance(
            reason, urllib3.exceptions.NewConnectionError
            | urllib3.exceptions.ConnectTimeoutError)
        seen = seen.__context__
    if sent is not None and sent.image.changed:
        kind = OutcomeUnknown if sent.gone else Unreachable
        return kind(
            f'{method} {uri}: the image changed during the transfer, which '
            f'was stopped after {sent.gone} bytes',
            error_class=ErrorClass.NEEDS_OPERATOR,
            todo='find what writes to the image cache, and check the BMC')
    if never or (sent is not None and not sent.gone):
        return Unreachable(text, error_class=ErrorClass.TRANSIENT)
    gone = f'{sent.gone} of {len(sent)} bytes' if sent else 'the request'
    return OutcomeUnknown(
        f'{text}: {gone} had been sent', error_class=ErrorClass.TRANSIENT,
        todo='check the BMC: it may still act on the request')
