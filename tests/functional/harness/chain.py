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

"""From a trait in Ironic to a server that Nova puts on the right node."""

from __future__ import annotations

import dataclasses
import itertools
import re
import time
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Sequence

from tests.functional.harness import agent
from tests.functional.harness import lab as lab_mod
from tests.functional.harness import machines
from tests.functional.harness import nova as nova_service
from tests.functional.harness import process
from tests.functional.harness import services

#: What Placement calls the lab's resource class.
RESOURCE_CLASS = "CUSTOM_BAREMETAL_ACCEL"
DEGRADED = "CUSTOM_ACCEL_DEGRADED"
POLL_SECONDS = 0.05
#: The first Ironic that boots an instance from what the image of its server
#: names (drivers/modules/deploy_utils.py, get_image_instance_info).
BOOTS_BY_IMAGE = 35

# One line for each node in each pass of update_available_resource
# (nova/compute/resource_tracker.py).
_PASS = re.compile(r"Auditing locally available compute resources for \S+ "
                   r"\(node: (\S+)\)")


@dataclasses.dataclass(frozen=True)
class Lag:
    """How far Placement was behind.

    :ivar seconds: until it had caught up.
    :ivar updates: passes of Nova's resource update over that node which
        began meanwhile.
    """

    seconds: float
    updates: int


class Chain:
    """A lab with Nova, and what was measured of it.

    :param lab: a lab that is up; Nova is started in it.
    :ivar boots_by_image: whether Ironic boots what the image of a server
        names. If not, a server cannot be rebuilt: Ironic forgets what the
        node was told (conductor/deployments.py, start_deploy).
    """

    def __init__(self, lab: lab_mod.Lab) -> None:
        began = time.monotonic()
        self.lab = lab
        self.nova: nova_service.Nova = lab.start_nova()
        self.figures: list[str] = []
        self._numbers = itertools.count(1)
        self.boots_by_image = services.ironic_of(
            lab.site.python) >= BOOTS_BY_IMAGE
        self.note("Nova up", time.monotonic() - began)

    def make_bootable(self, one: machines.Machine) -> None:
        """Tell a node what a server boots, where its image does not tell.

        By iPXE: to build an image for virtual media Ironic needs programs
        that this machine may not have.
        """
        if self.boots_by_image:
            return
        api = one.ironic.api
        api.create_port(one.uuid, agent.make_mac())
        api.patch_node(one.uuid, boot_interface="ipxe",
                       instance_info=self.lab.boot.instance_by_network)

    def note(self, what: str, seconds: float) -> None:
        """Keep a figure."""
        self.figures.append(f"{what}: {seconds:.1f} s")

    def flavor(self, required: Collection[str] = (),
               forbidden: Collection[str] = ()) -> str:
        """Create a flavor for one node with some traits, and not others.

        Placement takes a request that names a trait it has never heard of
        for an error, and Nova that for "No valid host": what is forbidden
        has to be there even while no node has it.
        """
        for trait in forbidden:
            self.lab.placement.api.put(f"/traits/{trait}")
        return self.nova.api.create_flavor(
            f"flavor-{next(self._numbers)}", RESOURCE_CLASS,
            {**dict.fromkeys(required, "required"),
             **dict.fromkeys(forbidden, "forbidden")})

    def candidates(self, *required: str) -> set[str]:
        """Nodes that Placement would offer now.

        A trait that Placement has never heard of is an error to it, and
        means here that no node has it.
        """
        known = self.lab.placement.api.get("/traits")["traits"]
        if not set(required) <= set(known):
            return set()
        return self.lab.placement.api.candidates(
            {RESOURCE_CLASS: 1}, required)

    def published(self, node: str) -> set[str]:
        """The traits of a node's provider but for those that Nova adds.

        Nova tells of itself by standard traits (``COMPUTE_…``,
        ``OWNER_NOVA``: nova/compute/resource_tracker.py), never by custom
        ones. Empty where there is no provider yet.
        """
        providers = self.lab.placement.api.get(
            f"/resource_providers?uuid={node}")["resource_providers"]
        if not providers:
            return set()
        return {trait for trait in self.lab.placement.api.traits_of(node)
                if not trait.startswith(("COMPUTE_", "OWNER_NOVA"))}

    def wait_traits(self, node: str, since: float | None = None,
                    passed: int | None = None, seconds: float = 60) -> Lag:
        """Wait until Placement has the traits that Ironic has of a node.

        :param since: ``time.monotonic()`` of the change; now by default.
        :param passed: ``updates(node)`` at the change.
        :raises: LabError with the difference where ``seconds`` pass.
        """
        since = time.monotonic() if since is None else since
        passed = self.updates(node) if passed is None else passed
        while True:
            ironic = self.lab.ironic.api.traits(node)
            placement = self.published(node)
            if ironic == placement:
                return Lag(time.monotonic() - since,
                           self.updates(node) - passed)
            if time.monotonic() > since + seconds:
                differ = sorted(ironic ^ placement)
                raise process.LabError(
                    f"node {node}: after {seconds:.0f} s Ironic and "
                    f"Placement differ in {differ}")
            time.sleep(POLL_SECONDS)

    def wait_offered(self, node: str, *required: str,
                     seconds: float = 60) -> None:
        """Wait until Nova could put a server on a node.

        :raises: LabError where ``seconds`` pass.
        """
        end = time.monotonic() + seconds
        while not (node in self.candidates(*required)
                   and node in self.nova.api.hypervisors()):
            if time.monotonic() > end:
                raise process.LabError(
                    f"node {node}: not offered after {seconds:.0f} s; its "
                    f"traits in Placement: {sorted(self.published(node))}")
            time.sleep(POLL_SECONDS)

    def updates(self, node: str) -> int:
        """How often Nova's resource update has begun with a node."""
        return sum(1 for seen in self._passes() if seen == node)

    def said(self, text: str) -> bool:
        """Whether Nova's log has a line with some text."""
        with open(self.nova.running().log, errors="replace") as log:
            return any(text in line for line in log)

    def wait_said(self, text: str, seconds: float = 60) -> None:
        """Wait until Nova's log has a line with some text.

        :raises: LabError where ``seconds`` pass.
        """
        end = time.monotonic() + seconds
        while not self.said(text):
            if time.monotonic() > end:
                raise process.LabError(
                    f"Nova has not said {text!r} in {seconds:.0f} s")
            time.sleep(POLL_SECONDS)

    def wait_active(self, server: str, since: float, what: str) -> None:
        """Wait until a server is ACTIVE, and keep the seconds it took.

        :param since: ``time.monotonic()`` of when it was asked for.
        :raises: ServerStateError where it goes into ERROR.
        """
        self.nova.api.wait_server(server)
        self.note(f"{what} to ACTIVE", time.monotonic() - since)

    def node_of(self, server: str) -> str:
        """UUID of the node that a server is on."""
        found = self.nova.api.server(server)
        return str(found["OS-EXT-SRV-ATTR:hypervisor_hostname"])

    def allocated(self, server: str) -> Sequence[str]:
        """Resource providers that a server has an allocation from."""
        answer = self.lab.placement.api.get(f"/allocations/{server}")
        return list(answer["allocations"])

    def _passes(self) -> Iterator[str]:
        with open(self.nova.running().log, errors="replace") as log:
            for line in log:
                if found := _PASS.search(line):
                    yield found[1]
