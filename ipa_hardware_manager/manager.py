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


"""The agent's hardware manager, which declares the in-band step.

The step itself runs on the conductor, which calls this agent through its
extension (``ipa_hardware_manager.extension``). Because only the agent declares
it, Ironic boots the ramdisk for a service.
"""

from __future__ import annotations

from typing import Any

from ironic_python_agent import errors
from ironic_python_agent import hardware
from oslo_log import log

from ipa_hardware_manager import backend
from ironic_accel.inband.inventory import detect

LOG = log.getLogger(__name__)

STEP = 'apply_profile_in_band'

_ARGSINFO = {
    'profile': {
        'description': 'Name of a site profile, or an inline profile as a '
                       'mapping (at most 8 KiB).',
        'required': True},
    'max_activation': {
        'description': 'Strongest reset that this step may perform. Default '
                       'in a service step: none.',
        'required': False},
    'max_effect': {
        'description': 'Deprecated, use max_activation. The name of this '
                       'argument in earlier versions.',
        'required': False},
    'allow_disruption': {
        'description': 'Whether the instance on the node may be interrupted. '
                       'A service step requires true for any reset.',
        'required': False}}


class AccelHardwareManager(hardware.HardwareManager):
    """Accelerators in band; present only where there is one."""

    HARDWARE_MANAGER_NAME = 'AccelHardwareManager'
    # A constant: a version that changes between two boots of one cleaning
    # starts the cleaning anew (ironic/drivers/modules/agent_base.py).
    HARDWARE_MANAGER_VERSION = '1'

    def evaluate_hardware_support(self) -> int:
        """SERVICE_PROVIDER if a device of the catalogue is or may be present.

        Reads ids from sysfs only. If that fails, the error is logged and the
        step is offered: the inventory of the step will report the problem.
        """
        try:
            there = detect.has_accelerator(
                backend.host(), backend.site_ids())
        except Exception:
            # Whatever it is: the agent asks at its start, and one that does
            # not start costs the whole node, accelerators or not.
            LOG.exception('Failed to detect accelerators; offering step %s '
                          'anyway', STEP)
            there = True
        support = hardware.HardwareSupport
        return int(support.SERVICE_PROVIDER if there else support.NONE)

    def get_clean_steps(self, node: Any, ports: Any) -> list[dict[str, Any]]:
        """The one step, which an operator asks for."""
        return [{'step': STEP, 'interface': 'vendor', 'priority': 0,
                 'reboot_requested': False, 'abortable': False,
                 'argsinfo': _ARGSINFO}]

    def get_deploy_steps(self, node: Any, ports: Any
                         ) -> list[dict[str, Any]]:
        """The same; a deploy template gives it its priority (99 to 81)."""
        return self.get_clean_steps(node, ports)

    def get_service_steps(self, node: Any, ports: Any
                          ) -> list[dict[str, Any]]:
        """The same."""
        return self.get_clean_steps(node, ports)

    def apply_profile_in_band(self, node: Any, ports: Any,
                              **args: Any) -> None:
        """Refuse: the conductor's vendor interface runs this step.

        :raises: CommandExecutionError always.
        """
        raise errors.CommandExecutionError(
            f'{STEP} is run by the conductor: set vendor_interface of the '
            'node to accelerator, accelerator-idrac or accelerator-ipmi')
