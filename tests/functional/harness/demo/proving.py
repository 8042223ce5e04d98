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

"""Chapters 4 to 6: burnt, proved, scheduled, and done again for nothing."""

from __future__ import annotations

from typing import Any

from tests.functional.harness import nova_like
from tests.functional.harness.demo import cast as cast_mod
from tests.functional.harness.demo import profiles
from tests.functional.harness.demo import watch
from tests.functional.harness.demo.cast import apply_step
from tests.functional.harness.demo.cast import Cast
from tests.functional.harness.demo.show import Document
from tests.functional.harness.demo.show import Show

IS_SECURE = 'CUSTOM_ACCEL_IS_HGX_SECURE'
IS_MIG = 'CUSTOM_ACCEL_IS_HGX_MIG'
IS_A100 = 'CUSTOM_ACCEL_IS_A100_MIG'


def four_burn(show: Show, crew: Cast) -> None:
    """A manual clean brings the profile about, and proves it."""
    show.chapter(4, f'A manual clean brings {cast_mod.HGX} to '
                    f'{profiles.SECURE}')
    before = crew[cast_mod.HGX].twin.state()
    watch.forget(crew[cast_mod.HGX])
    result = clean(show, crew, cast_mod.HGX, profiles.SECURE)
    told = watch.ledger(crew[cast_mod.HGX])
    _what_reached(show, told)
    show.expect(len(told['pushes']) == 1, 'one push', told['pushes'])
    show.expect(_kinds(told) == ['AuxPowerCycle'],
                'the only reset of more than the host\'s own power is one '
                'auxiliary cycle', told['resets'])
    show.expect(told['violations'] == [],
                'nothing was done that hurts a machine', told['violations'])
    _burnt(show, before, crew[cast_mod.HGX].twin.state())
    show.expect(result['proved'] == 17,
                '17 items were read back: 8 GPUs, 8 ECC modes, the FPGA',
                result)
    show.expect(IS_SECURE in crew.traits(cast_mod.HGX),
                f'{IS_SECURE} is published')
    _mig(show, crew)


def _burnt(show: Show, before: Document, after: Document) -> None:
    """The truth of the simulated machine, not what was read of it."""
    rows = [(name, was['running'], after['components'][name]['running'])
            for name, was in before['components'].items()
            if was['running'] != after['components'][name]['running']]
    show.rows('Components that run another version now',
              ('Component', 'Before', 'After'), rows)
    show.expect(len(rows) == 9, 'nine components run what the bundle brought',
                rows)
    off = [name for name, mode in after['modes'].items()
           if name.endswith('/ecc') and mode['current'] is not True]
    show.expect(off == [], 'ECC is on in all eight GPUs', off)


def _mig(show: Show, crew: Cast) -> None:
    """What a reboot takes away makes no trait that says that it is so."""
    show.line()
    show.line('MIG on the H100s and on the A100s, side by side:')
    hopper, ampere = clean_all(show, crew, {
        cast_mod.HGX: profiles.HGX_MIG, cast_mod.PCIE: profiles.A100_MIG})
    show.line(f"  {profiles.HGX_MIG}: {hopper['proved']} items proved, and "
              f"no IS trait: {hopper.get('no_is')}")
    traits = crew.traits(cast_mod.HGX)
    show.expect('not known to survive' in hopper.get('no_is', ''),
                'the reason is that it is not known to survive a reboot',
                hopper)
    show.expect(IS_MIG not in traits
                and 'CUSTOM_ACCEL_CAN_HGX_MIG' in traits,
                'the H100s get CUSTOM_ACCEL_CAN_HGX_MIG and no IS trait',
                sorted(traits))
    traits = crew.traits(cast_mod.PCIE)
    show.expect(ampere['volatile'] == [] and IS_A100 in traits,
                f'Ampere keeps MIG: the A100s get {IS_A100}', sorted(traits))
    show.traits(crew.all_traits())


def five_placement(show: Show, crew: Cast) -> None:
    """Placement schedules by what was proved."""
    show.chapter(5, 'Placement chooses by what was proved')
    lab = crew.lab
    node: dict[str, Any] = {}
    for name, machine in crew.machines.items():
        node = lab.ironic.api.provide(machine.uuid)
        traits = nova_like.publish(lab.ironic.api, lab.placement.api,
                                   machine.uuid)
        show.expect(traits == crew.traits(name),
                    f'{name}: the provider has the node\'s {len(traits)} '
                    'traits', sorted(traits))
    by_uuid = {m.uuid: name for name, m in crew.machines.items()}
    resources = {nova_like.resource_class(node): 1}
    rows = []
    for trait, expected in ((IS_SECURE, {cast_mod.HGX}),
                            (IS_A100, {cast_mod.PCIE})):
        found = {by_uuid[u] for u in lab.placement.api.candidates(
            resources, [trait])}
        rows.append((trait, ', '.join(sorted(found))))
        show.expect(found == expected,
                    f'{trait}: that node and no other', found)
    show.rows('GET /allocation_candidates', ('required', 'Candidates'), rows)


def six_again(show: Show, crew: Cast) -> None:
    """The same clean again does nothing."""
    show.chapter(6, 'The same clean again')
    machine = crew[cast_mod.HGX]
    machine.ironic.api.manage(machine.uuid)
    watch.forget(machine)
    result = clean(show, crew, cast_mod.HGX, profiles.SECURE)
    told = watch.ledger(machine)
    _what_reached(show, told)
    writes = _changing(told)
    show.line(f"  {told['requests']} requests reached the BMC in the whole "
              f"clean, {told['by_method'].get('GET', 0)} of them GET")
    show.expect(result['outcome'] == 'converged'
                and (result['writes'], result['resets']) == (0, 0),
                'converged without a write and without a reset', result)
    show.expect(told['pushes'] == [] and writes == []
                and _kinds(told) == [],
                'the machine itself saw no push, no write and no reset',
                writes)


def _changing(told: Document) -> list[Document]:
    """Requests that change firmware or modes; power and sessions apart."""
    return [r for r in told['last_requests']
            if r['method'] not in ('GET', 'HEAD')
            and 'ComputerSystem.Reset' not in r['path']
            and 'SessionService' not in r['path']]


def _kinds(told: Document) -> list[str]:
    """Resets beyond the host's own power, in the order of time."""
    power = ('On', 'ForceOn', 'ForceOff', 'GracefulShutdown')
    return [str(r['kind']) for r in told['resets']
            if r['kind'] not in power]


def _what_reached(show: Show, told: Document) -> None:
    show.rows('What reached the machine, counted by itself',
              ('Requests', 'Pushes', 'Writes', 'Resets', 'Violations'),
              [(told['requests'], len(told['pushes']), len(told['writes']),
                ', '.join(r['kind'] for r in told['resets']),
                len(told['violations']))])


def clean(show: Show, crew: Cast, name: str,
          profile: str) -> dict[str, Any]:
    """Clean a manageable node by hand with one step; its result record."""
    [result] = clean_all(show, crew, {name: profile})
    return result


def clean_all(show: Show, crew: Cast, profiles_of: dict[str, str]
              ) -> list[dict[str, Any]]:
    """Clean some nodes side by side; their result records."""
    machines = [crew[name] for name in profiles_of]
    for machine, profile in zip(machines, profiles_of.values(), strict=True):
        machine.ironic.api.set_provision(
            machine.uuid, 'clean', clean_steps=[apply_step(profile)])
    nodes = watch.follow(show, *machines)
    results = []
    for node, machine in zip(nodes, machines, strict=True):
        result = dict(watch.progress(machine)['result'] or {})
        profile = profiles_of[node['name']]
        show.expect(node['provision_state'] == 'manageable'
                    and result.get('outcome') == 'converged'
                    and result.get('profile') == profile,
                    f"the clean step brought {node['name']} to {profile}",
                    machine.ironic.api.why(machine.uuid) or result)
        results.append(result)
    return results
