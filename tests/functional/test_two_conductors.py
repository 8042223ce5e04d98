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

"""Two conductors on MariaDB: one is stopped, loses its node and comes back.

They are Ironic's own processes with JSON RPC between them. The one that has
the node is stopped (SIGSTOP) in the middle of a request to the BMC, which
hangs for that, for longer than its heartbeat may be; the other one takes the
node over and goes on. Then the first goes on too (SIGCONT), with all that it
remembers.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import os
import signal
import time
from typing import Any

import pytest

from tests.functional import stage
from tests.functional.harness import Lab
from tests.functional.harness import mariadb
from tests.functional.harness.conductors import Conductor
from tests.functional.harness.lab import INTERFACES
from tests.functional.harness.machines import Machine

#: Seconds after which a conductor that says nothing is offline, and for
#: which the BMC does not answer: long enough to be stopped meanwhile.
HEARTBEAT, HANG = 6, 60
STOPPED = 'Stopping work on a node'


@pytest.fixture(scope='module')
def two(lab: Lab) -> Iterator[tuple[Conductor, Conductor]]:
    """Two conductors and their databases' server."""
    if mariadb.find_server() is None:
        pytest.skip("Debian's package mariadb-server is missing")
    database = lab.add(mariadb.MariaDB(
        lab.site, 'mariadb-of-two'))
    database.wait_ready()
    url = database.create('two')
    made = []
    try:
        for number, create in ((1, True), (2, False)):
            made.append(lab.add(Conductor(
                lab, url, f'two-{number}',
                f'127.{os.getpid() % 250 + 1}.{number}.1', create, {
                    'conductor': {'heartbeat_timeout': HEARTBEAT}})))
            made[-1].wait_ready()
        yield made[0], made[1]
    finally:
        for one in made:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one.running().pid, signal.SIGCONT)
            one.stop()
        database.stop()


def enrolled(lab: Lab, into: Conductor, name: str) -> Machine:
    """A box whose flash lasts, and its manageable node."""
    twin = lab.twin('--system', 'hgx-h100', '--power', 'on', '--time-scale',
                    '400', *stage.LASTING)
    node = into.api.create_node(
        driver='accel-redfish', name=name, driver_info={
            'redfish_address': twin.url, 'redfish_auth_type': 'basic',
            'redfish_system_id': stage.SYSTEM}, **INTERFACES)
    one = Machine(into, twin, node)
    one.ironic.api.manage(one.uuid)
    return one


def hold_last_look(one: Machine) -> None:
    """Hold the last look before the push."""
    stage.forget(one)
    stage.refresh(one)
    looks = [r for r in stage.ledger(one)['last_requests']
             if r['method'] == 'GET' and 'UpdateService' in r['path']]
    stage.fault(one, 'hang', value=str(HANG), match='UpdateService',
                method='GET', count=1, skip=len(looks))


def hold_poll(one: Machine) -> None:
    """Hold a poll of the task by a conductor that has reserved the node.

    Most polls are made without a lock: those are let go.
    """
    stage.writing(one, 120)
    for _ in range(60):
        stage.fault(one, 'hang', value=str(HANG), match='TaskService',
                    method='GET', count=1)
        until('a poll that hangs', lambda: stage.held(one))
        if is_reserved(one):
            return
        stage.lift(one)
    raise AssertionError('none of 60 polls was made with a lock')


def is_reserved(one: Machine) -> bool:
    """Whether a node stays reserved: periodics reserve it for moments."""
    for _ in range(4):
        if one.ironic.api.node(one.uuid)['reservation'] is None:
            return False
        time.sleep(stage.POLL)
    return True


def generation(one: Machine) -> int:
    """How often the node was saved by us."""
    return int(one.info.get('accel_fence', '0').partition(':')[0])


def notices(conductor: Conductor) -> int:
    """How often a conductor said that it lost a node."""
    return conductor.running().log.read_text(
        errors='replace').count(STOPPED)


def until(what: str, test: Any, seconds: float = 150) -> None:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not test():
        assert time.monotonic() < end, f'waited {seconds} s for {what}'
        time.sleep(stage.POLL)


@pytest.mark.parametrize('moment', ['before the push', 'while it is written'])
def test_who_lost_a_node_changes_nothing(
        lab: Lab, two: tuple[Conductor, Conductor], moment: str) -> None:
    one = enrolled(lab, two[0], f'fenced-{len(moment)}')
    with stage.site_profile(lab, 'fenced', **stage.burning(
            lab, limits={'minutes': 600})) as profile:
        if moment == 'before the push':
            hold_last_look(one)
        one.ironic.api.set_provision(one.uuid, 'clean',
                                     clean_steps=[stage.step(profile)])
        if moment != 'before the push':
            hold_poll(one)
        until('the request that hangs', lambda: stage.held(one))
        # Whom the node was given to when it was enrolled may have been put
        # right since: a conductor that was stopped has come back.
        holder = one.ironic.api.node(one.uuid)['reservation']
        owner, other = two if holder == two[0].address else two[::-1]
        assert holder == owner.address
        one = Machine(other, one.twin, one.node)
        noticed = notices(owner)
        os.kill(owner.running().pid, signal.SIGSTOP)
        before = generation(one)
        until('the other one to go on', lambda: (
            generation(one) > before + 3 and stage.flashing(one)))
        assert other.api.node(one.uuid)['conductor'] == other.address
        os.kill(owner.running().pid, signal.SIGCONT)
        until('the first one to notice', lambda: notices(owner) > noticed)
        assert stage.flashing(one)
        assert one.info['accel_guard']
        assert one.info['accel_record']['intent']['ticket']
        stage.finish(one)
        other.api.wait_state(one.uuid, 'manageable', 240)
    told = stage.ledger(one)
    assert told['violations'] == []
    assert len(told['pushes']) == 1
    assert stage.result(one)['outcome'] == 'converged'
    one.twin.stop()
