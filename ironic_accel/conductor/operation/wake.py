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

"""Powering a host on, because its devices are unseen while it is off."""

from __future__ import annotations


from ironic.common import states

from ironic_accel.conductor.access import ramdisk
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.node import write_hold
from ironic_accel.conductor.operation.completion import Ending
from ironic_accel.conductor.operation.context import Context
from ironic_accel.conductor.operation import host_reset
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass


def power_on(ctx: Context) -> Ending | None:
    """Power the host on; what was is restored at the end.

    :returns: the end of the operation where it may not.
    """
    current = ctx.operation
    if not current.power_on:
        return Ending(current, Detail(
            'the host is off, and this step may not power it on',
            ErrorClass.NEEDS_OPERATOR, node=ctx.node.uuid,
            todo='power it on, or allow the disruption'))
    write_hold.check(ctx.task)
    if current.restore is None:
        ctx.change(restore=states.POWER_OFF)
        saving.save(ctx.node)
    if current.ramdisk:
        ramdisk.prepare(ctx.task, current)
    host_reset.power(ctx.task, states.POWER_ON)
    ctx.change(due=ctx.now + ctx.pace.look, failures=0,
               progress='powered on, its devices appear', percent=None)
    return None
