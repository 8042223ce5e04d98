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

"""Properties of the trees of single vendors.

The structure of each is that of a recorded tree, which the test names; the
values are invented.
"""

from __future__ import annotations

from typing import Any

import pytest
from sushy import exceptions

from ironic_accel.model.device import Device
from ironic_accel.model.errors import BadInput
from ironic_accel.model.errors import Unreachable
from ironic_accel.redfish.backend import RedfishBackend
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client.read_history import ReadHistory
from tests.unit.redfish.inventory.test_every_property import Answer
from tests.unit.redfish.inventory.test_trees import collection
from tests.unit.redfish.inventory.test_trees import Docs
from tests.unit.redfish.inventory.test_trees import GPU1
from tests.unit.redfish.inventory.test_trees import link
from tests.unit.redfish.inventory.test_trees import look
from tests.unit.redfish.inventory.test_trees import PROCESSORS
from tests.unit.redfish.inventory.test_trees import resource
from tests.unit.redfish.inventory.test_trees import server
from tests.unit.redfish.inventory.test_trees import SYSTEM
from tests.unit.redfish.inventory.test_trees import Tree
from tests.unit.redfish.inventory.test_trees import V1
from tests.unit.redfish.inventory.test_trees import with_jobs

CHASSIS = f'{V1}/Chassis/1'
CARD = f'{CHASSIS}/PCIeDevices/slot_3'
UPDATE = f'{V1}/UpdateService'
ENTRIES = f'{UPDATE}/FirmwareInventory'


def gpu1(docs: Docs) -> Device:
    return next(d for d in look(docs).devices if d.uri == GPU1)


EMPTY: Docs = {'InitialStartTime': None, 'RecurrenceInterval': None,
         'EnabledDaysOfWeek': [], 'Name': 'Lenovo:Restart'}


@pytest.mark.parametrize('state', ['Suspended', 'New', 'Scheduled',
                                   'Pending'])
@pytest.mark.parametrize(('more', 'begins'), [
    ({'Schedule': EMPTY}, None),
    ({'Schedule': {}}, None),
    ({'Schedule': {**EMPTY, 'RecurrenceInterval': 'P7D'}},
     'RecurrenceInterval P7D'),
    ({'Schedule': {**EMPTY, 'InitialStartTime': '2031-01-01T02:00:00Z'}},
     'InitialStartTime 2031-01-01T02:00:00Z'),
    ({'Schedule': {**EMPTY, 'EnabledDaysOfWeek': ['Every']}},
     "EnabledDaysOfWeek ['Every']")])
def test_a_schedule_without_a_time_is_not_work(
        state: str, more: Docs, begins: str | None) -> None:
    """Lenovo ThinkSystem with XCC: JobService/Jobs/PowerOff and so on."""
    seen = look(with_jobs(JobState=state, Name='Restart',
                          PercentComplete=None, **more))
    assert not seen.held
    assert [b.summary for b in seen.busy] == ([] if begins is None else [
        f'Restart {state}, scheduled for {begins}'])


@pytest.mark.parametrize('more', [
    {'JobState': 'Running', 'Schedule': EMPTY},
    {'JobState': 'Suspended', 'Schedule': EMPTY, 'PercentComplete': 30},
    {'JobState': 'Suspended', 'Schedule': EMPTY,
     'StartTime': '2026-01-01T00:00:00Z'},
    {'JobState': 'Suspended'}, {'JobState': 'Invented', 'Schedule': EMPTY}])
def test_a_started_job_is_work_whatever_its_schedule(
        more: Docs) -> None:
    assert look(with_jobs(**more)).busy


@pytest.mark.parametrize(('own', 'state', 'busy'), [
    ({'ExportStatus': 'NA', 'Protocol': 'NA'}, 'New', False),
    ({'UpdateStatus': 'None', 'FWVersion': '4.1'}, 'New', False),
    ({'ExportStatus': 'NA'}, 'Running', True),
    ({'ExportStatus': 'InProgress'}, 'New', True),
    ({'ExportStatus': 'NA', 'UpdateStatus': 'Starting (0%)'}, 'New', True),
    ({'ExportStatus': None}, 'New', True), ({}, 'New', True)])
def test_a_task_slot_that_was_never_started_is_not_work(
        own: Docs, state: str, busy: bool) -> None:
    """Cisco UCS S3260, CIMC: its ten tasks always exist."""
    docs = server()
    tasks = f'{V1}/TaskService'
    docs[V1] = {**docs[V1], 'Tasks': link(tasks)}
    docs[tasks] = resource(tasks, 'TaskService', Tasks=link(f'{tasks}/Tasks'))
    docs[f'{tasks}/Tasks'] = collection(f'{tasks}/Tasks', 'Task',
                                        f'{tasks}/Tasks/BMC1')
    docs[f'{tasks}/Tasks/BMC1'] = resource(
        f'{tasks}/Tasks/BMC1', 'Task', TaskState=state, TaskStatus='OK',
        Oem={'Cisco': own})
    assert bool(look(docs).busy) is busy


@pytest.mark.parametrize(('kind', 'held'), [
    ('Job', False), ('DellJob', False), ('Memory', True)])
def test_a_vendor_s_own_job_type(kind: str, held: bool) -> None:
    """iDRAC: a JobCollection of DellJobs."""
    docs = with_jobs(JobState='Completed')
    path = f'{V1}/JobService/Jobs/JID_1'
    docs[path]['@odata.type'] = f'#{kind}.v1_0_0.{kind}'
    assert bool(look(docs).held) is held


def with_entry(**more: Any) -> Docs:
    """A firmware entry with a link to its device."""
    docs = server(**{
        UPDATE: resource(UPDATE, 'UpdateService',
                         FirmwareInventory=link(ENTRIES)),
        ENTRIES: collection(ENTRIES, 'SoftwareInventory', f'{ENTRIES}/7'),
        f'{ENTRIES}/7': resource(f'{ENTRIES}/7', 'SoftwareInventory',
                                 Version='92.00', **more)})
    docs[V1] = {**docs[V1], 'UpdateService': link(UPDATE)}
    return docs


@pytest.mark.parametrize(('related', 'known'), [
    ([link(GPU1)], True), (link(GPU1), True), (GPU1, True), ([GPU1], True),
    ([f'{GPU1}/'], True), ('GPU1', False), ([None], False), (None, False),
    (['http://192.0.2.66' + GPU1], False)])
def test_related_item_as_a_bare_path(related: Any, known: bool) -> None:
    """Cisco UCS C240 M5, CIMC: RelatedItem."""
    part = gpu1(with_entry(RelatedItem=related)).component('gpu')
    assert part is not None
    assert (part.uri == f'{ENTRIES}/7') is known


def test_an_unread_entry_may_be_any_component_of_the_product(
        ) -> None:
    docs = with_entry()
    docs[f'{ENTRIES}/7'] = 503
    assert gpu1(docs).unread == ('firmware:erot', 'firmware:inforom')


def dpu(**adapter: Any) -> Docs:
    """A BlueField's BMC: the network side is in both of its Chassis."""
    system = f'{V1}/Systems/Bluefield'
    both = [f'{V1}/Chassis/{c}' for c in ('Bluefield_BMC', 'Card1')]
    docs: Docs = {
        V1: resource(V1, 'ServiceRoot', Systems=link(f'{V1}/Systems'),
                     Chassis=link(f'{V1}/Chassis')),
        f'{V1}/Systems': collection(f'{V1}/Systems', 'ComputerSystem',
                                    system),
        system: resource(
            system, 'ComputerSystem', PowerState='On', SerialNumber='MT1',
            Model='BlueField-3 SmartNIC Main Card',
            Manufacturer='https://www.mellanox.com',
            Status={'Health': 'OK', 'State': 'Enabled'},
            BootProgress={'LastState': 'OSRunning'},
            Links={'Chassis': [link(both[0])]}),
        f'{V1}/Chassis': collection(f'{V1}/Chassis', 'Chassis', *both)}
    for chassis in both:
        folder = f'{chassis}/NetworkAdapters'
        one = f'{folder}/NvidiaNetworkAdapter'
        docs[chassis] = resource(
            chassis, 'Chassis', NetworkAdapters=link(folder),
            ChassisType='Card',
            Links={'ComputerSystems': [link(system)]})
        docs[folder] = collection(folder, 'NetworkAdapter', one)
        docs[one] = resource(
            one, 'NetworkAdapter', Manufacturer='Nvidia',
            NetworkDeviceFunctions=link(f'{one}/F'), **adapter)
        docs[f'{one}/F'] = collection(
            f'{one}/F', 'NetworkDeviceFunction', f'{one}/F/eth0')
        docs[f'{one}/F/eth0'] = resource(
            f'{one}/F/eth0', 'NetworkDeviceFunction',
            Ethernet={'MACAddress': '02:00:00:00:00:01'})
    return docs


def test_the_network_side_of_a_dpu_is_not_a_separate_card() -> None:
    device, = look(dpu()).devices
    assert (device.kind, device.product, device.macs) == (
        'dpu', 'nvidia-bluefield-3', ('02:00:00:00:00:01',))
    device, = look(dpu(Status={'Health': 'Critical'})).devices
    assert device.health == 'Critical'


@pytest.mark.parametrize('name', ['Model', 'SerialNumber', 'PartNumber'])
def test_an_adapter_with_a_name_is_a_separate_card(name: str) -> None:
    kinds = [d.kind for d in look(dpu(**{name: 'X1'})).devices]
    assert kinds.count('nic') >= 1


def with_card(*functions: Docs, **card: Any) -> Docs:
    docs = server()
    docs[GPU1] = {**docs[GPU1], 'Links': {'PCIeDevice': link(CARD)}}
    paths = [f'{CARD}/PCIeFunctions/{i}' for i in range(len(functions))]
    docs[CARD] = resource(CARD, 'PCIeDevice', **{
        'Status': {'Health': 'OK', 'State': 'Enabled'},
        'Links': {'PCIeFunctions': [link(p) for p in paths]}, **card})
    for path, told in zip(paths, functions, strict=True):
        docs[path] = resource(path, 'PCIeFunction', **told)
    return docs


OK = {'Health': 'OK', 'State': 'Enabled'}


@pytest.mark.parametrize(('functions', 'health', 'state'), [
    ([{'Status': OK}], 'OK', 'Enabled'),
    ([{'Status': {'Health': 'Critical', 'State': 'Enabled'}}], 'Critical',
     'Enabled'),
    ([{'Status': {**OK, 'State': 'Disabled'}}], 'OK', 'Disabled'),
    ([{'Status': OK}, {'Status': {'Health': 'Warning'}}], 'Warning',
     'Enabled'),
    ([{'Status': OK}, {'Status': {**OK, 'State': 'Disabled'}}], 'OK',
     'Enabled'),
    ([{}, {}], 'OK', 'Enabled'),
    ([{'Status': {'Health': None, 'State': None}}], 'OK', 'Enabled'),
    ([{'Status': {'HealthRollup': 'Critical'}}], 'OK', 'Enabled'),
    ([{'DeviceClass': 'NetworkController',
       'Status': {**OK, 'State': 'Disabled'}}], 'OK', 'Enabled')])
def test_health_from_a_pcie_function(
        functions: list[Docs], health: str, state: str) -> None:
    """Lenovo ThinkSystem with XCC: each PCIeFunction has a Status."""
    device = gpu1(with_card(*functions))
    assert (device.health, device.state, device.unread) == (
        health, state, ())


def test_location_and_model_from_the_pcie_device_only() -> None:
    docs = with_card({'VendorId': '0x10de', 'DeviceId': '0x26b5'}, Slot={
        'Location': {'PartLocation': {'ServiceLabel': 'PCIe 3'},
                     'Info': 'Slot 3'}}, SerialNumber='S9',
        PartNumber='26B5-895-A1')
    docs[GPU1] = resource(GPU1, 'Processor', ProcessorType='GPU',
                          Model='', PartNumber='', Manufacturer='NVIDIA',
                          Links={'PCIeDevice': link(CARD)})
    device = gpu1(docs)
    assert (device.product, device.location, device.serial) == (
        'nvidia-l40', 'PCIe 3', 'S9')


@pytest.mark.parametrize('doc', [503, {}, {'error': 'busy'}, 404])
def test_an_unread_function_leaves_health_unknown(doc: Any) -> None:
    docs = with_card({'Status': OK})
    docs[f'{CARD}/PCIeFunctions/0'] = doc
    assert gpu1(docs).unread == ('health', 'identity', 'state')


def condition(severity: Any, origin: str | None = None,
              message: str = 'Base.1.8.ResourceErrorsDetected') -> Docs:
    return {'Severity': severity, 'MessageId': message, 'Message': 'bad',
            **({'OriginOfCondition': link(origin)} if origin else {})}


@pytest.mark.parametrize(('conditions', 'health', 'unread'), [
    ([], 'OK', ()), (None, 'OK', ()),
    ([condition('Critical')], 'Critical', ()),
    ([condition('Warning'), condition('OK')], 'Warning', ()),
    ([condition('Warning'), condition('Critical')], 'Critical', ()),
    ([condition('Critical', GPU1)], 'Critical', ()),
    ([condition('Critical', f'{GPU1}/MemorySummary')], 'Critical', ()),
    ([condition('Critical', f'{GPU1}/Ports/NVLink_0')], 'OK', ()),
    ([condition('Critical', f'{PROCESSORS}/GPU2')], 'OK', ()),
    ([condition('Critical', None,
                'Base.1.8.ConditionInRelatedResource')], 'OK', ()),
    ([condition('Dreadful')], 'OK', ('health',)),
    ([condition(None)], 'OK', ('health',)),
    ([7], 'OK', ('health',)), ('bad', 'OK', ('health',)),
    ({'Severity': 'Critical'}, 'OK', ('health',))])
def test_conditions_count_for_the_health_of_a_device(
        conditions: Any, health: str, unread: tuple[str, ...]) -> None:
    """NVIDIA GB200 NVL: a processor with Health OK and a Critical one."""
    docs = server()
    docs[GPU1]['Status'] = {**OK, 'Conditions': conditions}
    device = gpu1(docs)
    assert (device.health, device.unread) == (health, unread)


def test_a_condition_is_a_warning_with_its_message() -> None:
    docs = server()
    docs[GPU1]['Status'] = {**OK, 'Conditions': [condition('Critical')]}
    assert (GPU1, 'condition Critical: bad') in {
        (w.uri, w.message) for w in look(docs).warnings}


@pytest.mark.parametrize('health', ['OK', 'Ok', 'ok'])
def test_health_in_any_capitalisation(health: str) -> None:
    """Older iDRACs and Cray blade controllers report Ok."""
    docs = server()
    docs[GPU1]['Status'] = {'Health': health}
    assert (gpu1(docs).health, gpu1(docs).unread) == ('OK', ())


MANAGER = f'{V1}/Managers/BMC'


def managed(doc: Any) -> Docs:
    docs = server(**{MANAGER: doc})
    docs[SYSTEM]['Links'] = {**docs[SYSTEM]['Links'],
                             'ManagedBy': [link(MANAGER)]}
    return docs


@pytest.mark.parametrize(('state', 'busy'), [
    ('Updating', True), ('Enabled', False), ('Starting', False),
    ('Online', False), (None, False)])
def test_a_bmc_whose_own_firmware_is_written_is_busy(
        state: str | None, busy: bool) -> None:
    seen = look(managed(resource(MANAGER, 'Manager',
                                 Status={'State': state})))
    assert [b.ref for b in seen.busy] == ([MANAGER] if busy else [])
    assert not seen.held


@pytest.mark.parametrize('doc', [503, {}, {'error': 'busy'}, 404])
def test_a_manager_that_is_not_read_may_be_updating(doc: Any) -> None:
    seen = look(managed(doc))
    assert [u.source for u in seen.held] == [MANAGER]
    assert seen.complete_of('gpu')


def test_an_enclosure_is_named_in_the_error() -> None:
    """HPE Cray EX: the chassis controller."""
    docs = server()
    docs[f'{V1}/Systems'] = collection(f'{V1}/Systems', 'ComputerSystem')
    docs[CHASSIS] = resource(CHASSIS, 'Chassis', ChassisType='Enclosure')
    with pytest.raises(BadInput, match='it manages an enclosure, without'):
        look(docs)


def bare(*cards: str, **more: Docs) -> Docs:
    """Cards that are only PCIeDevices, each with one function."""
    folder = f'{CHASSIS}/PCIeDevices'
    docs = server(**{
        folder: collection(folder, 'PCIeDevice',
                           *(f'{folder}/{c}' for c in cards))})
    docs[PROCESSORS] = collection(PROCESSORS, 'Processor')
    docs[CHASSIS] = {**docs[CHASSIS], 'PCIeDevices': link(folder)}
    for card in cards:
        path = f'{folder}/{card}'
        docs[path] = resource(
            path, 'PCIeDevice', **more.get(card, {}),
            Links={'PCIeFunctions': [link(f'{path}/PCIeFunctions/0')]})
        docs[f'{path}/PCIeFunctions/0'] = resource(
            f'{path}/PCIeFunctions/0', 'PCIeFunction', VendorId='0x10de',
            DeviceId='0x1eb8', SubsystemVendorId='0x10de',
            SubsystemId='0x12a2')
    return docs


@pytest.mark.parametrize(('entries', 'versions'), [
    (['UCSC-GPU-T4-16-slot-3', 'UCSC-GPU-T4-16-slot-5'], ['1.3', '1.5']),
    (['UCSC-GPU-T4-16-slot-5'], [None, '1.5']),
    (['UCSC-GPU-T4-16-slot-7', 'UCSC-RAID-M5-slot-3', 'BIOS'],
     [None, None])])
def test_a_firmware_entry_is_assigned_by_the_slot_in_its_id(
        entries: list[str], versions: list[str | None]) -> None:
    """Cisco UCS C220 M6, CIMC, with a T4."""
    docs = bare('3', '5')
    docs[SYSTEM]['Manufacturer'] = 'Cisco Systems Inc'
    docs[V1] = {**docs[V1], 'UpdateService': link(UPDATE)}
    docs[UPDATE] = resource(UPDATE, 'UpdateService',
                            FirmwareInventory=link(ENTRIES))
    docs[ENTRIES] = collection(ENTRIES, 'SoftwareInventory',
                               *(f'{ENTRIES}/{e}' for e in entries))
    for name in entries:
        docs[f'{ENTRIES}/{name}'] = resource(
            f'{ENTRIES}/{name}', 'SoftwareInventory',
            Version=f'1.{name[-1]}')
    seen = look(docs)
    assert [(d.product, d.location) for d in seen.devices] == [
        ('nvidia-t4', '3'), ('nvidia-t4', '5')]
    parts = [d.component('gpu') for d in seen.devices]
    assert [p and p.running for p in parts] == versions


def slot(label: str, *cards: str) -> Docs:
    return {'Location': {'PartLocation': {'ServiceLabel': label}},
            'Links': {'PCIeDevice': [
                link(f'{CHASSIS}/PCIeDevices/{c}') for c in cards]}}


@pytest.mark.parametrize(('slots', 'places'), [
    ([slot('RISER 1 slot 2', 'A'), slot('Slot 4', 'B')],
     ['RISER 1 slot 2', 'Slot 4']),
    ([slot('Slot 4', 'B')], [None, 'Slot 4']),
    ([slot('Riser', 'A', 'B')], ['Riser', 'Riser']),
    ([slot('Slot 1', 'A', 'B'), slot('Slot 2', 'A', 'B')], [None, None]),
    ([{'Links': {'PCIeDevice': [link(f'{CHASSIS}/PCIeDevices/A')]}}],
     [None, None]), ([], [None, None]), ('none', [None, None])])
def test_locations_from_pcie_slots_of_the_chassis(
        slots: Any, places: list[str | None]) -> None:
    """Supermicro SYS-821GE-TNHR: Chassis/1/PCIeSlots."""
    docs = bare('A', 'B', A={'SerialNumber': 'S1'}, B={'SerialNumber': 'S2'})
    docs[CHASSIS]['PCIeSlots'] = link(f'{CHASSIS}/PCIeSlots')
    docs[f'{CHASSIS}/PCIeSlots'] = resource(
        f'{CHASSIS}/PCIeSlots', 'PCIeSlots', Slots=slots)
    assert [d.location for d in look(docs).devices] == places


@pytest.mark.parametrize('doc', [503, {}, {'error': 'busy'}])
@pytest.mark.parametrize('serials', [('S1', 'S2'), (None, None)])
def test_unread_slots_leave_locations_unknown(
        doc: Any, serials: tuple[str | None, str | None]) -> None:
    docs = bare('A', 'B', A={'SerialNumber': serials[0]},
                B={'SerialNumber': serials[1]})
    docs[CHASSIS]['PCIeSlots'] = link(f'{CHASSIS}/PCIeSlots')
    docs[f'{CHASSIS}/PCIeSlots'] = doc
    assert [d.unread for d in look(docs).devices] == [('identity',)] * 2


@pytest.mark.parametrize(('first', 'second', 'running', 'uri'), [
    (('1.0', False), ('1.0', True), '1.0', 'b'),
    (('1.0', True), ('1.0', False), '1.0', 'a'),
    (('1.0', False), ('1.0', False), '1.0', 'a'),
    (('1.0', None), ('1.0', True), '1.0', 'a'),
    (('1.0', False), (None, True), '1.0', 'a'),
    (('1.0', False), ('2.0', True), None, 'b'),
    (('1.0', True), ('2.0', True), None, 'a')])
def test_two_entries_of_one_firmware(
        first: tuple[str | None, bool | None],
        second: tuple[str | None, bool | None], running: str | None,
        uri: str) -> None:
    """Supermicro SYS-821GE-TNHR: GPU1, which is not updateable, and
    HGX_FW_GPU_SXM_1 of the board's controller, which is."""
    docs = with_entry()
    paths = [f'{ENTRIES}/a', f'{ENTRIES}/b']
    docs[ENTRIES] = collection(ENTRIES, 'SoftwareInventory', *paths)
    for path, (told, can) in zip(paths, (first, second), strict=True):
        docs[path] = resource(path, 'SoftwareInventory', Version=told,
                              Updateable=can, RelatedItem=[link(GPU1)])
    docs[GPU1]['FirmwareVersion'] = '1.0'
    part = gpu1(docs).component('gpu')
    assert part is not None
    assert (part.running, part.uri) == (running, f'{ENTRIES}/{uri}')
    assert bool(part.conflicts) is (running is None)


@pytest.mark.parametrize('doc', [503, {}, {'error': 'busy'}, 404])
@pytest.mark.parametrize(('lost', 'other', 'hides'), [
    ('1', '3', True), ('Self', 'Other', True),
    ('Backplane_1', 'Backplane_2', False)])
def test_an_unread_chassis_is_not_similar_to_another_number(
        lost: str, other: str, hides: bool, doc: Any) -> None:
    """Lenovo ThinkSystem: Chassis 1 is the server, 3 a backplane."""
    both = [f'{V1}/Chassis/{c}' for c in (lost, other)]
    docs = server(**{both[0]: doc,
                     both[1]: resource(both[1], 'Chassis')})
    docs[f'{V1}/Chassis'] = collection(f'{V1}/Chassis', 'Chassis', *both)
    seen = look(docs)
    assert seen.complete_of('dpu') is not hides
    assert both[0] in {u.source for u in seen.unread} | {
        w.uri for w in seen.warnings}


@pytest.mark.parametrize('doc', [503, {}, {'error': 'busy'}])
@pytest.mark.parametrize('what', ['F', 'F/eth0'])
def test_unread_functions_of_a_dpu_leave_its_identity_unknown(
        what: str, doc: Any) -> None:
    docs = dpu()
    for path in [p for p in docs if p.endswith(f'/{what}')]:
        docs[path] = doc
    device, = look(docs).devices
    assert (device.macs, device.unread) == ((), ('identity',))


@pytest.mark.parametrize('doc', [503, 404, {}, {'error': 'busy'}])
def test_an_unread_service_root_is_named(doc: Any) -> None:
    with pytest.raises(Unreachable,
                       match='/redfish/v1: cannot read the service root'):
        look(server(**{V1: doc}))


@pytest.mark.parametrize(('guards', 'versions'), [
    (['IRoT_CX7_0', 'IRoT_CX7_1'], ['1.0', '1.1']),
    (['IRoT_CX7_0'], [None, None]),
    (['IRoT_CX7_0', 'IRoT_CX7_1', 'IRoT_CX7_2'], [None, None])])
def test_a_root_of_trust_of_two_cards_identifies_neither(
        guards: list[str], versions: list[str | None]) -> None:
    """NVIDIA GB200 NVL: two ConnectX-7 of a board, one IRoT_CX7_0."""
    board = f'{V1}/Chassis/IO_Board_0'
    folder = f'{board}/NetworkAdapters'
    cards = [f'{folder}/IO_Board_0_CX7_{i}' for i in (0, 1)]
    boxes = [f'{V1}/Chassis/{g}' for g in guards]
    entries = [f'{ENTRIES}/CX7_{g[-1]}' for g in guards]
    hgx = f'{V1}/Systems/HGX_Baseboard_0'
    docs = server(**{
        UPDATE: resource(UPDATE, 'UpdateService',
                         FirmwareInventory=link(ENTRIES)),
        ENTRIES: collection(ENTRIES, 'SoftwareInventory', *entries),
        board: resource(board, 'Chassis', NetworkAdapters=link(folder)),
        folder: collection(folder, 'NetworkAdapter', *cards),
        **{c: resource(c, 'NetworkAdapter', Model='P4768') for c in cards},
        **{b: resource(b, 'Chassis', Links={'ContainedBy': link(board)})
           for b in boxes},
        **{e: resource(e, 'SoftwareInventory', Version=f'1.{e[-1]}')
           for e in entries},
        hgx: resource(hgx, 'ComputerSystem')})
    docs[V1] = {**docs[V1], 'UpdateService': link(UPDATE)}
    docs[f'{V1}/Systems'] = collection(f'{V1}/Systems', 'ComputerSystem',
                                       SYSTEM, hgx)
    docs[f'{V1}/Chassis'] = collection(f'{V1}/Chassis', 'Chassis', CHASSIS,
                                       board, *boxes)
    nics = [d for d in look(docs, '1').devices if d.kind == 'nic']
    parts = [d.component('nic') for d in nics]
    assert [p and p.running for p in parts] == versions
    assert [d.unread for d in nics] == [()] * 2
    docs[boxes[0]] = 503
    seen = look(docs, '1')
    nics = [d for d in seen.devices if d.kind == 'nic']
    assert all(not d.components for d in nics)
    assert [d.unread for d in nics] == [('firmware:nic',)] * 2
    assert boxes[0] in {u.source for u in seen.unread}


@pytest.mark.parametrize(('board', 'kinds'), [
    ('UBB', ['baseboard', 'gpu', 'gpu', 'gpu']),
    ('UBB_1', ['baseboard', 'gpu', 'gpu', 'gpu'])])
def test_an_amd_baseboard_is_not_another_host(
        board: str, kinds: list[str]) -> None:
    """AMD Instinct: the board has a System besides that of the host."""
    ubb = f'{V1}/Systems/{board}'
    oam = f'{ubb}/Processors/GPU_0'
    docs = server(**{
        ubb: resource(ubb, 'ComputerSystem',
                      Processors=link(f'{ubb}/Processors')),
        f'{ubb}/Processors': collection(f'{ubb}/Processors', 'Processor',
                                        oam),
        oam: resource(oam, 'Processor', ProcessorType='GPU',
                      Manufacturer='Advanced Micro Devices, Inc. [AMD/ATI]',
                      Model='AMD Instinct MI300X', SerialNumber='A1')})
    docs[f'{V1}/Systems'] = collection(f'{V1}/Systems', 'ComputerSystem',
                                       SYSTEM, ubb)
    seen = look(docs)
    assert seen.system == SYSTEM
    assert sorted(d.kind for d in seen.devices) == kinds
    assert 'amd-instinct-mi300x' in {d.product for d in seen.devices}
    docs[ubb] = 503
    assert not look(docs).complete_of('gpu')
    assert look(docs).complete_of('nic')


@pytest.mark.parametrize(('cause', 'words'), [
    (OSError('[Errno 111] Connection refused'), 'connection refused'),
    (OSError('[Errno -2] Name or service not known'),
     'cannot resolve its host name'),
    (OSError('[Errno 113] No route to host'), 'host or network unreachable'),
    (OSError('[SSL: CERTIFICATE_VERIFY_FAILED] self-signed'),
     'certificate verification failed'),
    (OSError('[SSL: WRONG_VERSION_NUMBER]'), 'TLS error'),
    (OSError('IncompleteRead(3 bytes read)'), 'the response is incomplete'),
    (OSError("('Connection aborted.', RemoteDisconnected('x'))"),
     'closed without a response'),
    (OSError('something else'), 'no complete response: ')])
@pytest.mark.parametrize('path', [V1, GPU1])
def test_connection_errors_are_described(
        path: str, cause: Exception, words: str) -> None:
    class Broken(Tree):
        lost = path

        def get(self, path: str, **ignored: Any) -> Answer:
            if path != self.lost:
                return super().get(path, **ignored)
            try:
                raise cause
            except OSError:
                # Like sushy: the cause is the context.
                raise exceptions.ConnectionError(
                    url=path, error='x') from None

    backend = RedfishBackend(Broken(server()), settings=BmcSettings(
        warm_up=0, expand=False, history=ReadHistory()))
    # A certificate is the same for each resource.
    if path == V1 or 'certificate' in words:
        with pytest.raises(Unreachable, match=r'192\.0\.2\.1:80') as told:
            backend.observe()
        assert words in str(told.value)
        return
    lost, = [u for u in backend.observe().unread if u.source == path]
    assert words in lost.answer


def test_links_with_a_host_have_one_warning() -> None:
    docs = server()
    docs[V1]['Chassis'] = link(f'https://u:secret@10.0.0.9{V1}/Chassis')
    docs[SYSTEM]['Processors'] = link(f'https://10.0.0.9{PROCESSORS}')
    warned = {(w.uri, w.message) for w in look(docs).warnings}
    said = "names another host, '10.0.0.9': only the path is used"
    assert {m.partition(',')[0] for _, m in warned} == {
        f'{name}: names another host'
        for name in ('Chassis', 'Processors')}
    assert all(said in m and 'secret' not in m for _, m in warned)
