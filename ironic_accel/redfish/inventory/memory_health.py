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

"""The health of a GPU's memory, which is the GPU's health too."""

from __future__ import annotations

from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.json_document import normal
from ironic_accel.redfish.client.read_failures import part
from ironic_accel.redfish.client.reader import Reader
from ironic_accel.redfish.inventory.device_builder import Found
from ironic_accel.redfish.inventory.device_builder import status
from ironic_accel.redfish.inventory.device_builder import worse


def learn(reader: Reader, found: list[Found]) -> None:
    """Let what the memory of NVIDIA's GPUs says count for the GPU.

    Processor.Links.Memory names it (Processor v1.8). A row that could not
    be remapped is critical, one that waits for a reset a warning
    (NvidiaMemory v1.0.0, RowRemappingFailed and RowRemappingPending, as
    HGX baseboards show them). Good memory says nothing of the GPU's other
    parts.
    """
    linked = {f.uri: f.shown.links('Links', 'Memory') for f in found
              if f.hint == 'gpu' and (f.vendor or '').lower() == 'nvidia'}
    if reader.expands:
        # One request for all of a baseboard's.
        for collection in dict.fromkeys(
                normal(uri).rpartition('/')[0]
                for links in linked.values() for uri in links):
            reader.members(collection)
    for one in found:
        for uri in linked.get(one.uri, ()):
            memory = reader.read(uri, spoils=part(one.uri, 'health'))
            if memory is not None:
                _count(one, memory)


def _count(found: Found, memory: Fields) -> None:
    shown = Found(memory.uri, None, memory)
    status(shown, memory)
    if 'health' in shown.unread:
        found.unread.add('health')
    oem = memory.part('Oem', 'Nvidia')
    for said in (shown.health,
                 'Critical' if oem.flag('RowRemappingFailed') else None,
                 'Warning' if oem.flag('RowRemappingPending') else None):
        if said not in (None, 'OK'):
            found.health = worse(found.health, said)
