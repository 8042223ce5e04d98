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

"""What Nova's Ironic driver tells Placement about a node, told by the lab.

Follows Nova 34, ``nova/virt/ironic/driver.py``: ``update_provider_tree``,
``_node_resources_unavailable`` and ``_node_resources_used``; and the report
client, which creates missing custom traits and replaces a provider's traits
as a whole. Only the node's own traits are told: a real nova-compute adds
what its driver can (``COMPUTE_*``) and whose the provider is
(``OWNER_NOVA``), which no flavor of the lab asks for.
"""

from __future__ import annotations

from typing import Any

import os_resource_classes

from tests.functional.harness import ironic_api
from tests.functional.harness import placement_api
from tests.functional.harness import rest


def publish(ironic: ironic_api.IronicApi,
            placement: placement_api.PlacementApi, node: str) -> set[str]:
    """Bring one node's resource provider up to date.

    :param node: UUID or name.
    :returns: the traits that the provider has now.
    :raises: RestError where Placement refuses, ValueError for a node
        without a resource class, which Nova does not report either.
    """
    seen = ironic.node(node)
    uuid = seen["uuid"]
    if not seen["resource_class"]:
        raise ValueError(f"node {uuid}: resource_class is not set")
    _ensure_provider(placement, uuid)
    _put_inventory(placement, seen)
    _put_traits(placement, uuid, set(seen["traits"]))
    return placement.traits_of(uuid)


def forget(placement: placement_api.PlacementApi, node: str) -> None:
    """Take one node's resource provider away, as Nova does of a lost node.

    :param node: UUID.
    """
    placement.delete(f"/resource_providers/{node}")


def resource_class(node: dict[str, Any]) -> str:
    """Return the name that Nova gives to a node's resource class."""
    name = os_resource_classes.normalize_name(node["resource_class"])
    return str(name)


def is_reserved(node: dict[str, Any]) -> bool:
    """Whether Nova reports the node as not to be scheduled to."""
    if node["instance_uuid"] is not None:
        return False
    return bool(node["maintenance"]
                or node["power_state"] in ("error", None)
                or node["provision_state"] not in ("available", None))


def _ensure_provider(placement: placement_api.PlacementApi,
                     uuid: str) -> None:
    try:
        placement.post("/resource_providers", {"name": uuid, "uuid": uuid})
    except rest.RestError as error:
        if error.status != 409:  # there already
            raise


def _generation(placement: placement_api.PlacementApi, uuid: str) -> int:
    provider = placement.get(f"/resource_providers/{uuid}")
    return int(provider["generation"])


def _put_inventory(placement: placement_api.PlacementApi,
                   node: dict[str, Any]) -> None:
    name = resource_class(node)
    placement.put(f"/resource_classes/{name}")
    placement.put(f"/resource_providers/{node['uuid']}/inventories", {
        "resource_provider_generation": _generation(placement, node["uuid"]),
        "inventories": {name: {
            "total": 1, "reserved": int(is_reserved(node)), "min_unit": 1,
            "max_unit": 1, "step_size": 1, "allocation_ratio": 1.0}}})


def _put_traits(placement: placement_api.PlacementApi, uuid: str,
                traits: set[str]) -> None:
    for trait in sorted(traits):
        if trait.startswith("CUSTOM_"):
            placement.put(f"/traits/{trait}")
    placement.put(f"/resource_providers/{uuid}/traits", {
        "resource_provider_generation": _generation(placement, uuid),
        "traits": sorted(traits)})
