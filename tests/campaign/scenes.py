# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Boxes and profiles for the campaign, with what has to be so in the end.

A want is told in the twin's own words (its ids of devices, components and
modes): the judge never reads what a document says.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import functools
from multiprocessing import util
import pathlib
import shutil
import tempfile

from ironic_accel.model import catalog
from ironic_accel.model import catalog_source
from ironic_accel_emulator import images

SHARED = pathlib.Path(__file__).resolve().parents[3] / 'shared'
SHELL = 'xilinx_u55c_gen3x16_xdma_base_3'

Make = Callable[[pathlib.Path], Mapping[str, str]]


@dataclasses.dataclass(frozen=True)
class Want:
    """What a group of a profile comes to, in the twin's words.

    :ivar devices: pattern (fnmatch) of the twin's ids of devices.
    :ivar count: how many of them have to be there.
    :ivar parts: version by key of the devices' firmware.
    :ivar modes: value by name of their modes.
    :ivar components: version by pattern of components without a device.
    """

    devices: str = ''
    count: int = 0
    parts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    modes: Mapping[str, object] = dataclasses.field(default_factory=dict)
    components: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Scene:
    """A box, the host of it that is meant, a profile and its truth.

    :ivar source: a shipped box, or a tarball below ``../shared``.
    :ivar make: makes the images and gives their digests by name.
    :ivar activations: what activates components, where the family errs.
    :ivar transports: ``redfish``, ``agent``, or both: how the host is seen.
    :ivar rows: rows for the catalogue that a site would add.
    """

    name: str
    source: str
    profile: str
    wants: tuple[Want, ...]
    system: str | None = None
    make: Make = lambda folder: {}
    activations: Mapping[str, str] = dataclasses.field(default_factory=dict)
    rows: tuple[Mapping[str, object], ...] = ()
    transports: tuple[str, ...] = ('redfish',)

    @property
    def path(self) -> str:
        """What ``load_box`` takes."""
        at = SHARED / self.source
        return str(at) if self.source.endswith('.gz') else self.source

    @property
    def here(self) -> bool:
        """Whether the box is to be had on this machine."""
        return not self.source.endswith('.gz') or (
            SHARED / self.source).is_file()


def _cards(folder: pathlib.Path) -> dict[str, str]:
    return {
        'dpu': images.mlnx_image(folder / 'dpu', '32.43.1014',
                                 'MT_0000000884'),
        'nic': images.mlnx_image(folder / 'nic', '28.43.1014',
                                 'MT_0000000834'),
        'shell': images.xsabin_image(folder / 'shell', SHELL),
        'sc': images.plain_image(folder / 'sc', 'sc', '7.1.22',
                                 {'board': 'u55c'})}


def _image(name: str, digest: str, fits: str, more: str = '') -> str:
    return (f'  {name}:\n    url: file:///i/{name}\n    sha256: {digest}\n'
            f'    fits: {{{fits}}}\n{more}')


_HEAD = 'profile: 1\nname: campaign\noffered: true\n'

CARDS = _HEAD + 'images:\n' + _image(
    'dpu', '@dpu@', 'psid: MT_0000000884') + _image(
    'nic', '@nic@', 'psid: MT_0000000834') + _image(
    'shell', '@shell@', 'part_number: 041-91083') + _image(
    'sc', '@sc@', 'part_number: 041-91083') + f"""
devices:
  dpus:
    match: {{kind: dpu}}
    count: 1
    firmware: {{nic: {{version: 32.43.1014, image: dpu}}}}
  nics:
    match: {{kind: nic}}
    count: 1
    firmware: {{nic: {{version: 28.43.1014, image: nic}}}}
  fpgas:
    match: {{kind: fpga}}
    count: 1
    firmware:
      shell: {{version: {SHELL}, image: shell}}
      sc: {{version: 7.1.22, image: sc}}
  gpus:
    match: {{kind: gpu}}
    count: 4
    modes: {{ecc: disabled, mig: enabled}}
"""
INSIDE = _HEAD + 'images:\n' + _image(
    'nic', '@nic@', 'psid: MT_0000000834') + _image(
    'shell', '@shell@', 'board: u55c') + f"""
devices:
  nics:
    match: {{kind: nic}}
    count: 1
    firmware: {{nic: {{version: 28.43.1014, image: nic}}}}
  fpgas:
    match: {{kind: fpga}}
    count: 1
    firmware: {{shell: {{version: {SHELL}, image: shell}}}}
  gpus:
    match: {{kind: gpu}}
    count: 4
    modes: {{ecc: disabled, mig: enabled}}
"""
NIC = _HEAD + 'images:\n' + _image(
    'nic', '@nic@', 'psid: MT_0000000834') + """
devices:
  nics:
    match: {kind: nic}
    count: 1
    firmware: {nic: {version: 28.43.1014, image: nic}}
"""
MODES = _HEAD + """
devices:
  gpus:
    match: {kind: gpu}
    count: 4
    modes: {ecc: disabled, mig: enabled}
"""
HGX = _HEAD + 'images:\n' + _image(
    'bundle', '@bundle@', 'board: "HGX H100 8-GPU"') + """
devices:
  gpus:
    match: {kind: gpu, product: nvidia-h100-sxm}
    count: 8
    firmware: {gpu: {version: 96.00.A6.00.01, image: bundle}}
    modes: {ecc: disabled}
  tray:
    match: {kind: baseboard}
    count: 1
    firmware: {fpga: {version: "3.11", image: bundle}}
"""
HGX_MODE = _HEAD + """
devices:
  gpus:
    match: {kind: gpu}
    modes: {ecc: disabled}
"""
NIC_MODE = _HEAD + """
devices:
  dpus:
    match: {kind: dpu}
    count: 1
    modes: {mode: nic}
"""
GB300 = _HEAD + 'images:\n' + _image(
    'bundle', '@bundle@', 'board: GB200 NVL') + """
devices:
  gpus:
    match: {kind: gpu, product: nvidia-gb300}
    count: 4
    firmware: {gpu: {version: 97.10.3F.00.01, image: bundle}}
allow: [collateral]
"""
DELL = _HEAD + 'images:\n' + _image(
    'nic', '@nic@', 'pci: "15b3:101b"').replace('i/nic', 'i/nic.exe') + """
devices:
  nics:
    match: {kind: nic, product: nvidia-connectx-6}
    count: 1
    firmware: {nic: {version: 20.32.1010, image: nic}}
allow: [collateral]
"""
NODES = _HEAD + 'images:\n' + _image(
    'gpu', '@gpu@', 'part_number: 692-2G506-0202-000') + """
devices:
  gpus:
    match: {kind: gpu}
    count: 2
    firmware: {gpu: {version: 92.00.19.00.13, image: gpu}}
"""


def counting(kind: str, number: int) -> str:
    """A profile that wants nothing but so many devices."""
    return _HEAD + f"""
devices:
  group:
    match: {{kind: {kind}}}
    count: {number}
"""


_MIG = Want('GPU*', 4, modes={'ecc': False, 'mig': True})
_A100 = {'kind': 'gpu', 'name': 'gpu', 'for': {
    'product': ['nvidia-a100-sxm4-40gb']}, 'activation': 'power-cycle',
    'source': ['site']}

SCENES: tuple[Scene, ...] = (
    Scene(
        'cards',
        'pcie-a100',
        CARDS,
        (
            _MIG,
            Want('NIC5', 1, {'nic': '32.43.1014'}),
            Want('NIC6', 1, {'nic': '28.43.1014'}),
            Want('FPGA1', 1, {'shell': SHELL, 'sc': '7.1.22'}),
        ),
        make=_cards,
    ),
    Scene(
        'nic',
        'pcie-a100',
        NIC,
        (Want('NIC6', 1, {'nic': '28.43.1014'}),),
        make=_cards,
    ),
    Scene('modes', 'pcie-a100', MODES, (_MIG,)),
    Scene(
        'hgx',
        'hgx-h100',
        HGX,
        (
            Want('GPU_SXM_*', 8, {'gpu': '96.00.A6.00.01'}, {'ecc': False}),
            Want(components={'HGX_FW_FPGA_0': '3.11'}),
        ),
        make=lambda folder: {
            'bundle': images.pldm_bundle(
                folder / 'bundle',
                {'gpu': '96.00.A6.00.01', 'fpga': '3.11'},
                size=2048,
            )
        },
    ),
    Scene(
        'hgx-mode',
        'hgx-h100',
        HGX_MODE,
        (Want('GPU_SXM_*', modes={'ecc': False}),),
    ),
    Scene(
        'bf2-mode',
        'bluefield-2',
        NIC_MODE,
        (Want('Bluefield', 1, modes={'mode': 'NicMode'}),),
    ),
    Scene(
        'bf3-mode',
        'bluefield-3',
        NIC_MODE,
        (Want('Bluefield', 1, modes={'mode': 'NicMode'}),),
    ),
    Scene(
        'two-nodes',
        'two-nodes',
        NODES,
        (Want('Node1.GPU*', 2, {'gpu': '92.00.19.00.13'}),),
        'Node1',
        make=lambda folder: {
            'gpu': images.plain_image(
                folder / 'gpu',
                'gpu',
                '92.00.19.00.13',
                {'model': 'NVIDIA_A100-SXM4-40GB'},
            )
        },
        rows=(_A100,),
    ),
    Scene(
        'gb300',
        'captures/gb300-supermicro.tar.gz',
        GB300,
        (Want('GPU_*', 4, {'gpu': '97.10.3F.00.01'}),),
        'System_0',
        make=lambda folder: {
            'bundle': images.pldm_bundle(
                folder / 'bundle',
                {'gpu': '97.10.3F.00.01'},
                board='gb300',
                size=2048,
            )
        },
    ),
    Scene(
        'dell',
        'captures/dell-r750-h100.tar.gz',
        DELL,
        (Want('InfiniBand.Slot.7', 1, {'nic': '20.32.1010'}),),
        make=lambda folder: {
            'nic': images.plain_image(folder / 'nic', 'nic', '20.32.1010')
        },
    ),
    Scene(
        'inside',
        'pcie-a100',
        INSIDE,
        (
            _MIG,
            Want('NIC6', 1, {'nic': '28.43.1014'}),
            Want('FPGA1', 1, {'shell': SHELL}),
        ),
        make=_cards,
        transports=('agent',),
    ),
    Scene('inside-modes', 'pcie-a100', MODES, (_MIG,), transports=('agent',)),
    Scene(
        'both-modes',
        'pcie-a100',
        MODES,
        (_MIG,),
        transports=('redfish', 'agent'),
    ),
    Scene(
        'both',
        'pcie-a100',
        INSIDE,
        (
            _MIG,
            Want('NIC6', 1, {'nic': '28.43.1014'}),
            Want('FPGA1', 1, {'shell': SHELL}),
        ),
        make=_cards,
        transports=('redfish', 'agent'),
    ),
    # Boxes that are only counted: what is read is all there is to it.
    Scene(
        'count-hgx', 'hgx-h100', counting('gpu', 8), (Want('GPU_SXM_*', 8),)
    ),
    Scene('count-cards', 'pcie-a100', counting('gpu', 4), (Want('GPU*', 4),)),
    Scene(
        'count-cray',
        'captures/a100x4-cray-ex235n.tar.gz',
        counting('gpu', 4),
        (Want('Node0.GPU*', 4),),
        'Node0',
    ),
    Scene(
        'count-dell',
        'captures/dell-r750-h100.tar.gz',
        counting('dpu', 1),
        (Want('NIC.Slot.5', 1),),
    ),
    Scene(
        'count-gb300',
        'captures/gb300-supermicro.tar.gz',
        counting('dpu', 1),
        (Want('Riser_Slot2_BlueField_3_Card', 1),),
        'System_0',
    ),
    Scene(
        'count-offline',
        'cases/redfish/state-offline.tar.gz',
        counting('gpu', 3),
        (Want('GPU*', 3),),
    ),
    Scene(
        'count-health',
        'cases/redfish/health-in-pciedevice.tar.gz',
        counting('gpu', 2),
        (Want('GPU*', 2),),
    ),
)


def here() -> list[Scene]:
    """The scenes whose boxes are on this machine."""
    return [scene for scene in SCENES if scene.here]


def named(name: str) -> Scene:
    """The scene of that name.

    :raises: KeyError where there is none.
    """
    return {scene.name: scene for scene in SCENES}[name]


@functools.cache
def stored(name: str) -> tuple[str, str]:
    """The folder of a scene's images, and its profile with their digests."""
    scene = named(name)
    folder = pathlib.Path(tempfile.mkdtemp(prefix='accel-campaign-'))
    # Also at the end of a worker, where atexit is not called.
    util.Finalize(None, shutil.rmtree, (folder,), exitpriority=1)
    text = scene.profile
    for image, digest in scene.make(folder).items():
        text = text.replace(f'@{image}@', digest)
    return str(folder), text


@functools.cache
def _rows() -> catalog_source.Rows:
    return catalog_source.read()


@functools.cache
def facts(name: str) -> catalog.Catalog:
    """The catalogue, with the rows that a site would have added."""
    more = named(name).rows
    if not more:
        return _usual()
    rows = _rows()
    return catalog.Catalog(rows.products, rows.vendors,
                           [*rows.components, *more], rows.modes)


@functools.cache
def _usual() -> catalog.Catalog:
    return catalog.load()
