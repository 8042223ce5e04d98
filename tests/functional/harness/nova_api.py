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

"""Nova's API, as far as the lab and its tests need it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any

from tests.functional.harness import process
from tests.functional.harness import rest

#: The newest version of Nova 34 that the lab was made for; ``networks`` may
#: be the word none since 2.37 (Nova's REST API version history).
MICROVERSION = "2.90"
POLL_SECONDS = 0.1
#: Any image exists (``nova_stands``).
IMAGE = str(uuid.uuid5(uuid.NAMESPACE_URL, "ironic-accel-lab-image"))

Server = dict[str, Any]


class ServerStateError(process.LabError):
    """A server went elsewhere; ``server`` is how it was last seen."""

    def __init__(self, text: str, server: Server) -> None:
        super().__init__(text)
        self.server = server


class NovaApi(rest.RestClient):
    """Nova where every request is an administrator's."""

    def __init__(self, url: str) -> None:
        super().__init__(url + "/v2.1", {
            "X-Auth-Token": "admin", "Accept": "application/json",
            "X-OpenStack-Nova-API-Version": MICROVERSION})

    def binaries(self) -> set[str]:
        """Return the names of the services that are up."""
        listed = self.get("/os-services")["services"]
        return {row["binary"] for row in listed if row["state"] == "up"}

    def hypervisors(self) -> set[str]:
        """Return the nodes that can be scheduled to; UUIDs of Ironic."""
        listed = self.get("/os-hypervisors")["hypervisors"]
        return {row["hypervisor_hostname"] for row in listed}

    def create_flavor(self, name: str, resource_class: str,
                      traits: Mapping[str, str]) -> str:
        """Create a flavor for whole nodes.

        :param resource_class: as Placement calls it.
        :param traits: ``required`` or ``forbidden`` by trait.
        :returns: its id.
        """
        self.post("/flavors", {"flavor": {
            "name": name, "id": name, "ram": 1, "vcpus": 1, "disk": 0}})
        self.post(f"/flavors/{name}/os-extra_specs", {"extra_specs": {
            f"resources:{resource_class}": "1", "resources:VCPU": "0",
            "resources:MEMORY_MB": "0", "resources:DISK_GB": "0",
            **{f"trait:{trait}": how for trait, how in traits.items()}}})
        return name

    def create_server(self, flavor: str, name: str = "server") -> str:
        """Ask for a server without networks; its UUID."""
        answer = self.post("/servers", {"server": {
            "name": name, "imageRef": IMAGE, "flavorRef": flavor,
            "networks": "none"}})
        return str(answer["server"]["id"])

    def server(self, uuid: str) -> Server:
        """Return a server by UUID."""
        return dict(self.get(f"/servers/{uuid}")["server"])

    def rebuild(self, uuid: str) -> None:
        """Ask for a rebuild from the same image."""
        self.post(f"/servers/{uuid}/action", {"rebuild": {
            "imageRef": IMAGE}})

    def actions(self, uuid: str) -> list[str]:
        """Return what was done to a server, oldest first (``stop`` …)."""
        listed = self.get(f"/servers/{uuid}/os-instance-actions")
        return [row["action"] for row in reversed(
            listed["instanceActions"])]

    def wait_server(self, uuid: str, wanted: str = "ACTIVE",
                    seconds: float = 120) -> Server:
        """Wait until a server is in a status and no task is under way.

        :raises: ServerStateError with its fault where it goes into another
            of ACTIVE and ERROR for good, or where ``seconds`` pass.
        """
        end = time.monotonic() + seconds
        while True:
            server = self.server(uuid)
            idle = server["OS-EXT-STS:task_state"] is None
            if server["status"] == wanted and idle:
                return server
            if server["status"] == "ERROR" or time.monotonic() > end:
                raise ServerStateError(
                    f"server {uuid}: expected {wanted}, is "
                    f"{server['status']} "
                    f"({server['OS-EXT-STS:task_state']}); fault: "
                    f"{server.get('fault')}", server)
            time.sleep(POLL_SECONDS)

    def ask_delete(self, uuid: str) -> None:
        """Ask for a server to be deleted; it may be gone already."""
        self._unless_gone("DELETE", uuid)

    def wait_gone(self, uuid: str, seconds: float = 120) -> None:
        """Wait until there is no such server.

        :raises: ServerStateError where ``seconds`` pass.
        """
        end = time.monotonic() + seconds
        while (found := self._unless_gone("GET", uuid)) is not None:
            if time.monotonic() > end:
                raise ServerStateError(
                    f"server {uuid}: not gone after {seconds:.0f} s",
                    found["server"])
            time.sleep(POLL_SECONDS)

    def _unless_gone(self, method: str, uuid: str) -> rest.Json:
        try:
            return self.request(method, f"/servers/{uuid}")
        except rest.RestError as error:
            if error.status == 404:
                return None
            raise
