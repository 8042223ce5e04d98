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

"""The interface type ``accelerator``, which Ironic may have.

Ironic without it ignores ours; here it is put onto the driver of a task, as an
Ironic with the type does. ``tests/upstream`` has the whole of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

from ironic.common import driver_factory
from ironic.common import exception
from ironic.common import states
from ironic.drivers import base
from ironic.drivers.modules.redfish import vendor as redfish_vendor
import pytest

from ironic_accel.conductor.config import declared_steps
from ironic_accel.conductor.drivers import hardware
from ironic_accel.conductor.drivers import steps
from ironic_accel.conductor.drivers import vendor
from ironic_accel.conductor.node import db_retry
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.upkeep import periodics
from ironic_accel.model import step_templates
from tests.unit.conductor.operation import test_runner
from tests.unit.conductor.ramdisk import STEP
from tests.unit.conductor.stage import Stage

stage = test_runner.stage
Make = Callable[..., Any]
KINDS = ('clean', 'deploy', 'service', 'verify')


def with_type(task: Any) -> Any:
    """A task whose node has our accelerator interface, too."""
    task.driver.accelerator = vendor.AccelRedfishAccelerator()
    return task


def listed(interface: Any, task: Any, kind: str) -> list[dict[str, Any]]:
    """The steps of an interface, as Ironic asks for them."""
    return list(getattr(interface, f'get_{kind}_steps')(task))


@pytest.mark.parametrize('kind', KINDS)
def test_each_step_is_listed_once(make_node: Make, acquire: Make, kind: str
                                  ) -> None:
    task = acquire(make_node(), shared=True)
    before = listed(task.driver.vendor, task, kind)
    assert before
    assert {s['interface'] for s in before} == {'vendor'}
    with_type(task)
    assert listed(task.driver.vendor, task, kind) == []
    assert listed(task.driver.accelerator, task, kind) == [
        {**s, 'interface': 'accelerator'} for s in before]


def test_profiles_are_listed_with_the_interface_that_has_the_steps(
        make_node: Make, acquire: Make) -> None:
    """The commands write it into deploy templates and runbooks."""
    assert set(step_templates.INTERFACES) == set(declared_steps.TYPES)
    task = acquire(make_node(), shared=True)
    for name in step_templates.INTERFACES:
        told = task.driver.vendor.accel_profiles(task, http_method='GET')
        assert told['interface'] == name
        with_type(task)


def test_the_vendor_interface_keeps_the_steps_of_ironic(
        make_node: Make, acquire: Make) -> None:
    task = with_type(acquire(make_node(), shared=True))
    # Without its constructor, which runs ipmitool.
    task.driver.vendor = vendor.IpmiAccelerator.__new__(
        vendor.IpmiAccelerator)
    assert [s['step'] for s in listed(task.driver.vendor, task, 'clean')] == [
        'send_raw']
    assert 'send_raw' not in {
        s['step'] for s in listed(task.driver.accelerator, task, 'clean')}


def test_another_accelerator_interface_takes_no_step_away(
        make_node: Make, acquire: Make) -> None:
    task = acquire(make_node(), shared=True)
    before = listed(task.driver.vendor, task, 'clean')
    task.driver.accelerator = mock.Mock()
    assert listed(task.driver.vendor, task, 'clean') == before


@pytest.mark.parametrize('kind', ['clean', 'deploy', 'service'])
def test_the_step_of_the_agent_moves_and_comes_back(
        make_node: Make, acquire: Make, kind: str) -> None:
    """Every ramdisk declares it for the vendor interface."""
    key = f'agent_cached_{kind}_steps'
    ours = {'step': STEP, 'interface': 'vendor', 'priority': 0}
    other = {'step': 'upgrade_something', 'interface': 'vendor',
             'priority': 0}
    deploy = [{'step': 'erase_devices', 'interface': 'deploy', 'priority': 0}]
    task = acquire(make_node(driver_internal_info={key: {
        'vendor': [ours, other], 'deploy': deploy}}), shared=True)
    plain = task.driver.accelerator if hasattr(
        task.driver, 'accelerator') else None
    with_type(task)
    for _ in range(2):
        for name in declared_steps.TYPES:
            listed(getattr(task.driver, name), task, kind)
        assert task.node.driver_internal_info[key] == {
            'vendor': [other], 'deploy': deploy, 'accelerator': [
                {**ours, 'interface': 'accelerator',
                 'argsinfo': steps.APPLY}]}
    if kind != 'service':
        assert STEP in {s['step'] for s in listed(
            task.driver.accelerator, task, kind)}
        assert 'upgrade_something' in {s['step'] for s in listed(
            task.driver.vendor, task, kind)}
    task.driver.accelerator = plain
    listed(task.driver.vendor, task, kind)
    cached = task.node.driver_internal_info[key]
    assert cached['accelerator'] == []
    assert {**ours, 'argsinfo': steps.APPLY} in cached['vendor']


def stored(stage: Stage, of: str) -> tuple[dict[str, Any], set[str]]:
    """Result and traits after a run begun through one of both interfaces."""
    node = stage.make_node(provision_state=states.CLEANING,
                           target_provision_state=states.MANAGEABLE)
    stage.node = node
    task = with_type(stage.acquire(node))
    told = getattr(task.driver, of).execute_clean_step(
        task, {'step': 'apply_profile', 'interface': of,
               'args': {'profile': 'h100-new'}})
    assert told == states.CLEANWAIT
    node = task.node
    node.provision_state = told
    node.clean_step = {'step': 'apply_profile', 'interface': of}
    node.save()
    task.release_resources()
    stage.node.refresh()
    current = operation.load(stage.node)
    assert current is not None
    assert operation.is_current(stage.node, current)
    result = stage.run()
    return result, stage.traits


def test_a_run_stores_the_same_through_either(stage: Stage) -> None:
    result, traits = stored(stage, 'accelerator')
    assert result['outcome'] == 'converged'
    assert (result['writes'], result['resets']) == (3, 1)
    assert 'CUSTOM_ACCEL_IS_H100_NEW' in traits
    keys = set(stage.info)
    again, same = stored(stage, 'vendor')
    assert again.keys() == result.keys()
    assert {'CUSTOM_ACCEL_IS_H100_NEW'} <= same
    assert {k for k in stage.info if k.startswith('accel')} == {
        k for k in keys if k.startswith('accel')}


def test_a_request_for_either_is_one_for_our_step() -> None:
    for name in ('vendor', 'accelerator'):
        found = declared_steps.get(
            {'interface': name, 'step': 'apply_profile'})
        assert found is not None
        assert found.name == 'apply_profile'


def test_workers_go_to_nodes_that_have_ours_in_either(
        make_node: Make, acquire: Make, context: Any) -> None:
    """The vendor interface may be one of Ironic's."""
    node = make_node()

    def visit() -> Any:
        return db_retry.visit(
            context, node.uuid, 'testing', lambda task: 'there',
            interface=periodics.Periodics, shared=True)

    made = driver_factory.build_driver_for_task

    def build(task: Any) -> Any:
        driver = made(task)
        driver.vendor = redfish_vendor.RedfishVendorPassthru()
        driver.accelerator = here
        return driver

    with mock.patch.object(driver_factory, 'build_driver_for_task',
                           autospec=True, side_effect=build):
        here: Any = None
        assert visit() is None
        here = vendor.AccelRedfishAccelerator()
        assert visit() == 'there'


def test_one_interface_of_both_types_runs_the_periodics() -> None:
    enabled: dict[str, dict[str, Any]] = {
        'vendor': {
            'accelerator': vendor.RedfishAccelerator(),
            'accelerator-idrac': vendor.IdracAccelerator()},
        'accelerator': {
            'no-accelerator': mock.Mock(),
            'accel-redfish': vendor.AccelRedfishAccelerator(),
            'accel-idrac': vendor.AccelIdracAccelerator()}}
    with mock.patch.object(
            driver_factory, 'interfaces', autospec=True,
            side_effect=lambda name: enabled[name]), mock.patch.object(
            base, 'ALL_INTERFACES', base.ALL_INTERFACES | {'accelerator'}):
        leading = [name for kind in enabled.values()
                   for name, one in kind.items() if periodics.leads(one)]
        assert leading == ['accel-idrac']
        enabled['accelerator'] = {'no-accelerator': mock.Mock()}
        assert [name for kind in enabled.values()
                for name, one in kind.items() if periodics.leads(one)] == [
            'accelerator']


def test_the_plan_names_the_interface_that_has_the_step(
        stage: Stage) -> None:
    stage.begin(profile='h100-new')
    stage.run()
    task = stage.acquire(stage.node, shared=True)
    assert task.driver.vendor.accel_plan(
        task, profile='h100-new')['interface'] == 'vendor'
    with_type(task)
    assert task.driver.vendor.accel_plan(
        task, profile='h100-new')['interface'] == 'accelerator'


@pytest.mark.parametrize('mine, ours', [
    (hardware.AccelRedfishHardware, vendor.AccelRedfishAccelerator),
    (hardware.AccelIdracHardware, vendor.AccelIdracAccelerator),
    (hardware.AccelIpmiHardware, vendor.AccelIpmiAccelerator)])
def test_ours_is_never_the_default(mine: Any, ours: type) -> None:
    """Enabling it changes no node."""
    *first, last = mine().supported_accelerator_interfaces
    assert last is ours
    assert [one.__name__ for one in first] == (
        ['NoAccelerator'] if 'accelerator' in base.ALL_INTERFACES else [])


def test_it_checks_what_the_node_has_for_the_bmc(
        make_node: Make, acquire: Make) -> None:
    task = with_type(acquire(make_node(), shared=True))
    task.driver.accelerator.validate(task)
    assert set(task.driver.accelerator.get_properties()) == {
        'accel_baseline', 'accel_accept_unread'}
    task.node.driver_info = {**task.node.driver_info,
                             'accel_accept_unread': 'everything'}
    with pytest.raises(exception.InvalidParameterValue):
        task.driver.accelerator.validate(task)
