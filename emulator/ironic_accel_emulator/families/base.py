# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The common behaviour of all families: a plain Redfish server.

A family reads the documents once, when a system is made, and builds the state
from them: hosts, devices, components and modes, and the overlays that write
the state into the documents.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ironic_accel_emulator.documents import ROOT, Document
from ironic_accel_emulator.families import (
    firmware,
    hardware,
    renumber,
    settings,
)
from ironic_accel_emulator.parts import Component, Activation

if TYPE_CHECKING:
    from ironic_accel_emulator.box import Box


class Family:
    """The behaviour of a server without a known vendor.

    ``keys`` maps patterns of inventory ids to a component and its activation;
    the first pattern found in the id is used.
    """

    name = 'generic'
    parallel_updates = False
    flash_while_off = False
    bad_image = 'Update.1.0.VerificationFailed'
    misfit = 'Update.1.0.NoTargetsDetermined'
    skipped = 'Update.1.0.UpdateNotApplicable'
    refuses_equal = False
    rejects_equal = False
    # An update that waits for a reset is applied while the host boots, and
    # active afterwards; this is the message of its task.
    scheduled: str | None = None
    keys: tuple[tuple[str, str, Activation], ...] = (
        (r'(?<!V)BIOS', 'bios', Activation.WARM_REBOOT),
        (r'BMC|HMC|iDRAC', 'bmc', Activation.AUX_CYCLE),
        (r'GPU|VBIOS|Video', 'gpu', Activation.POWER_CYCLE),
        (r'BlueField|BF3|DPU', 'nic', Activation.POWER_CYCLE),
        (r'Alveo.*SC|_SC_', 'sc', Activation.POWER_CYCLE),
        (r'Alveo|FPGA', 'shell', Activation.POWER_CYCLE),
        (
            r'CX\d|ConnectX|NIC|HPCNet|InfiniBand',
            'nic',
            Activation.WARM_REBOOT,
        ),
    )

    def grow(self, box: Box) -> None:
        """Build the state of a system from its documents."""
        hardware.grow_hosts(box)
        hardware.grow_devices(box)
        firmware.grow_components(box)
        settings.grow_modes(box)

    def key_of(self, name: str, document: Document) -> tuple[str, Activation]:
        """The component of an inventory entry, and its activation."""
        for pattern, key, activation in self.keys:
            if re.search(pattern, name):
                return key, activation
        return 'other', Activation.POWER_CYCLE

    def covers(self, target: str, component: Component) -> bool:
        """Whether a target that is not the component's own includes it."""
        return False

    def check_update(self, box: Box, parameters: Mapping[str, Any]) -> None:
        """Refuse parameters of an update that this vendor does not accept.

        Raises RedfishError 400.
        """

    def activated(self, box: Box, component: Component, old: str) -> None:
        """Called after a component has changed its running version."""

    def renumber(self, box: Box) -> None:
        """Change resource ids, as some systems do at a reset."""
        renumber.renumber(box)


def inventory(box: Box) -> list[str]:
    """Paths of the members of the firmware inventory."""
    return box.documents.collection(f'{ROOT}/UpdateService/FirmwareInventory')
