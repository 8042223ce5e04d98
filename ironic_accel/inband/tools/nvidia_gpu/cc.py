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

"""Confidential computing and protected PCIe of NVIDIA's GPUs and switches, by
gpu-admin-tools.

Source: NVIDIA gpu-admin-tools v2025.10.20, ``cli/main.py`` (options, the
format of its log, which goes to standard error), ``cli/per_gpu.py`` and
``cli/per_gpu_nvswitch.py`` (its messages about the modes).

The tool accesses the GPU's registers: it is used only while the NVIDIA driver
is not bound to the GPU.
"""

from __future__ import annotations

import re

from ironic_accel.converge.ports import Result
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine.machine import Ran
from ironic_accel.inband.tools import common
from ironic_accel.model.device import Device
from ironic_accel.model.device import Mode
from ironic_accel.model.plan import Item
from ironic_accel.model.reading_status import Standing
from ironic_accel.model.reading_status import Unread

TOOL = 'nvidia_gpu_tools.py'

#: Besides off, on and devtools it may be a state that only setting ends.
_CC = re.compile(r' CC mode is (\S+)\s*$', re.MULTILINE)
_PPCIE = re.compile(r' PPCIe mode is (off|on)\s*$', re.MULTILINE)
_PPCIE_WORDS = {'off': 'disabled', 'on': 'enabled'}
_CC_WORDS = ('off', 'on', 'devtools')
_DEVICES = '/sys/bus/pci/devices'
#: NVSwitches are bridges of no other kind (PCI class 0680).
_BRIDGE = '0x0680'


def driven(host: Machine, address: str) -> bool:
    """Whether NVIDIA's driver holds a GPU."""
    return host.link(f'{_DEVICES}/{address}/driver') == 'nvidia'


def switches(host: Machine) -> list[str]:
    """The addresses of the NVSwitches."""
    return [a for a in host.names(_DEVICES)
            if host.read(f'{_DEVICES}/{a}/vendor') == '0x10de' and (
                host.read(f'{_DEVICES}/{a}/class') or '').startswith(_BRIDGE)]


def _run(host: Machine, address: str, timeout: float, *words: str) -> Ran:
    return host.run((TOOL, '--devices', address, *words), timeout)


def _said(pattern: re.Pattern[str], ran: Ran) -> str | None:
    match = pattern.search(ran.err) or pattern.search(ran.out)
    return match[1] if ran.ok and match else None


def read(host: Machine, address: str, *, ppcie: bool
         ) -> tuple[tuple[Mode, ...], tuple[Unread, ...]]:
    """The modes of a GPU, and those that were asked in vain."""
    found = [_cc(host, address)]
    if ppcie:
        found.append(_ppcie(host, address))
    return (tuple(mode for mode, _ in found),
            tuple(u for _, u in found if u is not None))


def _cc(host: Machine, address: str) -> tuple[Mode, Unread | None]:
    ran = _run(host, address, common.ASK, '--query-cc-mode')
    return _mode('cc', _said(_CC, ran), ran)


def _ppcie(host: Machine, address: str) -> tuple[Mode, Unread | None]:
    """The mode of a GPU or switch."""
    ran = _run(host, address, common.ASK, '--query-ppcie-mode')
    word = _said(_PPCIE, ran)
    return _mode('ppcie', _PPCIE_WORDS[word] if word else None, ran)


def _mode(name: str, value: str | None,
          ran: Ran) -> tuple[Mode, Unread | None]:
    if value is not None:
        return Mode(name, value, standing=Standing.REPORTED), None
    return Mode(name, standing=Standing.UNREAD), common.unread(
        TOOL, common.said(TOOL, ran), f'mode:{name}')


def _seen(mode: Mode, unread: Unread | None) -> str:
    return unread.answer if unread else str(mode.current)


def set_mode(host: Machine, device: Device, item: Item) -> tuple[Result, ...]:
    """Set the CC mode with the reset that it needs, and read it back.

    A pending mode cannot be read from the GPU, so both are one call.
    """
    if device.address is None or driven(host, device.address):
        return common.failures(
            device, [item], 'the NVIDIA driver is bound to the GPU: '
            'unbind it before the CC mode is set')
    if item.wanted not in _CC_WORDS:
        return _unknown(device, item)
    ran = _run(host, device.address, common.RESET,
               f'--set-cc-mode={item.wanted}', '--reset-after-cc-mode-switch')
    after, unread = _cc(host, device.address)
    if after.current == item.wanted:
        return common.ok(device, [item])
    return common.failures(
        device, [item], common.said(TOOL, ran), expected=str(item.wanted),
        seen=_seen(after, unread))


def _unknown(device: Device, item: Item) -> tuple[Result, ...]:
    return common.failures(
        device, [item], f'{TOOL} does not set {item.name} to '
        f'{item.wanted!r}')


def set_ppcie(host: Machine, device: Device, item: Item) -> tuple[Result, ...]:
    """Set the mode of a GPU and of every switch, with their resets.

    The mode is common to all GPUs and switches of a board (the catalogue says
    so, and the planner asks for all of them); a switch that has it already is
    not written. The CC mode has to be off.
    """
    word = next((w for w, name in _PPCIE_WORDS.items()
                 if name == item.wanted), None)
    if word is None:
        return _unknown(device, item)
    for address in (device.address or '', *switches(host)):
        held = host.link(f'{_DEVICES}/{address}/driver')
        if held is not None and held.startswith('nvidia'):
            return common.failures(
                device, [item], f'driver {held} is bound to {address}: '
                'unbind it before the PPCIe mode is set')
    cc, unread = _cc(host, device.address or '')
    if word == 'on' and cc.current != 'off':
        return common.failures(device, [item], 'set the CC mode to off first',
                               expected='off', seen=_seen(cc, unread))
    for address in (device.address or '', *switches(host)):
        if _ppcie(host, address)[0].current == item.wanted:
            continue
        ran = _run(host, address, common.RESET, f'--set-ppcie-mode={word}',
                   '--reset-after-ppcie-mode-switch')
        after, unread = _ppcie(host, address)
        if after.current != item.wanted:
            return common.failures(device, [item], common.said(TOOL, ran),
                                   expected=f'{item.wanted} of {address}',
                                   seen=_seen(after, unread))
    return common.ok(device, [item])


def reset(host: Machine, device: Device) -> tuple[Result, ...]:
    """Reset a GPU through the kernel."""
    ran = _run(host, device.address or '', common.RESET, '--reset-with-os')
    if ran.ok:
        return ()
    return common.reset_failed(device, common.said(TOOL, ran))
