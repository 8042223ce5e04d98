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

"""Other systems: SimpleUpdate, empty targets, DPU modes, resets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Running
from ironic_accel.converge.ports import Ticket
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Value
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Change
from ironic_accel.model.plan import Item
from ironic_accel.model.profile import Image
from ironic_accel.model.profile import Push
from ironic_accel.model import unite
from ironic_accel.redfish.actions.system_power import SystemPower
from ironic_accel.redfish.backend import RedfishBackend
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel_emulator.bmc import control
from ironic_accel_emulator.box import Box
from ironic_accel_emulator import images
from tests.contract.redfish.conftest import Rig
from tests.contract.redfish.conftest import Start
from tests.contract.redfish import lookup
from tests.contract.redfish import plans


def local(image: Ready, spec: Image | None) -> str:
    """A URI at which the emulator can download an image."""
    return f'file://{image.path}'


def ended(backend: RedfishBackend, ticket: Ticket
          ) -> dict[tuple[str, str], bool]:
    poll = backend.poll(ticket)
    assert isinstance(poll, Ended), poll
    return {r.ref: r.ok for r in poll.results}


#: Properties of a package for the BlueField-2 of the R750.
BF2 = {'pci': '15b3:a2d6'}


def nic_image(folder: Path, version: str, psid: str) -> Ready:
    path = folder / f'{psid}.bin'
    digest = images.mlnx_image(path, version, psid)
    return Ready(str(path), path.stat().st_size, digest)


def test_pcie_system_names_components_by_words_in_ids(rig: Start) -> None:
    at = rig('pcie-a100')
    inventory = at.backend.observe()
    fpga = lookup.one(inventory, 'fpga')
    assert [(c.name, c.running) for c in fpga.components] == [
        ('sc', '7.1.20'), ('shell', 'xilinx_u55c_gen3x16_xdma_base_2')]
    assert lookup.one(inventory, 'dpu').fit.psid == 'MT_0000000884'
    assert lookup.one(inventory, 'nic').fit.psid == 'MT_0000000834'


@pytest.mark.parametrize('style', [
    'multipart-targets', 'multipart-all', 'multipart-plain',
    'multipart-targets-forced', 'simple-targets', 'simple-plain',
    'http-push'])
def test_every_push_style_writes_the_requested_components(
        rig: Start, tmp_path: Path, style: str) -> None:
    at = rig('pcie-a100', image_uri=local)
    dpu = lookup.one(at.backend.observe(), 'dpu')
    image = nic_image(tmp_path, '32.43.1014', 'MT_0000000884')
    spec = Image('fw', 'file:///fw', image.sha256, {}, Push(style))
    ticket = at.backend.start(plans.planned(
        at.backend, {(dpu.id, 'nic'): '32.43.1014'}, Push(style)),
        image, spec, force=True)
    at.clock.advance(3000)
    assert ended(at.backend, ticket) == {(dpu.id, 'nic'): True}
    push, = at.box.ledger.pushes
    assert push.digest == image.sha256
    at.power_cycle()
    at.clock.advance(200)
    after = lookup.device(at.backend.observe(), dpu.id)
    assert lookup.part(after, 'nic').running == '32.43.1014'


def test_a_push_style_that_forces_requires_consent(
        rig: Start, tmp_path: Path) -> None:
    at = rig('pcie-a100')
    dpu = lookup.one(at.backend.observe(), 'dpu')
    image = nic_image(tmp_path, '32.43.1014', 'MT_0000000884')
    for style, said in (('multipart-targets-forced', 'force'),
                        ('simple-targets', 'does not offer'),
                        ('pigeon', 'expected one of')):
        spec = Image('fw', 'file:///fw', image.sha256, {}, Push(style))
        with pytest.raises(Rejected, match=said):
            at.backend.start(plans.update(
                at.backend.observe(), {(dpu.id, 'nic'): '32.43.1014'}),
                image, spec)
    assert at.box.ledger.pushes == []


def test_update_targets_follow_the_service(rig: Start) -> None:
    at = rig('pcie-a100')
    inventory = at.backend.observe()
    transport, = at.backend.transports(inventory)
    gpus = plans.gpus(inventory)
    # OpenBMC's push URI: one target per push, so each has its own lane.
    lane = transport.updates[gpus[0], 'gpu'].lane
    assert lane.startswith(f'{at.backend.address}/multipart-targets/')
    assert len(
        {transport.updates[ref].lane for ref in transport.updates}
    ) == len(transport.updates)
    assert {b.also_writes for b in transport.updates.values()} == {()}
    assert transport.resets == dict.fromkeys(gpus, Activation.DEVICE_RESET) | {
        d: e for d, e in transport.resets.items() if d not in gpus}
    service = lookup.document(at.box, '/redfish/v1/UpdateService')
    service['ServiceEnabled'] = False
    at.box.documents.put('/redfish/v1/UpdateService', service)
    assert at.backend.transports(at.backend.observe())[0].updates == {}


def test_mig_of_ampere_waits_for_a_device_reset(rig: Start) -> None:
    at = rig('pcie-a100')
    gpu = plans.gpus(at.backend.observe())[0]
    ended(at.backend, at.backend.start(plans.set_mode(
        {gpu: 'enabled'}, 'mig', Activation.DEVICE_RESET)))
    item = Item(gpu, 'mig', 'mode', 'enabled')
    ticket = at.backend.start(Action(
        'reset', 'redfish', (Change(item, 'disabled'),),
        Activation.DEVICE_RESET))
    at.clock.advance(60)
    assert ended(at.backend, ticket) == {(gpu, 'mig'): True}
    mode = lookup.mode_at(at.backend.observe(), gpu, 'mig')
    assert (mode.current, mode.persistent) == ('enabled', True)
    # It persists over a power cycle.
    at.power_cycle()
    at.clock.advance(200)
    mode = lookup.mode_at(at.backend.observe(), gpu, 'mig')
    assert mode.current == 'enabled'


@pytest.mark.parametrize(('kind', 'name', 'value'), [
    ('nic', 'sriov', 'disabled'), ('dpu', 'sriov', 'enabled'),
    ('fpga', 'virtual-functions', 4),
    ('fpga', 'host-programming', 'disabled')])
def test_modes_of_network_cards(
        rig: Start, kind: str, name: str, value: Value) -> None:
    at = rig('pcie-a100')
    dev = lookup.one(at.backend.observe(), kind)
    assert lookup.mode(dev, name).current not in (value, None)
    results = ended(at.backend, at.backend.start(plans.set_mode(
        {dev.id: value}, name, Activation.POWER_CYCLE)))
    assert results == {(dev.id, name): True}
    at.power_cycle()
    at.clock.advance(200)
    assert lookup.mode_at(at.backend.observe(), dev.id, name).current == value


def test_an_invalid_value_is_rejected_before_it_is_sent(
        rig: Start) -> None:
    at = rig('pcie-a100')
    fpga = lookup.one(at.backend.observe(), 'fpga')
    with pytest.raises(Rejected):
        at.backend.start(plans.set_mode(
            {fpga.id: 'many'}, 'virtual-functions'))
    with pytest.raises(Rejected):
        at.backend.start(plans.set_mode({fpga.id: 'enabled'}, 'ecc'))
    assert at.box.ledger.writes == []


def test_an_accepted_mode_with_the_old_value_fails(rig: Start) -> None:
    at = rig('pcie-a100')
    gpu = plans.gpus(at.backend.observe())[0]
    at.box.faults.add('silent-noop')
    ticket = dict(at.backend.start(plans.set_mode(
        {gpu: 'disabled'}, 'ecc')))
    assert isinstance(at.backend.poll(ticket), Running)
    at.clock.advance(31)
    poll = at.backend.poll(ticket)
    assert isinstance(poll, Ended)
    result, = poll.results
    assert not result.ok
    assert result.detail is not None
    assert (result.detail.expected, result.detail.seen) == (
        'disabled', 'enabled')


def test_a_permanently_rejected_mode_ends_the_action(rig: Start) -> None:
    """Modes that were set before count; the others are not sent."""
    at = rig('pcie-a100')
    gpus = sorted(plans.gpus(at.backend.observe()))
    at.box.faults.add('status', '400', 'GPU3/Settings', 'PATCH')
    results = ended(at.backend, at.backend.start(plans.set_mode(
        dict.fromkeys(gpus, 'disabled'), 'ecc')))
    assert [results[gpu, 'ecc'] for gpu in gpus] == [
        True, True, False, False]
    at.box.faults.clear()
    at.box.faults.add('status', '400', 'GPU1/Settings', 'PATCH')
    with pytest.raises(Rejected):
        at.backend.start(plans.set_mode(
            dict.fromkeys(gpus, 'enabled'), 'ecc'))


@pytest.mark.parametrize('box', ['bluefield-2', 'bluefield-3'])
def test_the_mode_of_a_dpu_on_its_own_bmc(rig: Start, box: str) -> None:
    at = rig(box)
    inventory = at.backend.observe()
    dpu = lookup.one(inventory, 'dpu')
    assert dpu.vendor == 'nvidia'
    mode = lookup.mode(dpu, 'mode')
    assert (mode.current, mode.activation) == ('dpu', Activation.POWER_CYCLE)
    results = ended(at.backend, at.backend.start(plans.set_mode(
        {dpu.id: 'nic'}, 'mode', Activation.POWER_CYCLE)))
    assert results == {(dpu.id, 'mode'): True}
    mode = lookup.mode_at(at.backend.observe(), dpu.id, 'mode')
    assert mode.current == 'dpu'
    at.power_cycle()
    at.clock.advance(200)
    mode = lookup.mode_at(at.backend.observe(), dpu.id, 'mode')
    assert mode.current == 'nic'


def test_a_dpu_is_reported_by_its_host_and_its_own_bmc(
        rig: Start, tmp_path: Path) -> None:
    """One plan on the parent uses both BMCs, each for what it reports."""
    parent = rig('pcie-a100')
    child = rig('bluefield-3')
    own = child.again(name='redfish-dpu')
    told = unite.inventory((*parent.backend.sources(), *own.sources()))
    dpu = lookup.one(told, 'dpu')
    assert lookup.mode(dpu, 'mode').current == 'dpu'
    outer, = parent.backend.transports(told)
    inner, = own.transports(told)
    assert (outer.name, inner.name) == ('redfish', 'redfish-dpu')
    assert (dpu.id, 'nic') in outer.updates
    assert (dpu.id, 'mode') in inner.sets
    assert (dpu.id, 'mode') not in outer.sets
    assert not {r for r in inner.sets if r[0] != dpu.id}
    assert ended(own, own.start(plans.set_mode(
        {dpu.id: 'nic'}, 'mode', Activation.POWER_CYCLE))) == {
        (dpu.id, 'mode'): True}
    assert parent.box.ledger.writes == []


def test_cray_simple_update_writes_one_node(
        rig: Start, captures: Path, tmp_path: Path) -> None:
    at = rig(captures / 'a100x4-cray-ex235n.tar.gz', 'Node0',
             image_uri=local)
    inventory = at.backend.observe()
    transport, = at.backend.transports(inventory)
    board = lookup.one(inventory, 'baseboard')
    assert list(transport.updates) == [(board.id, 'fpga')]
    path = tmp_path / 'fpga.bin'
    digest = images.plain_image(path, 'fpga', '2.8')
    ticket = at.backend.start(
        plans.update(inventory, {(board.id, 'fpga'): '2.8'}),
        Ready(str(path), path.stat().st_size, digest))
    at.clock.advance(3000)
    assert ended(at.backend, ticket) == {(board.id, 'fpga'): True}
    push, = at.box.ledger.pushes
    assert push.transport == 'simple-update'
    assert push.targets is not None
    assert [t.rsplit('/', 1)[-1] for t in push.targets] == ['Node0.AccFPGA0']


def test_gb300_accepts_no_targets(
        rig: Start, captures: Path, tmp_path: Path) -> None:
    at = rig(captures / 'gb300-supermicro.tar.gz', 'System_0')
    inventory = at.backend.observe()
    gpus = plans.gpus(inventory)
    path = tmp_path / 'gpu.bin'
    digest = images.plain_image(path, 'gpu', '97.10.55.00.01')
    ticket = at.backend.start(
        plans.planned(at.backend, {(g, 'gpu'): '97.10.55.00.01'
                                     for g in gpus}),
        Ready(str(path), path.stat().st_size, digest))
    at.clock.advance(4000)
    assert set(ended(at.backend, ticket).values()) == {True}
    push, = at.box.ledger.pushes
    assert push.targets == ()
    after = at.backend.observe()
    assert {lookup.part_at(after, g, 'gpu').pending for g in gpus} == {
        '97.10.55.00.01'}


def test_an_equal_version_rejected_by_dell_is_satisfied(
        rig: Start, captures: Path, tmp_path: Path) -> None:
    at = rig(captures / 'dell-r750-h100.tar.gz')
    at.box.faults.add('equal-refused')
    inventory = at.backend.observe()
    dpu = lookup.one(inventory, 'dpu')
    path = tmp_path / 'nic.exe'
    digest = images.plain_image(path, 'nic', '24.40.10.00', BF2)
    ticket = at.backend.start(
        plans.update(inventory, {(dpu.id, 'nic'): '24.40.10.00'}),
        Ready(str(path), path.stat().st_size, digest))
    assert ended(at.backend, ticket) == {(dpu.id, 'nic'): True}
    last = at.box.ledger.requests[-1]
    assert (last.method, last.status) == ('POST', 400)
    assert at.box.ledger.pushes == []


def test_the_dell_firmware_id_changes_with_its_version(
        rig: Start, captures: Path, tmp_path: Path) -> None:
    at = rig(captures / 'dell-r750-h100.tar.gz')
    inventory = at.backend.observe()
    dpu = lookup.one(inventory, 'dpu')
    path = tmp_path / 'nic.exe'
    digest = images.plain_image(path, 'nic', '24.43.2026', BF2)
    ticket = at.backend.start(
        plans.update(inventory, {(dpu.id, 'nic'): '24.43.2026'}),
        Ready(str(path), path.stat().st_size, digest))
    # Scheduled: it is written while the host boots, and not before.
    poll = at.backend.poll(ticket)
    assert isinstance(poll, Ended)
    assert poll.at_reset
    assert at.box.ledger.writes == []
    assert at.backend.observe().busy == ()
    SystemPower(at.connector, at.system).warm_reboot()
    at.clock.advance(3000)
    part = lookup.part_at(at.backend.observe(), dpu.id, 'nic')
    assert (part.running, part.id) == (
        '24.43.2026', 'Installed-0-24.43.2026__NIC.Slot.5-1')


def test_a_missing_auxiliary_cycle_action_is_reported(rig: Start) -> None:
    at = rig('plain')
    host = SystemPower(at.connector, at.system)
    assert host.aux_cycle_action() is None
    with pytest.raises(Rejected, match='auxiliary'):
        host.aux_cycle()
    assert _offers_aux_cycle(at) is False


def _offers_aux_cycle(at: Rig) -> bool | None:
    (transport,) = at.backend.transports(at.backend.observe())
    return transport.offers_aux_cycle()


def test_a_forced_auxiliary_cycle(rig: Start) -> None:
    at = rig('hgx-h100', 'System_0')
    host = SystemPower(at.connector, at.system)
    assert _offers_aux_cycle(at) is True
    action = host.aux_cycle_action()
    assert action is not None
    assert action.target.endswith('NvidiaChassis.AuxPowerReset')
    host.aux_cycle(force=True)
    assert [r.kind for r in at.box.ledger.resets] == ['AuxPowerCycleForce']


@pytest.mark.parametrize('begin', [
    control.start_foreign_task, control.start_foreign_copy])
def test_an_auxiliary_cycle_is_refused_while_an_update_is_running(
        rig: Start, begin: Callable[[Box], object]) -> None:
    at = rig('hgx-h100', 'System_0')
    host = SystemPower(at.connector, at.system)
    host.power_off(soft=False)
    at.clock.advance(30)
    begin(at.box)
    with pytest.raises(Rejected, match='cannot confirm that') as later:
        host.aux_cycle()
    assert later.value.retry_after
    assert [r.kind for r in at.box.ledger.resets] == ['ForceOff']
    at.clock.advance(3600)
    host.aux_cycle()
    assert [r.kind for r in at.box.ledger.resets] == [
        'ForceOff', 'AuxPowerCycle']


@pytest.mark.parametrize(('fault', 'value', 'place'), [
    ('status', '503', '/redfish/v1/TaskService$'),
    ('status', '404', '/redfish/v1/TaskService$'),
    ('status', '503', '/redfish/v1/TaskService/Tasks$'),
    ('empty', None, '/redfish/v1/TaskService/Tasks$'),
    ('garbage', None, '/redfish/v1/TaskService$'),
    ('status', '503', '/redfish/v1/UpdateService$'),
    ('body', '200:{"error": "busy"}', '/redfish/v1/UpdateService$')])
@pytest.mark.parametrize('box', ['hgx-h100', 'pcie-a100'])
def test_a_bmc_with_unread_tasks_is_not_idle(
        rig: Start, box: str, fault: str, value: str | None, place: str
        ) -> None:
    at = rig(box, 'System_0' if box == 'hgx-h100' else None)
    # A collection that was expanded is not read again.
    host = SystemPower(at.connector, at.system,
                       BmcSettings(expand=False))
    host.check_idle()
    at.box.faults.add(fault, value, place)
    with pytest.raises(Rejected, match=place.rstrip('$')) as later:
        host.check_idle()
    assert later.value.retry_after
    assert at.box.ledger.resets == []


def test_an_idrac_with_extended_reset_cuts_the_auxiliary_power(
        rig: Start, captures: Path) -> None:
    """Its host must be off, and stays off until the caller powers it on."""
    at = rig(captures / 'dell-r750-h100.tar.gz',
             options={'extended_reset': True})
    host = SystemPower(at.connector, at.system)
    with pytest.raises(Rejected):
        host.aux_cycle()
    with pytest.raises(Rejected, match='only while the host is off'):
        host.aux_cycle(force=True)
    host.power_off(soft=False)
    at.clock.advance(30)
    host.aux_cycle()
    with pytest.raises(Unreachable):
        host.power_state()
    at.clock.advance(300)
    assert host.power_state() == 'off'
    assert [r.kind for r in at.box.ledger.resets] == [
        'ForceOff', 'AuxPowerCycle']


def test_an_idrac_without_extended_reset_offers_no_auxiliary_cycle(
        rig: Start, captures: Path) -> None:
    """The recorded one has only Chassis.Reset, which is weaker."""
    at = rig(captures / 'dell-r750-h100.tar.gz')
    assert SystemPower(at.connector, at.system
                ).aux_cycle_action() is None


def test_two_nodes_of_one_bmc_have_separate_power(rig: Start) -> None:
    at = rig('two-nodes', 'Node0')
    one_, two = (SystemPower(at.connector, f'/redfish/v1/Systems/{n}')
                 for n in ('Node0', 'Node1'))
    one_.power_off(soft=False)
    at.clock.advance(30)
    assert (one_.power_state(), two.power_state()) == ('off', 'on')
    one_.power_on()
    at.clock.advance(30)
    assert one_.power_state() == 'on'
