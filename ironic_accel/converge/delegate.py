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

"""The base of backends that stand before another backend."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Sequence

from ironic_accel.converge.ports import Backend
from ironic_accel.converge.ports import Poll
from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Ticket
from ironic_accel.model.device import Inventory
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Ref
from ironic_accel.model.plan import Way
from ironic_accel.model.profile import Image
from ironic_accel.model.profile import Push


class Delegating:
    """A backend that passes every call on to another one.

    What stands before a backend (counts, guards, refuses) derives from it
    and overrides what it changes, so that a method which is new in
    ``ports.Backend`` is passed on by all of them. A unit test compares the
    two.

    ``both.Both``, which chooses among several backends, does not derive from
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

    def observe(self) -> Inventory:
        """Take the inventory; see ports.Backend."""
        return self._target().observe()

    def ways(self, inventory: Inventory, pushes: Collection[Push] = ()
             ) -> tuple[Way, ...]:
        """What can be done; see ports.Backend."""
        return self._target().ways(inventory, pushes)

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
