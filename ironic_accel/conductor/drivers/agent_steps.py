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

"""The in-band step, and the steps of other hardware managers of the agent.

``apply_profile_in_band`` is declared by the agent only: a step that the
conductor does not know makes Ironic boot the ramdisk for a service. The step
still runs on the conductor, with the agent as an additional transport.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ironic.common import exception
from ironic.drivers.modules import agent_base
from oslo_log import log

from ironic_accel.conductor.config import declared_steps
from ironic_accel.conductor.config import ironic_series
from ironic_accel.conductor.config import ramdisk_support
from ironic_accel.conductor.drivers import activation_limit
from ironic_accel.conductor.drivers import steps
from ironic_accel.model.device import Activation
from ironic_accel.model.profile import Profile

LOG = log.getLogger(__name__)

#: The name that ``ipa_hardware_manager.manager`` declares.
STEP = 'apply_profile_in_band'

#: After the agent was booted (100), before the image is written (80)
#: (ironic/drivers/modules/agent.py): a reset later would boot the instance.
DEPLOY_PRIORITIES = range(81, 100)


def _request(task: Any, kind: str, args: Mapping[str, Any]
             ) -> tuple[Profile, tuple[Activation, str]]:
    return steps.check_apply(task, kind, **args)


_DECLARED = declared_steps.declare(STEP, steps.APPLY, check=_request)


class AgentSteps:
    """What an interface of ours does with the steps of the agent."""

    interface_type: str

    def get_clean_steps(self, task: Any) -> list[dict[str, Any]]:
        """Our steps, and those of this type that the agent declares."""
        _update_declared(task, 'clean')
        return [*super().get_clean_steps(task),  # type: ignore[misc]
                *agent_base.get_steps(
                    task, 'clean', interface=self.interface_type)]

    def get_deploy_steps(self, task: Any) -> list[dict[str, Any]]:
        """Our steps, and those of this type that the agent declares."""
        _update_declared(task, 'deploy')
        return [*super().get_deploy_steps(task),  # type: ignore[misc]
                *agent_base.get_steps(
                    task, 'deploy', interface=self.interface_type)]

    def get_service_steps(self, task: Any) -> list[dict[str, Any]]:
        """Our steps only.

        Ironic reads the agent's service steps of all interfaces from the
        deploy interface, and it reads the vendor interface before that one
        (ironic/conductor/steps.py, SERVICING_INTERFACE_PRIORITY).
        """
        _update_declared(task, 'service')
        found: list[dict[str, Any]] = super(
        ).get_service_steps(task)  # type: ignore[misc]
        return found

    def execute_clean_step(self, task: Any, step: Mapping[str, Any]
                           ) -> str | None:
        """Run one step of a cleaning."""
        return self._run(task, step, 'clean')

    def execute_deploy_step(self, task: Any, step: Mapping[str, Any]
                            ) -> str | None:
        """Run one step of a deployment."""
        return self._run(task, step, 'deploy')

    def execute_service_step(self, task: Any, step: Mapping[str, Any]
                             ) -> str | None:
        """Run one step of a service."""
        return self._run(task, step, 'service')

    def _run(self, task: Any, step: Mapping[str, Any], kind: str
             ) -> str | None:
        """Begin one of our steps, or pass another step on.

        An error of our step does not raise: the operation ends as refused.

        :raises: InvalidState if not even the operation can be stored.
        """
        if step['step'] not in declared_steps.names():
            return self._hand_on(task, step, kind)
        try:
            if step['step'] == STEP:
                _check(task, step, kind)
                return steps.begin_apply(
                    task, STEP, *_arguments(task.node, step), in_band=True)
            return self._hand_on(task, step, kind)
        except exception.IronicException as exc:
            return steps.refuse(task, step['step'], str(exc))
        except Exception as exc:
            # The text of an unknown exception may hold secrets.
            LOG.exception('Step %s of node %s failed '
                          'unexpectedly', step['step'],
                          task.node.uuid)
            return steps.refuse(
                task, step['step'], f'unexpected {type(exc).__name__}, see '
                                    'the log of the conductor')

    def _hand_on(self, task: Any, step: Mapping[str, Any], kind: str
                   ) -> str | None:
        """Run a step of the conductor's, or hand it to the agent."""
        done: str | None
        declared = getattr(self, f'{kind}_steps')
        if any(s['step'] == step['step'] for s in declared):
            run = getattr(super(), f'execute_{kind}_step')
            done = run(task, step)
        else:
            done = agent_base.execute_step(task, step, kind)
        return done


def _update_declared(task: Any, kind: str) -> None:
    """Have the in-band step be of the interface that has our steps, and accept
    the arguments that this conductor knows.

    The conductor runs the step, so its arguments never reach the agent; but
    Ironic checks them by what the agent declares. A ramdisk built before
    ``max_activation`` declares ``max_effect`` alone, and every ramdisk
    declares a step of the vendor interface.
    """
    node = task.node
    key = f'agent_cached_{kind}_steps'
    cached = node.driver_internal_info.get(key) or {}
    ours = declared_steps.interface_type(task.driver, AgentSteps)
    declared = [{**s, 'argsinfo': dict(steps.APPLY), 'interface': ours}
                if s.get('step') == STEP else s
                for name in declared_steps.TYPES for s in cached.get(name, ())]
    updated = {**cached, **{
        name: found for name in declared_steps.TYPES
        if (found := [s for s in declared if s.get('interface') == name])
        or name in cached}}
    if updated != cached:
        node.set_driver_internal_info(key, updated)


def _arguments(node: Any, step: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Profile, max_activation and allow_disruption of the step.

    :raises: InvalidParameterValue where there are others, or no profile.
    """
    args = dict(step.get('args') or {})
    why = _DECLARED.misfit(args)
    if why is not None:
        raise steps.invalid(why)
    old = args.get('max_effect')
    asked = activation_limit.asked(args.get('max_activation'), old)
    if old is not None:
        activation_limit.warn_deprecated(node, STEP)
    return args['profile'], asked, args.get('allow_disruption', False)


def check_ramdisk(node: Any, kind: str) -> None:
    """Check that an operation of a node may use the ramdisk.

    :raises: InvalidParameterValue.
    """
    if ironic_series.is_ramdisk_disabled(node):
        raise steps.invalid(f'{STEP} requires the ramdisk, but '
                            f'disable_ramdisk is set for this {kind}')
    if not ramdisk_support.can_look_up(node, kind):
        raise steps.invalid(
            f'{STEP} requires the ramdisk, but the API of this release of '
            'Ironic does not answer it in service wait: set '
            '[api]restrict_lookup = false')


def _check(task: Any, step: Mapping[str, Any], kind: str) -> None:
    """Refuse where and when the step cannot run.

    :raises: InvalidParameterValue.
    """
    check_ramdisk(task.node, kind)
    priority = step.get('priority')
    if kind == 'deploy' and priority is not None \
            and priority not in DEPLOY_PRIORITIES:
        raise steps.invalid(
            f'priority {priority!r} of {STEP}: expected {DEPLOY_PRIORITIES[0]}'
            f' to {DEPLOY_PRIORITIES[-1]}, after the agent is booted and '
            'before the image is written')
