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


"""What publishing needs: a locked node, a look, and what can be done."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import pathlib
from typing import Any
from unittest import mock

from ironic.common import states
from ironic.drivers.modules import inspect_utils
import pytest

from ironic_accel.conductor.config import ironic_series
from ironic_accel.conductor.node import inventory_store
from ironic_accel.conductor.publication import publish
from ironic_accel.conductor.publication import traits
from ironic_accel.conductor.upkeep import audit_result
from ironic_accel.model.device import Inventory
from ironic_accel.model import identity
from ironic_accel.model.plan import Transport
from ironic_accel.model import serialization
from tests.unit.conductor import sample

Make = Callable[..., Any]
T0 = 1_000_000.0


def transports(inventory: Inventory, _pushes: Any) -> tuple[Transport, ...]:
    """Everything can be done."""
    return (sample.transport(inventory),)


def ecc(value: str) -> Inventory:
    """Two GPUs whose ECC is as given."""
    return sample.box(*(sample.with_mode(sample.gpu(n), 'ecc', value)
                        for n in range(2)))


@pytest.fixture
def task(make_node: Make, acquire: Make, profiles: pathlib.Path) -> Any:
    """A locked node, and one site profile that it is not in yet."""
    profiles.joinpath('site.yaml').write_text(sample.yaml_of(
        sample.mode_profile('ecc-on', ecc='enabled')))
    return acquire(make_node(provision_state=states.AVAILABLE))


def test_the_stored_inventory_is_read_and_parsed_once(task: Any) -> None:
    publish.publish(task, ecc('disabled'), transports, T0)
    with mock.patch.object(
            ironic_series, 'inspection_data', autospec=True,
            side_effect=ironic_series.inspection_data) as read, \
        mock.patch.object(
            serialization, 'inventory_from_dict', autospec=True,
            side_effect=serialization.inventory_from_dict) as parsed:
        publish.publish(task, ecc('enabled'), transports, T0 + 1)
        assert (read.call_count, parsed.call_count) == (1, 1)
        assert audit_result.settle(task, ecc('disabled'), transports, T0 + 2)
        assert (read.call_count, parsed.call_count) == (2, 2)


def identified(task: Any, seen: Inventory, at: float) -> int:
    """How often devices are matched while an inventory is published."""
    with mock.patch.object(identity, 'identify', autospec=True,
                           side_effect=identity.identify) as identify:
        publish.publish(task, seen, transports, at)
    return int(identify.call_count)


def test_devices_are_matched_once_at_most(task: Any) -> None:
    assert identified(task, ecc('disabled'), T0) == 0
    # All have their ids.
    assert identified(task, ecc('enabled'), T0 + 1) == 0
    before = ecc('enabled')
    renamed = dataclasses.replace(before, devices=tuple(
        dataclasses.replace(d, id=f'other-{d.id}') for d in before.devices))
    assert identified(task, renamed, T0 + 2) == 1
    stored = inventory_store.load(task)
    assert stored is not None
    assert [d.id for d in stored.inventory.devices] == [
        d.id for d in before.devices]


def test_device_that_another_one_took_the_id_of_is_matched(task: Any) -> None:
    """The same ids are not the same devices."""
    before = ecc('disabled')
    publish.publish(task, before, transports, T0)
    one, two = before.devices
    swapped = dataclasses.replace(before, devices=(
        dataclasses.replace(one, id=two.id),
        dataclasses.replace(two, id=one.id)))
    assert identified(task, swapped, T0 + 1) == 1
    stored = inventory_store.load(task)
    assert stored is not None
    assert {d.id: d.serial for d in stored.inventory.devices} == {
        d.id: d.serial for d in before.devices}


def test_publish_returns_previous_and_new_inventory(
        task: Any) -> None:
    first = publish.publish(task, ecc('disabled'), transports, T0)
    assert first.before is None
    assert first.stored == inventory_store.load(task)
    second = publish.publish(task, ecc('enabled'), transports, T0 + 1)
    assert second.before == first.stored
    assert second.stored == inventory_store.load(task)
    assert second.stored.at == T0 + 1
    assert 'CUSTOM_ACCEL_IS_ECC_ON' in traits.of(task)
    assert second.facts['traits'] == sorted(traits.of(task))


def test_data_of_other_hooks_are_kept(task: Any) -> None:
    inspect_utils.store_inspection_data(
        task.node, {'cpu': {'count': 2}}, {'local_gb': 1}, task.context)
    publish.publish(task, ecc('enabled'), transports, T0)
    data = inspect_utils.get_inspection_data(task.node, task.context)
    assert data['inventory'] == {'cpu': {'count': 2}}
    assert data['plugin_data']['local_gb'] == 1


def test_push_methods_of_profiles_are_passed_to_the_transports(
        task: Any, profiles: pathlib.Path) -> None:
    data = sample.profile_data('pushed')
    data['images']['bundle']['push'] = {'style': 'multipart'}
    profiles.joinpath('pushed.yaml').write_text(sample.yaml_of(data))
    asked: list[Any] = []

    def told(inventory: Inventory, pushes: Any) -> tuple[Transport, ...]:
        asked.extend(pushes)
        return transports(inventory, pushes)

    publish.publish(task, ecc('enabled'), told, T0)
    assert [p.style for p in asked] == ['multipart']


@pytest.mark.parametrize(('kind', 'can'), [('gpu', True), ('fpga', False)])
def test_profile_without_a_matching_device_has_no_trait(
        task: Any, profiles: pathlib.Path, kind: str, can: bool) -> None:
    data = sample.mode_profile('none-needed', **(
        {'ecc': 'enabled'} if kind == 'gpu' else {'vfs': 8}))
    data['devices'] = {'cards': {**data['devices']['gpus'], 'match': {
        'kind': kind}, 'count': {'min': 0}}}
    profiles.joinpath('none.yaml').write_text(sample.yaml_of(data))
    publish.publish(task, ecc('disabled'), transports, T0)
    assert ('CUSTOM_ACCEL_CAN_NONE_NEEDED' in traits.of(task)) is can
    assert 'CUSTOM_ACCEL_IS_NONE_NEEDED' not in traits.of(task)
    # One that another profile of the site has is not touched by it.
    assert 'CUSTOM_ACCEL_CAN_ECC_ON' in traits.of(task)
