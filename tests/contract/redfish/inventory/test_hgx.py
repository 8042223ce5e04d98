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

"""The HGX H100: one push for the GPU tray, settings, resets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Running
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.redfish.actions.system_power import SystemPower
from ironic_accel_emulator.bmc import mischief
from tests.contract.redfish.conftest import Start
from tests.contract.redfish import lookup
from tests.contract.redfish import plans

NEW = '96.00.A6.00.01'


def test_one_push_updates_eight_gpus_and_the_board(
        rig: Start, tmp_path: Path) -> None:
    at = rig('hgx-h100', 'System_0')
    inventory = at.backend.observe()
    gpus = plans.gpus(inventory)
    board = next(d for d in inventory.devices if d.kind == 'baseboard')
    transport, = at.backend.transports(inventory)
    assert len({transport.updates[g, 'gpu'].lane for g in gpus}
               | {transport.updates[board.id, 'fpga'].lane}) == 1
    assert transport.updates[gpus[0], 'gpu'].also_writes == ()
    wanted = {(g, 'gpu'): NEW for g in gpus} | {(board.id, 'fpga'): '3.11'}
    ticket = at.backend.start(
        plans.update(inventory, wanted),
        plans.bundle(tmp_path, gpu=NEW, fpga='3.11', bmc='HGX-99'))
    poll = at.backend.poll(ticket)
    assert isinstance(poll, Running)
    assert poll.percent == 0
    busy = at.backend.observe().busy
    assert [b.kind for b in busy] == ['task']
    at.clock.advance(700)
    poll = at.backend.poll(ticket)
    assert isinstance(poll, Running)
    assert 0 < (poll.percent or 0) < 100
    at.clock.advance(800)
    poll = at.backend.poll(ticket)
    assert isinstance(poll, Ended)
    assert {r.ref for r in poll.results} == set(wanted)
    assert all(r.ok for r in poll.results)
    after = at.backend.observe()
    assert {b.kind for b in after.busy} == {'background-copy'} or (
        after.busy == ())
    at.clock.advance(400)
    after = at.backend.observe()
    assert after.busy == ()
    for gpu in gpus:
        part = lookup.part_at(after, gpu, 'gpu')
        assert (part.running, part.pending) == ('96.00.68.00.01', NEW)
    assert lookup.part_at(after, board.id, 'fpga').pending == '3.11'
    # With targets: the BMC image of the bundle was not requested.
    assert lookup.part_at(after, board.id, 'bmc').pending is None
    assert len(at.box.ledger.pushes) == 1
    assert at.box.ledger.violations == []


def test_the_auxiliary_cycle_activates_the_bundle(
        rig: Start, tmp_path: Path) -> None:
    at = rig('hgx-h100', 'System_0')
    inventory = at.backend.observe()
    gpus = plans.gpus(inventory)
    at.backend.start(
        plans.update(inventory, {(g, 'gpu'): NEW for g in gpus}),
        plans.bundle(tmp_path, gpu=NEW))
    at.clock.advance(3000)
    host = SystemPower(at.connector, at.system)
    assert host.power_state() == 'on'
    with pytest.raises(Rejected) as refused:
        host.aux_cycle()
    assert 'ChassisPowerStateOffRequired' in str(
        refused.value.detail.message_id)
    host.power_off(soft=False)
    at.clock.advance(10)
    assert host.power_state() == 'off'
    off = at.backend.observe()
    assert (off.host, off.complete) == ('off', False)
    host.aux_cycle()
    at.clock.advance(200)
    host.power_on()
    at.clock.advance(120)
    after = at.backend.observe()
    assert after.complete
    assert after.boot != inventory.boot
    assert [lookup.part_at(after, g, 'gpu').running for g in gpus] == (
        [NEW] * 8)
    assert [r.kind for r in at.box.ledger.resets] == [
        'ForceOff', 'AuxPowerCycle', 'On']


def test_ecc_waits_for_a_warm_reboot(rig: Start) -> None:
    at = rig('hgx-h100', 'System_0')
    inventory = at.backend.observe()
    gpus = plans.gpus(inventory)
    transport, = at.backend.transports(inventory)
    assert (gpus[0], 'ecc') in transport.sets
    ticket = at.backend.start(plans.set_mode(
        dict.fromkeys(gpus, 'disabled'), 'ecc'))
    poll = at.backend.poll(ticket)
    assert isinstance(poll, Ended)
    assert [r.ok for r in poll.results] == [True] * 8
    seen = lookup.mode_at(at.backend.observe(), gpus[0], 'ecc')
    assert (seen.current, seen.pending, seen.activation) == (
        'enabled', 'disabled', Activation.WARM_REBOOT)
    SystemPower(at.connector, at.system).warm_reboot()
    at.clock.advance(120)
    seen = lookup.mode_at(at.backend.observe(), gpus[0], 'ecc')
    assert (seen.current, seen.pending) == ('disabled', None)
    assert len(at.box.ledger.writes) == 8


def test_mig_is_patched_on_the_processor(rig: Start) -> None:
    at = rig('hgx-h100', 'System_0')
    gpu = plans.gpus(at.backend.observe())[0]
    ticket = at.backend.start(plans.set_mode(
        {gpu: 'enabled'}, 'mig', Activation.NONE))
    poll = at.backend.poll(ticket)
    assert isinstance(poll, Ended)
    assert poll.results[0].ok
    mode = lookup.mode_at(at.backend.observe(), gpu, 'mig')
    assert (mode.current, mode.pending, mode.persistent) == (
        'enabled', None, False)


@pytest.mark.parametrize(('first', 'then'), [
    ('on', 'off'), ('devtools', 'on'), ('devtools', 'off'),
    ('on', 'devtools')])
def test_confidential_computing_is_set_one_property_per_request(
        rig: Start, first: str, then: str) -> None:
    at = rig('hgx-h100', 'System_0')
    gpu = plans.gpus(at.backend.observe())[0]
    for value in (first, then):
        ticket = at.backend.start(plans.set_mode(
            {gpu: value}, 'cc', Activation.DEVICE_RESET))
        poll = at.backend.poll(ticket)
        assert isinstance(poll, Ended)
        assert poll.results[0].ok, poll.results[0].detail
        inventory = at.backend.observe()
        assert lookup.mode_at(inventory, gpu, 'cc').pending == value
        SystemPower(at.connector, at.system).warm_reboot()
        at.clock.advance(120)
        at.backend.transports(at.backend.observe())
        mode = lookup.mode_at(at.backend.observe(), gpu, 'cc')
        assert (mode.current, mode.pending) == (value, None)


def test_mode_is_unknown_where_its_second_request_is_refused(
        rig: Start) -> None:
    at = rig('hgx-h100', 'System_0')
    gpu = plans.gpus(at.backend.observe())[0]
    at.backend.start(plans.set_mode(
        {gpu: 'devtools'}, 'cc', Activation.DEVICE_RESET))
    SystemPower(at.connector, at.system).warm_reboot()
    at.clock.advance(120)
    at.backend.transports(at.backend.observe())
    at.box.faults.add('status', '400', '/Settings', 'PATCH', count=1, skip=1)
    with pytest.raises(OutcomeUnknown, match='request 2 of 2 that set cc'):
        at.backend.start(plans.set_mode(
            {gpu: 'on'}, 'cc', Activation.DEVICE_RESET))
    assert [w.value for w in at.box.ledger.writes] == ['True', 'False']
    # The first request alone leaves it off.
    assert lookup.mode_at(at.backend.observe(), gpu, 'cc').pending == 'off'


def test_commit_names_the_entries_with_different_slots(rig: Start) -> None:
    """Only for the given components, and only if the slots differ."""
    at = rig('hgx-h100', 'System_0')
    seen = at.backend.observe()
    at.backend.transports(seen)
    refs = [(d.id, c.name) for d in seen.devices for c in d.components]
    assert at.backend.commit(refs) == ()
    for part in at.box.components.values():
        if part.id == 'HGX_FW_GPU_SXM_1':
            part.inactive = '96.00.00.00.00'
    at.backend.observe()
    assert at.backend.commit([('gpu-none', 'gpu')]) == ()
    assert [t.rsplit('/', 1)[-1] for t in at.backend.commit(refs)] == [
        'HGX_FW_GPU_SXM_1']


LINKED = '/redfish/v1/Chassis/HGX_GPU_SXM_3/PCIeDevices/GPU_SXM_3'


def test_a_second_inventory_takes_nine_requests(rig: Start) -> None:
    at = rig('hgx-h100', 'System_0')
    first = at.backend.observe()
    # Some members are also read directly, to compare.
    assert first.requests <= 18
    # Another process would do so again, another backend does not.
    second = at.again('System_0').observe()
    assert (second.requests, second.devices) == (9, first.devices)
    one_by_one = at.again('System_0', expand=False).observe()
    assert one_by_one.devices == first.devices


@pytest.mark.parametrize('fault', [
    '/Status/Health:"Critical"', '/Status/State:"StandbyOffline"'])
def test_the_pcie_device_that_comes_with_a_processor_is_read_anew(
        rig: Start, fault: str) -> None:
    at = rig('hgx-h100', 'System_0')
    at.backend.observe()
    before = len(at.box.ledger.requests)
    at.box.faults.add('says', fault, LINKED)
    with_links = at.backend.observe()
    assert LINKED not in [
        r.path for r in at.box.ledger.requests[before:]]
    alone = at.again('System_0', expand=False).observe()
    assert with_links.devices == alone.devices
    if 'Health' in fault:
        assert [d.uri for d in with_links.devices
                if d.health == 'Critical'] == [
            '/redfish/v1/Systems/HGX_Baseboard_0/Processors/GPU_SXM_3']


@pytest.mark.parametrize(('status', 'kept'), [
    (400, True), (500, True), (501, True), (503, False)])
def test_a_bmc_that_does_not_expand_links_is_read_without(
        rig: Start, monkeypatch: pytest.MonkeyPatch, status: int, kept: bool
) -> None:
    at = rig('hgx-h100', 'System_0')
    # One request at a time: what is refused is not asked for twice.
    at.box.lay('/redfish/v1', lambda root: root.update(Vendor='Other'))
    whole = at.backend.observe()
    damage = mischief.damage
    refused: list[str] = []

    def refuse(box: Any, request: Any, reply: Any) -> None:
        damage(box, request, reply)
        if '*' in request.query:
            refused.append(request.path)
            reply.status, reply.body = status, {'error': {'code': 'x'}}

    monkeypatch.setattr(mischief, 'damage', refuse)
    backend = at.again('System_0')
    seen = backend.observe()
    assert (seen.devices, seen.unread) == (whole.devices, ())
    assert any('$expand=*' in w.message for w in seen.warnings)
    assert len(refused) == 2
    again = backend.observe()
    assert again.devices == whole.devices
    # It is not asked again within an hour, unless it was only busy.
    assert len(refused) == (2 if kept else 4)
    at.clock.advance(3601)
    backend.observe()
    assert len(refused) == (4 if kept else 6)


def test_a_linked_resource_without_all_its_properties_is_read_directly(
        rig: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    at = rig('hgx-h100', 'System_0')
    at.box.faults.add('says', '/Status/Health:"Critical"', LINKED)
    whole = at.again('System_0', expand=False).observe()
    damage = mischief.damage

    def drop(box: Any, request: Any, reply: Any) -> None:
        damage(box, request, reply)
        if '*' in request.query:
            for member in reply.body['Members']:
                linked = member.get('Links', {}).get('PCIeDevice', {})
                linked.pop('Status', None)

    monkeypatch.setattr(mischief, 'damage', drop)
    assert at.backend.observe().devices == whole.devices
