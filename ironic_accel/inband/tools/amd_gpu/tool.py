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

"""AMD's Instinct GPUs, by amd-smi.

Sources: amdsmi (github.com/ROCm/amdsmi), ``amdsmi_cli/amdsmi_parser.py``
(options), ``amdsmi_commands.py`` (static, set, bad_pages, metric --ecc; N/A
where the driver has no such count), ``amdsmi_logger.py`` (JSON:
a list; from ROCm 7 on an object whose ``gpu_data`` is that list), and
``py-interface/amdsmi_interface.py`` (keys).

A memory partition is one for all GPUs of the hive (the catalogue says so, and
the planner asks for all of them). Up to ROCm 6 the tool reloads the driver
itself; from ROCm 7 on it waits for ``reset --reload-driver``, and shows
nothing meanwhile. AMD's GPU firmware (IFWI) is not written by amd-smi: it is
read.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any

from ironic_accel.converge.ports import Result
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine.machine import Ran
from ironic_accel.inband.machine.pci_functions import Function
from ironic_accel.inband.tools import common
from ironic_accel.inband.tools.family import Beside
from ironic_accel.inband.tools.family import DeviceReading
from ironic_accel.inband.tools.family import Progress
from ironic_accel.inband.tools.family import ToolReading
from ironic_accel.model.catalog_types import Product
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Mode
from ironic_accel.model.device_marks import clean_serial
from ironic_accel.model.plan import Item
from ironic_accel.model.reading_status import Unread

TOOL = 'amd-smi'

_STATIC = ('static', '--asic', '--bus', '--vbios', '--board', '--partition',
           '--json')
#: By mode, the keys under which versions of the tool have it.
_MODES = {'compute-partition': ('compute_partition',
                                'accelerator_partition'),
          'memory-partition': ('memory_partition',)}
_VALUES = {'compute-partition': ('spx', 'dpx', 'tpx', 'qpx', 'cpx'),
           'memory-partition': ('nps1', 'nps2', 'nps4', 'nps8')}
#: To the warning about the driver's reload (amdsmi_helpers.py,
#: confirm_changing_memory_partition_gpu_reload_warning).
_YES = 'y\n'
_TAKEN = 'Successfully set memory partition to'
_NO_PAGES = 'No bad pages found.'
_NO_COUNT = 'N/A'


class AmdGpu(common.BaseFamily):
    """Instinct GPUs."""

    name = 'amd_gpu'
    # amd-smi belongs to the driver, and reloads it if needed.
    beside: Beside = (('set', 'amdgpu'), ('reset', 'amdgpu'))

    def claims(self, function: Function, product: Product | None) -> bool:
        """Display controllers and processing accelerators of AMD that the
        catalogue knows as GPUs of servers."""
        return (function.vendor_id == '1002'
                and function.class_code.startswith(('03', '12'))
                and product is not None and product.kind == 'gpu')

    def facts(self, product: Product | None) -> tuple[str, ...]:
        """Identity, health, the version and partitions."""
        return ('identity', 'health', 'firmware', *(
            f'mode:{m}' for m in _MODES))

    def read(self, host: Machine, functions: Sequence[Function]
            ) -> ToolReading:
        """One call for each GPU.

        A partitioned GPU shows as several, of which the first has the
        address of the device.
        """
        if host.which(TOOL) is None:
            return ToolReading(warnings=(common.missing(TOOL),))
        return ToolReading({f.address: self._read(host, f.address)
                     for f in functions})

    def _read(self, host: Machine, address: str) -> DeviceReading:
        told = self._static(host, address)
        if told.unread:
            return told
        health, unread = self._health(host, address)
        return dataclasses.replace(
            told, health=health, unread=told.unread + unread,
            absent=() if health or unread else ('health',))

    def _static(self, host: Machine, address: str) -> DeviceReading:
        ran = host.run((TOOL, *_STATIC, '--gpu', address), common.ASK)
        gpus = _gpus(ran)
        for gpu in gpus:
            if common.bdf(common.table(gpu.get('bus')).get('bdf')) == address:
                return _reading(gpu)
        return DeviceReading(unread=(common.unread(
            TOOL, 'the GPU is not in its report' if gpus
            else common.said(TOOL, ran), *self.facts(None)),))

    def _health(self, host: Machine, address: str
                ) -> tuple[str | None, tuple[Unread, ...]]:
        """Critical: pages that could not be retired. Warning: pages that are
        pending retirement, or errors that were not corrected since the driver
        was loaded. None if the driver counts neither."""
        said: list[str] = []
        unread: list[Unread] = []
        for words, judge in _HEALTH:
            ran = host.run((TOOL, *words, '--gpu', address, '--json'),
                           common.ASK)
            gpus = _gpus(ran)
            try:
                said += judge(gpus[0])
            except (IndexError, ValueError) as exc:
                unread.append(common.unread(
                    TOOL, common.said(TOOL, ran) if not gpus
                    else f'{words[0]}: unexpected value: {exc}', 'health'))
        return (next((h for h in ('Critical', 'Warning', 'OK') if h in said),
                     None), tuple(unread))

    def sets(self, host: Machine, device: Device) -> frozenset[str]:
        """The partitions that the GPU has."""
        if host.which(TOOL) is None or device.address is None:
            return frozenset()
        return frozenset(m.name for m in device.modes if m.name in _VALUES)

    def set(self, host: Machine, device: Device, items: Sequence[Item],
            progress: Progress) -> tuple[Result, ...]:
        """Set partitions, memory first, and read them back.

        A memory partition moves the compute partition by itself (to CPX
        with NPS4).
        """
        out: list[Result] = []
        for item in sorted(items, key=lambda i: i.name, reverse=True):
            if item.wanted not in _VALUES.get(item.name, ()) \
                    or device.address is None:
                out += common.failures(device, [item], f'{TOOL} does not '
                                       f'set {item.name} to {item.wanted!r}')
                continue
            progress(f'setting {item.name} of {device.address}', None)
            out += self._set(host, device, item)
        return tuple(out)

    def _set(self, host: Machine, device: Device,
             item: Item) -> tuple[Result, ...]:
        address = device.address or ''
        if self._mode(host, address, item.name) == item.wanted:
            return common.ok(device, [item])
        ran = host.run((TOOL, 'set', '--gpu', address, f'--{item.name}',
                        str(item.wanted).upper()), common.RESET, answer=_YES)
        mode = self._mode(host, address, item.name)
        waits = item.name == 'memory-partition' and ran.ok and (
            _TAKEN in ran.out)
        if mode == item.wanted or (waits and mode is not None):
            return common.ok(device, [item])
        return common.failures(device, [item], common.said(TOOL, ran),
                               expected=str(item.wanted), seen=mode)

    def resets(self, host: Machine, device: Device) -> Activation:
        """A reload of the driver, which is bound to all GPUs of AMD."""
        if host.which(TOOL) is None or device.mode('memory-partition') is None:
            return Activation.NONE
        return Activation.DRIVER_RELOAD

    def reset(self, host: Machine, device: Device, activation: Activation,
              progress: Progress) -> tuple[Result, ...]:
        """Reload the driver; the GPU has to be in the report afterwards."""
        progress('reloading amdgpu', None)
        ran = host.run((TOOL, 'reset', '--reload-driver'), common.RESET,
                       answer=_YES)
        mode = self._mode(host, device.address or '', 'memory-partition')
        if ran.ok and mode is not None:
            return ()
        return common.reset_failed(device, common.said(TOOL, ran))

    def _mode(self, host: Machine, address: str, name: str) -> str | None:
        for mode in self._static(host, address).modes:
            if mode.name == name and mode.current is not None:
                return str(mode.current)
        return None


def _gpus(ran: Ran) -> list[dict[str, Any]]:
    """The answer of a command for each GPU; empty if it failed."""
    raw = common.json_in(ran.out)
    return common.rows(common.table(raw).get('gpu_data', raw)
                       ) if ran.ok else []


def _pages(gpu: Mapping[str, Any]) -> list[str]:
    """Health by pages out of use.

    :raises: ValueError for what the tool is not known to print.
    """
    said = []
    for key, word in (('un_res', 'Critical'), ('pending', 'Warning')):
        found = gpu.get(key)
        if found == _NO_PAGES:
            said.append('OK')
        elif isinstance(found, (dict, list)) and found:
            said.append(word)
        elif found != _NO_COUNT:
            raise ValueError(f'{key}: {found!r}')
    return said


def _errors(gpu: Mapping[str, Any]) -> list[str]:
    """Health by errors that were not corrected.

    :raises: ValueError for what the tool is not known to print.
    """
    found = common.table(gpu.get('ecc')).get('total_uncorrectable_count')
    if found == _NO_COUNT:
        return []
    if isinstance(found, bool) or not isinstance(found, int):
        raise ValueError(f'total_uncorrectable_count: {found!r}')
    return ['Warning' if found else 'OK']


#: The commands that report health, and how it is derived.
_HEALTH: tuple[tuple[tuple[str, ...], Callable[
    [Mapping[str, Any]], list[str]]], ...] = (
        (('bad-pages', '--pending', '--un-res'), _pages),
        (('metric', '--ecc'), _errors))


def _reading(gpu: Mapping[str, Any]) -> DeviceReading:
    asic, board = common.table(gpu.get('asic')), common.table(gpu.get('board'))
    # From ROCm 7 on the VBIOS is called IFWI.
    bios = common.table(gpu.get('ifwi', gpu.get('vbios')))
    running = common.text_of(bios.get('version'))
    parts = (Component('gpu', 'VBIOS', running),) if running else ()
    return DeviceReading(
        serial=clean_serial(common.text_of(board.get('product_serial')))
        or clean_serial(common.text_of(asic.get('asic_serial'))),
        model=common.text_of(asic.get('market_name')),
        part_number=common.text_of(board.get('model_number')),
        components=parts, modes=_modes(common.table(gpu.get('partition'))))


def _modes(partition: Mapping[str, Any]) -> tuple[Mode, ...]:
    found = []
    for name, keys in _MODES.items():
        word = next((w for w in map(common.text_of,
                                    map(partition.get, keys)) if w), None)
        if word is not None:
            found.append(Mode(name, word.lower()))
    return tuple(found)
