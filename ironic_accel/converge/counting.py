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

"""A backend that counts what it sends, as a plan counts it beforehand."""

from __future__ import annotations

from collections.abc import Sequence

from ironic_accel.converge.composite import Delegating
from ironic_accel.converge.ports import Backend
from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Poll
from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Ticket
from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.identity import Known
from ironic_accel.model.identity import NOBODY
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Ref
from ironic_accel.model.profile import Image


class CountingBackend(Delegating):
    """Counts writes, device resets and the requests of inventories.

    A write that was rejected, or not sent because the one before it failed,
    is not counted. One whose answer was lost is: it may have arrived.

    :ivar writes: as ``model.plan.Counts`` has them.
    :ivar device_resets: those of the writes that reset a device.
    :ivar requests: requests of all inventories.
    """

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self.writes = 0
        self.device_resets = 0
        self.requests = 0

    def observe(self, known: Known = NOBODY) -> Inventory:
        """Read the inventory; see ports.Backend."""
        seen = super().observe(known)
        self.requests += seen.requests
        return seen

    def start(self, action: Action, image: Ready | None = None,
              spec: Image | None = None, force: bool = False) -> Ticket:
        """Start a write; see ports.Backend."""
        self.writes += action.writes
        self.device_resets += action.device_resets
        try:
            return super().start(action, image, spec, force)
        except (Rejected, Unreachable):
            self.writes -= action.writes
            self.device_resets -= action.device_resets
            raise

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
        return found
