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

"""A plan that was foreseen is what a run decides."""

from __future__ import annotations

import dataclasses
from typing import Any

from ironic_accel.converge import advance as loop
from ironic_accel.converge import forecast
from ironic_accel.converge import image_check
from ironic_accel.converge.ports import Bad
from ironic_accel.converge.ports import Fetching
from ironic_accel.converge.ports import Ready
from ironic_accel.model.device import Activation
from ironic_accel.model.plan import Item
from ironic_accel.model.plan import Plan
from ironic_accel.model.profile import Image
from ironic_accel.model.profile import Limits
from ironic_accel.model.record import Intent
from ironic_accel.model.record import Record
from ironic_accel.model.record import Staged
from tests.unit.converge import drive
from tests.unit.converge.box import Box
from tests.unit.converge.box import Part
from tests.unit.converge.drive import Catalogue

ITEM = Item('d0', 'gpu', 'firmware', '2')
WANTED = drive.profile({'d0': {'gpu': '2'}})


def one(**changes: Any) -> Box:
    """A device with firmware 1 that a power cycle activates."""
    return Box({'d0': {'gpu': dataclasses.replace(
        Part('1', claimed=Activation.POWER_CYCLE,
             real=Activation.POWER_CYCLE), **changes)}}, {}, [])


def foresee(box: Box, record: Record | None = None,
            **limits: Any) -> Plan:
    """The plan of a new run, or of one that continues."""
    profile = dataclasses.replace(WANTED, limits=Limits(**limits))
    inventory = box.observe()
    return forecast.plan(
        inventory, profile, record or loop.begin(profile, None, 0.0),
        box.transports(inventory), Catalogue())


def test_a_new_run_writes_and_resets_once() -> None:
    plan = foresee(one())
    assert not plan.refused
    assert (plan.counts.writes, plan.counts.resets) == (1, 1)


def test_what_an_interrupted_run_wrote_is_not_written_again() -> None:
    left = Record(staged=(Staged(ITEM, Activation.POWER_CYCLE),))
    plan = foresee(one(shows=False), left)
    assert (plan.counts.writes, plan.counts.resets) == (0, 1)


def test_an_open_write_is_judged_by_what_is_seen() -> None:
    intent = Intent('action', Activation.POWER_CYCLE, 0.0, 9.0, 'key',
                    'update', 'redfish', (ITEM,))
    shown = foresee(one(waiting='2'), Record(intent=intent))
    assert (shown.counts.writes, shown.counts.resets) == (0, 1)
    hidden = foresee(one(shows=False), Record(intent=intent))
    # Nobody can see whether it was written: it is activated first.
    assert (hidden.counts.writes, hidden.counts.resets) == (0, 1)


def test_used_up_attempts_are_refused() -> None:
    spent = Record(attempts={ITEM: 2})
    plan = foresee(one(), spent, attempts=2)
    assert [r.item.ref for r in plan.refused] == [('d0', 'gpu')]
    assert 'not applied after 2 attempts' in plan.refused[0].reason
    assert not foresee(one(), spent, attempts=3).refused


def test_used_up_resets_are_refused() -> None:
    spent = Record(resets=1)
    refused = foresee(one(), spent, resets=1).refused
    assert [(r.expected, r.seen) for r in refused] == [(1, 2)]
    assert not foresee(one(), spent, resets=2).refused


def test_what_no_reset_activated_is_refused() -> None:
    left = Record(staged=(Staged(
        ITEM, Activation.POWER_CYCLE, resets=3, tried=Activation.AUX_CYCLE),))
    plan = foresee(one(shows=False), left)
    assert 'no reset that the profile allows' in plan.refused[0].reason


class Images:
    """Gives these answers, the last one for ever."""

    def __init__(self, *answers: Ready | Fetching | Bad) -> None:
        self.answers = list(answers)
        self.asked = 0

    def get(self, image: Image) -> Ready | Fetching | Bad:
        """The next answer."""
        self.asked += 1
        return (self.answers.pop(0) if len(self.answers) > 1
                else self.answers[0])


def checked(images: Images, plan: Plan, box: Box, most: int = 9
            ) -> tuple[Plan, tuple[Image, ...]]:
    """Wait for the images, at most so many times."""
    left = [True] * most

    def pause(_image: Image, _got: Fetching) -> bool:
        return bool(left) and left.pop()

    return image_check.wait(plan, WANTED, images, box.observe(), pause)


def test_a_plan_waits_for_its_images() -> None:
    box = one()
    ready = Ready('/x', 1, 'd')
    images = Images(Fetching('1 MB'), Fetching('2 MB'), ready)
    plan, missing = checked(images, foresee(box), box)
    assert (plan.refused, missing, images.asked) == ((), (), 3)


def test_an_image_that_takes_long_is_named() -> None:
    box = one()
    plan, missing = checked(
        Images(Fetching('1 MB')), foresee(box), box, most=2)
    assert plan.refused == ()
    assert len(missing) == 1


def test_a_bad_image_refuses_the_plan() -> None:
    box = one()
    plan, _ = checked(Images(Bad('HTTP 404', '200', '404')), foresee(box),
                      box)
    assert [(r.expected, r.seen) for r in plan.refused] == [('200', '404')]
    assert plan.counts.writes == 0


def test_the_images_of_a_refused_plan_are_not_asked_for() -> None:
    box = one()
    images = Images(Bad('never asked'))
    plan, _ = checked(images, foresee(box, Record(attempts={ITEM: 9})), box)
    assert images.asked == 0
    assert 'attempts' in plan.refused[0].reason


def test_the_duration_is_that_of_the_steps_of_which_it_is_known() -> None:
    steps = [forecast.Step('a', 'update bfb', 4800.0),
             forecast.Step('b', 'update bfb again', 4800.0),
             forecast.Step('warm-reboot', 'reset')]
    by_catalogue = forecast.duration(steps, {}, 7200.0)
    assert by_catalogue == forecast.Duration(9600.0, 3, 1, True, 7200.0)
    assert by_catalogue.to_dict()['exceeds_limit'] is True
    # What was seen counts more than a limit.
    seen = forecast.duration(
        steps, {'update bfb': 60.0, 'update bfb again': 60.0, 'reset': 30.0},
        7200.0)
    assert seen == forecast.Duration(150.0, 3, 0, False, 7200.0)
    assert seen.to_dict()['exceeds_limit'] is False
    unknown = forecast.duration(steps[2:], {}, 0.0)
    assert unknown == forecast.Duration(None, 1, 1, False, 0.0)
    assert unknown.to_dict()['exceeds_limit'] is False


def test_the_steps_are_the_writes_and_the_host_resets() -> None:
    box = one()
    names = [s.name for s in forecast.steps(
        foresee(box), box.observe(), Catalogue())]
    assert [name.split()[0] for name in names] == ['update', 'reset']
