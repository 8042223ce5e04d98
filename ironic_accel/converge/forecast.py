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

"""What a run would decide now: its whole plan, and nothing is begun.

``decide`` gives a run its next step. Here the same checks are made for all
steps at once, so that what a plan refuses a run refuses, and the reverse.
What nobody can tell beforehand is left out: whether the BMC accepts a write,
and whether a reset activates it.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

from ironic_accel.converge import decide
from ironic_accel.converge import intent_resolution
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import Detail
from ironic_accel.model.matching import Knowledge
from ironic_accel.model.plan import Item
from ironic_accel.model.plan import Plan
from ironic_accel.model.plan import Refusal
from ironic_accel.model.plan import Transport
from ironic_accel.model.planner import make_plan
from ironic_accel.model.profile import Profile
from ironic_accel.model.record import Record
from ironic_accel.model import stages


def plan(inventory: Inventory, profile: Profile, record: Record,
         transports: Sequence[Transport], facts: Knowledge) -> Plan:
    """The plan of a run that continues with a record.

    :param inventory: complete, with the device ids of the record.
    :param record: as ``advance.begin`` returns it, or that of an interrupted
        run.
    """
    intent = record.intent
    if intent is not None:
        record = intent_resolution.seen(record, intent, inventory, facts)
    record, failed = decide.without_spent(
        decide.review(inventory, record, facts), inventory, profile,
        transports)
    found = make_plan(inventory, profile, record.staged, transports, facts,
                      record.owed)
    refused = [] if failed is None else [_refusal(failed)]
    if not found.refused:
        refused += _used_up(found, profile, record)
    return dataclasses.replace(found, refused=(*refused, *found.refused))


def while_off(inventory: Inventory, profile: Profile, record: Record
              ) -> Plan:
    """What is refused of a host that is off: powering it on activates the
    changes that wait for a reset, whoever staged them."""
    return Plan(refused=tuple(stages.refused_by_others(
        inventory, record.staged, (), Activation.WARM_REBOOT, profile)))


def _used_up(found: Plan, profile: Profile, record: Record
             ) -> list[Refusal]:
    """What has no attempt, and no host reset, left in an interrupted run."""
    out = []
    for stage in found.stages:
        for action in stage.actions:
            failed = decide.used_up(action, profile, record)
            if failed is not None:
                out.append(_refusal(failed))
    if not out and record.resets and (
            record.resets + found.counts.resets > profile.limits.resets):
        stage = next(s for s in found.stages if s.reset.is_host_reset)
        items = [i for a in stage.actions for i in a.items]
        items += [s.item for s in stage.staged]
        out += [Refusal(
            item, f'{record.resets} of the host resets that limits.resets '
            'allows were used by the interrupted run', profile.limits.resets,
            record.resets + found.counts.resets) for item in items]
    return out


def _refusal(failed: Detail) -> Refusal:
    """A failure of ``decide`` as a refusal of its item."""
    return Refusal(Item(failed.device or '', failed.component or '',
                        'firmware', failed.expected),
                   failed.summary, failed.expected, failed.seen)
