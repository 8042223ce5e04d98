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

"""Hardware types: Ironic's own, with our vendor and power interfaces."""

from __future__ import annotations

import functools
from importlib import metadata
from typing import Any

from ironic.drivers import drac
from ironic.drivers import ipmi
from ironic.drivers import redfish
from oslo_log import log

from ironic_accel.conductor import conf  # noqa: F401 - registers options
from ironic_accel.conductor import management
from ironic_accel.conductor import power
from ironic_accel.conductor import vendor

LOG = log.getLogger(__name__)

#: Interfaces installed under such a name were made to go with ours; they
#: have still to be enabled. The lab's boot interface comes in this way.
_PREFIX = 'accel-'


@functools.cache
def _companions(interface: str) -> tuple[Any, ...]:
    """Interfaces of one kind that were installed to go with ours.

    Every task asks: the entry points of a whole environment are read once,
    and an upgrade beside a running conductor takes nothing away from it.
    """
    found = []
    for point in metadata.entry_points(
            group=f'ironic.hardware.interfaces.{interface}'):
        if not point.name.startswith(_PREFIX):
            continue
        try:
            found.append(point.load())
        except Exception:
            # To load it runs somebody else's module, which may raise
            # anything. One broken companion must not take the hardware type
            # away; whoever enables it is told by Ironic's own loader.
            LOG.exception('The %s interface %s cannot be loaded',
                          interface, point.name)
    return tuple(found)


class AccelRedfishHardware(redfish.RedfishHardware):
    """Redfish hardware whose accelerators are looked after.

    The guarded power interface is the only one, so that no node can be
    configured into being cut in the middle of a flash.
    """

    @property
    def supported_power_interfaces(self) -> list[Any]:
        """The guarded power interface."""
        return [power.AccelRedfishPower]

    @property
    def supported_vendor_interfaces(self) -> list[Any]:
        """Ours first: it is the default where it is enabled."""
        upstream: list[Any] = super().supported_vendor_interfaces
        return [vendor.RedfishAccelerator, *upstream]

    @property
    def supported_management_interfaces(self) -> list[Any]:
        """Ours, whose sensors know accelerators, and Ironic's."""
        upstream: list[Any] = super().supported_management_interfaces
        return [management.AccelRedfishManagement, *upstream]

    @property
    def supported_boot_interfaces(self) -> list[Any]:
        """Ironic's, and those installed to go with this hardware type."""
        upstream: list[Any] = super().supported_boot_interfaces
        return [*upstream, *_companions('boot')]


class AccelIdracHardware(drac.IDRACHardware):
    """Dell hardware whose accelerators are looked after."""

    @property
    def supported_power_interfaces(self) -> list[Any]:
        """The guarded power interface."""
        return [power.AccelIdracPower]

    @property
    def supported_vendor_interfaces(self) -> list[Any]:
        """Ours first: it is the default where it is enabled."""
        upstream: list[Any] = super().supported_vendor_interfaces
        return [vendor.IdracAccelerator, *upstream]

    @property
    def supported_management_interfaces(self) -> list[Any]:
        """Ours, whose sensors know accelerators, and Ironic's."""
        upstream: list[Any] = super().supported_management_interfaces
        return [management.AccelIdracManagement, *upstream]

    @property
    def supported_boot_interfaces(self) -> list[Any]:
        """Ironic's, and those installed to go with this hardware type."""
        upstream: list[Any] = super().supported_boot_interfaces
        return [*upstream, *_companions('boot')]


class AccelIpmiHardware(ipmi.IPMIHardware):
    """Hardware without Redfish, whose accelerators are looked after in band.

    What its BMC tells of FRUs and firmware is read by IPMI.
    """

    @property
    def supported_power_interfaces(self) -> list[Any]:
        """The guarded power interface."""
        return [power.AccelIpmiPower]

    @property
    def supported_vendor_interfaces(self) -> list[Any]:
        """Ours first: it is the default where it is enabled."""
        upstream: list[Any] = super().supported_vendor_interfaces
        return [vendor.IpmiAccelerator, *upstream]

    @property
    def supported_boot_interfaces(self) -> list[Any]:
        """Ironic's, and those installed to go with this hardware type."""
        upstream: list[Any] = super().supported_boot_interfaces
        return [*upstream, *_companions('boot')]
