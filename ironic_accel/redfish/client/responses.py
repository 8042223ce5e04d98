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

"""The responses to writes: accepted, rejected, busy, or unknown."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
from typing import Any

import requests

from ironic_accel.bounded import web
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.model import strict_json
from ironic_accel.redfish.client import retry_rules
from ironic_accel.redfish.vendors import registry

_ANSWER_LIMIT = 256 * 1024
#: Maximum number of messages that are read of one response.
_MESSAGES = 64


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """The response to an accepted write.

    :ivar location: URI of the task monitor, or None.
    :ivar doc: the body, if it is a JSON object.
    """

    status: int
    location: str | None
    doc: Mapping[str, Any]
    retry_after: float | None = None


class ServiceRejection(Rejected):
    """A write that the service rejected.

    :ivar message_ids: all MessageIds of the response, including that of
        ``detail``.
    """

    message_ids: tuple[str, ...] = ()


class Redirected(Rejected):
    """A write that was answered with a redirect; nothing was done.

    :ivar location: the target, as in the response.
    """

    def __init__(self, detail: Detail, location: str) -> None:
        super().__init__(detail)
        self.location = location


def judge(method: str, uri: str, response: requests.Response) -> Answer:
    """Distinguish an accepted write from a rejected one.

    :raises: Rejected if the service did nothing, with a time to wait if it
        is busy (``retry_rules``); OutcomeUnknown for responses that do not
        show what was done: that of a gateway, and an internal error of a
        write that must not be repeated (some services also return it when an
        accepted image is not processed in time).
    """
    status = response.status_code
    doc = _body(response)
    after = retry_rules.seconds(response.headers.get('Retry-After'),
                            response.headers.get('Date'))
    if status < 300:
        return Answer(status, response.headers.get('Location'), doc, after)
    message_id, text = message(doc)
    ids = message_ids(doc)
    wait = retry_rules.wait(status, ids, after)
    summary = f'{method} {uri}: {text or response.reason or "rejected"}'
    detail = Detail(summary, ErrorClass.PERMANENT, seen=f'HTTP {status}',
                    message_id=retry_rules.matching(ids) or message_id)
    if wait is not None:
        raise Rejected(detail, wait, error_class=ErrorClass.TRANSIENT)
    if status in (502, 504) or (status >= 500 and method == 'POST'
                                and status not in (501, 505)):
        raise OutcomeUnknown(detail, error_class=ErrorClass.TRANSIENT)
    if status >= 500:
        raise Rejected(detail, error_class=ErrorClass.TRANSIENT)
    location = response.headers.get('Location')
    if status in (301, 302, 307, 308) and location:
        raise Redirected(detail, location)
    no = ServiceRejection(detail)
    no.message_ids = tuple(ids)
    raise no


def _body(response: requests.Response) -> Mapping[str, Any]:
    try:
        return strict_json.parse_object(
            web.body(response, _ANSWER_LIMIT), _ANSWER_LIMIT)
    except (strict_json.NotJson, requests.RequestException):
        # The status is known, although the body is not readable.
        return {}


def message(doc: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """MessageId and text of an error response, the most severe one."""
    error = doc.get('error')
    plain = error if isinstance(error, str) else None
    error = error if isinstance(error, Mapping) else {}
    told = list(messages(doc))
    order = {'Critical': 0, 'Warning': 1}
    told.sort(key=lambda m: order.get(
        str(m.get('MessageSeverity') or m.get('Severity')), 2))
    first: Mapping[str, Any] = told[0] if told else {}
    message_id = first.get('MessageId') or error.get('code')
    text = first.get('Message') or error.get('message') or plain
    return (message_id if isinstance(message_id, str) else None,
            text[:1000] if isinstance(text, str) else None)


def messages(doc: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The messages of a response, wherever services put them.

    In ``error`` (DSP0266), at the top level, or where a vendor's row says.
    """
    count = 0
    others = [name for v in registry.vendors() for name in v.message_holders]
    for holder in (doc.get('error'), doc, *map(doc.get, others)):
        if not isinstance(holder, Mapping):
            continue
        told = holder.get('@Message.ExtendedInfo')
        for one in told if isinstance(told, list) else [told]:
            if isinstance(one, Mapping) and count < _MESSAGES:
                count += 1
                yield one


def message_ids(doc: Mapping[str, Any]) -> list[str]:
    """All MessageIds of a response, and the code of its error."""
    error = doc.get('error')
    found = [m.get('MessageId') for m in messages(doc)]
    found.append(error.get('code') if isinstance(error, Mapping) else None)
    return [i for i in found if isinstance(i, str)]
