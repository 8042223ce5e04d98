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

"""The decision: a pure function of inventory, profile and record.

It is made only with a complete inventory of an idle system that has no write
in progress.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

from ironic_accel.model.device import Activation
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import strongest
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model import matching
from ironic_accel.model.matching import ItemState
from ironic_accel.model.matching import Knowledge
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import AwaitingReset
from ironic_accel.model.plan import Change
from ironic_accel.model.plan import plain
from ironic_accel.model.plan import Plan
from ironic_accel.model.plan import Transport
from ironic_accel.model.planner import make_plan
from ironic_accel.model.profile import Profile
from ironic_accel.model.record import Staged
from ironic_accel.model.record import Record
from ironic_accel.model import stages


@dataclasses.dataclass(frozen=True, slots=True)
class Act:
    """Start this action, which is part of ``plan``."""

    action: Action
    plan: Plan


@dataclasses.dataclass(frozen=True, slots=True)
class HostReset:
    """Reset the host, to activate the staged items."""

    activation: Activation
    staged: tuple[AwaitingReset, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Done:
    """Every item has its wanted value; ``satisfied`` has the proofs."""

    plan: Plan


@dataclasses.dataclass(frozen=True, slots=True)
class Refuse:
    """Something in the plan is refused."""

    plan: Plan


@dataclasses.dataclass(frozen=True, slots=True)
class Fail:
    """Attempts or resets are used up."""

    error: Detail


Decision = Act | HostReset | Done | Refuse | Fail


def decide(inventory: Inventory, profile: Profile, record: Record,
           transports: Sequence[Transport], facts: Knowledge
          ) -> tuple[Decision, Record]:
    """Decide what comes next.

    :param inventory: complete, with the device ids of the record.
    :param record: only its staged items may change.
    """
    record, failed = without_spent(
        review(inventory, record, facts), inventory, profile, transports)
    if failed is not None:
        return Fail(failed), record
    plan = make_plan(inventory, profile, record.staged, transports, facts,
                     record.uncommitted)
    if plan.refused:
        return Refuse(plan), record
    if not plan.stages:
        return Done(plan), record
    stage = plan.stages[0]
    if stage.actions:
        action = stage.actions[0]
        failed = used_up(action, profile, record)
        return Fail(failed) if failed else Act(action, plan), record
    if stage.reset.is_host_reset:
        return _host_reset(stage.reset, stage.staged, profile,
                           record), record
    return _device_reset(stage.staged, transports, plan), record


def review(inventory: Inventory, record: Record, facts: Knowledge) -> Record:
    """Drop staged items that are active, or that are shown not to be staged.

    A component that can report a pending version and reports none has none.
    An update that starts at a reset is not visible before it; of one whose
    task is lost it is not known whether a weaker reset started it. A device
    that is missing keeps its entries.
    """
    gone = []
    for entry in record.staged:
        device = inventory.device(entry.item.device)
        if device is None:
            continue
        state = matching.item_state(device, entry.item, facts)
        if state is ItemState.HOLDS:
            gone.append(entry.item.ref)
        elif state is ItemState.DIFFERS and entry.item.kind == 'firmware':
            part = device.component(entry.item.name)
            early = entry.at_reset and (
                entry.begun is None or not entry.sure)
            if part is not None and part.shows_pending and not early:
                gone.append(entry.item.ref)
    return record.without_staged(gone) if gone else record


def without_spent(record: Record, inventory: Inventory, profile: Profile,
                  transports: Sequence[Transport]
                  ) -> tuple[Record, Detail | None]:
    """Drop staged items for which no stronger reset is left.

    :returns: the record, and the failure of the first that was certainly
        written and is not active.
    """
    for entry in _spent(inventory, profile, record, transports):
        record = record.without_staged([entry.item.ref])
        tries = record.attempts.get(entry.item, 0)
        if entry.sure or tries > 1:
            return record, _not_applied(inventory, entry, transports)
    return record, None


def _spent(inventory: Inventory, profile: Profile, record: Record,
           transports: Sequence[Transport]) -> list[Staged]:
    """The staged items for which no stronger reset is left.

    An item that was certainly written has then failed. One that was only
    assumed to be written may be written once more, also if an auxiliary power
    cycle is next that the BMC does not offer: disconnecting the power of the
    system would be in vain. Where a weaker reset should have activated it,
    none is left either.
    """
    out = []
    for entry in record.staged:
        device = inventory.device(entry.item.device)
        if device is None or not _selected(
                inventory, profile, entry.item.device) or (
                matching.item_unread(device, entry.item)):
            continue
        up = stages.next_reset(entry)
        if up is not None:
            up = stages.real_activation(entry.item.device, up, transports)
        by_hand = (up is Activation.AUX_CYCLE
                   and stages.is_by_hand(transports))
        in_vain = by_hand and not entry.sure and (
            record.attempts.get(entry.item, 0) < min(
                2, profile.limits.attempts))
        if in_vain or (entry.tried is not None and (
                up is None or up.rank > profile.limits.reset.rank
                or (by_hand and entry.activation is not up))):
            out.append(entry)
    return out


def _not_applied(inventory: Inventory, entry: Staged,
                 transports: Sequence[Transport]) -> Detail:
    device = inventory.device(entry.item.device)
    by_hand = entry.tried is Activation.POWER_CYCLE and (
        stages.is_by_hand(transports))
    return Detail(
        'not applied: it was written, but no reset that the profile allows '
        f'activated it ({entry.resets} tried, the strongest '
        f'{entry.tried})', ErrorClass.NEEDS_OPERATOR,
        device=entry.item.device, component=entry.item.name,
        expected=_text(entry.item.wanted),
        seen=_text(matching.seen_value(device, entry.item)),
        todo='check the device, or ' + (
            stages.BY_HAND if by_hand else 'allow a stronger limits.reset'))


def _selected(inventory: Inventory, profile: Profile, device_id: str
              ) -> bool:
    """Whether the profile selects a device."""
    device = inventory.device(device_id)
    return device is not None and any(
        matching.matches(g, device) for g in profile.groups)


def begun(record: Record) -> bool:
    """Whether this run has changed anything."""
    return bool(record.attempts or record.resets)


def cannot_go_on(plan: Plan) -> Detail:
    """A refusal after the first change of a run is a failure."""
    no = plan.refused[0]
    return Detail(
        f'cannot continue: {no.reason}', ErrorClass.NEEDS_OPERATOR,
        device=no.item.device, component=no.item.name,
        expected=_text(no.expected), seen=_text(no.seen))


def _text(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, tuple):
        return str(plain(value))
    return str(value)


def used_up(action: Action, profile: Profile, record: Record
            ) -> Detail | None:
    """The failure of the first item that has no attempt left, or None."""
    for change in action.changes:
        tries = record.attempts.get(change.item, 0)
        if tries >= profile.limits.attempts:
            known = (Detail.from_dict(record.failure) if record.failure
                     else Detail('the value did not change after the write'))
            if known.expected is None and known.seen is None:
                known = dataclasses.replace(
                    known, expected=_text(change.item.wanted),
                    seen=_text(change.seen))
            return dataclasses.replace(
                known, summary=f'not applied after {tries} attempts: '
                f'{known.summary}', error_class=ErrorClass.NEEDS_OPERATOR,
                device=change.item.device, component=change.item.name)
    return None


def _host_reset(activation: Activation, staged: tuple[AwaitingReset, ...],
                profile: Profile, record: Record) -> HostReset | Fail:
    if record.resets < profile.limits.resets:
        return HostReset(activation, staged)
    first = staged[0].item
    return Fail(Detail(
        f'not applied: all {record.resets} host resets that limits.resets '
        'allows were used', ErrorClass.NEEDS_OPERATOR,
        device=first.device, component=first.name,
        expected=_text(first.wanted)))


def _device_reset(staged: tuple[AwaitingReset, ...],
                  transports: Sequence[Transport], plan: Plan) -> Act:
    """Reset the devices with staged items, each by the first transport that
    can.

    A device is reset once, by the strongest reset that one of its items
    needs. One action has one transport and one reset; the others follow.
    """
    due = [dataclasses.replace(d, reset=strongest(
        [x.reset for x in staged if x.item.device == d.item.device]))
        for d in staged]
    first = due[0]
    transport = _resetter(first, transports)
    items = [d.item for d in due if d.reset is first.reset
             and _resetter(d, transports) == transport]
    return Act(Action('reset', transport, tuple(
        Change(i, None) for i in items), first.reset), plan)


def _resetter(due: AwaitingReset, transports: Sequence[Transport]) -> str:
    """The transport that resets a device; ``real_activation`` found one."""
    return next(w.name for w in transports if w.resets.get(
        due.item.device, Activation.NONE).rank >= due.reset.rank)
