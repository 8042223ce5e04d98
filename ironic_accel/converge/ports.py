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

#: What a backend returns for a write in progress; plain JSON, so that it can
#: be saved in a record and polled by another process. ``transport`` names the
#: backend.
Ticket = Mapping[str, Any]

Answered = Literal['told', 'refused', 'unknown', 'not-sent']


@dataclasses.dataclass(frozen=True, slots=True)
class Running:
    """The write is in progress.

    :ivar percent: 0 to 100, or None if the progress is not reported.
    """

    summary: str
    percent: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """The result of one item; a failed one has a detail.

    :ivar answer: what is known of the request for this item: its result
        (``told``); a permanent rejection (``refused``); no result, so that
        an inventory has to show it (``unknown``); it was never sent, which
        does not count as an attempt (``not-sent``).
    """

    ref: Ref
    ok: bool
    detail: Detail | None = None
    answer: Answered = 'told'


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    """The write ended. This proves neither the value nor its activation.

    :ivar at_reset: whether the BMC reports that it waits for a host reset:
        until then it writes nothing and shows nothing.
    """

    results: tuple[Result, ...]
    at_reset: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Unknown:
    """The write is no longer reported: an inventory shows its result.

    :ivar hidden: whether it may continue unreported, because the BMC
        accepted it and its task has disappeared since.
    """

    reason: str
    hidden: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Continues:
    """The write needs a second request (an upload that has to be started).

    :ivar ticket: for the next poll. If it contains ``GO``, that poll sends
        the request: once, and only after the record has been saved.
    """

    ticket: Ticket


#: The key in a ticket whose poll sends a second request.
GO = 'go'

Poll = Running | Ended | Unknown | Continues


@dataclasses.dataclass(frozen=True, slots=True)
class Ready:
    """The image is available, and its digest is that of the profile.

    :ivar path: a local file, to be read only.
    :ivar size: bytes.
    """

    path: str
    size: int
    sha256: str


@dataclasses.dataclass(frozen=True, slots=True)
class Fetching:
    """The image is being fetched."""

    summary: str
    percent: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Bad:
    """The image is not available, or does not match the profile."""

    reason: str
    expected: str | None = None
    seen: str | None = None


class Backend(Protocol):
    """Reads and changes the devices of a system by one or more transports.

    No method blocks longer than one request to each device of the action,
    except a push, which takes as long as the transfer of the image. A backend
    never resets the host.
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
            (``device_marks.identities``).
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
        """What can be done on a system that was just read. No traffic.

        :param pushes: push methods of the profile's images: what else each
            of them would write is in ``UpdateTarget.pushes``.
        :returns: nothing, unless a backend changes devices.
        """
        return ()

    def announce(self, action: Action, image: Ready | None = None) -> None:
        """Take note of a write whose intent is saved next. No traffic.

        What a caller keeps of it for its history is saved with the intent.
        """
        return

    def start(self, action: Action, image: Ready | None = None,
              spec: Image | None = None, force: bool = False) -> Ticket:
        """Start a write; called once per intent, never as a retry.

        If it takes a request for each device, it ends with the first one
        whose answer is lost; the results name what was not sent.

        :param image: the file, for ``update``.
        :param spec: what the profile says of the image (its push style).
        :param force: whether the profile allows a forced write.
        :raises: errors.Rejected and errors.Unreachable if nothing was
            written; errors.OutcomeUnknown if that is not known.
        """
        ...

    def commit(self, refs: Sequence[Ref]) -> tuple[str, ...]:
        """Copy running firmware to its fallback slot.

        Called once, at the end of a run that updated and verified these
        components. A system that copies by itself, or has no second slot,
        has nothing to do.

        :returns: what is being copied; the BMC is busy until it is done.
        :raises: errors.Rejected; errors.Unreachable; errors.OutcomeUnknown.
            It can be asked again.
        """
        return ()

    def poll(self, ticket: Ticket) -> Poll:
        """Get the state of a write.

        :param ticket: if it contains ``GO``, a second request is sent; the
            errors are then those of ``start``.
        :raises: errors.Unreachable if the system does not answer.
        """
        ...


class Images(Protocol):
    """The source of images."""

    def get(self, image: Image) -> Ready | Fetching | Bad:
        """The image, or the progress of its transfer. Does not block."""
        ...


class Journal(Protocol):
    """The storage of the record."""

    def save(self, record: Record) -> None:
        """Store a record; it is durable when this returns.

        :raises: any error of the storage: the caller then does nothing.
        """
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Pace:
    """Timeouts and intervals of the loop, in seconds.

    :ivar poll: between two polls of a write in progress.
    :ivar look: between two inventories of a system that is not ready.
    :ivar fetch: between two polls of an image transfer.
    :ivar incomplete: for devices to appear after a host reset (on real
        machines GPUs are missing for minutes after power-on).
    :ivar appear: for a missing device to appear after a host reset, on a
        system that reports that it is ready.
    :ivar unreachable: for a system that does not answer.
    :ivar lost: for a write whose task is no longer reported, before it
        counts as not done: the BMC may still be writing.
    :ivar gone: the same for an update that the BMC accepted. It covers the
        longest updates, so that neither a second push nor a reset happens
        during the first one.
    :ivar busy: for operations that others started.
    :ivar action: for one write; the bundle of a baseboard takes about 20
        minutes, an FPGA up to 40.
    :ivar reset: for a host reset to be performed.
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
