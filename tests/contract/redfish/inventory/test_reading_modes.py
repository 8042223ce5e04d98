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

"""Modes that a BMC reports and that are not set over Redfish.

Sources: the recorded GB300 (EnvironmentMetrics of its GPUs), NVIDIA BlueField
BMC Software documentation (SecureBoot, BIOS attributes; BSP 4.8 writes them
with blanks).
"""

from __future__ import annotations

from typing import Any

import pytest

from ironic_accel.model import catalog
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.plan import Plan
from ironic_accel.model import planner
from ironic_accel.model.profile import Group
from ironic_accel.model.profile import Profile
from tests.contract.redfish.conftest import Rig
from tests.contract.redfish.conftest import Start

ROOT = '/redfish/v1'
GPU = f'{ROOT}/Systems/HGX_Baseboard_0/Processors/GPU_SXM_1'
DPU = f'{ROOT}/Systems/Bluefield'
LIMIT = {'AllowableMax': 700, 'AllowableMin': 200,
         'ControlMode': 'Automatic', 'DefaultSetPoint': 700,
         'Reading': 80.68, 'SetPoint': 650}


def _gpu(at: Rig, **limit: Any) -> tuple[Inventory, Device]:
    found = at.box.documents.see(f'{GPU}/EnvironmentMetrics')
    assert found is not None
    found['PowerLimitWatts'] = {**LIMIT, **limit}
    seen = at.backend.observe()
    return seen, next(d for d in seen.devices if d.uri == GPU)


def _plan(at: Rig, seen: Inventory, device: Device, **modes: Any) -> Plan:
    profile = Profile('p', (Group('g', {
        'kind': (device.kind,)}, modes={
            n.replace('_', '-'): v for n, v in modes.items()}),))
    return planner.make_plan(seen, profile, (), at.backend.transports(seen),
                             catalog.load())


def test_power_limit_is_reported_with_its_range_and_not_written(
        rig: Start) -> None:
    at = rig('hgx-h100')
    before = at.backend.observe().requests
    seen, gpu = _gpu(at)
    mode = gpu.mode('power-limit')
    assert mode is not None
    assert (mode.current, mode.minimum, mode.maximum, mode.uri) == (
        650, 200, 700, None)
    assert (mode.activation, mode.persistent) == ('none', False)
    # It is read with the Processors, by no request of its own.
    assert seen.requests <= before
    refused = [r for r in _plan(at, seen, gpu, power_limit=500).refused
               if r.item.device == gpu.id]
    assert ['no transport can set it' in r.reason for r in refused] == [True]
    assert not [r for r in _plan(at, seen, gpu, power_limit=650).refused
                if r.item.device == gpu.id]


@pytest.mark.parametrize(('limit', 'current', 'unread'), [
    ({'SetPoint': 650.0}, 650, False), ({'SetPoint': None}, None, False),
    ({'SetPoint': 650.5}, None, True), ({'SetPoint': 'high'}, None, True)])
def test_limit_that_is_no_whole_number_is_unread(
        rig: Start, limit: dict[str, Any], current: int | None,
        unread: bool) -> None:
    _, gpu = _gpu(rig('hgx-h100'), **limit)
    mode = gpu.mode('power-limit')
    assert mode is not None and mode.current == current
    assert ('mode:power-limit' in gpu.unread) is unread


def test_limit_that_is_not_in_force_is_none(rig: Start) -> None:
    _, gpu = _gpu(rig('hgx-h100'), ControlMode='Disabled')
    assert gpu.mode('power-limit') is None


def _dpu(at: Rig, **resources: dict[str, Any]) -> tuple[Inventory, Device]:
    """A BlueField's own System with further resources."""
    system = at.box.documents.see(DPU)
    assert system is not None
    for name, content in resources.items():
        system[name] = {'@odata.id': f'{DPU}/{name}'}
        at.box.documents.put(f'{DPU}/{name}', {
            '@odata.id': f'{DPU}/{name}', 'Id': name, 'Name': name,
            **content})
    seen = at.backend.observe()
    return seen, next(d for d in seen.devices if d.kind == 'dpu')


@pytest.mark.parametrize(('current', 'enable', 'values'), [
    ('Disabled', False, ('disabled', None)),
    ('Disabled', True, ('disabled', 'enabled')),
    ('Enabled', True, ('enabled', None)),
    ('Enabled', False, ('enabled', 'disabled'))])
def test_secure_boot_of_a_dpu_is_what_its_last_boot_had(
        rig: Start, current: str, enable: bool,
        values: tuple[str, str | None]) -> None:
    at = rig('bluefield-3', 'Bluefield')
    seen, dpu = _dpu(at, SecureBoot={
        '@odata.type': '#SecureBoot.v1_1_0.SecureBoot',
        'SecureBootCurrentBoot': current, 'SecureBootEnable': enable,
        'SecureBootMode': 'SetupMode'})
    mode = dpu.mode('secure-boot')
    assert mode is not None
    assert (mode.current, mode.pending, mode.uri) == (*values, None)
    assert (mode.activation, mode.persistent) == (None, True)
    other = 'disabled' if current == 'Enabled' else 'enabled'
    refused = [r.reason for r in _plan(
        at, seen, dpu, secure_boot=other).refused]
    if values[1] is None:
        assert len(refused) == 1 and 'boot twice' in refused[0]
        (proof,) = _plan(at, seen, dpu, secure_boot=values[0]).satisfied
        assert proof.persistent
    assert not [r for r in at.box.ledger.requests
                if r.method in ('PATCH', 'POST')]


@pytest.mark.parametrize('name', [
    'HostPrivilegeLevel', 'Host Privilege Level'])
@pytest.mark.parametrize(('word', 'value'), [
    ('Privileged', 'privileged'), ('Restricted', 'restricted'),
    ('', None), ('Unavailable', None)])
def test_host_privilege_of_a_dpu_is_read_and_never_set(
        rig: Start, name: str, word: str, value: str | None) -> None:
    at = rig('bluefield-3', 'Bluefield')
    seen, dpu = _dpu(at, Bios={'@odata.type': '#Bios.v1_2_0.Bios',
                               'Attributes': {name: word}})
    mode = dpu.mode('host-privilege')
    assert mode is not None
    assert (mode.current, mode.uri) == (value, None)
    (refusal,) = _plan(at, seen, dpu, host_privilege=(
        'restricted' if value == 'privileged' else 'privileged')).refused
    if value:
        assert 'mlxprivhost on the Arm side' in refusal.reason
