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

"""The loop against random boxes, faults and deaths.

Whatever happens it ends, stays within its bounds, never flashes twice what
may have been written, never resets during a flash, and does nothing to a box
that is as it should be.
"""

from __future__ import annotations

import copy

from hypothesis import event
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from ironic_accel.converge import outcome
from ironic_accel.converge.ports import Pace
from ironic_accel.model import profile as profile_mod
from ironic_accel.model.device import Activation
from tests.unit.converge import drive
from tests.unit.converge.box import Box
from tests.unit.converge.box import Part
from tests.unit.converge.spoil import BOX
from tests.unit.converge.spoil import DEVICE
from tests.unit.converge.spoil import forbids
from tests.unit.converge.spoil import Spoil

FAULTS = ['none', 'none', 'none', 'lost', 'cut', 'never-arrived', 'busy',
          'away', 'turned-down', 'one-fails', 'all-fail', 'no-op']
ANY_FAULTS = st.lists(st.sampled_from(FAULTS), max_size=6)
#: How often a caller looks, in seconds: at a moment of a write or never in it.
PACES = st.sampled_from([
    Pace(), Pace(poll=20, look=40), Pace(poll=60, look=120)])
HOST = [Activation.WARM_REBOOT, Activation.POWER_CYCLE, Activation.AUX_CYCLE]


@st.composite
def firmware(draw: st.DrawFn) -> Part:
    """A firmware that may be current, old, hidden, and weakly reset."""
    claimed = draw(st.sampled_from([*HOST, Activation.DEVICE_RESET,
                                    Activation.NONE]))
    real = draw(st.sampled_from([claimed] * 3 + [Activation.AUX_CYCLE]))
    current = draw(st.sampled_from(['1', '1', '2']))
    shows = draw(st.booleans())
    waiting = draw(st.sampled_from([None, None, None, '2'])) if (
        current == '1' and real is not Activation.NONE) else None
    return Part(current, waiting, claimed, real, shows,
                transport=draw(st.sampled_from(['redfish', 'agent'])))


@st.composite
def mode(draw: st.DrawFn) -> Part:
    """A mode that lasts, or one that every host reset loses."""
    if draw(st.booleans()):
        activation = draw(st.sampled_from(HOST))
        return Part('disabled', None, activation, activation)
    return Part(
        'disabled',
        None,
        Activation.NONE,
        Activation.NONE,
        persistent=False,
        default='disabled',
    )


@st.composite
def boxes(draw: st.DrawFn, faults: st.SearchStrategy[list[str]] = ANY_FAULTS
          ) -> Box:
    """One to eight devices, alike or not."""
    names = [f'd{n}' for n in range(draw(st.sampled_from([1, 2, 8])))]
    return Box(
        {n: {'gpu': draw(firmware())} for n in names},
        {n: {'ecc': draw(mode())} for n in names},
        draw(faults),
        draw(st.sampled_from([Activation.NONE, Activation.DEVICE_RESET])),
        draw(st.sampled_from(['on', 'off'])))


def wanted(box: Box, attempts: int, resets: int) -> profile_mod.Profile:
    """Version 2 and the mode enabled, everywhere."""
    return drive.profile(
        {d: {'gpu': '2'} for d in box.parts},
        {d: {'ecc': 'enabled'} for d in box.parts},
        limits=profile_mod.Limits(attempts, resets, minutes=1440))


def check_true(box: Box) -> None:
    """What was said to be proved is so."""
    for parts in box.parts.values():
        assert parts['gpu'].current == '2'
    for modes in box.modes.values():
        assert modes['ecc'].current == 'enabled'


def check_bounds(box: Box) -> None:
    """Nothing that must never happen has happened."""
    assert not box.sins
    for key, count in box.pushes.items():
        if key[0][1] == 'gpu':
            assert count <= 1 + box.honest[key], key


@settings(max_examples=400, deadline=None)
@given(boxes(), st.integers(1, 3), st.integers(0, 6), PACES)
def test_run_ends_within_its_limits_with_a_true_result(
        box: Box, attempts: int, resets: int, pace: Pace) -> None:
    asked = wanted(box, attempts, resets)
    disk = drive.Disk()
    out = drive.run(box, asked, disk, pace=pace)
    event(type(out).__name__)
    check_bounds(box)
    assert len(box.resets) <= resets
    if isinstance(out, outcome.Converged):
        check_true(box)
        before = (box.writes, len(box.resets))
        again = drive.run(box, asked, disk, pace=pace)
        assert isinstance(again, outcome.Converged)
        assert (box.writes, len(box.resets)) == before
    elif isinstance(out, outcome.Refused):
        assert box.writes == 0


@settings(max_examples=400, deadline=None)
@given(boxes(), st.sets(st.integers(1, 30), max_size=3),
       st.sets(st.integers(1, 30), max_size=3), PACES)
def test_it_survives_death_at_any_save(
        box: Box, before: set[int], after: set[int], pace: Pace) -> None:
    disk = drive.Disk()
    disk.die_before, disk.die_after = before, after
    out = drive.run(box, wanted(box, 3, 10), disk, pace=pace)
    event(type(out).__name__)
    check_bounds(box)
    if isinstance(out, outcome.Converged):
        check_true(box)


@st.composite
def spoils(draw: st.DrawFn, box: Box) -> list[Spoil]:
    """Some looks in a row, or every other one, that tell not everything."""
    first = draw(st.integers(0, 12))
    return [Spoil(draw(st.sampled_from([*BOX, *DEVICE])), first,
                  first + draw(st.sampled_from([0, 1, 5, 40, 10 ** 6])),
                  draw(st.sampled_from(sorted(box.parts))),
                  draw(st.integers(1, 3)))
            for _ in range(draw(st.integers(1, 3)))]


@settings(max_examples=300, deadline=None)
@given(st.data(), boxes(), st.sampled_from([60.0, 900.0, 2400.0]),
       st.sets(st.integers(1, 30), max_size=2), PACES)
def test_whatever_it_cannot_read_it_neither_lies_nor_writes(
        data: st.DataObject, box: Box, flash: float,
        deaths: set[int], pace: Pace) -> None:
    """Anything may be left unread at any time, of any device, and a write
    may go on unseen for as long as the longest ones take."""
    box.spoils = data.draw(spoils(box))
    box.flash = flash
    disk = drive.Disk()
    disk.die_after = deaths
    began = box.now
    out = drive.run(box, wanted(box, 3, 6), disk, steps=20000, pace=pace)
    event(type(out).__name__)
    check_bounds(box)
    assert box.now - began <= 60 * 1440 + 3600
    if isinstance(out, outcome.Converged):
        check_true(box)
        assert not any(forbids(s, d) for s in box.spoilt
                       for d in box.parts), box.spoilt


@settings(max_examples=25, deadline=None)
@given(boxes(faults=st.just([])))
def test_without_faults_every_save_can_be_the_last(box: Box) -> None:
    """The same box, once for every save: each death is survived."""
    pace = Pace(poll=60, look=120)

    def fresh() -> Box:
        return copy.deepcopy(box)

    calm = fresh()
    disk = drive.Disk()
    expected = drive.run(calm, wanted(calm, 2, 10), disk, pace=pace)
    for save in range(1, disk.saves + 1):
        for where in ('die_before', 'die_after'):
            one, other = fresh(), drive.Disk()
            setattr(other, where, {save})
            out = drive.run(one, wanted(one, 2, 10), other, pace=pace)
            assert type(out) is type(expected), (save, where, out)
            check_bounds(one)
            if isinstance(out, outcome.Converged):
                check_true(one)
