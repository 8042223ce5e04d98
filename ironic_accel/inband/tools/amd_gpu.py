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
(options), ``amdsmi_commands.py`` (static, set), ``amdsmi_logger.py`` (JSON:
a list; from ROCm 7 on an object whose ``gpu_data`` is that list), and
``py-interface/amdsmi_interface.py`` (keys).

A memory partition is one for all GPUs of the hive (the catalogue says so, and
the planner asks for all of them). Up to ROCm 6 the tool reloads the driver
itself; from ROCm 7 on it waits for ``reset --reload-driver``, and shows
nothing meanwhile. AMD's GPU firmware (IFWI) is not written by amd-smi: it is
read.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from ironic_accel.converge.ports import Result
from ironic_accel.inband.family import Function
from ironic_accel.inband.family import Progress
from ironic_accel.inband.family import Seen
from ironic_accel.inband.family import Told
from ironic_accel.inband.host import Host
from ironic_accel.inband.tools import common
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Effect
from ironic_accel.model.device import Mode
from ironic_accel.model.device import Warned
from ironic_accel.model.facts import Product
from ironic_accel.model.join import clean_serial
from ironic_accel.model.plan import Item

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


class AmdGpu(common.BaseFamily):
    """Instinct GPUs."""

    name = 'amd_gpu'

    def claims(self, function: Function, product: Product | None) -> bool:
        """Display controllers and processing accelerators of AMD that the
        catalogue knows as GPUs of servers."""
        return (function.vendor_id == '1002'
                and function.class_code.startswith(('03', '12'))
                and product is not None and product.kind == 'gpu')

    def look(self, host: Host, functions: Sequence[Function]) -> Seen:
        """One call for all GPUs; they are told apart by address.

        A partitioned GPU shows as several, of which the first has the
        address of the device.
        """
        if host.which(TOOL) is None:
            return Seen(warnings=(common.missing(TOOL),))
        ran = host.run((TOOL, *_STATIC), common.ASK)
        raw = common.json_in(ran.out)
        gpus = common.rows(common.table(raw).get('gpu_data', raw))
        if not ran.ok or not gpus:
            return Seen(warnings=(common.warned(
                TOOL, None, common.said(TOOL, ran)),))
        found = {common.bdf(common.table(g.get('bus')).get('bdf')): g
                 for g in reversed(gpus)}
        told: dict[str, Told] = {}
        warnings: list[Warned] = []
        for function in functions:
            gpu = found.get(function.address)
            if gpu is None:
                warnings.append(common.warned(
                    TOOL, function.address, 'it does not show this GPU'))
            else:
                told[function.address] = _told(gpu)
        return Seen(told, tuple(warnings))

    def sets(self, host: Host, device: Device) -> frozenset[str]:
        """The partitions that the GPU has."""
        if host.which(TOOL) is None or device.address is None:
            return frozenset()
        return frozenset(m.name for m in device.modes if m.name in _VALUES)

    def set(self, host: Host, device: Device, items: Sequence[Item],
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

    def _set(self, host: Host, device: Device,
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

    def resets(self, host: Host, device: Device) -> Effect:
        """A reload of the driver, which holds all of AMD's GPUs."""
        if host.which(TOOL) is None or device.mode(
                'memory-partition') is None:
            return Effect.NONE
        return Effect.DRIVER_RELOAD

    def reset(self, host: Host, device: Device, effect: Effect,
              progress: Progress) -> tuple[Result, ...]:
        """Reload the driver; the GPU has to be shown again after it."""
        progress('reloading amdgpu', None)
        ran = host.run((TOOL, 'reset', '--reload-driver'), common.RESET,
                       answer=_YES)
        mode = self._mode(host, device.address or '', 'memory-partition')
        if ran.ok and mode is not None:
            return ()
        return common.reset_failed(device, common.said(TOOL, ran))

    def _mode(self, host: Host, address: str, name: str) -> str | None:
        seen = self.look(host, [Function(address, '1002', '', '', '', '')])
        for mode in seen.told.get(address, Told()).modes:
            if mode.name == name:
                return str(mode.current)
        return None


def _told(gpu: Mapping[str, Any]) -> Told:
    asic, board = common.table(gpu.get('asic')), common.table(
        gpu.get('board'))
    # From ROCm 7 on the VBIOS is called IFWI.
    bios = common.table(gpu.get('ifwi', gpu.get('vbios')))
    running = common.text_of(bios.get('version'))
    parts = (Component('gpu', 'VBIOS', running),) if running else ()
    return Told(
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
