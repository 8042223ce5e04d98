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

"""What earlier versions stored with a node is read to the same value."""

from __future__ import annotations

from collections.abc import Callable
import json
import pathlib
from typing import Any

from ironic_accel.conductor.node import inventory_store
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node.operation import Operation
from tests.unit.model import stored

FOLDER = pathlib.Path(__file__).with_name('documents')


def recorded(name: str) -> dict[str, Any]:
    """What an earlier version stored."""
    found: dict[str, Any] = json.loads(
        (FOLDER / f'{name}.json').read_text(encoding='utf-8'))
    return found


def test_a_stored_inventory_is_read_to_the_same_value() -> None:
    found = inventory_store.read(recorded('stored-inventory'))
    assert found.inventory == stored.INVENTORIES['whole']
    assert found.at == 1.7e9
    assert found.transports == (stored.OUT_OF_BAND, stored.INSIDE)
    assert found.looks == {'redfish': 1.7e9, 'agent': 1.6e9}
    assert found.plan == json.loads(json.dumps(
        stored.PLANS['all-verbs'].to_dict()))
    written = json.loads(json.dumps(inventory_store.written(found)))
    assert inventory_store.read(written) == found
    assert {'transports', 'plan'} <= set(written)


def test_stored_operation_is_read_to_the_same_value(
        make_node: Callable[..., Any]) -> None:
    node = make_node(driver_internal_info={
        keys.OPERATION.name: recorded('operation')})
    assert operation.load(node) == Operation(
        'clean', 'apply_profile', 'apply', 'ab12', None, 'run', 'hgx-h100',
        False, 'warm-reboot', 'max_effect of the step is warm-reboot', True,
        True, True, True, 5.0, 6.0, 1.0, 0.0, 'power off', 1, 2, 3, 40,
        'updating', 50, {'transport': 'redfish', 'at': 1}, ('gpu-1',),
        {'outcome': 'failed', 'error': None}, True,
        {'user': 'u', 'project': 'p', 'request': 'r'})


def test_a_conductor_of_the_release_before_reads_an_operation(
        make_node: Callable[..., Any]) -> None:
    """The limit of its resets, and the backend that polls its ticket."""
    node = make_node()
    begun = Operation(
        'clean', 'reset_devices', 'reset', activation='device-reset',
        ticket={'transport': 'agent', 'job': 'j'})
    operation.store(node, begun)
    raw = node.driver_internal_info[keys.OPERATION.name]
    assert (raw['effect'], raw['ticket']['way']) == ('device-reset', 'agent')
    assert operation.load(node) == begun
