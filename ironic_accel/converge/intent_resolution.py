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

"""What became of a write: from its end, or from what is seen afterwards."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any

from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Ready
from ironic_accel.converge import write_watch
from ironic_accel.model.activity import Busy
from ironic_accel.model.device import Device
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import strongest
from ironic_accel.model import matching
from ironic_accel.model.matching import ItemState
from ironic_accel.model.matching import Knowledge
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import AwaitingReset
from ironic_accel.model.plan import Item
from ironic_accel.model.plan import Ref
from ironic_accel.model.plan import Refusal
from ironic_accel.model.reading_status import Standing
from ironic_accel.model.record import Intent
from ironic_accel.model.record import Staged
from ironic_accel.model.record import Record


def _land(record: Record, items: Iterable[Item], intent: Intent,
          sure: bool = True, at_reset: bool = False) -> Record:
    """Record items as staged, in place of their earlier entries.

    An update that starts at a host reset is started by nothing weaker.
    """
    activation = intent.activation
    if at_reset:
        activation = strongest([activation, Activation.WARM_REBOOT])
    new = [
        Staged(
            i, activation, digest=intent.digest, sure=sure, at_reset=at_reset,
            boot=intent.boot, also=intent.also, job=write_watch.job(intent))
        for i in items]
    kept = record.without_staged(x.item.ref for x in new)
    return dataclasses.replace(kept, staged=(*kept.staged, *new))


def ended(record: Record, intent: Intent, end: Ended) -> Record:
    """The record after a backend reports that a write ended.

    Items that it reports as written are staged: they are verified later. A
    mode that needs no reset is not staged, since the next inventory shows
    it. An item that was not sent does not count as an attempt; one without an
    answer stays in the intent until an inventory shows it.
    """
    failed = {r.ref: r for r in end.results if not r.ok}
    record = dataclasses.replace(record, intent=None, waiting=None)
    why = [r.detail for answers in (('told', 'refused'), ('unknown',))
           for r in failed.values() if r.answer in answers]
    first = next((detail for detail in why if detail is not None), None)
    if first is not None:
        record = dataclasses.replace(record, failure=first.to_dict())
    if intent.verb == 'reset':
        return record
    record = _not_sent(record, intent, end)
    well = [i for i in intent.items if i.ref not in failed and not (
        i.kind == 'mode' and intent.activation is Activation.NONE)]
    record = _land(record, well, intent, at_reset=end.at_reset)
    lost = {r.ref for r in end.results if r.answer == 'unknown'}
    left = tuple(i for i in intent.items if i.ref in lost)
    return dataclasses.replace(record, intent=dataclasses.replace(
        intent, items=left, ticket=write_watch.noted(intent, write_watch.GONE))
        if left else None)


def _not_sent(record: Record, intent: Intent, end: Ended) -> Record:
    """Subtract the attempts whose requests were not sent."""
    unsent = {r.ref for r in end.results if r.answer == 'not-sent'}
    attempts = dict(record.attempts)
    for item in intent.items:
        if item.ref in unsent and item in attempts:
            attempts[item] -= 1
    return dataclasses.replace(record, attempts={
        i: n for i, n in attempts.items() if n > 0})


def told(record: Record, intent: Intent, end: Ended, now: float) -> Record:
    """The record after a task reports that an update ended.

    The intent keeps the items that did not fail until the device shows them,
    or cannot show them. Items that the BMC reports to wait for a reset are
    staged: they may not be visible before it.

    :param now: epoch seconds.
    """
    if end.at_reset:
        return ended(record, intent, end)
    well = {r.ref for r in end.results if r.ok}
    failed = [r for r in end.results if not r.ok]
    # That of the first item, which an error without attempts left names.
    first = next((r.detail for r in failed if r.detail is not None), None)
    if first is not None:
        record = dataclasses.replace(record, failure=first.to_dict())
    gone = {r.ref for r in failed}
    items = tuple(i for i in intent.items
                  if i.ref in well or i.ref not in gone)
    left = dataclasses.replace(
        intent, items=items, ticket={
            **write_watch.noted(intent), write_watch.ENDED: now})
    return dataclasses.replace(record, intent=left if items else None)


def seen(record: Record, intent: Intent, inventory: Inventory,
         facts: Knowledge) -> Record:
    """The record after an inventory shows the result of an intent.

    A host reset is over. An item is active, staged or not written, as the
    device shows. Firmware whose pending version cannot be shown, that was not
    read, or that is written at a host reset counts as staged, since it may be
    written: it is activated before it is updated again.
    """
    record = dataclasses.replace(record, intent=None)
    if intent.kind == 'reset' or intent.verb == 'reset':
        return record
    for item in intent.items:
        device = inventory.device(item.device)
        state = matching.item_state(device, item, facts)
        waits = intent.at_reset and state is not ItemState.PENDING
        if state is ItemState.PENDING or (state is not ItemState.HOLDS and (
                waits or _hides(device, item, state))):
            record = _land(
                record, [item], intent, at_reset=waits,
                sure=state is ItemState.PENDING or write_watch.over(intent))
    return record


def in_doubt(intent: Intent, inventory: Inventory, facts: Knowledge) -> bool:
    """Whether the inventory does not show the result of a write yet.

    Once its task has ended, items that cannot be shown are not waited for.
    Until then the other components that it may write are waited for too.
    """
    if intent.kind != 'action' or intent.verb == 'reset':
        return False
    for item in intent.items:
        device = inventory.device(item.device)
        state = matching.item_state(device, item, facts)
        if state not in (ItemState.PENDING, ItemState.HOLDS) and not (
                write_watch.over(intent) and state in (
                    ItemState.DIFFERS, ItemState.UNSEEN, ItemState.CONFLICT)
                and _hides(device, item, state)):
            return True
    return not write_watch.over(intent) and bool(
        write_watch.beside(intent.items, intent.also, inventory, facts))


def halfway(intent: Intent, inventory: Inventory) -> list[Busy]:
    """What an interrupted device reset of this run left unfinished.

    Any other disabled device is left alone: it may be disabled on purpose.
    """
    devices = {i.device for i in intent.items}
    if intent.verb != 'reset':
        return []
    return [work for work in inventory.halfway if work.ticket is not None
            and {d for d, _ in work.targets} <= devices]


def _hides(device: Device | None, item: Item, state: ItemState) -> bool:
    """Whether firmware may be pending on a device without being shown."""
    if item.kind == 'firmware' and state in (
        ItemState.UNREAD, ItemState.CONFLICT):
        return True
    part = device.component(item.name) if device else None
    return item.kind == 'firmware' and (
        part is None or not part.shows_pending)


def adopt(intent: Intent, busy: Sequence[Busy]) -> Mapping[str, Any] | None:
    """The ticket of the write in progress of this intent, or None.

    It belongs to it if all its targets are items of the intent. Any other
    one, or one without targets, is waited for.
    """
    refs = {i.ref for i in intent.items}
    for work in busy:
        if work.ticket is not None and work.targets and set(
                work.targets) <= refs:
            return work.ticket
    return None


def is_told(inventory: Inventory, item: Item) -> bool:
    """Whether the device of an item, and its kind, were read completely."""
    device = inventory.device(item.device)
    if device is None or device.unread or (
            not inventory.complete_of(device.kind)):
        return False
    return Standing.UNREAD not in (
        *(part.standing for part in device.components),
        *(mode.standing for mode in device.modes))


def noted(record: Record, due: Iterable[AwaitingReset],
          staged: Iterable[Staged]) -> Record:
    """The record with all items that a reset is to activate.

    :param due: the items that the reset activates; those that only the
        device shows are recorded from now on.
    :param staged: the entries that the reset counts on, which become the
        last ones.
    """
    entries = {x.item.ref: x for x in staged}
    for one in due:
        entries.setdefault(one.item.ref, Staged(one.item, one.reset))
    kept = record.without_staged(entries)
    return dataclasses.replace(kept, staged=(*kept.staged,
                                             *entries.values()))


def spend(record: Record, activation: Activation, refs: Collection[Ref]
          ) -> Record:
    """Count a reset on those staged items."""
    return dataclasses.replace(record, staged=tuple(
        dataclasses.replace(x, resets=x.resets + 1,
                            tried=_stronger(x.tried, activation))
        if x.item.ref in refs else x for x in record.staged))


def _stronger(a: Activation | None, b: Activation) -> Activation:
    return b if a is None or b.rank > a.rank else a


def too_large(action: Action, image: Ready, inventory: Inventory
              ) -> list[Refusal]:
    """Refusals of an image that is larger than the transport accepts."""
    out = []
    for item in action.items:
        device = inventory.device(item.device)
        part = device.component(item.name) if device else None
        limit = part.max_image_bytes if part else None
        if limit is not None and image.size > limit:
            out.append(Refusal(
                item, f'image {action.image} is larger than the update '
                'service accepts', f'at most {limit} bytes',
                f'{image.size} bytes'))
    return out
