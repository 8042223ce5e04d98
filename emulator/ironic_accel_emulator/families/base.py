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

"""What all families have in common: a plain Redfish server.

A family reads the documents once, when a box is made, and grows the state
from them: hosts, devices, components and modes, and the overlays by which
that state shows in the documents again.
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
    """The behaviour of a server of no particular maker.

    ``keys`` tells what an inventory id holds and which effect activates
    it: the first pattern that is found in the id counts.
    """

    name = 'generic'
    parallel_updates = False
    flash_while_off = False
    bad_image = 'Update.1.0.VerificationFailed'
    misfit = 'Update.1.0.NoTargetsDetermined'
    skipped = 'Update.1.0.UpdateNotApplicable'
    refuses_equal = False
    rejects_equal = False
    # An update that waits for a reset is applied while the host starts, and
    # active when it is up; its task says so in these words.
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
        """Read the documents of a box into its state."""
        hardware.grow_hosts(box)
        hardware.grow_devices(box)
        firmware.grow_components(box)
        settings.grow_modes(box)

    def key_of(self, name: str, document: Document) -> tuple[str, Activation]:
        """What an inventory entry holds, and what activates it."""
        for pattern, key, activation in self.keys:
            if re.search(pattern, name):
                return key, activation
        return 'other', Activation.POWER_CYCLE

    def covers(self, target: str, component: Component) -> bool:
        """Whether a target that is no component's own means it."""
        return False

    def check_update(self, box: Box, parameters: Mapping[str, Any]) -> None:
        """Refuse parameters of an update that this maker does not take.

        Raises RedfishError 400.
        """

    def activated(self, box: Box, component: Component, old: str) -> None:
        """A component runs another version now."""

    def renumber(self, box: Box) -> None:
        """Move resource ids, as some machines do at a reset."""
        renumber.renumber(box)


def inventory(box: Box) -> list[str]:
    """Paths of the firmware inventory's members."""
    return box.documents.collection(f'{ROOT}/UpdateService/FirmwareInventory')
