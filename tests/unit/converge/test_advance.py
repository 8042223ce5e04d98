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

"""The loop, case by case: what random boxes do not pin down."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from ironic_accel.converge import advance as loop
from ironic_accel.converge import outcome
from ironic_accel.converge import ports
from ironic_accel.converge import write_watch
from ironic_accel.model.device import Activation
from ironic_accel.model import errors
from ironic_accel.model import profile as profile_mod
from ironic_accel.model import record as record_mod
from tests.unit.converge.box import Box
from tests.unit.converge.box import burn_of
from tests.unit.converge.box import Job
from tests.unit.converge.box import Part
from tests.unit.converge.box import WARM_UP
from tests.unit.converge import drive
from tests.unit.converge.spoil import Spoil


def old(**changes: Any) -> Part:
    """A firmware to be burnt that an auxiliary cycle activates."""
    return dataclasses.replace(Part('1'), **changes)


def one(*faults: str, **changes: Any) -> Box:
    """A box with one device."""
    return Box({'d0': {'gpu': old(**changes)}}, {}, list(faults))


WANTED = drive.profile({'d0': {'gpu': '2'}})


def run(box: Box, wanted: profile_mod.Profile = WANTED,
        disk: drive.Disk | None = None) -> drive.End:
    """Run to the end."""
    return drive.run(box, wanted, disk or drive.Disk())


class OneImage:
    """An images port that answers as it is told."""

    def __init__(self, *answers: ports.Ready | ports.Fetching | ports.Bad
                 ) -> None:
        self.answers = list(answers)

    def get(self, image: profile_mod.Image
            ) -> ports.Ready | ports.Fetching | ports.Bad:
        """The next answer; the last for ever."""
        if len(self.answers) > 1:
            return self.answers.pop(0)
        return self.answers[0]


def step(box: Box, record: record_mod.Record, images: Any = None,
         wanted: profile_mod.Profile = WANTED, disk: drive.Disk | None = None
         ) -> tuple[outcome.Outcome, record_mod.Record]:
    """One call."""
    return loop.advance(
        box, images or drive.AllImages(), disk or drive.Disk(), wanted,
        record, box.now, drive.Catalogue())


def test_one_push_one_reset_and_proof() -> None:
    box = one()
    out = run(box)
    assert isinstance(out, outcome.Converged)
    assert [p.seen for p in out.proofs] == ['2']
    assert (box.writes, box.resets) == (1, [Activation.AUX_CYCLE])


def test_a_weak_reset_is_followed_by_the_next_stronger() -> None:
    box = one(claimed=Activation.WARM_REBOOT, real=Activation.AUX_CYCLE,
              shows=False)
    assert isinstance(run(box), outcome.Converged)
    assert box.resets == [Activation.WARM_REBOOT, Activation.POWER_CYCLE,
                          Activation.AUX_CYCLE]
    assert box.writes == 1


def test_what_no_reset_activates_fails_with_expected_and_seen() -> None:
    box = one(claimed=Activation.WARM_REBOOT, real=Activation.AUX_CYCLE)
    out = run(box, dataclasses.replace(WANTED, limits=profile_mod.Limits(
        reset=Activation.POWER_CYCLE)))
    assert isinstance(out, outcome.Failed)
    assert out.error.summary.startswith('not applied')
    assert (out.error.device, out.error.component) == ('d0', 'gpu')
    assert (out.error.expected, out.error.seen) == ('2', '1')
    assert box.writes == 1


def test_one_of_eight_is_tried_again_alone() -> None:
    box = Box({f'd{n}': {'gpu': old()} for n in range(8)}, {},
              ['one-fails'])
    wanted = drive.profile({f'd{n}': {'gpu': '2'} for n in range(8)})
    assert isinstance(run(box, wanted), outcome.Converged)
    assert sorted(box.pushes.values()) == [1] * 7 + [2]
    assert box.resets == [Activation.AUX_CYCLE]


def test_last_attempt_fails_with_the_message_of_the_bmc() -> None:
    box = one(*['all-fail'] * 9)
    out = run(box, dataclasses.replace(WANTED, limits=profile_mod.Limits(
        attempts=3)))
    assert isinstance(out, outcome.Failed)
    assert out.error.summary == (
        'not applied after 3 attempts: verification failed')
    assert box.writes == 3
    assert not box.resets


def test_busy_system_costs_no_attempt() -> None:
    box = one(*['busy'] * 5)
    wanted = dataclasses.replace(WANTED, limits=profile_mod.Limits(
        attempts=1))
    assert isinstance(run(box, wanted), outcome.Converged)
    assert box.writes == 1


def test_a_host_that_is_off_is_to_be_powered_on() -> None:
    box = one()
    box.host = 'off'
    out, record = step(box, loop.begin(WANTED, None, box.now))
    assert isinstance(out, outcome.PowerOn)
    box.power_on()
    out, _ = step(box, record)
    assert isinstance(out, outcome.Wait)
    assert out.progress.summary == 'device discovery is not complete'


def test_devices_that_never_appear_end_the_run() -> None:
    box = one()
    box.ready_at = box.now + 10 * WARM_UP ** 2
    out = run(box)
    assert isinstance(out, outcome.Failed)
    assert 'did not all appear' in out.error.summary


def test_system_that_does_not_answer_ends_the_run() -> None:
    class Silent(Box):
        def sources(self) -> Any:
            raise errors.Unreachable('no route to host')

    out = run(Silent({'d0': {'gpu': old()}}, {}, []))
    assert isinstance(out, outcome.Failed)
    assert out.error.summary == 'no route to host'


@pytest.mark.parametrize(('answer', 'expected', 'seen'), [
    (ports.Bad('the digest differs', 'aa', 'bb'), 'aa', 'bb')])
def test_a_bad_image_refuses_before_a_byte_is_sent(
        answer: ports.Bad, expected: str, seen: str) -> None:
    box = one()
    out, _ = step(box, loop.begin(WANTED, None, box.now), OneImage(answer))
    assert isinstance(out, outcome.Refused)
    assert out.plan.refused[0].reason == 'image img: the digest differs'
    assert (out.plan.refused[0].expected, out.plan.refused[0].seen) == (
        expected, seen)
    assert box.writes == 0


def test_an_image_that_is_too_large_is_refused() -> None:
    box = one()
    whole = box._device

    def small(name: str) -> Any:
        dev = whole(name)
        return dataclasses.replace(dev, components=tuple(
            dataclasses.replace(c, max_image_bytes=999)
            for c in dev.components))

    box._device = small  # type: ignore[method-assign]
    out, _ = step(box, loop.begin(WANTED, None, box.now))
    assert isinstance(out, outcome.Refused)
    assert 'larger than' in out.plan.refused[0].reason
    assert box.writes == 0


def test_images_are_waited_for_before_the_first_write() -> None:
    box = one()
    images = OneImage(ports.Fetching('10 of 20 MB', 50),
                      ports.Ready('/x', 1, 'a' * 64))
    out, record = step(box, loop.begin(WANTED, None, box.now), images)
    assert isinstance(out, outcome.Wait)
    assert (out.progress.percent, box.writes) == (50, 0)
    step(box, record, images)
    assert box.writes == 1


def test_the_intent_is_saved_before_the_act_and_the_ticket_after() -> None:
    box, disk = one(), drive.Disk()
    saved: list[tuple[int, bool]] = []
    keep = disk.save

    def spy(record: record_mod.Record) -> None:
        assert record.intent is not None
        saved.append((box.writes, record.intent.ticket is not None))
        keep(record)

    disk.save = spy  # type: ignore[method-assign]
    step(box, loop.begin(WANTED, None, box.now), disk=disk)
    assert saved == [(0, False), (1, True)]


def test_nothing_is_done_where_the_intent_cannot_be_saved() -> None:
    class Full(drive.Disk):
        def save(self, record: record_mod.Record) -> None:
            raise OSError('disk full')

    box = one()
    with pytest.raises(OSError, match='disk full'):
        step(box, loop.begin(WANTED, None, box.now), disk=Full())
    assert box.writes == 0


def test_a_deadline_ends_the_step_and_the_next_run_waits_it_out() -> None:
    box, disk = one(), drive.Disk()
    record = loop.begin(WANTED, None, box.now)
    _, record = step(box, record, disk=disk)
    box.jobs['job-1'].ends += 10 ** 5
    box.now = record.deadline + 1
    out, record = step(box, record, disk=disk)
    assert isinstance(out, outcome.Failed)
    assert out.running
    assert 'update' in str(out.error.running)
    box.jobs['job-1'].ends = box.now + 100
    assert isinstance(run(box, disk=disk), outcome.Converged)
    assert box.writes == 1


def test_a_write_whose_starter_died_is_adopted() -> None:
    box, disk = one(), drive.Disk()
    disk.die_before = {3}  # the save of the ticket
    assert isinstance(run(box, disk=disk), outcome.Converged)
    assert box.writes == 1


def test_operation_of_others_is_waited_for_and_not_resumed() -> None:
    """What it leaves staged is theirs: our reset needs leave for it."""
    box = one()
    box.start(burn_of('other'))
    box.parts['other'] = {'gpu': old()}
    box.jobs['job-1'].ends = box.now + 500
    started = box.now
    out = run(box)
    assert isinstance(out, outcome.Refused)
    assert 'gpu 2 of other (other/gpu)' in out.plan.refused[0].reason
    assert (box.writes, box.resets) == (1, [])
    out = run(box, wanted=dataclasses.replace(
        WANTED, allow=frozenset({'staged'})))
    assert isinstance(out, outcome.Converged)
    assert box.writes == 2
    assert box.now - started > 500
    assert not box.sins


def test_a_device_reset_is_an_action_and_no_host_reset() -> None:
    box = Box({'d0': {'gpu': old(claimed=Activation.DEVICE_RESET,
                                 real=Activation.DEVICE_RESET)}}, {}, [],
              Activation.DEVICE_RESET)
    assert isinstance(run(box), outcome.Converged)
    assert (box.writes, box.resets) == (2, [])


def test_a_device_is_reset_once_for_all_its_items() -> None:
    box = Box({'d0': {
        'gpu': old(claimed=Activation.DEVICE_RESET,
                   real=Activation.DEVICE_RESET),
        'erot': old(claimed=Activation.DRIVER_RELOAD,
                    real=Activation.DEVICE_RESET)}}, {}, [],
              Activation.DEVICE_RESET)
    wanted = dataclasses.replace(WANTED, groups=(dataclasses.replace(
        WANTED.groups[0], firmware={
            name: WANTED.groups[0].firmware['gpu']
            for name in ('gpu', 'erot')}),))
    assert isinstance(run(box, wanted=wanted), outcome.Converged)
    assert (box.writes, box.resets) == (2, [])


def test_a_device_reset_too_weak_for_what_is_seen_to_wait() -> None:
    box = Box(
        {'d0': {'gpu': old(waiting='2', claimed=Activation.DEVICE_RESET)}},
        {},
        [],
        Activation.DEVICE_RESET,
    )
    assert isinstance(run(box), outcome.Converged)
    assert (box.writes, box.resets) == (1, [
        Activation.WARM_REBOOT, Activation.POWER_CYCLE, Activation.AUX_CYCLE])


def test_staged_item_of_an_earlier_run_is_activated_not_written_again(
        ) -> None:
    box, disk = one(shows=False), drive.Disk()
    limited = dataclasses.replace(WANTED, limits=profile_mod.Limits(
        minutes=2))
    box.jobs.clear()
    record = loop.begin(limited, None, box.now)
    _, record = step(box, record, wanted=limited, disk=disk)
    box.now += 61
    _, record = step(box, record, wanted=limited, disk=disk)
    box.now = record.deadline + 1
    out, _ = step(box, record, wanted=limited, disk=disk)
    assert isinstance(out, outcome.Failed)
    left = disk.load()
    assert left is not None and left.intent is not None
    assert write_watch.over(left.intent)
    assert not out.running
    assert isinstance(run(box, disk=disk), outcome.Converged)
    assert box.writes == 1


def test_mode_that_does_not_change_is_not_proved() -> None:
    box = Box({'d0': {}}, {'d0': {'mig': Part(
        'off', None, Activation.NONE, Activation.NONE)}}, ['no-op'] * 9)
    out = run(box, drive.profile({'d0': {}}, {'d0': {'mig': 'on'}}))
    assert isinstance(out, outcome.Failed)
    assert out.error.summary.startswith('not applied after 2 attempts')
    assert not box.resets


def test_last_run_leaves_only_intent_and_staged_items() -> None:
    box, disk = one(), drive.Disk()
    run(box, disk=disk)
    left = disk.load()
    assert left is not None
    assert left.is_empty
    assert left.attempts == {} and left.resets == 0


@pytest.mark.parametrize('elsewhere', ['busy', 'unread'])
def test_reset_found_as_requested_reads_the_inventory_first(
        elsewhere: str) -> None:
    """Who decided on it died; meanwhile somebody else began to write."""
    box = one(waiting='2')
    out, record = step(box, loop.begin(WANTED, None, box.now))
    assert isinstance(out, outcome.Reset)
    assert record.intent is not None and not record.intent.ticket
    if elsewhere == 'busy':
        box.jobs['theirs'] = Job({}, box.now + 300.0, set(), False)
    else:
        box.spoils = [Spoil('tasks')]
    out, record = step(box, record)
    assert isinstance(out, outcome.Wait), out
    box.jobs.clear()
    box.spoils = []
    out, record = step(box, record)
    assert isinstance(out, outcome.Reset)
    assert record.intent is not None
    begun = dataclasses.replace(record, intent=dataclasses.replace(
        record.intent, ticket={'phase': 'off'}))
    looks = box.looks
    assert isinstance(step(box, begun)[0], outcome.Reset)
    assert box.looks == looks
