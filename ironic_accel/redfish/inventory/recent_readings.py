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
"""Readings of a moment ago that an inventory does not repeat.

Within one run the same BMC is read several times. Nothing that shows whether
the BMC is idle is ever reused, and nothing that proves a value: a run ends
with an inventory that reuses no device.

- Before a host reset an inventory shows that the values are pending and that
  the BMC is idle. The values were read a moment ago, after the writes: what
  was read before them is forgotten (``mode_setter.forget_written``). Which
  card is where (PCIeDevices, Memory) cannot have changed while the boot mark
  is the same, and is read again after the reset.
- While the host boots its System alone shows how far it is. Once it is up,
  the inventory begins with that reading.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import re

from ironic_accel.model.device import Inventory
from ironic_accel.redfish.client.getter import ROOT
from ironic_accel.redfish.client.json_document import normal
from ironic_accel.redfish.inventory.scope import Scope
from ironic_accel.redfish.inventory import system_state

#: Seconds for which the service root is kept: it has links and features of
#: the service, and no state.
_ROOT = 120.0
#: The same for what describes hardware, as long as the host is not reset.
_HARDWARE = 120.0
#: The same for values.
VALUES = 10.0
#: The same for the Systems that a check of a booting host has just read.
_SYSTEMS = 1.0
#: Seconds after an idle BMC was seen in which a booting host is checked by
#: its System alone.
IDLE = 120.0

_IS_HARDWARE = re.compile(r'/(?:PCIeDevices|PCIDevices|Memory)(?:/|$)')
_IS_VALUE = re.compile(r'/(?:Processors|NetworkAdapters)(?:/|$)')


@dataclasses.dataclass(frozen=True, slots=True)
class Reuse:
    """What an inventory may reuse.

    :ivar age: the maximum age in seconds of a reading, by its path.
    :ivar boot: the boot mark that must still be there, or None.
    """

    age: Callable[[str], float]
    boot: str | None = None

    def holds(self, scope: Scope) -> bool:
        """Whether what was reused may be: the host is on, and the same."""
        return self.boot is None or (
            system_state.power(scope.system) == 'on'
            and system_state.boot_mark(scope.system) == self.boot)


def root(uri: str) -> float:
    """The service root alone."""
    return _ROOT if uri == ROOT else 0.0


def before_reset(seen: Inventory) -> Reuse | None:
    """For the inventory between a write and its host reset.

    A card that has no other resource than its PCIeDevice is read: its state
    shows whether it is being updated.

    :param seen: the inventory before the write.
    :returns: None for a host without a boot mark.
    """
    alone = {normal(d.uri) for d in seen.devices if d.uri}

    def age(uri: str) -> float:
        if _IS_HARDWARE.search(uri):
            return 0.0 if uri in alone else _HARDWARE
        return VALUES if _IS_VALUE.search(uri) else root(uri)

    return None if seen.boot is None else Reuse(age, seen.boot)


def after_check(scope: Scope) -> Reuse:
    """For the inventory that follows a check of a booting host."""
    folder = normal(scope.system.uri).rpartition('/')[0]

    def age(uri: str) -> float:
        if uri == folder or uri.rpartition('/')[0] == folder:
            return _SYSTEMS
        return root(uri)

    return Reuse(age)
