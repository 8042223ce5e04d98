# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The campaign's own honesty: its judge notices, its cases are the same.

A judge that lets everything pass would make a hundred thousand cases
worthless: here each thing that it looks for is done to a box.
"""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
import dataclasses
import pathlib
from typing import Any
from unittest import mock

import pytest
import requests

from ironic_accel.redfish.actions.system_power import SystemPower
from ironic_accel_emulator.bmc.direct import Network
from ironic_accel_emulator import Box
from ironic_accel_emulator import FakeClock
from ironic_accel_emulator.inside import direct
from ironic_accel_emulator.ledger import ResetRecord
from ironic_accel_emulator.ledger import Write
from ironic_accel_emulator import virtual
from tests.campaign import case as cases
from tests.campaign.case import Case
from tests.campaign.case import Event
from tests.campaign.case import Trouble
from tests.campaign import clocks
from tests.campaign import draw
from tests.campaign import judge
from tests.campaign import play
from tests.campaign import process
from tests.campaign import scenes
from tests.campaign import shrink
from tests.campaign import world

SHIPPED = [(s.name, power) for s in scenes.SCENES
           if not s.source.endswith('.gz')
           for power in (None, 'Off')
           if power is None or s.name in ('nic', 'bf3-mode', 'count-hgx')]


@pytest.mark.parametrize(('name', 'power'), SHIPPED)
def test_every_scene_converges_where_nothing_goes_wrong(
        name: str, power: str | None) -> None:
    report = play.play(Case(name, power=power))
    assert (report.outcome, report.sins) == ('Converged', []), report
    scene = scenes.named(name)
    if scene.transports == ('redfish',):
        assert bool(report.pushes) is bool(scene.make(
            pathlib.Path(scenes.stored(name)[0])))


@pytest.mark.parametrize(('tool', 'card'), [
    ('nvml=hang', '10:00.0'), ('nvml=garble', None),
    ('nvml=error-15', '12:00.0'), ('mstflint=garble', None),
    ('xbmgmt=lie', None)])
def test_tools_inside_are_played_and_misbehave(
        tool: str, card: str | None) -> None:
    """In simulated time: a tool that hangs costs no real second."""
    report = play.play(Case('inside', troubles=(
        Trouble('tool', tool, card),)))
    assert report.outcome in ('Failed', 'Refused'), report
    assert report.sins == []


def _box(name: str = 'modes') -> Box:
    return world.make_box(scenes.named(name), FakeClock(), None)


def test_a_box_that_is_not_so_is_seen_as_that() -> None:
    box, wants = _box(), scenes.named('modes').wants
    assert len(list(judge.untrue(box, wants))) == 8
    for mode in box.modes.values():
        mode.current = {'ecc': False, 'mig': True}.get(
            mode.name, mode.current)
    assert list(judge.untrue(box, wants)) == []
    box.modes['GPU3/mig'].pending = False
    assert len(list(judge.untrue(box, wants))) == 1
    box.devices['GPU3'].present = False
    assert list(judge.untrue(box, wants)) == ['3 of 4 GPU* are there']


@pytest.mark.parametrize(('names', 'wrong'), [
    (['CUSTOM_ACCEL_GPU', 'CUSTOM_ACCEL_GPU_X3'], 0),
    (['CUSTOM_ACCEL_GPU_X4'], 1),
    (['CUSTOM_ACCEL_GPU_X4', 'CUSTOM_ACCEL_DEGRADED'], 1),
    (['CUSTOM_ACCEL_GPU_X2'], 1),
    (['CUSTOM_ACCEL_GPU_X2', 'CUSTOM_ACCEL_DEGRADED'], 0),
    (['CUSTOM_ACCEL_GPU_MIG'], 1),
    (['CUSTOM_ACCEL_GPU_MIG', 'CUSTOM_ACCEL_GPU_X2',
      'CUSTOM_ACCEL_DEGRADED'], 1),
    (['CUSTOM_ACCEL_GPU_MIG', 'CUSTOM_ACCEL_DEGRADED',
      'CUSTOM_ACCEL_GPU_X3'], 1),
    (['CUSTOM_ACCEL_GPU_ECC'], 0),
    (['CUSTOM_ACCEL_DPU_X1', 'CUSTOM_ACCEL_DPU'], 0),
])
def test_a_trait_that_is_not_so_is_seen_as_that(
        names: list[str], wrong: int) -> None:
    box = _box()
    box.devices['GPU2'].health = 'Critical'
    assert len(list(judge.lies(box, '1', names))) == wrong


def test_a_device_that_nothing_tells_of_may_be_counted_or_not() -> None:
    box = _box()
    box.devices['GPU2'].health = 'Critical'

    def lies(name: str, unsure: list[str]) -> int:
        return len(list(judge.lies(box, '1', [name], unsure=unsure)))

    assert (lies('CUSTOM_ACCEL_GPU_X4', []), lies(
        'CUSTOM_ACCEL_GPU_X4', ['GPU2'])) == (1, 0)
    assert lies('CUSTOM_ACCEL_GPU_X3', ['GPU2']) == 0
    assert lies('CUSTOM_ACCEL_GPU_X5', ['GPU2']) == 1
    assert lies('CUSTOM_ACCEL_GPU_X4', ['NIC6']) == 1


def test_a_write_into_somebody_elses_update_is_a_sin() -> None:
    clock = FakeClock()
    watch = judge.Watch(world.make_box(scenes.named('nic'), clock, None))
    network = Network(clock)
    url = network.add(watch) + '/redfish/v1/Systems/1'
    body = {'AssetTag': 'x'}
    with network, virtual.at(clock):
        watch.begin()
        assert requests.patch(url, json=body, timeout=5).ok
        watch.box.updates.start_foreign(600)
        assert requests.patch(url, json=body, timeout=5).ok
        assert watch.sins == []  # it began after the call: nobody could see
        watch.begin()
        assert requests.patch(url, json=body, timeout=5).ok
    assert watch.sins == [
        'PATCH /redfish/v1/Systems/1 during Update 0']


def test_a_second_push_without_a_reason_is_a_sin() -> None:
    box = _box('nic')
    for _ in range(2):
        box.ledger.writes.append(Write(0.0, 'NIC6', '2', 'digest'))
    assert list(judge.pushed_again(box, 1)) == []
    assert len(list(judge.pushed_again(box, 0))) == 1


@pytest.mark.parametrize(('name', 'expected'), [
    ('nic', ('start', 'verify', 'flash', 'landed', 'reset', 'boot',
             'after')),
    ('hgx', ('start', 'verify', 'flash', 'landed', 'reset', 'off',
             'bmc-away', 'boot', 'copy', 'after'))])
def test_moments_of_a_burn_are_met(
        name: str, expected: tuple[str, ...]) -> None:
    report = play.play(Case(name))
    assert set(expected) <= set(report.moments), report.moments
    assert report.moments[:3] == expected[:3]


def test_a_trouble_begins_at_its_moment_and_ends() -> None:
    def away(phase: str, lasts: float | None) -> play.Report:
        return play.play(
            Case(
                'nic',
                troubles=(
                    Trouble(
                        'refuse',
                        None,
                        '',
                        at=None,
                        phase=phase,
                        lasts=lasts,
                    ),
                ),
            )
        )

    assert away('flash', None).outcome == 'Failed'
    short = away('flash', 100.0)
    assert (short.outcome, short.sins) == ('Converged', [])


@pytest.mark.parametrize('stays', [0.0, 9000.0])
def test_one_of_two_conductors_ends_the_run(stays: float) -> None:
    """The first stands still at each of its calls in turn."""
    for call in range(1, 30, 4):
        report = play.play(Case('nic', stops=((call, stays),)))
        assert (report.outcome, report.sins) == ('Converged', []), call
        assert report.pushes == 1


def test_a_conductor_that_is_not_stopped_by_the_fence_is_a_sin(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process.Process, '_check',
                        lambda self, name: self._at(name))
    wrong = [call for call in range(2, 30, 3) if play.play(
        Case('nic', stops=((call, 200.0),))).sins]
    assert wrong


def test_a_case_is_the_same_wherever_it_is_drawn_and_read() -> None:
    one = draw.case(7, 42)
    assert draw.case(7, 42) == one
    assert draw.case(7, 43) != one
    assert cases.load(one.dump()) == one
    first, again = play.play(one), play.play(cases.load(one.dump()))
    assert dataclasses.asdict(first) == dataclasses.asdict(again)


def test_what_does_not_matter_is_left_out_of_a_case() -> None:
    culprit = Trouble('status', '500', '/Systems$', 'GET', at=100.0, skip=2)
    case = Case('nic', power='Off', deaths=(3,), events=(Event('copy', 1),),
                troubles=(Trouble('empty'), culprit, Trouble('cut')))
    small = shrink.shrink(case, lambda one: any(
        t.name == 'status' for t in one.troubles))
    assert small == Case('nic', troubles=(dataclasses.replace(
        culprit, at=0.0, skip=0),))


@pytest.mark.parametrize(('found', 'end', 'downs', 'wrong'), [
    (None, ('Converged', ''), [], 1),
    (None, ('Refused', 'no such mode'), [], 1),
    (None, ('Failed', 'a component was not read'), [], 1),
    # A run ends with the host on, or its reset fails and says what to do.
    (None, ('Failed', 'the host is off and does not follow'), [], 1),
    (None, ('ResetFailed', 'the host is not on 120 s after the request'), [],
     1),
    (None, ('ResetFailed', 'it may still be off: power it on, then run it '
            'again'), [], 0),
    ('Off', ('Converged', ''), [], 0),
    (None, ('Converged', ''), [40.0], 0),   # somebody else did it since
    (None, ('Converged', ''), [10.0], 1)])  # we did, after somebody else
def test_a_host_that_is_left_off_is_seen_as_that(
        found: str | None, end: tuple[str, str], downs: list[float],
        wrong: int) -> None:
    box = _box()
    assert list(judge.left_off(box, '1', found, end, downs)) == []
    box.ledger.resets.append(ResetRecord(20.0, 'ForceOff', '1'))
    box.hosts['1'].power = 'Off'
    assert len(list(judge.left_off(box, '1', found, end, downs))) == wrong


def test_a_run_that_leaves_the_host_off_is_a_sin(
        monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it powered the host off once more when all is done."""
    class Off(process.Process):
        def step(self) -> process.End | None:
            end = super().step()
            if end is not None:
                self._host.power_off(soft=False)
                self._world.passes(60.0)
            return end

    monkeypatch.setattr(play, 'Process', Off)
    report = play.play(Case('nic'))
    assert (report.outcome, report.sins) == (
        'Converged', ['the host was left off'])
    assert play.play(Case('nic', power='Off')).sins == []


@pytest.mark.parametrize(('seconds', 'wrong'), [
    (0.0, 0), (90 * 60 + judge.SLACK, 0), (90 * 60 + judge.SLACK + 1, 1)])
def test_a_run_that_takes_too_long_is_seen_as_that(
        seconds: float, wrong: int) -> None:
    assert len(list(judge.overrun(seconds, 90))) == wrong


def test_a_run_without_an_end_is_a_sin(
        monkeypatch: pytest.MonkeyPatch) -> None:
    """Its caller's clock stands still: nothing is ever over."""
    # A twentieth is enough for a run whose clock goes on.
    monkeypatch.setattr(play, 'CALLS', 200)
    case = Case('nic', pace=300.0, troubles=(
        Trouble('status', '503', '/TaskService', 'GET'),))
    assert play.play(case).sins == []
    monkeypatch.setattr(process.Process, 'now', virtual.EPOCH)
    report = play.play(case)
    assert [s for s in report.sins if 'ended after' in s or (
        'does not end' in s)], report


@pytest.mark.parametrize(('target', 'wrong'), [
    ('Node1', 0), ('Node0', 1), ('', 1)])
def test_a_reset_of_another_host_is_seen_as_that(
        target: str, wrong: int) -> None:
    box = _box('two-nodes')
    box.ledger.resets.append(ResetRecord(0.0, 'ForceRestart', target))
    assert len(list(judge.neighbours_reset(box, 'Node1'))) == wrong


def test_a_run_that_resets_another_host_is_a_sin(
        monkeypatch: pytest.MonkeyPatch) -> None:
    real = SystemPower

    def wrong(connector: Any, uri: str, *rest: Any) -> Any:
        return real(connector, uri.replace('Node1', 'Node0'), *rest)

    monkeypatch.setattr('tests.campaign.world.SystemPower', wrong)
    report = play.play(Case('two-nodes'))
    assert [s for s in report.sins if 'of Node0' in s], report


def test_a_request_to_another_host_is_a_sin() -> None:
    class Stray(world.World):
        def passes(self, seconds: float) -> None:
            with contextlib.suppress(requests.RequestException):
                requests.get('http://elsewhere.invalid/', timeout=5)
            super().passes(seconds)

    with mock.patch.object(play, 'World', Stray):
        report = play.play(Case('nic'))
    assert report.sins == ['request to http://elsewhere.invalid/']


@pytest.mark.parametrize('skews', [(), (3600.0, -7200.0), (86400.0, 0.0)])
@pytest.mark.parametrize('jumps', [(), ((60.0, 86400.0), (400.0, -90000.0))])
def test_clocks_that_are_wrong_change_nothing(
        skews: tuple[float, ...], jumps: tuple[tuple[float, float], ...]
        ) -> None:
    case = Case('nic', skews=skews, jumps=jumps, deaths=(3, 7))
    plain = play.play(dataclasses.replace(case, skews=(), jumps=()))
    report = play.play(case)
    assert (report.outcome, report.sins) == ('Converged', [])
    assert (report.pushes, report.resets) == (plain.pushes, plain.resets)


def test_clocks_are_told_as_they_are_set() -> None:
    true = FakeClock()
    told = clocks.Clocks(true, (3600.0, 0.0), ((100.0, -7200.0),))
    first, second = told.machine(), told.machine()
    assert (first, second, told.machine()) == (0, 1, 0)
    begun = told.now(first)
    true.advance(50.0)
    assert told.now(first) == begun + 50.0
    assert told.now(second) == begun + 50.0  # by the database
    true.advance(100.0)
    assert told.now(second) == begun + 150.0  # whatever was set


@pytest.mark.parametrize('what', ['mains', 'agent', 'off'])
@pytest.mark.parametrize('at', [1.0, 30.0, 60.0])
def test_a_burn_inside_a_host_that_is_cut_proves_nothing(
        what: str, at: float) -> None:
    report = play.play(Case('inside', burn=50.0, events=(
        Event(what, at),)))
    assert report.sins == []
    assert report.outcome in ('Converged', 'Failed', 'Refused')


def test_what_is_cut_inside_a_host_is_gone() -> None:
    played = world.World(Case('inside', burn=50.0, events=(
        Event('mains', 30.0),)))
    with played.open():
        assert played.inside is not None
        address, state = played.inside.addresses['NIC6'], played.inside.state

        def burn(argv: Sequence[str]) -> int:
            state.write_firmware(address, 'nic', '28.43.1014')
            return 0

        ended = direct.play(played.box, burn, (), 600.0)
    assert ended.status == 1
    assert [d.id for d in played.box.devices.values() if d.bricked] == [
        'NIC6']
    assert played.violations == []
    assert len(played.box.ledger.violations) == 1


@pytest.mark.parametrize('name', ['inside', 'both-modes'])
def test_one_of_two_conductors_goes_on_with_what_is_inside(
        name: str) -> None:
    for call in range(1, 20, 5):
        report = play.play(Case(name, stops=((call, 300.0),)))
        assert (report.outcome, report.sins) == ('Converged', []), call
