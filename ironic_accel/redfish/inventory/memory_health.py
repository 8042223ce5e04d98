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

"""The health of a GPU's memory, which counts for the GPU."""

from __future__ import annotations

from collections.abc import Mapping
import re
from typing import Any

from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.json_document import normal
from ironic_accel.redfish.client.read_failures import part
from ironic_accel.redfish.client.reader import Reader
from ironic_accel.redfish.inventory.device_builder import FoundDevice
from ironic_accel.redfish.inventory.device_builder import status
from ironic_accel.redfish.inventory.device_builder import worse
from ironic_accel.redfish.vendors.device_rows import MemoryFlags
from ironic_accel.redfish.vendors import registry


def add_health(reader: Reader, found: list[FoundDevice]) -> None:
    """Add the health of the memory of GPUs to the GPUs.

    Processor.Links.Memory links to it (Processor v1.8). It is read if a
    vendor's table describes its properties. Healthy memory shows nothing
    about the GPU's other parts.
    """
    rows = {f.uri: [r for v in registry.vendors() for r in v.memory
                    if re.fullmatch(r.maker, f.vendor or '', re.I)]
            for f in found if f.hint == 'gpu'}
    linked = {f.uri: f.shown.links('Links', 'Memory') for f in found
              if rows.get(f.uri)}
    if reader.expands:
        # One request for all memory of a baseboard, if it did not come with
        # the GPUs.
        for collection in dict.fromkeys(
                normal(uri).rpartition('/')[0]
                for links in linked.values() for uri in links
                if (known := reader.known(uri)) is None
                or not _shows_health(known.doc)):
            reader.members(collection, sufficient=_shows_health)
    for one in found:
        for uri in linked.get(one.uri, ()):
            memory = reader.read(uri, impact=part(one.uri, 'health'))
            if memory is not None:
                _count(one, memory, rows[one.uri])


def _shows_health(doc: Mapping[str, Any]) -> bool:
    """Whether a Memory resource has all that is used of it: its health, and
    the properties of every vendor's table."""
    shown = Fields(doc, lambda uri, message: None)
    return shown.knows('Status', 'Health') and all(
        shown.knows(*row.path, name)
        for v in registry.vendors() for row in v.memory
        for name in (*row.critical, *row.warning))


def _count(found: FoundDevice, memory: Fields,
           rows: list[MemoryFlags]) -> None:
    shown = FoundDevice(memory.uri, None, memory)
    status(shown, memory)
    if 'health' in shown.unread:
        found.unread.add('health')
    told = [shown.health]
    for row in rows:
        own = memory.part(*row.path)
        told += ['Critical' for name in row.critical if own.flag(name)]
        told += ['Warning' for name in row.warning if own.flag(name)]
    for said in told:
        if said not in (None, 'OK'):
            found.health = worse(found.health, said)
