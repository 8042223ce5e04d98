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

"""The loop and what it cannot read: waited for, bounded, never believed."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from ironic_accel.converge import advance as loop
from ironic_accel.converge import outcome
from ironic_accel.converge import ports
from ironic_accel.converge import write_watch
from ironic_accel.model.device import Inventory
from ironic_accel.model import errors
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.identity import Source
from ironic_accel.model import profile as profile_mod
from ironic_accel.model import record as record_mod
from tests.unit.converge.box import Box
from tests.unit.converge.box import Part
from tests.unit.converge import drive
from tests.unit.converge.spoil import Spoil
from tests.unit.converge.test_advance import old
from tests.unit.converge.test_advance import one
from tests.unit.converge.test_advance import run
from tests.unit.converge.test_advance import step
from tests.unit.converge.test_advance import WANTED

ECC = {'d0': {'ecc': Part('disabled')}}
BOTH = drive.profile({'d0': {'gpu': '2'}}, {'d0': {'ecc': 'enabled'}},
                     limits=profile_mod.Limits(minutes=1440))
LONG = dataclasses.replace(WANTED, limits=profile_mod.Limits(minutes=1440))


def box_of(*spoils: Spoil, faults: tuple[str, ...] = ()) -> Box:
    """A box with one device that has to be burnt and set."""
    box = Box({'d0': {'gpu': old()}}, {'d0': {'ecc': Part('disabled')}},
              list(faults))
    box.spoils = list(spoils)
    return box


ENDS = [('silent', 900, 'no answer'), ('tasks', 5400, 'HTTP 503'),
        ('kind', 1800, 'HTTP 503'), ('unsettled', 1800, 'appear'),
        ('presence', 1800, 'HTTP 500'), ('hidden', 1800, 'HTTP 500'),
        ('firmware', 1800, 'HTTP 500'), ('modes', 1800, 'HTTP 500'),
        ('health', 1800, 'health could not be read'),
        ('values', 1800, 'HTTP 500')]


@pytest.mark.parametrize(('what', 'bound', 'words'), ENDS)
@pytest.mark.parametrize('every', [1, 2, 3])
def test_it_is_waited_for_within_a_bound_that_flapping_does_not_stretch(
        what: str, bound: float, words: str, every: int) -> None:
    """A box that answers every second or third look well goes on; where the
    first answer is never good, the run ends as one that may pass."""
    box = box_of(Spoil(what))
    began = box.now
    out = run(box, BOTH)
    assert isinstance(out, outcome.Failed)
    assert words in str(out.error)
    if what not in ('silent', 'unsettled'):
        assert out.error.error_class is ErrorClass.TRANSIENT
    assert bound < box.now - began < bound + 60
    assert (box.writes, box.resets, box.sins) == (0, [], [])
    flapping = box_of(Spoil(what, every=every + 1))
    began = flapping.now
    run(flapping, BOTH)
    assert not flapping.sins
    assert flapping.now - began < 7200


@pytest.mark.parametrize('what', [w for w, _, _ in ENDS])
def test_what_comes_back_is_gone_on_with(what: str) -> None:
    box = box_of(Spoil(what, last=20))
    assert isinstance(run(box, BOTH), outcome.Converged)
    assert not box.sins


def test_waits_with_one_reason_add_up_across_answers(
        ) -> None:
    """Eighty seconds of every ninety without an answer: the bound of 900 s
    ends it, as the good looks in between do not begin it anew."""
    class Flapping(Box):
        def sources(self) -> tuple[Source, ...]:
            self.looks += 1
            if self.looks % 9:
                raise errors.Unreachable('no route to host')
            return tuple(dataclasses.replace(s, inventory=dataclasses.replace(
                s.inventory, complete=False)) for s in super().sources())

    box = Flapping({'d0': {'gpu': old()}}, {}, [])
    began = box.now
    out = run(box, LONG)
    assert isinstance(out, outcome.Failed)
    assert out.error.summary == 'no route to host'
    assert box.now - began < 1200


def test_a_host_reset_gives_the_bounds_anew() -> None:
    record = dataclasses.replace(
        loop.begin(WANTED, None, 0), spent={'unreachable': 800.0},
        waiting=5.0, awaited='unread', intent=record_mod.Intent(
            'reset', old().real, 0, 1800))
    after = loop.reset_performed(record, 50)
    assert (after.waiting, after.awaited, after.spent) == (None, '', {})


@pytest.mark.parametrize('fault', ['lost', 'cut'])
@pytest.mark.parametrize('flash', [60.0, 400.0, 2000.0])
@pytest.mark.parametrize('shows', [True, False])
def test_write_that_is_not_reported_is_verified_to_its_end(
        fault: str, flash: float, shows: bool) -> None:
    """Neither a second push nor a reset meets a flash that no task shows."""
    class Hidden(Box):
        def _seen(self) -> Inventory:
            return dataclasses.replace(super()._seen(), busy=())

    box = Hidden({'d0': {'gpu': old(shows=shows)}}, {}, [fault])
    box.flash = flash
    assert isinstance(run(box, LONG), outcome.Converged)
    assert not box.sins
    assert box.writes == 1


def test_visible_write_is_verified_by_a_second_inventory() -> None:
    box, disk = one('cut'), drive.Disk()
    record = loop.begin(WANTED, None, box.now)
    _, record = step(box, record, disk=disk)
    box.now += 100
    out, record = step(box, record, disk=disk)
    assert isinstance(out, outcome.Wait)
    assert record.intent is not None and write_watch.shown(record.intent)
    box.jobs['other'] = dataclasses.replace(
        box.jobs['job-1'], refs={}, ends=box.now + 30, told=False)
    _, record = step(box, record, disk=disk)
    assert record.intent is not None and not write_watch.shown(record.intent)
    box.now += 60
    _, record = step(box, record, disk=disk)
    assert record.intent is not None and write_watch.shown(record.intent)
    out, record = step(box, record, disk=disk)
    assert isinstance(out, outcome.Reset)


@pytest.mark.parametrize(('longest', 'waited'), [
    (None, 2700), (600, 600), (4800, 4800), (7800, 7800)])
def test_catalogue_limits_how_long_a_write_is_verified(
        longest: float | None, waited: float) -> None:
    box = one('never-arrived')
    began = box.now
    out = drive.run(box, LONG, drive.Disk(), drive.Catalogue(
        gpu=drive.Facts(longest=longest)))
    assert isinstance(out, outcome.Converged)
    assert box.writes == 2
    assert waited < box.now - began < waited + 1000


@pytest.mark.parametrize('late', [200, 1000, 2500])
def test_a_task_that_said_it_is_over_is_read_back_before_a_second_push(
        late: float) -> None:
    """The version comes into the inventory minutes after the task's end."""
    class Late(Box):
        def _seen(self) -> Inventory:
            if self.now > began + late:
                return super()._seen()
            shown = self.parts['d0']['gpu']
            self.parts['d0']['gpu'] = dataclasses.replace(
                shown, waiting=None)
            try:
                return super()._seen()
            finally:
                self.parts['d0']['gpu'] = shown

    box = Late({'d0': {'gpu': old()}}, {}, [])
    began = box.now
    assert isinstance(run(box, LONG), outcome.Converged)
    assert box.writes == 1


def test_a_task_that_ends_late_is_read_back_all_the_same() -> None:
    intent = record_mod.Intent(
        'action', old().real, 0, 5400, verb='update',
        ticket={write_watch.ENDED: 4000.0})
    pace, seen = drive.PACE, Inventory('s', 'on', True)
    assert write_watch.patience(intent, seen, drive.Catalogue(),
                          pace) == 4000 + pace.lost


@pytest.mark.parametrize(('fault', 'shows'), [
    ('on-reset', False), ('on-reset', True), ('on-reset-lost', False)])
@pytest.mark.parametrize('flash', [60.0, 700.0, 2000.0])
def test_update_that_a_reset_starts_is_waited_for_without_a_task(
        fault: str, shows: bool, flash: float) -> None:
    """Neither a stronger reset nor a second push meets it."""
    box = Box({'d0': {'gpu': old(shows=shows)}}, {}, [fault])
    box.flash = flash
    out = run(box, LONG)
    assert isinstance(out, outcome.Converged), out
    assert not box.sins
    assert (box.writes, len(box.resets)) == (1, 1)


@pytest.mark.parametrize('by_mark', [False, True])
def test_a_next_run_watches_what_a_reset_began_to_write(
        by_mark: bool) -> None:
    """The first run fails in the middle; or somebody else resets."""
    box, disk = Box({'d0': {'gpu': old(shows=False)}}, {}, ['on-reset']), (
        drive.Disk())
    box.flash = 2000.0
    if by_mark:
        record = loop.begin(LONG, None, box.now)
        while not record.staged:
            _, record = step(box, record, disk=disk)
        disk.save(record.finished())
        box.host_reset(old().real)
    else:
        short = dataclasses.replace(
            WANTED, limits=profile_mod.Limits(minutes=10))
        out = drive.run(box, short, disk)
        assert isinstance(out, outcome.Failed) and out.running
        assert 'gpu of d0' in str(out.error.running)
    assert isinstance(drive.run(box, LONG, disk), outcome.Converged)
    assert not box.sins
    assert (box.writes, len(box.resets)) == (1, 1)


def test_what_no_reset_begins_is_reset_again_once_its_time_is_over() -> None:
    """The box forgets for good what waits: that ends, too."""
    box = one('on-reset')
    box.parts['d0']['gpu'].shows = False
    began = box.now
    box.flash = 1e9
    out = run(box, LONG)
    assert isinstance(out, outcome.Failed)
    assert box.now - began > drive.PACE.gone
    assert box.writes == 1


def test_reruns_do_not_stretch_the_time_of_a_write() -> None:
    box, disk = one(), drive.Disk()
    record = loop.begin(LONG, None, box.now)
    _, record = step(box, record, wanted=LONG, disk=disk)
    first = record.intent
    assert first is not None
    box.jobs['job-1'].ends += 10 ** 6
    for _ in range(3):
        box.now += 5460
        out, record = step(box, record, wanted=LONG, disk=disk)
        assert isinstance(out, outcome.Failed) or box.now < record.deadline
        record = loop.begin(LONG, record, box.now)
        assert record.intent is not None
        assert (record.intent.since, record.intent.deadline) == (
            first.since, first.deadline)
    box.now = record.deadline + 1
    out, record = step(box, record, wanted=LONG, disk=disk)
    assert isinstance(out, outcome.Failed)
    assert out.running
    assert box.writes == 1


@pytest.mark.parametrize('later', [
    1.0, 30.0, 3600.0, 31536000.0, -5.0, float('inf')])
def test_retry_time_of_the_bmc_is_limited_by_the_run(
        later: float) -> None:
    class Later(Box):
        def start(self, *args: Any, **more: Any) -> dict[str, Any]:
            raise errors.Rejected('busy', retry_after=later)

    box = Later({'d0': {'gpu': old()}}, {}, [])
    began = box.now
    out = run(box)
    assert isinstance(out, outcome.Failed)
    assert box.now - began < 7300


@pytest.mark.parametrize('looks', [1, 10 ** 9])
def test_device_missing_in_one_complete_inventory_is_waited_for(
        looks: int) -> None:
    """One look without it proves nothing; two in a row do."""
    box = Box({f'd{n}': {'gpu': old()} for n in range(3)}, {}, [])
    box.spoils = [Spoil('dropped', 3, 2 + looks, 'd2')]
    wanted = drive.profile({f'd{n}': {'gpu': '2'} for n in range(3)})
    out = run(box, wanted)
    if looks == 1:
        assert isinstance(out, outcome.Converged)
        assert len(out.proofs) == 3
    else:
        assert isinstance(out, outcome.Failed)
        assert 'number of devices' in out.error.summary


@pytest.mark.parametrize('looks', [1, 10 ** 9])
def test_another_device_in_its_stead_does_not_hide_one_that_is_missing(
        looks: int) -> None:
    """As many are there as before; one of them is another one."""
    class Swapped(Box):
        def _seen(self) -> Inventory:
            seen = super()._seen()
            if not 3 <= self.looks < 3 + looks:
                return seen
            return dataclasses.replace(seen, devices=tuple(
                dataclasses.replace(d, id='new', serial='new', location='new')
                if d.id == 'd1' else d for d in seen.devices))

    box = Swapped({f'd{n}': {'gpu': old()} for n in range(2)}, {}, [])
    out = run(box, drive.profile({f'd{n}': {'gpu': '2'} for n in range(2)}))
    if looks == 1:
        assert isinstance(out, outcome.Converged)
    else:
        assert isinstance(out, outcome.Failed)


def test_two_sources_that_differ_are_refused_with_both_values() -> None:
    class Doubted(Box):
        def _seen(self) -> Inventory:
            seen = super()._seen()
            return dataclasses.replace(seen, devices=tuple(
                dataclasses.replace(d, components=tuple(
                    dataclasses.replace(c, running=None, conflicts=(
                        'redfish: 1', 'agent: 2')) for c in d.components))
                for d in seen.devices))

    box = Doubted({'d0': {'gpu': old()}}, {}, [])
    began = box.now
    out = run(box)
    assert isinstance(out, outcome.Refused)
    assert 'redfish: 1, agent: 2' in out.plan.refused[0].reason
    assert box.now - began > 1800
    assert not box.writes


def test_a_failure_names_what_runs() -> None:
    box = one()
    box.jobs['theirs'] = dataclasses.replace(
        _job(box), ends=box.now + 10 ** 6)
    out = run(box)
    assert isinstance(out, outcome.Failed)
    assert 'task theirs' in str(out.error.running)


def _job(box: Box) -> Any:
    from tests.unit.converge.box import Job
    return Job({}, box.now, set(), False)


@pytest.mark.parametrize('hidden', [True, False])
def test_an_answer_without_an_end_is_no_end(hidden: bool) -> None:
    """The BMC took it and tells no more: one push, no reset in between."""
    class Silent(Box):
        def poll(self, ticket: Any) -> ports.Poll:
            return ports.Unknown('the BMC made no task', hidden=hidden)

        def _seen(self) -> Inventory:
            return dataclasses.replace(super()._seen(), busy=())

    box = Silent({'d0': {'gpu': old()}}, {}, [])
    box.flash = 2400
    assert isinstance(run(box, LONG), outcome.Converged)
    assert (box.writes, box.sins) == (1, [])
