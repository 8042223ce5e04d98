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

"""The vendor interfaces: one mixin in front of Ironic's own.

Ironic has no interface type for accelerators, and no hook to add one; the
vendor slot has clean, deploy, service and verify steps, and passthru. In an
Ironic that has the type (``contrib/upstream``) the same class is an
accelerator interface. Of a node that has ours in both, the accelerator
interface has the steps, and the vendor interface the passthru methods.
"""

from __future__ import annotations

from typing import Any

from ironic.common import exception
from ironic.drivers.modules.drac import vendor_passthru as drac_vendor
from ironic.drivers.modules import ipmitool
from ironic.drivers.modules.redfish import vendor as redfish_vendor

from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.config import catalogue
from ironic_accel.conductor.config import declared_steps
from ironic_accel.conductor.config import ironic_series
from ironic_accel.conductor.drivers.agent_steps import AgentSteps
from ironic_accel.conductor.drivers.first_boot_step import FirstBoot
from ironic_accel.conductor.drivers.hold_passthru import Holding
from ironic_accel.conductor.drivers.passthru import Passthru
from ironic_accel.conductor.drivers.steps import Steps
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.upkeep.periodics import Periodics


class Accelerator(Holding, Passthru, AgentSteps, Steps, FirstBoot,
                  Periodics):
    """The methods that every accelerator interface adds to Ironic's."""

    def __init__(self) -> None:
        """Read the catalogue, so that invalid files are reported when the
        conductor starts.

        :raises: BadInput, which Ironic reports as a driver that cannot be
            loaded.
        """
        super().__init__()
        catalogue.catalogue()

    def get_properties(self) -> dict[str, str]:
        """Properties of a node that matter here."""
        upstream: dict[str, str] = super(  # type: ignore[misc]
            ).get_properties()
        return {**upstream, keys.BASELINE.name:
                'Site profile that the clean step apply_baseline applies to '
                'this node. Optional.',
                keys.ACCEPT_UNREAD.name:
                'List of Redfish paths of sub-resources that the BMC is known '
                'not to serve. Paths of devices, collections, tasks, jobs and '
                'update resources are refused. Optional.'}


    def get_clean_steps(self, task: Any) -> list[dict[str, Any]]:
        """The clean steps that this interface of the node has."""
        return self._listed(task, super().get_clean_steps(task))

    def get_deploy_steps(self, task: Any) -> list[dict[str, Any]]:
        """The deploy steps that this interface of the node has."""
        return self._listed(task, super().get_deploy_steps(task))

    def get_service_steps(self, task: Any) -> list[dict[str, Any]]:
        """The service steps that this interface of the node has."""
        return self._listed(task, super().get_service_steps(task))

    def get_verify_steps(self, task: Any) -> list[dict[str, Any]]:
        """The verify steps that this interface of the node has."""
        return self._listed(task, super(  # type: ignore[misc]
            ).get_verify_steps(task))

    def _listed(self, task: Any, steps: list[dict[str, Any]]
                ) -> list[dict[str, Any]]:
        if declared_steps.interface_type(
                task.driver, Accelerator) == self.interface_type:
            return steps
        return [s for s in steps if not hasattr(Accelerator, s['step'])]


class RedfishAccelerator(Accelerator, redfish_vendor.RedfishVendorPassthru):
    """The life cycle of accelerators, with all of Redfish's passthru."""


class IdracAccelerator(Accelerator, drac_vendor.DracRedfishVendorPassthru):
    """The life cycle of accelerators, with all of the iDRAC's passthru."""

    supported = True


class IpmiAccelerator(Accelerator, ipmitool.VendorPassthru):
    """The life cycle of accelerators, with all of ipmitool's passthru."""

    def validate(self, task: Any, method: str | None = None,
                 **kwargs: Any) -> None:
        """Check a passthru call before anything is done.

        :raises: InvalidState for a raw command while something is being
            written: there are raw commands that cut the power.
        """
        super().validate(task, method, **kwargs)
        standing = flash_guard.applicable(task)
        if method == 'send_raw' and standing and not flash_guard.passes(task):
            raise exception.InvalidState(flash_guard.refusal(*standing))


class _OfItsOwnType(ironic_series.ACCELERATOR_INTERFACE):
    """An accelerator interface that is nothing else."""

    interface_type = 'accelerator'

    def get_properties(self) -> dict[str, str]:
        """None beside ours."""
        return {}

    def validate(self, task: Any, method: str | None = None,
                 **kwargs: Any) -> None:
        """Check what the node has in driver_info for the BMC.

        :raises: InvalidParameterValue.
        """
        bmc_session.check(task.node)


class AccelRedfishAccelerator(Accelerator, _OfItsOwnType):
    """The life cycle of accelerators, as an interface type of Ironic."""


class AccelIdracAccelerator(Accelerator, _OfItsOwnType):
    """The same, for the hardware type accel-idrac."""


class AccelIpmiAccelerator(Accelerator, _OfItsOwnType):
    """The same, for the hardware type accel-ipmi."""
