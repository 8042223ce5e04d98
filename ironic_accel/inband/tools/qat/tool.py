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

"""Services of Intel QuickAssist devices, by sysfs.

Source: Linux Documentation/ABI/testing/sysfs-driver-qat: ``qat/state`` (up,
down; a device in use cannot be put down) and ``qat/cfg_services`` (written
while it is down; ``asym;sym`` is the same as ``sym;asym``).
"""

from __future__ import annotations

from collections.abc import Sequence
import re

from ironic_accel.converge.ports import Result
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine.pci_functions import Function
from ironic_accel.inband.tools import common
from ironic_accel.inband.tools.family import DeviceReading
from ironic_accel.inband.tools.family import FirstBootMode
from ironic_accel.inband.tools.family import Progress
from ironic_accel.inband.tools.family import ToolReading
from ironic_accel.inband.tools.qat import first_boot
from ironic_accel.model.catalog_types import Product
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Device
from ironic_accel.model.device import Mode
from ironic_accel.model.errors import AccelError
from ironic_accel.model.plan import Item
from ironic_accel.model.reading_status import Standing

#: Of the kernel, drivers/crypto/intel/qat: those with services to choose.
DRIVERS = ('4xxx', '420xx', '6xxx')
_WORD = re.compile('[a-z][a-z0-9-]*')
#: In the order in which the kernel's documentation writes them.
_ORDER = ('sym', 'asym', 'dc')


def _file(address: str, name: str) -> str:
    return f'/sys/bus/pci/devices/{address}/qat/{name}'


def services(host: Machine, address: str) -> tuple[str, ...] | None:
    """The configured services, in a fixed order; None if none is reported.

    Later kernels may have services that are not listed here.
    """
    text = host.read(_file(address, 'cfg_services')) or ''
    words = [w.strip() for w in text.split(';') if w.strip()]
    if not words or not all(map(_WORD.fullmatch, words)):
        return None
    return tuple(sorted(words, key=lambda w: (
        _ORDER.index(w) if w in _ORDER else len(_ORDER), w)))


def _reading(host: Machine, function: Function) -> DeviceReading:
    """The services of a device that is up. Those of a device that is down are
    the ones it will have once it is up: they are pending."""
    at = function.address
    left = common.left_out(host, function, *DRIVERS)
    if left:
        return DeviceReading(unread=(
            common.unread('qat', left, 'mode:services'),))
    if not host.exists(_file(at, 'cfg_services')):
        return DeviceReading()
    found = services(host, at)
    state = host.read(_file(at, 'state'))
    if found is not None and state == 'up':
        return DeviceReading(modes=(Mode('services', found),))
    if found is not None and state == 'down':
        return DeviceReading(modes=(Mode('services', None, found,
                                standing=Standing.ABSENT),))
    said = 'cfg_services' if found is None else 'state'
    return DeviceReading(
        modes=(Mode('services', standing=Standing.UNREAD),),
        unread=(common.unread('qat', f'{said}: unexpected value '
                              f'{host.read(_file(at, said))!r}',
                              'mode:services'),))


def _restore(host: Machine, at: str, before: str | None) -> str:
    """Restore the services and put the device up; the result in words."""
    try:
        if host.read(_file(at, 'state')) != 'up':
            if before and host.read(_file(at, 'cfg_services')) != before:
                host.write(_file(at, 'cfg_services'), before)
            host.write(_file(at, 'state'), 'up')
    except AccelError as exc:
        return f'; the device is down: {exc.detail.seen or exc.detail.summary}'
    return '; the earlier services are restored and the device is up'


class Qat(common.BaseFamily):
    """4xxx, 420xx and 6xxx devices; others have no configurable services."""

    name = 'qat'
    # Its files are the driver's own; it refuses to put a device in use down.
    beside = tuple((v, d) for v in ('set', 'reset') for d in DRIVERS)
    first_boot = (FirstBootMode('services', first_boot, vendor='intel'),)

    def claims(self, function: Function, product: Product | None) -> bool:
        """Intel devices for which the catalogue lists the mode."""
        return (function.vendor_id == '8086' and product is not None
                and product.kind == 'crypto' and 'services' in product.modes)

    def facts(self, product: Product | None) -> tuple[str, ...]:
        """One mode."""
        return ('mode:services',)

    def read(self, host: Machine, functions: Sequence[Function]
            ) -> ToolReading:
        """The services, if the kernel's driver is bound to the device."""
        return ToolReading({f.address: _reading(host, f) for f in functions})

    def sets(self, host: Machine, device: Device) -> frozenset[str]:
        """Services, if the driver supports them."""
        if device.address is None or not host.exists(
                _file(device.address, 'cfg_services')):
            return frozenset()
        return frozenset({'services'} & {m.name for m in device.modes})

    def set(self, host: Machine, device: Device, items: Sequence[Item],
            progress: Progress) -> tuple[Result, ...]:
        """Down, write, up again whatever happens, and read back."""
        out: list[Result] = []
        for item in items:
            wanted = item.wanted
            if item.name != 'services' or not isinstance(wanted, tuple) \
                    or not wanted or not set(wanted) <= set(_ORDER):
                out += common.failures(device, [item], 'the driver does not '
                                       f'accept {item.name} {wanted!r}')
                continue
            progress(f'setting services of {device.address}', None)
            text = ';'.join(w for w in _ORDER if w in wanted)
            out += self._set(host, device, item, text)
        return tuple(out)

    def _set(self, host: Machine, device: Device, item: Item,
             text: str) -> tuple[Result, ...]:
        at = device.address or ''
        said = 'the driver accepted the value but reports another'
        before = host.read(_file(at, 'cfg_services'))
        try:
            host.write(_file(at, 'state'), 'down')
            host.write(_file(at, 'cfg_services'), text)
            host.write(_file(at, 'state'), 'up')
        except AccelError as exc:
            said = exc.detail.summary
            if exc.detail.seen:
                said = f'{said}: {exc.detail.seen}'
            said += _restore(host, at, before)
        after = services(host, at)
        if after is not None and set(after) == set(text.split(';')) \
                and host.read(_file(at, 'state')) == 'up':
            return common.ok(device, [item])
        return common.failures(device, [item], said, expected=text,
                               seen=';'.join(after or ()) or None)

    def resets(self, host: Machine, device: Device) -> Activation:
        """Down and up again: the driver resets the device."""
        if device.address is None or not host.exists(
                _file(device.address, 'state')):
            return Activation.NONE
        return Activation.DEVICE_RESET

    def reset(self, host: Machine, device: Device, activation: Activation,
              progress: Progress) -> tuple[Result, ...]:
        """Put the device down and up; a device in use refuses."""
        at = device.address or ''
        try:
            host.write(_file(at, 'state'), 'down')
            host.write(_file(at, 'state'), 'up')
        except AccelError as exc:
            return common.reset_failed(device, exc.detail.summary,
                                       seen=exc.detail.seen)
        if host.read(_file(at, 'state')) == 'up':
            return ()
        return common.reset_failed(device, 'the device did not come up again')
