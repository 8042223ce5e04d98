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

"""What is kept of an inventory, and where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ironic.drivers.modules import inspect_utils
from ironic import objects

from ironic_accel.conductor.config import ironic_series
from ironic_accel.conductor.node import inventory_store
from ironic_accel.conductor.node import keys
from tests.unit.conductor import sample

Make = Callable[..., Any]


def rows(task: Any) -> dict[str, Any]:
    return {r.component: r for r in objects.FirmwareComponentList
            .get_by_node_id(task.context, task.node.id)}


def test_an_inventory_comes_back_as_it_was_stored(
        make_node: Make, acquire: Make) -> None:
    task = acquire(make_node())
    assert inventory_store.load(task) is None
    seen = sample.box()
    inventory_store.save(
        task, seen, (sample.transport(seen),), {'schema': 'plan/2'}, 12.5)
    stored = inventory_store.load(task)
    assert stored == inventory_store.Stored(
        seen, 12.5, (sample.transport(seen),), {'schema': 'plan/2'},
        {'redfish': 12.5})
    assert task.node.driver_internal_info[keys.SUMMARY.name] == {
        'at': 12.5, 'host': 'on', 'complete': True, 'devices': {'gpu': 2},
        'warnings': 0, 'health': 'OK'}


def test_data_of_an_inspection_are_kept(
        make_node: Make, acquire: Make) -> None:
    task = acquire(make_node())
    inspect_utils.store_inspection_data(
        task.node, {'cpu': {'count': 2}}, {'local_gb': 1}, task.context)
    inventory_store.save(task, sample.box())
    data = inspect_utils.get_inspection_data(task.node, task.context)
    assert data['inventory'] == {'cpu': {'count': 2}}
    assert data['plugin_data']['local_gb'] == 1
    assert inventory_store.load(task) is not None


def test_list_of_the_upstream_hook_is_not_an_inventory(
        make_node: Make, acquire: Make) -> None:
    task = acquire(make_node())
    inspect_utils.store_inspection_data(
        task.node, {}, {'accelerators': [{'vendor_id': '10de'}]},
        task.context)
    assert inventory_store.load(task) is None


def test_devices_keep_the_ids_that_they_had(
        make_node: Make, acquire: Make) -> None:
    task = acquire(make_node())
    inventory_store.save(task, sample.box())
    again = sample.box(sample.gpu(1), sample.gpu(0))
    assert [d.id for d in inventory_store.known_ids(
        inventory_store.load(task), again).devices] == [
        'gpu-1', 'gpu-0']


def test_firmware_has_a_row_for_each_component(
        make_node: Make, acquire: Make) -> None:
    task = acquire(make_node())
    inventory_store.sync_firmware(task, sample.box())
    found = rows(task)
    assert set(found) == {'accel:gpu-0/gpu', 'accel:gpu-1/gpu'}
    row = found['accel:gpu-0/gpu']
    assert row.current_version == sample.OLD
    if ironic_series.FIRMWARE_ROW_VENDOR.present:
        assert (row.vendor, row.model, row.serial_number) == (
            'nvidia', 'NVIDIA H100 80GB HBM3', '0')


def test_firmware_components_follow_the_inventory(
        make_node: Make, acquire: Make) -> None:
    task = acquire(make_node())
    objects.FirmwareComponent(
        task.context, node_id=task.node.id, component='bmc',
        current_version='1.0').create()
    inventory_store.sync_firmware(task, sample.box())
    inventory_store.sync_firmware(task, sample.box(sample.gpu(0, sample.NEW)))
    found = rows(task)
    assert set(found) == {'bmc', 'accel:gpu-0/gpu'}
    row = found['accel:gpu-0/gpu']
    assert (row.initial_version, row.current_version) == (
        sample.OLD, sample.NEW)


def test_an_unknown_version_is_no_version(
        make_node: Make, acquire: Make) -> None:
    task = acquire(make_node())
    inventory_store.sync_firmware(task, sample.box())
    silent = sample.gpu(0, version=None)  # type: ignore[arg-type]
    inventory_store.sync_firmware(task, sample.box(silent, sample.gpu(1)))
    assert rows(task)['accel:gpu-0/gpu'].current_version == sample.OLD
