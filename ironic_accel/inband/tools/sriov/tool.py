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

"""Virtual functions and slot power of any PCI device, by sysfs.

Source: Linux Documentation/ABI/testing/sysfs-bus-pci: ``sriov_totalvfs`` and
``sriov_numvfs`` (a number can only be changed to and from zero), ``slots/N/
address`` and ``power`` (of a hot-plug driver).
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import re
import time

from ironic_accel.converge.ports import Result
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine.pci_functions import Function
from ironic_accel.inband.tools import common
from ironic_accel.inband.tools.family import ANY
from ironic_accel.inband.tools.family import Beside
from ironic_accel.inband.tools.family import DeviceReading
from ironic_accel.inband.tools.family import FirstBootMode
from ironic_accel.inband.tools.family import Progress
from ironic_accel.inband.tools.family import ToolReading
from ironic_accel.inband.tools.sriov import first_boot
from ironic_accel.model.catalog_types import Product
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Device
from ironic_accel.model.device import Mode
from ironic_accel.model.errors import AccelError
from ironic_accel.model.plan import Item
from ironic_accel.model.reading_status import Standing
from ironic_accel.model.reading_status import Unread

_DEVICES = '/sys/bus/pci/devices'
_COUNT = re.compile('[0-9]{1,9}')
_SLOTS = '/sys/bus/pci/slots'
#: Seconds for a card to come back after its slot has power again.
BACK = 30.0
_PAUSE = 0.2


def _count(host: Machine, address: str, name: str) -> int | None:
    text = host.read(f'{_DEVICES}/{address}/{name}')
    return int(text) if text is not None and _COUNT.fullmatch(text) else None


def ports(host: Machine, address: str) -> tuple[str, ...]:
    """The functions of a card that have virtual functions, and are not such
    themselves."""
    card = address.rpartition('.')[0]
    return tuple(
        name for name in host.names(_DEVICES) if name.startswith(f'{card}.')
        and host.link(f'{_DEVICES}/{name}/physfn') is None
        and _count(host, name, 'sriov_totalvfs'))


def _change(host: Machine, address: str, wanted: int) -> None:
    """Set the number of a port. It can be changed only from and to zero.

    :raises: AccelError if the kernel refuses.
    """
    path = f'{_DEVICES}/{address}/sriov_numvfs'
    now = _count(host, address, 'sriov_numvfs')
    if now == wanted:
        return
    if now != 0:
        host.write(path, '0')
    if wanted:
        host.write(path, str(wanted))


def _restore(host: Machine, before: Mapping[str, int | None]) -> str:
    """Restore the earlier numbers of the ports; the result in words."""
    left = []
    for at, number in before.items():
        try:
            _change(host, at, number or 0)
        except AccelError:
            left.append(at)
    return (f'; the earlier number of {", ".join(left)} could not be restored'
            if left else '; the earlier number is restored')


def power_file(host: Machine, address: str) -> str | None:
    """The file that switches the power of a card's slot, or None."""
    card = address.rpartition('.')[0]
    for name in host.names(_SLOTS):
        if host.read(f'{_SLOTS}/{name}/address') == card:
            path = f'{_SLOTS}/{name}/power'
            return path if host.exists(path) else None
    return None


def users(host: Machine, address: str) -> list[str]:
    """The bound functions of a card: ``0000:17:00.1 (mlx5_core)``."""
    card = address.rpartition('.')[0]
    found = []
    for name in host.names(_DEVICES):
        driver = host.link(f'{_DEVICES}/{name}/driver')
        if name.startswith(f'{card}.') and driver is not None:
            found.append(f'{name} ({driver})')
    return found


class Sriov(common.BaseFamily):
    """Devices with virtual functions, and slots with switchable power."""

    name = 'sriov'
    generic = True
    # The driver of the physical function creates the virtual ones
    # (Linux Documentation/PCI/pci-iov-howto.rst); slot power needs none.
    beside: Beside = (('set', ANY),)
    first_boot = (FirstBootMode('vfs', first_boot),)

    def claims(self, function: Function, product: Product | None) -> bool:
        """Functions with SR-IOV, and first functions in a slot."""
        return bool(function.totalvfs) or function.slot is not None

    def facts(self, product: Product | None) -> tuple[str, ...]:
        """One mode."""
        return ('mode:vfs',)

    def read(self, host: Machine, functions: Sequence[Function]
            ) -> ToolReading:
        """The current number of virtual functions of every port of a card.

        Ports with different numbers have no common value: a profile that asks
        for one is not fulfilled, and sets it.
        """
        told = {}
        warnings = []
        for function in common.first_functions(functions):
            found = [(at, _count(host, at, 'sriov_numvfs'))
                     for at in ports(host, function.address)]
            silent = [at for at, number in found if number is None]
            numbers = [number for _, number in found if number is not None]
            if silent:
                told[function.address] = DeviceReading(
                    modes=(Mode('vfs', standing=Standing.UNREAD),),
                    unread=tuple(Unread(
                        f'{_DEVICES}/{at}/sriov_numvfs', 'no number',
                        facts=('mode:vfs',)) for at in silent))
            elif numbers:
                alike = len(set(numbers)) == 1
                told[function.address] = DeviceReading(modes=(Mode(
                    'vfs', numbers[0] if alike else None),))
                warnings += [] if alike else [common.warned(
                    'sysfs', function.address, 'its ports have different '
                    'numbers of virtual functions: ' + ', '.join(
                        f'{n} of {at}' for at, n in found))]
        return ToolReading(told, tuple(warnings))

    def sets(self, host: Machine, device: Device) -> frozenset[str]:
        """The number of virtual functions."""
        if device.address is None or not ports(host, device.address):
            return frozenset()
        return frozenset({'vfs'})

    def set(self, host: Machine, device: Device, items: Sequence[Item],
            progress: Progress) -> tuple[Result, ...]:
        """To zero first, then to the wanted number, and read back."""
        out: list[Result] = []
        found = ports(host, device.address or '')
        for item in items:
            most = min((_count(host, at, 'sriov_totalvfs') or 0
                        for at in found), default=None)
            if item.name != 'vfs' or not isinstance(item.wanted, int) \
                    or most is None:
                out += common.failures(device, [item], 'sysfs does not '
                                       f'accept {item.name} {item.wanted!r}')
            elif item.wanted > most:
                out += common.failures(
                    device, [item], 'the device has fewer virtual '
                    'functions', expected=str(item.wanted), seen=str(most))
            else:
                progress(f'setting vfs of {device.address}', None)
                out += self._set(host, device, item, found, item.wanted)
        return tuple(out)

    def _set(self, host: Machine, device: Device, item: Item,
             found: Sequence[str], wanted: int) -> tuple[Result, ...]:
        """Set all ports or none: if one refuses, the earlier numbers are
        restored."""
        before = {at: _count(host, at, 'sriov_numvfs') for at in found}
        said = 'sysfs accepted the number but reports another'
        try:
            for at in found:
                _change(host, at, wanted)
        except AccelError as exc:
            said = f'{exc.detail.summary}: {exc.detail.seen}'
            said += _restore(host, before)
        now = {at: _count(host, at, 'sriov_numvfs') for at in found}
        if set(now.values()) == {wanted}:
            return common.ok(device, [item])
        return common.failures(
            device, [item], said, expected=str(wanted),
            seen=', '.join(f'{n} of {at}' for at, n in now.items()))

    def resets(self, host: Machine, device: Device) -> Activation:
        """Slot power, of a card without a driver."""
        if device.address is None or power_file(
                host, device.address) is None or users(host, device.address):
            return Activation.NONE
        return Activation.DEVICE_RESET

    def reset(self, host: Machine, device: Device, activation: Activation,
              progress: Progress) -> tuple[Result, ...]:
        """Switch the slot off and on, and wait for the card."""
        at = device.address or ''
        path = power_file(host, at)
        if path is None:
            return common.reset_failed(
                device, 'the power of its slot cannot be switched')
        held = users(host, at)
        if held:
            return common.reset_failed(device, 'the card is in use',
                                       seen=', '.join(held))
        progress(f'switching the slot of {at} off and on', None)
        try:
            host.write(path, '0')
            host.write(path, '1')
        except AccelError as exc:
            return common.reset_failed(device, exc.detail.summary,
                                       seen=exc.detail.seen)
        until = time.monotonic() + BACK
        while not host.exists(f'{_DEVICES}/{at}/vendor'):
            if time.monotonic() > until:
                return common.reset_failed(
                    device, 'the card did not appear again after its slot '
                    'was switched off and on')
            time.sleep(_PAUSE)
        return ()
