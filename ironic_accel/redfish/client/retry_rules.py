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

"""When a write is sent again: after "not now", and with another If-Match.

After a response that means "not now" nothing was written. The write is sent
again later, and the response does not count as an attempt. Sources of the
rows: DSP0266 (503 and 429 with Retry-After); DMTF message registries Base
1.18 and Update 1.0, by resolutions such as "resubmit the request". Vendors'
own registries are in the vendors' tables.

A write that is rejected for its precondition (412, 428) is sent again with
the ETag in another form. RFC 9110 requires the tag in quotes and a strong
comparison, so that a tag with ``W/`` never matches; services differ.
Sources: DSP0266 (the ETag header, the property ``@odata.etag``); sushy 5.14
``connector.py``, ``_etag_handler`` (the weak tag as a strong one, then
none); ansible-collections/community.general 3268 and 3296 (a header with
one more pair of quotes than the property; the bare tag), 6434 (a tag is
required, and not in the weak form) and 11261 (any tag is rejected).
"""

from __future__ import annotations

from collections.abc import Iterable
import datetime
import email.utils
import re

from ironic_accel.redfish.vendors import registry
from ironic_accel.redfish.vendors.task_rows import NotNow

#: Lower and upper limit of a Retry-After time, seconds.
SHORTEST, LONGEST = 1.0, 600.0

#: HTTP statuses of a write that is rejected for its precondition.
PRECONDITION_REFUSED = frozenset({412, 428})

#: Maximum number of If-Match values that are tried.
MOST_TAGS = 7

#: Pattern of an entity tag (RFC 9110, without spaces).
_TAG = re.compile(r'[\x21-\x7e]{1,512}')


#: Rows of the standards; those of the vendors come after them.
NOT_NOW: tuple[NotNow, ...] = (
    # HTTP (DSP0266), whatever the body. 408: the service stopped waiting for
    # the request; 425: it does not process the request yet, as its clock or
    # session is not ready.
    NotNow(statuses=frozenset({408, 425, 429, 503})),
    # An expired session: a new one is created before the request is sent
    # again.
    NotNow(statuses=frozenset({401}), wait=2.0),
    # DMTF Base and Update.
    NotNow(frozenset({'ResourceInUse', 'ServiceTemporarilyUnavailable',
                      'ServiceShuttingDown', 'ServiceInUnknownState',
                      'ResourceInStandby', 'ResourceExhaustion',
                      'UpdateInProgress', 'SessionLimitExceeded'})),
)


def _rows() -> tuple[NotNow, ...]:
    return (*NOT_NOW, *(row for vendor in registry.vendors()
                        for row in vendor.not_now))


def wait(status: int, message_ids: Iterable[str],
         retry_after: float | None) -> float | None:
    """Seconds to wait before a request is sent again, or None for never.

    :param message_ids: all MessageIds of the response.
    :param retry_after: result of ``seconds``.
    """
    ids = list(message_ids)
    for row in _rows():
        if status in row.statuses or any(_in(row, i) for i in ids):
            return row.wait if retry_after is None else retry_after
    return None


def matching(message_ids: Iterable[str]) -> str | None:
    """The first MessageId that means "not now"."""
    return next((i for i in message_ids
                 if any(_in(row, i) for row in _rows())), None)


def _in(row: NotNow, message_id: str) -> bool:
    """Whether a row has ``Registry.1.2[.3].Name``, or the bare name."""
    parts = message_id.strip().split('.')
    registry = parts[0] if len(parts) > 1 else ''
    return parts[-1] in row.ids and (
        re.fullmatch(row.registry, registry) is not None)


def seconds(text: str | None, date: str | None = None) -> float | None:
    """A Retry-After header in seconds, within the limits; None if it is
    invalid.

    :param text: a number of seconds, or a date (RFC 9110).
    :param date: the Date header of the same response: a date is relative to
        the clock of the BMC, which may differ from ours.
    """
    if not text or len(text) > 64:
        return None
    text = text.strip()
    if re.fullmatch(r'[0-9]+', text):
        # The number of digits is limited before the conversion.
        return _bounded(float(text) if len(text) < 10 else LONGEST)
    if re.fullmatch(r'[0-9]{1,9}\.[0-9]*', text):
        return _bounded(float(text))
    when = _moment(text)
    if when is None:
        return None
    now = _moment(date) or datetime.datetime.now(datetime.UTC)
    return _bounded((when - now).total_seconds())


def _bounded(value: float) -> float:
    return min(max(value, SHORTEST), LONGEST)


def _moment(text: str | None) -> datetime.datetime | None:
    if not text:
        return None
    try:
        found = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)


def if_match_values(header: str | None, body: str | None) -> list[str]:
    """The values to send as If-Match, in the order in which they are tried.

    :param header: the current ETag header of the resource.
    :param body: its ``@odata.etag``.
    :returns: each value once; at most ``MOST_TAGS``.
    """
    told = [t.strip() for t in (header, body) if t and _TAG.fullmatch(
        t.strip())]
    out = list(told)
    out += [t.removeprefix('W/') for t in told if t.startswith('W/')]
    bare = [t.removeprefix('W/').strip('"') for t in told]
    # With one pair of quotes, whatever number it had.
    out += [f'"{b}"' for b in bare if b]
    out += [b for b in bare if b]
    if told:
        out.append('*')
    return list(dict.fromkeys(out))[:MOST_TAGS]
