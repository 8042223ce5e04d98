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

"""The error type of this project, and its wording."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import enum
from typing import Any

from ironic_accel.model.device import Activation

#: The values of resets.
_RESETS = frozenset(map(str, Activation))


class ErrorClass(enum.StrEnum):
    """Who can do something about it."""

    #: Trying again later may work without anybody doing anything.
    TRANSIENT = 'transient'
    #: The same input will fail again.
    PERMANENT = 'permanent'
    #: An operator has to check the hardware, the BMC or the configuration.
    NEEDS_OPERATOR = 'needs-operator'


@dataclasses.dataclass(frozen=True, slots=True)
class Detail:
    """All that is known about a failure; what is unknown is None.

    :ivar summary: what went wrong, in one sentence without a full stop.
    :ivar message_id: the BMC's or the tool's own code for it.
    :ivar running: what is still running on the system.
    :ivar todo: what the operator should do next.
    """

    summary: str
    error_class: ErrorClass = ErrorClass.PERMANENT
    node: str | None = None
    device: str | None = None
    component: str | None = None
    expected: str | None = None
    seen: str | None = None
    message_id: str | None = None
    running: str | None = None
    todo: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The ``error`` of the documents."""
        out = dataclasses.asdict(self)
        out['class'] = out.pop('error_class')
        return out

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Detail:
        """Read ``to_dict`` back, without what a later version added."""
        names = {field.name for field in dataclasses.fields(cls)}
        known = {k: v for k, v in raw.items() if k in names}
        return cls(**known, error_class=ErrorClass(raw['class']))


class AccelError(Exception):
    """The one error type of this project.

    :param detail: what is known, or a sentence.
    """

    def __init__(self, detail: Detail | str, **known: Any) -> None:
        if isinstance(detail, str):
            detail = Detail(detail, **known)
        elif known:
            detail = dataclasses.replace(detail, **known)
        self.detail = detail
        super().__init__(word(detail))


class BadInput(AccelError):
    """What was given is not valid; nothing has been done.

    The summary names the field's path, the value and what was expected. Of
    several errors the attributes have the first one.

    :ivar field: the path of the field, or the option; None if the summary
        alone has it.
    :ivar value: what was given.
    :ivar wanted: what was expected.
    """

    def __init__(self, detail: Detail | str, *, field: str | None = None,
                 value: str | None = None, wanted: str | None = None,
                 **known: Any) -> None:
        super().__init__(detail, **known)
        self.field = field
        self.value = value
        self.wanted = wanted


class Rejected(AccelError):
    """A write was turned down before anything was written.

    :ivar retry_after: seconds after which it may be tried again without
        counting as an attempt (the BMC is busy), or None.
    """

    def __init__(self, detail: Detail | str,
                 retry_after: float | None = None, **known: Any) -> None:
        super().__init__(detail, **known)
        self.retry_after = retry_after


class OutcomeUnknown(AccelError):
    """The connection broke after the first byte of a write had gone.

    It is not known whether the BMC acts on it: it must not be sent again; an
    inventory shows the result.
    """


class Unreachable(AccelError):
    """The system does not answer; no request that changes it was sent."""


class NoAccess(Unreachable):
    """The system lets nobody in, or cannot be trusted, and will not later.

    Its credentials, its certificate or its port are not those that the caller
    was given: somebody has to change one of them, and waiting does not help.
    """


def word(detail: Detail) -> str:
    """A failure in one line.

    The same words serve ``last_error``, the node history, the log and the
    command line.
    """
    where = [f'{label} {value}' for label, value in (
        ('node', detail.node), ('device', detail.device),
        ('component', detail.component)) if value]
    text = f"{', '.join(where)}: " if where else ''
    text += detail.summary
    text += comparison(detail.expected, detail.seen, detail.message_id)
    if detail.running:
        text += f'; still running: {detail.running}'
    if detail.todo:
        text += f'; next: {detail.todo}'
    return f'{text} [{detail.error_class}]'


def comparison(expected: str | None, seen: str | None,
               message_id: str | None = None) -> str:
    """What was expected and what is, in parentheses; empty if not known.

    Of two resets the first one is the strongest that is allowed, and the
    second one the one that is needed: neither was read.
    """
    names = ('allowed', 'needs') if {expected, seen} <= _RESETS else (
        'expected', 'seen')
    facts = [f'{label} {value}' for label, value in zip(
        (*names, 'message'), (expected, seen, message_id), strict=True)
        if value]
    return f" ({', '.join(facts)})" if facts else ''


def printable(text: str) -> str:
    """Text without control characters: a BMC's text goes to terminals."""
    if text.isprintable():
        return text
    return ''.join(c if c.isprintable() else '\N{REPLACEMENT CHARACTER}'
                   for c in text)


def held(hold: Mapping[str, Any]) -> str:
    """Who holds a node and why, from what the node keeps of its hold.

    :param hold: ``reason``, and ``by``: a user's id, or null where Ironic
        does not authenticate users.
    """
    by = f" by {hold['by']}" if hold.get('by') else ''
    return printable(f"held{by}: {hold['reason']}")
