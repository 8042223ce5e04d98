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

"""Inventories of trees that are built from single resources."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from sushy import exceptions

from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import BadInput
from ironic_accel.redfish.backend import RedfishBackend
from ironic_accel.redfish.client.json_document import normal
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client.read_history import ReadHistory
from tests.unit.redfish.inventory.test_every_property import Answer

V1 = '/redfish/v1'
Docs = dict[str, Any]


class Tree:
    """A connector for documents; a number is the status of an error."""

    def __init__(self, docs: Docs) -> None:
        self._url = 'http://192.0.2.1'
        self.docs = docs

    def get(self, path: str, **ignored: Any) -> Answer:
        found = self.docs.get(path, self.docs.get(normal(path), 404))
        if isinstance(found, int):
            answer = Answer({'error': {'code': 'Base.1.0.GeneralError'}})
            answer.status_code = found
            raise exceptions.HTTPError('GET', path, answer)
        return Answer(found)


def resource(path: str, kind: str, **more: Any) -> Docs:
    return {'@odata.id': path, '@odata.type': f'#{kind}.v1_0_0.{kind}',
            'Id': path.rsplit('/', 1)[-1], 'Name': 'x', **more}


def collection(path: str, kind: str, *members: str, **more: Any) -> Docs:
    return {'@odata.id': path,
            '@odata.type': f'#{kind}Collection.{kind}Collection',
            'Name': 'x', 'Members': [{'@odata.id': m} for m in members],
            'Members@odata.count': len(members), **more}


def link(path: str) -> Docs:
    return {'@odata.id': path}


def server(**more: Any) -> Docs:
    """A server with two GPUs; more documents by path."""
    system, chassis = f'{V1}/Systems/1', f'{V1}/Chassis/1'
    gpus = [f'{system}/Processors/GPU{i}' for i in (1, 2)]
    docs = {
        V1: resource(V1, 'ServiceRoot', Systems=link(f'{V1}/Systems'),
                     Chassis=link(f'{V1}/Chassis')),
        f'{V1}/Systems': collection(f'{V1}/Systems', 'ComputerSystem',
                                    system),
        system: resource(
            system, 'ComputerSystem', PowerState='On',
            BootProgress={'LastState': 'OSRunning'},
            Processors=link(f'{system}/Processors'),
            Links={'Chassis': [link(chassis)]}),
        f'{system}/Processors': collection(
            f'{system}/Processors', 'Processor', *gpus),
        f'{V1}/Chassis': collection(f'{V1}/Chassis', 'Chassis', chassis),
        chassis: resource(chassis, 'Chassis', ChassisType='RackMount'),
        **{g: resource(g, 'Processor', ProcessorType='GPU',
                       Manufacturer='NVIDIA', Model='NVIDIA A100-SXM4-40GB',
                       SerialNumber=f'S{g[-1]}', FirmwareVersion='92.00',
                       Status={'State': 'Enabled', 'Health': 'OK'})
           for g in gpus}}
    docs.update(more)
    return docs


def look(docs: Docs, system: str | None = None) -> Inventory:
    return RedfishBackend(Tree(docs), system, settings=BmcSettings(
        warm_up=0, expand=False, history=ReadHistory())).observe()


SYSTEM = f'{V1}/Systems/1'
PROCESSORS = f'{SYSTEM}/Processors'
GPU1 = f'{PROCESSORS}/GPU1'


def test_the_base_tree_is_complete() -> None:
    seen = look(server())
    assert [d.product for d in seen.devices] == ['nvidia-a100-sxm4-40gb'] * 2
    assert (seen.complete, seen.unread, seen.busy) == (True, (), ())


def odd(**changes: Any) -> Docs:
    """The collection of processors with changes."""
    docs = server()
    docs[PROCESSORS] = {**docs[PROCESSORS], **changes}
    return docs


GPU2 = f'{PROCESSORS}/GPU2'


@pytest.mark.parametrize(('docs', 'devices', 'answer'), [
    (odd(**{'Members@odata.count': 3}), 2, '2 of 3 members'),
    (odd(**{'Members@odata.count': 1}), 2, '2 of 1 members'),
    (odd(Members=[link(GPU1)]), 1, '1 of 2 members'),
    (odd(Members=None), 0, 'without Members'),
    (odd(Members={}), 0, 'without Members'),
    (odd(Members=[link(GPU1), {}]), 1, 'a member without @odata.id'),
    (odd(Members=[link(GPU1), 7]), 1, 'a member without @odata.id'),
    (odd(**{'Members@odata.nextLink': f'{PROCESSORS}?skip=2'}) | {
        f'{PROCESSORS}?skip=2': 503}, 2, 'cannot read all pages of'),
    (odd(**{'Members@odata.nextLink': 7}), 2,
     'invalid Members@odata.nextLink'),
    (odd(**{'Members@odata.nextLink': f'{PROCESSORS}?skip=2'}) | {
        f'{PROCESSORS}?skip=2': {'error': 'busy'}}, 2,
     'cannot read all pages of'),
    (odd(**{'@odata.id': f'{V1}/Systems/1/Memory'}), 0, 'another resource'),
])
def test_an_incomplete_collection_is_unread(
        docs: Docs, devices: int, answer: str) -> None:
    seen = look(docs)
    assert len(seen.devices) == devices
    told, = seen.unread
    assert told.source == PROCESSORS
    assert answer in told.answer
    assert not seen.complete_of('gpu')


def test_a_loop_of_pages_ends() -> None:
    page = f'{PROCESSORS}?page=1'
    docs = odd(**{'Members@odata.nextLink': page})
    docs[page] = {**docs[PROCESSORS]}
    assert 'invalid Members@odata.nextLink' in look(docs).unread[0].answer


@pytest.mark.parametrize('doc', [
    {'@odata.id': GPU1, '@odata.type': '#Memory.v1_0_0.Memory'},
    {'@odata.id': GPU2, '@odata.type': '#Processor.v1_0_0.Processor'},
    {'error': {'message': 'x'}}, {}, {'Name': 'x'}, 500, 404])
def test_a_member_of_another_type_is_unread(doc: Any) -> None:
    seen = look(server(**{GPU1: doc}))
    lost = next(d for d in seen.devices if d.uri == GPU1)
    assert lost.unread == ('presence',)
    assert not seen.complete_of('gpu')


def test_a_device_listed_twice_is_one() -> None:
    docs = odd(Members=[link(GPU1), link(GPU2), link(GPU1)],
               **{'Members@odata.count': 3})
    seen = look(docs)
    assert len(seen.devices) == 2
    assert not seen.unread


@pytest.mark.parametrize('more', [
    {}, {'ProcessorType': None}, {'ProcessorType': 'Invented'},
    {'ProcessorType': ['GPU']}])
@pytest.mark.parametrize(('told', 'kind'), [
    ({'Model': 'NVIDIA A100-SXM4-40GB', 'Manufacturer': 'NVIDIA'}, 'gpu'),
    ({'PartNumber': '20B0-895-A1', 'Manufacturer': 'NVIDIA'}, 'gpu'),
    ({'InstructionSet': 'x86-64'}, None), ({}, 'gpu')])
def test_a_processor_without_a_type(
        told: Docs, kind: str | None, more: Docs) -> None:
    docs = server()
    docs[GPU1] = resource(GPU1, 'Processor', **told, **more)
    seen = look(docs)
    assert [d.kind for d in seen.devices if d.uri == GPU1] == (
        [kind] if kind else [])


def test_an_unidentified_processor_may_be_an_accelerator() -> None:
    path = f'{PROCESSORS}/7'
    docs = odd(Members=[link(GPU1), link(GPU2), link(path)],
               **{'Members@odata.count': 3})
    docs[path] = resource(path, 'Processor')
    seen = look(docs)
    assert len(seen.devices) == 2
    assert not seen.complete_of('gpu')
    docs[path] = 503
    assert not look(docs).complete_of('fpga')


@pytest.mark.parametrize(('told', 'expected'), [
    ('96.00.01', '96.00.01'), (' 96.00.01\0', '96.00.01'), ('nil', None),
    ('N/A', None), ('Not Supported', None), ('', None), (None, None),
    ('unknown', None)])
def test_placeholders_are_not_versions(
        told: str | None, expected: str | None) -> None:
    docs = server()
    docs[GPU1] = {**docs[GPU1], 'FirmwareVersion': told}
    device = next(d for d in look(docs).devices if d.uri == GPU1)
    part = device.component('gpu')
    assert (part.running if part else None) == expected


@pytest.mark.parametrize(('health', 'worst'), [
    (('OK', 'OK'), 'OK'), (('OK', 'Warning'), 'Warning'),
    (('Warning', 'Critical'), 'Critical'), (('Critical', 'OK'), 'Critical'),
    ((None, 'Warning'), 'Warning'), ((None, None), None)])
def test_the_worst_health_of_a_device_s_resources_counts(
        health: tuple[str | None, str | None], worst: str | None) -> None:
    docs = server()
    card = f'{V1}/Chassis/1/PCIeDevices/7'
    docs[GPU1] = {**docs[GPU1], 'Links': {'PCIeDevice': link(card)},
                  'Status': {'State': 'Enabled', 'Health': health[0],
                             'HealthRollup': 'Critical'}}
    docs[card] = resource(card, 'PCIeDevice',
                          Status={'State': 'Enabled', 'Health': health[1]})
    device = next(d for d in look(docs).devices if d.uri == GPU1)
    assert device.health == worst
    docs[card]['Status'] = {'State': 'Disabled'}
    device = next(d for d in look(docs).devices if d.uri == GPU1)
    assert device.state == 'Disabled'


@pytest.mark.parametrize('status', [
    {'Health': 'Fine'}, {'Health': 7}, {'Health': ['OK']}, 'OK', ['OK']])
def test_an_unknown_value_is_not_a_health(status: Any) -> None:
    docs = server()
    docs[GPU1] = {**docs[GPU1], 'Status': status}
    device = next(d for d in look(docs).devices if d.uri == GPU1)
    assert (device.health, 'health' in device.unread) == (None, True)


def test_two_versions_of_one_firmware_are_not_verified() -> None:
    docs = server()
    card = f'{V1}/Chassis/1/PCIeDevices/7'
    docs[GPU1] = {**docs[GPU1], 'Links': {'PCIeDevice': link(card)}}
    docs[card] = resource(card, 'PCIeDevice', FirmwareVersion='93.00')
    part = next(d for d in look(docs).devices if d.uri == GPU1).component(
        'gpu')
    assert part is not None
    assert part.running is None
    assert part.conflicts == (f'{GPU1}: 92.00', f'{card}: 93.00')


@pytest.mark.parametrize(('function', 'kind'), [
    ({'VendorId': '0x1e52', 'DeviceId': '0x401e',
      'DeviceClass': 'ProcessingAccelerators'}, 'ai'),
    ({'VendorId': '0x1e52', 'DeviceId': '0x401e',
      'ClassCode': '0x120000'}, 'ai'),
    ({'VendorId': '0x10de', 'DeviceId': '0x9999',
      'ClassCode': '0x030200'}, 'gpu'),
    ({'VendorId': '0x10de', 'DeviceId': '0x9999',
      'DeviceClass': 'DisplayController'}, 'gpu'),
    ({'VendorId': '0x1a03', 'DeviceId': '0x2000',
      'ClassCode': '0x030000', 'DeviceClass': 'DisplayController'}, None),
    ({'VendorId': '0x144d', 'DeviceId': '0xa80a',
      'DeviceClass': 'MassStorageController'}, None),
    ({'VendorId': '0x0000', 'DeviceId': '0x0000'}, None)])
def test_a_card_with_unknown_ids_is_classified_by_its_class(
        function: Docs, kind: str | None) -> None:
    card = f'{V1}/Chassis/1/PCIeDevices/7'
    docs = server()
    docs[f'{V1}/Chassis/1'] = {**docs[f'{V1}/Chassis/1'], 'PCIeDevices': link(
        f'{V1}/Chassis/1/PCIeDevices')}
    docs[f'{V1}/Chassis/1/PCIeDevices'] = collection(
        f'{V1}/Chassis/1/PCIeDevices', 'PCIeDevice', card)
    docs[card] = resource(card, 'PCIeDevice', Links={
        'PCIeFunctions': [link(f'{card}/PCIeFunctions/1')]})
    docs[f'{card}/PCIeFunctions/1'] = resource(
        f'{card}/PCIeFunctions/1', 'PCIeFunction', **function)
    more = [d for d in look(docs).devices if d.uri == card]
    assert [d.kind for d in more] == ([kind] if kind else [])
    assert all(d.product is None for d in more)


def test_one_card_in_two_chassis_is_one() -> None:
    docs = server()
    both = [f'{V1}/Chassis/{c}' for c in ('1', 'Riser2')]
    docs[f'{V1}/Chassis'] = collection(f'{V1}/Chassis', 'Chassis', *both)
    for chassis in both:
        adapter = f'{chassis}/NetworkAdapters/N1'
        docs[chassis] = resource(
            chassis, 'Chassis',
            NetworkAdapters=link(f'{chassis}/NetworkAdapters'))
        docs[f'{chassis}/NetworkAdapters'] = collection(
            f'{chassis}/NetworkAdapters', 'NetworkAdapter', adapter)
        docs[adapter] = resource(adapter, 'NetworkAdapter', Model='M',
                                 SerialNumber='SN1')
    assert [d.kind for d in look(docs).devices].count('nic') == 1
    docs[f'{both[1]}/NetworkAdapters/N1']['SerialNumber'] = 'SN2'
    assert [d.kind for d in look(docs).devices].count('nic') == 2


def with_jobs(**job: Any) -> Docs:
    docs = server()
    jobs = f'{V1}/JobService/Jobs'
    docs[V1] = {**docs[V1], 'JobService': link(f'{V1}/JobService')}
    docs[f'{V1}/JobService'] = resource(f'{V1}/JobService', 'JobService',
                                        Jobs=link(jobs))
    docs[jobs] = collection(jobs, 'Job', f'{jobs}/JID_1')
    docs[f'{jobs}/JID_1'] = resource(f'{jobs}/JID_1', 'Job', **job)
    return docs


@pytest.mark.parametrize(('job', 'busy'), [
    ({'JobState': 'Running'}, True), ({'JobState': 'Suspended'}, True),
    ({'JobState': 'UserIntervention', 'PercentComplete': 30}, True),
    ({'JobState': 'UserIntervention', 'PercentComplete': 100}, False),
    ({'JobState': 'Completed'}, False), ({'JobState': 'Scheduled'}, False),
    ({'JobState': 'Invented'}, True), ({}, True),
    ({'EndTime': '2026-01-01T00:00:00Z'}, False)])
def test_jobs_are_read_in_addition_to_tasks(job: Docs, busy: bool) -> None:
    seen = look(with_jobs(**job))
    assert bool(seen.busy) is busy
    assert not seen.held


@pytest.mark.parametrize('doc', [503, 404, {}, {'error': 'busy'}])
@pytest.mark.parametrize('path', [
    f'{V1}/JobService', f'{V1}/JobService/Jobs',
    f'{V1}/JobService/Jobs/JID_1'])
def test_an_unread_job_makes_the_system_busy(path: str, doc: Any) -> None:
    docs = with_jobs(JobState='Completed')
    docs[path] = doc
    assert [u.source for u in look(docs).held] == [path]


@pytest.mark.parametrize(('first', 'then', 'busy'), [
    ('Completed', 'Running', True), ('Running', 'Completed', True),
    ('Running', 'Running', True), ('Completed', 'Completed', False),
    ('Completed', 503, False), ('Running', 503, True)])
@pytest.mark.parametrize('slow', [True, False])
def test_a_long_inventory_reads_tasks_again(
        first: str, then: Any, busy: bool, slow: bool) -> None:
    """JID_1 exists from the beginning; JID_2 is added meanwhile."""
    docs = with_jobs(JobState=first)
    jobs, now = f'{V1}/JobService/Jobs', [0.0]

    class Slow(Tree):
        def get(self, path: str, **ignored: Any) -> Answer:
            if path.endswith('GPU2') and slow:
                now[0] += 20
                state = 'Completed' if then == 503 else then
                self.docs[f'{jobs}/JID_1'] = {
                    **docs[f'{jobs}/JID_1'], 'JobState': state}
                self.docs[jobs] = 503 if then == 503 else collection(
                    jobs, 'Job', f'{jobs}/JID_1', f'{jobs}/JID_2')
                self.docs[f'{jobs}/JID_2'] = resource(
                    f'{jobs}/JID_2', 'Job', JobState=state)
            return super().get(path, **ignored)

    seen = RedfishBackend(Slow(docs), settings=BmcSettings(
        warm_up=0, expand=False,
        history=ReadHistory(lambda: now[0]))).observe()
    assert bool(seen.busy) is (busy if slow else first == 'Running')
    assert [u.source for u in seen.held] == (
        [jobs] if slow and then == 503 else [])


def test_a_task_that_ended_between_list_and_read_is_over() -> None:
    docs = with_jobs()
    jobs = f'{V1}/JobService/Jobs'

    class Ends(Tree):
        def get(self, path: str, **ignored: Any) -> Answer:
            if path.endswith('JID_1'):
                self.docs[jobs] = collection(jobs, 'Job')
                self.docs[path] = 404
            return super().get(path, **ignored)

    seen = RedfishBackend(Ends(docs), settings=BmcSettings(
        warm_up=0, expand=False, history=ReadHistory())).observe()
    assert (seen.held, seen.busy) == ((), ())


@pytest.mark.parametrize(('status', 'busy'), [
    (None, False), ('null', False), ('Completed', False),
    ('Downloading', True), ('VerifyingFirmware', True), ('Flashing', True),
    ('Invented', True)])
@pytest.mark.parametrize('at', [
    ('AMIUpdateService',), ('AMIUpdateService', 'UpdateInformation'),
    ('Ami',)])
def test_a_megarac_update_without_a_task_is_busy(
        at: tuple[str, ...], status: str | None, busy: bool) -> None:
    oem: Any = {'UpdateStatus': status, 'FlashPercentage': '37% done.'}
    for key in reversed(at):
        oem = {key: oem}
    update = f'{V1}/UpdateService'
    docs = server(**{update: resource(update, 'UpdateService', Oem=oem)})
    docs[V1] = {**docs[V1], 'UpdateService': link(update)}
    assert bool(look(docs).busy) is busy


@pytest.mark.parametrize('state', [
    'Updating', 'Enabled', 'Disabled', 'UnavailableOffline', None])
@pytest.mark.parametrize('what', ['device', 'card', 'system', 'entry'])
def test_a_resource_in_state_updating_makes_the_system_busy(
        what: str, state: str | None) -> None:
    """There is no task for it; nothing is written or reset meanwhile."""
    update = f'{V1}/UpdateService'
    folder = f'{update}/FirmwareInventory'
    docs = server(**{
        update: resource(update, 'UpdateService',
                         FirmwareInventory=link(folder)),
        folder: collection(folder, 'SoftwareInventory', f'{folder}/a'),
        f'{folder}/a': resource(f'{folder}/a', 'SoftwareInventory',
                                Version='1')})
    docs[V1] = {**docs[V1], 'UpdateService': link(update)}
    card = f'{V1}/Chassis/1/PCIeDevices/1'
    docs[f'{PROCESSORS}/GPU1']['Links'] = {'PCIeDevice': link(card)}
    docs[card] = resource(card, 'PCIeDevice')
    path = {'device': f'{PROCESSORS}/GPU1', 'system': SYSTEM,
            'card': card, 'entry': f'{folder}/a'}[what]
    docs[path] = {**docs[path], 'Status': {'State': state}}
    assert [b.ref for b in look(docs).busy] == (
        [path] if state == 'Updating' else [])


@pytest.mark.parametrize(('state', 'busy'), [
    ('Idle', False), ('Complete', False), ('Updating', True),
    ('Writing', True), (None, False)])
def test_an_ilo_update_without_a_task_is_busy(
        state: str | None, busy: bool) -> None:
    docs = server()
    docs[V1] = {**docs[V1], 'Product': 'ProLiant DL380 Gen10',
                'UpdateService': link(f'{V1}/UpdateService')}
    docs[f'{V1}/UpdateService'] = resource(
        f'{V1}/UpdateService', 'UpdateService',
        Oem={'Hpe': {'State': state, 'FlashProgressPercent': 30}})
    assert bool(look(docs).busy) is busy


@pytest.mark.parametrize(('root', 'kind', 'words'), [
    ({'Fabrics': link(f'{V1}/Fabrics')}, 'RackMount', 'a switch'),
    ({'PowerEquipment': link(f'{V1}/PowerEquipment')}, 'Shelf',
     'a power shelf or PDU'),
    ({'ThermalEquipment': link(f'{V1}/ThermalEquipment')}, 'RackMount',
     'a cooling unit'),
    ({}, 'Shelf', 'a shelf'), ({}, 'RackMount', 'not a server')])
@pytest.mark.parametrize('listed', [True, False])
def test_a_bmc_without_systems_is_named_by_its_kind(
        root: Docs, kind: str, words: str, listed: bool) -> None:
    docs = server()
    docs[V1] = {k: v for k, v in docs[V1].items()
                if listed or k != 'Systems'} | root
    docs[f'{V1}/Systems'] = collection(f'{V1}/Systems', 'ComputerSystem')
    docs[f'{V1}/Chassis/1'] = resource(
        f'{V1}/Chassis/1', 'Chassis', ChassisType=kind, Model='MQM9700')
    with pytest.raises(BadInput, match=words) as told:
        look(docs)
    assert 'MQM9700' in str(told.value)


@pytest.mark.parametrize('state', ['404', '503'])
def test_an_unread_link_of_a_card_leaves_its_facts_unknown(
        state: str) -> None:
    docs = server()
    card = f'{V1}/Chassis/1/PCIeDevices/7'
    docs[GPU1] = {**docs[GPU1], 'Links': {'PCIeDevice': link(card)}}
    docs[card] = int(state)
    seen = look(docs)
    device = next(d for d in seen.devices if d.uri == GPU1)
    assert device.unread == ('health', 'identity', 'state')
    assert device.health == 'OK'
    assert seen.complete_of('gpu')


def test_inventories_share_no_readings() -> None:
    docs = server()
    backend = RedfishBackend(Tree(docs), settings=BmcSettings(
        warm_up=0, expand=False, history=ReadHistory()))
    good = copy.deepcopy(docs[GPU1])
    docs[GPU1] = 503
    assert backend.observe().unread
    docs[GPU1] = good
    assert not backend.observe().unread


def without(doc: Docs, name: str) -> Docs:
    return {k: v for k, v in doc.items() if k != name}


@pytest.mark.parametrize(('path', 'name', 'kinds', 'holds'), [
    (V1, 'Tasks', (), True), (V1, 'JobService', (), True),
    (V1, 'UpdateService', ('baseboard',), True),
    (f'{V1}/Chassis/1', 'NetworkAdapters', ('nic', 'dpu', 'fpga', 'ai'),
     False),
    (f'{V1}/Chassis/1', 'PCIeDevices', (
        'gpu', 'fpga', 'ai', 'crypto', 'nic', 'dpu', 'baseboard'), False)])
def test_a_link_that_disappears_is_unread(
        path: str, name: str, kinds: tuple[str, ...], holds: bool) -> None:
    docs = with_jobs(JobState='Completed')
    tasks = f'{V1}/TaskService/Tasks'
    docs[V1] |= {'Tasks': link(f'{V1}/TaskService'),
                 'UpdateService': link(f'{V1}/UpdateService')}
    docs[f'{V1}/UpdateService'] = resource(f'{V1}/UpdateService',
                                           'UpdateService')
    docs[f'{V1}/TaskService'] = resource(f'{V1}/TaskService', 'TaskService',
                                         Tasks=link(tasks))
    docs[tasks] = collection(tasks, 'Task')
    chassis = f'{V1}/Chassis/1'
    for of, kind in (('NetworkAdapters', 'NetworkAdapter'),
                     ('PCIeDevices', 'PCIeDevice')):
        docs[chassis][of] = link(f'{chassis}/{of}')
        docs[f'{chassis}/{of}'] = collection(f'{chassis}/{of}', kind)
    now = [0.0]
    backend = RedfishBackend(Tree(docs), settings=BmcSettings(
        warm_up=0, expand=False, history=ReadHistory(lambda: now[0])))
    assert not backend.observe().unread
    docs[path] = without(docs[path], name)
    told, = backend.observe().unread
    assert 'no longer links to it' in told.answer
    assert (sorted(told.kinds), told.holds) == (sorted(kinds), holds)
    # It may have been updated meanwhile.
    now[0] += 90000
    assert not backend.observe().unread


def test_an_unlinked_task_service_is_found_at_its_standard_path() -> None:
    docs = server()
    docs[SYSTEM] = without(docs[SYSTEM], 'Processors')
    assert len(look(docs).devices) == 2
    tasks = f'{V1}/TaskService/Tasks'
    docs[f'{V1}/TaskService'] = resource(f'{V1}/TaskService', 'TaskService',
                                         Tasks=link(tasks))
    docs[tasks] = collection(tasks, 'Task', f'{tasks}/1')
    docs[f'{tasks}/1'] = resource(f'{tasks}/1', 'Task', TaskState='Running')
    assert look(docs).busy


@pytest.mark.parametrize('status', [400, 401, 403, 404, 405, 500, 501, 503])
def test_an_unlinked_service_that_cannot_be_read_is_absent(
        status: int) -> None:
    docs = server(**{f'{V1}/TaskService': status,
                     f'{V1}/JobService': status})
    seen = look(docs)
    assert (seen.unread, seen.warnings) == ((), ())
