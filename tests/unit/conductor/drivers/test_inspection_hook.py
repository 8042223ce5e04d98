# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The inspection hook, among upstream's own, on real objects.

What the ramdisk sends is made by the in-band backend on a simulated machine,
and of the shape that upstream's collectors give.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import copy
import json
import pathlib
from typing import Any
from unittest import mock

from ironic.common import states
from ironic.conductor import base_manager
from ironic.conf import CONF
from ironic.drivers.modules import inspect_utils
from ironic.drivers.modules.inspector import agent
from ironic.drivers.modules.redfish import vendor as redfish_vendor
from ironic import objects
import pytest

from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.config import catalogue
from ironic_accel.conductor.config import profiles as profiles_module
from ironic_accel.conductor.drivers import vendor
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import inventory_store
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.operation import inspection
from ironic_accel.conductor.publication import properties
from ironic_accel.conductor.publication import traits
from ironic_accel.converge import agent_schema
from ironic_accel.converge.ports import Backend
from ironic_accel.inband.backend import LocalBackend
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import PciIds
from ironic_accel.model.errors import BadInput
from ironic_accel.model.errors import Unreachable
from ironic_accel.model import serialization
from ironic_accel.model.trait_meaning import PRESENT
from tests.unit.conductor import sample
from tests.unit.inband import sample as inband

Make = Callable[..., Any]

NOW = 1_700_000_000.0
FOREIGN = 'CUSTOM_RACK_7'
KINDS = ['CUSTOM_ACCEL_CRYPTO', 'CUSTOM_ACCEL_CRYPTO_X1', 'CUSTOM_ACCEL_GPU',
         'CUSTOM_ACCEL_GPU_X1']
#: The machine's A100, an L20 of [inspector]known_accelerators that is not in
#: its sysfs, so that upstream alone has it, and a display.
PCI = [{'vendor_id': '10de', 'product_id': '20b0', 'class': '030200',
        'bus': inband.GPU},
       {'vendor_id': '10de', 'product_id': '26ba', 'class': '030200',
        'bus': '0000:99:00.0'},
       {'vendor_id': '1a03', 'product_id': '2000', 'class': '030000',
        'bus': '0000:03:00.0'}]


@pytest.fixture
def sent(tmp_path: pathlib.Path) -> dict[str, Any]:
    """What the ramdisk sends beside the inventory, through JSON."""
    _, host = inband.machine(tmp_path)
    (tmp_path / 'bin' / 'burner').touch()
    backend = LocalBackend(host, (inband.Burner(tmp_path),), name='agent',
                           folder=str(tmp_path / 'jobs'))
    seen = backend.observe()
    data: dict[str, Any] = json.loads(
        json.dumps(
            {
                'pci_devices': PCI,
                'root_disk': {'name': '/dev/sda'},
                'accelerators': {
                    'inventory': serialization.inventory_to_dict(seen),
                    'transports': [
                        agent_schema.transport_to_dict(w)
                        for w in backend.transports(seen)
                    ],
                },
            }
        )
    )
    return data


@pytest.fixture
def task(make_node: Make, acquire: Make, context: Any,
         profiles: pathlib.Path) -> Any:
    """A locked node that is being inspected, with a trait of others."""
    node = make_node(provision_state=states.INSPECTING, properties={
        'cpu_arch': 'x86_64', 'capabilities': 'boot_mode:uefi'})
    objects.Trait(context, node_id=node.id, trait=FOREIGN).create()
    return acquire(node)


@pytest.fixture
def bmc() -> Iterator[mock.Mock]:
    """The node's BMC: it does not answer, unless a test lets it."""
    made = mock.create_autospec(Backend, instance=True)
    made.sources.side_effect = Unreachable('no route to the BMC')
    made.transports.return_value = ()
    for name in ('start', 'poll', 'commit'):
        getattr(made, name).side_effect = AssertionError(name)
    with mock.patch.object(bmc_session, 'backend', autospec=True,
                           return_value=made):
        yield made


@pytest.fixture(autouse=True)
def now() -> Iterator[mock.Mock]:
    """The time, which stands still."""
    with mock.patch.object(clock, 'shared', autospec=True,
                           return_value=NOW) as made:
        yield made


def run(task: Any, data: dict[str, Any], *names: str,
        inventory: dict[str, Any] | None = None) -> dict[str, Any]:
    """Run hooks as agent inspection does; the data as they are stored."""
    inspect_utils._HOOKS_MGR.clear()
    CONF.set_override('hooks', ','.join(names or ('accelerator-traits',)),
                      group='inspector')
    try:
        task.driver.inspect = agent.AgentInspect()
    finally:
        CONF.clear_override('hooks', group='inspector')
        inspect_utils._HOOKS_MGR.clear()
    inventory = inventory or {'cpu': {'count': 2}}
    data = copy.deepcopy(data)
    inspect_utils.run_inspection_hooks(
        task, inventory, data, task.driver.inspect.hooks, None)
    inspect_utils.store_inspection_data(
        task.node, inventory, data, task.context)
    stored: dict[str, Any] = json.loads(json.dumps(data))
    return stored


def published(task: Any) -> dict[str, Any]:
    """All that a hook may change, as it is in the database."""
    node = objects.Node.get_by_id(task.context, task.node.id)
    return {
        'traits': sorted(traits.of(task)),
        'meanings': traits.published(node),
        'properties': node.properties,
        'rows': {r.component: r.current_version
                 for r in objects.FirmwareComponentList.get_by_node_id(
                     task.context, node.id)},
        'summary': node.driver_internal_info.get(keys.SUMMARY.name),
        'data': inspect_utils.get_inspection_data(node, task.context)}


def note(task: Any) -> Any:
    return task.node.driver_internal_info[keys.RESULT.name]['note']


def test_agent_data_become_record_traits_and_rows(
        task: Any, sent: dict[str, Any], bmc: mock.Mock) -> None:
    stored = run(task, sent)
    found = published(task)
    assert set(KINDS) | {FOREIGN} < set(found['traits'])
    assert found['rows'] == {
        'accel:nic-MT2049X00001/nic': '22.41.1000'}
    assert found['properties']['cpu_arch'] == 'x86_64'
    assert found['properties']['capabilities'] == 'boot_mode:uefi'
    assert stored['root_disk'] == {'name': '/dev/sda'}
    known = inventory_store.load(task)
    assert known is not None
    assert (known.at, known.inventory.seen_via) == (NOW, ('agent',))
    transport, = known.transports
    assert ('nic-MT2049X00001', 'sriov') in transport.sets
    assert note(task).startswith(
        'reported by the ramdisk; the BMC could not be read')


def test_the_property_has_all_that_upstream_has_and_more(
        task: Any, sent: dict[str, Any], bmc: mock.Mock) -> None:
    run(task, sent)
    entries = published(task)['properties']['accelerators']
    gpu, = [e for e in entries if e['pci_address'] == inband.GPU]
    assert (gpu['vendor_id'], gpu['device_id'], gpu['type']) == (
        '10de', '20b0', 'GPU')
    assert gpu['product'] and gpu['device_info']
    assert {e['type'] for e in entries} == {'GPU', 'CRYPTO'}
    assert {'vendor_id': '10de', 'device_id': '26ba', 'type': 'GPU',
            'device_info': 'NVIDIA Corporation L20',
            'pci_address': '0000:99:00.0'} in entries
    assert all({'vendor_id', 'device_id', 'type', 'device_info',
                'pci_address'} <= set(e) for e in entries)


@pytest.mark.parametrize('names', [
    ('accelerators', 'pci-devices', 'accelerator-traits'),
    ('accelerator-traits', 'pci-devices', 'accelerators'),
    ('pci-devices', 'accelerator-traits', 'accelerators')])
def test_the_order_of_hooks_does_not_matter(
        task: Any, sent: dict[str, Any], bmc: mock.Mock,
        names: tuple[str, ...]) -> None:
    run(task, sent)
    alone = published(task)
    _reset(task)
    run(task, sent, *names)
    _leave_inspection(task)
    assert published(task) == alone


def test_the_property_is_made_good_once_the_inspection_is_over(
        task: Any, sent: dict[str, Any], bmc: mock.Mock) -> None:
    run(task, sent, 'accelerator-traits', 'accelerators')
    assert len(task.node.properties['accelerators']) == 1
    assert not properties.wanted(task.node)
    _leave_inspection(task)
    assert len(task.node.properties['accelerators']) == 3
    assert not properties.wanted(task.node)


def test_full_node_keeps_the_property_of_a_later_hook(
        task: Any, sent: dict[str, Any], bmc: mock.Mock) -> None:
    room = operation.MAX_INFO_BYTES - len(
        json.dumps(task.node.driver_internal_info))
    task.node.set_driver_internal_info('somebody', 'x' * (room - 50))
    run(task, sent, 'accelerator-traits', 'accelerators')
    assert keys.PROPERTIES.name not in task.node.driver_internal_info
    _leave_inspection(task)
    assert len(task.node.properties['accelerators']) == 1


def test_again_on_stored_data_gives_the_same(
        task: Any, sent: dict[str, Any], bmc: mock.Mock,
        now: mock.Mock) -> None:
    stored = run(task, sent)
    first = published(task)
    now.return_value = NOW + 1000
    assert run(task, stored) == stored
    assert published(task) == first
    assert note(task) == 'read from the stored inspection data'


def test_again_on_a_node_without_traits_gives_the_same(
        task: Any, sent: dict[str, Any], bmc: mock.Mock,
        make_node: Make, acquire: Make) -> None:
    stored = run(task, sent)
    first = published(task)
    other = acquire(make_node(
        provision_state=states.INSPECTING,
        properties=dict(task.node.properties)))
    CONF.set_override('ownership_scope', 'none', group='accelerator')
    inspect_utils.store_inspection_data(
        other.node, {}, {'accelerators': stored['accelerators']},
        other.context)
    try:
        run(other, stored)
    finally:
        CONF.clear_override('ownership_scope', group='accelerator')
    again = published(other)
    assert again['traits'] == [t for t in first['traits'] if t != FOREIGN]
    for key in ('meanings', 'properties', 'rows', 'summary', 'data'):
        assert again[key] == first[key]


def test_data_older_than_the_stored_ones_change_nothing(
        task: Any, sent: dict[str, Any], bmc: mock.Mock) -> None:
    old = run(task, sent)
    inventory_store.save(task, sample.box(), now=NOW + 500)
    task.node.save()
    run(task, old)
    known = inventory_store.load(task)
    assert known is not None
    assert (known.at, len(known.inventory.devices)) == (NOW + 500, 2)
    assert 'newer data are stored' in note(task)


def test_data_of_before_a_tenant_are_not_published_again(
        task: Any, sent: dict[str, Any], bmc: mock.Mock) -> None:
    old = run(task, sent)
    traits.change(task, {}, list(traits.published(task.node)))
    inventory_store.tenant_gone(task.node)
    run(task, old)
    assert published(task)['traits'] == [FOREIGN]
    assert 'a tenant had the node after' in note(task)


def test_bmc_inventory_drops_ramdisk_data_after_a_tenant(
        task: Any, sent: dict[str, Any], bmc: mock.Mock,
        now: mock.Mock) -> None:
    run(task, sent)
    inventory_store.tenant_gone(task.node)
    now.return_value = NOW + 10
    bmc.sources.side_effect = None
    bmc.sources.return_value = sample.sources(_bmc_view())
    run(task, {})
    known = inventory_store.load(task)
    assert known is not None
    nic = known.inventory.device('nic-MT2049X00001')
    assert nic is not None
    assert (nic.address, nic.modes, nic.components) == (
        inband.NIC[0], (), ())
    assert 'CUSTOM_ACCEL_CRYPTO_X1' in published(task)['traits']
    run(task, sent)
    assert keys.INSIDE_VOID.name not in task.node.driver_internal_info


def test_bmc_and_ramdisk_inventories_are_joined(
        task: Any, sent: dict[str, Any], bmc: mock.Mock) -> None:
    bmc.sources.side_effect = None
    bmc.sources.return_value = sample.sources(_bmc_view())
    run(task, sent)
    found = published(task)
    assert 'CUSTOM_ACCEL_GPU_X1' in found['traits']
    known = inventory_store.load(task)
    assert known is not None
    assert known.inventory.seen_via == ('redfish', 'agent')
    nic = known.inventory.device('nic-MT2049X00001')
    assert nic is not None
    assert (nic.address, nic.uri, nic.mode('sriov') is not None) == (
        inband.NIC[0], '/nic', True)
    assert found['rows']['accel:baseboard-B1/fpga'] == '3.11'
    assert note(task) == 'reported by the ramdisk and the BMC'


def test_unreachable_bmc_keeps_its_last_data(
        task: Any, sent: dict[str, Any], bmc: mock.Mock) -> None:
    inventory_store.save(task, _bmc_view(), now=NOW - 10)
    run(task, sent)
    known = inventory_store.load(task)
    assert known is not None
    nic = known.inventory.device('nic-MT2049X00001')
    assert nic is not None
    assert (nic.address, nic.uri) == (inband.NIC[0], '/nic')
    assert published(task)['rows']['accel:baseboard-B1/fpga'] == '3.11'


def test_redfish_inspection_reads_the_bmc(
        task: Any, bmc: mock.Mock) -> None:
    bmc.sources.side_effect = None
    bmc.sources.return_value = sample.sources(sample.box())
    held = task.node.properties
    stored = run(task, {})
    # ironic/drivers/modules/redfish/inspect.py ends with just this.
    task.node.properties = held
    task.node.save()
    found = published(task)
    assert 'CUSTOM_ACCEL_GPU_X2' in found['traits']
    assert stored['accelerators']['inventory']['seen_via'] == ['redfish']
    assert [e['type'] for e in found['properties']['accelerators']] == [
        'GPU', 'GPU']
    assert note(task) == 'reported by the BMC'


def test_an_inspection_asks_the_bmc_for_the_pushes_of_the_profiles(
        task: Any, bmc: mock.Mock, profiles: pathlib.Path) -> None:
    """As a refresh does: an offered profile may need one of them."""
    data = sample.profile_data('pushed', allow=['burn_at_deploy'])
    data['images']['bundle']['push'] = {'style': 'hgx'}
    profiles.joinpath('pushed.yaml').write_text(sample.yaml_of(data))
    bmc.sources.side_effect = None
    bmc.sources.return_value = sample.sources(sample.box())
    bmc.transports.side_effect = lambda seen, pushes=(): (
        (sample.transport(seen),)
        if [p.style for p in pushes] == ['hgx']
        else ()
    )
    run(task, {})
    assert 'CUSTOM_ACCEL_CAN_PUSHED' in published(task)['traits']


@pytest.mark.parametrize(('change', 'why'), [
    ({'host': 'off'}, 'the BMC reports the host as off'),
    ({'complete': False}, 'the inventory of the BMC is not complete yet')])
def test_incomplete_inventory_publishes_nothing(
        task: Any, bmc: mock.Mock, change: dict[str, Any], why: str) -> None:
    bmc.sources.side_effect = None
    bmc.sources.return_value = sample.sources(sample.box(**change))
    stored = run(task, {})
    assert published(task)['traits'] == [FOREIGN]
    assert 'accelerators' not in stored
    assert note(task) == why


def test_stored_inventory_survives_an_inspection_without_accelerators(
        task: Any, bmc: mock.Mock) -> None:
    inventory_store.save(task, sample.box(), now=NOW - 10)
    run(task, {'root_disk': {}})
    known = inventory_store.load(task)
    assert known is not None
    assert known.at == NOW - 10
    assert len(task.node.properties['accelerators']) == 2


@pytest.mark.parametrize(('data', 'why'), [
    ({'accelerators_error': 'OSError: no sysfs'},
     'the ramdisk could not read the accelerators: OSError: no sysfs'),
    ({'accelerators': {'inventory': {
        **serialization.inventory_to_dict(sample.box(complete=False))}}},
     'the inventory of the ramdisk is incomplete')])
def test_a_ramdisk_that_did_not_see_all_withdraws_nothing(
        task: Any, bmc: mock.Mock, data: dict[str, Any], why: str) -> None:
    traits.change(task, {KINDS[2]: PRESENT}, ())
    run(task, data)
    assert published(task)['traits'] == sorted({KINDS[2], FOREIGN})
    assert note(task) == why


@pytest.mark.parametrize('garbled', [
    {'inventory': {'schema': 'inventory/9'}}, {'inventory': 7},
    {'inventory': {'schema': 'inventory/3'}}, {'at': 1.0}, 'text',
    [{'vendor_id': '10de'}]])
def test_garbled_data_stop_no_inspection(
        task: Any, bmc: mock.Mock, garbled: Any) -> None:
    run(task, {'accelerators': garbled}, 'accelerator-traits',
        'architecture', inventory={'cpu': {'architecture': 'aarch64'}})
    assert published(task)['traits'] == [FOREIGN]
    assert task.node.properties['cpu_arch'] == 'aarch64'


@pytest.mark.parametrize('by_parent', [False, True])
def test_nothing_is_published_while_something_is_written(
        task: Any, sent: dict[str, Any], bmc: mock.Mock, make_node: Make,
        by_parent: bool) -> None:
    node = make_node() if by_parent else task.node
    flash_guard.put(node, 'card', NOW, 60)
    if by_parent:
        node.save()
        task.node.parent_node = node.uuid
    run(task, sent)
    assert published(task)['traits'] == [FOREIGN]
    assert 'an update is in progress' in note(task)


def test_a_node_with_another_driver_gets_the_property_alone(
        task: Any, sent: dict[str, Any], bmc: mock.Mock) -> None:
    task.driver.vendor = redfish_vendor.RedfishVendorPassthru()
    stored = run(task, sent)
    found = published(task)
    assert found['traits'] == [FOREIGN]
    assert found['rows'] == {}
    assert len(found['properties']['accelerators']) == 3
    assert stored['accelerators'] == sent['accelerators']
    bmc.observe.assert_not_called()


def test_a_site_profile_is_seen_to_hold(
        task: Any, profiles: pathlib.Path, bmc: mock.Mock) -> None:
    (profiles / 'p.yaml').write_text(sample.yaml_of(
        sample.mode_profile('ecc-off', ecc='disabled')))
    profiles_module.site_profiles()
    bmc.sources.side_effect = None
    bmc.sources.return_value = sample.sources(sample.box())
    bmc.transports.side_effect = lambda seen, _=(): (sample.transport(seen),)
    run(task, {})
    assert {'CUSTOM_ACCEL_IS_ECC_OFF', 'CUSTOM_ACCEL_CAN_ECC_OFF'} <= set(
        published(task)['traits'])


def test_a_known_device_without_an_address_is_listed_once() -> None:
    seen = sample.box(Device('a', 'gpu', model='A40', health='OK',
                             pci=PciIds('10de', '2235')))
    pci = {'vendor_id': '10de', 'product_id': '2235'}
    listed = properties.listed(seen, catalogue.catalogue(),
                               {'pci_devices': [pci, pci]})
    assert [e['device_info'] for e in listed] == [
        'A40', 'NVIDIA Corporation A40']
    assert [e['pci_address'] for e in listed] == [None, None]


def _bmc_view() -> Inventory:
    """The same machine as its BMC shows it: no address, no QAT."""
    return sample.box(
        Device('baseboard-B1', 'baseboard', serial='B1', uri='/board',
               components=(Component('fpga', 'FPGA', '3.11', uri='/f'),)),
        Device('nic-MT2049X00001', 'nic', vendor='nvidia',
               serial='MT2049X00001', location='NIC 1', uri='/nic',
               health='OK'),
        Device('gpu@1', 'gpu', vendor='nvidia', location='GPU 1',
               pci=PciIds('10de', '20b0'), uri='/gpu', health='OK'))


def _reset(task: Any) -> None:
    """The node as before its first inspection."""
    node = task.node
    traits.change(task, {}, list(traits.published(node)))
    for row in objects.FirmwareComponentList.get_by_node_id(
            task.context, node.id):
        inventory_store._drop_row(task, row)
    objects.NodeInventory.get_by_node_id(task.context, node.id).destroy()
    node.driver_internal_info = {}
    node.properties = {k: v for k, v in node.properties.items()
                       if k != 'accelerators'}
    node.save()


def _leave_inspection(task: Any) -> None:
    """End the inspection, and let the conductor's periodic have its pass."""
    node = task.node
    node.provision_state = states.MANAGEABLE
    node.save()
    task.downgrade_lock()
    manager = mock.create_autospec(
        base_manager.BaseConductorManager, instance=True)
    manager.iter_nodes.side_effect = lambda filters: (
        objects.Node.dbapi.get_nodeinfo_list(
            columns=['uuid', 'driver', 'conductor_group'],
            filters=filters))
    vendor.RedfishAccelerator().set_accelerator_property(
        manager, task.context)
    node.refresh()


@pytest.mark.parametrize(('error', 'told'), [
    (BadInput('x: not so'), 'not inspected: x: not so'),
    (RuntimeError('secret-7'), 'not inspected: RuntimeError, see')])
def test_error_does_not_fail_the_inspection_and_is_reported(
        task: Any, sent: dict[str, Any], bmc: mock.Mock,
        caplog: pytest.LogCaptureFixture, error: Exception,
        told: str) -> None:
    with mock.patch.object(inspection, 'take', autospec=True,
                           side_effect=error):
        stored = run(task, sent)
    assert stored['root_disk'] == {'name': '/dev/sda'}
    assert note(task).startswith(told)
    assert 'secret-7' not in note(task)
    assert f'inspect the accelerators of node {task.node.uuid}' in caplog.text


def test_a_ramdisk_that_sends_garbage_is_named_in_the_result(
        task: Any, sent: dict[str, Any], bmc: mock.Mock) -> None:
    sent['accelerators']['inventory'] = {'schema': 'inventory/3',
                                         'devices': 7}
    run(task, sent)
    assert note(task).startswith('not inspected: ')
    assert objects.TraitList.get_by_node_id(
        task.context, task.node.id).get_trait_names() == [FOREIGN]
