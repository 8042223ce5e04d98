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

"""Writes that wait for a reset, and what a write may write besides."""

from __future__ import annotations

import dataclasses

import pytest

from ironic_accel.converge import advance as loop
from ironic_accel.converge import outcome
from ironic_accel.converge import write_watch
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Inventory
from ironic_accel.model.plan import Item
from ironic_accel.model import profile as profile_mod
from ironic_accel.model import record as record_mod
from tests.unit.converge.box import Box
from tests.unit.converge.box import Part
from tests.unit.converge import drive
from tests.unit.converge.test_advance import old
from tests.unit.converge.test_advance import run
from tests.unit.converge.test_advance import step

LONG = profile_mod.Limits(minutes=1440)
ONE = drive.profile({'d0': {'gpu': '2'}}, limits=LONG,
                    allow=frozenset({'collateral'}))


class Silent(Box):
    """No task shows what goes on."""

    def _seen(self) -> Inventory:
        return dataclasses.replace(super()._seen(), busy=())


def pair(fault: str, *, shows: bool = True, other: str = 'gpu',
         besides: float = 1000.0, at_reset: bool = False) -> Box:
    """Two devices; a burn of the first writes the second one, too."""
    box = Silent({'d0': {'gpu': old(shows=shows)},
                  'd1': {other: old(shows=shows)}}, {}, [fault])
    box.also = {('d0', 'gpu'): (('d1', other), ('-', 'PSU1'))} if (
        other == 'bmc') else {('d0', 'gpu'): (('d1', other),)}
    box.besides, box.at_reset = besides, at_reset
    return box


@pytest.mark.parametrize('fault', ['lost', 'cut'])
@pytest.mark.parametrize('besides', [30.0, 400.0, 2000.0])
@pytest.mark.parametrize(('shows', 'other'), [
    (True, 'gpu'), (False, 'gpu'), (True, 'bmc')])
def test_no_reset_meets_what_a_lost_write_writes_besides(
        fault: str, besides: float, shows: bool, other: str) -> None:
    """The one that was asked for shows after a minute; the other one, which
    nobody asked for, is still written."""
    box = pair(fault, shows=shows, other=other, besides=besides)
    out = run(box, ONE)
    assert isinstance(out, outcome.Converged), out
    assert not box.sins
    assert (box.writes, len(box.resets)) == (1, 1)


def test_what_shows_besides_is_not_waited_for_any_longer() -> None:
    box = pair('lost', besides=400.0)
    began = box.now
    assert isinstance(run(box, ONE), outcome.Converged)
    assert box.now - began < drive.PACE.gone / 2


def test_what_cannot_be_seen_besides_is_given_the_longest_time() -> None:
    box = pair('lost', other='bmc', besides=30.0)
    began = box.now
    assert isinstance(run(box, ONE), outcome.Converged)
    assert box.now - began > drive.PACE.gone


@pytest.mark.parametrize('fault', ['on-reset', 'on-reset-lost',
                                   'on-reset-cut'])
@pytest.mark.parametrize('shows', [True, False])
@pytest.mark.parametrize('besides', [60.0, 1500.0])
def test_a_write_that_waits_for_a_reset_is_sent_once(
        fault: str, shows: bool, besides: float) -> None:
    """Its task is there, forgotten before the reset, or never named."""
    box = pair(fault, shows=shows, besides=besides, at_reset=True)
    box.flash = 700.0
    out = run(box, ONE)
    assert isinstance(out, outcome.Converged), out
    assert not box.sins
    assert (box.writes, len(box.resets)) == (1, 1)
    assert box.parts['d1']['gpu'].current == '2'


def test_a_forgotten_one_that_no_reset_begins_is_sent_once_more_at_most(
        ) -> None:
    """Every reset that the profile allows is tried before that."""
    box = pair('on-reset-lost', at_reset=True)
    box.faults = ['on-reset-lost'] * 9
    box.flash = 1e9
    wanted = dataclasses.replace(ONE, limits=profile_mod.Limits(
        minutes=1440, resets=9, attempts=5))
    out = run(box, wanted)
    assert isinstance(out, outcome.Failed)
    assert box.writes <= 2


@pytest.mark.parametrize(
    'activation', [Activation.DEVICE_RESET, Activation.NONE])
def test_nothing_weaker_than_a_host_reset_begins_it(
    activation: Activation,
) -> None:
    box = pair('on-reset', at_reset=True)
    box.parts['d0']['gpu'] = Part('1', claimed=activation, real=activation)
    box.resettable = Activation.DEVICE_RESET
    out = run(box, ONE)
    assert isinstance(out, outcome.Converged), out
    assert box.resets == [Activation.WARM_REBOOT]
    assert box.writes == 1


@pytest.mark.parametrize('limit', [Activation.DEVICE_RESET, Activation.NONE])
def test_it_is_refused_where_no_host_reset_is_allowed(
    limit: Activation,
) -> None:
    box = pair('on-reset', at_reset=True)
    box.parts['d0']['gpu'] = Part(
        '1', claimed=Activation.NONE, real=Activation.NONE)
    out = run(box, dataclasses.replace(ONE, limits=profile_mod.Limits(
        reset=limit)))
    assert isinstance(out, outcome.Refused)
    assert 'stronger reset than limits.reset' in out.plan.refused[0].reason
    assert box.writes == 0


def test_the_intent_carries_what_is_written_besides() -> None:
    box, disk = pair('lost', at_reset=True), drive.Disk()
    record = loop.begin(ONE, None, box.now)
    step(box, record, wanted=ONE, disk=disk)
    left = disk.load()
    assert left is not None and left.intent is not None
    assert left.intent.also == (('d1', 'gpu'),)
    assert left.intent.at_reset
    assert {'d0', 'd1'} <= set(left.finished().identities)


def test_the_record_carries_it() -> None:
    item = Item('d0', 'gpu', 'firmware', '2')
    staged = record_mod.Staged(
        item, Activation.AUX_CYCLE, at_reset=True, begun=7.0,
        also=(('-', 'PSU1'), ('d1', 'gpu'), ('d2', 'gpu')),
        job='/redfish/v1/JobService/Jobs/JID_1')
    intent = record_mod.Intent(
        'action', Activation.AUX_CYCLE, 1.0, 2.0, items=(item,),
        also=staged.also, at_reset=True,
        ticket={write_watch.JOB: staged.job, write_watch.GONE: True})
    record = record_mod.Record(staged=(staged,), intent=intent)
    raw = record_mod.to_dict(record)
    assert record_mod.load(raw) == record
    # As an earlier version wrote them.
    raw['staged'] = [[*row[:5], row[-1]] for row in raw['staged']]
    del raw['intent']['also'], raw['intent']['at_reset']
    older = record_mod.load(raw)
    assert older is not None and older.staged[0].also == ()
    assert older.intent is not None and older.intent.also == ()


def test_a_board_of_forty_fits_the_record() -> None:
    also = tuple((f'gpu-{n:016x}', name) for n in range(8)
                 for name in ('gpu', 'erot', 'inforom')) + tuple(
        ('baseboard-1', f'erot-{n}') for n in range(40)) + tuple(
        ('-', f'HGX_FW_Something_{n}') for n in range(20))
    items = tuple(Item(d, n, 'firmware', '96.00.A6.00.01')
                  for d, n in also[:8])
    record = record_mod.Record(
        intent=record_mod.Intent('action', Activation.AUX_CYCLE, 1, 2,
                                 items=items, also=also),
        staged=tuple(record_mod.Staged(i, Activation.AUX_CYCLE, also=also)
                     for i in items))
    assert len(str(record_mod.dump(record))) < record_mod.MAX_BYTES
