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

"""The audit: what it may ask, when it may publish, and what it tells."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from concurrent import futures
import dataclasses
import pathlib
import threading
from typing import Any
from unittest import mock

from ironic.common import exception
from ironic.common import metrics_collector
from ironic.common import states
from ironic.conductor import base_manager
from ironic.conf import CONF
from ironic import objects
from oslo_db import exception as db_exc
import pytest

from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.config import metrics
from ironic_accel.conductor.config import workers
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import inventory_store
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.node import verification
from ironic_accel.conductor.publication import traits as traits_module
from ironic_accel.conductor.upkeep import audit
from ironic_accel.conductor.upkeep import periodics
from ironic_accel.converge.ports import Backend
from ironic_accel.model.activity import Busy
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.identity import Source
from ironic_accel.model.reading_status import Unread
from tests.unit.conductor import clocks
from tests.unit.conductor import sample

Make = Callable[..., Any]
IS, CAN = 'CUSTOM_ACCEL_IS_ECC_ON', 'CUSTOM_ACCEL_CAN_ECC_ON'
MODE, TWO, ONE = ('CUSTOM_ACCEL_GPU_ECC', 'CUSTOM_ACCEL_GPU_X2',
                  'CUSTOM_ACCEL_GPU_X1')
FOREIGN = 'CUSTOM_RACK_7'


class World:
    """Nodes, the boxes behind them, the time and the conductor."""

    def __init__(self, make_node: Make, context: Any) -> None:
        self.make_node, self.context = make_node, context
        self.now = 1_000_000.0
        self.boxes: dict[str, Inventory | Exception] = {}
        self.asked: list[str] = []
        self.while_asked: Callable[[], None] = lambda: None
        self.queue = audit.Due()
        self.manager = mock.create_autospec(
            base_manager.BaseConductorManager, instance=True)
        self.manager._shutdown = threading.Event()
        self.listed: list[dict[str, Any]] = []
        self.manager.iter_nodes.side_effect = self.nodes
        self.manager._spawn_worker.side_effect = self.spawn
        self.pool = futures.ThreadPoolExecutor(1)

    def nodes(self, **asked: Any) -> Any:
        """What the conductor lists."""
        self.listed.append(asked)
        return objects.Node.dbapi.get_nodeinfo_list(
            columns=['uuid', 'driver', 'conductor_group',
                     *asked.get('fields', ())], filters=asked['filters'])

    def spawn(self, f: Any, *args: Any) -> Any:
        """A worker that is done when the call returns."""
        made = self.pool.submit(f, *args)
        made.result()
        return made

    def backend(self, node: Any, _name: str = 'redfish', **_: Any) -> Any:
        """What stands for a node's BMC; looking is all that is asked."""
        made = mock.create_autospec(Backend, instance=True)

        def sources() -> tuple[Source, ...]:
            self.asked.append(node.uuid)
            self.while_asked()
            found = self.boxes[node.uuid]
            if isinstance(found, Exception):
                raise found
            return (Source(found, stable=True),)

        made.sources.side_effect = sources
        made.transports.side_effect = lambda seen, _=(): (
            sample.transport(seen),)
        for name in ('start', 'poll', 'commit'):
            getattr(made, name).side_effect = AssertionError(name)
        return made

    def node(self, inventory: Inventory | None = None,
             **fields: Any) -> Any:
        """A node that was audited once."""
        node = self.make_node(**{'provision_state': states.AVAILABLE,
                                 **fields})
        objects.Trait(self.context, node_id=node.id,
                      trait=FOREIGN).create()
        self.boxes[node.uuid] = inventory or ecc('enabled')
        assert self.look(node) == 'clean'
        return node

    def look(self, node: Any) -> str:
        """One audit of a node."""
        word = audit.audit(
            self.context, node.uuid, periodics.Periodics, self.queue)
        node.refresh()
        return word

    def traits(self, node: Any) -> set[str]:
        """A node's traits."""
        return set(objects.TraitList.get_by_node_id(
            self.context, node.id).get_trait_names())

    def told(self, node: Any) -> list[str]:
        """The node's history."""
        return [h.event for h in objects.NodeHistory.list_by_node_id(
            self.context, node.id)]


def card(number: int, **fields: Any) -> Device:
    """A GPU that the BMC shows."""
    uri = f'/redfish/v1/Systems/1/Processors/GPU_{number}'
    return dataclasses.replace(sample.gpu(number), uri=uri, **fields)


def ecc(value: str, **fields: Any) -> Inventory:
    """Two GPUs in one ECC mode."""
    return sample.box(*(sample.with_mode(card(n), 'ecc', value)
                        for n in range(2)), **fields)


@pytest.fixture
def world(make_node: Make, context: Any, profiles: pathlib.Path,
          monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A cloud with one site profile: two GPUs with ECC."""
    profiles.joinpath('site.yaml').write_text(sample.yaml_of(
        sample.mode_profile('ecc-on', ecc='enabled')))
    made = World(make_node, context)
    monkeypatch.setattr(
        workers, 'AUDIT', workers.Queue('audit', 'audit_workers'))
    monkeypatch.setattr(metrics_collector, 'STATISTIC_DATA', {})
    monkeypatch.setattr(
        metrics, 'METRICS',
        metrics_collector.DictCollectionMetricLogger('accelerator'))
    with clocks.told(lambda: made.now), \
        mock.patch.object(bmc_session, 'backend', autospec=True,
                          side_effect=made.backend):
        yield made
    made.pool.shutdown()
    assert set(metrics_collector.STATISTIC_DATA) <= {
        f'{metrics.PREFIX}.{row.name}' for row in metrics.TABLE}
    for name in ('audit_interval', 'audit_unreachable_timeout'):
        CONF.clear_override(name, group='accelerator')


def counted(name: str) -> int:
    """What a counter of Ironic's metrics says."""
    data = metrics_collector.STATISTIC_DATA
    return int(data.get(f'accelerator.{name}', {'count': 0})['count'])


def test_unchanged_node_is_only_verified_again(world: World) -> None:
    node = world.node()
    assert world.traits(node) >= {IS, CAN, MODE, TWO, FOREIGN}
    told = world.told(node)
    world.now += 3600
    assert world.look(node) == 'clean'
    assert verification.of(node)['ecc-on']['at'] == world.now
    assert world.told(node) == told
    assert node.reservation is None


def test_drift_withdraws_traits_and_is_reported(world: World) -> None:
    node = world.node()
    world.boxes[node.uuid] = ecc('disabled')
    assert world.look(node) == 'drift'
    assert not world.traits(node) & {IS, MODE}
    assert world.traits(node) >= {CAN, TWO, FOREIGN}
    assert verification.of(node) == {}
    last = world.told(node)[-1]
    assert 'gpu-0 ecc enabled > disabled' in last
    assert f'withdrawn: {MODE}, {IS}' in last
    assert counted('drift.mode') == 2
    # It is told once.
    told = world.told(node)
    assert world.look(node) == 'clean'
    assert world.told(node) == told
    world.boxes[node.uuid] = ecc('enabled')
    assert world.look(node) == 'drift'
    assert IS in world.traits(node)


def test_drift_is_withdrawn_before_anything_is_stored(
        world: World) -> None:
    """Whoever dies in between must not leave the traits behind."""
    node = world.node()
    world.boxes[node.uuid] = ecc('disabled')
    with mock.patch.object(inventory_store, 'save', autospec=True,
                           side_effect=exception.TemporaryFailure('full')), \
            pytest.raises(exception.TemporaryFailure):
        world.look(node)
    assert IS not in world.traits(node)


@pytest.mark.parametrize(('devices', 'says'), [
    ([card(0)], 'gpu-1 could not be read'),
    ([card(0), card(1, health='Critical')],
     'gpu-1 health OK > Critical')])
def test_missing_or_unhealthy_devices_degrade_the_node(
        world: World, devices: list[Any], says: str) -> None:
    node = world.node()
    # The profile that the node is held to says how many there have to be.
    node.driver_info = {**node.driver_info, 'accel_baseline': 'ecc-on'}
    node.save()
    world.boxes[node.uuid] = sample.box(*(
        sample.with_mode(d, 'ecc', 'enabled') for d in devices))
    assert world.look(node) == 'drift'
    traits = world.traits(node)
    assert traits_module.DEGRADED in traits
    assert not traits & {IS, CAN, TWO, ONE}
    assert says in world.told(node)[-1]
    assert FOREIGN in traits
    if len(devices) == 1:
        # Two whole looks in a row without it: it is gone.
        assert world.look(node) == 'drift'
        assert 'gpu-1 vanished' in world.told(node)[-1]
        assert traits_module.DEGRADED in world.traits(node)


@pytest.mark.parametrize('unread', [
    Unread('/redfish/v1/Chassis', 'HTTP 503', kinds=('gpu',)),
    Unread('/redfish/v1/G1', 'HTTP 500', 'gpu-1', facts=('modes',)),
    Unread('/redfish/v1/TaskService', 'HTTP 503', holds=True)])
def test_unread_data_withdraw_traits_only_past_the_limit(
        world: World, unread: Unread) -> None:
    """A moment's 503 withdraws nothing; one that lasts what it could
    change, and a box that may be busy is in no profile."""
    node = world.node()
    world.boxes[node.uuid] = dataclasses.replace(
        ecc('enabled'), unread=(unread,))
    assert world.look(node) == 'partial'
    assert {IS, MODE, TWO} <= world.traits(node)
    world.now += CONF.accelerator.stable_timeout + 1
    assert world.look(node) == 'drift'
    traits = world.traits(node)
    assert not traits & {IS, CAN}
    assert (traits_module.DEGRADED in traits) is bool(unread.kinds)
    assert (TWO in traits) is not bool(unread.kinds)
    assert (MODE in traits) is unread.holds
    world.boxes[node.uuid] = ecc('enabled')
    assert world.look(node) == 'drift'
    assert {IS, MODE, TWO} <= world.traits(node)
    world.boxes[node.uuid] = dataclasses.replace(
        ecc('enabled'), unread=(unread,))
    assert world.look(node) == 'partial'


def test_pending_change_of_another_party_is_drift(world: World) -> None:
    node = world.node()
    changed = ecc('enabled')
    world.boxes[node.uuid] = dataclasses.replace(changed, devices=tuple(
        dataclasses.replace(d, modes=tuple(
            dataclasses.replace(m, pending='disabled') if m.name == 'ecc'
            else m for m in d.modes)) for d in changed.devices))
    assert world.look(node) == 'drift'
    assert not world.traits(node) & {IS, MODE}
    assert 'gpu-0 ecc enabled, disabled pending' in world.told(node)[-1]


def test_silence_changes_nothing_until_a_bound(world: World) -> None:
    CONF.set_override('audit_unreachable_timeout', 1000, group='accelerator')
    node = world.node()
    before, told = world.traits(node), world.told(node)
    world.boxes[node.uuid] = Unreachable('no route to host')
    for seconds in (0, 900):
        world.now += seconds
        assert world.look(node) == 'silent'
        assert world.traits(node) == before
        assert world.told(node) == told
    world.now += 100
    assert world.look(node) == 'void'
    assert world.traits(node) == before - {IS, CAN, MODE} | {
        traits_module.DEGRADED}
    assert verification.of(node) == {}
    assert 'no route to host' in world.told(node)[-1]
    told = world.told(node)
    world.now += 100
    assert world.look(node) == 'void'
    assert world.told(node) == told
    world.boxes[node.uuid] = ecc('enabled')
    assert world.look(node) == 'drift'
    assert world.traits(node) == before


def test_an_answer_ends_the_silence(world: World) -> None:
    CONF.set_override('audit_unreachable_timeout', 1000, group='accelerator')
    node = world.node()
    for _ in range(3):
        world.boxes[node.uuid] = Unreachable('no route to host')
        assert world.look(node) == 'silent'
        world.now += 900
        world.boxes[node.uuid] = ecc('enabled')
        assert world.look(node) == 'clean'


@pytest.mark.parametrize('seen', [
    ecc('disabled', complete=False),
    ecc('disabled', busy=(Busy('task', 'x'),))])
def test_unstable_inventory_is_not_published(
        world: World, seen: Inventory) -> None:
    node = world.node()
    world.boxes[node.uuid] = seen
    assert world.look(node) == 'silent'
    assert IS in world.traits(node)


def test_host_that_is_off_keeps_its_verifications(world: World) -> None:
    node = world.node()
    world.boxes[node.uuid] = sample.box(host='off', complete=False)
    world.now += 1e6
    assert world.look(node) == 'off'
    assert IS in world.traits(node)


def test_trait_required_by_an_instance_is_marked_void(world: World) -> None:
    node = world.node(
        provision_state=states.ACTIVE, instance_info={'traits': [IS]},
        instance_uuid='2f1f1b5e-54b1-4d84-a71f-ab8ba3b0cd0b')
    world.boxes[node.uuid] = ecc('disabled')
    assert world.look(node) == 'drift'
    assert world.traits(node) >= {IS, traits_module.DEGRADED}
    assert MODE not in world.traits(node)
    assert node.driver_internal_info[keys.VOID.name] == [IS]
    told = world.told(node)
    assert any('is void' in t for t in told)
    assert world.look(node) == 'clean'
    assert world.told(node) == told


def test_an_active_node_without_an_instance_uuid_has_a_tenant_too(
        world: World) -> None:
    """A node that is deployed without Nova; its proofs end with it."""
    node = world.node(provision_state=states.ACTIVE)
    node.provision_state = states.AVAILABLE
    assert verification.had_tenant(node)


def another_state(node: Any) -> None:
    node.provision_state = states.CLEANWAIT


def another_record(node: Any) -> None:
    operation.store(node, operation.Operation('idle', 'accel_refresh'))


def another_proof(node: Any) -> None:
    verification.drop(node, {'ecc-on'})


def another_bmc(node: Any) -> None:
    node.driver_info = {**node.driver_info,
                        'redfish_address': 'http://192.0.2.77'}


@pytest.mark.parametrize('meanwhile', [
    another_state, another_record, another_proof, another_bmc])
def test_node_changed_during_the_audit_is_not_published(
        world: World, meanwhile: Callable[[Any], None]) -> None:
    node = world.node()
    world.boxes[node.uuid] = ecc('disabled')

    def change() -> None:
        there = objects.Node.get_by_id(world.context, node.id)
        meanwhile(there)
        there.save()

    world.while_asked = change
    assert world.look(node) == 'overtaken'
    assert IS in world.traits(node)


def test_a_child_that_its_parent_began_to_change_is_left_alone(
        world: World) -> None:
    parent = world.make_node()
    node = world.node(parent_node=parent.uuid)
    world.boxes[node.uuid] = ecc('disabled')

    def change() -> None:
        flash_guard.put(parent, 'dpu-1', world.now, 600)
        parent.save()

    world.while_asked = change
    assert world.look(node) == 'overtaken'
    assert MODE in world.traits(node)


def test_no_lock_is_held_or_waited_for(world: World) -> None:
    node = world.node()
    reserved: list[str | None] = []
    world.while_asked = lambda: reserved.append(
        objects.Node.get_by_id(world.context, node.id).reservation)
    world.look(node)
    assert reserved == [None]
    world.while_asked = lambda: None
    objects.Node.reserve(world.context, 'somebody', node.id)
    world.boxes[node.uuid] = ecc('disabled')
    try:
        assert world.look(node) == 'overtaken'
    finally:
        objects.Node.release(world.context, 'somebody', node.id)
    assert IS in world.traits(node)


@pytest.mark.parametrize('fields', [
    {'provision_state': states.CLEANWAIT},
    {'provision_state': states.MANAGEABLE,
     'target_provision_state': states.AVAILABLE}])
def test_a_node_that_is_worked_on_is_not_asked(
        world: World, fields: dict[str, Any]) -> None:
    node = world.make_node(**fields)
    assert world.look(node) == 'busy'
    assert world.asked == []


def test_maintenance_does_not_block_an_audit(world: World) -> None:
    node = world.node()
    asked = len(world.asked)
    node.maintenance = True
    node.save()
    assert world.look(node) == 'clean'
    assert len(world.asked) == asked + 1


def test_a_node_in_maintenance_that_was_never_read_is_not_audited(
        world: World) -> None:
    """The commands change drivers in maintenance, and publish nothing on a
    node that is not managed any more."""
    node = world.make_node(provision_state=states.AVAILABLE,
                           maintenance=True)
    assert world.look(node) == 'maintenance'
    assert world.asked == []


def test_a_bmc_that_ironic_has_given_up_is_not_vouched_for(
        world: World) -> None:
    """The power sync puts the node into maintenance long before."""
    CONF.set_override('audit_unreachable_timeout', 1000, group='accelerator')
    node = world.node()
    node.maintenance, node.fault = True, 'power failure'
    node.save()
    world.boxes[node.uuid] = Unreachable('no route to host')
    assert world.look(node) == 'silent'
    world.now += 1000
    assert world.look(node) == 'void'
    assert IS not in world.traits(node)


def test_a_running_operation_is_not_disturbed(world: World) -> None:
    node = world.node()
    asked = len(world.asked)
    operation.store(node, operation.Operation(
        'idle', 'accel_refresh', state=node.provision_state))
    node.save()
    assert world.look(node) == 'busy'
    assert len(world.asked) == asked


def run(world: World) -> None:
    audit.begin(
        world.manager, world.context, periodics.Periodics, world.queue)


def test_pass_reads_only_ids_and_spreads_new_nodes(
        world: World) -> None:
    CONF.set_override('audit_interval', 1000, group='accelerator')
    nodes = [world.make_node(provision_state=states.AVAILABLE)
             for _ in range(6)]
    world.make_node(provision_state=states.CLEANWAIT)
    for node in nodes:
        world.boxes[node.uuid] = ecc('enabled')
    run(world)
    at_once = len(world.asked)
    for _ in range(20):
        world.now += 50
        run(world)
    assert at_once < 6
    assert sorted(world.asked) == sorted(n.uuid for n in nodes)
    assert all('fields' not in asked for asked in world.listed)
    world.now += 1001
    run(world)
    assert len(world.asked) == 12


def test_no_more_nodes_than_places_at_a_time(
        world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    CONF.set_override('audit_interval', 1, group='accelerator')
    CONF.set_override('audit_workers', 2, group='accelerator')
    try:
        for _ in range(5):
            world.make_node(provision_state=states.AVAILABLE)
        begun: list[Any] = []
        world.manager._spawn_worker.side_effect = (
            lambda *args: begun.append(args))
        run(world)
        world.now += 10
        run(world)
        run(world)
        assert len(begun) == 2
    finally:
        CONF.clear_override('audit_workers', group='accelerator')


def test_a_full_pool_takes_nothing_away(world: World) -> None:
    CONF.set_override('audit_interval', 1, group='accelerator')
    node = world.make_node(provision_state=states.AVAILABLE)
    world.boxes[node.uuid] = ecc('enabled')
    spawn = world.manager._spawn_worker.side_effect
    world.manager._spawn_worker.side_effect = (
        exception.NoFreeConductorWorker())
    run(world)
    for _ in range(10):
        world.now += CONF.accelerator.audit_retry
        run(world)
    assert world.asked == []
    world.manager._spawn_worker.side_effect = spawn
    world.now += CONF.accelerator.audit_retry
    run(world)
    assert world.asked == [node.uuid]


def test_error_of_one_node_is_logged_and_retried(
        world: World, caplog: pytest.LogCaptureFixture) -> None:
    CONF.set_override('audit_interval', 1, group='accelerator')
    node = world.make_node(provision_state=states.AVAILABLE)
    world.boxes[node.uuid] = ValueError('what is this')
    world.now += 1
    run(world)
    world.now += 1
    run(world)
    assert 'what is this' in caplog.text
    assert counted('audit.failed') == 1
    world.boxes[node.uuid] = ecc('enabled')
    world.now += CONF.accelerator.audit_retry
    run(world)
    assert IS in world.traits(node)


def test_nodes_of_other_hardware_types_are_not_audited(
        world: World) -> None:
    CONF.set_override('audit_interval', 1, group='accelerator')
    node = world.make_node(provision_state=states.AVAILABLE)
    world.manager.iter_nodes.side_effect = lambda **_asked: [
        (node.uuid, 'redfish', '')]
    world.now += 100
    run(world)
    run(world)
    assert world.asked == []


def test_a_node_that_is_lost_in_an_audit_is_overtaken(
        world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Another conductor has it by now: nothing is published, no trace."""
    node = world.node()
    world.boxes[node.uuid] = ecc('disabled')
    before = world.traits(node)
    with mock.patch.object(saving, '_fenced', autospec=True,
                           side_effect=saving.NotOurs('gone')):
        assert world.look(node) == 'overtaken'
    assert world.traits(node) == before
    assert 'Traceback' not in caplog.text


@pytest.mark.parametrize('error', [
    RuntimeError('boom'), db_exc.DBConnectionError('gone'),
    exception.DriverLoadError(driver='x', reason='y')])
def test_whatever_ends_an_audit_its_place_is_free_again(
        world: World, caplog: pytest.LogCaptureFixture,
        error: Exception) -> None:
    CONF.set_override('audit_interval', 1, group='accelerator')
    node = world.make_node(provision_state=states.AVAILABLE)
    world.boxes[node.uuid] = ecc('enabled')
    with mock.patch.object(audit, 'audit', autospec=True,
                           side_effect=error) as asked:
        for _ in range(2 * CONF.accelerator.audit_workers):
            world.now += CONF.accelerator.audit_retry
            run(world)
        # More often than there are places.
        assert asked.call_count > CONF.accelerator.audit_workers
    assert f'Unexpected error in the audit of node {node.uuid}' in caplog.text
    world.now += CONF.accelerator.audit_retry
    run(world)
    assert world.asked == [node.uuid]
