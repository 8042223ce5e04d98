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
"""What an inventory of a run reuses, and what it reads again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ironic_accel.converge import outcome
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Inventory
from ironic_accel_emulator.bmc import control
from ironic_accel_emulator import parts
from tests.contract.machine import Machine
from tests.contract.machine import machine
from tests.contract.redfish import plans

ECC = """
profile: 1
name: ecc
devices:
  gpus:
    match: {kind: gpu}
    count: 8
    modes: {ecc: disabled}
"""
#: The requests of the whole run, as ``bench/apply.py`` counts them.
MOST = 60
GPU = '/redfish/v1/Systems/HGX_Baseboard_0/Processors/GPU_SXM_1'
#: The request that reads all hardware: the response has the PCIeDevices and
#: the memory of the processors too.
HARDWARE = {GPU.rpartition('/')[0]}


@pytest.fixture
def hgx(tmp_path: Path) -> Iterator[Machine]:
    """An HGX H100 whose BMC this process has never read."""
    with machine('hgx-h100', tmp_path) as made:
        yield made


def set_ecc(at: Machine, activation: Activation = Activation.WARM_REBOOT
            ) -> None:
    """Read the inventory and disable ECC."""
    gpus = plans.gpus(at.backend.observe())
    at.backend.start(plans.set_mode(
        dict.fromkeys(gpus, 'disabled'), 'ecc', activation))


def observed(at: Machine) -> tuple[Inventory, list[str]]:
    """An inventory, and the paths that it has read."""
    before = len(at.box.ledger.requests)
    inventory = at.backend.observe()
    return inventory, [r.path for r in at.box.ledger.requests[before:]]


def test_whole_run_takes_few_requests(hgx: Machine) -> None:
    out = hgx.run(ECC)
    assert isinstance(out, outcome.Converged)
    assert len(out.proofs) == 8
    assert len(hgx.box.ledger.requests) <= MOST


def test_hardware_is_not_read_again_between_a_write_and_its_reset(
        hgx: Machine) -> None:
    set_ecc(hgx)
    inventory, read = observed(hgx)
    assert not [p for p in read if 'PCIeDevices' in p or 'Memory' in p]
    # What shows whether the BMC is idle is.
    for name in ('Systems', 'Chassis', 'TaskService', 'Managers',
                 'UpdateService'):
        assert f'/redfish/v1/{name}' in read
    assert all(d.link for d in inventory.devices if d.kind == 'gpu')
    # The next one reads everything.
    assert set(observed(hgx)[1]) >= HARDWARE


def test_hardware_that_was_reused_gives_way_to_a_newer_reading(
        hgx: Machine) -> None:
    set_ecc(hgx)
    hgx.box.faults.add(
        'says', '/Status/Health:"Critical"',
        '/redfish/v1/Chassis/HGX_GPU_SXM_1/PCIeDevices/GPU_SXM_1')
    inventory, read = observed(hgx)
    # It came with the values, which are read again.
    assert set(read) >= HARDWARE
    assert {d.health for d in inventory.devices if d.uri == GPU} == {
        'Critical'}


def test_update_that_began_meanwhile_is_seen(hgx: Machine) -> None:
    set_ecc(hgx)
    control.start_foreign_task(hgx.box, 600)
    assert observed(hgx)[0].busy


def test_values_from_before_the_write_are_not_reused(hgx: Machine) -> None:
    """No poll has read them since."""
    set_ecc(hgx)
    inventory, read = observed(hgx)
    assert GPU.rpartition('/')[0] in read
    assert {m.pending for d in inventory.devices if d.kind == 'gpu'
            for m in d.modes if m.name == 'ecc'} == {'disabled'}


@pytest.mark.parametrize('status', ['400', '500'])
def test_values_are_read_again_where_a_write_was_rejected(
        hgx: Machine, status: str) -> None:
    gpus = plans.gpus(hgx.backend.observe())
    hgx.box.faults.add('status', status, '/Settings', 'PATCH', skip=1)
    hgx.backend.start(plans.set_mode(
        dict.fromkeys(gpus, 'disabled'), 'ecc', Activation.WARM_REBOOT))
    inventory, _ = observed(hgx)
    assert sorted(str(m.pending) for d in inventory.devices
                  if d.kind == 'gpu' for m in d.modes if m.name == 'ecc') == (
        ['None'] * 7 + ['disabled'])


def test_values_that_are_older_than_a_moment_are_read_again(
        hgx: Machine) -> None:
    gpus = plans.gpus(hgx.backend.observe())
    for pause, again in ((1, False), (11, True)):
        ticket = hgx.backend.start(plans.set_mode(
            dict.fromkeys(gpus, 'disabled'), 'ecc', Activation.WARM_REBOOT))
        hgx.backend.poll(ticket)
        hgx.clock.advance(pause)
        read = observed(hgx)[1]
        assert (GPU.rpartition('/')[0] in read) is again
        assert not [p for p in read if 'PCIeDevices' in p]
        hgx.backend.observe()
    set_ecc(hgx)
    hgx.clock.advance(121)
    assert set(observed(hgx)[1]) >= HARDWARE


def test_host_that_restarted_meanwhile_is_read_again(hgx: Machine) -> None:
    set_ecc(hgx)
    hgx.power('ForceRestart')
    inventory, read = observed(hgx)
    assert GPU.rpartition('/')[0] in read
    hgx.clock.advance(120)
    inventory, read = observed(hgx)
    assert set(read) >= HARDWARE
    assert inventory.complete


def test_host_that_went_off_meanwhile_is_seen(hgx: Machine) -> None:
    set_ecc(hgx)
    hgx.power('ForceOff')
    inventory, _ = observed(hgx)
    assert inventory.host == 'off'
    assert not inventory.complete


@pytest.mark.parametrize('activation', [
    Activation.NONE, Activation.DEVICE_RESET])
def test_mode_without_a_host_reset_is_proved_by_a_whole_inventory(
        hgx: Machine, activation: Activation) -> None:
    set_ecc(hgx, activation)
    assert set(observed(hgx)[1]) >= HARDWARE


def test_mode_that_is_active_at_once_is_proved_by_a_whole_inventory(
        hgx: Machine) -> None:
    """The catalogue expects a reset; the BMC needs none."""
    for mode in hgx.box.modes.values():
        if mode.name == 'ecc':
            mode.activation = parts.Activation.NONE
    out = hgx.run(ECC)
    assert isinstance(out, outcome.Converged)
    assert hgx.box.ledger.resets == []
    paths = [r.path for r in hgx.box.ledger.requests]
    last = max(n for n, r in enumerate(hgx.box.ledger.requests)
               if r.method == 'PATCH')
    assert set(paths[last:]) >= HARDWARE
    assert 'the values are active without a reset, verifying all' in (
        hgx.progress)


def test_gpu_that_failed_during_the_reset_is_seen(hgx: Machine) -> None:
    """What was reused before the reset proves nothing after it."""
    set_ecc(hgx)
    observed(hgx)
    hgx.power('ForceRestart')
    control.change_device(hgx.box, {'device': 'GPU_SXM_3',
                                    'health': 'Critical'})
    hgx.clock.advance(120)
    assert hgx.backend.starting() is None
    inventory, _ = observed(hgx)
    assert sorted(str(d.health) for d in inventory.devices
                  if d.kind == 'gpu') == ['Critical'] + ['OK'] * 7


def test_values_read_a_moment_ago_are_not_read_again_before_a_write(
        hgx: Machine) -> None:
    gpus = plans.gpus(hgx.backend.observe())
    for pause, reads in ((5, 0), (11, 1)):
        hgx.backend.observe()
        hgx.clock.advance(pause)
        before = len(hgx.box.ledger.requests)
        hgx.backend.start(plans.set_mode(
            {gpus[0]: 'disabled', gpus[1]: 'disabled', gpus[2]: 'disabled'},
            'ecc'))
        sent = hgx.box.ledger.requests[before:]
        assert [r.method for r in sent] == ['GET'] * reads + ['PATCH'] * 3
