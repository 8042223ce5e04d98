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

"""What was read on a real H200, and a simulated one that answers alike."""

from __future__ import annotations

import ast
import json
from pathlib import Path
import re
from typing import Any

from ironic_accel.inband.backend import LocalBackend
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine.machine import Ran
from ironic_accel.inband.tools.nvidia_gpu import nvml as nvidia_nvml
from ironic_accel.model.device import Inventory
from ironic_accel_emulator.inside import nvml as simulated
from ironic_accel_emulator.inside.tools.state import part
from ironic_accel_emulator.inside.tools.state import setting
from tests.unit.inband.tools import bench

AT = '0000:00:06.0'


def section(name: str) -> str:
    """What our process printed, below one of the titles."""
    text = bench.document('nvml-h200-580.txt')
    match = re.search(rf'^== {name}\n(.*?)^rc=0$', text, re.M | re.S)
    assert match is not None
    return match[1]


def smi(name: str, *above: str) -> str:
    """A value of ``nvidia-smi -q`` below its titles."""
    text = bench.document('nvidia-smi-q-h200-580.txt')
    start = 0
    for title in above:
        start = text.index(f'{title}\n', start)
    match = re.compile(rf'^\s+{re.escape(name)}\s+: (.*?)\s*$',
                       re.M).search(text, start)
    assert match is not None
    return match[1]


def queried(name: str) -> Any:
    """What the binding's query gave back on the same GPU."""
    text = bench.document('nvml-queries-h200-580.txt')
    match = re.search(rf'^{name} (=|! \S+) (.*)$', text, re.M)
    assert match is not None
    if match[1] != '=':
        number, words = match[2].split(' ', 1)
        return {'error': int(number), 'text': words}
    total = re.search(r'total: (\d+) B', match[2])
    value = int(total[1]) if total else ast.literal_eval(match[2])
    return {'value': value}


def answers() -> dict[str, Any]:
    """All that is asked now: what our process printed, and of queries that
    it learnt later what they gave back on the same GPU. Of the others no
    value was recorded: they are left to those without a driver for them."""
    found = dict(nvidia_nvml.answers(Ran(0, section('ask'))))
    for ours, name in (
            ('nvmlDeviceGetRepairStatus',) * 2,
            ('nvmlDeviceGetUnrepairableMemoryFlag_v1',) * 2,
            ('nvmlDeviceGetPersistenceMode',) * 2,
            ('nvmlDeviceGetPowerManagementLimit',) * 2,
            ('nvmlDeviceGetPowerManagementLimitConstraints',) * 2,
            ('protected', 'nvmlDeviceGetConfComputeProtectedMemoryUsage')):
        found[ours] = queried(name)
    for name in ('sram', 'fabric', 'cc', 'multi_gpu', 'processes'):
        found[name] = {'error': 13, 'text': 'Function Not Found'}
    return found


def machine(folder: Path) -> Machine:
    """The PCI functions of the virtual machine, as its sysfs has them."""
    for at, found in json.loads(
            bench.document('sysfs-h200-vm.json')).items():
        where = bench.files(
            folder, f'sys/bus/pci/devices/{at}', **{
                name: f'{text}\n' for name, text in found['files'].items()})
        # Nothing more than what was there: what it says was not recorded.
        assert not set(found['files']) - set(found['names'])
        if found['driver']:
            drivers = folder / 'root/sys/bus/pci/drivers'
            (drivers / found['driver']).mkdir(parents=True, exist_ok=True)
            (where / 'driver').symlink_to(
                f'../../drivers/{found["driver"]}')
    (folder / 'bin').mkdir(exist_ok=True)
    return Machine(str(folder / 'root'), str(folder / 'bin'),
                {'pynvml': simulated.__name__})


def card() -> dict[str, Any]:
    """What a simulated NVML has to have for the real one's answers."""
    value = {k: v.get('value') for k, v in answers().items()}
    return {
        'facts': {
            'name': value['nvmlDeviceGetName'],
            'serial': value['nvmlDeviceGetSerial'],
            'part_number': value['nvmlDeviceGetBoardPartNumber'],
            'remapped': value['nvmlDeviceGetRemappedRows'],
            'recovery': value['recovery'],
            'uncorrected': value['uncorrected'],
            'repair': value['nvmlDeviceGetRepairStatus'],
            'unrepairable': value['nvmlDeviceGetUnrepairableMemoryFlag_v1'],
            'power': value['nvmlDeviceGetPowerManagementLimitConstraints']},
        'parts': {'gpu': part(value['nvmlDeviceGetVbiosVersion']),
                  'inforom': part(value['nvmlDeviceGetInforomImageVersion'])},
        'settings': {'mig': setting(0, 'none', default=0),
                     'ecc': setting(1, 'warm-reboot', default=1),
                     'persistence': setting(
                         value['nvmlDeviceGetPersistenceMode'], 'none',
                         'warm-reboot', default=0),
                     'power-limit': setting(
                         value['nvmlDeviceGetPowerManagementLimit'], 'none',
                         'warm-reboot', default=700000)}}


def read(folder: Path, *families: Any) -> tuple[LocalBackend, Inventory]:
    """A look of some families at the machine, in a folder."""
    backend = LocalBackend(machine(folder), families,
                           folder=str(folder / 'jobs'))
    return backend, backend.observe()
