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

"""A device that moves to another node counts on one node at a time."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import dataclasses
import pathlib
from typing import Any
from unittest import mock

from ironic.common import states
from ironic.conductor import base_manager
from ironic.conf import CONF
from ironic import objects
from oslo_utils import uuidutils
import pytest

from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.drivers import passthru
from ironic_accel.conductor.drivers import vendor
from ironic_accel.conductor.node import inventory_store
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.operation import ownership_followup
from ironic_accel.conductor.operation import runner
from ironic_accel.conductor.publication import device_ownership
from ironic_accel.conductor.publication import withdraw
from ironic_accel.converge.ports import Backend
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.reading_status import Unread
from tests.unit.conductor import clocks
from tests.unit.conductor import sample

Make = Callable[..., Any]
BMC = 'http://192.0.2.9'
COUNTS = {f'CUSTOM_ACCEL_GPU_X{n}' for n in range(9)}
IS_ECC, CAN_ECC = 'CUSTOM_ACCEL_IS_ECC_ON', 'CUSTOM_ACCEL_CAN_ECC_ON'


def card(serial: str, number: int = 0, **fields: Any) -> Device:
    """A GPU with a serial number as they are."""
    return dataclasses.replace(
        sample.gpu(number), id=f'gpu-{serial}', serial=serial, **fields)


STAYS, MOVES, OWN = (card('1652922001'), card('1652922002', 1),
                     card('1652922003', 2))


class World:
    """Nodes, what is in them, and the time."""

    def __init__(self, make_node: Make, acquire: Make, context: Any) -> None:
        self._make_node, self.acquire = make_node, acquire
        self._context = context
        self.inside: dict[str, Inventory] = {}
        self.now = 1_000_000.0
        self.manager = mock.create_autospec(
            base_manager.BaseConductorManager, instance=True)
        self.manager.iter_nodes.side_effect = lambda filters: (
            objects.Node.dbapi.get_nodeinfo_list(
                columns=['uuid', 'driver', 'conductor_group'],
                filters=filters))

    def node(self, *devices: Device, system: str, **fields: Any) -> Any:
        """A node of one System, with devices in it."""
        node = self._make_node(**{'driver_info': {
            'redfish_address': BMC,
            'redfish_system_id': f'/redfish/v1/Systems/{system}'}, **fields})
        self.put(node, *devices, system=system)
        return node

    def put(self, node: Any, *devices: Device, **fields: Any) -> None:
        """What a node has from now on; all others keep what they have."""
        old = self.inside.get(node.uuid, sample.box())
        self.inside[node.uuid] = dataclasses.replace(
            old, devices=devices, **fields)

    def backend(self, node: Any, **_: Any) -> Any:
        """The way to the box of a node."""
        made = mock.create_autospec(Backend, instance=True)
        seen = self.inside[node.uuid]
        made.sources.return_value = sample.sources(seen)
        made.transports.return_value = (sample.transport(seen),)
        return made

    def look(self, node: Any) -> Any:
        """Look at a node as accel_refresh does; gives what is left."""
        task = self.acquire(node)
        passthru.Passthru.accel_refresh(task.driver.vendor, task)
        task.release_resources()
        return self.tick(node)

    def tick(self, node: Any) -> Any:
        """One tick of what is under way; gives what is left of it.

        Devices that a look lacks are looked for once more: that is the same
        tick here.
        """
        for _ in range(2):
            self.now += 100
            task = self.acquire(node)
            runner.tick(task)
            task.release_resources()
            node.refresh()
            left = operation.load(node)
            if left is None or 'no longer listed' not in left.progress:
                break
        return left

    def begin(self) -> None:
        """One pass of the periodic."""
        ownership_followup.begin_refreshes(self.manager, self._context,
                           vendor.RedfishAccelerator)

    def under_way(self, node: Any) -> operation.Operation | None:
        """What is under way on a node."""
        node.refresh()
        return operation.load(node)


@pytest.fixture
def world(make_node: Make, acquire: Make, context: Any,
          profiles: pathlib.Path) -> Iterator[World]:
    """The world, with one site profile that every GPU fits."""
    data = sample.mode_profile('ecc-on', ecc='disabled')
    data['devices']['gpus']['count'] = {'min': 1, 'max': 8}
    profiles.joinpath('site.yaml').write_text(sample.yaml_of(data))
    made = World(make_node, acquire, context)
    with clocks.told(lambda: made.now), \
        mock.patch.object(bmc_session, 'backend', autospec=True,
                          side_effect=made.backend):
        yield made


@pytest.fixture
def moved(world: World) -> tuple[Any, Any]:
    """Two nodes that were looked at; then a GPU changes its System."""
    first = world.node(STAYS, MOVES, system='A')
    second = world.node(OWN, system='B')
    assert world.look(first) is None
    assert world.look(second) is None
    world.put(first, STAYS)
    world.put(second, OWN, MOVES)
    return first, second


def traits(node: Any) -> set[str]:
    return set(objects.TraitList.get_by_node_id(
        None, node.id).get_trait_names())


def counts(node: Any) -> set[str]:
    return traits(node) & COUNTS


def events(node: Any) -> str:
    return '\n'.join(e.event for e in objects.NodeHistory.list_by_node_id(
        None, node.id))


def test_the_first_node_gives_up_before_the_second_has(
        world: World, moved: tuple[Any, Any]) -> None:
    first, second = moved
    waits = world.look(second)
    said = (f'gpu-1652922002 is still claimed by node {first.uuid}, which '
            'is looked at first')
    assert waits.progress == said
    assert said in events(second)
    assert counts(first) == {'CUSTOM_ACCEL_GPU_X2'}
    assert counts(second) == set()
    assert 'CUSTOM_ACCEL_GPU' in traits(second)
    world.begin()
    begun = world.under_way(first)
    assert begun is not None
    assert (begun.step, begun.work) == (keys.FOLLOW_UP_STEP, 'look')
    assert world.tick(first) is None
    assert (counts(first), counts(second)) == (
        {'CUSTOM_ACCEL_GPU_X1'}, set())
    assert world.tick(second) is None
    assert counts(second) == {'CUSTOM_ACCEL_GPU_X2'}
    assert device_ownership.waits_of(second) == ()


def test_a_moved_device_keeps_its_id(
        world: World, moved: tuple[Any, Any], acquire: Make) -> None:
    _, second = moved
    world.look(second)
    stored = inventory_store.load(acquire(second, shared=True))
    assert stored is not None
    assert {d.id for d in stored.inventory.devices} == {OWN.id, MOVES.id}


def test_profiles_that_it_has_a_part_in_wait_too(
        world: World, moved: tuple[Any, Any]) -> None:
    first, second = moved
    assert {IS_ECC, CAN_ECC} <= traits(second)
    world.look(second)
    assert not {IS_ECC, CAN_ECC} & traits(second)
    assert {IS_ECC, CAN_ECC} <= traits(first)
    world.begin()
    world.tick(first)
    world.tick(second)
    assert {IS_ECC, CAN_ECC} <= traits(second)


def test_node_that_cannot_be_refreshed_is_not_waited_for(
        world: World, moved: tuple[Any, Any]) -> None:
    first, second = moved
    state = first.provision_state
    first.provision_state = states.RESCUE
    first.save()
    assert world.look(second) is None
    told = second.driver_internal_info[keys.RESULT.name]
    assert 'cannot be refreshed: it is rescue' in told['withheld']
    assert 'traits are not published' in events(second)
    assert 'it is rescue' in events(second)
    for _ in range(3):
        world.begin()
        assert world.under_way(first) is None
        assert world.under_way(second) is None
    assert counts(second) == set()
    first.provision_state = state
    first.save()
    world.begin()
    assert world.tick(first) is None
    world.begin()
    assert world.tick(second) is None
    assert counts(second) == {'CUSTOM_ACCEL_GPU_X2'}


def test_node_in_maintenance_is_refreshed_for_another(
        world: World, moved: tuple[Any, Any]) -> None:
    """A read harms nobody."""
    first, second = moved
    first.maintenance = True
    first.save()
    assert world.look(second) is not None
    world.begin()
    assert world.tick(first) is None
    assert world.tick(second) is None
    assert counts(second) == {'CUSTOM_ACCEL_GPU_X2'}


def test_result_of_a_requested_operation_is_kept(
        world: World, moved: tuple[Any, Any]) -> None:
    first, second = moved
    asked = first.driver_internal_info[keys.RESULT.name]
    world.look(second)
    world.begin()
    world.tick(first)
    assert first.driver_internal_info[keys.RESULT.name] == asked
    assert f'{keys.FOLLOW_UP_STEP}: done' in events(first)


def test_refresh_waits_until_its_deadline(
        world: World, moved: tuple[Any, Any]) -> None:
    _, second = moved
    assert world.look(second) is not None
    world.now += CONF.accelerator.stable_timeout
    assert world.tick(second) is None
    assert counts(second) == set()
    assert 'traits are not published' in events(second)


def test_refreshes_for_one_reason_are_limited(
        world: World, moved: tuple[Any, Any]) -> None:
    first, second = moved
    world.look(second)
    world.put(first, STAYS, complete=False, host='off')
    looks = 0
    for _ in range(10 * ownership_followup.MOST):
        world.begin()
        if world.under_way(first) is None:
            world.now += CONF.accelerator.stable_timeout
            continue
        looks += 1
        task = world.acquire(first)
        task.node.del_driver_internal_info(keys.OPERATION.name)
        task.node.save()
        task.release_resources()
    assert looks == ownership_followup.MOST


def test_a_node_that_is_worked_on_is_left_alone(
        world: World, moved: tuple[Any, Any]) -> None:
    first, second = moved
    world.look(second)
    mine = operation.Operation('idle', 'watch', work='watch',
                               state=states.MANAGEABLE)
    operation.store(first, mine)
    first.save()
    world.begin()
    assert world.under_way(first) == mine


def test_deleted_node_is_not_waited_for(
        world: World, moved: tuple[Any, Any]) -> None:
    first, second = moved
    first.maintenance = True
    first.save()
    world.look(second)
    (wait,) = device_ownership.waits_of(second)
    second.set_driver_internal_info(keys.WAITS.name, {wait.key: {
        'node': uuidutils.generate_uuid(), 'device': wait.device,
        'since': wait.since}})
    second.save()
    first.del_driver_internal_info(keys.CLAIMS.name)
    first.save()
    world.begin()
    assert world.tick(second) is None
    assert counts(second) == {'CUSTOM_ACCEL_GPU_X2'}
    assert device_ownership.waits_of(second) == ()


def test_two_devices_with_one_serial_both_count(world: World) -> None:
    first = world.node(STAYS, MOVES, system='A')
    second = world.node(OWN, MOVES, system='B')
    world.look(first)
    assert world.look(second) is not None
    world.begin()
    world.tick(first)
    assert world.tick(second) is None
    assert counts(first) == counts(second) == {'CUSTOM_ACCEL_GPU_X2'}
    assert (f'node {first.uuid} reports a device with the same serial'
            in events(second))
    for node in (first, second, first):
        assert world.look(node) is None
        assert counts(node) == {'CUSTOM_ACCEL_GPU_X2'}


def test_serial_reported_by_many_nodes_is_ignored(world: World) -> None:
    for system in 'AB':
        node = world.node(MOVES, system=system)
        node.set_driver_internal_info(keys.CLAIMS.name, {
            'at': world.now, 'system': system,
            'of': [device_ownership.digest(MOVES)]})
        node.save()
    third = world.node(MOVES, system='C')
    assert world.look(third) is None
    assert counts(third) == {'CUSTOM_ACCEL_GPU_X1'}


@pytest.mark.parametrize(('scope', 'address', 'withheld'), [
    ('all', 'http://192.0.2.10', True), ('all', BMC, True),
    ('bmc', 'http://192.0.2.10', False), ('bmc', BMC, True),
    ('none', BMC, False)])
def test_ownership_scope_limits_the_claims(
        world: World, scope: str, address: str, withheld: bool) -> None:
    first = world.node(MOVES, system='A')
    world.look(first)
    CONF.set_override('ownership_scope', scope, group='accelerator')
    try:
        second = world.node(MOVES, system='B', driver_info={
            'redfish_address': address,
            'redfish_system_id': '/redfish/v1/Systems/B'})
        assert bool(world.look(second)) is withheld
    finally:
        CONF.clear_override('ownership_scope', group='accelerator')


def test_one_host_enrolled_twice_moves_nothing(world: World) -> None:
    world.look(world.node(MOVES, system='A'))
    assert world.look(world.node(MOVES, system='A')) is None


def test_a_card_with_a_node_of_its_own_is_in_its_host(world: World) -> None:
    host = world.node(MOVES, system='A')
    world.look(host)
    child = world.node(MOVES, system='B', parent_node=host.uuid)
    assert world.look(child) is None
    assert world.look(host) is None


def test_a_node_of_which_all_is_withdrawn_gives_up_its_claims(
        world: World, moved: tuple[Any, Any], acquire: Make) -> None:
    first, second = moved
    task = acquire(first)
    withdraw.withdraw(task, withdraw.everything())
    task.node.save()
    assert world.look(second) is None
    assert counts(second) == {'CUSTOM_ACCEL_GPU_X2'}


@pytest.mark.parametrize('serial', [
    None, '', 'NA', '0000000000', '1', '11111111', '1234567890', 'FFFFFFFF'])
def test_untrusted_serial_claims_nothing(
        serial: str | None) -> None:
    assert (
        device_ownership.digest(dataclasses.replace(MOVES, serial=serial))
        is None
    )


def test_a_board_s_serial_claims_nothing() -> None:
    twice = dataclasses.replace(MOVES, id='gpu-other', location='elsewhere')
    assert device_ownership.trusted(sample.box(STAYS, MOVES, twice)) == {
        device_ownership.digest(STAYS): STAYS.id}
    assert device_ownership.digest(dataclasses.replace(
        STAYS, kind='baseboard')) is None


def test_no_wait_without_a_moved_device(world: World) -> None:
    world.look(world.node(STAYS, system='A'))
    assert device_ownership.waiting() == []
    world.begin()
    world.manager.iter_nodes.assert_not_called()


@pytest.mark.parametrize(('more', 'error'), [
    ({'unread': (Unread('/redfish/v1/Chassis', 'HTTP 503',
                        kinds=('gpu',)),)}, False),
    ({'complete': False}, True)])
def test_partial_inventory_is_published_past_the_limit(
        world: World, more: dict[str, Any], error: bool) -> None:
    """It is waited for first; then what is told is published, the stored
    device that is not told stays as not read, and nothing is counted."""
    node = world.node(STAYS, MOVES, system='1')
    assert world.look(node) is None
    assert 'CUSTOM_ACCEL_GPU_X2' in traits(node)
    world.put(node, STAYS, system='1', **more)
    left = world.look(node)
    assert left is not None
    assert 'CUSTOM_ACCEL_GPU_X2' in traits(node)
    world.now += CONF.accelerator.stable_timeout
    assert world.tick(node) is None
    assert not COUNTS & traits(node)
    assert {'CUSTOM_ACCEL_GPU', 'CUSTOM_ACCEL_DEGRADED'} <= traits(node)
    told = node.driver_internal_info[keys.RESULT.name]
    assert (told['error'] is not None) is error
    stored = inventory_store.load(world.acquire(node, shared=True))
    assert stored is not None
    assert [d.unread for d in stored.inventory.devices] == [
        (), ('presence',)]
