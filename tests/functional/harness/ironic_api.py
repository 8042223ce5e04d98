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

"""Ironic's REST API, as far as the lab needs it."""

from __future__ import annotations

import functools
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from tests.functional.harness import process
from tests.functional.harness import rest

Node = dict[str, Any]
Step = Mapping[str, Any]

POLL_SECONDS = 0.2
#: A wait that lasts asks less often, as each answer costs a hundredth of a
#: second of a core, and at most so many seconds apart.
MOST_SECONDS, GROWTH = 0.6, 1.1
#: What an error of Ironic's holds while SQLite is locked by another request.
LOCKED = "database is locked"
BUSY_TRIES = 20
#: Where a node stays until somebody acts: waiting on is of no use.
DEAD_ENDS = frozenset({
    "clean failed", "deploy failed", "error", "inspect failed",
    "rescue failed", "service failed", "adopt failed", "unhold"})


#: The newest microversion of Ironic 32, without its ``1.``.
BOOTS_FOR_EVERY_CLEAN = 101
#: Clean steps of the project that need no ramdisk.
WITHOUT_RAMDISK = frozenset({
    "apply_profile", "apply_baseline", "refresh_traits", "reset_devices"})


class NodeStateError(process.LabError):
    """A node went elsewhere, or nowhere; ``node`` is how it was last seen."""

    def __init__(self, text: str, node: Node) -> None:
        super().__init__(text)
        self.node = node


def pauses() -> Iterator[float]:
    """Seconds between two looks at a node that is waited for."""
    seconds = POLL_SECONDS / 2
    while True:
        yield seconds
        seconds = min(seconds * GROWTH, MOST_SECONDS)


class IronicApi(rest.RestClient):
    """Ironic, newest microversion.

    :param token: of Keystone; None where Ironic has
        ``auth_strategy = noauth``.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        super().__init__(url, {
            "X-OpenStack-Ironic-API-Version": "latest",
            "Accept": "application/json",
            **({} if token is None else {"X-Auth-Token": token})})

    def request(self, method: str, path: str, body: rest.Json = None,
                headers: Mapping[str, str] | None = None) -> rest.Json:
        """Repeat what SQLite was too busy for, as an operator does.

        Ironic answers 500 or 503 then, and has written nothing. A call of
        the plug-in's is not repeated: it has to get by itself.
        """
        for _ in range(BUSY_TRIES):
            try:
                return super().request(method, path, body, headers)
            except rest.RestError as error:
                if LOCKED not in error.text or "/vendor_passthru" in path:
                    raise
                time.sleep(POLL_SECONDS)
        return super().request(method, path, body, headers)

    # Nodes

    def create_node(self, **fields: Any) -> Node:
        """Enroll a node: ``driver`` and whatever the API takes."""
        return dict(self.post("/v1/nodes", fields))

    def create_port(self, uuid: str, mac: str) -> None:
        """Tell of a network card of a node."""
        self.post("/v1/ports", {"node_uuid": uuid, "address": mac})

    def node(self, ref: str) -> Node:
        """Return a node by UUID or name."""
        return dict(self.get(f"/v1/nodes/{ref}"))

    def nodes(self) -> list[Node]:
        """Return all nodes with all fields."""
        return list(self.get("/v1/nodes/detail")["nodes"])

    def patch_node(self, ref: str, **values: Any) -> Node:
        """Set fields of a node; ``a__b`` is the path ``/a/b``."""
        changes = [{"op": "add", "path": "/" + name.replace("__", "/"),
                    "value": value} for name, value in values.items()]
        return dict(self.request("PATCH", f"/v1/nodes/{ref}", changes))

    def delete_node(self, ref: str) -> None:
        """Remove a node, in maintenance or out of its way."""
        self.delete(f"/v1/nodes/{ref}")

    def set_maintenance(self, ref: str, on: bool) -> None:
        """Put a node into maintenance, or take it out."""
        self.request("PUT" if on else "DELETE",
                     f"/v1/nodes/{ref}/maintenance",
                     {"reason": "lab"} if on else None)

    def history(self, ref: str) -> list[dict[str, Any]]:
        """Return the node's history, oldest first, with the event texts."""
        events = self.get(f"/v1/nodes/{ref}/history?detail=true")
        return list(events["history"])

    def why(self, ref: str) -> str:
        """Return why a node failed: the last error in its history.

        ``last_error`` is no place to read it: Ironic's next power sync
        clears it (ironic 32 to 39, conductor/manager.py do_sync_power_state).
        """
        errors = [event["event"] for event in self.history(ref)
                  if event["severity"] == "ERROR"]
        return str(errors[-1]) if errors else ""

    def traits(self, ref: str) -> set[str]:
        """Return the node's traits."""
        return set(self.get(f"/v1/nodes/{ref}/traits")["traits"])

    def add_trait(self, ref: str, trait: str) -> None:
        """Add one trait, as an operator does."""
        self.put(f"/v1/nodes/{ref}/traits/{trait}")

    def firmware(self, ref: str) -> list[dict[str, Any]]:
        """Return what ``baremetal node firmware list`` shows."""
        return list(self.get(f"/v1/nodes/{ref}/firmware")["firmware"])

    def inventory(self, ref: str) -> dict[str, Any]:
        """Return the node's inventory data (``node inventory save``)."""
        return dict(self.get(f"/v1/nodes/{ref}/inventory"))

    def passthru(self, ref: str, method: str, verb: str = "GET",
                 body: rest.Json = None) -> rest.Json:
        """Call a method of the node's vendor interface."""
        return self.request(
            verb, f"/v1/nodes/{ref}/vendor_passthru?method={method}", body)

    # Things beside nodes

    def create_deploy_template(self, name: str,
                               steps: Sequence[Step]) -> None:
        """Create a deploy template; its name is a trait's."""
        self.post("/v1/deploy_templates",
                  {"name": name, "steps": list(steps)})

    def create_runbook(self, runbook: Mapping[str, Any],
                       traits: Sequence[str]) -> None:
        """Create a runbook for nodes that have one of some traits.

        Up to API 1.111 its name is its only trait.
        """
        made = self.post("/v1/runbooks", dict(runbook))
        if "traits" in made:
            self.put(f"/v1/runbooks/{runbook['name']}/traits",
                     {"traits": list(traits)})

    def delete_runbook(self, name: str) -> None:
        """Remove a runbook."""
        self.delete(f"/v1/runbooks/{name}")

    def delete_deploy_template(self, name: str) -> None:
        """Remove a deploy template."""
        self.delete(f"/v1/deploy_templates/{name}")

    def drivers(self) -> set[str]:
        """Return the hardware types that a live conductor serves."""
        return {driver["name"] for driver in self.get("/v1/drivers")
                ["drivers"]}

    # States

    def set_power(self, ref: str, target: str, **options: Any) -> None:
        """Ask for a power state; RestError 409 where it is refused."""
        self.put(f"/v1/nodes/{ref}/states/power",
                 {"target": target, **options})

    def set_provision(self, ref: str, target: str, **options: Any) -> None:
        """Ask for a provision state (``target`` is a verb of the API).

        Ironic 32 boots a ramdisk for every clean of which it is not told that
        it needs none; later ones see it by the steps.
        """
        if (target == "clean" and self._microversion <= BOOTS_FOR_EVERY_CLEAN
                and not {step["step"] for step in options["clean_steps"]}
                - WITHOUT_RAMDISK):
            options.setdefault("disable_ramdisk", True)
        self.put(f"/v1/nodes/{ref}/states/provision",
                 {"target": target, **options})

    @functools.cached_property
    def _microversion(self) -> int:
        """The minor number of the newest microversion."""
        newest = self.get("/")["default_version"]["version"]
        return int(newest.partition(".")[2])

    def wait_state(self, ref: str, wanted: str | Collection[str],
                   seconds: float = 120) -> Node:
        """Wait until the node is in one of the wanted provision states.

        :returns: the node as it then is.
        :raises: NodeStateError with ``last_error`` and the states seen,
            where it reaches a dead end or ``seconds`` pass.
        """
        goals = {wanted} if isinstance(wanted, str) else set(wanted)
        end = time.monotonic() + seconds
        seen: list[str] = []
        for pause in pauses():
            node = self.node(ref)
            state = node["provision_state"]
            if not seen or seen[-1] != state:
                seen.append(state)
            if state in goals:
                return node
            if state in DEAD_ENDS or time.monotonic() > end:
                break
            time.sleep(pause)
        raise self._lost(node, goals, seen)

    def wait_node(self, ref: str, what: str, test: Any,
                  seconds: float = 60) -> Node:
        """Wait until ``test(node)`` is true; ``what`` words the failure."""
        end = time.monotonic() + seconds
        for pause in pauses():
            node = self.node(ref)
            if test(node):
                return node
            if time.monotonic() > end:
                break
            time.sleep(pause)
        raise self._lost(node, {what}, [node["provision_state"]])

    # Whole ways

    def manage(self, ref: str, seconds: float = 60) -> Node:
        """Bring an enrolled node to manageable."""
        self.set_provision(ref, "manage")
        node = self.wait_state(ref, {"manageable", "enroll"}, seconds)
        if node["provision_state"] != "manageable":
            raise self._lost(node, {"manageable"}, ["enroll"])
        return node

    def provide(self, ref: str, seconds: float = 120) -> Node:
        """Bring a manageable node to available."""
        self.set_provision(ref, "provide")
        return self.wait_state(ref, "available", seconds)

    def clean(self, ref: str, steps: Sequence[Step],
              seconds: float = 120, **options: Any) -> Node:
        """Clean a manageable node by hand, and wait for the end."""
        self.set_provision(ref, "clean", clean_steps=list(steps), **options)
        return self.wait_state(ref, "manageable", seconds)

    def inspect(self, ref: str, seconds: float = 120) -> Node:
        """Inspect a manageable node, and wait for the end."""
        self.set_provision(ref, "inspect")
        return self.wait_state(ref, "manageable", seconds)

    def deploy(self, ref: str, seconds: float = 180, **options: Any) -> Node:
        """Deploy an available node, and wait until it is active."""
        self.set_provision(ref, "active", **options)
        return self.wait_state(ref, "active", seconds)

    def undeploy(self, ref: str, seconds: float = 120) -> Node:
        """Delete the instance, and wait until the node is available."""
        self.set_provision(ref, "deleted")
        return self.wait_state(ref, "available", seconds)

    def service(self, ref: str, steps: Sequence[Step],
                seconds: float = 120, **options: Any) -> Node:
        """Run service steps on an active node, and wait for the end."""
        self.set_provision(ref, "service", service_steps=list(steps),
                           **options)
        return self.wait_state(ref, "active", seconds)

    def _lost(self, node: Node, goals: set[str],
              seen: list[str]) -> NodeStateError:
        events = "\n".join(f"  {event['created_at']} {event['event']}"
                           for event in self.history(node["uuid"])[-5:])
        return NodeStateError(
            f"node {node['name'] or node['uuid']}: expected "
            f"{' or '.join(sorted(goals))}, went {' → '.join(seen)}; "
            f"last_error: {node['last_error']}; reservation: "
            f"{node['reservation']}; history:\n{events}", node)
