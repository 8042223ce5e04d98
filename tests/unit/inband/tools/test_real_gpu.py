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

"""What a real H200 and its driver answered, read as exactly as it was said.

Where both NVML and ``nvidia-smi -q`` say something, the second judges our
reading of the first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ironic_accel.inband.firstboot import applier
from ironic_accel.inband.machine.machine import Ran
from ironic_accel.inband.machine import pci_functions
from ironic_accel.inband.machine.pci_functions import Function
from ironic_accel.inband.tools.family import DeviceReading
from ironic_accel.inband.tools.nvidia_gpu import nvml as nvidia_nvml
from ironic_accel.inband.tools.nvidia_gpu import tool as nvidia_gpu
from ironic_accel.model import condition
from ironic_accel.model.device import Link
from ironic_accel_emulator.inside.tools.state import State
from tests.unit.inband.tools import bench
from tests.unit.inband.tools import h200


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    """A simulated NVML that has what the real one told."""
    monkeypatch.setenv('TWIN_INSIDE_STATE', str(tmp_path / 'state.json'))
    found = State(tmp_path / 'state.json')
    found.create({h200.AT: h200.card()})
    return found


def _told(**more: Any) -> DeviceReading:
    return nvidia_nvml.told({**h200.answers(), **more}, 'silence',
                            ['cc', 'ppcie'])


def _watts(name: str) -> int:
    """A power limit of the GPU in ``nvidia-smi -q``: ``700.00 W``."""
    return round(float(h200.smi(name, 'GPU Power Readings').split(' ')[0]))


def test_nvml_of_an_h200() -> None:
    told = _told()
    assert told.unread == () and told.absent == ()
    assert (told.model, told.part_number, told.serial) == (
        h200.smi('Product Name'), h200.smi('Board Part Number'),
        h200.smi('Serial Number'))
    assert {c.name: c.running for c in told.components} == {
        'gpu': h200.smi('VBIOS Version'),
        'inforom': h200.smi('Image Version', 'Inforom Version')}
    assert {m.name: (m.current, m.pending) for m in told.modes} == {
        'mig': (h200.smi('Current', 'MIG Mode').lower(), None),
        'ecc': (h200.smi('Current', 'ECC Mode').lower(), None),
        'persistence': (h200.smi('Persistence Mode').lower(), None),
        'power-limit': (_watts('Current Power Limit'), None)}
    (limit,) = (m for m in told.modes if m.name == 'power-limit')
    assert (limit.minimum, limit.maximum) == (
        _watts('Min Power Limit'), _watts('Max Power Limit'))
    assert told.health == 'OK'
    for name in ('Pending', 'Remapping Failure Occurred'):
        assert h200.smi(name, 'Remapped Rows') == 'No'
    for name in ('Channel Repair Pending', 'TPC Repair Pending',
                 'Unrepairable Memory', 'SRAM Threshold Exceeded'):
        assert h200.smi(name) == 'No'


def test_missing_permission_is_the_same_error() -> None:
    assert h200.section('as nobody') == h200.section('ask')


@pytest.mark.parametrize(('section', 'number', 'health'), [
    ('other address', 6, 'Critical'), ('junk address', 2, None)])
def test_nvml_of_no_gpu(section: str, number: int,
                        health: str | None) -> None:
    told = nvidia_nvml.told(nvidia_nvml.answers(Ran(0, h200.section(section))),
                            'silence')
    assert (told.health, told.serial, told.components, told.modes) == (
        health, None, (), ())
    (unread,) = told.unread
    assert f'(NVML error {number})' in unread.answer
    assert {'identity', 'firmware', 'modes'} <= set(unread.facts)


#: A query, its answer, and what it makes of a healthy GPU's health.
HEALTH = [
    ('nvmlDeviceGetRepairStatus', [1, 0], 'Warning'),
    ('nvmlDeviceGetRepairStatus', [0, 1], 'Warning'),
    ('nvmlDeviceGetUnrepairableMemoryFlag_v1', 1, 'Critical'),
    ('sram', 1, 'Warning'), ('sram', 0, 'OK'),
    ('fabric', [3, 0, 1], 'OK'), ('fabric', [3, 0, 2], 'Critical'),
    ('fabric', [3, 0, 3], 'Warning'), ('fabric', [3, 999, 0], 'Warning'),
    # Nobody has brought the fabric up, or there is none.
    ('fabric', [1, 0, 2], 'OK'), ('fabric', [0, 0, 0], 'OK'),
    ('fabric', [3, 0, 0], 'OK')]


@pytest.mark.parametrize(('query', 'value', 'health'), HEALTH)
def test_other_health_reports_of_a_gpu(query: str, value: Any,
                                            health: str) -> None:
    told = _told(**{query: {'value': value}})
    assert (told.health, told.unread) == (health, ())


@pytest.mark.parametrize(('query', 'value'), [
    ('nvmlDeviceGetRepairStatus', ['x', 0]), ('sram', 'many'),
    ('fabric', [3, 0]), ('fabric', 'up'), ('recovery', [1, 2, 3])])
def test_unexpected_answer_is_unread(query: str,
                                                    value: Any) -> None:
    told = _told(**{query: {'value': value}})
    assert [f for u in told.unread for f in u.facts] == ['health']


@pytest.mark.parametrize('number', [3, 13, 25])
@pytest.mark.parametrize('query', [
    'nvmlDeviceGetRepairStatus', 'nvmlDeviceGetUnrepairableMemoryFlag_v1',
    'sram', 'fabric', 'cc', 'protected', 'multi_gpu'])
def test_value_unknown_to_an_older_driver_is_unknown(
        query: str, number: int) -> None:
    told = _told(**{query: {'error': number, 'text': 'Older'}})
    assert (told.health, told.unread) == ('OK', ())
    assert [m.name for m in told.modes] == [
        'mig', 'ecc', 'persistence', 'power-limit']


#: Of the driver (feature, developers), of the GPU (protected bytes), and
#: several GPUs together; CC and PPCIe as they are told then, or why not.
CC = [
    ([0, 0], 0, 0, 'off', 'disabled'), ([1, 0], 1, 0, 'on', 'disabled'),
    ([1, 1], 1, 0, 'devtools', 'disabled'),
    ([0, 0], 1, 0, 'unread', 'disabled'),
    ([1, 0], 0, 0, 'unread', 'disabled'),
    ([0, 1], 0, 0, 'unread', 'disabled'), (7, 0, 0, 'unread', 'disabled'),
    ([1, 0], 1, 1, 'not-reported', 'enabled'),
    ([0, 0], 0, 2, 'not-reported', 'unread')]


@pytest.mark.parametrize(('state', 'memory', 'several', 'cc', 'ppcie'), CC)
def test_protection_while_the_driver_holds_the_gpu(
        state: Any, memory: int, several: int, cc: str, ppcie: str) -> None:
    told = _told(cc={'value': state}, protected={'value': memory << 30},
                 multi_gpu={'value': several})
    seen = {m.name: m.current or str(m.standing) for m in told.modes}
    assert seen.get('cc', 'not-reported') == cc
    assert seen['ppcie'] == ppcie
    assert {f for u in told.unread for f in u.facts} == {
        f'mode:{n}' for n, v in (('cc', cc), ('ppcie', ppcie))
        if v == 'unread'}


def test_cc_is_off_as_nvidia_smi_says_too() -> None:
    text = bench.document('nvidia-smi-more-h200-580.txt')
    assert 'CC State                   : OFF' in text
    assert 'Multi-GPU Mode             : None' in text
    told = _told(cc={'value': [0, 0]}, multi_gpu={'value': 0})
    assert {m.name: m.current for m in told.modes} == {
        'mig': 'disabled', 'ecc': 'enabled', 'persistence': 'enabled',
        'power-limit': 700, 'cc': 'off',
        'ppcie': 'disabled'}


def test_a_gpu_without_such_a_mode_is_not_asked_for_it() -> None:
    told = nvidia_nvml.told(
        {**h200.answers(), 'cc': {'error': 999, 'text': 'Unknown Error'}},
        'silence')
    assert told.unread == () and told.health == 'OK'


@pytest.mark.parametrize('words', ['Disabled', 'Enabled'])
def test_the_mig_mode_at_first_boot_as_it_is_printed(words: str) -> None:
    """The same value, and word, in the CSV and in the report."""
    text = bench.document('nvidia-smi-more-h200-580.txt')
    header, row = text[text.index('index, '):].splitlines()[:2]
    found = dict(zip(header.split(', '), row.split(', '), strict=True))
    assert found['mig.mode.current'] == h200.smi('Current', 'MIG Mode')
    said = found['mig.mode.current'].replace('Disabled', words)
    assert applier.PciCard.switch(said) == words.lower()


@pytest.mark.parametrize('said', [
    'Field "mig.mode.current" is not a valid field to query.',
    'No devices were found', '[N/A]', ''])
def test_other_output_is_no_mig_mode(said: str) -> None:
    text = bench.document('nvidia-smi-more-h200-580.txt')
    assert said.replace('mig.mode.current', 'nonsense') in text
    assert applier.PciCard.switch(said) is None


# The machine around it.

def test_sysfs_of_the_machine(tmp_path: Path) -> None:
    host = h200.machine(tmp_path)
    found = pci_functions.bus(host)
    assert found.unread == () and len(found.functions) == 7
    (gpu,) = [f for f in found.functions if f.vendor_id == '10de']
    assert pci_functions.details(host, gpu) == Function(
        h200.AT, '10de', '2335', '10de', '18bf', '030200',
        link=Link(16, '32.0'), driver='nvidia',
        path=f'/sys/bus/pci/devices/{h200.AT}')


def test_the_simulated_nvml_answers_in_the_same_form(
        tmp_path: Path, state: State) -> None:
    host = h200.machine(tmp_path)
    for section, at in (('ask', h200.AT), ('other address', '0000:ff:00.0'),
                        ('junk address', 'junk')):
        real = nvidia_nvml.answers(Ran(0, h200.section(section)))
        ours = nvidia_nvml.ask(host, at)[0]
        assert {k: ours[k] for k in real} == dict(real)
        assert set(ours) - set(real) == (
            set() if at != h200.AT else set(h200.answers()) - set(real))
    ours = nvidia_nvml.ask(host, h200.AT)[0]
    for name in ('nvmlDeviceGetRepairStatus', 'protected',
                 'nvmlDeviceGetUnrepairableMemoryFlag_v1'):
        assert {**ours[name], 'name': None} == {
            **h200.answers()[name], 'name': None}


def test_inventory_of_the_machine(tmp_path: Path, state: State) -> None:
    backend, seen = h200.read(tmp_path, nvidia_gpu.NvidiaGpu())
    assert seen.system == 'local' and seen.complete
    assert seen.unread == () and seen.warnings == ()
    (gpu,) = seen.devices
    assert (gpu.id, gpu.product, gpu.numa_node, gpu.link, gpu.health) == (
        'gpu-1650000000001', 'nvidia-h200-sxm', None, Link(16, '32.0'),
        'OK')
    assert {m.name: m.current for m in gpu.modes} == {
        'mig': 'disabled', 'ecc': 'enabled', 'persistence': 'enabled',
        'power-limit': 700, 'cc': 'off',
        'ppcie': 'disabled'}
    assert condition.healthy(gpu)
    (transport,) = backend.transports(seen)
    assert transport.sets == {(gpu.id, name) for name in (
        'mig', 'ecc', 'persistence', 'power-limit')}


def test_inventory_without_families_has_a_warning(
        tmp_path: Path) -> None:
    _, seen = h200.read(tmp_path)
    (gpu,) = seen.devices
    assert (gpu.health, gpu.unread, gpu.modes) == (None, (), ())
    assert [w.uri for w in seen.warnings] == ['ironic_accel.tools', h200.AT]
    assert 'no tool family is installed' in seen.warnings[0].message
    assert 'unknown' in seen.warnings[1].message
