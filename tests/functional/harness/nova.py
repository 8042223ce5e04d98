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

"""Nova as one process: api, conductor, scheduler and compute."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from tests.functional.harness import nova_api
from tests.functional.harness import services

HOST = "lab-compute"
#: How often the compute service brings Placement up to date, in seconds
#: (``[DEFAULT]update_resources_interval``).
UPDATE_SECONDS = 2


class Nova(services.Service):
    """Real services around ``fake:/``, oslo.messaging's in-process driver.

    :param port: where its API listens; Ironic is told before Nova starts.
    :param urls: addresses of ``ironic``, ``placement``, ``glance`` and
        ``neutron``.
    """

    name = "nova"

    def __init__(self, site: services.Site, port: int,
                 urls: Mapping[str, str]) -> None:
        super().__init__(site)
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        self._urls = urls

    @functools.cached_property
    def api(self) -> nova_api.NovaApi:
        """A client of it."""
        return nova_api.NovaApi(self.url)

    def start(self) -> None:
        """Write its configuration and start it; it makes its tables."""
        self.configure()
        self.spawn(
            self.site.module(
                "tests.functional.harness.run_nova", self._port),
            env={"OS_NOVA_CONFIG_DIR": str(self.folder)})

    def configure(self) -> None:
        """Write its configuration."""
        services.write_settings(self.folder / "nova.conf", self._settings())
        (self.folder / "api-paste.ini").write_text(_PASTE, encoding="utf-8")

    def ready(self) -> bool:
        """Whether every service of it has reported in."""
        return self.api.binaries() >= {
            "nova-conductor", "nova-scheduler", "nova-compute"}

    def _settings(self) -> dict[str, dict[str, object]]:
        return {
            "DEFAULT": {
                "debug": True, "host": HOST, "my_ip": "127.0.0.1",
                "compute_driver": "ironic.IronicDriver",
                "transport_url": "fake:/", "state_path": self.folder,
                "api_paste_config": self.folder / "api-paste.ini",
                **_PERIODS},
            "api_database": self._database("api"),
            "database": self._database("cell1"),
            "placement": {"auth_type": "admin_token", "token": "admin",
                          **self._endpoint("placement")},
            "ironic": {"auth_type": "none", "api_max_retries": 30,
                       "api_retry_interval": 1, **self._endpoint("ironic")},
            "glance": {"api_servers": self._urls["glance"]},
            "neutron": {"auth_type": "none", **self._endpoint("neutron")},
            "conductor": {"workers": 1},
            "scheduler": {"workers": 1,
                          "discover_hosts_in_cells_interval": 1},
            # A test that makes builds fail must not disable the service.
            "compute": {"consecutive_build_service_disable_threshold": 0},
            "oslo_concurrency": {"lock_path": self.folder / "locks"},
        }

    def _endpoint(self, service: str) -> dict[str, object]:
        return {"endpoint_override": self._urls[service]}

    def _database(self, name: str) -> dict[str, object]:
        return {"connection": services.sqlite_url(
            self.folder / f"{name}.sqlite")}


# What Nova does now and then it does within seconds, without dice.
_PERIODS: dict[str, object] = {
    "periodic_fuzzy_delay": 0,
    "update_resources_interval": UPDATE_SECONDS,
    "report_interval": 3,
    "service_down_time": 600,
    "sync_power_state_interval": 2,
    "heal_instance_info_cache_interval": -1,
}

# Nova's own pipeline (etc/nova/api-paste.ini of nova 34) for API 2.1, with
# an administrator in the place of Keystone's middleware.
_PASTE = """\
[composite:osapi_compute]
use = call:nova.api.openstack.urlmap:urlmap_factory
/: versions
/v2.1: compute

[pipeline:versions]
pipeline = faultwrap versions_app

[composite:compute]
use = call:nova.api.auth:pipeline_factory_v21
keystone = compute_req_id faultwrap request_log sizelimit admin context app

[filter:compute_req_id]
paste.filter_factory = nova.api.compute_req_id:ComputeReqIdMiddleware.factory

[filter:faultwrap]
paste.filter_factory = nova.api.openstack:FaultWrapper.factory

[filter:request_log]
paste.filter_factory = nova.api.openstack.requestlog:RequestLog.factory

[filter:sizelimit]
paste.filter_factory = oslo_middleware:RequestBodySizeLimiter.factory

[filter:admin]
paste.filter_factory = tests.functional.harness.nova_admin:filter_factory

[filter:context]
paste.filter_factory = nova.api.auth:NovaKeystoneContext.factory

[app:app]
paste.app_factory = nova.api.openstack.compute:APIRouterV21.factory

[app:versions_app]
paste.app_factory = nova.api.openstack.compute.versions:Versions.factory
"""
