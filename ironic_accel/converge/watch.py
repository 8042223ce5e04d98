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

"""A write whose end nobody tells: it is watched until the device shows it.

That a BMC answered "OK", that it forgot a task or never made one, and that a
connection broke all say nothing of the flash, which may go on. Nothing else
is done to the box until the device shows what was written on two idle looks
in a row, or until the longest time that such a write takes is over.

Pure: what an intent's ticket notes of it, and how long to wait.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ironic_accel.converge.pace import Pace
from ironic_accel.model import checks
from ironic_accel.model.checks import Facts
from ironic_accel.model.device import Inventory
from ironic_accel.model.plan import Item
from ironic_accel.model.record import Intent

#: Notes in the ticket of a write that nobody polls any more: its task is
#: not known; it was told to be over; one idle look showed it as wanted.
GONE, ENDED, SHOWN = 'gone', 'ended', 'shown'


def noted(intent: Intent, *notes: str) -> dict[str, Any]:
    """The ticket of a write that is only looked for from now on."""
    before = intent.ticket or {}
    return {n: True for n in (GONE, ENDED, SHOWN) if n in notes or (
        n != SHOWN and before.get(n))}


def looked_for(intent: Intent) -> bool:
    """Whether nobody can be asked about a write: looking alone tells."""
    ticket = intent.ticket
    return not ticket or bool(ticket.get(GONE) or ticket.get(ENDED))


def over(intent: Intent) -> bool:
    """Whether a task that could be asked said that the write is over."""
    return bool((intent.ticket or {}).get(ENDED))


def shown(intent: Intent) -> bool:
    """Whether an idle look has shown the write as wanted."""
    return bool((intent.ticket or {}).get(SHOWN))


def patience(intent: Intent, inventory: Inventory, facts: Facts,
             pace: Pace) -> float:
    """Seconds, from its beginning, for which a write is looked for."""
    if intent.verb != 'burn' or over(intent):
        return pace.lost
    return max((_longest(i, inventory, facts, pace) for i in intent.items),
               default=pace.gone)


def _longest(item: Item, inventory: Inventory, facts: Facts,
             pace: Pace) -> float:
    device = inventory.device(item.device)
    known = device and checks.component_facts(device, item.name, facts)
    longest = known.longest if known else None
    return pace.gone if longest is None else min(longest, pace.gone)


def names(items: Iterable[Item]) -> str:
    """Items in words, the first few of them."""
    found = [f'{i.name} of {i.device}' for i in items]
    more = f' and {len(found) - 3} more' if len(found) > 3 else ''
    return ', '.join(found[:3]) + more
