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

"""Host resets, performed by the conductor in steps that survive it.

Every step is saved before it is done, in the notes that the loop keeps for
its caller (the ticket of the reset's intent): a conductor that dies in the
middle goes on with the same reset, it does not begin another.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
from typing import Any
import uuid

from ironic.common import exception
from ironic.common import states
from ironic.conductor import utils as manager_utils
from oslo_log import log

from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.access import child_nodes
from ironic_accel.conductor.access import ramdisk as ramdisk_module
from ironic_accel.conductor.access import shared_bmc
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.node import write_hold
from ironic_accel.conductor.operation.node_journal import BmcBusy
from ironic_accel.conductor.operation.node_journal import NodeJournal
from ironic_accel.converge import advance as converge
from ironic_accel.model.device import Effect
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.record import Record

LOG = log.getLogger(__name__)

#: What a reset consists of. Ironic has no warm reboot of its own: its
#: reboot is off and on, or a forced restart where powering off is disabled
#: (ironic/drivers/modules/redfish/power.py).
SEQUENCES: Mapping[Effect, tuple[str, ...]] = {
    Effect.WARM_REBOOT: ('reboot',),
    Effect.POWER_CYCLE: ('off', 'on'),
    Effect.AUX_CYCLE: ('off', 'aux', 'bmc', 'on'),
}

#: The note of child nodes that are to be on again at the end.
CHILDREN = 'children'

#: The note of the process that began with a reset.
BY = 'by'
_HERE = uuid.uuid4().hex

#: Seconds between two looks for a BMC that is away, at most.
BMC_LOOK = 5.0


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """How far a reset is.

    :ivar due: epoch seconds at which to go on.
    :ivar done: whether the reset has been performed.
    """

    record: Record
    due: float
    summary: str
    done: bool = False


def strongest_allowed(task: Any, disruption: bool = False
                      ) -> tuple[Effect, str | None]:
    """The strongest reset that this node may be given, and why no stronger.

    It is told to the planner, so that what needs more is refused before
    anything is begun.
    """
    why = child_nodes.any_at_work(task, disruption)
    if why:
        return Effect.DEVICE_RESET, why
    if task.node.disable_power_off:
        return Effect.WARM_REBOOT, 'disable_power_off is set on the node'
    why = shared_bmc.in_use(task)
    if shared_bmc.address(task.node) is None:
        why = 'without Redfish there is no auxiliary power cycle'
    if why:
        return Effect.POWER_CYCLE, why
    return Effect.AUX_CYCLE, None


def power(task: Any, state: str, timeout: int | None = None) -> None:
    """A power action of our own, through Ironic.

    :raises: whatever Ironic's power interface raises.
    """
    saving.check(task.node)
    if state != states.POWER_ON:
        flash_guard.forget(task.node)
    with flash_guard.passing(task):
        manager_utils.node_power_action(task, state, timeout=timeout)


def power_state(task: Any) -> str | None:
    """The real power state, whatever the guard says to others."""
    with flash_guard.passing(task):
        seen: str | None = task.driver.power.get_power_state(task)
        return seen


def perform(task: Any, journal: NodeJournal, record: Record, effect: Effect,
            now: float, soft: bool) -> Step:
    """Go one step on with a host reset.

    :param soft: whether an operating system is asked to shut down first.
    :raises: AccelError where the reset may not be performed; Ironic's own
        exceptions where the power does not do what it is told.
    """
    intent = record.intent
    if intent is None:
        raise ValueError('no reset is asked for')
    notes = dict(intent.ticket or {})
    sequence = SEQUENCES[effect]
    phase = notes.get('phase', sequence[0])
    if 'phase' not in notes:
        _check(task, effect)
        record = _note(journal, record, {
            'phase': phase, 'at': now, BY: _HERE,
            CHILDREN: notes.get(CHILDREN) or child_nodes.powered(task)})
        notes = dict(_ticket(record))
    elif phase == sequence[0] and notes.get(BY, _HERE) != _HERE:
        # Another conductor noted it and may have died before it asked. The
        # loop looks at the box first: somebody may write to it by now.
        record = _note(journal, record, {})
        return Step(record, now, 'looking at the box before the reset')
    if phase == 'bmc':
        waiting = _await_bmc(task, notes, now)
        if waiting is not None:
            return Step(record, waiting, 'waiting for the BMC')
    elif phase == 'aux':
        # The host went down since the first look: others had time to begin.
        held = shared_bmc.check_reset(task)
        if held:
            raise BmcBusy(held, error_class=ErrorClass.TRANSIENT,
                          node=task.node.uuid)
        # Saved as gone on before it is asked for: whether a request got out
        # before a crash cannot be told, and it is not made twice.
        record = _note(journal, record, {'phase': 'bmc', 'at': now})
        later = _aux_cycle(task)
        if later is not None:
            record = _note(journal, record, {'phase': 'aux', 'at': now})
            return Step(record, now + later, 'the BMC is busy')
        return Step(record, now + _look(), 'auxiliary power cycle')
    else:
        if phase == 'reboot' and soft and task.node.disable_power_off:
            record, done = _soft_reboot(task, journal, record, now)
            if done is None:
                return Step(record, now + _look(),
                            'the operating system restarts')
        else:
            done = False
        if not done:
            _power_phase(task, phase, soft, notes.get(CHILDREN) or ())
    place = sequence.index(phase) + 1
    if place < len(sequence):
        record = _note(journal, record,
                       {'phase': sequence[place], 'at': now})
        return Step(record, now, f'{effect}: {sequence[place]}')
    record = converge.reset_performed(record, now)
    journal.save(record)
    return Step(record, now, f'{effect} performed', done=True)


def _ticket(record: Record) -> Mapping[str, Any]:
    return (record.intent.ticket if record.intent else None) or {}


def _note(journal: NodeJournal, record: Record,
          notes: Mapping[str, Any]) -> Record:
    if record.intent is None:
        raise ValueError('no reset is asked for')
    kept = {k: v for k, v in _ticket(record).items() if k == CHILDREN}
    record = dataclasses.replace(record, intent=dataclasses.replace(
        record.intent, ticket={**kept, **notes}))
    journal.save(record)
    return record


def _check(task: Any, effect: Effect) -> None:
    """The last look before the first step; the planner was told before."""
    write_hold.check(task)
    held = child_nodes.waited_for(task)
    if held:
        raise BmcBusy(held, error_class=ErrorClass.TRANSIENT,
                      node=task.node.uuid)
    current = operation.load(task.node)
    strongest, why = strongest_allowed(
        task, bool(current and current.disruption))
    if effect.rank > strongest.rank:
        raise AccelError(
            f'{effect} of the host is not possible: {why}',
            error_class=ErrorClass.NEEDS_OPERATOR, node=task.node.uuid,
            expected=f'{strongest} or weaker', seen=str(effect),
            todo='free the node for it, then run again')


def _power_phase(task: Any, phase: str, soft: bool,
                 went_off: Iterable[str]) -> None:
    current = operation.load(task.node)
    ramdisk = current if current is not None and current.ramdisk else None
    if phase == 'on':
        if ramdisk:
            _boot_ramdisk(task, ramdisk)
        else:
            power(task, states.POWER_ON)
        with flash_guard.passing(task):
            child_nodes.power_on(task, went_off)
        return
    if soft:
        if not task.node.disable_power_off:
            _soft_off(task)
        _check_idle(task)
    if phase == 'reboot':
        if ramdisk:
            ramdisk_module.prepare(task, ramdisk)
        power(task, states.REBOOT)
    else:
        power(task, states.POWER_OFF)


def _boot_ramdisk(task: Any, current: operation.Operation) -> None:
    """Power a host on into the ramdisk.

    One that came on by itself, as its BMC is told to after an auxiliary
    cycle, boots whatever it boots, and is rebooted.
    """
    on = power_state(task) == states.POWER_ON
    ramdisk_module.prepare(task, current)
    power(task, states.REBOOT if on else states.POWER_ON)


def _soft_off(task: Any) -> None:
    """Let the operating system go down by itself, for a bounded time."""
    if power_state(task) != states.POWER_ON:
        return
    try:
        power(task, states.SOFT_POWER_OFF,
              timeout=CONF.accelerator.soft_power_off_timeout)
    except exception.IronicException as exc:
        LOG.warning('Node %(node)s did not shut down by itself and is '
                    'powered off: %(why)s',
                    {'node': task.node.uuid, 'why': exc})


def _check_idle(task: Any) -> None:
    """Look again before the power of a host that did not go down is cut.

    It was asked to for a while, in which somebody may have begun an update.

    :raises: BmcBusy; Unreachable.
    """
    if (shared_bmc.address(task.node) is None
            or power_state(task) == states.POWER_OFF):
        return
    try:
        bmc_session.host(task.node).check_idle()
    except Rejected as exc:
        raise BmcBusy(exc.detail.summary, error_class=ErrorClass.TRANSIENT,
                      node=task.node.uuid) from exc


def _soft_reboot(task: Any, journal: NodeJournal, record: Record,
                 now: float) -> tuple[Record, bool | None]:
    """Let the operating system restart a host that is not powered off.

    That it followed shows by the time of the last reset; Ironic itself waits
    for a host that is on, and it is on all the time. Where the BMC does not
    tell that time a forced restart could come in the middle of a soft one,
    so only one of them is asked for.

    :returns: the record, and whether it restarted; None while it may.
    """
    notes = _ticket(record)
    host = bmc_session.host(task.node)
    mark = host.boot_mark()
    if 'mark' not in notes:
        if mark is None or not host.offers('GracefulRestart'):
            return record, False
        record = _note(journal, record, {
            'phase': 'reboot', 'at': now, 'mark': mark})
        power(task, states.SOFT_REBOOT)
        return record, None
    if mark is not None and mark != notes['mark']:
        return record, True
    if now - float(notes['at']) <= CONF.accelerator.soft_power_off_timeout:
        return record, None
    LOG.warning('Node %s did not restart by itself and is restarted',
                task.node.uuid)
    return record, False


def _aux_cycle(task: Any) -> float | None:
    """Ask for it; seconds to wait where the BMC says "later", else None.

    :raises: Rejected where it is refused for good.
    """
    try:
        bmc_session.host(task.node).aux_cycle()
    except OutcomeUnknown as exc:
        # A BMC that cuts its own power need not answer.
        LOG.info('Node %(node)s: no answer to the auxiliary power cycle '
                 '(%(why)s), looking', {'node': task.node.uuid, 'why': exc})
    except Rejected as exc:
        if exc.retry_after is None:
            raise
        return exc.retry_after
    return None


def _look() -> float:
    return min(BMC_LOOK, float(CONF.accelerator.poll_interval))


def _await_bmc(task: Any, notes: Mapping[str, Any],
               now: float) -> float | None:
    """When to look for the BMC again, or None where it is back."""
    since = float(notes['at'])
    if now < since + CONF.accelerator.aux_settle:
        return float(min(now + _look(),
                         since + CONF.accelerator.aux_settle))
    if now > since + CONF.accelerator.bmc_timeout:
        raise AccelError(
            'the BMC did not come back after an auxiliary power cycle',
            error_class=ErrorClass.NEEDS_OPERATOR, node=task.node.uuid,
            expected=f'an answer within {CONF.accelerator.bmc_timeout} s',
            todo='look at the BMC')
    try:
        bmc_session.host(task.node).power_state()
    except Unreachable:
        return now + _look()
    return None
