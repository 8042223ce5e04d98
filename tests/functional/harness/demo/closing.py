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

"""Chapters 7 and 8: converted on the way to a tenant; refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.functional.harness import rest
from tests.functional.harness.demo import cast as cast_mod
from tests.functional.harness.demo import profiles
from tests.functional.harness.demo import proving
from tests.functional.harness.demo import watch
from tests.functional.harness.demo.cast import apply_step
from tests.functional.harness.demo.cast import Cast
from tests.functional.harness.demo.show import Show
from tests.functional.harness.machines import Machine

CAN_RAW = 'CUSTOM_ACCEL_CAN_HGX_RAW'
IS_RAW = 'CUSTOM_ACCEL_IS_HGX_RAW'


def seven_deploy(show: Show, crew: Cast) -> None:
    """A deploy template converts the node; a service step works on it."""
    show.chapter(7, f'A deploy converts {cast_mod.HGX} to {profiles.RAW}')
    machine, api = crew[cast_mod.HGX], crew.lab.ironic.api
    api.create_deploy_template(CAN_RAW, [
        {**apply_step(profiles.RAW), 'priority': 150}])
    api.provide(machine.uuid)
    api.patch_node(machine.uuid, instance_info__traits=[CAN_RAW])
    show.line(f'deploy template {CAN_RAW}; instance_info/traits asks for it')
    watch.forget(machine)
    overlaps: list[str] = []

    def both_at_once() -> None:
        # The old trait must be gone before the first write, not after.
        if (watch.ledger(machine)['writes']
                and proving.IS_SECURE in crew.traits(cast_mod.HGX)):
            overlaps.append('the old IS trait stood beside a write')

    crew.lab.give_instance(machine)
    api.set_provision(machine.uuid, 'active')
    [node] = watch.follow(show, machine, each=both_at_once)
    show.expect(node['provision_state'] == 'active',
                'the node is active', api.why(machine.uuid))
    show.expect(bool(watch.ledger(machine)['writes']) and overlaps == [],
                f'{proving.IS_SECURE} was gone before the first write',
                overlaps)
    traits = crew.traits(cast_mod.HGX)
    show.traits({cast_mod.HGX: traits})
    show.expect(IS_RAW in traits and proving.IS_SECURE not in traits,
                f'{IS_RAW} stands instead', sorted(traits))
    _service(show, crew)


def _service(show: Show, crew: Cast) -> None:
    show.line()
    show.line('Service steps on the active node:')
    machine = crew[cast_mod.HGX]
    watch.forget(machine)
    error = _turned_down(lambda: _serve(show, crew, profiles.SECURE))
    show.line(f'  {error}')
    show.expect('max_activation' in error,
                'ECC needs a reboot, which max_activation (none) does not '
                'allow',
                error)
    node = machine.ironic.api.node(machine.uuid)
    show.expect(node['provision_state'] == 'active',
                'the API says so: the node stays active',
                node['provision_state'])
    told = watch.ledger(machine)
    show.expect(told['writes'] == [] and told['resets'] == [],
                'nothing was written, nothing was reset', told['writes'])
    node = _serve(show, crew, profiles.HGX_MIG)
    told = watch.ledger(machine)
    show.expect(node['provision_state'] == 'active'
                and watch.progress(machine)['result']['outcome']
                == 'converged',
                'MIG on Hopper wants none, and is set',
                machine.ironic.api.why(machine.uuid))
    show.expect(bool(told['writes']) and told['resets'] == [],
                'the instance kept running', told['resets'])


def _turned_down(call: Callable[[], Any]) -> str:
    """What Ironic's API answers to what it turns down; empty where it
    does not."""
    try:
        call()
    except rest.RestError as error:
        return str(error)
    return ''


def _serve(show: Show, crew: Cast, profile: str) -> dict[str, Any]:
    machine = crew[cast_mod.HGX]
    machine.ironic.api.set_provision(
        machine.uuid, 'service', service_steps=[apply_step(profile)])
    [node] = watch.follow(show, machine)
    return node


def eight_refused(show: Show, crew: Cast) -> None:
    """What does not fit, is not the image, or is older is refused."""
    show.chapter(8, 'Refused before a byte is sent')
    machine, api = crew[cast_mod.HGX], crew.lab.ironic.api
    api.undeploy(machine.uuid)
    api.manage(machine.uuid)
    watch.forget(machine)
    running = profiles.NEW['gpu']
    for words, profile, told in (
            ('an image of another board', profiles.misfit(crew.lab),
             ('board', 'HGX H200 8-GPU', 'HGX H100 8-GPU')),
            ('an image that was changed', profiles.wrong_digest(crew.lab),
             ('SHA-256', '0' * 64)),
            ('a version older than what runs',
             profiles.downgrade(crew.lab),
             (profiles.OLD['gpu'], running))):
        error = _refused(show, machine, profile)
        show.line(f'  {error}')
        show.expect(error != '', f'{words}: refused', error)
        missing = [part for part in ('gpu', *told) if part not in error]
        show.expect(missing == [],
                    'it names device, component, expected and seen', missing)
    seen = watch.ledger(machine)
    show.expect(seen['pushes'] == [] and seen['writes'] == [],
                'not one push reached the machine', seen['pushes'])


def _refused(show: Show, machine: Machine, profile: dict[str, Any] | str
             ) -> str:
    """Why a clean is refused: by the API, or where it takes a look or an
    image to know, by the step."""
    api = machine.ironic.api
    error = _turned_down(lambda: api.set_provision(
        machine.uuid, 'clean', clean_steps=[apply_step(profile)]))
    if error:
        return error
    [node] = watch.follow(show, machine)
    if node['provision_state'] != 'clean failed':
        return ''
    why = api.why(machine.uuid)
    api.set_maintenance(machine.uuid, False)
    api.manage(machine.uuid)
    return why
