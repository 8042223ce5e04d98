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

"""The deploy step that lets an instance set its modes at every boot.

Modes that no reboot survives cannot be brought to a tenant by the ramdisk.
Where profile and site allow it, the instance gets a unit that sets them:
by its config drive where its cloud-init reads that, as files otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
import json
from typing import Any

from ironic.drivers import base

from ironic_accel.conductor.access.agent_client import AgentCalls
from ironic_accel.conductor.access.agent_client import Lost
from ironic_accel.conductor.access import child_nodes
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.drivers import steps
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node.operation import Operation
from ironic_accel.conductor.node import profile_snapshot
from ironic_accel.conductor.operation.completion import Ending
from ironic_accel.conductor.operation.completion import SHOWN
from ironic_accel.conductor.operation import configdrive
from ironic_accel.conductor.operation import context
from ironic_accel.conductor.operation.context import Context
from ironic_accel.conductor.operation import observe
from ironic_accel.inband.firstboot import deliver
from ironic_accel.inband.firstboot import items
from ironic_accel.inband.firstboot import target
from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.plan import Item
from ironic_accel.model.profile import Profile

STEP = 'deliver_first_boot'
WORK = 'first_boot'

#: After the image is written and before the instance's boot is prepared
#: (ironic/drivers/modules/agent.py: 80 and 60), while the agent is there.
FIRST, LAST = 79, 61
#: Deploy interfaces whose agent leaves the image on a disk.
_AGENTS = ('direct', 'custom-agent', 'bootc')


class FirstBoot:
    """The step, for every vendor interface of ours."""

    @base.deploy_step(priority=0, abortable=False, argsinfo={
        'profile': steps.PROFILE})
    def deliver_first_boot(self, task: Any,
                           profile: str | Mapping[str, Any]) -> str:
        """Let the instance set the modes that do not survive a reboot.

        The profile has to allow ``first_boot``, the site
        ``[accelerator]first_boot_injection``. Its priority is one of 79 to
        61.

        :raises: InvalidParameterValue.
        """
        child_nodes.refuse(task.node)
        steps.check_stopped(task, STEP)
        found, inline = steps.given_profile(profile)
        _allowed(task, found)
        node = task.node
        try:
            profile_snapshot.keep(node, found)
        except AccelError as exc:
            raise steps.bad(str(exc)) from exc
        return steps.begin(task, Operation(
            kind=str(operation.kind_of(node)), step=STEP, work=WORK,
            profile=found.name, inline=inline, power_on=False,
            in_band=True))


def _allowed(task: Any, profile: Profile) -> None:
    """Whether profile, site and node are for it.

    :raises: InvalidParameterValue.
    """
    if 'first_boot' not in profile.allow:
        raise steps.bad(f'allow: profile {profile.name} does not allow '
                        'first_boot')
    if not CONF.accelerator.first_boot_injection:
        raise steps.bad('[accelerator]first_boot_injection: this site brings '
                        'nothing into instances; expected true')
    priority = (task.node.deploy_step or {}).get('priority')
    if priority is not None and not LAST <= priority <= FIRST:
        raise steps.bad(
            f'priority: {priority}: expected {FIRST} to {LAST}, after the '
            'image is written and before its boot is prepared')
    reasons = target.node_reasons(
        task.node.deploy_interface,
        not task.driver.storage.should_write_image(task))
    if task.node.deploy_interface not in (*_AGENTS, 'ramdisk'):
        reasons += (f'deploy interface {task.node.deploy_interface} leaves '
                    'no agent beside the written disk',)
    if reasons:
        raise steps.bad(f'{STEP}: ' + '; '.join(reasons))


def work(ctx: Context) -> Ending | None:
    """Look at devices and instance, and deliver; again is the same.

    :raises: Unreachable where the agent is silent or busy.
    """
    profile = context.profile_of(ctx.node, ctx.operation)
    seen = ctx.backend.observe()
    if seen.busy or not seen.complete:
        return observe.wait(ctx, seen)
    wanted, refused = items.volatile(profile, seen, ctx.facts)
    if refused:
        first = refused[0]
        return _refused(ctx, first.reason, device=first.item.device or None,
                        component=first.item.name or None,
                        expected=_text(first.expected),
                        seen=_text(first.seen))
    if not wanted:
        return Ending(ctx.operation, facts={
            'note': 'nothing to deliver: all modes of the profile last'})
    return _deliver(ctx, profile, wanted, seen)


def _deliver(ctx: Context, profile: Profile, wanted: tuple[Item, ...],
             seen: Inventory) -> Ending:
    calls = AgentCalls(ctx.task)
    document = items.build(profile, wanted, seen)
    found = _ask(calls, document=document, look_only=True)
    if found['reasons']:
        return _refused(ctx, '; '.join(found['reasons']))
    drive, why = None, 'cloud-init reads no config drive there'
    if found['way'] == 'configdrive':
        try:
            drive = configdrive.with_part(
                ctx.node, deliver.vendor_part(deliver.files(document)))
        except configdrive.Unfit as exc:
            why = str(exc)
    done = _ask(calls, document=document, configdrive=drive,
                node=ctx.node.uuid)
    if done['reasons']:
        return _refused(ctx, '; '.join(done['reasons']))
    facts = {'profile': profile.name, 'digest': profile.digest,
             'delivered': done['delivered'],
             'first_boot': [f'{i.device}/{i.name}' for i in wanted][:SHOWN],
             'first_boot_count': len(wanted)}
    if done['delivered'] == 'files':
        facts['note'] = f'as files: {why}'
    return Ending(ctx.operation, facts=facts)


def _ask(calls: AgentCalls, **params: Any) -> dict[str, Any]:
    """Ask the agent's side; it may be asked again, so a lost answer is a
    matter of another look.

    :raises: Unreachable; AccelError where it cannot be written.
    """
    try:
        answer: dict[str, Any] = calls.ask('accel_first_boot', **params)[
            'first_boot']
    except Lost as exc:
        raise Unreachable(exc.detail) from exc
    return answer


def _refused(ctx: Context, reason: str, **known: Any) -> Ending:
    return Ending(ctx.operation, Detail(
        f'refused, nothing was delivered: {reason}',
        ErrorClass.NEEDS_OPERATOR, **known))


def _text(value: object) -> str | None:
    return None if value is None else (
        value if isinstance(value, str) else json.dumps(value))
