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

"""A backend as the conductor gives it to the converge loop.

It counts the requests to the BMC, keeps the last inventory, and serializes the
writes of nodes that share a BMC.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Sequence
import dataclasses
from typing import Any
import zlib

from ironic_accel.conductor.access import agent_backend
from ironic_accel.conductor.access import shared_bmc
from ironic_accel.conductor.node import elapsed_time
from ironic_accel.conductor.node import history
from ironic_accel.conductor.node.operation import Operation
from ironic_accel.conductor.node import write_hold
from ironic_accel.conductor.operation.node_journal import check_ours
from ironic_accel.converge.counting import CountingBackend
from ironic_accel.converge.ports import Backend
from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import GO
from ironic_accel.converge.ports import Poll
from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Ticket
from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Rejected
from ironic_accel.model.identity import Known
from ironic_accel.model.identity import NOBODY
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Ref
from ironic_accel.model.plan import Transport
from ironic_accel.model.profile import Image
from ironic_accel.model.profile import Push


class GuardedBackend(CountingBackend):
    """The backend of one tick.

    :param task: a task with an exclusive lock on the node.
    :param current: the operation.
    :param backend: the backend that does the work.
    :param updates: whether images may be written; without it no transport can,
        and a plan that needs it is refused before anything begins.
    :ivar updates: as given.
    :ivar last: the last inventory, or None.
    :ivar polled: the result of the last poll, or None if an inventory came
        after it.
    """

    def __init__(self, task: Any, current: Operation, backend: Backend,
                 updates: bool = True) -> None:
        super().__init__(backend)
        self._task = task
        self._current = current
        self.updates = updates
        self.last: Inventory | None = None
        self.polled: Poll | None = None

    def observe(self, known: Known = NOBODY) -> Inventory:
        """Read the inventory; see ports.Backend."""
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
                 else shared_bmc.writing_node(self._task))
        if other:
            raise Rejected(
                f'node {other} has an update in progress on the same BMC',
                retry_after=5 + zlib.crc32(
                    self._task.node.uuid.encode()) % 11,
                error_class=ErrorClass.TRANSIENT)
        history.note(self._task.node, self._current, action, image)
        # Nothing that takes time comes between this check and the write.
        check_ours(self._task, self._current)
        try:
            return super().start(action, image, spec, force)
        except Rejected as exc:
            if exc.retry_after is not None:
                exc.retry_after = elapsed_time.bounded(exc.retry_after)
            raise

    def commit(self, refs: Sequence[Ref]) -> tuple[str, ...]:
        """Make running firmware the fallback too; see ports.Backend.

        :raises: NotOurs, Held.
        """
        write_hold.check(self._task)
        check_ours(self._task, self._current)
        return super().commit(refs)

    def poll(self, ticket: Ticket) -> Poll:
        """See what became of a write; see ports.Backend."""
        self.polled = None
        if ticket.get(GO):
            # It sends the second request of a write that was begun.
            check_ours(self._task, self._current)
        self.polled = super().poll(ticket)
        if isinstance(self.polled, Ended):
            history.not_sent(self._task.node, self._current, self.polled)
        return self.polled
