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

"""A conductor that is killed goes on with what it had begun."""

from __future__ import annotations

import contextlib
import time

import pytest

from tests.functional import stage
from tests.functional.harness import ironic_api
from tests.functional.harness import Lab
from tests.functional.harness.machines import Machine
from tests.functional.harness.machines import MakeMachine

#: Real seconds for which a simulated BMC holds a request back at most: it is
#: let go when the conductor is dead.
HELD = 90
#: An image that fits into the buffers of a socket, so that it is all sent
#: while the BMC holds the request back; and one that does not.
SMALL, LARGE = 64 << 10, 48 << 20


def hold_before(machine: Machine) -> None:
    """Hold the last look before the push: the intent is saved by then."""
    stage.forget(machine)
    stage.refresh(machine)
    looks = [r for r in stage.ledger(machine)['last_requests']
             if r['method'] == 'GET' and 'UpdateService' in r['path']]
    stage.fault(machine, 'hang', value=str(HELD), match='UpdateService',
                method='GET', count=1, skip=len(looks))


def hold_push(machine: Machine) -> None:
    """Hold the push itself."""
    stage.fault(machine, 'hang', value=str(HELD), match='pdate',
                method='POST', count=1)


def let_go(machine: Machine) -> None:
    """Hold nothing."""


#: The first one has its image fetched; the others find it in the cache, so
#: that they look at their box exactly once before they push. With each, what
#: holds it, and the size of its image. The small push that is held is all in
#: the buffers of its socket long before the large one is on its way. No flash
#: ends before all is looked at.
MOMENTS = {
    'while the task runs': (let_go, SMALL),
    'before the push': (hold_before, SMALL),
    'right after the push': (hold_push, SMALL),
    'during the push': (hold_push, LARGE),
}


def begun(machine: Machine, moment: str) -> bool:
    """Whether a machine has come to its moment."""
    intent = (stage.progress(machine)['record'] or {}).get('intent')
    if intent is None:
        return False
    if moment == 'while the task runs':
        return bool(intent['ticket'])
    return stage.held(machine)


def reach(machine: Machine, moment: str) -> None:
    """Wait until a machine has come to its moment."""
    stage.wait(machine, moment, lambda _told: begun(machine, moment))


def test_one_push_whenever_the_conductor_is_killed(
        lab: Lab, ironic: ironic_api.IronicApi, machine: MakeMachine
        ) -> None:
    images = {size: stage.burning(lab, size) for size in (SMALL, LARGE)}
    crew = dict(zip(MOMENTS, stage.hgxs(
        machine, *(stage.SCALE for _ in MOMENTS), arguments=stage.LASTING),
        strict=True))
    with contextlib.ExitStack() as stack:
        steps = {}
        for moment, (hold, size) in MOMENTS.items():
            steps[moment] = [stage.step(stack.enter_context(
                stage.site_profile(lab, 'killed', **images[size])))]
            hold(crew[moment])
            stage.forget(crew[moment])
        first = next(iter(MOMENTS))
        ironic.set_provision(crew[first].uuid, 'clean',
                             clean_steps=steps[first])
        reach(crew[first], first)
        for moment, one in crew.items():
            if moment != first:
                ironic.set_provision(one.uuid, 'clean',
                                     clean_steps=steps[moment])
        for moment, one in crew.items():
            reach(one, moment)
        pushes = {m: len(stage.ledger(o)['pushes'])
                  for m, o in crew.items()}
        lab.ironic.kill()
        assert pushes == {'before the push': 0, 'during the push': 0,
                          'right after the push': 0,
                          'while the task runs': 1}
        for one in crew.values():
            stage.lift(one)
        wait_let_go(crew['right after the push'])
        lab.ironic.restart()
        for one in crew.values():
            stage.writing(one)
            stage.finish(one)
        for one in crew.values():
            ironic.wait_state(one.uuid, 'manageable', 180)
    for moment, one in crew.items():
        told = stage.ledger(one)
        assert (moment, len(told['pushes'])) == (moment, 1)
        assert (moment, told['violations']) == (moment, [])
        assert stage.running(one) == {stage.NEW['gpu']}
        assert stage.result(one)['outcome'] == 'converged'


def wait_let_go(machine: Machine) -> None:
    """Wait until the simulated BMC has acted on the push that it held."""
    end = time.monotonic() + 30
    while not stage.ledger(machine)['pushes']:
        assert time.monotonic() < end, 'the push was not acted on'
        time.sleep(stage.POLL)


def test_a_kill_in_the_step_body_leaves_nothing_behind(
        lab: Lab, ironic: ironic_api.IronicApi, machine: MakeMachine
        ) -> None:
    one = stage.hgx(machine)
    hold = lab.ironic.config.with_name(f'{lab.ironic.config.name}.hold')
    with stage.site_profile(lab, 'body', **stage.modes(ecc='disabled')
                            ) as profile:
        # The step body waits as long as this file stands.
        hold.touch()
        try:
            ironic.set_provision(one.uuid, 'clean',
                                 clean_steps=[stage.step(profile)])
            ironic.wait_node(one.uuid, 'the step to run', lambda node: (
                node['clean_step'].get('step') == 'apply_profile'))
            lab.ironic.kill()
        finally:
            hold.unlink()
        lab.ironic.restart()
        with pytest.raises(ironic_api.NodeStateError):
            ironic.wait_state(one.uuid, 'manageable')
        assert ironic.node(one.uuid)['provision_state'] == 'clean failed'
        cleared = ironic.wait_node(
            one.uuid, 'no stale step', lambda node: not node['clean_step'])
        assert not [k for k in cleared['driver_internal_info']
                    if k.endswith('_polling') or k == 'accel_operation']
        stage.forget(one)
        stage.clean_up(one)
        ironic.clean(one.uuid, [stage.step(profile)])
    assert stage.result(one)['outcome'] == 'converged'
    assert stage.result(one)['writes'] > 0
    assert 'CUSTOM_ACCEL_GPU_ECC' not in ironic.traits(one.uuid)
