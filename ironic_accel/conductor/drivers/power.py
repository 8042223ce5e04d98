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

"""Power interfaces that do not cut a flash."""

from __future__ import annotations

from typing import Any

from ironic.common import exception
from ironic.common import states
from ironic.drivers.modules.drac import power as drac_power
from ironic.drivers.modules import ipmitool
from ironic.drivers.modules.redfish import power as redfish_power

from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.drivers import admission
from ironic_accel.conductor.drivers import error_handlers
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.publication import withdraw


#: States in which a worker of Ironic's has begun an operation.
_BEGUN = frozenset({states.CLEANING, states.SERVICING, states.DEPLOYING})


class GuardedPower:
    """The power lock in front of a power interface of Ironic.

    ``validate`` is the first check: the power API and delete call it before
    they change anything, and InvalidState is a 409. ``set_power_state`` and
    ``reboot`` are the second one: callers that do not validate are refused
    there, and the fields that Ironic cleared by then are restored.
    """

    def validate(self, task: Any) -> None:
        """Refuse while something is being written, and what cannot be run.

        Ironic asks before it accepts a clean, a service or a deploy: a step
        that is refused by what is stored is refused there. What it accepts
        without asking, as ``provide``, it asks of once the state has
        changed, in a worker that takes an InvalidParameterValue for a
        failure and leaves the node where it is at anything else (ironic 39,
        conductor/cleaning.py do_node_clean, servicing.py do_node_service).

        :raises: InvalidState with the time until which;
            InvalidParameterValue for a step that cannot be run, and in such
            a worker.
        """
        super().validate(task)  # type: ignore[misc]
        standing = flash_guard.applicable(task)
        if standing and not flash_guard.passes(task):
            flash_guard.remember(task.node)
            error = (exception.InvalidParameterValue
                     if task.node.provision_state in _BEGUN
                     else exception.InvalidState)
            raise error(flash_guard.refusal(*standing))
        admission.check(task)

    def get_power_state(self, task: Any) -> str | None:
        """The power state; with a power lock, the recorded one.

        The actual state may differ meanwhile, and Ironic would correct it by
        powering the node off during an update.
        """
        if not flash_guard.passes(task) and flash_guard.applicable(task):
            recorded: str | None = task.node.power_state
            if recorded is not None:
                return recorded
        self._pin(task)
        seen: str | None = super(  # type: ignore[misc]
            ).get_power_state(task)
        return seen

    def set_power_state(self, task: Any, power_state: str,
                        timeout: int | None = None) -> None:
        """Set the power state, unless the node has a power lock.

        :raises: DriverOperationError if the node has a power lock.
        """
        _refuse(task, power_state)
        if task.node.provision_state == states.DELETING:
            withdraw.after_tenant(task)
        self._pin(task)
        super().set_power_state(  # type: ignore[misc]
            task, power_state, timeout=timeout)
        _note_others(task)

    def reboot(self, task: Any, timeout: int | None = None) -> None:
        """Reboot, unless the node has a power lock.

        :raises: DriverOperationError if the node has a power lock.
        """
        _refuse(task)
        self._pin(task)
        super().reboot(task, timeout=timeout)  # type: ignore[misc]
        _note_others(task)


    def _pin(self, task: Any) -> None:
        """Keep Ironic's own session at the BMC; without Redfish there is
        none."""


class _Pinned(GuardedPower):
    """Power by Redfish, at the BMC's own origin alone."""

    def _pin(self, task: Any) -> None:
        """Keep Ironic's own session at the BMC."""
        bmc_session.pin(task.node)


def _refuse(task: Any, power_state: str = states.REBOOT) -> None:
    standing = flash_guard.applicable(task)
    if standing and not flash_guard.passes(task):
        flash_guard.give_back(task.node)
        why = error_handlers.fail(task, power_state)
        text = flash_guard.refusal(*standing)
        raise exception.DriverOperationError(
            f'{text}. The host stays on after: {why}' if why else text)


def _note_others(task: Any) -> None:
    """Forget that a reset of ours left the host off: somebody else has
    decided on its power state since. The caller saves.
    """
    if not flash_guard.passes(task) and keys.LEFT_OFF.is_there(task.node):
        keys.LEFT_OFF.drop(task.node)


class AccelRedfishPower(_Pinned, redfish_power.RedfishPower):
    """Ironic's Redfish power with the guard."""


class AccelIdracPower(_Pinned, drac_power.DracRedfishPower):
    """Ironic's iDRAC power with the guard."""

    # Upstream discourages its own iDRAC class in favour of plain Redfish;
    # nodes of the idrac hardware type have to have one all the same.
    supported = True


class AccelIpmiPower(GuardedPower, ipmitool.IPMIPower):
    """Ironic's IPMI power with the guard."""
