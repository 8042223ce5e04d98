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

"""Placement's REST API, as far as the lab needs it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib import parse

from tests.functional.harness import rest

# 1.39 is the first that takes `required=in:` (Placement's REST history).
MICROVERSION = "placement 1.39"


class PlacementApi(rest.RestClient):
    """Placement with ``auth_strategy = noauth2``: the token says admin."""

    def __init__(self, url: str) -> None:
        super().__init__(url, {"X-Auth-Token": "admin",
                               "Accept": "application/json",
                               "OpenStack-API-Version": MICROVERSION})

    def traits_of(self, provider: str) -> set[str]:
        """Return the traits of one resource provider."""
        answer = self.get(f"/resource_providers/{provider}/traits")
        return set(answer["traits"])

    def candidates(self, resources: Mapping[str, int],
                   required: Iterable[str] = ()) -> set[str]:
        """Return the providers that could serve a request now.

        :param resources: amount wanted of each resource class.
        :param required: traits that a provider must have.
        :returns: UUIDs; for Ironic a provider's UUID is the node's.
        """
        query = {"resources": ",".join(
            f"{name}:{amount}" for name, amount in resources.items())}
        if required := list(required):
            query["required"] = ",".join(required)
        answer = self.get(
            "/allocation_candidates?" + parse.urlencode(query))
        return set(answer["provider_summaries"])
