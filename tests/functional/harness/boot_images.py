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

"""What the nodes of a lab boot, by boot interfaces of Ironic's own.

No file of it is what its name says: nothing on this machine ever boots them.
Ironic fetches, publishes and inserts them all the same. A simulated host
(``run_agent``) reads the parameters of its ramdisk where a real one does: in
the script that Ironic's iPXE interface writes for it, or in the image that is
in its virtual drive.
"""

from __future__ import annotations

import hashlib
import pathlib
from typing import Any

#: Where Ironic publishes what is booted, below the lab's file server.
FOLDER = "boot"
#: The first line of an image with a ramdisk in it.
RAMDISK = "ironic-accel lab ramdisk"
_SIZE = 4096


class BootImages:
    """Images on the lab's file server.

    :param folder: what the file server serves.
    :param url: of that folder.
    """

    def __init__(self, folder: pathlib.Path, url: str) -> None:
        self._folder = folder
        self._url = url
        (folder / FOLDER).mkdir()
        self._disk = self._write("disk.raw", bytes(_SIZE))
        #: An image that a node boots as its instance, and never writes.
        self.instance_iso = self._write("instance.iso", bytes(_SIZE))
        self._by_network = {
            f"deploy_{name}": self._write(f"agent.{name}", bytes(_SIZE))
            for name in ("kernel", "ramdisk")}

    @property
    def settings(self) -> dict[str, dict[str, object]]:
        """Where Ironic publishes what is booted, and keeps copies of it."""
        copies = self._folder.parent / "copies"
        return {
            "deploy": {"http_root": self._folder / FOLDER,
                       "http_url": self.server,
                       "iso_master_path": copies / "iso"},
            "pxe": {"tftp_master_path": copies / "tftp",
                    "instance_master_path": copies / "instance",
                    "images_path": copies / "images"},
            # The addresses of simulated hosts are nobody's business.
            "dhcp": {"dhcp_provider": "none"},
        }

    @property
    def server(self) -> str:
        """Where a host that boots from the network asks."""
        return f"{self._url}/{FOLDER}"

    def ramdisk(self, ironic: str) -> dict[str, str]:
        """``driver_info``: what a node boots the agent from.

        By iPXE kernel and ramdisk; by virtual media an image that was built
        beforehand, with its parameters in it: to build one Ironic needs
        programs that this machine may not have.

        :param ironic: URL of the Ironic that the agent calls.
        """
        parameters = {
            "ipa-api-url": ironic,
            "ipa-inspection-callback-url": f"{ironic}/v1/continue_inspection",
            "ipa-inspection-collectors": "default,pci-devices,accel"}
        text = "\n".join([RAMDISK, *(
            f"{name}={value}" for name, value in parameters.items())])
        name = hashlib.sha256(text.encode()).hexdigest()[:8]
        return {**self._by_network, "deploy_iso": self._write(
            f"agent-{name}.iso", text.encode())}

    def instance(self, deploy: str) -> dict[str, Any]:
        """``instance_info`` of a deploy.

        :param deploy: the node's deploy interface: one that writes an image
            to disk, or ``ramdisk``, which does not.
        """
        if deploy == "ramdisk":
            return {"boot_iso": self.instance_iso}
        return {"image_source": self._disk,
                "image_os_hash_algo": "sha256",
                "image_os_hash_value":
                    hashlib.sha256(bytes(_SIZE)).hexdigest(),
                "image_type": "whole-disk", "image_disk_format": "raw"}

    @property
    def instance_by_network(self) -> dict[str, Any]:
        """``instance_info`` of an instance that is booted, not written.

        Nova adds an image to it, which Ironic is not to look at.
        """
        return {**{name.removeprefix("deploy_"): url
                   for name, url in self._by_network.items()},
                "image_type": "partition"}

    def _write(self, name: str, content: bytes) -> str:
        (self._folder / name).write_bytes(content)
        return f"{self._url}/{name}"
