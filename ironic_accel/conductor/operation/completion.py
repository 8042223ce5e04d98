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

"""How an operation ends: its result, the traits, Ironic's next step.

What counts as done is the result record that is written here, never the
provision state alone: Ironic may call a clean done whose step never ran.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any

from ironic.common import states
from oslo_log import log

from ironic_accel.conductor.access import agent_backend
from ironic_accel.conductor.access import related_nodes
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import history
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node.operation import Operation
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.operation.context import Context
from ironic_accel.conductor.operation.context import profile_of

from ironic_accel.conductor.operation import step_end
from ironic_accel.conductor.publication import publish
from ironic_accel.conductor.publication import withdraw
from ironic_accel.converge import outcome as outcomes
from ironic_accel.converge.outcome import Converged
from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import word
from ironic_accel.model import plan as plan_mod

LOG = log.getLogger(__name__)

#: Refusals kept in the result; the whole plan is in the inventory data.
SHOWN = 5


@dataclasses.dataclass(frozen=True, slots=True)
class Ending:
    """The end of an operation that still has to be carried out.

    :ivar error: why it failed, or None.
    :ivar plan: the document of the last plan, or None.
    :ivar facts: more for the result.
    :ivar seen: the last inventory, or None.
    """

    operation: Operation
    error: Detail | None = None
    plan: Mapping[str, Any] | None = None
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    result: Mapping[str, Any] | None = None
    seen: Inventory | None = None

    @classmethod
    def restored(cls, current: Operation) -> Ending:
        """The end of an operation whose restore is over."""
        result = dict(current.outcome or {})
        return cls(current, _error_of(result), result=result)

    def finish(self, task: Any) -> None:
        """Restore the power, write the result, hand back to Ironic.

        It releases the task: nothing may be done with it afterwards.
        """
        current = operation.load(task.node) or self.operation
        result = self.result
        if result is None:
            result = _result(task, current, self)
            history.ended(task.node, current, result, _error_of(result),
                          self.plan, self.seen)
        error = _error_of(result)
        _forget_reset(task.node)
        if current.phase != 'restore' and _is_left(task.node, result, current):
            now = clock.elapsed(task.node)
            # The history has its changes by now.
            operation.store(task.node, current.but(
                phase='restore', outcome=result, due=now, failures=0,
                changes=(),
                deadline=now + CONF.accelerator.busy_timeout,
                progress=f'restoring power state: {current.restore}'
                if current.restore else 'running a final inventory'))
            saving.save(task.node, touch=True)
            return
        kept = keys.RESULT.of(task.node)
        if current.work == 'watch':
            # The result is that of the step which this one outlived.
            result = kept or result
        nothing = step_end.untouched(task.node, current)
        _close(task, current, result)
        if current.step == keys.FOLLOW_UP_STEP and kept:
            # This refresh was not requested; the result of the last request
            # stays.
            keys.RESULT.put(task.node, kept)
            saving.save(task.node)
        if current.writes:
            related_nodes.refresh_children(task)
        if error is None or current.work == 'watch':
            _resume(task, current)
        else:
            _give_up(task, current, error, nothing)


def _error_of(result: Mapping[str, Any]) -> Detail | None:
    raw = result.get('error')
    return Detail.from_dict(raw) if raw else None


def to_restore(result: Mapping[str, Any], current: Operation) -> str | None:
    """The power state that is to be restored at the end, or None."""
    done = result['error'] is None and current.restore == states.POWER_ON
    return None if done else current.restore


def _is_left(node: Any, result: Mapping[str, Any],
             current: Operation) -> bool:
    """Whether work remains before an operation is handed back to Ironic.

    First the node must be idle to release the power lock, then the power state
    is restored. Neither is waited for while the result of a write is unknown:
    the step ends, and the write is monitored.
    """
    record = operation.load_record(node)
    if current.work == 'watch' or (
            flash_guard.lock_of(node) and record and record.intent):
        return False
    return bool(flash_guard.lock_of(node) or to_restore(result, current))


def converged(ctx: Context, outcome: Converged) -> Ending:
    """Publish what was verified by reading it back from an idle system."""
    flash_guard.drop(ctx.node)
    profile = profile_of(ctx.node, ctx.operation)
    seen = ctx.backend.last
    facts: dict[str, Any] = {
        'profile': profile.name, 'digest': profile.digest,
        'proved': len(outcome.proofs),
        'volatile': sorted({f'{p.item.device}/{p.item.name}'
                            for p in outcome.proofs if not p.persistent}
                           )[:SHOWN]}
    if seen is not None:
        facts.update(publish.publish(
            ctx.task, seen, ctx.backend.all_transports, ctx.wall,
            plan=outcome.plan,
            applied=None if ctx.operation.inline
            or not outcome.plan.applies else profile).facts)
    if not outcome.plan.applies:
        facts['no_is'] = plan_mod.NOT_APPLIED
    return Ending(ctx.operation, None, outcome.plan.to_dict(), facts,
                  seen=seen)


def refused(task: Any, current: Operation) -> Ending:
    """The end of a step that its own arguments or the node turn down."""
    return Ending(current, Detail(
        f'refused, nothing was changed: {current.why}',
        ErrorClass.NEEDS_OPERATOR, node=task.node.uuid))


def not_restored(task: Any, current: Operation, why: Detail) -> Operation:
    """An operation whose host does not have its previous power state.

    A failure names it in its error. A success stays one; ``last_error`` and
    the history of the node name the power state.
    """
    verb = 'on' if current.restore == states.POWER_ON else 'off'
    text = (f'the power state was not restored to {current.restore}: '
            f'{why.summary}; check the power state of the host and run: '
            f'baremetal node power {verb} {task.node.uuid}')
    LOG.error('Node %(node)s: %(text)s', {
        'node': task.node.uuid, 'text': text})
    result = {**(current.outcome or {}), 'not_restored': current.restore}
    operation.note_left_off(task.node, current)
    raw = result.get('error')
    if raw:
        error = Detail.from_dict(raw)
        result['error'] = dataclasses.replace(
            error, summary=f'{error.summary}; {text}').to_dict()
    else:
        saving.history(task.node, text, error=True)
    return current.but(outcome=result)


def fail(task: Any, current: Operation, error: Detail) -> None:
    """End an operation that failed; it releases the task."""
    Ending(current, error).finish(task)


def _result(task: Any, current: Operation, end: Ending) -> dict[str, Any]:
    refused = list((end.plan or {}).get('refused') or ())
    outcome = 'done'
    if end.error is not None:
        outcome = ('refused' if refused or current.work == 'refuse'
                   else 'failed')
    elif current.work == 'apply':
        applies = (end.plan or {}).get('applies', True)
        outcome = 'converged' if applies else outcomes.NOT_APPLIED
    # The times of day are for people; how long it took is counted.
    now = clock.now()
    seconds = round(clock.elapsed(task.node) - current.started, 1)
    result: dict[str, Any] = {
        'id': current.id, 'operation': current.kind, 'step': current.step,
        'outcome': outcome, 'profile': current.profile or None,
        'started': now - seconds, 'finished': now, 'seconds': seconds,
        'writes': current.writes,
        'device_resets': current.device_resets, 'resets': current.resets,
        'requests': current.requests, 'asked': dict(current.asked),
        'changed_before': current.changed_before, 'error': None}
    result.update(end.facts)
    if refused:
        result['refused'] = refused[:SHOWN]
        result['refused_count'] = len(refused)
    if end.error is not None:
        result['error'] = with_next(task.node, current, end.error).to_dict()
    return result


def with_next(node: Any, current: Operation, error: Detail) -> Detail:
    """An error with its node, and the commands to run next."""
    if current.work == 'watch':
        return dataclasses.replace(error, node=node.uuid)
    commands = step_end.next_commands(
        node, current, step_end.untouched(node, current))
    return dataclasses.replace(error, node=node.uuid, todo='; '.join(
        filter(None, (error.todo, commands))))


def _forget_reset(node: Any) -> None:
    """A reset that did not come about is not guarded any longer.

    It writes nothing: the next run decides anew what is to be activated.
    """
    record = operation.load_record(node)
    if record and record.intent and record.intent.kind == 'reset':
        operation.store_record(
            node, dataclasses.replace(record, intent=None))
        flash_guard.end_reset(node)


def keep_monitoring(task: Any) -> None:
    """Continue to monitor what a failed step left running in the system.

    The power lock is removed as soon as the write has ended, so that power
    actions are not refused for longer than necessary.
    """
    node = task.node
    standing = flash_guard.lock_of(node)
    if standing is None:
        return
    record = operation.load_record(node)
    intent = record.intent if record else None
    now = clock.mark(node)
    in_band = intent is not None and intent.transport == agent_backend.NAME
    if in_band:
        # Ironic has forgotten the agent with the step; it is still there.
        flash_guard.give_back(node)
    operation.store(node, Operation(
        kind='idle', step='watch', work='watch', state=node.provision_state,
        due=now, started=now, power_on=False, in_band=in_band,
        progress=str(standing['what'])))
    saving.save(node)


def _close(task: Any, current: Operation,
           result: Mapping[str, Any]) -> None:
    """Forget the operation, keep its result and what the next inherits."""
    node = task.node
    told = {} if current.kind == 'idle' else {'told': clock.shared()}
    keys.RESULT.put(node, {**result, **told})
    drop_operation(node)
    if flash_guard.lock_of(node) is None:
        flash_guard.forget(node)
    saving.save(node)


def drop_operation(node: Any) -> None:
    """Drop the operation; the next run continues with intent and staged items.
    """
    keys.OPERATION.drop(node)
    keys.PROFILE.drop(node)
    record = operation.load_record(node)
    if record is not None:
        record = record.finished()
        if record.is_empty:
            keys.RECORD.drop(node)
        else:
            operation.store_record(node, record)


def tell_again(task: Any) -> None:
    """Tell Ironic once more that a step has ended; it releases the task.

    Nobody did where the process died, or the database failed, after the
    result was saved.
    """
    node = task.node
    result = dict(keys.RESULT.of(node) or {})
    current = Operation(kind=result['operation'], **{
        name: result[name] for name in ('step', 'writes', 'device_resets',
                                        'resets', 'changed_before')})
    LOG.warning('Node %(node)s: %(step)s has ended, and Ironic still waits '
                'for it: handing the node back again',
                {'node': node.uuid, 'step': current.step})
    keys.RESULT.put(node, {**result, 'told': clock.shared()})
    saving.save(node)
    error = _error_of(result)
    if error is None:
        _resume(task, current)
    else:
        _give_up(task, current, error, step_end.untouched(node, current))


def _resume(task: Any, current: Operation) -> None:
    if current.kind != 'idle':
        step_end.resume(task, current)


def _give_up(task: Any, current: Operation, error: Detail,
             nothing: bool) -> None:
    _end_in_failure(task, current, error, nothing)
    if task.node is not None:
        keep_monitoring(task)


def _end_in_failure(task: Any, current: Operation, error: Detail,
                    nothing: bool) -> None:
    node = task.node
    text = word(dataclasses.replace(error, node=node.uuid))
    if current.kind == 'idle':
        # The end of the operation is in the history already.
        node.last_error = text
        saving.save(node)
        return
    if current.step == 'apply_baseline' and current.kind == 'clean' \
            and CONF.accelerator.baseline_on_failure == 'quarantine':
        _quarantine(task, text)
        _resume(task, current)
        return
    step_end.fail(task, current, text, nothing)


def _quarantine(task: Any, text: str) -> None:
    """Let cleaning continue, and put the node into maintenance."""
    node = task.node
    withdraw.withdraw(task, withdraw.everything())
    node.maintenance = True
    node.maintenance_reason = f'accelerator baseline: {text}'
    node.last_error = text
    saving.save(node)
