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

"""What is in progress on a system, whoever started it.

Nothing is written to and no host is reset while a system is busy.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class Busy:
    """An operation in progress on the system, whoever started it.

    :ivar kind: ``task``, ``background-copy`` or ``flash``.
    :ivar ref: what names it there: a task URI, a process id.
    :ivar percent: progress, 0 to 100, or None.
    :ivar targets: (device id, component name) pairs that it writes, as far
        as they are reported.
    :ivar image: name or digest of the image, if it is reported.
    :ivar ticket: what a backend polls it with, so that a write whose starter
        died can be adopted; None where it cannot be polled. The results of
        its ``parts``, where it has them, are of (device id, component name,
        ...).
    """

    kind: str
    ref: str
    summary: str = ''
    percent: int | None = None
    targets: tuple[tuple[str, str], ...] = ()
    image: str | None = None
    ticket: Mapping[str, Any] | None = None

    @property
    def words(self) -> str:
        """What it is and its name, for people."""
        if not self.summary or self.ref in self.summary:
            return self.summary or self.ref
        return f'{self.summary} ({self.ref})'

    def renamed(self, name: Callable[[str], str]) -> Busy:
        """The same by other ids of the devices.

        :param name: gives the new id of one.
        """
        ticket = self.ticket
        if ticket is not None and isinstance(ticket.get('parts'), list):
            ticket = {**ticket, 'parts': [
                [name(p[0]), *p[1:]] for p in ticket['parts']]}
        return dataclasses.replace(self, ticket=ticket, targets=tuple(
            (name(d), c) for d, c in self.targets))
