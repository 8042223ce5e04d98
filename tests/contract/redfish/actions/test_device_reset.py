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

"""Device resets by the methods of the BMC, which restore the initial state.

Instead of the action, the A100s of these systems have the property
``Enabled``, or the power of a card's own chassis, or no reset at all.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from ironic_accel.converge import outcome
from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Running
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import Rejected
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Change
from ironic_accel.model.plan import Item
import ironic_accel_emulator as emulator
from ironic_accel_emulator import Box
from ironic_accel_emulator.inside.shared import Inside
from tests.contract import machine as machines
from tests.contract.redfish.conftest import Rig
from tests.contract.redfish.conftest import Start
from tests.contract.redfish import lookup
from tests.contract.redfish import plans

GPU = '/redfish/v1/Systems/1/Processors/GPU1'
PROFILE = """
profile: 1
name: sliced
devices:
  gpus: {match: {kind: gpu}, count: 2, modes: {mig: enabled}}
limits: {reset: device-reset}
"""


def box_with(folder: Path, reset: str) -> Path:
    """The shipped PCIe system with two A100s with another reset method."""
    shipped = Path(emulator.__file__).parent / 'boxes' / 'pcie-a100.yaml'
    spec = yaml.safe_load(shipped.read_text())
    gpus, = spec['hosts'][0]['gpus']
    gpus.update(count=2, reset=reset)
    path = folder / 'box.yaml'
    path.write_text(yaml.safe_dump(spec))
    return path


def reset(gpu: str) -> Action:
    """Reset one GPU for its pending changes."""
    item = Item(gpu, 'mig', 'mode', 'enabled')
    return Action('reset', 'redfish', (Change(item, None),),
                  Activation.DEVICE_RESET)


def sent(at: Rig) -> list[tuple[str, str]]:
    """The writes: method and path."""
    return [(r.method, r.path) for r in at.box.ledger.requests
            if r.method != 'GET']


def switches(box: Box) -> list[bool | None]:
    """Whether each GPU is enabled."""
    return [d.enabled for d in box.devices.values() if d.kind == 'gpu']


def first(inventory: Inventory) -> str:
    """Id of the first GPU."""
    return plans.gpus(inventory)[0]


def test_disabling_and_enabling_is_a_reset(
        rig: Start, tmp_path: Path) -> None:
    at = rig(box_with(tmp_path, 'enabled'))
    inventory = at.backend.observe()
    gpu = first(inventory)
    transport, = at.backend.transports(inventory)
    assert transport.resets[gpu] is Activation.DEVICE_RESET
    at.backend.start(plans.set_mode(
        {gpu: 'enabled'}, 'mig', Activation.DEVICE_RESET))
    ticket = at.backend.start(reset(gpu))
    assert switches(at.box) == [False, True]
    assert at.box.modes['GPU1/mig'].current is False
    # The poll enables it again; the reset ends when the device is reported.
    assert isinstance(at.backend.poll(ticket), Running)
    assert switches(at.box) == [True, True]
    at.clock.advance(60)
    poll = at.backend.poll(ticket)
    assert isinstance(poll, Ended)
    assert [(r.ref, r.ok) for r in poll.results] == [((gpu, 'mig'), True)]
    assert [(w.item, w.value) for w in at.box.ledger.writes[1:]] == [
        ('GPU1/enabled', 'False'), ('GPU1/enabled', 'True')]
    after = at.backend.observe()
    assert lookup.mode_at(after, gpu, 'mig').current == 'enabled'
    assert after.halfway == ()


def test_enabled_in_the_settings_object_is_written_with_immediate_apply_time(
        tmp_path: Path) -> None:
    path = box_with(tmp_path, 'enabled-settings')
    with machines.machine(path, tmp_path) as at:
        out = at.run(PROFILE)
        assert isinstance(out, outcome.Converged), out
        assert at.box.ledger.resets == []
        assert switches(at.box) == [True, True]
        written = [r.path for r in at.box.ledger.requests
                   if r.method == 'PATCH']
        assert written[2:] == [f'/redfish/v1/Systems/1/Processors/GPU{n}'
                               '/Settings' for n in (1, 2, 1, 2)]
        assert [w.item for w in at.box.ledger.writes].count(
            'GPU1/enabled') == 2


def test_enabled_that_changes_at_a_host_reset_is_not_used(
        rig: Start, tmp_path: Path) -> None:
    at = rig(box_with(tmp_path, 'enabled-later'))
    inventory = at.backend.observe()
    transport, = at.backend.transports(inventory)
    assert not set(plans.gpus(inventory)) & set(transport.resets)
    with pytest.raises(Rejected, match='offers no reset of'):
        at.backend.start(reset(first(inventory)))
    assert sent(at) == []


def test_a_settings_object_is_read_before_enabled_is_written(
        rig: Start, tmp_path: Path) -> None:
    """It is read when the device is reset: nothing is written then."""
    at = rig(box_with(tmp_path, 'enabled-later'))
    gpu = first(at.backend.observe())
    at.box.faults.add('status', '503', 'GPU1/Settings', 'GET', count=1)
    inventory = at.backend.observe()
    transport, = at.backend.transports(inventory)
    assert gpu in transport.resets
    ticket = at.backend.start(reset(gpu))
    poll = at.backend.poll(ticket)
    assert isinstance(poll, Ended)
    bad, = poll.results
    assert bad.detail is not None
    assert 'changes at a host reset only' in bad.detail.summary
    assert sent(at) == []


def test_a_disabled_card_is_not_on_the_host_bus(
        rig: Start, tmp_path: Path) -> None:
    """The Alveo of the shipped system has the property."""
    at = rig('pcie-a100')
    inside = Inside(at.box, '1', tmp_path)
    fpga = lookup.one(at.backend.observe(), 'fpga')
    bus = inside.tree.at('/sys/bus/pci/devices')
    there = {p.name for p in bus.iterdir()}
    item = Item(fpga.id, 'shell', 'firmware', '2')
    ticket = at.backend.start(Action(
        'reset', 'redfish', (Change(item, None),), Activation.DEVICE_RESET))
    inside.sync()
    gone, = there - {p.name for p in bus.iterdir()}
    assert gone == inside.addresses['FPGA1']
    at.backend.poll(ticket)
    at.clock.advance(60)
    assert isinstance(at.backend.poll(ticket), Ended)
    assert {p.name for p in bus.iterdir()} == there
    assert lookup.one(at.backend.observe(), 'fpga') == fpga


def test_a_run_with_device_resets_needs_no_host_reset(tmp_path: Path) -> None:
    with machines.machine(box_with(tmp_path, 'enabled'), tmp_path) as at:
        out = at.run(PROFILE)
        assert isinstance(out, outcome.Converged), out
        assert at.box.ledger.resets == []
        assert switches(at.box) == [True, True]
        assert [w.item for w in at.box.ledger.writes].count(
            'GPU1/enabled') == 2


@pytest.mark.parametrize('skip', [0, 1, 2, 3])
def test_a_device_reset_with_a_lost_connection_is_completed(
        tmp_path: Path, skip: int) -> None:
    """The connection is lost during the first or second write of either."""
    with machines.machine(box_with(tmp_path, 'enabled'), tmp_path) as at:
        # Two PATCHes for MIG itself, then two for each device.
        at.box.faults.add('drop', None, 'Processors/', 'PATCH', count=1,
                          skip=2 + skip)
        out = at.run(PROFILE)
        assert isinstance(out, outcome.Converged), out
        assert at.box.ledger.resets == []
        assert switches(at.box) == [True, True]


def test_a_new_process_enables_a_device_that_was_left_disabled(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with machines.machine(box_with(tmp_path, 'enabled'), tmp_path) as at:
        start = type(at.backend).start

        def dies(backend: object, action: Action, *more: object) -> object:
            ticket = start(at.backend, action, *more)  # type: ignore[arg-type]
            if action.verb == 'reset':
                raise KeyboardInterrupt
            return ticket

        with monkeypatch.context() as patch:
            patch.setattr(type(at.backend), 'start', dies)
            with pytest.raises(KeyboardInterrupt):
                at.run(PROFILE)
        assert switches(at.box) == [False, False]
        saved = json.loads(at.journal.saved[-1])
        assert (saved['intent']['verb'], saved['intent']['ticket']) == (
            'reset', None)
        out = at.run(PROFILE)
        assert isinstance(out, outcome.Converged), out
        assert at.box.ledger.resets == []
        assert [w.value for w in at.box.ledger.writes
                if w.item == 'GPU1/enabled'] == ['False', 'True']


def test_a_device_disabled_by_another_client_stays_disabled(
        rig: Start, tmp_path: Path) -> None:
    at = rig(box_with(tmp_path, 'enabled'))
    at.box.switch(at.box.devices['GPU1'], False)
    inventory = at.backend.observe()
    gpu, other = plans.gpus(inventory)
    left, = inventory.halfway
    assert (left.kind, left.targets) == ('disabled', ((gpu, 'enabled'),))
    assert inventory.busy == ()
    transport, = at.backend.transports(inventory)
    assert gpu not in transport.resets
    assert other in transport.resets
    assert sent(at) == []


def test_a_rejected_write_of_enabled_leads_to_a_stronger_reset(
        tmp_path: Path) -> None:
    """It counts as a reset without effect: the next stronger one follows."""
    with machines.machine(box_with(tmp_path, 'enabled'), tmp_path) as at:
        at.box.faults.add('status', '405', 'Processors/', 'PATCH', skip=2)
        out = at.run(PROFILE.replace('device-reset', 'warm-reboot'))
        assert isinstance(out, outcome.Converged), out
        assert [r.kind for r in at.box.ledger.resets] == ['ForceRestart']


def test_enabled_is_restored_if_the_device_is_never_disabled(
        rig: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service may apply the value at the next boot."""
    at = rig(box_with(tmp_path, 'enabled'))
    gpu = first(at.backend.observe())
    at.box.faults.add('silent-noop', None, 'GPU1/enabled')
    ticket = dict(at.backend.start(reset(gpu)))
    assert isinstance(at.backend.poll(ticket), Running)
    at.clock.advance(31)
    poll = at.backend.poll(ticket)
    assert isinstance(poll, Ended)
    bad, = poll.results
    assert not bad.ok
    assert bad.detail is not None
    assert 'did not report Enabled false' in bad.detail.summary
    assert [w.value for w in at.box.ledger.writes] == ['False', 'True']


def test_the_list_of_writable_properties_is_respected(
        rig: Start, tmp_path: Path) -> None:
    at = rig(box_with(tmp_path, 'enabled'))
    doc = lookup.document(at.box, GPU)
    at.box.documents.put(GPU, {
        **doc, '@Redfish.WriteableProperties': ['AssetTag']})
    inventory = at.backend.observe()
    mine, other = plans.gpus(inventory)
    transport, = at.backend.transports(inventory)
    assert (mine in transport.resets, other in transport.resets) == (
        False,
        True,
    )


def test_a_card_is_reset_by_the_power_of_its_own_chassis(
        tmp_path: Path) -> None:
    with machines.machine(box_with(tmp_path, 'card'), tmp_path) as at:
        out = at.run(PROFILE)
        assert isinstance(out, outcome.Converged), out
        assert at.box.ledger.resets == []
        posts = [r.path for r in at.box.ledger.requests
                 if r.method == 'POST']
        assert posts == [
            f'/redfish/v1/Chassis/GPU{n}/Actions/Chassis.Reset'
            for n in (1, 2)]


@pytest.mark.parametrize(('pointer', 'value'), [
    ('ChassisType', 'Module'), ('ChassisType', None),
    ('Processors', [GPU, f'{GPU}0']),
    ('ComputerSystems', ['/redfish/v1/Systems/1']),
    ('Contains', ['/redfish/v1/Chassis/1']),
    ('ResetType@Redfish.AllowableValues', ['ForceOff', 'On']),
    ('ResetType@Redfish.AllowableValues', None)])
def test_a_chassis_with_other_contents_is_not_power_cycled(
        rig: Start, tmp_path: Path, pointer: str, value: object) -> None:
    at = rig(box_with(tmp_path, 'card'))
    path = '/redfish/v1/Chassis/GPU1'
    doc = lookup.document(at.box, path)
    if pointer == 'ChassisType':
        doc[pointer] = value
    elif pointer.startswith('ResetType'):
        doc['Actions']['#Chassis.Reset'][pointer] = value
    else:
        assert isinstance(value, list)
        doc['Links'][pointer] = [{'@odata.id': v} for v in value]
    at.box.documents.put(path, doc)
    inventory = at.backend.observe()
    transport, = at.backend.transports(inventory)
    assert [g in transport.resets for g in plans.gpus(inventory)] == [
        False, True]


def test_a_device_without_any_reset_method_is_not_reset(
        rig: Start, tmp_path: Path) -> None:
    at = rig(box_with(tmp_path, 'none'))
    inventory = at.backend.observe()
    transport, = at.backend.transports(inventory)
    assert not set(plans.gpus(inventory)) & set(transport.resets)
    with pytest.raises(Rejected, match='offers no reset of'):
        at.backend.start(reset(first(inventory)))
    assert sent(at) == []
