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

"""The status of a reading: reported, absent, not reported or not read.

A missing value can have several causes, and only one of them is a statement
about the device. The reader of a value records the cause; no later code
guesses it.
"""

from __future__ import annotations

import dataclasses
import enum


class Standing(enum.StrEnum):
    """Whether a value was read, and if not, why.

    ``UNREAD`` never counts as absent, healthy, idle or done.
    """

    #: A source reports a value.
    REPORTED = 'reported'
    #: A source reports that it does not exist: not populated, not
    #: installed, not supported.
    ABSENT = 'absent'
    #: No source that was read has such a property.
    NOT_REPORTED = 'not-reported'
    #: The request for it failed: an error, a timeout, or an invalid or partial
    #: answer.
    UNREAD = 'unread'


@dataclasses.dataclass(frozen=True, slots=True)
class Unread:
    """Something that could not be read.

    :ivar source: the URI, or the tool (``nvml``, ``mstflint``).
    :ivar answer: the answer: ``HTTP 503 Service Unavailable``,
        ``no answer in 60 s``, ``no JSON object``.
    :ivar about: id of the device that it is about, None where it is about
        no single one.
    :ivar since: epoch seconds of the first inventory in a row in which it
        was unread, None if earlier ones are not known.
    :ivar kinds: kinds of device that it may hide: their number is not
        known while this is unread, and their inventory is not complete.
    :ivar facts: what of ``about`` it could change, by the names that
        ``Device.unread`` has.
    :ivar holds: whether the activity of the system is unknown without it (a
        task, job or update service): nothing is written or reset then.
    """

    source: str
    answer: str
    about: str | None = None
    since: float | None = None
    kinds: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    holds: bool = False

    @property
    def words(self) -> str:
        """One plain sentence for the operator."""
        what = f' ({self.about})' if self.about else ''
        return f'cannot read {self.source}{what}: {self.answer}'
