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

"""Which driver is bound to a card: a bound card is in use.

In band, nothing is written to a card while a driver is bound to it, except
for the drivers that a tool family declares with their source
(``Family.beside``). A driver that passes its device to a virtual machine or
to a user-space program rules out every tool.
"""

from __future__ import annotations

from collections.abc import Iterator
import re
from typing import Literal

from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine.pci_functions import DEVICES

Verb = Literal['update', 'set', 'reset']

#: Verbs, and the drivers that may stay bound meanwhile.
Beside = tuple[tuple[str, str], ...]

#: Among the drivers of ``Beside``: any driver.
ANY = '*'

#: Drivers that pass their device on: Linux Documentation/driver-api/
#: vfio.rst and uio-howto.rst, drivers/pci/pci-stub.c, drivers/xen/
#: xen-pciback, drivers/vfio/pci; igb_uio is DPDK's (its Linux drivers guide).
GIVEN_AWAY = frozenset({'vfio-pci', 'mlx5_vfio_pci', 'nvgrace_gpu_vfio_pci',
                        'xe-vfio-pci', 'qat_vfio_pci', 'hisi_acc_vfio_pci',
                        'uio_pci_generic', 'igb_uio', 'pci-stub', 'pciback'})
_VIRTUAL = re.compile(r'virtfn[0-9]+')


def against(host: Machine, beside: Beside, address: str,
            verb: Verb) -> str | None:
    """Why a card must not be written to now, or None.

    :param beside: what the tool family declares.
    """
    safe = {d for v, d in beside if v == verb}
    for name, driver in holders(host, address):
        if driver in GIVEN_AWAY:
            return (f'driver {driver} is bound to {name}: the card is passed '
                    'to a virtual machine or a user-space program')
        if ANY not in safe and driver not in safe and _alike(
                host, name, address):
            return f'driver {driver} is bound to {name}: the card is in use'
    return None


def given_away(host: Machine, address: str) -> str | None:
    """Why a card is out of reach of this system, or None."""
    for name, driver in holders(host, address):
        if driver in GIVEN_AWAY:
            return (f'driver {driver} is bound to {name}: the card is passed '
                    'to a virtual machine or a user-space program; nothing '
                    'is written to it in band')
    return None


def holders(host: Machine, address: str) -> Iterator[tuple[str, str]]:
    """Address and driver of each function of a card, including virtual
    functions that are passed on."""
    card = address.rpartition('.')[0]
    for name in host.names(DEVICES):
        if not name.startswith(f'{card}.'):
            continue
        path = f'{DEVICES}/{name}'
        parts = [name, *(v for link in host.names(path)
                         if _VIRTUAL.fullmatch(link)
                         and (v := host.link(f'{path}/{link}')))]
        for part in parts:
            driver = host.link(f'{DEVICES}/{part}/driver')
            if driver is not None and (part == name or driver in GIVEN_AWAY):
                yield part, driver


def _alike(host: Machine, name: str, address: str) -> bool:
    """Whether a function has the device's own class: the driver of the audio
    or USB function of a graphics card does not use the GPU."""
    if name == address:
        return True
    mine, other = (host.read(f'{DEVICES}/{at}/class') for at in (
        address, name))
    return mine is None or other is None or mine[:4] == other[:4]
