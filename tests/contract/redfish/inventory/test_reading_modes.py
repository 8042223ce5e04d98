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

import dataclasses
from typing import Any

import pytest

from ironic_accel.model import carry_over
from ironic_accel.model import catalog
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Mode
from ironic_accel.model.identity import Source
from ironic_accel.model.plan import Plan
from ironic_accel.model import planner
from ironic_accel.model.profile import Group
from ironic_accel.model.profile import Profile
from ironic_accel.model import stages
from ironic_accel.model import unite
from tests.contract.redfish.conftest import Rig
from tests.contract.redfish.conftest import Start

ROOT = '/redfish/v1'
GPU = f'{ROOT}/Systems/HGX_Baseboard_0/Processors/GPU_SXM_1'
DPU = f'{ROOT}/Systems/Bluefield'
LIMIT = {'AllowableMax': 700, 'AllowableMin': 200,
         'ControlMode': 'Automatic', 'DefaultSetPoint': 700,
         'Reading': 80.68, 'SetPoint': 650}


def _plan(at: Rig, seen: Inventory, device: Device, **modes: Any) -> Plan:
    profile = Profile('p', (Group('g', {
        'kind': (device.kind,)}, modes={
            n.replace('_', '-'): v for n, v in modes.items()}),))
    return planner.make_plan(seen, profile, (), at.backend.transports(seen),
                             catalog.load())


def test_limit_of_a_bmc_is_not_that_of_the_driver(rig: Start) -> None:
    """The driver has a limit of its own, and takes this one into account."""
    at = rig('hgx-h100')
    found = at.box.documents.see(f'{GPU}/EnvironmentMetrics')
    assert found is not None
    found['PowerLimitWatts'] = LIMIT
    seen = at.backend.observe()
    gpu = next(d for d in seen.devices if d.uri == GPU)
    assert gpu.mode('power-limit') is None
    (refused,) = [r for r in _plan(at, seen, gpu, power_limit=650).refused
                  if r.item.device == gpu.id]
    assert 'the BMC does not report this mode; try in band' in refused.reason


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
    assert (mode.current, mode.pending, mode.uri) == (
        *values, f'{DPU}/SecureBoot')
    assert (mode.activation, mode.persistent) == (None, True)
    (transport,) = at.backend.transports(seen)
    assert (dpu.id, 'secure-boot') not in transport.sets
    other = 'disabled' if current == 'Enabled' else 'enabled'
    refused = [r.reason for r in _plan(
        at, seen, dpu, secure_boot=other).refused]
    if values[1] is None:
        assert len(refused) == 1 and 'boot twice' in refused[0]
        (proof,) = _plan(at, seen, dpu, secure_boot=values[0]).satisfied
        assert proof.persistent
    others = stages.by_others(seen, (), (), Activation.WARM_REBOOT)
    assert [one.summary for one in others] == (
        [] if values[1] is None else [
            f'secure-boot {values[1]} of {dpu.id}, active after an unknown '
            'reset'])
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
    assert (mode.current, mode.uri) == (value, f'{DPU}/Bios')
    (refusal,) = _plan(at, seen, dpu, host_privilege=(
        'restricted' if value == 'privileged' else 'privileged')).refused
    if value:
        assert 'mlxprivhost on the Arm side' in refusal.reason


def test_mode_that_only_a_bmc_reads_is_not_one_of_the_host(rig: Start) -> None:
    """A plan out of band has it, and nothing of it is kept that is gone."""
    at = rig('bluefield-3', 'Bluefield')
    seen, dpu = _dpu(at, SecureBoot={
        '@odata.type': '#SecureBoot.v1_1_0.SecureBoot',
        'SecureBootCurrentBoot': 'Enabled', 'SecureBootEnable': True})
    inside = dataclasses.replace(
        seen, seen_via=('agent',), devices=(dataclasses.replace(
            dpu, uri=None, components=(), modes=(Mode('sriov', 'enabled'),)),))
    both = unite.inventory((Source(seen, stable=True),
                            Source(inside, stable=True)))
    alone = carry_over.seen_outside(both).device(dpu.id)
    assert alone is not None
    assert alone.mode('secure-boot') is not None
    assert alone.mode('sriov') is None
    at.box.documents.see(DPU).pop('SecureBoot')  # type: ignore[union-attr]
    later = carry_over.carried(at.backend.observe(), both, True)
    found = later.device(dpu.id)
    assert found is not None and found.mode('secure-boot') is None
    by_agent = carry_over.carried(inside, both, True).device(dpu.id)
    assert by_agent is not None
    assert by_agent.mode('secure-boot') is not None
