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

"""Several transports to one system, as one backend.

The conductor's Redfish beside the agent in the ramdisk; a host's BMC beside
that of the DPU in it. What each sees is joined, and an action goes to the
transport that the plan names. ``CountingBackend`` counts what is sent, as a
plan counts it beforehand.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses

from ironic_accel.converge.ports import Backend
from ironic_accel.converge.ports import Continues
from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Poll
from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Ticket
from ironic_accel.converge.ports import Unknown
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import KINDS
from ironic_accel.model.device import Warned
from ironic_accel.model import errors
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.model import history
from ironic_accel.model.identity import Known
from ironic_accel.model.identity import NOBODY
from ironic_accel.model.identity import Source
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Ref
from ironic_accel.model.plan import Transport
from ironic_accel.model.profile import Image
from ironic_accel.model.profile import Push
from ironic_accel.model.reading_status import Unread


#: The key of a ticket that names the backend which gave it.
TRANSPORT = 'transport'


def _named(inventory: Inventory, name: str) -> Inventory:
    """The inventory with the transport in the tickets of operations in
    progress."""
    busy, halfway = (tuple(
        b if b.ticket is None else dataclasses.replace(
            b, ticket={**b.ticket, TRANSPORT: name}) for b in work)
        for work in (inventory.busy, inventory.halfway))
    return dataclasses.replace(inventory, busy=busy, halfway=halfway)


class Delegating(Backend):
    """A backend that passes every call on to another one.

    What stands before a backend (counts, guards, refuses) derives from it
    and overrides what it changes, so that a method which is new in
    ``ports.Backend`` is passed on by all of them. A unit test compares the
    two.

    ``Both``, which chooses among several backends, does not derive from
    it: it has to say of each method to which of them a call goes.

    :param backend: where calls go.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def _target(self) -> Backend:
        """The backend that a call goes to.

        :raises: Unreachable where one that connects late cannot.
        """
        return self._backend

    def sources(self) -> tuple[Source, ...]:
        """Read the inventories; see ports.Backend."""
        return self._target().sources()

    def starting(self) -> str | None:
        """What shows that the host is still starting; see ports.Backend."""
        return self._target().starting()

    def transports(self, inventory: Inventory, pushes: Collection[Push] = ()
             ) -> tuple[Transport, ...]:
        """What can be done; see ports.Backend."""
        return self._target().transports(inventory, pushes)

    def announce(self, action: Action, image: Ready | None = None) -> None:
        """Take note of a write; see ports.Backend."""
        self._target().announce(action, image)

    def start(self, action: Action, image: Ready | None = None,
              spec: Image | None = None, force: bool = False) -> Ticket:
        """Begin a write; see ports.Backend."""
        return self._target().start(action, image, spec, force)

    def commit(self, refs: Sequence[Ref]) -> tuple[str, ...]:
        """Make running firmware the fallback too; see ports.Backend."""
        return self._target().commit(refs)

    def poll(self, ticket: Ticket) -> Poll:
        """See what became of a write; see ports.Backend."""
        return self._target().poll(ticket)


class Both(Backend):
    """Backends by name; the first one is that of the system itself.

    :param backends: by the name that their ``Transport`` has, in the order in
        which they are preferred.
    :param needed: those that, like the first, are required for an inventory
        of a host that is on.
    """

    def __init__(self, backends: Mapping[str, Backend],
                 needed: Collection[str] = ()) -> None:
        if not backends:
            raise ValueError('backends: none given, expected at least one')
        self._backends = dict(backends)
        self._needed = frozenset(needed)

    def sources(self) -> tuple[Source, ...]:
        """Read the inventory by every transport.

        If one does not answer now (the agent while the host boots), the
        inventory is incomplete, and nothing is decided on it. A device that
        several transports show counts once (``model.identity``).

        :raises: Unreachable where the first or a needed one does not
            answer.
        """
        seen: list[Source] = []
        silent: list[Warned] = []
        for name, backend in self._backends.items():
            try:
                seen += [dataclasses.replace(s, inventory=_named(
                    s.inventory, name)) for s in backend.sources()]
            except errors.Unreachable as error:
                off = any(s.inventory.host == 'off' for s in seen)
                if not seen or (name in self._needed and not off):
                    raise
                silent.append(Warned(name, error.detail.summary))
        if silent:
            seen.append(Source(Inventory(
                seen[0].inventory.system, 'unknown', False,
                warnings=tuple(silent),
                lacking=tuple(s.message for s in silent),
                unread=tuple(Unread(s.uri, s.message, kinds=KINDS)
                             for s in silent))))
        return tuple(seen)

    def starting(self) -> str | None:
        """Whether the host is still starting, by the first backend.

        :raises: Unreachable if it does not answer.
        """
        return next(iter(self._backends.values())).starting()

    def transports(self, inventory: Inventory, pushes: Collection[Push] = ()
             ) -> tuple[Transport, ...]:
        """What each of them can do; no traffic. See ports.Backend."""
        return tuple(transport for backend in self._backends.values()
                     for transport in backend.transports(inventory, pushes))

    def announce(self, action: Action, image: Ready | None = None) -> None:
        """Nothing: what takes note of writes (``CountingBackend``) stands
        before it, and no BMC is connected to for that."""

    def start(self, action: Action, image: Ready | None = None,
              spec: Image | None = None, force: bool = False) -> Ticket:
        """Start a write by the transport of the action.

        :raises: the errors of that backend; Rejected if the transport is no
            longer available.
        """
        backend = self._backends.get(action.transport)
        if backend is None:
            raise errors.Rejected(
                f'transport {action.transport!r} is not available for this '
                'node',
                expected=' or '.join(self._backends), seen=action.transport)
        return {**backend.start(action, image, spec, force),
                TRANSPORT: action.transport}

    def commit(self, refs: Sequence[Ref]) -> tuple[str, ...]:
        """Have each of them commit what it can; see ports.Backend."""
        return tuple(what for backend in self._backends.values()
                     for what in backend.commit(refs))

    def poll(self, ticket: Ticket) -> Poll:
        """Poll the backend that returned the ticket.

        A ticket without a transport belongs to the first one.

        :raises: Unreachable if it does not answer.
        """
        name = str(ticket.get(TRANSPORT, next(iter(self._backends))))
        backend = self._backends.get(name)
        if backend is None:
            return Unknown(f'transport {name!r} is not available')
        polled = backend.poll(ticket)
        if isinstance(polled, Continues):
            return Continues({**polled.ticket, TRANSPORT: name})
        return polled


class CountingBackend(Delegating):
    """Counts writes, device resets and the requests of inventories.

    A write that was rejected, or not sent because the one before it failed,
    is not counted. One whose answer was lost is: it may have arrived.

    :ivar writes: as ``model.plan.Counts`` has them.
    :ivar device_resets: those of the writes that reset a device.
    :ivar requests: requests of all inventories.
    :ivar shown: the last inventory, or None.
    :ivar changes: what was begun to be written, for the history.
    """

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self.changes: history.Changes = ()
        self.shown: Inventory | None = None
        self._before: history.Changes = ()
        self.writes = 0
        self.device_resets = 0
        self.requests = 0

    def observe(self, known: Known = NOBODY) -> Inventory:
        """Read the inventory; see ports.Backend."""
        seen = self.shown = super().observe(known)
        self.requests += seen.requests
        return seen

    def announce(self, action: Action, image: Ready | None = None) -> None:
        """Take note of a write; see ports.Backend."""
        self._before = self.changes
        self.changes = history.begun(
            self.changes, action, image.sha256 if image else None, self.shown)
        super().announce(action, image)

    def start(self, action: Action, image: Ready | None = None,
              spec: Image | None = None, force: bool = False) -> Ticket:
        """Start a write; see ports.Backend."""
        self.writes += action.writes
        self.device_resets += action.device_resets
        try:
            return super().start(action, image, spec, force)
        except (Rejected, Unreachable) as exc:
            self.writes -= action.writes
            self.device_resets -= action.device_resets
            if isinstance(exc, Unreachable) or exc.retry_after is not None:
                # It is begun anew, or never.
                self.changes = self._before
            else:
                self._note_failure(action, exc.detail)
            raise
        except OutcomeUnknown as exc:
            self._note_failure(action, exc.detail)
            raise

    def _note_failure(self, action: Action, detail: Detail) -> None:
        self.changes = history.failed(
            self.changes, dict.fromkeys((i.ref for i in action.items), detail))

    def commit(self, refs: Sequence[Ref]) -> tuple[str, ...]:
        """Copy running firmware to the fallback slot; see ports.Backend."""
        named = super().commit(refs)
        self.writes += bool(named)
        return named

    def poll(self, ticket: Ticket) -> Poll:
        """Read the state of a write; see ports.Backend."""
        found = super().poll(ticket)
        if isinstance(found, Ended):
            self.writes -= sum(
                r.answer == 'not-sent' for r in found.results)
            self.changes = history.failed(self.changes, {
                r.ref: r.detail or Detail('not sent')
                for r in found.results if not r.ok})
        return found
