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

A value that is not there can mean four things, and only one of them says
something about the device. Whoever reads a value says which; nobody
further in may guess.
"""

from __future__ import annotations

import dataclasses
import enum


class Standing(enum.StrEnum):
    """How a fact stands.

    ``UNREAD`` is never taken for absent, healthy, idle or done.
    """

    #: There is a value, and a source told it.
    TOLD = 'told'
    #: The source says that there is no such thing: not populated, not
    #: installed, not supported.
    ABSENT = 'absent'
    #: No source that was read has such a property.
    UNTOLD = 'untold'
    #: It was asked for; an error, a hang, garbage or a part came back.
    UNREAD = 'unread'


@dataclasses.dataclass(frozen=True, slots=True)
class Unread:
    """Something that could not be read.

    :ivar source: the URI, or the tool (``nvml``, ``mstflint``), asked.
    :ivar answer: what came back: ``HTTP 503 Service Unavailable``,
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
