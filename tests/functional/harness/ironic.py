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

"""Ironic as a process: API and conductor in one, no broker."""

from __future__ import annotations

import functools
import pathlib

from tests.functional.harness import ironic_api
from tests.functional.harness import keystone
from tests.functional.harness import keystone_api
from tests.functional.harness import services


class Ironic(services.Service):
    """``auth_strategy = noauth``, ``rpc_transport = none``.

    :param settings: laid over the lab's own; None takes an option away.
    :param database: URL of an empty database that is not SQLite.
    :param name: where a lab has a second one.
    :param asked: Keystone, up, where it is to be asked who calls.
    """

    def __init__(self, site: services.Site,
                 settings: services.Settings | None = None,
                 database: str | None = None,
                 name: str = "ironic",
                 asked: keystone.Keystone | None = None) -> None:
        self.name = name
        super().__init__(site)
        self.port = site.ports.take()
        self.url = f"http://127.0.0.1:{self.port}"
        self._settings = settings or {}
        self._keystone = asked
        # As an operator gets it who sets nothing: Ironic's default.
        self.sqlite = self.folder / "ironic.sqlite"
        self._database = database or f"sqlite:///{self.sqlite}"

    @functools.cached_property
    def api(self) -> ironic_api.IronicApi:
        """A client of it, of a system's administrator with Keystone."""
        asked = self._keystone
        return ironic_api.IronicApi(self.url, None if asked is None else (
            keystone_api.token(asked.url, asked.admin)))

    @property
    def config(self) -> pathlib.Path:
        """Its configuration file."""
        return self.folder / "ironic.conf"

    @property
    def command(self) -> list[str]:
        """What starts it on a database that has its tables."""
        return self.site.module(
            "tests.functional.harness.run_ironic",
            "--config-file", self.config)

    def start(self) -> None:
        """Write its configuration and start it on an empty database."""
        self.configure()
        self.spawn([*self.command, "--create-schema"])
        # What restarts is the command; the tables are there by then.
        self.running().command = self.command

    def configure(self) -> None:
        """Write its configuration."""
        services.write_settings(
            self.config, self._base(), self._settings,
            {} if self._keystone is None else self._keystone.authtoken)

    def ready(self) -> bool:
        """Whether a live conductor serves a hardware type."""
        return bool(self.api.drivers())

    def _base(self) -> dict[str, dict[str, object]]:
        return {
            "DEFAULT": {
                "auth_strategy": "noauth", "rpc_transport": "none",
                "host": f"lab-{self.name}", "my_ip": "127.0.0.1",
                "debug": True, "state_path": self.folder, **_INTERFACES},
            "api": {"host_ip": "127.0.0.1", "port": self.port,
                    "public_endpoint": self.url, "api_workers": 1,
                    # Ironic 32 answers no agent in "service wait" otherwise.
                    **({"restrict_lookup": False}
                       if services.ironic_of(self.site.python) <= 32
                       else {})},
            "database": {"connection": self._database},
            "service_catalog": {"auth_type": "none",
                                "endpoint_override": self.url},
            "oslo_concurrency": {"lock_path": self.folder / "locks"},
            "conductor": _CONDUCTOR,
            "redfish": {"connection_attempts": 1,
                        "connection_retry_interval": 1,
                        "inspection_hooks": "accelerator-traits,"
                        "$default_inspection_hooks"},
            "deploy": {"erase_devices_priority": 0,
                       "erase_devices_metadata_priority": 0},
            "agent": {"require_tls": False,
                      "certificates_path": self.folder / "certificates",
                      "deploy_logs_collect": "never",
                      "post_deploy_get_power_state_retry_interval": 1},
            "pxe": {"tftp_root": self.folder / "tftp"},
            "inspector": {"extra_kernel_params":
                          "ipa-inspection-collectors=default,pci-devices,"
                          "accel",
                          "hooks": "$default_hooks,accelerators,"
                          "accelerator-traits"},
        }


# Every interface is named, so that what a node gets does not depend on the
# order of a list of Ironic's.
_INTERFACES: dict[str, object] = {
    "enabled_hardware_types": "accel-redfish,accel-idrac,redfish",
    "enabled_bios_interfaces": "no-bios",
    "enabled_boot_interfaces":
        "redfish-virtual-media,ipxe,redfish-https,"
        "idrac-redfish-virtual-media",
    "enabled_console_interfaces": "no-console",
    "enabled_deploy_interfaces": "ramdisk,custom-agent,direct",
    "enabled_firmware_interfaces": "no-firmware,redfish",
    "enabled_inspect_interfaces": "agent,redfish,no-inspect",
    "enabled_management_interfaces": "redfish,idrac-redfish",
    "enabled_network_interfaces": "noop",
    "enabled_power_interfaces": "accel-redfish,accel-idrac,redfish",
    "enabled_raid_interfaces": "no-raid",
    "enabled_rescue_interfaces": "no-rescue",
    "enabled_storage_interfaces": "noop",
    "enabled_vendor_interfaces":
        "accelerator,accelerator-idrac,redfish,no-vendor",
    "default_network_interface": "noop",
}

# Everything that a test may wait for happens within seconds.
_CONDUCTOR: dict[str, object] = {
    "automated_clean": False,
    # A node that wants automated cleaning names the runbook of it.
    "automated_cleaning_step_source": "hybrid",
    "automated_cleaning_runbook_from_node": True,
    "sync_power_state_interval": 3,
    "sync_local_state_interval": 30,
    "check_provision_state_interval": 5,
    "power_state_change_timeout": 60,
    "soft_power_off_timeout": 10,
    "node_locked_retry_attempts": 10,
    "node_locked_retry_interval": 1,
}
