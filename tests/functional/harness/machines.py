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

"""A simulated box and the node that stands for it, as one thing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from tests.functional.harness import agent
from tests.functional.harness import ironic as ironic_service
from tests.functional.harness import ironic_api
from tests.functional.harness import twins


@dataclasses.dataclass
class Machine:
    """One box: its simulated BMC, and its node as it was enrolled.

    :ivar host: where it has one: what its host boots.
    """

    ironic: ironic_service.Ironic
    twin: twins.Twin
    node: ironic_api.Node
    host: agent.Host | None = None

    @property
    def uuid(self) -> str:
        """The node's UUID."""
        return str(self.node["uuid"])

    @property
    def info(self) -> dict[str, Any]:
        """The node's ``driver_internal_info`` as it is now."""
        return dict(self.ironic.api.node(self.uuid)["driver_internal_info"])

    def remove(self) -> None:
        """Take node and box away, whatever state they are in.

        A stopped Ironic is started for it. In maintenance a node may be
        deleted from every provision state
        (ironic/conductor/manager.py destroy_node).
        """
        if not self.ironic.running().running:
            self.ironic.restart()
        api = self.ironic.api
        self._wait_unlocked()
        api.set_maintenance(self.uuid, True)
        self._wait_unlocked()
        api.delete_node(self.uuid)
        self.twin.stop()

    def _wait_unlocked(self) -> None:
        """While its conductor works on it, a node is locked."""
        self.ironic.api.wait_node(self.uuid, "no reservation",
                                  lambda node: node["reservation"] is None)


#: What the lab tests' fixture ``machine`` gives.
MakeMachine = Callable[..., Machine]
