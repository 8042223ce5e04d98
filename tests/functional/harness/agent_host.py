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

"""The hardware of a simulated host, as its ironic-python-agent meets it.

For the process of ``run_agent`` alone. The agent's own hardware managers
would look at, and change, the machine on which the lab runs: they are not
loaded, nor are the commands that write images or switch a machine off.
"""

from __future__ import annotations

import importlib.metadata
import json
import pathlib
import types
from typing import Any

from ironic_python_agent.extensions import base
from ironic_python_agent import hardware
from ironic_python_agent import utils
from stevedore import extension
from stevedore import named

#: Commands that stay: what steps need, and ours. ``standby`` and ``image``
#: are below.
EXTENSIONS = ("accel", "clean", "deploy", "log", "poll", "service")
_EXTENSIONS = "ironic_python_agent.extensions"
_MANAGERS = "ironic_python_agent.hardware_managers"


class SimulatedHost(hardware.HardwareManager):
    """A server with one network card and no disk."""

    HARDWARE_MANAGER_NAME = "SimulatedHost"
    HARDWARE_MANAGER_VERSION = "1"
    #: Of its one network card.
    mac = ""
    #: Of the host: what would be written to its disk is noted there.
    folder = pathlib.Path()

    def evaluate_hardware_support(self) -> int:
        """Stand in for the generic manager."""
        return int(hardware.HardwareSupport.GENERIC)

    def list_network_interfaces(self) -> list[Any]:
        """The card from which the host was booted, with an address that
        is nobody's (RFC 5737): Ironic passes over loopback."""
        return [hardware.NetworkInterface(
            "boot0", self.mac, ipv4_address="192.0.2.1")]

    def get_cpus(self) -> Any:
        """Two cores."""
        return hardware.CPU("simulated", 1000, 2, "x86_64")

    def list_block_devices(self, include_partitions: bool = False
                           ) -> list[Any]:
        """None: there is nothing to erase."""
        return []

    def get_memory(self) -> Any:
        """Eight GiB."""
        return hardware.Memory(8 << 30, 8192)

    def get_bmc_address(self) -> None:
        """Unknown: the node is found by its port."""

    def get_bmc_v6address(self) -> None:
        """Unknown as well."""

    def get_system_vendor_info(self) -> Any:
        """The lab's own."""
        return hardware.SystemVendorInfo(
            "simulated", "LAB", "ironic-accel",
            hardware.SystemFirmware("ironic-accel", "1", "2026-01-01"))

    def get_boot_info(self) -> Any:
        """UEFI."""
        return hardware.BootInfo("uefi", self.mac)

    def wait_for_disks(self) -> None:
        """There is none to wait for."""

    def collect_system_logs(self, io_dict: Any, file_list: Any) -> None:
        """The logs of this machine are nobody's business."""

    def full_sync(self) -> None:
        """No file system is mounted."""

    def get_deploy_steps(self, node: Any, ports: Any) -> list[Any]:
        """The step by which the deploy interface ``direct`` writes."""
        return [{"step": "write_image", "interface": "deploy", "priority": 0,
                 "reboot_requested": False, "argsinfo": {
                     "image_info": {"description": "the image",
                                    "required": True},
                     "configdrive": {"description": "the config drive",
                                     "required": False}}}]

    def write_image(self, node: Any, ports: Any, image_info: dict[str, Any],
                    configdrive: str | None = None) -> None:
        """Note the image that a host with a disk would write."""
        with open(self.folder / "written", "a", encoding="utf-8") as notes:
            print(json.dumps({
                "urls": image_info["urls"],
                "checksum": image_info["os_hash_value"],
                "configdrive": configdrive is not None}), file=notes)


class Standby(base.BaseAgentExtension):
    """Of the commands around images and power the one that does no harm."""

    @base.sync_command("sync")
    def sync(self) -> None:
        """Say that everything is on disk: the host will be reset now."""

    @base.sync_command("get_partition_uuids")
    def get_partition_uuids(self) -> dict[str, str]:
        """None: the images of a lab are those of whole disks."""
        return {}


class Image(base.BaseAgentExtension):
    """What comes after an image."""

    @base.async_command("install_bootloader")
    def install_bootloader(self, **_options: Any) -> None:
        """Install nothing: an image of a whole disk has its own."""


def install(mac: str, folder: pathlib.Path) -> None:
    """Put the simulated host in the place of the machine.

    :raises: AttributeError for a release of the agent that is made otherwise.
    """
    SimulatedHost.mac, SimulatedHost.folder = mac, folder
    _replace(hardware, "_get_extensions", _managers)
    _replace(base, "init_ext_manager", _extensions)
    # It looks through this machine's disks for virtual media.
    _replace(utils, "copy_config_from_vmedia", lambda: None)


def _replace(module: types.ModuleType, name: str, by: Any) -> None:
    """Put ours in the place of theirs.

    :raises: AttributeError where it is not there: in another release of the
        agent it may have another name, and would look at this machine.
    """
    getattr(module, name)
    setattr(module, name, by)


def _managers() -> list[Any]:
    """Ours, as it is installed, and the simulated host."""
    point, = importlib.metadata.entry_points(group=_MANAGERS, name="accel")
    return [types.SimpleNamespace(obj=made(), entry_point_target=made)
            for made in (point.load(), SimulatedHost)]


def _extensions(agent: Any) -> Any:
    found: Any = named.NamedExtensionManager(
        _EXTENSIONS, names=EXTENSIONS,
        invoke_on_load=True, invoke_kwds={"agent": agent},
        propagate_map_exceptions=True)
    for kind in (Standby, Image):
        point = importlib.metadata.EntryPoint(
            kind.__name__.lower(), f"{__name__}:{kind.__name__}", _EXTENSIONS)
        found.extensions.append(extension.Extension(
            point.name, point, kind, kind(agent=agent)))
    base._EXT_MANAGER = found
    return found
