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

"""Verifies a write whose end is not reported.

An answer "OK", a task that disappeared or never existed, and a lost
connection do not prove that an update has ended. Nothing else is changed
until two idle inventories in a row show the new value, or until the longest
time of such a write is over.

Pure: the notes in the ticket of an intent, and how long to wait.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import datetime
from typing import Any

from ironic_accel.converge.ports import Pace
from ironic_accel.model.device import base_name
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model import matching
from ironic_accel.model.matching import ItemState
from ironic_accel.model.matching import Knowledge
from ironic_accel.model.plan import INSIDE
from ironic_accel.model.plan import Item
from ironic_accel.model.plan import Ref
from ironic_accel.model.record import Intent
from ironic_accel.model.record import Staged
from ironic_accel.model.record import Record

#: Seconds for an update for which no vendor documents a time.
_UNNAMED = Pace().gone

#: Notes in the ticket of a write that is no longer polled: its task is not
#: known; it was reported as ended; one idle inventory showed its value.
GONE, ENDED, SHOWN = 'gone', 'ended', 'shown'
#: The path of its task or job.
JOB = 'job'


def noted(intent: Intent, *notes: str) -> dict[str, Any]:
    """The ticket of a write that only an inventory can verify."""
    before, known = intent.ticket or {}, job(intent)
    return {**({JOB: known} if known else {}),
            **{n: before.get(n) or True for n in (GONE, ENDED, SHOWN)
               if n in notes or (n != SHOWN and before.get(n))}}


def looked_for(intent: Intent) -> bool:
    """Whether a write cannot be polled: only an inventory shows it."""
    ticket = intent.ticket
    return not ticket or bool(ticket.get(GONE) or ticket.get(ENDED))


def job(intent: Intent) -> str | None:
    """Path of the task or job that a write became, where it is known."""
    ticket = intent.ticket or {}
    told = ticket.get(JOB) or ticket.get('task') or ticket.get('monitor')
    return told if isinstance(told, str) else None


def over(intent: Intent) -> bool:
    """Whether its task reported that the write ended."""
    return bool((intent.ticket or {}).get(ENDED))


def is_updating(record: Record, now: float, longest: float) -> bool:
    """Whether an update that this run has begun is, or may be, in progress.

    The run had access to the BMC when it began, so one that lets nobody in
    meanwhile may do so again, and the update is not left alone.

    :param now: the time of the record.
    :param longest: seconds for which that is assumed after its deadline.
    """
    intent = record.intent
    return (intent is not None and intent.verb == 'update'
            and intent.since >= record.started and not over(intent)
            and now <= intent.deadline + longest)


def shown(intent: Intent) -> bool:
    """Whether an idle inventory has shown the wanted value."""
    return bool((intent.ticket or {}).get(SHOWN))


def patience(intent: Intent, inventory: Inventory, facts: Knowledge,
             pace: Pace, answering: Collection[str] = ()) -> float:
    """Seconds, from its start, for which a write is verified.

    An update gets ``lost`` seconds after the end of its task at least: some
    BMCs report the new version minutes later. One that has no answer gets no
    more, where a tool in the host would write: in the same boot the ramdisk
    lists every tool that runs, and it is idle. Only a request that is under
    way is waited for then. A BMC may write without a task that it reports.

    :param inventory: an idle one.
    :param answering: the names of the transports that it was read by.
    """
    if intent.verb != 'update' or (
            intent.ticket is None and intent.transport in INSIDE
            and intent.transport in answering
            and intent.boot == inventory.boot):
        return pace.lost
    longest = max((_longest(d, n, inventory, facts, pace) for d, n in (
        *(i.ref for i in intent.items), *intent.also)), default=pace.gone)
    ended = (intent.ticket or {}).get(ENDED) or True
    if ended is True:
        return longest
    return max(longest, ended - intent.since + pace.lost)


def unfolding(record: Record, inventory: Inventory, facts: Knowledge,
              pace: Pace, now: float) -> tuple[Item, ...]:
    """Firmware that the last host reset may have started to write.

    A BMC that defers a write to a reset may report no task while it writes.
    Nothing else is changed until the device shows the version, or until the
    longest time of such a write is over. This includes all components that
    the same write may write.
    """
    out: dict[Item, None] = {}
    for entry in _begun(record, now, pace.gone):
        item, since = entry.item, entry.begun or 0.0
        going = (
            []
            if matching.item_state(inventory.device(item.device), item, facts)
            is ItemState.HOLDS
            else [item])
        for one in (*going, *beside([item], entry.also, inventory, facts,
                                    active=True)):
            if now < since + _longest(*one.ref, inventory, facts, pace):
                out[one] = None
    return tuple(out)


def beside(items: Sequence[Item], also: Iterable[Ref], inventory: Inventory,
           facts: Knowledge, active: bool = False) -> list[Item]:
    """Other components that a write may write, not shown as written.

    The same component of a device of the same product gets the same version.
    The version of any other component is not known, so it never counts as
    shown.

    :param active: whether a pending version does not count as written.
    """
    shows = (
        (ItemState.HOLDS,) if active else (ItemState.HOLDS, ItemState.PENDING))
    out = []
    for name, component in also:
        device = inventory.device(name)
        like = next((i for i in items if _alike(
            inventory.device(i.device), device)
            and base_name(i.name) == base_name(component)), None)
        item = Item(name, component, 'firmware',
                    like.wanted if like else None,
                    like.at_least if like else False)
        if like is None or matching.item_state(device, item, facts) not in (
                shows):
            out.append(item)
    return out


def _alike(one: Device | None, other: Device | None) -> bool:
    return one is not None and other is not None and (
        one.kind, one.product, one.model) == (
        other.kind, other.product, other.model)


def _begun(record: Record, now: float, longest: float) -> list[Staged]:
    return [x for x in record.staged if x.is_open and x.begun is not None
            and now < x.begun + longest]


def may_run(record: Record, now: float, longest: float) -> tuple[Item, ...]:
    """Items that may be in writing since the last reset.

    :param longest: maximum seconds of such a write.
    """
    return tuple(x.item for x in _begun(record, now, longest))


def begun(record: Record, now: float, boot: str | None = None) -> Record:
    """Note a host reset on the items that wait for one.

    :param boot: the boot mark, if its change shows the reset; by default a
        reset was performed.
    """
    return dataclasses.replace(record, staged=tuple(
        dataclasses.replace(x, begun=now, boot=boot or x.boot)
        if x.is_open and (boot is None or x.boot not in (None, boot))
        else x for x in record.staged))


def _longest(name: str, component: str, inventory: Inventory, facts: Knowledge,
             pace: Pace) -> float:
    device = inventory.device(name)
    known = device and matching.component_facts(device, component, facts)
    longest = known.longest if known else None
    if longest is None:
        return pace.gone
    # The option covers updates without a documented time. A longer
    # documented time takes precedence.
    return longest if longest > _UNNAMED else min(longest, pace.gone)


def staged_words(record: Record) -> str | None:
    """What is staged, and the reset at which it becomes active, or None.

    Of a write whose result is not known it says that it may be staged.
    """
    groups: dict[tuple[bool, bool, str], list[Item]] = {}
    for x in record.staged:
        groups.setdefault((x.sure, x.at_reset, x.activation), []).append(
            x.item)
    return '; '.join(
        f"{'' if sure else 'possibly '}{names(items)}, "
        + ('written at' if at_reset else 'active after')
        + f' the next {activation}'
        for (sure, at_reset, activation), items in groups.items()) or None


def running_words(intent: Intent, pace: Pace) -> str:
    """An open write: what it is, its task, and until when it may take.

    The time of a record begins as that of day, and is counted on.
    """
    task = job(intent)
    longest = pace.gone if intent.verb == 'update' else pace.lost
    until = datetime.datetime.fromtimestamp(
        intent.since + longest, datetime.UTC)
    return (f'{intent.verb} of {names(intent.items)} via {intent.transport}'
            + (f', task {task}' if task else '')
            + f', until about {until:%Y-%m-%d %H:%M} UTC')


def names(items: Iterable[Item]) -> str:
    """Items in words, the first few of them."""
    found = [f'{i.name} of {i.device}' for i in items]
    more = f' and {len(found) - 3} more' if len(found) > 3 else ''
    return ', '.join(found[:3]) + more
