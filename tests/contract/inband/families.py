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

"""What the contract of the tool families is tried on: one case for each."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
from pathlib import Path
from typing import Any

from ironic_accel.inband.machine.pci_functions import Function
from ironic_accel.inband.tools.alveo import tool as alveo
from ironic_accel.inband.tools.amd_gpu import tool as amd_gpu
from ironic_accel.inband.tools.family import Family
from ironic_accel.inband.tools.fwupd import tool as fwupd
from ironic_accel.inband.tools.gaudi import tool as gaudi
from ironic_accel.inband.tools.intel_gpu import tool as intel_gpu
from ironic_accel.inband.tools.mellanox import tool as mellanox
from ironic_accel.inband.tools.nvidia_gpu import tool as nvidia_gpu
from ironic_accel.inband.tools.opae import tool as opae
from ironic_accel.inband.tools.qat import tool as qat
from ironic_accel.inband.tools.rshim import tool as rshim
from ironic_accel.inband.tools.sriov import tool as sriov
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Value
from ironic_accel_emulator import images
from ironic_accel_emulator.inside.tools import bluefield
from ironic_accel_emulator.inside.tools import generic
from ironic_accel_emulator.inside.tools.state import part
from ironic_accel_emulator.inside.tools.state import setting

Document = dict[str, Any]
#: Writes an image into a file, and returns its digest.
MakeImage = Callable[[Path], str]


@dataclasses.dataclass(frozen=True)
class Burnt:
    """A burn that a family must be able to do.

    :ivar wanted: the version in the image that fits.
    :ivar reset: what activates it.
    :ivar tool: the tool that writes.
    """

    component: str
    wanted: str
    good: MakeImage
    bad: MakeImage
    reset: str
    tool: str
    #: Among the arguments of the writing call only.
    word: str
    #: Whether the family itself can see the version that runs.
    shown: bool = True


@dataclasses.dataclass(frozen=True)
class Moded:
    """A mode that a family must be able to set.

    :ivar bad: a value that the card cannot have.
    :ivar tool: the tool that writes, None for sysfs.
    :ivar word: among the arguments of the writing call only.
    """

    name: str
    value: Value
    bad: Value
    tool: str | None
    word: str | None = None


@dataclasses.dataclass(frozen=True)
class Case:
    """One family and a card for it.

    :ivar asks: the tools that ``look`` runs.
    :ivar files: the files that ``look`` reads besides.
    :ivar tree: makes what the family reads of sysfs below a root.
    :ivar versions: what ``look`` must say of components.
    :ivar modes: what ``look`` must say of modes.
    """

    name: str
    family: Callable[[], Family]
    kind: str
    function: Function
    card: Document
    asks: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    tree: Callable[[Path], None] = lambda root: None
    versions: Mapping[str, str | None] = dataclasses.field(
        default_factory=dict)
    modes: Mapping[str, Value] = dataclasses.field(default_factory=dict)
    psid: str | None = None
    serial: str | None = None
    burn: Burnt | None = None
    mode: Moded | None = None
    resets: str | None = None
    reset_effect: Activation = Activation.DEVICE_RESET
    #: Other cards that its tools know, by address.
    more: Mapping[str, Document] = dataclasses.field(default_factory=dict)


def function(address: str, ids: str, class_code: str,
             **more: Any) -> Function:
    """A PCI function with ``vendor:device`` ids."""
    vendor, device = ids.split(':')
    return Function(address, vendor, device, vendor, '0001', class_code,
                    path=f'/sys/bus/pci/devices/{address}', **more)


def _mlnx(version: str, psid: str) -> MakeImage:
    return lambda path: images.mlnx_image(path, version, psid)


MELLANOX = Case(
    'mellanox', mellanox.Mellanox, 'nic',
    function('0000:17:00.0', '15b3:1021', '020000'),
    {'facts': {'psid': 'MT_0000000838'},
     'parts': {'nic': part('28.39.1002', 'device-reset')},
     'settings': {
         'SRIOV_EN': setting(0, 'device-reset', default=0),
         'NUM_OF_VFS': setting(8, 'device-reset', default=0),
         'LINK_TYPE_P1': setting(1, 'device-reset', default=1),
         'LINK_TYPE_P2': setting(2, 'device-reset', default=1)}},
    asks=('mstflint', 'mstconfig'),
    tools=('mstflint', 'mstconfig', 'mstfwreset'),
    versions={'nic': '28.39.1002'},
    modes={'sriov': 'disabled', 'vf-limit': 8, 'link-type': ('ib', 'eth')},
    psid='MT_0000000838',
    burn=Burnt('nic', '28.43.1014', _mlnx('28.43.1014', 'MT_0000000838'),
               _mlnx('28.43.1014', 'MT_0000000001'), 'device-reset',
               'mstflint', 'burn'),
    mode=Moded('link-type', ('eth', 'eth'), ('eth',), 'mstconfig'),
    resets='mstfwreset')

BLUEFIELD = Case(
    'bluefield', mellanox.Mellanox, 'dpu',
    function('0000:ca:00.0', '15b3:a2dc', '020000'),
    {'facts': {'psid': 'MT_0000000884'},
     'parts': {'nic': part('32.39.1002')},
     'settings': {
         'SRIOV_EN': setting(1, 'power-cycle', default=1),
         'NUM_OF_VFS': setting(16, 'power-cycle', default=0),
         'INTERNAL_CPU_MODEL': setting(1, 'power-cycle', default=1),
         'INTERNAL_CPU_OFFLOAD_ENGINE': setting(0, 'power-cycle',
                                                default=0)}},
    asks=('mstflint', 'mstconfig'),
    tools=('mstflint', 'mstconfig', 'mstfwreset'),
    versions={'nic': '32.39.1002'},
    modes={'sriov': 'enabled', 'vf-limit': 16, 'mode': 'dpu'},
    psid='MT_0000000884',
    burn=Burnt('nic', '32.43.1014', _mlnx('32.43.1014', 'MT_0000000884'),
               _mlnx('32.43.1014', 'MT_0000000838'), 'power-cycle',
               'mstflint', 'burn'),
    mode=Moded('mode', 'nic', 'both', 'mstconfig'))


def driver(address: str, name: str) -> Callable[[Path], None]:
    """Makes a root in which a driver holds a function."""
    def make(root: Path) -> None:
        folder = root / 'sys/bus/pci/devices' / address
        folder.mkdir(parents=True)
        (folder / 'driver').symlink_to(f'../../../bus/pci/drivers/{name}')
    return make


A100 = Case(
    'a100', nvidia_gpu.NvidiaGpu, 'gpu',
    function('0000:31:00.0', '10de:20b0', '030200'),
    {'facts': {'name': 'NVIDIA A100-SXM4-40GB', 'serial': '1320620000001',
               'part_number': '692-2G506-0200-002',
               'remapped': [0, 0, 0, 0], 'recovery': 0, 'uncorrected': 0,
               'repair': [0, 0]},
     'parts': {'gpu': part('92.00.45.00.03'),
               'inforom': part('G506.0200.00.04')},
     'settings': {'mig': setting(0, 'device-reset', default=0),
                  'ecc': setting(1, 'warm-reboot', default=1)}},
    asks=('nvml',), tools=('nvml', 'nvidia-smi'),
    tree=driver('0000:31:00.0', 'nvidia'),
    versions={'gpu': '92.00.45.00.03', 'inforom': 'G506.0200.00.04'},
    modes={'mig': 'disabled', 'ecc': 'enabled'}, serial='1320620000001',
    mode=Moded('mig', 'enabled', 'maybe', 'nvml'), resets='nvidia-smi')

H100_CC = Case(
    'h100-cc', nvidia_gpu.NvidiaGpu, 'gpu',
    function('0000:45:00.0', '10de:2330', '030200'),
    {'facts': {'name': 'H100-SXM'}, 'parts': {},
     'settings': {'cc': setting('off', 'device-reset', default='off'),
                  'ppcie': setting('off', 'device-reset', default='off')}},
    asks=('nvidia_gpu_tools.py',), tools=('nvidia_gpu_tools.py',),
    modes={'cc': 'off', 'ppcie': 'disabled'},
    mode=Moded('cc', 'on', 'maybe', 'nvidia_gpu_tools.py'),
    resets='nvidia_gpu_tools.py')


def _plain(component: str, version: str, **fits: str) -> MakeImage:
    return lambda path: images.plain_image(path, component, version, fits)


FLEX = Case(
    'flex-170', intel_gpu.IntelGpu, 'gpu',
    function('0000:4d:00.0', '8086:56c0', '038000'),
    {'facts': {'name': 'Intel(R) Data Center GPU Flex 170',
               'serial': 'LQAC20305316', 'board': 'flex-170'},
     'parts': {'gpu': part('DG02_1.3170', 'none'),
               'gfx-data': part('0x53c', 'warm-reboot')},
     'settings': {'ecc': setting(1, 'warm-reboot', default=1)}},
    asks=('xpu-smi',), tools=('xpu-smi',),
    versions={'gpu': 'DG02_1.3170', 'gfx-data': '0x53c'},
    modes={'ecc': 'enabled'}, serial='LQAC20305316',
    burn=Burnt('gpu', 'DG02_1.3260',
               _plain('gpu', 'DG02_1.3260', board='flex-170'),
               _plain('gpu', 'DG02_1.3260', board='max-1550'), 'none',
               'xpu-smi', 'updatefw'),
    mode=Moded('ecc', 'disabled', 'maybe', 'xpu-smi', '--memoryecc'))

NVSWITCH = '0000:07:00.0'


def _with_switch(root: Path) -> None:
    folder = root / 'sys/bus/pci/devices' / NVSWITCH
    folder.mkdir(parents=True)
    for name, text in (('vendor', '0x10de'), ('class', '0x068000')):
        (folder / name).write_text(f'{text}\n')


H100_PPCIE = dataclasses.replace(
    H100_CC, name='h100-ppcie', tree=_with_switch,
    more={NVSWITCH: {'facts': {'name': 'NVSwitch'}, 'parts': {},
                     'settings': {'ppcie': setting(
                         'off', 'device-reset', default='off')}}},
    mode=Moded('ppcie', 'enabled', 'maybe', 'nvidia_gpu_tools.py', '--set'))

MI300X = Case(
    'mi300x', amd_gpu.AmdGpu, 'gpu',
    function('0000:0c:00.0', '1002:74a1', '120000'),
    {'facts': {'name': 'AMD Instinct MI300X OAM', 'serial': '692251001124'},
     'parts': {'gpu': part('022.040.003.041.000001')},
     'settings': {'compute': setting('SPX', 'none'),
                  'memory': setting('NPS1', 'driver-reload')}},
    asks=('amd-smi',), tools=('amd-smi',),
    versions={'gpu': '022.040.003.041.000001'},
    modes={'compute-partition': 'spx', 'memory-partition': 'nps1'},
    serial='692251001124',
    mode=Moded('compute-partition', 'cpx', 'rpx', 'amd-smi', 'set'))

#: The GPU again, for the partition that all share and the driver activates.
MI300X_MEMORY = dataclasses.replace(
    MI300X, name='mi300x-memory',
    mode=Moded('memory-partition', 'nps4', 'nps3', 'amd-smi', 'set'),
    resets='amd-smi', reset_effect=Activation.DRIVER_RELOAD)

_U55C = 'xilinx_u55c_gen3x16_xdma_base_{}'
ALVEO = Case(
    'alveo', alveo.Alveo, 'fpga',
    function('0000:d8:00.0', '10ee:505c', '120000'),
    {'facts': {'name': 'ALVEO U55C', 'serial': 'XFL1R2CVG2QP',
               'board': 'u55c'},
     'parts': {'shell': part(_U55C.format(2)),
               'sc': part('7.1.22', 'warm-reboot')},
     'settings': {}},
    asks=('xbmgmt',), tools=('xbmgmt',),
    versions={'shell': _U55C.format(2), 'sc': '7.1.22'},
    serial='XFL1R2CVG2QP',
    burn=Burnt('shell', _U55C.format(3),
               lambda path: images.xsabin_image(path, _U55C.format(3)),
               lambda path: images.xsabin_image(
                   path, 'xilinx_u280_gen3x16_xdma_base_1'),
               'power-cycle', 'xbmgmt', 'program'))

def _files(below: str, **content: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        folder = root / below
        folder.mkdir(parents=True)
        for name, text in content.items():
            (folder / name).write_text(f'{text}\n')
    return make


QAT = Case(
    'qat', qat.Qat, 'crypto', function('0000:6b:00.0', '8086:4940', '0b4000'),
    {'facts': {}, 'parts': {}, 'settings': {}},
    tree=_files('sys/bus/pci/devices/0000:6b:00.0/qat', state='up',
                cfg_services='asym;sym'),
    files=('sys/bus/pci/devices/0000:6b:00.0/qat/cfg_services',),
    modes={'services': ('sym', 'asym')},
    mode=Moded('services', ('asym', 'dc'), ('rsa',), None))

SRIOV = Case(
    'sriov', sriov.Sriov, 'nic',
    function('0000:17:00.1', '15b3:1021', '020000', totalvfs=16),
    {'facts': {}, 'parts': {}, 'settings': {}},
    tree=_files('sys/bus/pci/devices/0000:17:00.1', sriov_totalvfs='16',
                sriov_numvfs='4'),
    files=('sys/bus/pci/devices/0000:17:00.1/sriov_numvfs',),
    modes={'vfs': 4}, mode=Moded('vfs', 8, 17, None))


def _signed(kind: int, board: str = 'd5005') -> MakeImage:
    return lambda path: generic.signed(path, kind, '2.0.2', board)


OPAE = Case(
    'opae', opae.Opae, 'fpga',
    function('0000:3b:00.0', '8086:0b2b', '120000'),
    {'facts': {'board': 'd5005'},
     'parts': {'fim': part('2.0.1', 'device-reset'),
               'bmc': part('2.0.13', 'device-reset')}, 'settings': {}},
    asks=('fpgainfo',), tools=('fpgainfo', 'fpgasupdate', 'rsu'),
    versions={'fim': '2.0.1', 'bmc': '2.0.13'},
    burn=Burnt('fim', '2.0.2', _signed(0), _signed(1), 'device-reset',
               'fpgasupdate', '--yes'),
    resets='rsu')

GAUDI = Case(
    'gaudi', gaudi.Gaudi, 'ai',
    function('0000:4d:00.0', '1da3:1020', '120000'),
    {'facts': {'name': 'HL-225', 'serial': 'AN38174412'}, 'parts': {},
     'settings': {}},
    asks=('hl-smi',), tools=('hl-smi',),
    tree=_files('sys/class/accel/accel0/device', pci_addr='0000:4d:00.0',
                status='Operational', cpld_ver='0x00000010',
                preboot_btl_ver='Preboot version hl-gaudi2-1.22.0-fw-61.3.2'
                ' (Dec 10 2024 - 14:18:12)',
                cpucp_ver='hl-gaudi2-1.22.0-fw-61.3.2-sec-9'),
    versions={'spi': 'hl-gaudi2-1.22.0-fw-61.3.2',
              'cpld': '0x00000010',
              'firmware': 'hl-gaudi2-1.22.0-fw-61.3.2-sec-9'},
    serial='AN38174412', resets='hl-smi')

_PREBOOT = 'hl-gaudi2-1.{}.0-fw-61.3.2-sec-9'
#: No driver holds it: only then is its flash read and written.
GAUDI_SPI = Case(
    'gaudi-spi', gaudi.Gaudi, 'ai',
    function('0000:4d:00.0', '1da3:1020', '120000'),
    {'facts': {'name': 'HL-225'},
     'parts': {'spi': part(_PREBOOT.format(21), 'driver-reload')},
     'settings': {}},
    asks=('hl-fw-loader',), tools=('hl-fw-loader',),
    versions={'spi': _PREBOOT.format(21)},
    burn=Burnt('spi', _PREBOOT.format(22),
               _plain('spi', _PREBOOT.format(22), board='HL-225'),
               _plain('spi', _PREBOOT.format(22), board='HL-325'),
               'driver-reload', 'hl-fw-loader', '-f'))

_CX7 = 'PCI\\VEN_15B3&DEV_1021&COMPONENT_fw'
FWUPD = Case(
    'fwupd', fwupd.Fwupd, 'nic',
    function('0000:17:00.0', '15b3:1021', '020000'),
    {'facts': {'name': 'ConnectX-7', 'serial': 'MT2228X00001',
               'vendor': 'NVIDIA', 'instance': _CX7},
     'parts': {'nic': part('28.39.1002', 'warm-reboot')}, 'settings': {}},
    asks=('fwupdmgr',), tools=('fwupdmgr',),
    versions={'nic': '28.39.1002'}, serial='MT2228X00001',
    burn=Burnt('nic', '28.43.1014', _plain('nic', '28.43.1014', pci=_CX7),
               _plain('nic', '28.43.1014', pci=_CX7.replace('1021', '1023')),
               'warm-reboot', 'fwupdmgr', 'local-install'))

_DOCA = 'DOCA_{}_BSP_4.9.0_Ubuntu_22.04'
RSHIM = Case(
    'rshim', rshim.Rshim, 'dpu',
    function('0000:ca:00.0', '15b3:a2dc', '020000'),
    {'facts': {'rshim': 'rshim0'},
     'parts': {'bfb': part(_DOCA.format('2.5'))}, 'settings': {}},
    tools=('bfb-install',), files=('dev/rshim0/misc',),
    tree=lambda root: _write(root / 'dev/rshim0/misc',
                             bluefield.misc('0000:ca:00.0')),
    versions={'bfb': None},
    burn=Burnt('bfb', _DOCA.format('2.9'),
               lambda path: bluefield.boot_stream(
                   path, _DOCA.format('2.9')),
               lambda path: bluefield.boot_stream(
                   path, _DOCA.format('2.9'), 2),
               'power-cycle', 'bfb-install', '--bfb', shown=False))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(text)


CASES = (MELLANOX, BLUEFIELD, A100, H100_CC, H100_PPCIE, FLEX, MI300X,
         MI300X_MEMORY, ALVEO, QAT, SRIOV,
         OPAE, GAUDI, GAUDI_SPI, FWUPD, RSHIM)
