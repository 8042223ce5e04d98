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

"""The baseline of a node: by its name, by an option, or by what is in it."""

from __future__ import annotations

from typing import Any

from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.config import profiles
from ironic_accel.conductor.node import inventory_store
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import profile_snapshot
from ironic_accel.conductor.operation.completion import Ending
from ironic_accel.conductor.operation import context
from ironic_accel.conductor.operation.context import Context
from ironic_accel.conductor.operation import host_reset
from ironic_accel.conductor.operation import observe
from ironic_accel.converge import advance as converge
from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import BadInput
from ironic_accel.model import selection
from ironic_accel.model.selection import ProfileChoice

#: The work of an operation that first has to find out what to apply.
WORK = 'baseline'


def named(node: Any) -> str | None:
    """The baseline profile that is configured for a node, or None."""
    name = keys.BASELINE.of(node)
    if not name and not node.parent_node:
        # The general baseline of a child is its parent's business.
        name = CONF.accelerator.baseline_profile
    return name or None


def by_inventory(node: Any) -> bool:
    """Whether the baseline of a node is chosen by what is in it."""
    return bool(not named(node) and not node.parent_node
                and CONF.accelerator.baseline_profiles)


def choose(seen: Inventory) -> ProfileChoice:
    """The first of ``[accelerator]baseline_profiles`` that matches.

    :raises: BadInput where one of them is no site profile: which one comes
        first would depend on what is missing.
    """
    there = profiles.site_profiles()
    return selection.first(
        [there.get(n) for n in CONF.accelerator.baseline_profiles], seen)


def explain(task: Any) -> tuple[str | None, list[dict[str, str]]]:
    """The baseline of a node according to its stored inventory, and why.

    :returns: its name, or None; and each profile that was considered, in
        order.
    :raises: BadInput.
    """
    name = named(task.node)
    if name:
        where = (f'driver_info/{keys.BASELINE.name}'
                 if keys.BASELINE.of(task.node)
                 else '[accelerator]baseline_profile')
        return name, [{'profile': name, 'why': f'set by {where}'}]
    stored = inventory_store.load(task)
    if not by_inventory(task.node) or stored is None:
        return None, []
    choice = choose(stored.inventory)
    return (choice.profile.name if choice.profile else None), [
        {'profile': t.profile, 'why': t.why or 'the first profile that '
                                               'matches'}
        for t in choice.tried]


@context.register_work(WORK)
def select(ctx: Context) -> Ending | None:
    """Take an inventory, select the baseline and begin to apply it.

    If no profile matches, the node has no baseline, as if none were
    configured.

    :raises: AccelError if the baseline cannot be begun.
    """
    seen = ctx.backend.observe()
    if seen.host == 'off':
        return host_reset.power_on(ctx)
    if seen.busy or not seen.complete:
        return observe.wait(ctx, seen)
    stored = inventory_store.load(ctx.task)
    seen, _transports = inventory_store.whole(
        ctx.node, stored, inventory_store.known_ids(stored, seen))
    choice = choose(seen)
    profile = choice.profile
    if choice.untold:
        return observe.wait(ctx, seen, choice.words)
    if profile is None:
        return Ending(ctx.operation, facts={
            'note': f'no baseline matches: {choice.words}'})
    try:
        profile_snapshot.keep(ctx.node, profile)
        operation.store_record(ctx.node, converge.begin(
            profile, operation.load_record(ctx.node), ctx.now))
    except BadInput:
        profile_snapshot.drop(ctx.node)
        raise
    ctx.change(work='apply', profile=profile.name, due=ctx.now,
               progress=f'baseline {profile.name}', failures=0)
    return None
