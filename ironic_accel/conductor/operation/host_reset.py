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

"""Host resets through Ironic.

The next phase is decided in ``converge.host_reset``. This module performs it:
power through Ironic's own calls, which clear the agent's token and notify
Nova, and what Ironic has no call for through the BMC.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
import uuid

from ironic.common import exception
from ironic.common import states
from ironic.conductor import utils as manager_utils
from oslo_log import log

from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.access import ramdisk as ramdisk_module
from ironic_accel.conductor.access import related_nodes
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import queries
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.operation.completion import Ending
from ironic_accel.conductor.operation.context import BmcBusy
from ironic_accel.conductor.operation.context import Context
from ironic_accel.conductor.operation.context import NodeJournal
from ironic_accel.converge.perform_reset import HostResetter
from ironic_accel.converge.perform_reset import ResetStep
from ironic_accel.converge.reset_terms import Graceful
from ironic_accel.converge.reset_terms import ResetRules
from ironic_accel.converge.reset_terms import ResetTimes
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.record import Record

LOG = log.getLogger(__name__)

#: The note of child nodes that are to be on again at the end.
CHILDREN = 'children'

#: This process, in the note of the resets that it performs.
_HERE = uuid.uuid4().hex

#: Maximum time in seconds between two checks of a host or BMC in a reset.
BMC_LOOK = 5.0

_OFF = (states.POWER_OFF, states.SOFT_POWER_OFF)

#: Poll intervals until the next check of a node that shares the BMC.
RETRY = 2


def strongest_allowed(task: Any, disruption: bool = False
                      ) -> tuple[Activation, str | None]:
    """The strongest reset that is possible for a node, and why no stronger.

    The planner gets it, so that a plan that needs a stronger one is refused
    before anything begins.
    """
    why = related_nodes.any_child_in_use(task, disruption)
    if why:
        return Activation.DEVICE_RESET, why
    if task.node.disable_power_off:
        return Activation.WARM_REBOOT, 'disable_power_off is set on the node'
    why = related_nodes.in_use(task)
    if queries.bmc_address(task.node) is None:
        why = 'an auxiliary power cycle requires Redfish'
    if why:
        return Activation.POWER_CYCLE, why
    return Activation.AUX_CYCLE, None


def power(task: Any, state: str, timeout: int | None = None) -> None:
    """A power action of our own, through Ironic.

    :raises: whatever Ironic's power interface raises.
    """
    saving.check(task.node)
    if state != states.POWER_ON:
        flash_guard.forget(task.node)
    with flash_guard.passing(task):
        if state in _OFF and _restarts_for_an_instance(task):
            _power_off(task, state, timeout)
        else:
            manager_utils.node_power_action(task, state, timeout=timeout)
    if state == states.POWER_ON and keys.LEFT_OFF.is_there(task.node):
        keys.LEFT_OFF.drop(task.node)


def _restarts_for_an_instance(task: Any) -> bool:
    """Whether a host that is powered off is to be on again for its instance.

    Ironic powers child nodes off with their parent, and shows them so.
    """
    node, current = task.node, operation.load(task.node)
    return bool(node.instance_uuid and current is not None
                and current.kind == 'service'
                and current.restore != states.POWER_OFF
                and not node.disable_power_off
                and not related_nodes.powered_children(task))


def _power_off(task: Any, state: str, timeout: int | None) -> None:
    """Power a host off that Ironic shows as on, as in its own reboot.

    Nova takes an instance for stopped whose node is shown as off, and asks to
    power it off (nova/compute/manager.py _sync_instance_power_state). A
    request that waits for the node is granted after the step: it would power
    off the host of a tenant who wants it on.

    :raises: whatever Ironic's power interface raises.
    """
    if task.driver.power.get_power_state(task) == states.POWER_OFF:
        return
    # What node_power_action does too: an agent is gone with its power.
    manager_utils.wipe_internal_info_on_power_off(task.node)
    task.node.timestamp_driver_internal_info('last_power_state_change')
    saving.save(task.node)
    task.driver.power.set_power_state(task, state, timeout=timeout)


def power_on(ctx: Context) -> Ending | None:
    """Power the host on; what was is restored at the end.

    A host that a reset of ours left off was on before, and stays on.

    :returns: the end of the operation where it may not.
    """
    current = ctx.operation
    if not current.power_on:
        return Ending(current, Detail(
            'the host is off and this step must not power it on',
            ErrorClass.NEEDS_OPERATOR, node=ctx.node.uuid,
            todo='power the host on, or set allow_disruption: true'))
    flash_guard.check_hold(ctx.task)
    if current.restore is None:
        ctx.change(restore=states.POWER_ON
                   if keys.LEFT_OFF.is_there(ctx.node) else states.POWER_OFF)
        saving.save(ctx.node)
    if current.ramdisk:
        ramdisk_module.prepare(ctx.task, current)
    power(ctx.task, states.POWER_ON)
    ctx.change(due=ctx.now + ctx.pace.look, failures=0,
               progress='host powered on, waiting for its '
                        'devices', percent=None)
    return None


def power_state(task: Any) -> str | None:
    """The actual power state, whatever the power lock makes Ironic see."""
    with flash_guard.passing(task):
        seen: str | None = task.driver.power.get_power_state(task)
        return seen


def perform(task: Any, journal: NodeJournal, record: Record,
            activation: Activation, now: float, soft: bool) -> ResetStep:
    """Perform the next phase of a host reset.

    :param soft: whether an operating system is asked to shut down first.
    :raises: AccelError if the reset may not be performed; exceptions of Ironic
        if a power action fails.
    """
    if record.intent is None:
        raise ValueError('no reset is asked for')
    notes = dict(record.intent.ticket or {})
    current = operation.load(task.node)
    ramdisk = current if current is not None and current.ramdisk else None

    def begins() -> Mapping[str, Any]:
        _check(task, activation)
        return {CHILDREN: notes.get(CHILDREN)
                or related_nodes.powered_children(task)}

    def is_on() -> None:
        with flash_guard.passing(task):
            related_nodes.power_children_on(task, notes.get(CHILDREN) or ())

    rules = _rules(task.node, soft, ramdisk is not None,
                   current is not None and current.restore == states.POWER_OFF)
    resetter = HostResetter(IronicPower(task, ramdisk), journal.save, rules,
                            begins, is_on)
    try:
        return resetter.step(record, now)
    except Unreachable as exc:
        # The wait has ended, so this error is not retried.
        raise AccelError(exc.detail) from exc


def _rules(node: Any, soft: bool, ramdisk: bool, keep_off: bool
           ) -> ResetRules:
    """How Ironic resets a host.

    It has no warm reboot of its own: its reboot is off and on, or a forced
    restart where powering off is disabled
    (ironic/drivers/modules/redfish/power.py). A soft reboot returns while
    the host is on all the time, so it is asked for only where the boot mark
    shows that it followed: a forced restart could come in the middle of it.
    """
    options = CONF.accelerator
    bound = float(options.reset_timeout)
    look = _look()
    return ResetRules(
        by=_HERE, times=ResetTimes(
            look=look, soft=options.soft_power_off_timeout if soft else 0,
            hard=bound, away=options.bmc_timeout, busy=bound, again=look,
            aux_settle=options.aux_settle, settle=0),
        graceful=((Graceful.MARKED_RESTART,) if node.disable_power_off
                  else (Graceful.SHUTDOWN,)),
        waits=True, restart_once=False, calls_all=True, ramdisk=ramdisk,
        can_inventory=not ramdisk or ramdisk_module.is_there(node),
        restores=True, keep_off=keep_off)


def _check(task: Any, activation: Activation) -> None:
    """The last check before the first phase; the planner made the same one."""
    flash_guard.check_hold(task)
    held = related_nodes.child_waited_for(task)
    if held:
        raise BmcBusy(held, error_class=ErrorClass.TRANSIENT,
                      node=task.node.uuid)
    current = operation.load(task.node)
    strongest, why = strongest_allowed(
        task, bool(current and current.disruption))
    if activation.rank > strongest.rank:
        raise AccelError(
            f'a {activation} of the host is not possible: {why}',
            error_class=ErrorClass.NEEDS_OPERATOR, node=task.node.uuid,
            expected=f'{strongest} or weaker', seen=str(activation),
            todo='resolve this, then run the step again')


class IronicPower:
    """The power of a node's host through Ironic; ``HostPower``.

    What Ironic has no call for is read, and done, through the node's BMC.

    :param task: a task that holds the node exclusively.
    :param ramdisk: the operation whose ramdisk the host is to boot, or None.
    """

    def __init__(self, task: Any, ramdisk: operation.Operation | None
                 ) -> None:
        self._task = task
        self._ramdisk = ramdisk

    @property
    def _has_bmc(self) -> bool:
        """Whether Redfish can be asked for what Ironic does not report."""
        return queries.bmc_address(self._task.node) is not None

    def power_state(self) -> str:
        """``on``, ``off`` or ``unknown``; see HostPower."""
        seen = power_state(self._task)
        return {states.POWER_ON: 'on', states.POWER_OFF: 'off'}.get(
            seen or '', 'unknown')

    def power_on(self) -> None:
        """Power the host on, into the ramdisk where there is one."""
        if self._ramdisk is not None:
            ramdisk_module.prepare(self._task, self._ramdisk)
        power(self._task, states.POWER_ON)

    def power_off(self, soft: bool) -> None:
        """Power the host off.

        :raises: Rejected where the operating system does not follow.
        """
        if not soft:
            power(self._task, states.POWER_OFF)
            return
        try:
            power(self._task, states.SOFT_POWER_OFF,
                  timeout=CONF.accelerator.soft_power_off_timeout)
        except exception.IronicException as exc:
            LOG.warning('The operating system of node %(node)s did not shut '
                        'down; powering the node off: %(why)s',
                        {'node': self._task.node.uuid, 'why': exc})
            raise Rejected('soft power off failed: '
                           f'{type(exc).__name__}') from exc

    def warm_reboot(self, soft: bool = False) -> None:
        """Restart the host, into the ramdisk where there is one.

        :raises: OutcomeUnknown where a soft reboot may have been asked for.
        """
        if not soft:
            if self._ramdisk is not None:
                ramdisk_module.prepare(self._task, self._ramdisk)
            power(self._task, states.REBOOT)
            return
        try:
            power(self._task, states.SOFT_REBOOT)
        except exception.IronicException as exc:
            LOG.warning('The soft reboot of node %(node)s failed; waiting in '
                        'case the host reboots anyway: %(why)s',
                        {'node': self._task.node.uuid, 'why': exc})
            raise OutcomeUnknown(
                f'soft reboot failed: {type(exc).__name__}') from exc

    def boot_mark(self) -> str | None:
        """What changes at a reset of the host, or None."""
        return (bmc_session.host(self._task.node).boot_mark()
                if self._has_bmc else None)

    def offers(self, kind: str) -> bool:
        """Whether a ResetType is supported.

        A soft power off is always offered: every driver of Ironic has one and
        reports its failure.
        """
        return kind == 'GracefulShutdown' or (
            self._has_bmc and bmc_session.host(self._task.node).offers(kind))

    def aux_cycle(self) -> None:
        """Cut the auxiliary power, unless it takes a neighbour's BMC away.

        :raises: Rejected, to be tried later, where it is in use; AccelError
            where a node behind the BMC has a user by now; as redfish.host.
        """
        # The host was powered off since the first check, and other nodes had
        # time to begin.
        held = related_nodes.check_reset(self._task)
        if held:
            raise Rejected(held, RETRY * CONF.accelerator.poll_interval,
                           error_class=ErrorClass.TRANSIENT,
                           node=self._task.node.uuid)
        bmc_session.host(self._task.node).aux_cycle()

    def check_idle(self) -> None:
        """Raise Rejected, to be tried later, unless the BMC is idle."""
        if self._has_bmc:
            bmc_session.host(self._task.node).check_idle()

    def check_bmc(self) -> None:
        """Raise Unreachable unless the BMC answers."""
        bmc_session.host(self._task.node).check_bmc()


def _look() -> float:
    return min(BMC_LOOK, float(CONF.accelerator.poll_interval))
