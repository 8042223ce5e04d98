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

"""Real Nova schedules from what was proved, and the data stays true."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import json
import subprocess
import sys
import time
import uuid
from typing import Any

import pytest

from tests.functional import stage
from tests.functional.harness import chain as chain_mod
from tests.functional.harness import Lab
from tests.functional.harness import nova_api
from tests.functional.harness.chain import Chain
from tests.functional.harness.machines import Machine
from tests.functional.harness.machines import MakeMachine

#: One pass of the resource update may have read the node just before a
#: change; the next one has to bring it.
ONE_UPDATE = 2
GPU = 'GPU_SXM_1'

#: ``boot(flavor)``: the UUID of a server that was asked for.
Boot = Callable[[str], str]


@pytest.fixture(scope='module')
def chain(lab: Lab) -> Iterator[Chain]:
    """Nova, for the tests of this file."""
    made = Chain(lab)
    yield made
    made.nova.stop()


@pytest.fixture(autouse=True)
def figures(chain: Chain, record_property: Callable[[str, object], None]
            ) -> Iterator[None]:
    """What a test has measured is shown at the end of the run."""
    yield
    while chain.figures:
        record_property(stage.FIGURE, f'Nova chain: {chain.figures.pop(0)}')


@pytest.fixture
def machine(chain: Chain, machine: MakeMachine) -> MakeMachine:
    """The same, with what a server needs on the node."""
    def make(*arguments: str, **fields: Any) -> Machine:
        made = machine(*arguments, **fields)
        chain.make_bootable(made)
        return made
    return make


@pytest.fixture
def boot(chain: Chain, machine: MakeMachine) -> Iterator[Boot]:
    """Servers that are gone before their nodes are."""
    asked: list[str] = []

    def make(flavor: str) -> str:
        asked.append(chain.nova.api.create_server(flavor))
        return asked[-1]
    yield make
    for server in asked:
        chain.nova.api.ask_delete(server)
    for server in asked:
        chain.nova.api.wait_gone(server)


@contextlib.contextmanager
def ecc_profiles(lab: Lab) -> Iterator[tuple[str, str]]:
    """Two offered profiles: ECC of one GPU of an HGX box on, and off.

    One, because each GPU is written by itself, and each write takes time.
    """
    gpu = {'match': {**stage.GPUS, 'location': GPU}, 'count': 1}
    with contextlib.ExitStack() as stack:
        on, off = (stack.enter_context(stage.site_profile(
            lab, name, devices={'gpu': {**gpu, 'modes': {'ecc': ecc}}}))
            for name, ecc in (('ecc-on', 'enabled'), ('ecc-off', 'disabled')))
        yield on, off


def trait(word: str, profile: str) -> str:
    """``CUSTOM_ACCEL_IS_…`` and ``CUSTOM_ACCEL_CAN_…``."""
    return f"CUSTOM_ACCEL_{word}_{profile.upper().replace('-', '_')}"


def ecc(box: Machine) -> bool:
    """The truth of the simulated box: ECC of that GPU."""
    state = box.twin.state()
    assert isinstance(state, dict)
    return bool(state['modes'][f'{GPU}/ecc']['current'])


def set_ecc(box: Machine, on: bool) -> None:
    """Change ECC behind everybody's back."""
    box.twin.control.post('/device', {'mode': f'{GPU}/ecc', 'current': on})


def hgx(make: MakeMachine, on: bool = True,
        arguments: Sequence[str] = (), **fields: Any) -> Machine:
    """An available HGX node that was looked at with ECC on or off."""
    return hgxs(make, on, arguments=arguments, **fields)[0]


def hgxs(make: MakeMachine, *modes: bool, arguments: Sequence[str] = (),
         **fields: Any) -> list[Machine]:
    """Available HGX nodes, one for each ECC, made ready side by side."""
    boxes = [make('--system', 'hgx-h100', '--power', 'on', '--time-scale',
                  str(stage.SCALE), *arguments, system=stage.SYSTEM,
                  **fields) for _ in modes]
    for target, state in (('manage', 'manageable'),
                          ('provide', 'available')):
        for box, on in zip(boxes, modes, strict=True):
            set_ecc(box, on)
            box.ironic.api.set_provision(box.uuid, target)
        for box in boxes:
            box.ironic.api.wait_node(box.uuid, state, lambda node, s=state: (
                node['provision_state'] == s and not node['reservation']))
    return boxes


def templates(lab: Lab, profile: str) -> dict[str, Any]:
    """What ``ironic-accel templates`` says of a site profile."""
    said = subprocess.run(
        [sys.executable, '-m', 'ironic_accel.faces.cli.main', 'templates',
         '--profile', str(lab.profiles / f'{profile}.yaml')],
        capture_output=True, text=True, check=True)
    [found] = json.loads(said.stdout)['profiles']
    return dict(found)


@contextlib.contextmanager
def template(lab: Lab, profile: str) -> Iterator[None]:
    """The profile's deploy template, as the command prints it."""
    made = templates(lab, profile)['deploy_template']
    lab.ironic.api.create_deploy_template(made['name'], made['steps'])
    try:
        yield
    finally:
        lab.ironic.api.delete_deploy_template(made['name'])


@contextlib.contextmanager
def runbook(lab: Lab, profile: str) -> Iterator[str]:
    """The profile's runbook, as the command prints it; gives its name."""
    made = templates(lab, profile)
    lab.ironic.api.create_runbook(made['runbook'], made['runbook_traits'])
    name = made['runbook']['name']
    try:
        yield name
    finally:
        lab.ironic.api.delete_runbook(name)


def no_valid_host(chain: Chain, server: str) -> None:
    """Nova has found no node for a server."""
    with pytest.raises(nova_api.ServerStateError, match='No valid host'):
        chain.nova.api.wait_server(server)


def test_servers_land_on_the_nodes_whose_proof_they_ask_for(
        lab: Lab, chain: Chain, machine: MakeMachine, boot: Boot) -> None:
    with ecc_profiles(lab) as (on, off):
        nodes = dict(zip((on, off), hgxs(machine, True, False),
                         strict=True))
        for name, box in nodes.items():
            chain.wait_offered(box.uuid, trait('IS', name))
            assert chain.candidates(trait('IS', name)) == {box.uuid}
            assert chain.published(box.uuid) == (
                lab.ironic.api.traits(box.uuid))
        flavors = {name: chain.flavor([trait('IS', name)],
                                      [chain_mod.DEGRADED])
                   for name in nodes}
        began = time.monotonic()
        servers = {name: boot(flavors[name]) for name in nodes}
        for name, server in servers.items():
            chain.wait_active(server, began, 'IS, two servers at once')
            assert chain.node_of(server) == nodes[name].uuid
            assert stage.ledger(nodes[name])['writes'] == []
        no_valid_host(chain, boot(flavors[on]))


def test_a_template_converts_a_rebuild_repairs_and_a_runbook_brings_back(
        lab: Lab, chain: Chain, machine: MakeMachine, boot: Boot) -> None:
    with ecc_profiles(lab) as (on, off), template(lab, off), \
            runbook(lab, on) as baseline:
        box = hgx(machine)
        lab.ironic.api.patch_node(
            box.uuid, automated_clean=True,
            driver_info__cleaning_runbook=baseline)
        chain.wait_offered(box.uuid, trait('CAN', off), trait('IS', on))
        began = time.monotonic()
        server = boot(chain.flavor([trait('CAN', off)],
                                   [chain_mod.DEGRADED]))
        chain.wait_active(server, began, 'CAN, converted on the way')
        assert chain.node_of(server) == box.uuid
        assert not ecc(box)
        chain.wait_traits(box.uuid)
        traits = chain.published(box.uuid)
        assert trait('IS', off) in traits and trait('IS', on) not in traits

        if chain.boots_by_image:
            set_ecc(box, True)
            began = time.monotonic()
            chain.nova.api.rebuild(server)
            chain.wait_active(server, began, 'rebuild of a drifted server')
            assert chain.node_of(server) == box.uuid
            assert not ecc(box)

        chain.nova.api.ask_delete(server)
        chain.nova.api.wait_gone(server)
        lab.ironic.api.wait_state(box.uuid, 'available')
        assert ecc(box)
        chain.wait_offered(box.uuid, trait('IS', on))
        assert trait('IS', off) not in chain.published(box.uuid)
        assert stage.ledger(box)['violations'] == []


def test_placement_follows_within_one_update_and_others_are_left_alone(
        lab: Lab, chain: Chain, machine: MakeMachine, boot: Boot) -> None:
    foreign = {'CUSTOM_SITE_RACK_7', 'CUSTOM_FPGA_XILINX', 'HW_NIC_SRIOV'}
    with ecc_profiles(lab) as (on, off), other_provider(lab) as other:
        before = snapshot(lab, other)
        box = hgx(machine, driver_info={'accel_baseline': on})
        for name in foreign:
            lab.ironic.api.add_trait(box.uuid, name)
        chain.wait_offered(box.uuid, trait('IS', on))
        for turned, found, lost in ((False, off, on), (True, on, off)):
            set_ecc(box, turned)
            passes = chain.updates(box.uuid)
            stage.refresh(box)
            changed = time.monotonic()
            traits = lab.ironic.api.traits(box.uuid)
            assert trait('IS', found) in traits
            assert trait('IS', lost) not in traits
            lag = chain.wait_traits(box.uuid, changed, passes)
            assert lag.updates <= ONE_UPDATE
            chain.note('trait change to Placement', lag.seconds)
            assert foreign <= chain.published(box.uuid)

        flavor = chain.flavor(['CUSTOM_ACCEL_GPU'], [chain_mod.DEGRADED])
        box.twin.control.post('/device', {
            'device': GPU, 'health': 'Critical'})
        stage.refresh(box)
        assert chain_mod.DEGRADED in lab.ironic.api.traits(box.uuid)
        chain.wait_traits(box.uuid)
        assert foreign <= chain.published(box.uuid)
        assert chain.candidates('CUSTOM_ACCEL_GPU') == {box.uuid}
        no_valid_host(chain, boot(flavor))
        assert snapshot(lab, other) == before


@contextlib.contextmanager
def other_provider(lab: Lab) -> Iterator[str]:
    """A provider tree that is not Nova's: a root with one device below."""
    placement = lab.placement.api
    root, child = str(uuid.uuid4()), str(uuid.uuid4())
    path = f'/resource_providers/{child}'
    placement.post('/resource_providers', {'name': root, 'uuid': root})
    placement.post('/resource_providers', {
        'name': child, 'uuid': child, 'parent_provider_uuid': root})
    placement.put('/traits/CUSTOM_FPGA_XILINX')
    placement.put(f'{path}/inventories', {
        'resource_provider_generation': 0,
        'inventories': {'FPGA': {'total': 1}}})
    placement.put(f'{path}/traits', {
        'resource_provider_generation': 1,
        'traits': ['CUSTOM_FPGA_XILINX', 'OWNER_CYBORG']})
    try:
        yield child
    finally:
        placement.delete(path)
        placement.delete(f'/resource_providers/{root}')


def snapshot(lab: Lab, provider: str) -> list[Any]:
    """All of a provider; its generation changes with every write to it."""
    placement = lab.placement.api
    path = f'/resource_providers/{provider}'
    return [placement.get(path), placement.get(f'{path}/inventories'),
            placement.get(f'{path}/traits')]


def test_a_trait_that_lapses_before_the_deploy_makes_nova_reschedule(
        lab: Lab, chain: Chain, machine: MakeMachine, boot: Boot) -> None:
    with ecc_profiles(lab) as (on, _off):
        boxes = {box.uuid: box for box in hgxs(machine, True, True)}
        for box in boxes.values():
            chain.wait_offered(box.uuid, trait('IS', on))
        flavor = chain.flavor([trait('IS', on)], [chain_mod.DEGRADED])
        # A look holds each node's lock while Nova chooses one; then the
        # chosen one drifts, its look finds that, and Nova, which has waited
        # for the lock, finds the trait gone.
        for box in boxes.values():
            hold_look(box)
        began = time.monotonic()
        server = boot(flavor)
        chosen = boxes.pop(scheduled(chain, server))
        [other] = boxes.values()
        set_ecc(chosen, False)
        stage.forget(chosen)
        for box in (chosen, other):
            stage.lift(box)
        chain.wait_active(server, began, 'IS, rescheduled')
        assert chain.node_of(server) == other.uuid
        assert chain.said(f"is missing traits {trait('IS', on)}")
        assert trait('IS', on) not in lab.ironic.api.traits(chosen.uuid)
        assert lab.ironic.api.node(chosen.uuid)['instance_uuid'] is None
        assert stage.ledger(chosen)['writes'] == []


def hold_look(box: Machine) -> None:
    """Begin a look at a box, and hold it before it has seen a GPU.

    It reads several resources at a time: the first fault tells that one of
    them is held, the second holds the others.
    """
    stage.fault(box, 'hang', value='50', match='/Processors',
                method='GET', count=1)
    stage.fault(box, 'hang', value='50', match='/Processors', method='GET')
    box.ironic.api.passthru(box.uuid, 'accel_refresh', 'POST', {})
    stage.wait(box, 'the look to be held', lambda _told: (
        box.twin.control.get('/fault')[0]['count'] == 0))


def scheduled(chain: Chain, server: str, seconds: float = 50) -> str:
    """Wait until Nova has chosen a node for a server; its UUID."""
    end = time.monotonic() + seconds
    while not (found := chain.allocated(server)):
        assert time.monotonic() < end, 'Nova has scheduled nothing'
        time.sleep(stage.POLL)
    return found[0]


def test_a_stop_does_not_reach_a_flash_and_the_instance_stays_active(
        lab: Lab, chain: Chain, machine: MakeMachine, boot: Boot) -> None:
    with stage.site_profile(lab, 'served', **stage.burning(
            lab, allow=['burn_at_deploy'])) as profile:
        box = hgx(machine, arguments=stage.LASTING)
        chain.wait_offered(box.uuid, trait('CAN', profile))
        server = boot(chain.flavor([trait('CAN', profile)]))
        chain.nova.api.wait_server(server)
        stage.forget(box)
        lab.ironic.api.set_provision(box.uuid, 'service', service_steps=[
            stage.step(profile, max_activation='aux-cycle',
                       allow_disruption=True)])
        stage.writing(box)
        # What Nova does to an instance that it takes for down.
        chain.nova.api.post(f'/servers/{server}/action', {'os-stop': None})
        chain.wait_said('update in progress')
        stage.finish(box)
        lab.ironic.api.wait_state(box.uuid, 'active')
        chain.nova.api.wait_server(server)
        told = stage.ledger(box)
        assert (len(told['pushes']), told['violations']) == (1, [])
        assert stage.running(box) == {stage.NEW['gpu']}
