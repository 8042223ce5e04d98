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

"""The ports of the loop: what it calls, and how long it waits for it."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any, Literal, Protocol

from ironic_accel.model import unite
from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import Detail
from ironic_accel.model.identity import Known
from ironic_accel.model.identity import NOBODY
from ironic_accel.model.identity import Source
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Ref
from ironic_accel.model.plan import Transport
from ironic_accel.model.profile import Image
from ironic_accel.model.profile import Push
from ironic_accel.model.record import Record

#: What a backend gives for a write under way; plain JSON, so that it can be
#: saved in a record and polled by another process. ``way`` names the backend.
Ticket = Mapping[str, Any]

Answered = Literal['told', 'refused', 'unknown', 'not-sent']


@dataclasses.dataclass(frozen=True, slots=True)
class Running:
    """The write goes on.

    :ivar percent: 0 to 100, or None where it is not told.
    """

    summary: str
    percent: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """What became of one item; a failed one says why.

    :ivar answer: what is known of the request of this item: how it ended
        (``told``); that the box turns it down for good (``refused``); nothing,
        so that a look has to tell (``unknown``); that it was never sent,
        which is no attempt (``not-sent``).
    """

    ref: Ref
    ok: bool
    detail: Detail | None = None
    answer: Answered = 'told'


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    """The write is over. It says nothing of activation, nor is it a proof.

    :ivar at_reset: whether the box itself says that what is left is a reset
        of the host: it does nothing until then, and shows nothing either.
    """

    results: tuple[Result, ...]
    at_reset: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows of the write any more: settle by looking.

    :ivar hidden: whether it may well go on, unseen, as the box took it and
        has forgotten its task since.
    """

    reason: str
    hidden: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Continues:
    """The write wants a second request (an upload that is to be started).

    :ivar ticket: to be polled with next. Where it has ``GO`` in it, that
        very poll sends the request: once, and after it is saved that it is
        about to be sent.
    """

    ticket: Ticket


#: The key in a ticket whose poll sends a second request.
GO = 'go'

Poll = Running | Ended | Unknown | Continues


@dataclasses.dataclass(frozen=True, slots=True)
class Ready:
    """The image is here, and its digest is the profile's.

    :ivar path: a local file, to be read only.
    :ivar size: bytes.
    """

    path: str
    size: int
    sha256: str


@dataclasses.dataclass(frozen=True, slots=True)
class Fetching:
    """The image is on its way."""

    summary: str
    percent: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Bad:
    """The image cannot be had, or is not what the profile says."""

    reason: str
    expected: str | None = None
    seen: str | None = None


class Backend(Protocol):
    """One way (or several) to see and change the devices of a box.

    No method blocks longer than one request to each device of the action
    takes, a push excepted, which takes as long as the image takes to be
    sent. Host resets are never its business.
    """

    def sources(self) -> tuple[Source, ...]:
        """Read the inventory, as each transport and endpoint shows it.

        The devices have the ids that their reader has for them.

        :raises: errors.Unreachable where the system does not answer.
        """
        ...

    def observe(self, known: Known = NOBODY) -> Inventory:
        """Read the inventory; its devices have stable ids.

        :param known: what devices were known by before, by their ids
            (``identity.identities``).
        :raises: errors.Unreachable where the system does not answer.
        """
        return unite.inventory(self.sources(), known)

    def starting(self) -> str | None:
        """What shows that the host is still starting, in a few requests.

        Asked after a reset of the host, so that a system which starts for
        minutes is not read whole again and again.

        :returns: in words; None where the host may be up, is off, or
            anything else goes on: then ``observe`` tells.
        :raises: errors.Unreachable where the system does not answer.
        """
        return None

    def transports(self, inventory: Inventory, pushes: Collection[Push] = ()
             ) -> tuple[Transport, ...]:
        """What can be done on a box that was just observed. No traffic.

        :param pushes: ways to push that a profile asks for: what each would
            write besides is in ``UpdateTarget.pushes`` of the components.
        """
        ...

    def start(self, action: Action, image: Ready | None = None,
              spec: Image | None = None, force: bool = False) -> Ticket:
        """Begin a write; called once per intent, never to try again.

        Where it takes a request for each device, one whose answer is lost
        ends it: what was not sent is told with the results (``Result``).

        :param image: the file, for ``burn``.
        :param spec: what the profile says of the image (its push style).
        :param force: whether the profile allows a forced write.
        :raises: errors.Rejected where nothing was written;
            errors.Unreachable likewise; errors.OutcomeUnknown where nobody
            can tell.
        """
        ...

    def commit(self, refs: Sequence[Ref]) -> tuple[str, ...]:
        """Make running firmware the one that the box falls back to, too.

        Asked once at the end of a run that wrote it, about components that
        were proved. Where the box does it by itself, or has no second slot,
        there is nothing to do.

        :returns: what is copied now; the box is busy with it for a while.
        :raises: errors.Rejected; errors.Unreachable; errors.OutcomeUnknown.
            It can be asked again.
        """
        ...

    def poll(self, ticket: Ticket) -> Poll:
        """See what became of a write.

        :param ticket: with ``GO`` in it a second request is sent; then it
            raises as ``start`` does.
        :raises: errors.Unreachable where the box does not answer.
        """
        ...


class Images(Protocol):
    """Where images come from."""

    def get(self, image: Image) -> Ready | Fetching | Bad:
        """The image, or how far its fetching is. Returns at once."""
        ...


class Journal(Protocol):
    """Where the record is kept."""

    def save(self, record: Record) -> None:
        """Keep a record; it is durable when this returns.

        :raises: whatever keeps it from being durable: nothing is then done.
        """
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Pace:
    """Timeouts and intervals of the loop, in seconds.

    :ivar poll: between two polls of a write under way.
    :ivar look: between two looks at a box that is not ready.
    :ivar fetch: between two questions for an image.
    :ivar incomplete: how long devices may take to appear after a host reset
        (GPUs vanish for minutes after power-on on real machines).
    :ivar appear: how long after a host reset a device that is missing may
        still come, on a box that says that it is ready.
    :ivar unreachable: how long a box may be silent.
    :ivar lost: how long a write that nobody can tell of is looked for before
        it counts as not done: a task that a BMC has forgotten may go on.
    :ivar gone: the same for a burn that was taken and whose task the BMC
        has forgotten: as long as the longest ones take, since neither a
        second push nor a reset may meet the first one.
    :ivar busy: how long somebody else's work is waited for.
    :ivar action: how long one write may take before we stop waiting; the
        bundle of a baseboard takes about 20 minutes, an FPGA up to 40.
    :ivar reset: how long a host reset may take to be performed.
    """

    poll: float = 5
    look: float = 10
    fetch: float = 5
    incomplete: float = 1800
    appear: float = 600
    unreachable: float = 900
    lost: float = 300
    gone: float = 2700
    busy: float = 5400
    action: float = 5400
    reset: float = 1800
