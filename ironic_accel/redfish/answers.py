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

"""What services say to writes: taken, turned down, busy, or nothing known."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import email.utils
import time
from typing import Any

import requests

from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected

#: What a busy service is left alone for where it does not say, seconds.
_BUSY = 60.0
#: What a write waits that met an expired session, seconds.
_AGAIN = 2.0
_ANSWER_LIMIT = 256 * 1024


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What a service said to a write that it took.

    :ivar location: of the task monitor, or None.
    :ivar doc: the body, where it is a JSON object.
    """

    status: int
    location: str | None
    doc: Mapping[str, Any]
    retry_after: float | None = None


def judge(method: str, uri: str, response: requests.Response) -> Answer:
    """Tell a taken write from one that was turned down.

    :raises: Rejected; OutcomeUnknown for a gateway's answers, which say
        nothing of what the BMC did.
    """
    status = response.status_code
    doc = _body(response)
    after = retry_after(response.headers.get('Retry-After'))
    if status < 300:
        return Answer(status, response.headers.get('Location'), doc, after)
    message_id, text = message(doc)
    summary = f'{method} {uri}: {text or response.reason or "turned down"}'
    detail = Detail(summary, ErrorClass.PERMANENT, seen=f'HTTP {status}',
                    message_id=message_id)
    if status in (502, 504):
        raise OutcomeUnknown(detail, error_class=ErrorClass.TRANSIENT)
    if status in (429, 503):
        raise Rejected(detail, _BUSY if after is None else after,
                       error_class=ErrorClass.TRANSIENT)
    if status == 401:
        raise Rejected(detail, _AGAIN, error_class=ErrorClass.TRANSIENT)
    if status >= 500:
        raise Rejected(detail, error_class=ErrorClass.TRANSIENT)
    raise Rejected(detail, busy_wait(message_id))


#: MessageIds (without registry and version) of a service that is busy now.
_BUSY_IDS = frozenset({
    'ResourceInUse', 'ServiceTemporarilyUnavailable', 'UpdateInProgress',
    'ResourceInStandby', 'ServiceInUnknownState', 'SYS518'})


def busy_wait(message_id: str | None) -> float | None:
    """How long to wait where a MessageId says that the service is busy."""
    name = (message_id or '').rsplit('.', 1)[-1]
    return _BUSY if name in _BUSY_IDS else None


def retry_after(text: str | None) -> float | None:
    """A Retry-After header: seconds, or a date."""
    if not text:
        return None
    if text.strip().isdigit():
        return float(text)
    try:
        when = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, when.timestamp() - time.time())


def _body(response: requests.Response) -> Mapping[str, Any]:
    if len(response.content) > _ANSWER_LIMIT:
        return {}
    try:
        doc = response.json()
    except ValueError:
        return {}
    return doc if isinstance(doc, dict) else {}


def message(doc: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """MessageId and text of an error answer, the gravest first."""
    error = doc.get('error')
    error = error if isinstance(error, dict) else {}
    told = error.get('@Message.ExtendedInfo')
    told = told if isinstance(told, list) else [told]
    told = [m for m in told if isinstance(m, dict)]
    order = {'Critical': 0, 'Warning': 1}
    told.sort(key=lambda m: order.get(
        str(m.get('MessageSeverity') or m.get('Severity')), 2))
    first: Mapping[str, Any] = told[0] if told else {}
    message_id = first.get('MessageId') or error.get('code')
    text = first.get('Message') or error.get('message')
    return (message_id if isinstance(message_id, str) else None,
            text if isinstance(text, str) else None)
