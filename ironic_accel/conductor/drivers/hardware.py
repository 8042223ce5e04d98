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

from typing import Any

from ironic.drivers import drac
from ironic.drivers import ipmi
from ironic.drivers import redfish

from ironic_accel.conductor.config import options  # noqa: F401 - registers options
from ironic_accel.conductor.drivers import management
from ironic_accel.conductor.drivers import power
from ironic_accel.conductor.drivers import vendor


class AccelRedfishHardware(redfish.RedfishHardware):
    """Redfish hardware with managed accelerators.

    Only power interfaces with the power lock are supported, so that no node
    can be configured to be powered off during a firmware update.
    """

    @property
    def supported_power_interfaces(self) -> list[Any]:
        """The guarded power interface."""
        return [power.AccelRedfishPower]

    @property
    def supported_vendor_interfaces(self) -> list[Any]:
        """The accelerator interface first: it is the default if it is enabled.
        """
        upstream: list[Any] = super().supported_vendor_interfaces
        return [vendor.RedfishAccelerator, *upstream]

    @property
    def supported_management_interfaces(self) -> list[Any]:
        """The interface with accelerator sensors, and Ironic's."""
        upstream: list[Any] = super().supported_management_interfaces
        return [management.AccelRedfishManagement, *upstream]


class AccelIdracHardware(drac.IDRACHardware):
    """Dell hardware with managed accelerators."""

    @property
    def supported_power_interfaces(self) -> list[Any]:
        """The guarded power interface."""
        return [power.AccelIdracPower]

    @property
    def supported_vendor_interfaces(self) -> list[Any]:
        """The accelerator interface first: it is the default if it is enabled.
        """
        upstream: list[Any] = super().supported_vendor_interfaces
        return [vendor.IdracAccelerator, *upstream]

    @property
    def supported_management_interfaces(self) -> list[Any]:
        """The interface with accelerator sensors, and Ironic's."""
        upstream: list[Any] = super().supported_management_interfaces
        return [management.AccelIdracManagement, *upstream]


class AccelIpmiHardware(ipmi.IPMIHardware):
    """Hardware without Redfish, whose accelerators are managed in band.

    FRU data and firmware revisions of the BMC are read over IPMI.
    """

    @property
    def supported_power_interfaces(self) -> list[Any]:
        """The guarded power interface."""
        return [power.AccelIpmiPower]

    @property
    def supported_vendor_interfaces(self) -> list[Any]:
        """The accelerator interface first: it is the default if it is enabled.
        """
        upstream: list[Any] = super().supported_vendor_interfaces
        return [vendor.IpmiAccelerator, *upstream]
