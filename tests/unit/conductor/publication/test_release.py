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

"""A node that leaves our care, and one that a later version works on."""

from __future__ import annotations

from collections.abc import Callable
import json
import pathlib
from typing import Any
from unittest import mock

from ironic.common import exception
from ironic.common import states
from ironic.drivers.modules import inspect_utils
from ironic import objects
import pytest

from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import inventory_store
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.publication import traits
from ironic_accel.conductor.upkeep import cleanup
from ironic_accel.conductor.upkeep import periodics
from ironic_accel.model.trait_meaning import PRESENT
from ironic_accel.model.trait_meaning import TraitMeaning
from tests.unit.conductor import sample

Make = Callable[..., Any]


def furnish(task: Any) -> None:
    """Put everything on a node that we put on nodes, and others' things."""
    node = task.node
    inspect_utils.store_inspection_data(
        node, {'cpu': {'count': 2}}, {'local_gb': 1}, task.context)
    seen = sample.box()
    inventory_store.save(task, seen, (sample.transport(seen),), None, 12.5)
    inventory_store.sync_firmware(task, seen)
    objects.FirmwareComponent(task.context, node_id=node.id, component='bmc',
                              current_version='1').create()
    objects.Trait(task.context, node_id=node.id,
                  trait='CUSTOM_RACK_7').create()
    traits.change(task, {'CUSTOM_ACCEL_GPU': PRESENT,
                             'CUSTOM_ACCEL_IS_X': TraitMeaning.is_profile('x'),
                             'HW_NIC_SRIOV': PRESENT}, ())
    node.set_driver_internal_info('accel_proofs', {'x': {'devices': []}})
    node.set_driver_internal_info('agent_url', 'http://192.0.2.9')
    node.save()


def call(task: Any) -> Any:
    """Call the passthru as the conductor's manager does."""
    vendor = task.driver.vendor
    vendor.validate(task, method='accel_disable', http_method='POST')
    return vendor.accel_disable(task, http_method='POST')


def test_disable_removes_only_what_is_ours(
        make_node: Make, acquire: Make) -> None:
    task = acquire(make_node(instance_info={}))
    furnish(task)
    told = call(task)
    assert told['traits'] == ['CUSTOM_ACCEL_GPU', 'CUSTOM_ACCEL_IS_X',
                              'HW_NIC_SRIOV']
    assert (told['kept_traits'], told['firmware']) == ([], 2)
    node = objects.Node.get_by_id(task.context, task.node.id)
    assert node.traits.get_trait_names() == ['CUSTOM_RACK_7']
    assert node.driver_internal_info == {'agent_url': 'http://192.0.2.9'}
    assert [r.component for r in objects.FirmwareComponentList
            .get_by_node_id(task.context, node.id)] == ['bmc']
    data = inspect_utils.get_inspection_data(task.node, task.context)
    assert data['inventory'] == {'cpu': {'count': 2}}
    assert data['plugin_data'] == {'local_gb': 1}
    # Twice changes nothing.
    assert call(task) == {'traits': [], 'kept_traits': [], 'firmware': 0,
                          'keys': []}


def test_a_trait_that_the_instance_names_stays(
        make_node: Make, acquire: Make) -> None:
    task = acquire(make_node(
        provision_state=states.ACTIVE,
        instance_info={'traits': ['CUSTOM_ACCEL_IS_X']}))
    furnish(task)
    told = call(task)
    assert told['kept_traits'] == ['CUSTOM_ACCEL_IS_X']
    assert traits.of(task) == {'CUSTOM_ACCEL_IS_X', 'CUSTOM_RACK_7'}


def test_disable_is_refused_during_an_operation(
        make_node: Make, acquire: Make) -> None:
    task = acquire(make_node())
    furnish(task)
    flash_guard.put(task.node, 'gpu-0', clock.now(), 600)
    with pytest.raises(exception.InvalidState, match='update in progress'):
        call(task)
    flash_guard.drop(task.node)
    operation.store(task.node, operation.Operation(
        kind='idle', step='accel_refresh', work='look',
        state=task.node.provision_state))
    with pytest.raises(exception.InvalidState, match='is in progress'):
        call(task)
    assert 'CUSTOM_ACCEL_GPU' in traits.of(task)


def later(task: Any) -> dict[str, Any]:
    """What a later version may have left on a node, with a step due."""
    node = task.node
    node.set_driver_internal_info(keys.RECORD.name, {
        'schema': 'record/9', 'what': 'nobody knows'})
    operation.store(node, operation.Operation(
        kind='idle', step='accel_refresh', work='look', due=1.0,
        state=node.provision_state))
    node.save()
    return dict(node.driver_internal_info)


def test_node_of_a_later_version_is_not_changed(
        make_node: Make, acquire: Make) -> None:
    task = acquire(make_node())
    furnish(task)
    left = later(task)
    node = task.node
    assert not periodics.due(node)
    # Not even where it looks like a leftover.
    node.provision_state = states.CLEANFAIL
    node.clean_step = {'interface': 'vendor', 'step': 'apply_profile'}
    assert not cleanup.wanted(node)
    node.provision_state = states.MANAGEABLE
    vendor = task.driver.vendor
    for method in ('accel_refresh', 'accel_disable', 'accel_release'):
        node.del_driver_internal_info(keys.OPERATION.name)
        with pytest.raises(exception.InvalidState,
                           match=r'record/9.*later version'):
            vendor.validate(task, method=method, http_method='POST')
        node.set_driver_internal_info(keys.OPERATION.name,
                                      left[keys.OPERATION.name])
    assert node.driver_internal_info == left


def test_operation_of_a_later_version_is_left_alone(
        make_node: Make, acquire: Make) -> None:
    """One such node must not keep the conductor from polling the others."""
    task = acquire(make_node())
    node = task.node
    operation.store(node, operation.Operation(
        kind='rescue', step='apply_profile', due=1.0))
    node.provision_state = states.CLEANFAIL
    assert not periodics.due(node)
    assert not cleanup.wanted(node)
    node.provision_state = states.MANAGEABLE
    vendor = task.driver.vendor
    for method in ('accel_refresh', 'accel_disable'):
        with pytest.raises(exception.InvalidState,
                           match=r"unknown kind 'rescue'.*later version"):
            vendor.validate(task, method=method, http_method='POST')


def test_the_method_works_by_its_deprecated_name_and_warns(
        make_node: Make, acquire: Make,
        caplog: pytest.LogCaptureFixture) -> None:
    task = acquire(make_node(instance_info={}))
    furnish(task)
    vendor = task.driver.vendor
    vendor.validate(task, method='accel_release', http_method='POST')
    told = vendor.accel_release(task, http_method='POST')
    assert (len(told['traits']), told['firmware']) == (3, 2)
    assert (f'Node {task.node.uuid}: passthru method accel_release is '
            'deprecated and will be removed; use accel_disable'
            ) in caplog.text


@pytest.mark.parametrize('step', ['apply_profile', 'refresh_traits',
                                  'reset_devices'])
def test_no_step_begins_on_it(
        make_node: Make, acquire: Make, profiles: pathlib.Path,
        step: str) -> None:
    task = acquire(make_node(provision_state=states.CLEANING))
    left = later(task)
    (profiles / 'x.yaml').write_text(sample.yaml_of(sample.profile_data()))
    args = {'profile': 'h100-new'} if step == 'apply_profile' else {}
    with pytest.raises((exception.InvalidState,
                        exception.InvalidParameterValue), match='record/9'):
        getattr(task.driver.vendor, step)(task, **args)
    assert task.node.driver_internal_info == left


def test_verify_skips_a_node_of_a_later_version(
        make_node: Make, acquire: Make) -> None:
    task = acquire(make_node(provision_state=states.VERIFYING))
    left = later(task)
    with mock.patch.object(bmc_session, 'backend', autospec=True) as asked:
        task.driver.vendor.verify_accelerators(task)
    asked.assert_not_called()
    assert task.node.driver_internal_info == left


def test_conductor_lists_its_profiles(
        make_node: Make, acquire: Make, profiles: pathlib.Path) -> None:
    task = acquire(make_node(), shared=True)
    (profiles / 'x.yaml').write_text(sample.yaml_of(
        sample.profile_data(), sample.mode_profile('ecc', ecc='enabled')))
    told = task.driver.vendor.accel_profiles(task, http_method='GET')
    assert told['conductor'] == 'this-conductor'
    assert [(p['profile']['name'], p['digest'])
            for p in told['profiles']] == [
        (p.name, p.digest) for p in (
            sample.profile(sample.mode_profile('ecc', ecc='enabled')),
            sample.profile())]
    assert [p['products'] for p in told['profiles']] == [{}, {}]
    assert [p['steps'] for p in told['profiles']] == [
        {'agent': False, 'volatile': []}] * 2
    assert told['traits'] == {
        'pci': [], 'verification_max_age': CONF.accelerator
        .verification_max_age, 'baseline_profile': None}
    json.dumps(told)


@pytest.mark.parametrize(('kind', 'modes', 'agent', 'volatile'), [
    ('gpu', {'mig': 'enabled', 'ecc': 'enabled'}, False, []),
    ('nic', {'vf-limit': 8}, True, []),
    ('crypto', {'services': ['sym', 'asym']}, True, [['all', 'services']])])
def test_a_conductor_knows_what_the_steps_of_a_profile_depend_on(
        make_node: Make, acquire: Make, profiles: pathlib.Path, kind: str,
        modes: dict[str, Any], agent: bool, volatile: list[Any]) -> None:
    task = acquire(make_node(), shared=True)
    (profiles / 'x.yaml').write_text(json.dumps({
        'profile': 1, 'name': 'x', 'devices': {'all': {
            'match': {'kind': kind}, 'modes': modes}}}))
    [told] = task.driver.vendor.accel_profiles(
        task, http_method='GET')['profiles']
    assert told['steps'] == {'agent': agent, 'volatile': volatile}


def test_conductor_lists_the_products_that_a_profile_selects(
        make_node: Make, acquire: Make, profiles: pathlib.Path) -> None:
    """A command has no rows of the site, which may name some of them."""
    task = acquire(make_node(), shared=True)
    (profiles / 'x.yaml').write_text(
        'profile: 2\nname: x\ndevices:\n  gpus:\n'
        '    match: {kind: gpu, product: nvidia-b*, arch: blackwell}\n')
    [told] = task.driver.vendor.accel_profiles(
        task, http_method='GET')['profiles']
    assert told['products'] == {'gpus': [
        'nvidia-b100', 'nvidia-b200', 'nvidia-b300']}
