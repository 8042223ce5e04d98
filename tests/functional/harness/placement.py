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

"""Placement as a process: no Keystone, SQLite, waitress."""

from __future__ import annotations

import functools

from tests.functional.harness import placement_api
from tests.functional.harness import services


class Placement(services.Service):
    """``auth_strategy = noauth2``: the token ``admin`` is the admin."""

    name = "placement"

    def __init__(self, site: services.Site) -> None:
        super().__init__(site)
        self.port = site.ports.take()
        self.url = f"http://127.0.0.1:{self.port}"

    @functools.cached_property
    def api(self) -> placement_api.PlacementApi:
        """A client of it."""
        return placement_api.PlacementApi(self.url)

    def start(self) -> None:
        """Start it; it makes its tables itself."""
        services.write_settings(self.folder / "placement.conf", {
            "api": {"auth_strategy": "noauth2"},
            "placement_database": {
                "connection": services.sqlite_url(
                    self.folder / "placement.sqlite"),
                "sync_on_startup": True}})
        self.spawn(
            self.site.module(
                "tests.functional.harness.run_wsgi", self.port,
                "placement.wsgi.api:application"),
            env={"OS_PLACEMENT_CONFIG_DIR": str(self.folder)})

    def ready(self) -> bool:
        """Whether it answers its version document."""
        return bool(self.api.get("/")["versions"])
