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

"""Acme A1 cards, through acmectl 2 (its manual, chapter 4)."""

from collections.abc import Sequence
from typing import Any
from typing import ClassVar

from acme_tools import first_boot
from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Result
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine.pci_functions import Function
from ironic_accel.inband.tools import common
from ironic_accel.inband.tools.family import Beside
from ironic_accel.inband.tools.family import DeviceReading
from ironic_accel.inband.tools.family import FirstBootMode
from ironic_accel.inband.tools.family import Flashers
from ironic_accel.inband.tools.family import Progress
from ironic_accel.inband.tools.family import ToolReading
from ironic_accel.model.catalog_types import Product
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.plan import Item
from ironic_accel.model.profile import Image

TOOL = 'acmectl'


class Acme(common.BaseFamily):
    """Cards of PCI vendor 1d0f."""

    name = 'acme'
    # The manual, chapter 4: updates work while the driver is loaded.
    beside: Beside = (('update', 'acme'),)
    # The manual, chapter 6.
    flashers: ClassVar[Flashers] = {TOOL: frozenset({'update'})}
    first_boot = (FirstBootMode('boost', first_boot, vendor='acme'),)

    def claims(self, function: Function, product: Product | None) -> bool:
        return function.vendor_id == '1d0f'

    def facts(self, product: Product | None) -> tuple[str, ...]:
        return ('firmware',)

    def read(self, host: Machine,
             functions: Sequence[Function]) -> ToolReading:
        if host.which(TOOL) is None:
            return ToolReading(warnings=(common.missing(TOOL),))
        return ToolReading({f.address: self._card(host, f.address)
                            for f in functions})

    def _card(self, host: Machine, address: str) -> DeviceReading:
        ran = host.run((TOOL, 'show', address, '--json'), common.ASK)
        found: dict[str, Any] = common.table(common.json_in(ran.out))
        release = common.text_of(found.get('firmware'))
        if not ran.ok or release is None:
            return DeviceReading(unread=(common.unread(
                TOOL, common.said(TOOL, ran), 'firmware:gpu'),))
        return DeviceReading(
            components=(Component('gpu', 'firmware', release),))

    def updates(self, host: Machine, device: Device) -> frozenset[str]:
        return frozenset({'gpu'} if host.which(TOOL) else ())

    def update(self, host: Machine, device: Device, items: Sequence[Item],
               image: Ready, spec: Image | None, force: bool,
               progress: Progress) -> tuple[Result, ...]:
        address = device.address or ''
        # The manual, chapter 6: a check compares the board with the image.
        ran = host.run((TOOL, 'check', address, image.path), common.ASK)
        if not ran.ok:
            return common.failures(device, items, common.said(TOOL, ran))
        progress(f'updating the firmware of {address}', None)
        ran = host.run((TOOL, 'update', address, image.path), common.FLASH,
                       flash=True)
        if ran.timed_out:
            return common.still_running(device, items, TOOL, ran)
        now = [c.running for c in self._card(host, address).components]
        if now == [items[0].wanted]:
            return common.ok(device, items)
        return common.failures(
            device, items, common.said(TOOL, ran), seen=''.join(map(str, now)),
            expected=str(items[0].wanted))
