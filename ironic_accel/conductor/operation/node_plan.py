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

"""What a step would do to a node, from what is stored of it.

The conductor reads no BMC for a plan, so it says how old its data are and
what it could not check. What it refuses, a step with the same arguments
refuses when it is requested.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import time
from typing import Any

from ironic_accel.conductor.access import images
from ironic_accel.conductor.access import related_nodes
from ironic_accel.conductor.config import catalogue
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import inventory_store
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node.inventory_store import Stored
from ironic_accel.conductor.node.operation import Operation
from ironic_accel.conductor.operation import backends
from ironic_accel.conductor.operation import context
from ironic_accel.converge import advance as converge
from ironic_accel.converge import forecast
from ironic_accel.converge.forecast import Duration
from ironic_accel.converge import image_check
from ironic_accel.converge.ports import Fetching
from ironic_accel.model import carry_over
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Inventory
from ironic_accel.model.plan import Plan
from ironic_accel.model.plan import Refusal
from ironic_accel.model.plan import Transport
from ironic_accel.model.plan import UpdateTarget
from ironic_accel.model.profile import Image
from ironic_accel.model.profile import Profile

#: Seconds that a plan waits for images that are not in the cache: it is part
#: of a call of Ironic's API. Fetching goes on in the background.
IMAGE_WAIT = 5.0
_PAUSE = 0.1

#: What no stored inventory tells.
UNSEEN = ('changes of the node since its inventory was taken, and whether its '
          'BMC responds and is idle now')
_NOT_COMPLETE = ('the devices: the stored inventory is not complete, a step '
                 'takes a new one')
_NO_AGENT = ('what the ramdisk can read and write on this node: a step boots '
             'it and decides then')


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """A step that applies a profile, as it would be requested.

    :ivar kind: ``clean``, ``deploy`` or ``service``.
    :ivar limit: the strongest reset that step and node allow.
    :ivar disruption: ``allow_disruption`` of the step.
    :ivar in_band: whether the agent in the ramdisk is one of the transports.
    """

    kind: str
    profile: Profile
    limit: Activation
    disruption: bool = False
    in_band: bool = False

    @property
    def updates(self) -> bool:
        """Whether the step may update firmware."""
        return self.kind != 'deploy' or (
            'burn_at_deploy' in self.profile.allow)


@dataclasses.dataclass(frozen=True, slots=True)
class NodePlan:
    """A plan from stored data.

    :ivar age: of the inventory, in seconds.
    :ivar refused: what the step refuses whatever a new inventory shows.
    :ivar not_checked: what the plan could not take into account.
    :ivar duration: how long the step may take; None if it begins nothing.
    """

    plan: Plan
    age: float
    refused: tuple[Refusal, ...]
    not_checked: tuple[str, ...]
    duration: Duration | None = None

    def to_dict(self) -> dict[str, Any]:
        """The document of the plan."""
        return {**self.plan.to_dict(),
                'undecided': bool(self.plan.refused) and not self.refused,
                'not_checked': list(self.not_checked),
                'duration': self.duration and self.duration.to_dict()}


def make(task: Any, request: Request) -> NodePlan | None:
    """Plan a step from the stored inventory; None if there is none."""
    stored = inventory_store.load(task)
    if stored is None:
        return None
    seen, transports = _as_seen(task, stored, request)
    profile = context.limited(request.profile, Operation(
        kind=request.kind, step='', activation=str(request.limit)))
    # What a later version keeps is not known; nothing is begun then.
    known = None if operation.later_version(
        task.node) else operation.load_record(task.node)
    record = converge.begin(profile, known, 0.0)

    def planned(can: Sequence[Transport]) -> Plan:
        return forecast.plan(
            seen, profile, record, can, catalogue.catalogue())

    plan = planned(transports)
    not_checked = [UNSEEN]
    age = round(max(0.0, clock.shared() - stored.at), 1)
    if not seen.complete or seen.host == 'off':
        return NodePlan(plan, age, (), (*not_checked, _NOT_COMPLETE))
    certain = [r for r in plan.refused if not r.unread]
    if request.in_band and certain:
        others = {*_certain(planned((*transports, _anything(seen))))}
        certain = [r for r in certain if r.item in others]
        not_checked.append(_NO_AGENT)
    elif request.in_band and not _inside(transports):
        not_checked.append(_NO_AGENT)
    until = time.monotonic() + IMAGE_WAIT

    def pause(_image: Image, _got: Fetching) -> bool:
        time.sleep(_PAUSE)
        return time.monotonic() < until

    checked, missing = image_check.wait(
        plan, profile, images.ON_DEMAND, seen, pause)
    if checked is not plan:
        certain += checked.refused
    not_checked += [f'image {i.name}: it is still being fetched'
                    for i in missing]
    # Only the catalogue tells the times of steps on a conductor.
    steps = [*forecast.steps(checked, seen, catalogue.catalogue())]
    return NodePlan(
        checked, age, tuple(certain), tuple(not_checked),
        None if checked.refused or not steps else forecast.duration(
            steps, {}, 60 * profile.limits.minutes))


def _as_seen(task: Any, stored: Stored, request: Request
             ) -> tuple[Inventory, tuple[Transport, ...]]:
    """What the step will see and can do, of what is stored.

    A step without the ramdisk sees nothing of what only the agent reported.
    """
    seen, transports = stored.inventory, stored.transports
    closed = {backends.transport_name(child)
              for child in related_nodes.children(task)
              if child.maintenance or related_nodes.child_in_use(
                  child, request.disruption)}
    transports = tuple(t for t in transports if t.name not in closed)
    if not request.in_band:
        seen = carry_over.seen_outside(seen)
        transports = tuple(t for t in transports
                           if t.name not in carry_over.INSIDE)
    if not request.updates:
        transports = tuple(
            dataclasses.replace(t, updates={}) for t in transports)
    return seen, transports


def _inside(transports: Iterable[Transport]) -> bool:
    return any(t.name in carry_over.INSIDE for t in transports)


def _anything(seen: Inventory) -> Transport:
    """A transport that can do all that a ramdisk may be able to do."""
    return Transport(
        'agent',
        {(d.id, c.name): UpdateTarget(d.id)
         for d in seen.devices for c in d.components},
        frozenset((d.id, m.name) for d in seen.devices for m in d.modes),
        {d.id: Activation.DEVICE_RESET for d in seen.devices})


def _certain(plan: Plan) -> Iterable[Any]:
    """The refused items of which a new inventory in band tells no more."""
    return (r.item for r in plan.refused if not r.unread and (
        r.item.kind == 'device' or r.seen is not None))
