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

"""Handing a step back to Ironic without touching the host's power.

Ironic's error handlers tear down what a ramdisk would have needed, whether
one was booted or not, and some boot interfaces power the host off for that
(ironic 32 to 39: conductor/utils.py cleaning_error_handler and
servicing_error_handler call the deploy interface's tear_down_*;
drivers/modules/deploy_utils.py tear_down_inband_*; drivers/modules/redfish/
boot.py RedfishVirtualMediaBoot.clean_up_ramdisk is a POWER_OFF). On an active
node that is the tenant's host. So nothing is torn down here after a failure:
Ironic's next operation does it, or the operator's abort.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any

from ironic.common import async_steps
from ironic.common import exception
from ironic.common import faults
from ironic.common import states
from ironic.conductor import utils as manager_utils
from oslo_log import log

from ironic_accel.conductor.config import declared_steps
from ironic_accel.conductor.config import ironic_series
from ironic_accel.conductor.node import db_retry
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node.operation import Operation
from ironic_accel.conductor.node import saving

LOG = log.getLogger(__name__)

_FAULTS = {'clean': faults.CLEAN_FAILURE, 'service': faults.SERVICE_FAILURE}

#: The steps that ``baremetal accelerator apply`` requests, and its option.
_APPLY = {'apply_profile': '', 'apply_profile_in_band': '--via agent'}

#: The types of the entries that Ironic's own handlers write.
_EVENTS = {'clean': states.CLEANING, 'deploy': states.DEPLOYING,
           'service': states.SERVICING}


def changed_before(node: Any, kind: str) -> bool:
    """Whether an earlier step of the same service may have changed anything.

    It must be called before the result of the last step is dropped: each of
    our steps leaves one, so it is that of the step before.
    """
    if kind != 'service':
        return False
    info = node.driver_internal_info or {}
    earlier = (info.get('service_steps') or [])[
        :info.get('service_step_index') or 0]
    if all(_reads(step) for step in earlier):
        return False
    last = keys.RESULT.of(node)
    ours = all(declared_steps.get(step) is not None for step in earlier)
    if not ours or not last or last.get('operation') != 'service':
        return True
    return bool(last.get('writes') or last.get('resets')
                or last.get('changed_before'))


def _reads(step: Mapping[str, Any]) -> bool:
    declared = declared_steps.get(step)
    return declared is not None and not declared.writes


def untouched(node: Any, current: Operation) -> bool:
    """Whether an operation began nothing that could have changed the system.

    A host that was powered on for an inventory counts as untouched: it is off
    again.
    """
    record = operation.load_record(node)
    begun = record is not None and record.intent is not None
    return not (begun or current.writes or current.resets
                or current.ticket is not None
                or current.restore == states.POWER_ON)


def command(node: Any, current: Operation, verb: str) -> str | None:
    """The command that plans or applies the profile of a step again.

    It has the options with which the step was requested. A profile that was
    given inline came from a file whose name nobody knows here.

    :param verb: ``plan`` or ``apply``.
    :returns: None for a step that ``baremetal accelerator`` does not request.
    """
    if current.work != 'apply' or not current.profile or (
            current.step not in _APPLY):
        return None
    step = getattr(node, operation.STEP_FIELDS.get(current.kind, ''), None)
    args = (step or {}).get('args') or {}
    name = 'FILE' if current.inline else current.profile
    words = [f'baremetal accelerator {verb} {node.uuid} --profile {name}',
             *filter(None, [_APPLY[current.step]])]
    if args.get('max_activation'):
        words.append(f"--max-activation {args['max_activation']}")
    if current.disruption:
        words.append('--allow-disruption')
    made = ' '.join(words)
    return (f'{made} (FILE: the one with profile {current.profile})'
            if current.inline else made)


def next_commands(node: Any, current: Operation, nothing: bool) -> str:
    """The commands after a failure, in their order.

    :param nothing: whether nothing was begun (``untouched``).
    """
    uuid = node.uuid
    if current.kind == 'idle':
        return f'baremetal accelerator refresh {uuid}'
    again = command(node, current, 'apply') or 'run the step again'
    commands = [f'baremetal accelerator history {uuid} --failed']
    if current.kind == 'deploy':
        return commands[0]
    if current.kind == 'clean':
        commands += [f'baremetal node maintenance unset {uuid}',
                     f'baremetal node manage {uuid}']
    elif not nothing or current.changed_before:
        commands.append(f'baremetal node maintenance unset {uuid}')
    return ', then '.join([*commands, again])


def fail(task: Any, current: Operation, text: str, nothing: bool) -> None:
    """End a step that failed; it releases the task if a service continues.

    A service that began nothing ends in ``active``: the instance was not
    interrupted, and an abort of a failed service would power the host off.
    Everything else fails.

    :param text: the error that the operator reads.
    :param nothing: whether nothing was begun (``untouched``).
    :raises: NotOurs.
    """
    kind = current.kind
    if kind == 'service' and nothing and not current.changed_before:
        _stay_active(task, current, text)
        return
    summary = f'Step {current.step} failed: {text}'
    saving.check(task.node)
    _leave_cleaning_network(task, kind)
    try:
        if kind == 'deploy':
            manager_utils.deploying_error_handler(
                task, summary, text, clean_up=not nothing)
        elif nothing or flash_guard.lock_of(task.node) is not None:
            # The power off that options ask for would be refused.
            _fail_in_place(task, kind, text)
        elif kind == 'clean':
            manager_utils.cleaning_error_handler(
                task, summary, text, tear_down_cleaning=False)
        else:
            manager_utils.servicing_error_handler(
                task, summary, text, tear_down_service=False)
    except saving.NotOurs:
        raise
    except Exception:
        # A handler may be configured to power nodes off, which the power lock
        # refuses while an update is in progress. The node has to leave the
        # wait state all the same.
        LOG.exception('Failed to end step %s of node %s', current.step,
                      task.node.uuid)
        _fail_in_place(task, kind, text)


def resume(task: Any, current: Operation) -> None:
    """Let Ironic go on after a step; it releases the task.

    An abort that was asked for meanwhile would power off the host of a
    service that has no ramdisk, and leave it off: such a service ends
    active, without its further steps.
    """
    node = task.node
    if (current.kind == 'service'
            and (node.service_step or {}).get('abort_after')
            and ironic_series.is_ramdisk_disabled(node)):
        _stay_active(task, current, 'the service was aborted by request after '
                                    f'step {current.step}')
        return
    hand_back(task, current.kind)


def _leave_cleaning_network(task: Any, kind: str) -> None:
    """Take a node off the network of its clean.

    While something is written in the ramdisk it is watched over that.
    """
    node = task.node
    if kind != 'clean' or flash_guard.lock_of(node) or (
            ironic_series.is_ramdisk_disabled(node)):
        return
    try:
        task.driver.network.remove_cleaning_network(task)
    except Exception:
        # The next clean removes what is left before it adds its own.
        LOG.exception('Node %s is still in the cleaning network', node.uuid)


def _stay_active(task: Any, current: Operation, text: str) -> None:
    """End a service before its further steps; the node goes active.

    Ironic goes on with the steps that are left, and none is. With a ramdisk
    it boots the instance again.
    """
    node = task.node
    info = node.driver_internal_info
    steps = list(info.get('service_steps') or ())
    # The index is None in a service without steps, and then so are these.
    done = (info.get('service_step_index') or 0) + 1
    left = steps[done:]
    node.set_driver_internal_info('service_steps', steps[:done])
    if left:
        text += f'; steps that were not run: {_names(left)}'
    step = {k: v for k, v in (node.service_step or {}).items()
            if k != 'abort_after'}
    node.service_step = step
    LOG.error('Step %(step)s of node %(node)s: %(text)s', {
        'step': current.step, 'node': node.uuid, 'text': text})
    saving.history(node, text, error=True, event_type=states.SERVICING)
    saving.save(node)
    hand_back(task, 'service')


def _names(steps: Sequence[Mapping[str, Any]]) -> str:
    return ', '.join(f"{s.get('interface')}.{s.get('step')}" for s in steps)


def _fail_in_place(task: Any, kind: str, text: str) -> None:
    """Fail an operation and leave the host as it is.

    It is what Ironic's handlers do, short of the power action that options
    ask for (``[conductor]poweroff_in_cleanfail``) and of the tear down.
    """
    node = task.node
    if kind in _FAULTS:
        node.fault = _FAULTS[kind]
        node.maintenance = True
        node.maintenance_reason = node.maintenance_reason or text
    setattr(node, operation.STEP_FIELDS[kind], {})
    node.del_driver_internal_info(f'{kind}_step_index')
    async_steps.remove_node_flags(node)
    if flash_guard.lock_of(node) is None:
        manager_utils.wipe_token_and_url(task)
    saving.history(node, text, error=True, event_type=_EVENTS[kind])
    saving.save(node)
    if node.provision_state == operation.WAIT_STATES[kind]:
        target = (states.MANAGEABLE if node.target_provision_state
                  == states.MANAGEABLE else None)
        saving.process_event(task, 'fail', target)


def hand_back(task: Any, kind: str) -> None:
    """Hand a step that is over back to Ironic; it releases the task.

    :raises: NotOurs.
    """
    saving.check(task.node)
    context, node = task.context, task.node

    def attempt() -> None:
        if task.node is None:
            # The node is released; the call alone has failed.
            manager_utils.notify_conductor_resume_operation(
                _Released(context, node), kind)
            return
        try:
            manager_utils.notify_conductor_resume_operation(task, kind)
        except exception.NodeNotLocked:
            # The release was committed; only the answer was lost.
            task.shared = True
            manager_utils.notify_conductor_resume_operation(task, kind)

    # Ironic answers a call that continues a step: it may be another process.
    db_retry.call(attempt, remote=True)


@dataclasses.dataclass(frozen=True)
class _Released:
    """What Ironic reads of a task whose node is resumed."""

    context: Any
    node: Any

    def release_resources(self) -> None:
        """The node is released already."""
