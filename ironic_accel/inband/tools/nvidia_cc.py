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

"""Confidential computing of NVIDIA's GPUs, by gpu-admin-tools.

Source: NVIDIA gpu-admin-tools v2025.10.20, ``cli/main.py`` (options, the
form of its log, which goes to standard error), ``cli/per_gpu.py`` and
``cli/per_gpu_nvswitch.py`` (what it says of the modes).

The tool works on the GPU's registers: it is used only while NVIDIA's driver
does not hold the GPU.
"""

from __future__ import annotations

import re

from ironic_accel.converge.ports import Result
from ironic_accel.inband.host import Host
from ironic_accel.inband.host import Ran
from ironic_accel.inband.tools import common
from ironic_accel.model.device import Device
from ironic_accel.model.device import Mode
from ironic_accel.model.device import Warned
from ironic_accel.model.plan import Item

TOOL = 'nvidia_gpu_tools.py'

#: Besides off, on and devtools it may be a state that only setting ends.
_CC = re.compile(r' CC mode is (\S+)\s*$', re.MULTILINE)
_PPCIE = re.compile(r' PPCIe mode is (off|on)\s*$', re.MULTILINE)
_PPCIE_WORDS = {'off': 'disabled', 'on': 'enabled'}


def driven(host: Host, address: str) -> bool:
    """Whether NVIDIA's driver holds a GPU."""
    return host.link(f'/sys/bus/pci/devices/{address}/driver') == 'nvidia'


def _run(host: Host, address: str, timeout: float, *words: str) -> Ran:
    return host.run((TOOL, '--devices', address, *words), timeout)


def _said(pattern: re.Pattern[str], ran: Ran) -> str | None:
    match = pattern.search(ran.err) or pattern.search(ran.out)
    return match[1] if ran.ok and match else None


def read(host: Host, address: str, warnings: list[Warned], *,
         ppcie: bool) -> tuple[Mode, ...]:
    """The modes of a GPU; one that cannot be read is a warning."""
    found = []
    ran = _run(host, address, common.ASK, '--query-cc-mode')
    mode = _said(_CC, ran)
    if mode is None:
        warnings.append(common.warned(TOOL, address, common.said(TOOL, ran)))
    else:
        found.append(Mode('cc', mode))
    if ppcie and mode is not None:
        ran = _run(host, address, common.ASK, '--query-ppcie-mode')
        mode = _said(_PPCIE, ran)
        if mode is None:
            warnings.append(common.warned(TOOL, address,
                                          common.said(TOOL, ran)))
        else:
            found.append(Mode('ppcie', _PPCIE_WORDS[mode]))
    return tuple(found)


def set_mode(host: Host, device: Device, item: Item) -> tuple[Result, ...]:
    """Set the CC mode, with the reset that it takes, and read it back.

    What waits for a reset cannot be read from the GPU: hence in one.
    """
    if device.address is None or driven(host, device.address):
        return common.failures(
            device, [item], "NVIDIA's driver holds the GPU: its CC mode is "
            'set without it')
    ran = _run(host, device.address, common.RESET,
               f'--set-cc-mode={item.wanted}', '--reset-after-cc-mode-switch')
    warnings: list[Warned] = []
    after = read(host, device.address, warnings, ppcie=False)
    if after and after[0].current == item.wanted:
        return common.ok(device, [item])
    return common.failures(
        device, [item], common.said(TOOL, ran), expected=str(item.wanted),
        seen=str(after[0].current) if after else warnings[0].message)


def reset(host: Host, device: Device) -> tuple[Result, ...]:
    """Reset a GPU through the kernel."""
    ran = _run(host, device.address or '', common.RESET, '--reset-with-os')
    if ran.ok:
        return ()
    return common.reset_failed(device, common.said(TOOL, ran))
