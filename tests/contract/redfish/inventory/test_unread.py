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

"""Unread resources are neither absent nor healthy nor idle: kinds of
failures, resources, and what is unknown then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ironic_accel.model.device import Inventory
from ironic_accel.model.device import KINDS
from ironic_accel.model import traits
from ironic_accel.redfish.client import read_history
from ironic_accel_emulator.bmc import control
from ironic_accel_emulator.bmc import mischief
from tests.contract.redfish.conftest import Rig
from tests.contract.redfish.conftest import Start
from tests.contract.redfish import lookup

HGX = '/redfish/v1/Systems/HGX_Baseboard_0'
GPU2 = f'{HGX}/Processors/GPU_SXM_2'

#: All kinds of failing reads: fault of the emulator, its value.
FAILURES = [
    ('status', '400'), ('status', '403'), ('status', '404'),
    ('status', '405'), ('status', '500'), ('status', '501'),
    ('status', '503'), ('body', '503:{"error": "busy"}'),
    ('body', '{"error": "busy"}'), ('body', '[]'), ('body', '"text"'),
    ('body', 'null'), ('empty', None), ('garbage', None), ('cut', None),
    ('other', None)]
SOME = [('status', '404'), ('status', '503'), ('body', '{"error": "busy"}'),
        ('empty', None), ('other', None)]


def spoilt(inventory: Inventory) -> set[str]:
    """Kinds of devices whose number is unknown."""
    return {k for k in KINDS if not inventory.complete_of(k)}


def facts(inventory: Inventory) -> dict[str, tuple[str, ...]]:
    """The unread facts of each device, by the end of its path."""
    return {(d.uri or '').rsplit('/', 1)[-1]: d.unread
            for d in inventory.devices if d.unread}


@pytest.mark.parametrize(('name', 'value'), FAILURES)
def test_a_listed_device_that_cannot_be_read_is_unread(
        rig: Start, name: str, value: str | None) -> None:
    at = rig('hgx-h100', 'System_0', expand=False)
    before = at.backend.observe()
    at.box.faults.add(name, value, f'{GPU2}$')
    after = at.backend.observe()
    assert {d.uri for d in after.devices} == {d.uri for d in before.devices}
    assert facts(after) == {'GPU_SXM_2': ('presence',)}
    assert spoilt(after) == {'gpu'}
    assert after.complete
    told, = after.unread
    assert (told.source, told.kinds, told.holds) == (GPU2, ('gpu',), False)
    lost = next(d for d in after.devices if d.uri == GPU2)
    # Properties of other resources are still reported.
    assert lookup.part(lost, 'gpu').running == '96.00.68.00.01'
    assert told.about == lost.id
    assert told.answer and told.since is not None


@pytest.mark.parametrize(('name', 'value'), FAILURES)
@pytest.mark.parametrize(('box', 'place', 'kinds'), [
    ('hgx-h100', f'{HGX}/Processors$', {'gpu', 'fpga', 'ai', 'crypto'}),
    ('pcie-a100', '/Systems/1/Processors$', {'gpu', 'fpga', 'ai', 'crypto'}),
    ('pcie-a100', '/Chassis/1/NetworkAdapters$',
     {'nic', 'dpu', 'fpga', 'ai'}),
])
def test_an_unread_collection_may_hide_its_kinds_of_devices(
        rig: Start, box: str, place: str, kinds: set[str], name: str,
        value: str | None) -> None:
    at = rig(box, 'System_0' if box == 'hgx-h100' else None, expand=False)
    at.box.faults.add(name, value, place)
    seen = at.backend.observe()
    assert spoilt(seen) == kinds
    assert place.rstrip('$') in seen.unread[0].source
    assert not seen.held
    # A long uptime of the host does not change that.
    at.clock.advance(7200)
    assert spoilt(at.backend.observe()) == kinds


@pytest.mark.parametrize('health', ['OK', 'Critical'])
def test_a_card_with_only_a_pcie_device_has_unknown_health(
        rig: Start, health: str) -> None:
    """Its Processor may have a worse health than its PCIeDevice."""
    at = rig('pcie-a100', expand=False)
    gpu = next(d for d in at.backend.observe().devices if d.kind == 'gpu')
    assert gpu.uri is not None
    control.change_device(at.box, {
        'device': gpu.uri.rsplit('/', 1)[-1], 'health': health})
    at.box.faults.add('status', '503', '/Systems/1/Processors$')
    cards = [d for d in at.backend.observe().devices if d.kind == 'gpu']
    assert cards
    assert all(d.is_unread('health') and not traits.healthy(d)
               for d in cards)
    # Devices of other collections are unchanged.
    nics = [d for d in at.backend.observe().devices if d.kind == 'nic']
    assert nics
    assert not any(d.is_unread('health') for d in nics)


@pytest.mark.parametrize(('name', 'value'), FAILURES)
@pytest.mark.parametrize('place', [
    '/redfish/v1/TaskService$', '/redfish/v1/TaskService/Tasks$',
    '/redfish/v1/UpdateService$'])
def test_an_unread_service_makes_the_system_busy(
        rig: Start, place: str, name: str, value: str | None) -> None:
    at = rig('pcie-a100', expand=False)
    assert not at.backend.observe().held
    at.box.faults.add(name, value, place)
    seen = at.backend.observe()
    assert [u.source for u in seen.held] == [place.rstrip('$')]
    if 'UpdateService' in place:
        assert all(d.is_unread('firmware:gpu') for d in seen.devices)


@pytest.mark.parametrize(('name', 'value'), SOME)
def test_an_unread_firmware_entry_leaves_its_component_unknown(
        rig: Start, name: str, value: str | None) -> None:
    at = rig('hgx-h100', 'System_0', expand=False)
    at.box.faults.add(name, value, '/HGX_FW_GPU_SXM_2$')
    seen = at.backend.observe()
    assert facts(seen) == {'GPU_SXM_2': ('firmware:gpu',)}
    assert not spoilt(seen)


@pytest.mark.parametrize(('name', 'value'), SOME)
def test_an_unread_settings_object_leaves_its_modes_unknown(
        rig: Start, name: str, value: str | None) -> None:
    at = rig('hgx-h100', 'System_0', expand=False)
    at.box.faults.add(name, value, f'{GPU2}/Settings$')
    seen = at.backend.observe()
    assert facts(seen) == {'GPU_SXM_2': (
        'mode:cc', 'mode:ecc', 'mode:egm')} or facts(seen) == {
            'GPU_SXM_2': ('mode:cc', 'mode:ecc')}
    assert not spoilt(seen)


def test_a_restarting_baseboard_bmc_leaves_its_devices_unread(
        rig: Start) -> None:
    """DGX H100: HGX_Baseboard_0 returns 503 for minutes."""
    at = rig('hgx-h100', 'System_0', expand=False)
    at.box.faults.add('hmc-down')
    seen = at.backend.observe()
    board = next(d for d in seen.devices if d.kind == 'baseboard')
    assert (board.uri, board.location) == (HGX, 'HGX_Baseboard_0')
    assert 'presence' in board.unread
    assert {'gpu', 'baseboard'} <= spoilt(seen)
    assert any('HTTP 503' in u.answer for u in seen.unread)
    at.box.faults.clear()
    assert not at.backend.observe().unread


def test_a_foreign_update_during_an_unread_task_service(
        rig: Start) -> None:
    at = rig('hgx-h100', 'System_0')
    control.start_foreign_task(at.box, 3600)
    at.box.faults.add('tasks-down')
    seen = at.backend.observe()
    assert seen.busy == ()
    assert seen.held
    at.box.faults.clear('tasks-down')
    assert at.backend.observe().busy


@pytest.mark.parametrize('name', [
    'ProcessorType', 'Status', 'Version', 'Oem', 'FirmwareVersion',
    'SerialNumber', 'Links', 'MemorySummary', 'RelatedItem',
    '@Redfish.Settings'])
def test_members_expanded_without_required_properties_are_read_directly(
        rig: Start, name: str) -> None:
    at = rig('hgx-h100', 'System_0')
    good = at.backend.observe()
    at.box.faults.add('expand-drops', name)
    backend = at.again('System_0', history=read_history.ReadHistory(
        at.clock.now))
    seen = backend.observe()
    assert seen.devices == good.devices
    assert any('$expand drops' in w.message for w in seen.warnings)
    # It is checked once an hour, and the result is kept meanwhile.
    at.clock.advance(60)
    dear = backend.observe()
    assert dear.devices == good.devices
    assert dear.requests <= seen.requests
    # A response that has all properties is another one, and is checked.
    at.box.faults.clear()
    at.clock.advance(60)
    again = backend.observe()
    assert again.devices == good.devices
    assert again.requests < dear.requests


@pytest.mark.parametrize('lost', [
    # One member only, as a service does that stops waiting for its data.
    ('GPU_SXM_3', ['MemorySummary', '@Redfish.Settings', 'Oem']),
    # What is left of a GPU then looks like the FPGA.
    ('GPU_SXM_', ['MemorySummary', '@Redfish.Settings', 'Oem', 'Location',
                  'PartNumber', 'SerialNumber', 'UUID', 'Metrics',
                  'EnvironmentMetrics', 'SystemInterface']),
    ('', ['MemorySummary', '@Redfish.Settings', 'Oem', 'FPGA', 'Location',
          'PartNumber', 'SerialNumber', 'UUID', 'Metrics',
          'EnvironmentMetrics', 'SystemInterface'])],
    ids=['one', 'a-kind', 'all'])
def test_members_that_look_alike_without_what_expand_drops(
        rig: Start, monkeypatch: pytest.MonkeyPatch,
        lost: tuple[str, list[str]]) -> None:
    at = rig('hgx-h100', 'System_0')
    good = at.backend.observe()
    whose, names = lost
    damage = mischief.damage

    def drop(box: Any, request: Any, reply: Any) -> None:
        damage(box, request, reply)
        if request.path.endswith('/Processors') and reply.expanded:
            for member in reply.body['Members']:
                if str(member['Id']).startswith(whose):
                    for name in names:
                        member.pop(name, None)

    monkeypatch.setattr(mischief, 'damage', drop)
    backend = at.again('System_0', history=read_history.ReadHistory(
        at.clock.now))
    seen = backend.observe()
    assert seen.devices == good.devices
    assert any('$expand drops' in w.message for w in seen.warnings)


def test_a_collection_with_fewer_members_than_its_count_is_unread(
        rig: Start) -> None:
    at = rig('hgx-h100', 'System_0', expand=False)
    at.box.faults.add('short', '2', f'{HGX}/Processors$')
    seen = at.backend.observe()
    assert 'gpu' in spoilt(seen)
    assert 'members (Members@odata.count)' in seen.unread[0].answer


def test_pages_are_followed_and_counted(rig: Start) -> None:
    at = rig('hgx-h100', 'System_0', expand=False)
    whole = at.backend.observe()
    at.box.faults.add('pages', '3', f'{HGX}/Processors$')
    paged = at.backend.observe()
    assert paged.devices == whole.devices
    assert not paged.unread


OPTIONAL = '/redfish/v1/Chassis/1/NetworkAdapters'


def looks(at: Rig, backend: Callable[[], Inventory], seconds: float,
          times: int) -> list[bool]:
    """Whether the collection is unread, for several inventories."""
    out = []
    for _ in range(times):
        at.clock.advance(seconds)
        out.append(any(u.source == OPTIONAL for u in backend().unread))
    return out


@pytest.mark.parametrize('status', ['404', '405', '501'])
def test_a_listed_resource_that_never_exists_becomes_absent(
        rig: Start, status: str) -> None:
    at = rig('pcie-a100', expand=False)
    at.box.faults.add('status', status, f'{OPTIONAL}$')
    assert looks(at, at.backend.observe, 61, 4) == [True, True, False, False]
    seen = at.backend.observe()
    assert seen.complete_of('nic')
    assert any(w.uri == OPTIONAL and 'treated as absent' in w.message
               for w in seen.warnings)


def test_inventories_in_quick_succession_count_once(rig: Start) -> None:
    at = rig('pcie-a100', expand=False)
    at.box.faults.add('status', '404', f'{OPTIONAL}$')
    assert all(looks(at, at.backend.observe, 5, 10))


def test_a_resource_that_existed_never_becomes_absent(rig: Start) -> None:
    at = rig('pcie-a100', expand=False)
    at.backend.observe()
    at.box.faults.add('status', '404', f'{OPTIONAL}$')
    assert all(looks(at, at.backend.observe, 100, 6))


@pytest.mark.parametrize('between', ['500', '503'])
def test_another_error_restarts_the_count(
        rig: Start, between: str) -> None:
    at = rig('pcie-a100', expand=False)
    fault = at.box.faults.add('status', '404', f'{OPTIONAL}$')
    assert all(looks(at, at.backend.observe, 61, 2))
    fault.value = between
    assert all(looks(at, at.backend.observe, 61, 5))
    fault.value = '404'
    assert looks(at, at.backend.observe, 61, 3) == [True, True, False]


def test_nothing_becomes_absent_while_off_or_busy(
        rig: Start) -> None:
    at = rig('pcie-a100', expand=False)
    at.box.faults.add('status', '404', f'{OPTIONAL}$')
    control.start_foreign_task(at.box, 400)
    assert all(looks(at, at.backend.observe, 61, 5))
    at.clock.advance(400)
    host = next(iter(at.box.hosts.values()))
    at.box.power.reset(host, 'ForceOff')
    at.clock.advance(30)
    assert all(looks(at, at.backend.observe, 61, 5))


def test_a_service_never_becomes_absent(rig: Start) -> None:
    at = rig('pcie-a100', expand=False)
    at.box.faults.add('status', '404', '/redfish/v1/TaskService/Tasks$')
    for _ in range(6):
        at.clock.advance(100)
        assert at.backend.observe().held


def test_an_accepted_sub_resource_is_a_warning(rig: Start) -> None:
    part = f'{GPU2}/Settings'
    at = rig('hgx-h100', 'System_0', expand=False,
             accept_unread=frozenset({part, GPU2, f'{HGX}/Processors'}))
    at.box.faults.add('status', '503', f'{part}$')
    seen = at.backend.observe()
    assert not seen.unread
    said = {w.uri: w.message for w in seen.warnings}
    assert 'accepted as unread (accept_unread): HTTP 503' in said[part]
    # A device and a collection cannot be accepted, read or not.
    assert 'only sub-resources' in said[GPU2]
    at.box.faults.add('status', '503', f'{GPU2}$')
    seen = at.backend.observe()
    assert [u.source for u in seen.unread] == [GPU2]


def test_read_history_is_bounded_and_tolerates_clock_changes() -> None:
    now = [1000.0]
    history = read_history.ReadHistory(lambda: now[0], lambda: 5.0)
    for i in range(5000):
        history.failed('bmc', f'/{i}')
        history.failed(f'bmc{i}', '/x')
    assert len(history._bmcs) <= 2048
    assert all(len(b.since) <= 512 for b in history._bmcs.values())
    assert history.steady('a', '/s', 1) == 0
    now[0] += 40
    assert history.steady('a', '/s', 1) == 40
    now[0] -= 500
    assert history.steady('a', '/s', 1) == 0
    assert not history.is_absent('a', '/u', True)
    now[0] -= 500
    assert not history.is_absent('a', '/u', True)


@pytest.mark.parametrize('told', [True, False])
def test_two_equal_inventories_complete_a_tree_without_reset_time(
        rig: Start, told: bool) -> None:
    at = rig('pcie-a100', options={'boot_mark': told}, warm_up=30.0,
             expand=False)
    for host in at.box.hosts.values():
        document = at.box.documents.see(host.uri)
        assert document is not None
        if not told:
            document.pop('BootProgress', None)
    first = at.backend.observe()
    assert first.complete is told
    if told:
        return
    assert 'does not report the last host reset' in first.unready
    at.clock.advance(20)
    assert not at.backend.observe().complete
    at.clock.advance(15)
    assert at.backend.observe().complete
    # One more device restarts the wait.
    at.box.faults.add('status', '503', '/Processors/GPU2$')
    assert not at.backend.observe().complete
    at.clock.advance(31)
    assert at.backend.observe().complete


@pytest.mark.parametrize('mode', ['nic', 'dpu'])
def test_a_dpu_in_nic_mode_is_complete(rig: Start, mode: str) -> None:
    """BlueField-3: Paused and StandbyOffline is permanent in NIC mode."""
    at = rig('bluefield-3', 'Bluefield')
    uri = next(iter(at.box.hosts.values())).uri
    word = {'nic': 'NicMode', 'dpu': 'DpuMode'}[mode]
    at.box.faults.add('says', f'/Mode:"{word}"', f'{uri}/Oem/Nvidia$')

    def overlay(document: dict[str, object]) -> None:
        document['PowerState'] = 'Paused'
        document['Status'] = {'State': 'StandbyOffline', 'Health': 'OK'}

    at.box.lay(uri, overlay)
    seen = at.backend.observe()
    card = next(d for d in seen.devices if d.kind == 'dpu')
    assert (card.state, lookup.mode(card, 'mode').current) == (
        'StandbyOffline', mode)
    assert seen.complete is (mode == 'nic')


def test_a_card_with_only_a_pcie_device_may_have_unread_firmware(
        rig: Start) -> None:
    at = rig('pcie-a100', expand=False)
    at.box.faults.add('status', '503', '/NetworkAdapters$')
    cards = [d for d in at.backend.observe().devices
             if d.kind in ('nic', 'dpu')]
    assert cards
    assert all(d.is_unread('firmware:nic') and d.is_unread('mode:sriov')
               for d in cards)
