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

"""Hardware types: Ironic's own, with our interfaces."""

from __future__ import annotations

from typing import Any

from ironic.drivers import drac
from ironic.drivers import hardware_type
from ironic.drivers import ipmi
from ironic.drivers import redfish

from ironic_accel.conductor.config import options  # noqa: F401 - registers options
from ironic_accel.conductor.config import ramdisk_support
from ironic_accel.conductor.drivers import management
from ironic_accel.conductor.drivers import power
from ironic_accel.conductor.drivers import vendor


ramdisk_support.publish_images_as(
    {'accel-redfish': 'redfish', 'accel-idrac': 'idrac'})


class _WithAccelerators(hardware_type.AbstractHardwareType):
    """What our hardware types have that Ironic's have not.

    Only power interfaces with the power lock are supported, so that no node
    can be configured to be powered off during a firmware update. Of the
    others ours come first: the first one that is enabled is the default.
    """

    _power: type
    _vendor: type
    _accelerator: type
    _management: tuple[type, ...] = ()

    @property
    def supported_power_interfaces(self) -> list[Any]:
        """The guarded power interface."""
        return [self._power]

    @property
    def supported_vendor_interfaces(self) -> list[Any]:
        """The accelerator interface, and Ironic's."""
        return [self._vendor, *super().supported_vendor_interfaces]

    @property
    def supported_accelerator_interfaces(self) -> list[Any]:
        """Ironic's no-accelerator and ours, in an Ironic with this type.

        Ours is not the default: enabling it changes no node.
        """
        return [*getattr(super(), 'supported_accelerator_interfaces', ()),
                self._accelerator]

    @property
    def supported_management_interfaces(self) -> list[Any]:
        """The interface with accelerator sensors, if any, and Ironic's."""
        return [*self._management, *super().supported_management_interfaces]


class AccelRedfishHardware(_WithAccelerators, redfish.RedfishHardware):
    """Redfish hardware with managed accelerators."""

    _power = power.AccelRedfishPower
    _vendor = vendor.RedfishAccelerator
    _accelerator = vendor.AccelRedfishAccelerator
    _management = (management.AccelRedfishManagement,)


class AccelIdracHardware(_WithAccelerators, drac.IDRACHardware):
    """Dell hardware with managed accelerators."""

    _power = power.AccelIdracPower
    _vendor = vendor.IdracAccelerator
    _accelerator = vendor.AccelIdracAccelerator
    _management = (management.AccelIdracManagement,)


class AccelIpmiHardware(_WithAccelerators, ipmi.IPMIHardware):
    """Hardware without Redfish, whose accelerators are managed in band.

    FRU data and firmware revisions of the BMC are read over IPMI.
    """

    _power = power.AccelIpmiPower
    _vendor = vendor.IpmiAccelerator
    _accelerator = vendor.AccelIpmiAccelerator
