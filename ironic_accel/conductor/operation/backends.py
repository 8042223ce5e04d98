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

"""Where a node is observed and written to: its BMC, and its children's.

One plan spans them: a DPU's mode is set through its own BMC, and the reset
that activates it is the host's. ``GuardedBackend`` is what the converge loop
gets of them: it counts the requests, keeps the last inventory, and serializes
the writes of nodes that share a BMC.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Sequence
import dataclasses
import functools
from typing import Any
import zlib

from ironic.common import exception

from ironic_accel.conductor.access import agent_backend
from ironic_accel.conductor.access.agent_backend import AgentBackend
from ironic_accel.conductor.access.agent_client import AgentCalls
from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.access import ipmi_backend
from ironic_accel.conductor.access.ipmi_backend import IpmiBackend
from ironic_accel.conductor.access import related_nodes
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import history
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node.operation import Operation
from ironic_accel.conductor.node.operation import REFRESH_WORK
from ironic_accel.conductor.node import queries
from ironic_accel.conductor.node import saving
from ironic_accel.converge.composite import Both
from ironic_accel.converge.composite import CountingBackend
from ironic_accel.converge.composite import Delegating
from ironic_accel.converge.composite import TRANSPORT
from ironic_accel.converge.ports import Backend
from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import GO
from ironic_accel.converge.ports import Poll
from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Ticket
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Warned
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.identity import Known
from ironic_accel.model.identity import NOBODY
from ironic_accel.model.identity import Source
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Ref
from ironic_accel.model.plan import Transport
from ironic_accel.model.profile import Image
from ironic_accel.model.profile import Push
from ironic_accel.redfish.backend import NAME


def backend(task: Any, current: Operation) -> Backend:
    """The backend of a node, including the backends of its child nodes.

    A child node in maintenance is left out: a DPU whose BMC has failed does
    not block the other devices of its host.

    :raises: Unreachable if the BMC of the node does not respond; AccelError if
        no transport can reach the node.
    """
    agent = AgentBackend(AgentCalls(task)) if current.in_band else None
    if queries.bmc_address(task.node) is None:
        if agent is None and task.node.driver == ipmi_backend.DRIVER:
            return Both({ipmi_backend.NAME: IpmiBackend(task)})
        if agent is None:
            raise AccelError(
                'no transport can reach the accelerators of this node',
                error_class=ErrorClass.NEEDS_OPERATOR, node=task.node.uuid,
                expected='redfish_address in driver_info, or an in-band step')
        return Both({agent_backend.NAME: agent})
    # One action may take a request for each of its devices: a conductor that
    # loses the node in between sends no more of them.
    fence = functools.partial(operation.check_held, task.node, current)
    own = bmc_session.backend(task.node, before_write=fence)
    if task.node.parent_node:
        standing = flash_guard.applicable(task)
        return ReadOnlyBackend(own, 'a child node can only be changed by '
                                    'steps of its '
                                    'parent', standing is not None)
    return HostBackend(own, lambda: _with_children(task, current, own, agent,
                                                   fence))


def _with_children(task: Any, current: Operation, own: Backend,
                   agent: Backend | None, fence: Callable[[], None]) -> Both:
    """The backends of a host and of its child nodes."""
    transports: dict[str, Backend] = {NAME: own}
    for child in related_nodes.children(task):
        if child.maintenance or queries.bmc_address(child) is None:
            continue
        name = transport_name(child)
        inner: Backend = ChildBackend(child, name, fence)
        why = related_nodes.child_in_use(child, current.disruption)
        if why:
            inner = ReadOnlyBackend(inner, why)
        transports[name] = inner
    if agent is None:
        return Both(transports)
    return Both({**transports, agent_backend.NAME: agent},
                # The monitoring of an update, too, learns from the BMC that
                # the host lost its power.
                needed=() if current.work == 'watch' else (
                    agent_backend.NAME,))


def transport_name(child: Any) -> str:
    """The name of the way through a child's BMC."""
    return f'{NAME}-{child.name or child.uuid[:8]}'


class HostBackend(Delegating):
    """The BMC of a host, with the others through which it is changed.

    They are looked up when first needed: most ticks poll a write that the
    BMC of the host itself makes.

    :param own: its own BMC.
    :param complete: gives all of them.
    """

    def __init__(self, own: Backend, complete: Callable[[], Backend]) -> None:
        super().__init__(Both({NAME: own}))
        self._complete = functools.cache(complete)

    def _target(self) -> Backend:
        return self._complete()

    def poll(self, ticket: Ticket) -> Poll:
        """See what became of a write; see ports.Backend."""
        own = ticket.get(TRANSPORT, NAME) == NAME
        return (self._backend if own else self._target()).poll(ticket)


class ChildBackend(Delegating):
    """The BMC of a child node, connected to when it is first needed.

    One that does not answer makes an inventory incomplete; it is the host's
    BMC alone without which there is no inventory at all.

    :param node: the child node.
    :param name: of the way through its BMC.
    :param before_write: called before each request that changes something.
    """

    def __init__(self, node: Any, name: str,
                 before_write: Callable[[], None] | None = None) -> None:
        self._node = node
        self._name = name
        self._before_write = before_write
        self._connected: Backend | None = None

    def _target(self) -> Backend:
        if self._connected is None:
            try:
                self._connected = bmc_session.backend(
                    self._node, self._name, self._before_write)
            except exception.IronicException as exc:
                raise self._unreachable(
                    str(exc), ErrorClass.NEEDS_OPERATOR) from exc
            except Unreachable as exc:
                raise self._unreachable_as(exc) from exc
        return self._connected

    def _unreachable(self, why: str, kind: ErrorClass) -> Unreachable:
        """That it is this BMC which does not answer, and not the host's."""
        name = self._node.name or self._node.uuid
        return Unreachable(f'the BMC of child node {name} is not reachable: '
                           f'{why}', error_class=kind, node=self._node.uuid)

    def _unreachable_as(self, exc: Unreachable) -> Unreachable:
        """The same failure, named after this BMC."""
        return type(exc)(self._unreachable(
            exc.detail.summary, exc.detail.error_class).detail,
            todo=exc.detail.todo)

    def sources(self) -> tuple[Source, ...]:
        """Read the child's inventory; see ports.Backend."""
        try:
            # It shows one card: what it lacks may be there all the same.
            return tuple(dataclasses.replace(s, whole=False)
                         for s in super().sources())
        except Unreachable as exc:
            if exc.detail.node == self._node.uuid:
                raise
            raise self._unreachable_as(exc) from exc


class ReadOnlyBackend(Delegating):
    """A backend through which nothing is written.

    What was begun before is still polled.

    :param why: why nothing is written, in a few words.
    :param changing: whether another step changes the system just now: what
        is seen then is no basis for anything.
    """

    def __init__(self, backend: Backend, why: str,
                 changing: bool = False) -> None:
        super().__init__(backend)
        self._why = why
        self._changing = changing

    def sources(self) -> tuple[Source, ...]:
        """Read the inventories; see ports.Backend."""
        sources = super().sources()
        if not self._changing:
            return sources
        why = 'an operation on the parent node is in progress'
        return tuple(dataclasses.replace(s, inventory=dataclasses.replace(
            s.inventory, complete=False,
            lacking=(*s.inventory.lacking, why), warnings=(
                *s.inventory.warnings, Warned('parent', why))))
            for s in sources)

    def transports(self, inventory: Inventory, pushes: Collection[Push] = ()
             ) -> tuple[Transport, ...]:
        """None."""
        return ()

    def start(self, action: Action, image: Ready | None = None,
              spec: Image | None = None, force: bool = False) -> Ticket:
        """Begin nothing.

        :raises: Rejected.
        """
        raise Rejected(self._why)

    def commit(self, refs: Sequence[Ref]) -> tuple[str, ...]:
        """Commit nothing."""
        return ()


class GuardedBackend(CountingBackend):
    """The backend of one tick.

    :param task: a task with an exclusive lock on the node.
    :param current: the operation.
    :param backend: the backend that does the work.
    :param updates: whether images may be written; without it no transport can,
        and a plan that needs it is refused before anything begins.
    :param read_with: the token of the node, if the tick has not saved it
        (``saving.claim``).
    :ivar updates: as given.
    :ivar last: the last inventory, or None.
    :ivar polled: the result of the last poll, or None if an inventory came
        after it.
    """

    def __init__(self, task: Any, current: Operation, backend: Backend,
                 updates: bool = True, read_with: str | None = None) -> None:
        super().__init__(backend)
        self._read_with = read_with
        self._task = task
        self._current = current
        self.changes = history.changes_of(task.node, current)
        self.updates = updates
        self.last: Inventory | None = None
        self.polled: Poll | None = None

    def observe(self, known: Known = NOBODY) -> Inventory:
        """Read the inventory; see ports.Backend.

        A conductor that had the node before begins no write any more, which
        this inventory would miss. What is read to be published decides on no
        write.

        :raises: NotOurs.
        """
        if self._read_with is not None and self._current.work != REFRESH_WORK:
            saving.claim(self._task.node, self._read_with)
        self.last, self.polled = None, None
        self.last = super().observe(known)
        return self.last

    def transports(self, inventory: Inventory, pushes: Collection[Push] = ()
             ) -> tuple[Transport, ...]:
        """What can be done, and may be; see ports.Backend."""
        transports = super().transports(inventory, pushes)
        if self.updates:
            return transports
        return tuple(dataclasses.replace(w, updates={}) for w in transports)

    def all_transports(self, inventory: Inventory,
                 pushes: Collection[Push] = ()) -> tuple[Transport, ...]:
        """What can be done at all, whatever this operation may do."""
        return super().transports(inventory, pushes)

    def start(self, action: Action, image: Ready | None = None,
              spec: Image | None = None, force: bool = False) -> Ticket:
        """Begin a write if this conductor still holds the node and its BMC.

        :raises: NotOurs; Rejected if another node has just begun to write
            through the same BMC: the journal checked that before our intent
            was saved, this is the check after it.
        """
        other = (None if action.transport == agent_backend.NAME
                 else related_nodes.writing_node(self._task))
        if other:
            raise Rejected(
                f'node {other} has an update in progress on the same BMC',
                retry_after=5 + zlib.crc32(
                    self._task.node.uuid.encode()) % 11,
                error_class=ErrorClass.TRANSIENT)
        history.note_write(self._task.node, self._current, action, image)
        # Nothing that takes time comes between this check and the write.
        operation.check_held(self._task.node, self._current)
        try:
            return super().start(action, image, spec, force)
        except Rejected as exc:
            if exc.retry_after is not None:
                exc.retry_after = clock.bounded(exc.retry_after)
            raise

    def announce(self, action: Action, image: Ready | None = None) -> None:
        """Put the write onto the node; the journal saves it."""
        super().announce(action, image)
        history.keep(self._task.node, self.changes)

    def commit(self, refs: Sequence[Ref]) -> tuple[str, ...]:
        """Make running firmware the fallback too; see ports.Backend.

        :raises: NotOurs, Held.
        """
        flash_guard.check_hold(self._task)
        operation.check_held(self._task.node, self._current)
        return super().commit(refs)

    def poll(self, ticket: Ticket) -> Poll:
        """See what became of a write; see ports.Backend."""
        self.polled = None
        if ticket.get(GO):
            # It sends the second request of a write that was begun.
            operation.check_held(self._task.node, self._current)
        self.polled = super().poll(ticket)
        if isinstance(self.polled, Ended):
            history.note_not_sent(
                self._task.node, self._current, self.polled)
        return self.polled
