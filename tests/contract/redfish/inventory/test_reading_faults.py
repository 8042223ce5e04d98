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

"""A faulty BMC affects a property or a resource, never the inventory."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import http.client
import time
from typing import Any

import pytest
from sushy import exceptions

from ironic_accel.model.device import Inventory
from ironic_accel.model import device_marks
from ironic_accel.model.errors import BadInput
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import NoAccess
from ironic_accel.model.errors import Unreachable
from ironic_accel.redfish.backend import RedfishBackend
from ironic_accel.redfish.client import connector
from ironic_accel.redfish.client import session
from ironic_accel_emulator.bmc import control
from tests.contract.redfish.conftest import Rig
from tests.contract.redfish.conftest import Start

GPU3 = '/redfish/v1/Systems/HGX_Baseboard_0/Processors/GPU_SXM_3'


def keep_time(at: Rig) -> None:
    """Let the emulator report its time, like real BMCs."""
    def overlay(document: dict[str, object]) -> None:
        document['DateTime'] = at.box.timestamp()

    at.box.lay('/redfish/v1/TaskService', overlay)


def expected(at: Rig) -> int:
    return len(at.backend.observe().devices)


def assert_unread(inventory: Inventory, uri: str) -> None:
    """The GPU is listed and not read; the others are unchanged."""
    hit = next(d for d in inventory.devices if d.uri == uri)
    assert (hit.kind, hit.unread) == ('gpu', ('presence',))
    assert (hit.health, hit.serial, hit.modes) == (None, None, ())
    assert [(u.source, u.about, u.kinds, u.facts) for u in inventory.unread
            ] == [(uri, hit.id, ('gpu',), ('presence',))]
    assert not inventory.complete_of('gpu')
    assert inventory.complete_of('nic')


@pytest.mark.parametrize(('name', 'pointer', 'field'), [
    (fault, pointer, field)
    for fault in ('null', 'absent', 'wrong-type')
    for pointer, field in (
        ('/SerialNumber', 'serial'), ('/Model', 'model'),
        ('/PartNumber', 'part_number'), ('/Status', 'health'),
        ('/Location', 'location'), ('/Manufacturer', 'vendor'))
])
def test_an_invalid_property_affects_only_itself(
        rig: Start, name: str, pointer: str, field: str) -> None:
    at = rig('hgx-h100', 'System_0')
    before = at.backend.observe()
    at.box.faults.add(name, pointer, GPU3)
    after = at.backend.observe()
    assert len(after.devices) == len(before.devices)
    hit = next(d for d in after.devices if d.uri == GPU3)
    known = next(d for d in before.devices if d.uri == GPU3)
    if field == 'location':
        # The Id names the slot if nothing else does.
        assert hit.location == 'GPU_SXM_3'
    elif field == 'vendor':
        # The PCI ids identify it too.
        assert hit.vendor == 'nvidia'
    elif field == 'health':
        # The PCIeDevice has it too, but the value here is not a health.
        assert hit.health == 'OK'
        assert ('health' in hit.unread) == (name == 'wrong-type')
    else:
        assert getattr(hit, field) is None
        assert getattr(known, field) is not None
    if name == 'wrong-type' or field in ('serial', 'model'):
        said = [w.message for w in after.warnings if w.uri == GPU3]
        assert any(pointer.lstrip('/') in m for m in said), said
    others = {d.uri: d for d in before.devices if d.uri != GPU3}
    assert {d.uri: (d.serial, d.model) for d in after.devices
            if d.uri != GPU3} == {
        u: (d.serial, d.model) for u, d in others.items()}


@pytest.mark.parametrize('pointer', ['/Status/Health', '/ProcessorType'])
def test_an_unknown_value_affects_only_itself_and_is_named(
        rig: Start, pointer: str) -> None:
    at = rig('hgx-h100', 'System_0')
    count = expected(at)
    at.box.faults.add('unknown-enum', pointer, GPU3)
    after = at.backend.observe()
    assert any('TwinInvented' in w.message and w.uri == GPU3
               for w in after.warnings)
    # Other properties identify it too.
    assert len(after.devices) == count
    hit = next(d for d in after.devices if d.uri == GPU3)
    assert hit.kind == 'gpu'
    assert hit.unread == (() if pointer == '/ProcessorType' else ('health',))


@pytest.mark.parametrize('pointer', [
    '/Version', '/Updateable', '/RelatedItem', '/SoftwareId',
    '/Oem/Nvidia/InactiveFirmwareSlot'])
@pytest.mark.parametrize('name', ['null', 'wrong-type', 'unknown-enum'])
def test_an_invalid_property_of_a_firmware_entry(
        rig: Start, name: str, pointer: str) -> None:
    at = rig('hgx-h100', 'System_0')
    at.box.faults.add(name, pointer, 'HGX_FW_GPU_SXM_2')
    inventory = at.backend.observe()
    gpu = next(d for d in inventory.devices
               if (d.uri or '').endswith('/GPU_SXM_2'))
    part = gpu.component('gpu')
    assert part is not None
    if pointer == '/Version' and name != 'unknown-enum':
        # The Processor may report it too.
        assert part.running in (None, '96.00.68.00.01')
    if pointer == '/Updateable':
        assert part.updateable is None
    if pointer.endswith('Slot'):
        assert part.pending is None


@pytest.mark.parametrize('expand', [True, False])
@pytest.mark.parametrize(('name', 'value'), [
    ('status', '400'), ('status', '404'), ('status', '500'),
    ('garbage', None)])
def test_an_unread_resource_affects_only_itself(
        rig: Start, name: str, value: str | None, expand: bool) -> None:
    at = rig('hgx-h100', 'System_0', expand=expand)
    count = expected(at)
    at.box.faults.add(name, value, f'{GPU3}', 'GET')
    at.box.faults.add('expand-error')
    after = at.backend.observe()
    assert len(after.devices) == count
    assert GPU3 in [w.uri for w in after.warnings]
    assert_unread(after, GPU3)


@pytest.mark.parametrize('path', [
    '/redfish/v1/UpdateService', '/redfish/v1/TaskService',
    '/redfish/v1/Chassis', '/redfish/v1/UpdateService/FirmwareInventory',
    '/redfish/v1/Systems/HGX_Baseboard_0/Processors'])
@pytest.mark.parametrize('value', ['404', '500'])
def test_an_inventory_needs_no_task_or_update_service(
        rig: Start, path: str, value: str) -> None:
    at = rig('hgx-h100', 'System_0', expand=False)
    at.box.faults.add('status', value, path)
    inventory = at.backend.observe()
    assert inventory.host == 'on'
    assert any(w.uri.startswith(path) for w in inventory.warnings)
    # Unread parts cannot be changed, and there is no error.
    at.backend.transports(inventory)


def test_a_hanging_resource_is_read_once(rig: Start) -> None:
    at = rig('hgx-h100', 'System_0', expand=False, read_timeout=0.3)
    count = expected(at)
    at.box.faults.add('hang', '2', GPU3, 'GET')
    begin = time.monotonic()
    after = at.backend.observe()
    assert time.monotonic() - begin < 5
    assert len(after.devices) == count
    assert_unread(after, GPU3)


def test_a_bmc_without_response_is_unreachable(rig: Start) -> None:
    at = rig('plain')
    at.backend.observe()
    at.box.faults.add('refuse', None, '/redfish/v1')
    with pytest.raises(Unreachable):
        at.backend.observe()


@pytest.mark.parametrize('fault', [
    'expand-error', 'expand-truncated', 'expand-wrong'])
def test_wrong_responses_to_expand_are_replaced_by_single_reads(
        rig: Start, fault: str) -> None:
    at = rig('hgx-h100', 'System_0')
    good = at.backend.observe()
    at.box.faults.add(fault)
    after = at.backend.observe()
    assert after.devices == good.devices
    assert after.complete
    assert any('$expand' in w.message for w in after.warnings)


def test_a_too_large_response_is_not_read(rig: Start) -> None:
    at = rig('hgx-h100', 'System_0')
    whole = at.backend.observe()
    small = at.again('System_0', body_limit=16000).observe()
    # Collections that are too large expanded are read one by one.
    assert small.devices == whole.devices
    assert small.requests > whole.requests


def test_eight_serials_of_zeros_are_eight_devices(rig: Start) -> None:
    at = rig('hgx-h100', 'System_0')
    at.box.faults.add('serial-zeros')
    inventory = at.backend.observe()
    gpus = [d for d in inventory.devices if d.kind == 'gpu']
    assert len({d.id for d in gpus}) == 8
    assert {d.serial for d in gpus} == {None}
    assert {d.location for d in gpus} == {
        f'GPU_SXM_{i}' for i in range(1, 9)}


@pytest.mark.parametrize('zeros', [False, True])
def test_device_ids_are_kept_when_uris_change(rig: Start, zeros: bool) -> None:
    at = rig('hgx-h100', 'System_0')
    if zeros:
        at.box.faults.add('serial-zeros')
    before = at.backend.observe()
    known = device_marks.identities(before)
    at.box.faults.add('renumber', count=1)
    at.box.power.reset(next(iter(at.box.hosts.values())), 'ForceRestart')
    at.clock.advance(300)
    after = at.backend.observe(known)
    moved = {d.id: d.uri for d in before.devices}
    assert {d.id for d in after.devices} == set(moved)
    assert any(moved[d.id] != d.uri for d in after.devices)


def test_devices_of_a_host_that_is_off_or_booting_are_not_removed(
        rig: Start) -> None:
    at = rig('pcie-a100')
    keep_time(at)
    on = at.backend.observe()
    assert on.complete
    host = next(iter(at.box.hosts.values()))
    at.box.power.reset(host, 'ForceOff')
    at.clock.advance(10)
    off = at.backend.observe()
    assert (off.host, off.complete) == ('off', False)
    at.box.power.reset(host, 'On')
    at.clock.advance(5)
    warming = at.again(warm_up=60.0).observe()
    assert (warming.host, warming.complete) == ('on', False)
    at.clock.advance(120)
    back = at.again(warm_up=60.0).observe()
    assert back.complete
    assert [d.id for d in back.devices] == [d.id for d in on.devices]


@pytest.mark.parametrize('value', ['400', '404', '405', '500', '501', '503'])
def test_an_unreadable_adapter_stays_unread(
        rig: Start, value: str) -> None:
    """A listed member exists, however long ago the reset was."""
    at = rig('pcie-a100', expand=False)
    keep_time(at)
    at.box.faults.add('status', value, '/NetworkAdapters/NIC5')
    for _ in range(5):
        at.clock.advance(3600)
        seen = at.backend.observe()
        assert seen.complete
        assert not seen.complete_of('nic')
        assert not seen.complete_of('dpu')
        assert seen.complete_of('gpu')
        lost, = (d for d in seen.devices if d.is_unread())
        assert (lost.uri or '').endswith('/NetworkAdapters/NIC5')


def test_a_task_of_another_client_makes_the_system_busy(rig: Start) -> None:
    at = rig('hgx-h100', 'System_0')
    assert at.backend.observe().busy == ()
    uri = control.start_foreign_task(at.box, 600)
    task, = at.backend.observe().busy
    assert (task.kind, task.ref, task.targets) == ('task', uri, ())
    at.clock.advance(700)
    assert at.backend.observe().busy == ()
    control.start_foreign_copy(at.box)
    assert {b.kind for b in at.backend.observe().busy} == {
        'background-copy'}
    at.clock.advance(700)
    assert at.backend.observe().busy == ()


def test_rejected_credentials_are_reported(rig: Start) -> None:
    at = rig('plain', user='admin', password='secret')
    assert at.backend.observe().host == 'on'
    with pytest.raises(NoAccess, match='rejected the cred') as refused:
        session.connect(at.url, 'admin', 'wrong')
    assert 'wrong' not in str(refused.value)


@pytest.mark.parametrize('auth', ['session', 'basic'])
def test_a_password_that_was_changed_ends_the_inventory_at_once(
        rig: Start, auth: str) -> None:
    """Each further attempt could lock the account at the BMC."""
    at = rig('plain', user='admin', password='secret')
    if auth == 'basic':
        at.connector._auth._fallback_to_basic_authentication()
    assert at.backend.observe().host == 'on'
    at.box.options = dataclasses.replace(at.box.options, password='other')
    at.box.sessions.clear()
    before = len(at.box.ledger.requests)
    with pytest.raises(NoAccess, match='set the user and the password'):
        at.backend.observe()
    assert len(at.box.ledger.requests) - before <= 4


def test_a_bmc_that_requires_credentials_is_told_from_one_that_rejects_them(
        rig: Start) -> None:
    at = rig('plain', user='admin', password='secret')
    alone = RedfishBackend(session.connect(at.url), settings=at.settings)
    with pytest.raises(NoAccess, match='the BMC requires credentials'):
        alone.observe()


def test_one_resource_that_answers_401_is_unread_like_any_other(
        rig: Start) -> None:
    at = rig('pcie-a100', user='admin', password='secret', expand=False)
    at.box.faults.add('status', '401', '/Processors/GPU1$')
    seen = at.backend.observe()
    assert any(u.source.endswith('/Processors/GPU1') for u in seen.unread)


def test_one_garbled_response_is_unread_like_any_other(
        rig: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not look like HTTP, and the ones before it did."""
    at = rig('pcie-a100', user='admin', password='secret', expand=False)
    once = connector.PinnedConnector._once
    broken = '/Processors/GPU1'

    def garbled(self: Any, session: Any, method: str, url: str,
                *more: Any) -> Any:
        if url.endswith(broken):
            raise exceptions.ConnectionError(
                url=url, error='') from http.client.BadStatusLine('\0')
        return once(self, session, method, url, *more)

    monkeypatch.setattr(connector.PinnedConnector, '_once', garbled)
    seen = at.backend.observe()
    assert any(u.source.endswith('/Processors/GPU1') for u in seen.unread)
    # The first one of an inventory, and several, are another service.
    broken = ''
    with pytest.raises(NoAccess):
        at.backend.observe()


def test_a_busy_system_beside_a_hidden_one_is_waited_for(rig: Start) -> None:
    at = rig('hgx-h100', user='admin', password='secret', expand=False)
    at.box.faults.add('status', '403', '/Systems/HGX_Baseboard_0$')
    busy = at.box.faults.add('status', '503', '/Systems/System_0$')
    with pytest.raises(Unreachable) as error:
        at.backend.observe()
    assert not isinstance(error.value, NoAccess)
    at.box.faults.lift(busy)
    assert at.backend.observe().host == 'on'


@pytest.mark.parametrize(('fault', 'value'), [
    ('status', '503'), ('status', '403'), ('garbage', None),
    ('drop', None), ('body', '{"error": "busy"}')])
def test_an_unusable_session_is_closed_immediately(
        rig: Start, fault: str, value: str | None) -> None:
    """A BMC has few of them, and another client may need one."""
    at = rig('plain', user='admin', password='secret')
    before = set(at.box.sessions)
    held = at.box.faults.add(fault, value, '/redfish/v1/Systems$', 'GET')
    with contextlib.suppress(Unreachable):
        session.disconnect(session.connect(at.url, 'admin', 'secret'))
    assert not at.box.sessions.keys() - before
    at.box.faults.lift(held)
    assert at.backend.observe().host == 'on'


def test_a_session_that_cannot_be_closed_is_abandoned(rig: Start) -> None:
    """No request is sent later, during garbage collection."""
    at = rig('plain', user='admin', password='secret')
    other = session.connect(at.url, 'admin', 'secret')
    held = at.box.faults.add('refuse', None, '/Sessions/')
    session.disconnect(other)
    at.box.faults.lift(held)
    asked = len(at.box.ledger.requests)
    del other
    gc.collect()
    assert len(at.box.ledger.requests) == asked


@pytest.mark.parametrize('body', [
    '{"@odata.id": "/redfish/v1"}', '{"error": {}}',
    '{"error": null, "@odata.id": "/redfish/v1"}',
    '{"error": "busy", "@odata.id": "/redfish/v1/"}'])
def test_an_invalid_service_root_is_a_transient_error(
        rig: Start, body: str) -> None:
    """It is neither the BMC of a switch nor an input error."""
    at = rig('plain')
    held = at.box.faults.add('body', body, '/redfish/v1$')
    with pytest.raises(Unreachable, match='cannot read the') as error:
        at.backend.observe()
    assert error.value.detail.error_class is ErrorClass.TRANSIENT
    at.box.faults.lift(held)
    assert at.backend.observe().host == 'on'


def test_systems_without_a_link_in_the_root_are_unread(
        rig: Start) -> None:
    at = rig('plain')
    at.backend.observe()
    at.box.faults.add('absent', '/Systems', '/redfish/v1$')
    with pytest.raises(Unreachable, match='no longer links'):
        at.backend.observe()


def test_unchanged_static_resources_are_not_sent_again(rig: Start) -> None:
    at = rig('pcie-a100', expand=False)
    first = at.backend.observe()
    before = len(at.box.ledger.requests)
    again = at.backend.observe()
    assert again.devices == first.devices
    answers = at.box.ledger.requests[before:]
    kept = [e.path for e in answers if e.status == 304]
    assert kept
    assert all('/PCIe' in path for path in kept)
    # Verified values are always read.
    fresh = [e.path for e in answers if e.status == 200]
    assert any('/FirmwareInventory/' in path for path in fresh)
    assert any(path.endswith('/Processors/GPU1') for path in fresh)


@pytest.mark.parametrize('path', [
    '/redfish/v1/Systems', '/redfish/v1/Systems/System_0'])
@pytest.mark.parametrize('system', [
    'System_0', '/redfish/v1/Systems/System_0'])
@pytest.mark.parametrize(('value', 'kind'), [
    ('500', 'transient'), ('503', 'transient'), ('403', 'needs-operator')])
def test_an_unreadable_system_is_not_an_unknown_one(
        rig: Start, path: str, system: str, value: str, kind: str) -> None:
    at = rig('hgx-h100', system, expand=False)
    at.box.faults.add('status', value, path)
    with pytest.raises(Unreachable) as error:
        at.backend.observe()
    assert error.value.detail.error_class == kind


@pytest.mark.parametrize('status', ['404', '410', '503'])
@pytest.mark.parametrize('system', [
    'HGX_Baseboard_0', '/redfish/v1/Systems/HGX_Baseboard_0'])
def test_listed_system_that_cannot_be_read_is_not_bad_input(
        rig: Start, system: str, status: str) -> None:
    at = rig('hgx-h100', system, expand=False)
    at.box.faults.add('status', status, '/Systems/HGX_Baseboard_0$', 'GET')
    with pytest.raises(Unreachable, match=f'HTTP {status}'):
        at.backend.observe()


@pytest.mark.parametrize('system', ['Node9', '/redfish/v1/Systems/Node9'])
def test_system_that_is_not_listed_is_bad_input(
        rig: Start, system: str) -> None:
    with pytest.raises(BadInput, match='expected one of the Systems'):
        rig('hgx-h100', system).backend.observe()
