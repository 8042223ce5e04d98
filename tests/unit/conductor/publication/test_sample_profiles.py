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


"""Every shipped sample is applied on a simulated system.

It reaches its IS trait, or its header says that there is none. A sample
without a row in ``APPLIED`` fails. The digest of an image is the only value
of a sample that is replaced.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import dataclasses
from importlib import resources
from pathlib import Path
import time
from typing import Any

from ironic.common import states
import pytest
import yaml

from ironic_accel.conductor.publication import publish
from ironic_accel.conductor.publication import traits as node_traits
from ironic_accel.converge import outcome
from ironic_accel.inband.tools.alveo.tool import Alveo
from ironic_accel.inband.tools.amd_gpu.tool import AmdGpu
from ironic_accel.inband.tools.gaudi.tool import Gaudi
from ironic_accel.inband.tools.mellanox.tool import Mellanox
from ironic_accel.inband.tools.nvidia_gpu.tool import NvidiaGpu
from ironic_accel.inband.tools.qat.tool import Qat
from ironic_accel.model import loader
from ironic_accel.model import traits
from ironic_accel.model.device import Inventory
from ironic_accel.model.plan import Transport
from ironic_accel.model.profile import Profile
from ironic_accel_emulator import images
from ironic_accel_emulator.inside.tools.state import part
from ironic_accel_emulator.inside.tools.state import setting
from tests.contract.inband.card_host import card_host
from tests.contract.inband.card_host import Cards
from tests.contract.machine import End
from tests.contract.machine import machine

Make = Callable[..., Any]

SAMPLES = {path.name.removesuffix('.yaml'): path.read_text()
           for path in (resources.files('ironic_accel') / 'samples').iterdir()
           if path.name.endswith('.yaml')}
ZEROS = '0' * 64


@dataclasses.dataclass
class System:
    """A simulated system on which a profile can be run."""

    run: Callable[[Profile], End]
    observe: Callable[[], Inventory]
    transports: Callable[[Inventory], tuple[Transport, ...]]
    folder: Path


@contextlib.contextmanager
def _redfish(folder: Path, box: str, **changed: Any) -> Iterator[System]:
    """A system behind a BMC.

    :param changed: what differs from the shipped description, by path.
    """
    text = (resources.files('ironic_accel_emulator') / 'boxes'
            / f'{box}.yaml').read_text()
    spec = yaml.safe_load(text)
    for path, value in changed.items():
        *inner, last = path.split('__')
        at: Any = spec
        for key in inner:
            at = at[int(key) if key.isdigit() else key]
        at[int(last) if last.isdigit() else last] = value
    file = folder / f'{box}.yaml'
    file.write_text(yaml.safe_dump(spec))
    with machine(file, folder, power='On') as found:
        found.clock.advance(600)
        yield System(found.run, found.backend.observe,
                     lambda seen: found.backend.transports(seen), folder)


@contextlib.contextmanager
def _inside(folder: Path, *cards: Cards) -> Iterator[System]:
    """A host whose cards are reached by their own tools."""
    with card_host(folder, *cards) as host:
        yield System(host.run, lambda: host.backend().observe(),
                     lambda seen: host.backend().transports(seen), folder)


def _adapter(number: int) -> dict[str, Any]:
    return {'id': f'NIC{number}', 'manufacturer': 'NVIDIA',
            'model': 'ConnectX-8 800GE 2P NIC', 'part_number': '900-9X81E',
            'serial': f'MT2500X0000{number}', 'pci': '15b3:1023:15b3:0041',
            'firmware': f'NIC{number}_ConnectX-8', 'version': '40.45.3048',
            'psid': 'MT_0000001222', 'sriov': False, 'macs': []}


def _gb300(folder: Path) -> contextlib.AbstractContextManager[System]:
    """Four GPUs and four adapters; versions and ids of a recorded tray."""
    return _redfish(folder, 'pcie-a100', hosts__0__fpgas=[], hosts__0__gpus=[{
        'count': 4, 'id': 'GPU{n}', 'manufacturer': 'NVIDIA',
        'model': 'NVIDIA GB300', 'part_number': '2E22-898-A1',
        'serial': '165112400000{n}', 'pci': '10de:31c2:10de:0001', 'slot': 0,
        'memory_mib': 294912, 'firmware': 'GPU{n}', 'software_id': 'GB300',
        'version': '97.10.3E.00.05'}],
        hosts__0__adapters=[_adapter(n) for n in range(1, 5)])


def _gpu(name: str, ids: str, count: int, **settings: Any) -> Cards:
    """GPUs of NVIDIA under their driver; versions of a Dell R750's H100."""
    return Cards(
        NvidiaGpu, ('10de', ids, '10de', '1626'), '030200', 'nvidia', count,
        {'facts': {'name': name, 'serial': '165102200000{n}',
                   'part_number': '900-21010-0000-000',
                   'remapped': [0, 0, 0, 0], 'recovery': 0, 'uncorrected': 0,
                   'repair': [0, 0], 'unrepairable': 0, 'sram': 0},
         'parts': {'gpu': part('96.00.30.00.01')}, 'settings': settings},
        executables=('nvml', 'nvidia-smi'))


MIG = setting(0, 'none', 'driver-reload', default=0)
ECC_OFF = setting(0, 'warm-reboot', default=1)


def _mellanox(device: str, psid: str, version: str, reset: str,
              **settings: int) -> Cards:
    return Cards(
        Mellanox, ('15b3', device, '15b3', '0041'), '020000', 'mlx5_core', 1,
        {'facts': {'psid': psid}, 'parts': {'nic': part(version, reset)},
         'settings': {k: setting(v, reset, default=v)
                      for k, v in settings.items()}},
        executables=('mstflint', 'mstconfig', 'mstfwreset'),
        vpd={'PN': 'MCX755106AS-HEAT', 'SN': 'MT2245X0000{n}'})


ALVEO = Cards(
    Alveo, ('10ee', '505c', '10ee', '000e'), '120000', 'xclmgmt', 2,
    {'facts': {'name': 'ALVEO U55C', 'serial': 'XFL1R2CVG2Q{n}',
               'board': 'u55c'},
     'parts': {'shell': part('xilinx_u55c_gen3x16_xdma_base_2'),
               'sc': part('7.1.22', 'warm-reboot')}},
    executables=('xbmgmt',))
BLUEFIELD_3 = _mellanox(
    'a2dc', 'MT_0000000884', '32.39.1002', 'power-cycle', SRIOV_EN=0,
    NUM_OF_VFS=8, INTERNAL_CPU_MODEL=1, INTERNAL_CPU_OFFLOAD_ENGINE=0)
CONNECTX_7 = _mellanox(
    '1021', 'MT_0000000834', '28.39.1002', 'device-reset', SRIOV_EN=0,
    NUM_OF_VFS=8, LINK_TYPE_P1=1, LINK_TYPE_P2=2)
_PREBOOT = 'hl-gaudi3-1.22.0-fw-61.3.2-sec-9'
GAUDI_3 = Cards(
    Gaudi, ('1da3', '1060', '1da3', '0000'), '120000', 'habanalabs', 8,
    {'facts': {'name': 'HL-325L', 'serial': 'AN3817441{n}'}},
    others={f'/sys/class/accel/accel{{n}}/device/{name}': text
            for name, text in {
                'pci_addr': '{address}', 'status': 'Operational',
                'cpld_ver': '0x00000010', 'cpucp_ver': _PREBOOT,
                'preboot_btl_ver': f'Preboot version {_PREBOOT} '
                                   '(Dec 10 2024 - 14:18:12)'}.items()},
    executables=('hl-smi',))
MI300X = Cards(
    AmdGpu, ('1002', '74a1', '1002', '74a1'), '120000', 'amdgpu', 8,
    {'facts': {'name': 'AMD Instinct MI300X OAM',
               'serial': '69225100112{n}'},
     'parts': {'gpu': part('022.040.003.041.000001')},
     'settings': {'compute': setting('CPX', 'none'),
                  'memory': setting('NPS1', 'driver-reload')}},
    executables=('amd-smi',))
QAT = Cards(
    Qat, ('8086', '4940', '8086', '0000'), '0b4000', '4xxx', 2,
    files={'qat/state': 'up', 'qat/cfg_services': 'dc'})

#: By sample, the system and how the images of the sample are written.
APPLIED: dict[str, tuple[
    Callable[[Path], contextlib.AbstractContextManager[System]],
    dict[str, Callable[[Path], str]]]] = {
    'a100-mig': (lambda at: _redfish(at, 'pcie-a100'), {}),
    'alveo-u55c': (lambda at: _inside(at, ALVEO), {
        'shell': lambda path: images.xsabin_image(
            path, 'xilinx_u55c_gen3x16_xdma_base_3')}),
    'bluefield2-dpu': (lambda at: _redfish(
        at, 'bluefield-2', dpu__mode='NicMode'), {}),
    'bluefield3-nic': (lambda at: _inside(at, BLUEFIELD_3), {
        'nic-fw': lambda path: images.mlnx_image(
            path, '32.47.1026', 'MT_0000000884')}),
    'connectx7-sriov': (lambda at: _inside(at, CONNECTX_7), {
        'nic-fw': lambda path: images.mlnx_image(
            path, '28.47.1026', 'MT_0000000834')}),
    'gaudi3': (lambda at: _inside(at, GAUDI_3), {}),
    'gb300-nvl': (_gb300, {}),
    'h100-mig-at-boot': (lambda at: _inside(at, _gpu(
        'NVIDIA H100 PCIe', '2331', 2, mig=MIG)), {}),
    'hgx-h100': (lambda at: _redfish(
        at, 'hgx-h100', hgx__versions__gpu='96.00.5E.00.01',
        hgx__versions__fpga='2.10'), {
        'bundle': lambda path: images.pldm_bundle(path, {
            'gpu': '96.00.68.00.01', 'fpga': '2.11'})}),
    'hgx-h100-confidential': (lambda at: _redfish(at, 'hgx-h100'), {}),
    'hopper-ecc': (lambda at: _inside(at, _gpu(
        'NVIDIA H100 PCIe', '2331', 2, ecc=ECC_OFF)), {}),
    'mi300x-cpx': (lambda at: _inside(at, MI300X), {}),
    'qat-tls': (lambda at: _inside(at, QAT), {}),
}


def _profile(name: str, folder: Path) -> tuple[str, Profile]:
    """A sample whose images are there, as text and parsed."""
    text = SAMPLES[name]
    assert text.count(ZEROS) == len(APPLIED[name][1])
    for image, write in APPLIED[name][1].items():
        text = text.replace(ZEROS, write(folder / image), 1)
    [profile] = loader.load_text(text)
    assert {*profile.images} == {*APPLIED[name][1]}
    return text, profile


def _header(name: str) -> str:
    lines = SAMPLES[name].splitlines()
    return ' '.join(line.removeprefix('#').strip() for line in lines
                    if line.startswith('#'))


def test_every_sample_is_applied_here() -> None:
    assert APPLIED.keys() == SAMPLES.keys()


@pytest.mark.parametrize('name', sorted(SAMPLES))
def test_a_sample_reaches_its_is_trait_or_says_why_not(
        name: str, tmp_path: Path, profiles: Path, make_node: Make,
        acquire: Make) -> None:
    text, profile = _profile(name, tmp_path)
    profiles.joinpath(f'{name}.yaml').write_text(text)
    with APPLIED[name][0](tmp_path) as system:
        out = system.run(profile)
        assert isinstance(out, outcome.Converged), out
        assert out.proofs
        task = acquire(make_node(provision_state=states.AVAILABLE))
        publish.publish(task, system.observe(),
                        lambda seen, _pushes: system.transports(seen),
                        time.time())
    reached = traits.is_trait(profile) in node_traits.of(task)
    assert reached is not ('no IS trait' in _header(name))
    if profile.offered:
        assert traits.can_trait(profile) in node_traits.of(task)
