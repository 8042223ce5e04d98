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

"""The ramdisk of an operation: whether it is running, and booting it again.

A host reset during a clean, deploy or service with a ramdisk ends its agent.
The next one has another address and another token, and must be running before
anything in band continues, be it our step or the next one.
"""

from __future__ import annotations

from typing import Any

from ironic.common import async_steps
from ironic.drivers.modules import deploy_utils

from ironic_accel.conductor.config import ironic_series
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.config import ramdisk_support
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node.operation import Operation
from ironic_accel.conductor.node import saving
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import ErrorClass

#: Seconds between two checks for an agent that is not running. Each check
#: locks the node, and a heartbeat to a locked node is ignored; an agent that
#: has come is noticed at once (``came``).
LOOK = 30.0

#: The name of our hardware manager in the ramdisk.
MANAGER = 'AccelHardwareManager'

_REBOOT = {'clean': async_steps.CLEANING_REBOOT,
           'deploy': async_steps.DEPLOYMENT_REBOOT,
           'service': async_steps.SERVICING_REBOOT}


def is_there(node: Any) -> bool:
    """Whether an agent has called and may be called.

    Both are wiped when the power is cut through Ironic; the URL alone may
    be a late call of the agent that was there before.
    """
    info = node.driver_internal_info or {}
    return bool(info.get('agent_url') and info.get('agent_secret_token'))


def has_ramdisk(node: Any, kind: str) -> bool:
    """Whether an operation that begins a step now runs with a ramdisk."""
    return (kind in _REBOOT and is_there(node)
            and not ironic_series.is_ramdisk_disabled(node))


def can_help(node: Any, kind: str) -> bool:
    """Whether there is a ramdisk, and our plug-in in it.

    Ironic keeps the versions of the agent's hardware managers over reboots,
    other than its steps (agent_base.refresh_steps).
    """
    managers = node.driver_internal_info.get('hardware_manager_version')
    return has_ramdisk(node, kind) and MANAGER in (managers or {})


def prepare(task: Any, current: Operation) -> None:
    """Have the next boot of the host be one into the ramdisk.

    The flag tells Ironic that the reboot is part of the step, and makes it
    drop the agent's token.
    """
    saving.check(task.node)
    async_steps.set_node_flags(
        task.node, reboot=True, skip_current_step=True, polling=True,
        step_type=current.kind)
    ramdisk_support.withdraw_image(task)
    deploy_utils.prepare_agent_boot(task)


def has_returned(node: Any, current: Operation) -> bool:
    """Whether the agent that an operation waits for has come."""
    return current.awaits is not None and is_there(node)


def wait(task: Any, current: Operation) -> bool:
    """Wait for the agent where there is none; whether that is so.

    The caller does nothing else then; everything is saved.

    :raises: AccelError where it takes longer than the option allows.
    """
    node = task.node
    if not _is_needed(node, current) or is_there(node):
        _back(node, current)
        return False
    now = clock.elapsed(node)
    until = current.awaits or now + CONF.accelerator.agent_timeout
    if now > until:
        raise AccelError(
            'the agent did not respond after a host reset',
            error_class=ErrorClass.NEEDS_OPERATOR,
            expected=f'a heartbeat within {CONF.accelerator.agent_timeout} s',
            todo='check the console of the host and its boot order')
    operation.store(node, current.but(
        awaits=until, due=min(until + 1, now + LOOK), failures=0,
        progress='waiting for the agent in the ramdisk', percent=None))
    saving.save(node, touch=True)
    return True


def _is_needed(node: Any, current: Operation) -> bool:
    """Whether an operation cannot go on without the agent now.

    A reset that is not performed yet is what brings the agent back.
    """
    if not current.ramdisk:
        return False
    record = operation.load_record(node)
    intent = record.intent if record else None
    return intent is None or intent.kind != 'reset' or bool(
        (intent.ticket or {}).get('performed'))


def _back(node: Any, current: Operation) -> None:
    """Continue with an agent that is running.

    Ironic removes its own flag if it runs the step itself. Left behind, it
    would have ``deploy.deploy`` omit its own reboot; without a ramdisk of ours
    it belongs to another step.
    """
    if current.ramdisk:
        node.del_driver_internal_info(_REBOOT[current.kind])
    if current.awaits is not None:
        operation.store(node, current.but(awaits=None))
