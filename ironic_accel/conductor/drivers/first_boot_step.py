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

"""The deploy step ``deliver_first_boot``.

The step checks that the profile, the site and the node allow a first-boot
unit and begins the operation; ``operation.first_boot`` delivers the unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ironic_accel.conductor.access import related_nodes
from ironic_accel.conductor.config import declared_steps
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.drivers import steps
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node.operation import Operation
from ironic_accel.conductor.node import profile_snapshot
from ironic_accel.conductor.operation import first_boot
from ironic_accel.inband.firstboot import target
from ironic_accel.model.errors import AccelError
from ironic_accel.model.profile import Profile

#: After the image is written and before the instance's boot is prepared
#: (ironic/drivers/modules/agent.py: 80 and 60), while the agent is there.
FIRST, LAST = 79, 61
#: Deploy interfaces whose agent leaves the image on a disk.
_AGENTS = ('direct', 'custom-agent', 'bootc')


def _request(_task: Any, _kind: str, args: Mapping[str, Any]) -> None:
    steps.given_profile(args['profile'])


class FirstBoot:
    """The step ``deliver_first_boot`` of the vendor interfaces."""

    @declared_steps.step('deploy', arguments={'profile': steps.PROFILE},
                         check=_request)
    def deliver_first_boot(self, task: Any,
                           profile: str | Mapping[str, Any]) -> str:
        """Let the instance set the modes that do not survive a reboot.

        Requires ``first_boot`` in ``allow`` of the profile and
        ``[accelerator]first_boot_injection``. Its priority must be 79 to 61.

        :raises: InvalidParameterValue.
        """
        related_nodes.refuse_child(task.node)
        steps.check_stopped(task, first_boot.STEP)
        found, inline = steps.given_profile(profile)
        _allowed(task, found)
        node = task.node
        try:
            profile_snapshot.keep(node, found)
        except AccelError as exc:
            raise steps.invalid(str(exc)) from exc
        return steps.begin(task, Operation(
            kind=str(operation.kind_of(node)), step=first_boot.STEP,
            work=first_boot.WORK, profile=found.name, inline=inline,
            power_on=False, in_band=True))


def _allowed(task: Any, profile: Profile) -> None:
    """Check that profile, configuration and node allow the step.

    :raises: InvalidParameterValue.
    """
    if 'first_boot' not in profile.allow:
        raise steps.invalid(f'profile {profile.name} does not allow '
                            'first_boot: add it to allow in the profile')
    if not CONF.accelerator.first_boot_injection:
        raise steps.invalid('[accelerator]first_boot_injection is disabled')
    priority = (task.node.deploy_step or {}).get('priority')
    if priority is not None and not LAST <= priority <= FIRST:
        raise steps.invalid(
            f'priority {priority}: expected {FIRST} to {LAST}, after the '
            'image is written and before its boot is prepared')
    reasons = target.node_reasons(
        task.node.deploy_interface,
        not task.driver.storage.should_write_image(task))
    if task.node.deploy_interface not in (*_AGENTS, 'ramdisk'):
        reasons += (f'deploy interface {task.node.deploy_interface} has no '
                    'agent running after the image is written',)
    if reasons:
        raise steps.invalid(f'{first_boot.STEP}: ' + '; '.join(reasons))
