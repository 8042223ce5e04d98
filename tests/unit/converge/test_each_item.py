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

"""What becomes of each item of a setting of several devices."""

from __future__ import annotations

import dataclasses
import json

from ironic_accel.converge import intent_resolution
from ironic_accel.converge import write_watch
from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Result
from ironic_accel.model import record as record_mod
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import Detail
from ironic_accel.model.plan import Item
from ironic_accel.model.record import Intent
from ironic_accel.model.record import Record
from ironic_accel.model.stages import MOST_DEVICES

ITEMS = tuple(Item(f'gpu-{n}', 'ecc', 'mode', 'disabled') for n in range(4))
INTENT = Intent('action', Activation.WARM_REBOOT, 100.0, 200.0, verb='set',
                transport='redfish', items=ITEMS, ticket={'kind': 'set'})
BEFORE = Record('p', 'd', 90.0, 900.0, dict.fromkeys(ITEMS, 1),
                intent=INTENT)
NO = Detail('it says no')


def ended(*results: Result) -> Record:
    """The record once that is told of the four."""
    return intent_resolution.ended(BEFORE, INTENT, Ended(results))


def ok(number: int) -> Result:
    """It went well."""
    return Result(ITEMS[number].ref, True)


def test_each_item_ends_by_itself() -> None:
    after = ended(ok(0), Result(ITEMS[1].ref, False, NO),
                  Result(ITEMS[2].ref, False, None, 'unknown'),
                  Result(ITEMS[3].ref, False, None, 'not-sent'))
    assert [x.item for x in after.staged] == [ITEMS[0]]
    assert after.failure == NO.to_dict()
    # What was not sent was no attempt.
    assert after.attempts == {i: 1 for i in ITEMS[:3]}
    # What got no answer is looked for, alone and since it was begun.
    assert after.intent == dataclasses.replace(
        INTENT, items=(ITEMS[2],), ticket={write_watch.GONE: True})


def test_earlier_attempt_still_counts() -> None:
    again = dataclasses.replace(BEFORE, attempts=dict.fromkeys(ITEMS, 2))
    after = intent_resolution.ended(again, INTENT, Ended((
        ok(0), ok(1), ok(2), Result(ITEMS[3].ref, False, NO, 'not-sent'))))
    assert after.attempts == {**dict.fromkeys(ITEMS[:3], 2), ITEMS[3]: 1}
    assert (after.intent, after.failure) == (None, None)


def test_the_record_of_the_largest_action_has_room() -> None:
    items = tuple(Item(f'gpu-{"x" * 56}-{n}', 'virtual-functions', 'mode',
                       16) for n in range(MOST_DEVICES))
    entries = [{'ref': list(i.ref), 'wanted': 16,
                'uri': f'/redfish/v1/Systems/{"s" * 64}/Processors/{n}',
                'task': {'kind': 'task', 'task': f'/{"t" * 90}/{n}',
                         'monitor': f'/{"m" * 90}/{n}',
                         'parts': [[*i.ref, '']]}}
               for n, i in enumerate(items)]
    full = dataclasses.replace(
        BEFORE, attempts=dict.fromkeys(items, 1), intent=dataclasses.replace(
            INTENT, items=items, ticket={'kind': 'set', 'at': 1.5e9,
                                         'levels': 2, 'items': entries}),
        identities={i.device: ('gpu', 's' * 32, 'l' * 64) for i in items})
    kept = record_mod.dump(full)
    assert record_mod.load(json.loads(json.dumps(kept))) == full
