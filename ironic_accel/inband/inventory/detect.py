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


"""Whether there is an accelerator at all, in a few milliseconds.

The agent asks when it starts, on machines of which most have none. Neither the
catalogue's YAML nor its schema is parsed for that: the PCI ids are extracted
from the text.
"""

from __future__ import annotations

from collections.abc import Collection
import functools
from importlib import resources
import re

from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine import pci_functions
from ironic_accel.model.catalog_types import pci_id

_IDS = re.compile(r'"([0-9a-f]{4}(?::[0-9a-f]{4}){1,3})"')


@functools.cache
def known_ids() -> frozenset[str]:
    """PCI ids of the catalogue: vendor:device, and with subsystem ids."""
    folder = resources.files('ironic_accel.model') / 'catalog_data'
    return frozenset(
        found for file in folder.iterdir() if file.name.endswith('.yaml')
        for found in _IDS.findall(file.read_text('utf-8')))


def has_accelerator(host: Machine, ids: Collection[str] | None = None
                    ) -> bool:
    """Whether a PCI function of the machine is in the catalogue. A function
    whose ids cannot be read may be one, and counts.

    :param ids: those of the catalogue; None for the package's own.
    :raises: AccelError if the functions cannot be listed.
    """
    known = known_ids() if ids is None else ids
    vendors = {k[:4] for k in known}
    for address in pci_functions.addresses(host):
        path = f'{pci_functions.DEVICES}/{address}'
        vendor = pci_id(host.read(f'{path}/vendor'))
        if vendor is None:
            return True
        if vendor not in vendors:
            continue
        pair = f"{vendor}:{pci_id(host.read(f'{path}/device'))}"
        if pair in known:
            return True
        full = (f"{pair}:{pci_id(host.read(f'{path}/subsystem_vendor'))}"
                f":{pci_id(host.read(f'{path}/subsystem_device'))}")
        if full in known:
            return True
    return False
