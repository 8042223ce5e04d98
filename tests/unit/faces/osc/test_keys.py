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

"""What the commands and the conductor have to agree about."""

from __future__ import annotations

from oslo_service import backend as oslo_backend

# What Ironic's own commands do first; nothing else of Ironic may be imported
# before (ironic/command/__init__.py).
oslo_backend.init_backend(oslo_backend.BackendType.THREADING)

# ruff: noqa: E402
from importlib import metadata

from ironic_accel.conductor.config import declared_steps
from ironic_accel.conductor.drivers import agent_steps
from ironic_accel.conductor.drivers import passthru
from ironic_accel.conductor.status import upgrade_check
from ironic_accel.faces.osc import api
from ironic_accel.faces.osc.jobs import apply_job
from ironic_accel.faces.osc.jobs import driver_switch


def test_the_commands_use_methods_and_steps_that_exist() -> None:
    assert {
        'accel_inventory', 'accel_refresh', 'accel_plan', 'accel_profiles',
        'accel_disable', 'accel_release'} <= passthru.OURS
    assert apply_job.STEPS['redfish'] in declared_steps.names()
    assert apply_job.STEPS['agent'] == agent_steps.STEP


def test_the_commands_know_the_installed_hardware_types() -> None:
    def names(group: str) -> set[str]:
        return {p.name for p in metadata.entry_points(group=group)
                if p.value.startswith('ironic_accel.')}
    assert set(driver_switch.TYPES) == names('ironic.hardware.types')
    for ours, (_, interfaces) in driver_switch.TYPES.items():
        power, vendor = (mine for mine, _ in interfaces.values())
        assert power in names('ironic.hardware.interfaces.power')
        assert vendor in names('ironic.hardware.interfaces.vendor')
        assert vendor in api.VENDOR_INTERFACES
        assert upgrade_check.NEEDED[ours] == (power, vendor)


def test_every_command_is_registered() -> None:
    found = {p.name: p for p in metadata.entry_points(
        group='openstack.baremetal.v1')
        if p.name.startswith('baremetal_accelerator_')}
    assert {n.removeprefix('baremetal_accelerator_') for n in found} == {
        'adopt', 'apply', 'audit', 'disable', 'enable', 'evidence',
        'history', 'hold', 'list', 'plan', 'profile_explain',
        'profile_list', 'profile_show', 'profile_validate', 'progress',
        'refresh', 'release', 'report', 'runbook_create', 'show',
        'template_create', 'traits', 'unhold', 'unlock'}
    for point in found.values():
        assert point.load().__doc__
