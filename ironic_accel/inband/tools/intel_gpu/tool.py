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

"""Intel's data centre GPUs, by xpu-smi.

Sources: Intel XPU Manager (github.com/intel/xpumanager), branch v1.3.x and
v2.0: ``cli/src/comlet_firmware.cpp`` and ``ial/cmn/cmd_updatefw.cpp``
(updatefw), ``ial/cmn/cmd_discovery.cpp`` (keys of the JSON, the same in
both), ``cli/src/core_stub/lib_core_stub.cpp`` (memory_ecc_* of config,
getHealth, healthStatusEnumToString), ``ial/cmn/cmd_health.cpp`` (memory is
``memory_health`` in its JSON), the release notes of v2.4.0 (the numbers of
components have moved: an answer counts by its name alone), and its user guide.

Written are GFX and GFX_DATA. The names of the option ROM's types differ
between the versions, AMC firmware is taken by all cards at once only ("not
supported on single device"), FDO has no version to be read back: those are
left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import re
from typing import Any
from typing import ClassVar

from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Result
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine.pci_functions import Function
from ironic_accel.inband.tools import common
from ironic_accel.inband.tools.family import Beside
from ironic_accel.inband.tools.family import DeviceReading
from ironic_accel.inband.tools.family import Flashers
from ironic_accel.inband.tools.family import Progress
from ironic_accel.inband.tools.family import ToolReading
from ironic_accel.model.catalog_types import Product
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Mode
from ironic_accel.model.device_marks import clean_serial
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.plan import Item
from ironic_accel.model.profile import Image
from ironic_accel.model.reading_status import Unread

TOOL = 'xpu-smi'

#: By our name: what the tool calls it, and its version's key.
_PARTS = {'gpu': ('GFX', 'gfx_firmware_version'),
          'gfx-data': ('GFX_DATA', 'gfx_data_firmware_version'),
          'amc': ('AMC', 'amc_firmware_version'),
          'oprom-code': ('OPROM_CODE', 'oprom_code_firmware_version'),
          'oprom-data': ('OPROM_DATA', 'oprom_data_firmware_version')}
_WRITTEN = frozenset({'gpu', 'gfx-data'})
#: The last line of a successful write, by major version.
_DONE = ('Firmware update successful.',
         'Firmware update operation completed successfully.')
#: A component of ``health``: GPU memory, until 2.3.
_MEMORY = '4'
#: What it is called in JSON: by 1.3 and by 2.
_MEMORY_KEYS = ('memory', 'memory_health')
#: What they say of it in JSON, and early builds of 2.0 in words although
#: asked for JSON.
_HEALTH = {'OK': 'OK', 'Warning': 'Warning', 'Critical': 'Critical',
           'DEGRADED': 'Warning', 'CRITICAL': 'Critical',
           'REPLACE': 'Critical'}
_HEALTH_LINE = re.compile(r'^Memory Health: (\S+)\s*$', re.MULTILINE)
_SWITCH = ('enabled', 'disabled')
#: Cards of two GPUs: a write to one is a write to both ("This operation will
#: update all firmware", comlet_firmware.cpp), which one device's is not.
_PAIRED = frozenset({'intel-flex-140'})


class IntelGpu(common.BaseFamily):
    """Data Center GPU Flex and Max."""

    name = 'intel_gpu'
    # Intel XPU Manager's user guide: it works through these drivers.
    beside: Beside = (
        ('update', 'i915'), ('update', 'xe'), ('set', 'i915'), ('set', 'xe'))
    # Intel XPU Manager, ial/cmn/cmd_updatefw.cpp; xpumcli until 1.3
    flashers: ClassVar[Flashers] = {'xpu-smi': frozenset({'updatefw'}),
                                    'xpumcli': frozenset({'updatefw'})}

    def claims(self, function: Function, product: Product | None) -> bool:
        """Display controllers of Intel that the catalogue lists as data center
        GPUs, not the graphics of a processor."""
        return (function.vendor_id == '8086'
                and function.class_code.startswith('03')
                and product is not None and product.kind == 'gpu')

    def facts(self, product: Product | None) -> tuple[str, ...]:
        """Identity, health, versions and ECC."""
        return ('identity', 'health', 'firmware', 'mode:ecc')

    def read(self, host: Machine, functions: Sequence[Function]
            ) -> ToolReading:
        """One discovery, one configuration and the health of each GPU."""
        if host.which(TOOL) is None:
            return ToolReading(warnings=(common.missing(TOOL),))
        return ToolReading({f.address: self._reading(host, f.address)
                     for f in functions})

    def _reading(self, host: Machine, at: str) -> DeviceReading:
        unread: list[Unread] = []
        found = self._ask(host, at, 'discovery', unread, 'identity',
                          'health', 'firmware', 'mode:ecc')
        if not found:
            return DeviceReading(unread=tuple(unread))
        config = self._ask(host, at, 'config', unread, 'mode:ecc')
        health = self._health(host, at, unread)
        return DeviceReading(
            serial=clean_serial(common.text_of(found.get('serial_number'))),
            model=common.text_of(found.get('device_name')),
            health=health, components=_components(found),
            modes=_modes(found, config), unread=tuple(unread))

    def _health(self, host: Machine, at: str,
                unread: list[Unread]) -> str | None:
        """Health of the memory: of that component alone, or of all components
        if its number is another one's in this version."""
        for which in (('-c', _MEMORY), ()):
            ran = host.run((TOOL, 'health', '-d', at, *which, '-j'),
                           common.ASK)
            word = _memory_word(ran.out) if ran.ok else None
            if word is not None:
                break
        health = _HEALTH.get(word or '')
        if health is None:
            unread.append(common.unread(
                TOOL, common.said(TOOL, ran) if word is None
                else f'health of memory: {word!r}', 'health'))
        return health

    def _ask(self, host: Machine, address: str, verb: str,
             unread: list[Unread], *facts: str) -> Mapping[str, Any]:
        """The answer of the tool about one GPU; empty if there is none."""
        ran = host.run((TOOL, verb, '-d', address, '-j'), common.ASK)
        found = common.table(common.json_in(ran.out))
        if ran.ok and found and 'error' not in found:
            return found
        error = common.text_of(found.get('error'))
        unread.append(common.unread(
            TOOL, error or common.said(TOOL, ran), *facts))
        return {}

    def updates(self, host: Machine, device: Device) -> frozenset[str]:
        """Components with a version that can be read back."""
        if (host.which(TOOL) is None or device.address is None
                or device.product in _PAIRED):
            return frozenset()
        return _WRITTEN & {c.name for c in device.components}

    def sets(self, host: Machine, device: Device) -> frozenset[str]:
        """Memory ECC, if the GPU reports it."""
        if host.which(TOOL) is None or device.address is None:
            return frozenset()
        return frozenset({'ecc'} & {m.name for m in device.modes})

    def update(self, host: Machine, device: Device, items: Sequence[Item],
               image: Ready, spec: Image | None, force: bool,
               progress: Progress) -> tuple[Result, ...]:
        """Write to one GPU: without -d the tool writes to all of them.

        The tool checks the image against the device itself. The new version is
        visible once it runs; until then the last line of the output counts,
        and that the GPU still responds.
        """
        out: list[Result] = []
        for item in items:
            out += self._write(host, device, item, image, force, progress)
        return tuple(out)

    def _write(self, host: Machine, device: Device, item: Item, image: Ready,
              force: bool, progress: Progress) -> tuple[Result, ...]:
        if (item.name not in _WRITTEN or device.address is None
                or device.product in _PAIRED):
            return common.failures(device, [item], f'{TOOL} does not write '
                                   f'{item.name} of one GPU')
        progress(f'writing {item.name} of {device.address}', None)
        more = ('--force',) if force and item.name == 'gpu' else ()
        ran = host.run((TOOL, 'updatefw', '-d', device.address, '-t',
                        _PARTS[item.name][0], '-f', image.path, '-y', *more),
                       common.FLASH, flash=True)
        if ran.timed_out:
            return common.still_running(device, [item], TOOL, ran)
        found = self._ask(host, device.address, 'discovery', [])
        if found and ran.ok and any(words in ran.out for words in _DONE):
            return common.ok(device, [item])
        return common.failures(
            device, [item], common.said(TOOL, ran),
            error_class=ErrorClass.NEEDS_OPERATOR,
            expected=str(item.wanted), seen=common.text_of(
                found.get(_PARTS[item.name][1])))

    def set(self, host: Machine, device: Device, items: Sequence[Item],
            progress: Progress) -> tuple[Result, ...]:
        """Set memory ECC, and read the pending value."""
        out: list[Result] = []
        for item in items:
            if item.name != 'ecc' or item.wanted not in _SWITCH \
                    or device.address is None:
                out += common.failures(device, [item], f'{TOOL} does not '
                                       f'set {item.name} to {item.wanted!r}')
                continue
            progress(f'setting ecc of {device.address}', None)
            ran = host.run((TOOL, 'config', '-d', device.address,
                            '--memoryecc', str(int(
                                item.wanted == 'enabled'))), common.CHANGE)
            mode = _modes({}, self._ask(host, device.address, 'config', []))
            if mode and item.wanted in (mode[0].pending or mode[0].current,):
                out += common.ok(device, [item])
            else:
                out += common.failures(
                    device, [item], common.said(TOOL, ran),
                    expected=str(item.wanted),
                    seen=str(mode[0].current) if mode else None)
        return tuple(out)


def _memory_word(text: str) -> str | None:
    """The reported health of a GPU's memory; temperatures are ignored. None if
    nothing is reported of memory."""
    raw = common.table(common.json_in(text))
    for key in _MEMORY_KEYS:
        word = common.text_of(common.table(raw.get(key)).get('status'))
        if word is not None:
            return word
    match = _HEALTH_LINE.search(text)
    return match[1] if match else None


def _components(found: Mapping[str, Any]) -> tuple[Component, ...]:
    return tuple(Component(name, key, running)
                 for name, (key, where) in _PARTS.items()
                 if (running := common.text_of(found.get(where))))


def _modes(found: Mapping[str, Any],
           config: Mapping[str, Any]) -> tuple[Mode, ...]:
    """Memory ECC: of the configuration, else of the discovery."""
    now = config.get('memory_ecc_current_state',
                     found.get('memory_ecc_state'))
    then = config.get('memory_ecc_pending_state')
    if now not in _SWITCH:
        return ()
    waits = then if then in _SWITCH and then != now else None
    return (Mode('ecc', now, waits),)
