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

"""A boot interface for simulated nodes.

For the lab alone: it lets real Ironic run clean, deploy and service steps on
simulated boxes without an image, and hands the parameters of a ramdisk to
the guest of a simulated host (``run_agent``). It is *available* once the
package is installed, but no operator meets it by accident: Ironic loads only
what ``[DEFAULT]enabled_boot_interfaces`` names, and its default names others.
"""

from __future__ import annotations

from collections.abc import Iterator
import json
import pathlib
from typing import Any

from ironic.common import boot_devices
from ironic.conductor import utils as manager_utils
from ironic.conf import CONF
from ironic.drivers import base


class NullBoot(base.BootInterface):
    """Sets the boot device and succeeds.

    Nodes with ports get a file for each in ``[pxe]tftp_root``, named by the
    MAC address: the kernel parameters of the ramdisk, as JSON.

    The capability ``ramdisk_boot`` is what Ironic's ``ramdisk`` deploy
    interface asks for (ironic/drivers/modules/ramdisk.py), the one deploy
    interface of the Redfish hardware type that works without an agent.
    """

    capabilities = ("ramdisk_boot",)

    def get_properties(self) -> dict[str, str]:
        """Return no properties: nothing is configurable."""
        return {}

    def validate(self, task: Any) -> None:
        """Accept every node."""

    def validate_inspection(self, task: Any) -> None:
        """Accept every node."""

    def prepare_ramdisk(self, task: Any, ramdisk_params: dict[str, Any],
                        mode: str = "deploy") -> None:
        """Point the node at the network once, as a real ramdisk boot does."""
        for file in _files(task):
            # The agent runs as somebody else.
            file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            file.write_text(json.dumps(ramdisk_params), "utf-8")
        manager_utils.node_set_boot_device(
            task, boot_devices.PXE, persistent=False)

    def clean_up_ramdisk(self, task: Any, mode: str = "deploy") -> None:
        """Take the parameters away."""
        for file in _files(task):
            file.unlink(missing_ok=True)

    def prepare_instance(self, task: Any) -> None:
        """Point the node at its disk for good."""
        manager_utils.node_set_boot_device(
            task, boot_devices.DISK, persistent=True)

    def clean_up_instance(self, task: Any) -> None:
        """Leave nothing behind: nothing was prepared."""


def _files(task: Any) -> Iterator[pathlib.Path]:
    for port in task.ports:
        yield pathlib.Path(CONF.pxe.tftp_root, port.address)
