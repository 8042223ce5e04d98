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

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any

from ironic_accel.converge import decide
from ironic_accel.converge import intent_resolution
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import Detail
from ironic_accel.model.matching import Knowledge
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import action_key
from ironic_accel.model.plan import Item
from ironic_accel.model.plan import Plan
from ironic_accel.model.plan import Refusal
from ironic_accel.model.plan import Transport
from ironic_accel.model.planner import make_plan
from ironic_accel.model.profile import Profile
from ironic_accel.model.record import Record
from ironic_accel.model import stages

#: The key of the step that copies firmware to the fallback slots.
COPY = 'copy'


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """A step of a run: a write, a reset, or the copy to fallback slots.

    :ivar key: by which it is found in the record: that of the action, or
        the reset.
    :ivar name: what it is on any system of that kind, for its duration.
    :ivar longest: seconds that it may take by the catalogue, or None.
    """

    key: str
    name: str
    longest: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Duration:
    """How long a run may take, as far as that is known of its steps.

    :ivar seconds: of the steps of which it is known; None if of none.
    :ivar steps: the number of steps.
    :ivar unknown: the number of steps of which nothing is known.
    :ivar is_limit: whether a time is the limit of the catalogue, and not
        what was seen.
    :ivar limit: seconds that are left until the time limit of the run.
    """

    seconds: float | None
    steps: int
    unknown: int
    is_limit: bool
    limit: float

    def to_dict(self) -> dict[str, Any]:
        """``duration`` of a plan."""
        return {**dataclasses.asdict(self), 'exceeds_limit': (
            self.seconds is not None and self.seconds > self.limit)}


def duration(steps: Sequence[Step], times: Mapping[str, float],
             limit: float) -> Duration:
    """How long the steps of a plan may take.

    :param times: the usual duration of known steps in seconds, by name.
    :param limit: seconds until the time limit of the run.
    """
    known, is_limit = [], False
    for step in steps:
        seen = times.get(step.name)
        is_limit |= seen is None and step.longest is not None
        seconds = step.longest if seen is None else seen
        if seconds is not None:
            known.append(seconds)
    return Duration(round(sum(known), 1) if known else None, len(steps),
                    len(steps) - len(known), is_limit, limit)


def steps(found: Plan, seen: Inventory, facts: Knowledge) -> Iterator[Step]:
    """The steps of a run that goes as planned, in their order."""
    products = {d.id: d.product or d.model or d.kind for d in seen.devices}
    for stage in found.stages:
        for action in stage.actions:
            yield Step(action_key(action), _named(action, products),
                       _longest(action, seen, facts))
        if not stage.manual and (
                stage.reset.is_host_reset or stage.device_resets):
            yield Step(str(stage.reset), ' '.join((
                'reset', stage.reset, *sorted(set(products.values())))))
    if found.fallback and not found.manual:
        yield Step(COPY, ' '.join((COPY, *sorted(
            {products.get(c.item.device, '') for c in found.fallback}))))


def _named(action: Action, products: Mapping[str, str]) -> str:
    """What an action does, and to which products."""
    return ' '.join((
        action.verb, *sorted({i.name for i in action.items}), *sorted(
            {products.get(i.device, '') for i in action.items})))


def _longest(action: Action, seen: Inventory, facts: Knowledge
             ) -> float | None:
    """Seconds that an update may take by the catalogue, or None."""
    if action.verb != 'update':
        return None
    found = []
    for item in action.items:
        dev = next((d for d in seen.devices if d.id == item.device), None)
        known = None if dev is None else facts.component(
            dev.kind, item.name, dev.product, dev.vendor)
        found.append(None if known is None else known.longest)
    given = [seconds for seconds in found if seconds is not None]
    return max(given) if given and len(given) == len(found) else None


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
                      record.uncommitted)
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
