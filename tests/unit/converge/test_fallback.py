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

"""The slots that a box falls back to: planned, copied, proved, declined."""

from __future__ import annotations

import dataclasses

import pytest

from ironic_accel.converge import outcome
from ironic_accel.model import errors
from ironic_accel.model import planner
from ironic_accel.model import record as record_mod
from tests.unit.converge import drive
from tests.unit.converge.box import Box
from tests.unit.converge.test_advance import old

NINE = tuple((f'd{n}', 'gpu') for n in range(9))
WANTED = drive.profile({d: {'gpu': '2'} for d, _ in NINE})
KEEP = dataclasses.replace(WANTED, fallback='keep')


def board(**more: object) -> Box:
    """Nine components, each with a second slot that is copied when asked."""
    box = Box({d: {'gpu': old()} for d, _ in NINE}, {}, [])
    box.slots = dict.fromkeys(NINE, '1')
    for name, value in more.items():
        setattr(box, name, value)
    return box


def planned(box: Box, wanted: object = WANTED,
            uncommitted: tuple[tuple[str, str], ...] = ()
            ) -> list[tuple[str, object, object]]:
    """What the plan says of the slots."""
    seen = box.observe()
    made = planner.make_plan(
        seen, wanted, (), box.transports(seen),  # type: ignore[arg-type]
        drive.Catalogue(), uncommitted)
    return [(c['device'], c['from'], c['to'])
            for c in made.to_dict()['fallback']]


def test_what_will_be_copied_stands_in_the_plan() -> None:
    assert planned(board()) == [(d, '1', '2') for d, _ in NINE]


def test_slots_of_what_no_run_writes_are_left_alone() -> None:
    box = board()
    box.parts['d0']['gpu'].current = '2'
    assert ('d0', '1', '2') not in planned(box)


def test_all_copies_are_verified_and_noted() -> None:
    box, disk = board(), drive.Disk()
    out = drive.run(box, WANTED, disk)
    assert isinstance(out, outcome.Converged)
    assert set(box.slots.values()) == {'2'}
    assert len(box.commits) == 1
    assert out.notes == (
        '9 images copied to their fallback slots',)
    left = disk.load()
    assert left is not None and left.is_empty
    drive.run(box, WANTED, disk)
    assert len(box.commits) == 1


def test_a_profile_declines_it() -> None:
    box, disk = board(), drive.Disk()
    out = drive.run(box, KEEP, disk)
    assert isinstance(out, outcome.Converged)
    assert (box.commits, out.notes) == ([], ())
    assert set(box.slots.values()) == {'1'}
    assert planned(board(), KEEP) == []
    left = disk.load()
    assert left is not None and left.is_empty


@pytest.mark.parametrize('copies', [
    1, 8, errors.Rejected('not now'), errors.Unreachable('no answer'),
    errors.OutcomeUnknown('cut')])
def test_a_rerun_copies_what_the_first_one_did_not(
        copies: int | Exception) -> None:
    box, disk = board(copies=copies), drive.Disk()
    out = drive.run(box, WANTED, disk)
    assert isinstance(out, outcome.Converged)
    assert any('not updated' in n for n in out.notes)
    left = disk.load()
    assert left is not None
    owed = 9 - (copies if isinstance(copies, int) else 0)
    assert len(left.uncommitted) == owed
    assert len(planned(box, uncommitted=left.uncommitted)) == owed
    box.copies = 99
    out = drive.run(box, WANTED, disk)
    assert isinstance(out, outcome.Converged)
    assert set(box.slots.values()) == {'2'}
    assert box.writes == 1


@pytest.mark.parametrize('first', [0, 8])
def test_copy_that_is_never_reported_is_not_requested_at_every_run(
        first: int) -> None:
    """Once for all, and once more for the one of nine that was not copied:
    then it is told, and nothing is owed or planned any more."""
    box, disk = board(copies=first), drive.Disk()
    asked = []
    for _ in range(4):
        out = drive.run(box, WANTED, disk)
        assert isinstance(out, outcome.Converged)
        asked.append(len(box.commits))
        box.copies = 0
    assert asked == ([1, 1, 1, 1] if first == 0 else [1, 2, 2, 2])
    left = disk.load()
    assert left is not None and left.uncommitted == ()
    assert planned(box, uncommitted=left.uncommitted) == []


def test_copy_that_is_not_reported_is_noted_once() -> None:
    box, disk = board(copies=0), drive.Disk()
    out = drive.run(box, WANTED, disk)
    assert isinstance(out, outcome.Converged)
    assert 'gpu of d0, gpu of d1, gpu of d2 and 6 more' in out.notes[0]
    assert 'not requested again' in out.notes[0]
    out = drive.run(box, WANTED, disk)
    assert isinstance(out, outcome.Converged) and out.notes == ()


def test_what_is_written_anew_is_asked_for_anew() -> None:
    box, disk = board(copies=0), drive.Disk()
    drive.run(box, WANTED, disk)
    for device, _ in NINE:
        box.parts[device]['gpu'].current = '1'
    box.copies = 99
    assert isinstance(drive.run(box, WANTED, disk), outcome.Converged)
    assert len(box.commits) == 2
    assert set(box.slots.values()) == {'2'}


def test_a_run_that_failed_leaves_all_of_it_to_the_next() -> None:
    """Written in one run, proved in another: nine of nine are copied."""
    box, disk = board(), drive.Disk()
    box.faults = ['one-fails'] * 2
    assert isinstance(drive.run(box, WANTED, disk), outcome.Failed)
    assert box.commits == []
    assert isinstance(drive.run(box, WANTED, disk), outcome.Converged)
    assert set(box.slots.values()) == {'2'}


@pytest.mark.parametrize('keep', [False, True])
def test_what_is_owed_is_declined_by_a_later_profile(keep: bool) -> None:
    box, disk = board(copies=errors.Rejected('no')), drive.Disk()
    drive.run(box, WANTED, disk)
    box.copies = 99
    drive.run(box, KEEP if keep else WANTED, disk)
    left = disk.load()
    assert left is not None and left.uncommitted == ()
    assert set(box.slots.values()) == ({'1'} if keep else {'2'})


def test_fallback_slot_that_is_not_reported_is_requested_and_not_waited_for(
        ) -> None:
    box = board()
    box.slots = {NINE[0]: None}
    box.copies = 0
    out = drive.run(box, WANTED, drive.Disk())
    assert isinstance(out, outcome.Converged)
    assert box.commits == [(NINE[0],)]


def test_the_record_carries_it() -> None:
    record = record_mod.Record(uncommitted=NINE, committed=5.0)
    again = record_mod.load(record_mod.to_dict(record))
    assert again == record
    raw = record_mod.to_dict(record_mod.Record())
    for old_form, new in ((True, 0.0), (False, None)):
        loaded = record_mod.load({**raw, 'committed': old_form})
        assert loaded is not None and loaded.committed == new
