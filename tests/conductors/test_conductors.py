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
"""Many nodes in flight on two conductors, and one that dies in mid-flash.

``NODES`` is how many (60): their BMCs take 0.3 s for each response while
they are polled. What it costs is counted from outside: the CPU of the
processes, the statements of the database, the sessions of the BMCs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import json
import os
import pathlib
import time

import pytest

from tests.conductors import pair
from tests.functional import stage
from tests.functional.harness.machines import Machine

NODES = int(os.environ.get('NODES', '60'))
#: Seconds of a response of a BMC, and for which costs are counted.
RESPONSE, WINDOW = '0.3', 60.0
#: The longest time between two polls of an update, in intervals.
LATE = 2.0
#: The longest interval, in seconds, and its part of the time that an update
#: has taken (operation/context.py).
LONGEST, SHARE = 30.0, 1 / 20

#: Each wait has a bound of its own, and says what it waits for.
pytestmark = pytest.mark.timeout(7200)

Record = Callable[[str, object], None]


@contextlib.contextmanager
def enrolled(two: pair.Pair, number: int, **fields: str
             ) -> Iterator[list[Machine]]:
    """Nodes that are manageable, and go at the end."""
    made: list[Machine] = []
    try:
        for n in range(number):
            made.append(two.enroll(
                f'node-{next(stage._numbers)}-{n}', **fields))
        for one in made:
            two.first.api.wait_state(one.uuid, 'manageable', 300)
        yield made
    finally:
        for one in made:
            one.remove()


def polls(one: Machine) -> int:
    """Requests about a task of a BMC since its count began."""
    return sum('Task' in r['path']
               for r in stage.ledger(one)['last_requests'])


def test_nodes_in_flight_outlive_one_of_their_conductors(
        two: pair.Pair, record_property: Record) -> None:
    with enrolled(two, NODES) as nodes, stage.site_profile(
            two.lab, 'flight', **stage.burning(two.lab, limits={
                'minutes': 600})) as profile:
        both = {two.first.address, two.second.address}
        served = Counter(map(two.conductor_of, nodes))
        assert set(served) <= both
        if NODES >= 20:
            # One in a million where the ring is even.
            assert set(served) == both
        begun = time.monotonic()
        for one in nodes:
            two.first.api.set_provision(one.uuid, 'clean',
                                        clean_steps=[stage.step(profile)])
        pair.each('the flash', nodes, stage.flashing)
        pair.each('the ticket', nodes, lambda one: one.info.get(
            'accel_record', {}).get('intent', {}).get('ticket'))
        _measure(two, nodes, begun, record_property)
        for one in nodes:
            stage.lift(one)
        _kill_the_first(two, nodes)
        for one in nodes:
            stage.finish(one)
        for one in nodes:
            two.second.api.wait_state(one.uuid, 'manageable', 900)
        for one in nodes:
            told = stage.ledger(one)
            assert told['violations'] == []
            # The one before the count.
            assert told['pushes'] == []
            one.ironic = two.second
            assert stage.result(one)['outcome'] == 'converged'
        two.first.restart(120)
        for one in nodes:
            one.ironic = two.first


def _measure(two: pair.Pair, nodes: list[Machine], begun: float,
             record: Record) -> None:
    """Count for a while what polling the nodes costs.

    :param begun: when the first update began.
    """
    for one in nodes:
        stage.fault(one, 'slow', value=RESPONSE)
    # What began before the BMCs were slow ends.
    time.sleep(2 * pair.POLL)
    for one in nodes:
        assert len(stage.ledger(one)['pushes']) == 1
        stage.forget(one)
    conductors = (two.first, two.second)
    used, asked = [pair.cpu(c) for c in conductors], two.queries()
    began = time.monotonic()
    time.sleep(WINDOW)
    passed, asked = time.monotonic() - began, two.queries() - asked
    used = [pair.cpu(c) - u for c, u in zip(conductors, used, strict=True)]
    counted = [polls(one) for one in nodes]
    opened = [pair.sessions(one) for one in nodes]
    record(stage.FIGURE, (
        f'{len(nodes)} nodes in flight for up to {began - begun:.0f} s on two '
        f'conductors, {two.rpc}: {sum(counted)} polls in {passed:.0f} s, '
        f'{min(counted)} to {max(counted)} of a node; CPU '
        + ' and '.join(f'{u / passed:.2f}' for u in used)
        + f' of a processor, {sum(used) * 1000 / max(1, sum(counted)):.0f} '
        f'ms a poll; {asked / max(1, sum(counted)):.0f} statements a poll; '
        f'{min(opened)} to {max(opened)} sessions at a BMC'))
    # Nobody waits for longer than two intervals on the average.
    interval = max(pair.POLL, min(LONGEST, SHARE * (
        time.monotonic() - begun)))
    assert min(counted) >= int(passed / (LATE * interval))
    # One of each conductor that has read it: it was enrolled by one, and
    # may have been taken over by the other.
    assert max(opened) <= 2


def _kill_the_first(two: pair.Pair, nodes: list[Machine]) -> None:
    """Kill a conductor and wait until the other one goes on with all."""
    lost = [one for one in nodes
            if two.conductor_of(one) == two.first.address]
    for one in nodes:
        one.ironic = two.second
    two.first.kill()
    since = {one.uuid: pair.generation(one) for one in lost}
    pair.each('the takeover', lost, lambda one: (
        two.conductor_of(one, two.second) == two.second.address
        and pair.generation(one) > since[one.uuid] + 1))
    assert all(stage.flashing(one) for one in nodes)


DIFFERS = 'differs from the one on conductor'
AGREES = 'is the same on all conductors again'


def said(two: pair.Pair, text: str) -> list[int]:
    """How often each conductor has logged something."""
    return [c.running().log.read_text(errors='replace').count(text)
            for c in (two.first, two.second)]


@pytest.fixture
def group(two: pair.Pair, tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """The second conductor has a group and site profiles of its own."""
    two.second.reconfigure({
        'conductor': {'conductor_group': 'rack-2'},
        'accelerator': {'profile_path': tmp_path}})
    try:
        yield tmp_path
    finally:
        two.second.reconfigure({
            'conductor': {'conductor_group': ''},
            'accelerator': {'profile_path': two.lab.profiles}})


def test_a_group_has_its_conductor_and_both_see_that_profiles_differ(
        two: pair.Pair, group: pathlib.Path) -> None:
    with enrolled(two, 1) as others, enrolled(
            two, 1, conductor_group='rack-2') as grouped, \
            stage.site_profile(two.lab, 'apart', **stage.modes(
                ecc='enabled')) as name:
        pair.each('the conductor', others, lambda one: two.conductor_of(
            one) == two.first.address)
        pair.each('the conductor', grouped, lambda one: two.conductor_of(
            one) == two.second.address)
        path = group / f'{name}.yaml'
        text = (two.lab.profiles / path.name).read_text()
        path.write_text(json.dumps({**json.loads(text), **stage.modes(
            ecc='disabled')}))
        before = said(two, DIFFERS)

        def both_say(text: str, since: list[int]) -> bool:
            for one in (*others, *grouped):
                stage.refresh(one)
            return all(n > s for n, s in zip(said(two, text), since,
                                             strict=True))

        pair.until('both to say that the profiles differ',
                   lambda: both_say(DIFFERS, before))
        wanted = f'CUSTOM_ACCEL_IS_{name.upper().replace("-", "_")}'
        for one in (*others, *grouped):
            assert wanted not in two.first.api.traits(one.uuid)
        before = said(two, AGREES)
        path.write_text(text)
        pair.until('both to say that they are the same',
                   lambda: both_say(AGREES, before))


def test_a_conductor_that_stops_hands_over_its_nodes(two: pair.Pair) -> None:
    with enrolled(two, 4) as nodes:
        two.second.running().stop(60)
        pair.each('the conductor', nodes, lambda one: two.conductor_of(
            one) == two.first.address)
        for one in nodes:
            assert stage.refresh(one)['error'] is None
        two.second.restart(120)
