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

"""The lab: a context manager around real services."""

from __future__ import annotations

import contextlib
import itertools
import os
import pathlib
import shutil
import sys
import tempfile
from collections.abc import Mapping
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from tests.functional.harness import agent
from tests.functional.harness import boot_images
from tests.functional.harness import files
from tests.functional.harness import ironic
from tests.functional.harness import keystone
from tests.functional.harness import machines
from tests.functional.harness import nova
from tests.functional.harness import nova_stands
from tests.functional.harness import placement
from tests.functional.harness import ports
from tests.functional.harness import process
from tests.functional.harness import services
from tests.functional.harness import twins

RESOURCE_CLASS = "baremetal.accel"
#: Names the interpreter of the services' environment, where it is not ours.
SERVICES_PYTHON = "ACCEL_SERVICES_PYTHON"
AnyService = TypeVar("AnyService", bound=services.Service)


class Lab:
    """Ironic and Placement up on loopback, in a fresh folder, on free ports.

    Entering starts them side by side and waits for both; leaving, for
    whatever reason, ends every process that was started through the lab and
    removes the folder (kept after a failure, or with ``keep``).

    :param settings: laid over Ironic's configuration.
    :param keep: leave the folder with logs and databases behind.
    :param python: interpreter of the environment in which the services are
        installed; by default the one that ``ACCEL_SERVICES_PYTHON`` names,
        or ours. The simulated BMCs run in ours.
    """

    def __init__(self, settings: services.Settings | None = None,
                 keep: bool = False, python: str | None = None) -> None:
        self._settings = settings or {}
        self._keep = keep
        self._python = python or os.environ.get(
            SERVICES_PYTHON) or sys.executable
        self._stack = contextlib.ExitStack()
        self._numbers = itertools.count(1)

    def __enter__(self) -> Self:
        """Start everything; on failure nothing is left running."""
        try:
            self._open()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: TracebackType | None) -> None:
        """End everything."""
        self._stack.close()
        if kind is None and not self._keep:
            self.remove()

    def remove(self) -> None:
        """Remove the folder of a lab that has ended."""
        shutil.rmtree(self.folder)

    def _open(self) -> None:
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="accel-lab-"))
        self.folder.chmod(0o711)  # simulated hosts run as somebody else
        for name in ("images", "profiles", "image-cache"):
            (self.folder / name).mkdir()
        port_pool = ports.Ports()
        self._stack.callback(port_pool.close)
        reaper = process.Reaper()
        self._stack.callback(reaper.close)
        self.site = services.Site(self.folder, port_pool, reaper,
                                  self._python)
        self.images = files.FileServer(self.folder / "images")
        self._stack.callback(self.images.close)
        self.boot = boot_images.BootImages(
            self.folder / "images", self.images.url)
        # Ironic is told of Nova's address before there is a Nova.
        self._nova_port = port_pool.take()
        self._stands = nova_stands.StandIns(self.boot.instance_iso)
        self._stack.callback(self._stands.close)
        self.placement = self.add(placement.Placement(self.site))
        self.ironic = self.add(self.make_ironic(layered(
            self._accelerator(), self._neighbours(), self._settings)))
        self.wait_ready(self.placement, self.ironic)

    def make_ironic(self, settings: services.Settings) -> ironic.Ironic:
        """Ironic as this lab has it; it is started by whoever asks."""
        return ironic.Ironic(self.site, settings)

    def make_nova(self, port: int, urls: Mapping[str, str]) -> nova.Nova:
        """Nova as this lab has it, over the services at some addresses."""
        return nova.Nova(self.site, port, urls)

    def add(self, service: AnyService) -> AnyService:
        """Start a service, and end it when the lab ends."""
        self._stack.callback(service.stop)
        service.start()
        return service

    def wait_ready(self, *some: services.Service) -> None:
        """Wait for services that were added."""
        for service in some:
            service.wait_ready()

    @property
    def profiles(self) -> pathlib.Path:
        """The conductor's folder of site profiles."""
        return self.folder / "profiles"

    def twin(self, *arguments: str, name: str | None = None,
             python: Sequence[str] = (sys.executable,)) -> twins.Twin:
        """Start one more simulated BMC and wait for it.

        :param arguments: of ``python -m ironic_accel_emulator``.
        :param python: what runs a Python module.
        """
        name = name or f"twin-{next(self._numbers)}"
        twin = self.add(twins.Twin(self.site, name, arguments, python))
        twin.wait_ready()
        return twin

    def enroll(self, bmc: str, system: str | None = None,
               into: ironic.Ironic | None = None,
               **fields: Any) -> dict[str, Any]:
        """Enroll a node for a BMC, with the interfaces of the project.

        :param bmc: address of the BMC.
        :param system: path of the System, where the BMC has several.
        :param into: another Ironic than the lab's first.
        :param fields: what else ``POST /v1/nodes`` takes; these win.
        """
        ironic = into or self.ironic
        info = {"redfish_address": bmc, "redfish_auth_type": "basic",
                **self.boot.ramdisk(ironic.url)}
        if bmc.startswith("https:"):
            info["redfish_verify_ca"] = "false"
        if system is not None:
            info["redfish_system_id"] = system
        info.update(fields.pop("driver_info", {}))
        return ironic.api.create_node(**{
            "name": f"node-{next(self._numbers)}", "driver_info": info,
            "driver": "accel-redfish", "resource_class": RESOURCE_CLASS,
            "properties": {"cpu_arch": "x86_64"}, **INTERFACES, **fields})

    def ironic_on(self, database: str | None, name: str,
                  settings: services.Settings | None = None,
                  asked: keystone.Keystone | None = None,
                  ) -> ironic.Ironic:
        """Start one more Ironic, on an empty database, and wait for it.

        :param database: its URL; None is a file of its own.
        :param settings: laid over those of the lab's first.
        :param asked: Keystone, up, where it is to be asked who calls.
        """
        more = self.add(ironic.Ironic(
            self.site, layered(self._accelerator(), self._settings,
                               settings or {}), database, name, asked))
        more.wait_ready()
        return more

    def start_keystone(self) -> keystone.Keystone:
        """Start Keystone, and wait for it."""
        started = self.add(keystone.Keystone(self.site))
        started.wait_ready()
        return started

    def start_nova(self) -> nova.Nova:
        """Start Nova over this lab's Ironic and Placement, and wait for it."""
        started = self.add(self.make_nova(self._nova_port, {
            "ironic": self.ironic.url, "placement": self.placement.url,
            "glance": self._stands.glance,
            "neutron": self._stands.neutron}))
        started.wait_ready()
        return started

    def machine(self, *arguments: str, system: str | None = None,
                twin: twins.Twin | None = None,
                into: ironic.Ironic | None = None,
                **fields: Any) -> machines.Machine:
        """Start a simulated box and enroll a node for it.

        :param arguments: of ``python -m ironic_accel_emulator``.
        :param system: path of the System, where the BMC has several.
        :param twin: a box that runs already: one more node behind its BMC.
        :param into: another Ironic than the lab's first.
        :param fields: of the node, over the lab's own.
        """
        twin = twin or self.twin(*arguments)
        node = self.enroll(twin.url, system, into, **fields)
        return machines.Machine(into or self.ironic, twin, node)

    def host_machine(self, *arguments: str,
                     **fields: Any) -> machines.Machine:
        """Start a simulated box whose host boots, and enroll a node for it.

        Booted from the network, or with the boot interface
        ``redfish-virtual-media`` from its virtual drive, it runs a real
        ironic-python-agent, over the inside of the box; from elsewhere,
        nothing.

        :param arguments: of ``python -m ironic_accel_emulator``.
        :param fields: of the node, over the lab's own.
        :raises: LabError where we cannot become nobody.
        """
        host = agent.Host(self.site, f"host-{next(self._numbers)}",
                          self.boot.server)
        twin = self.twin(*arguments, *host.twin_arguments,
                         python=host.python)
        given = {**agent.INTERFACES, **fields, "driver_info": {
            **agent.DRIVER_INFO, **fields.get("driver_info", {})}}
        node = self.enroll(twin.url, **given)
        self.ironic.api.create_port(node["uuid"], host.mac)
        return machines.Machine(self.ironic, twin, node, host)

    def give_instance(self, machine: machines.Machine) -> None:
        """Tell a node what its next deploy boots or writes.

        A delete of the instance makes Ironic forget it.
        """
        api = machine.ironic.api
        node = api.node(machine.uuid)
        api.patch_node(machine.uuid, instance_info={
            **node["instance_info"],
            **self.boot.instance(node["deploy_interface"])})

    def deploy(self, machine: machines.Machine,
               **options: Any) -> dict[str, Any]:
        """Deploy an available node, and wait until it is active.

        :param options: of the API's call.
        """
        self.give_instance(machine)
        return machine.ironic.api.deploy(machine.uuid, **options)

    def _neighbours(self) -> services.Settings:
        # Ironic asks for images and tells of power changes only where Nova
        # has put an instance on a node.
        return {
            "nova": {"auth_type": "none", "send_power_notifications": True,
                     "endpoint_override":
                         f"http://127.0.0.1:{self._nova_port}/v2.1"},
            "glance": {"auth_type": "none",
                       "endpoint_override": self._stands.glance}}

    def _accelerator(self) -> services.Settings:
        # The twins' time is scaled; so are the patiences beside it.
        return {**self.boot.settings, "accelerator": {
            "profile_path": self.profiles,
            "image_cache_dir": self.folder / "image-cache",
            "image_dirs": self.folder / "images",
            "image_hosts": "127.0.0.1",
            "image_serve_dir": self.folder / "images",
            "image_serve_url": self.images.url,
            "poll_interval": 1,
            "stable_timeout": 60,
            "warm_up": 5,
            "bmc_timeout": 60,
            "aux_settle": 1,
            "lost_task_timeout": 5,
            # As by default, a step fails for want of an agent before the
            # power lock of what the agent wrote is removed.
            "agent_timeout": 20,
            "lost_update_timeout": 45,
            "first_boot_injection": True,
            # Takes part where a node is cleaned automatically and names no
            # runbook for it.
            "baseline_priority": 50,
            "soft_power_off_timeout": 10,
            "cleanup_interval": 2,
            # Nobody looks at a box but whoever a test asks to.
            "audit_interval": 0,
            # Twins of one box have the same serial numbers.
            "ownership_scope": "bmc",
        }}


#: What a node of the lab has; see Ironic's API on each.
INTERFACES = {
    "boot_interface": "redfish-virtual-media",
    "deploy_interface": "ramdisk",
    "firmware_interface": "no-firmware",
    "inspect_interface": "redfish",
    "management_interface": "redfish",
    "network_interface": "noop",
    "power_interface": "accel-redfish",
    "vendor_interface": "accelerator",
}


def layered(*layers: services.Settings) -> services.Settings:
    merged: dict[str, dict[str, object]] = {}
    for layer in layers:
        for group, options in layer.items():
            merged.setdefault(group, {}).update(options)
    return merged
