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

An answer that means "not now" is waited out and does not count as an
attempt; nothing was written. Sources of the rows: DSP0266 (503 and 429 with
Retry-After); DMTF message registries Base 1.18 and Update 1.0, by the
resolutions "resubmit the request" and the like. Vendors' own registries are
in the vendors' tables.

A write that is refused for its precondition (412, 428) is sent again with the
ETag in another form. RFC 9110 has the whole tag in quotes, compared strongly,
so that one with ``W/`` before it never matches; services differ. Sources:
DSP0266 (the ETag header, the property ``@odata.etag``); sushy 5.14
``connector.py``, ``_etag_handler`` (weak turned into strong, then none at
all); ansible-collections/community.general 3268 and 3296 (a header that
quotes the tag once more than the property does; the bare tag), 6434 (one is
wanted, and not in the weak form) and 11261 (any is turned down).
"""

from __future__ import annotations

from collections.abc import Iterable
import datetime
import email.utils
import re

from ironic_accel.redfish.vendors import registry
from ironic_accel.redfish.vendors.task_rows import NotNow

#: The shortest and the longest that a service may send us away, seconds.
SHORTEST, LONGEST = 1.0, 600.0

#: HTTP statuses that refuse a write for its precondition.
PRECONDITION_REFUSED = frozenset({412, 428})

#: How many values of If-Match are tried.
MOST_TAGS = 7

#: What an entity tag may be (RFC 9110, without blanks).
_TAG = re.compile(r'[\x21-\x7e]{1,512}')


#: What the standards say; the vendors' tables come after it.
NOT_NOW: tuple[NotNow, ...] = (
    # HTTP (DSP0266): whatever the body says. 408: the service gave up
    # waiting for the request; 425: it will not risk it before its clock or
    # session is settled.
    NotNow(statuses=frozenset({408, 425, 429, 503})),
    # An expired session: a new one is made before the request is sent anew.
    NotNow(statuses=frozenset({401}), wait=2.0),
    # DMTF Base and Update.
    NotNow(frozenset({
        'ResourceInUse', 'ServiceTemporarilyUnavailable',
        'ServiceShuttingDown', 'ServiceInUnknownState', 'ResourceInStandby',
        'ResourceExhaustion',
        'UpdateInProgress', 'SessionLimitExceeded'})),
)


def _rows() -> tuple[NotNow, ...]:
    return (*NOT_NOW, *(row for vendor in registry.vendors()
                        for row in vendor.not_now))


def wait(status: int, message_ids: Iterable[str],
         retry_after: float | None) -> float | None:
    """How long to wait before a request is sent again, or None for never.

    :param message_ids: all of the answer, wherever they stand in it.
    :param retry_after: seconds, as ``seconds`` gives them.
    """
    ids = list(message_ids)
    for row in _rows():
        if status in row.statuses or any(_in(row, i) for i in ids):
            return row.wait if retry_after is None else retry_after
    return None


def matching(message_ids: Iterable[str]) -> str | None:
    """The first MessageId that says "not now"."""
    return next((i for i in message_ids
                 if any(_in(row, i) for row in _rows())), None)


def _in(row: NotNow, message_id: str) -> bool:
    """``Registry.1.2[.3].Name``, or the name alone."""
    parts = message_id.strip().split('.')
    registry = parts[0] if len(parts) > 1 else ''
    return parts[-1] in row.ids and (
        re.fullmatch(row.registry, registry) is not None)


def seconds(text: str | None, date: str | None = None) -> float | None:
    """A Retry-After header in seconds, within the bounds; None if it says
    nothing that can be understood.

    :param text: a number of seconds, or a date (RFC 9110).
    :param date: the Date header of the same answer: a date is meant by the
        clock of the BMC, which need not be ours.
    """
    if not text or len(text) > 64:
        return None
    text = text.strip()
    if re.fullmatch(r'[0-9]+', text):
        # A number of any length is bounded before it is made one.
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
    """What to send as If-Match, in the order in which it is tried.

    :param header: the ETag header of the resource, just read.
    :param body: its ``@odata.etag``.
    :returns: each value once; not more than ``MOST_TAGS``.
    """
    told = [t.strip() for t in (header, body) if t and _TAG.fullmatch(
        t.strip())]
    out = list(told)
    out += [t.removeprefix('W/') for t in told if t.startswith('W/')]
    bare = [t.removeprefix('W/').strip('"') for t in told]
    # Quoted once, whatever number of quotes it came in.
    out += [f'"{b}"' for b in bare if b]
    out += [b for b in bare if b]
    if told:
        out.append('*')
    return list(dict.fromkeys(out))[:MOST_TAGS]
