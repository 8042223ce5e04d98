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

"""What vendors' Redfish services do their own way: tables, no code.

Each file holds one ``Quirks``; all that recognise a box are used together
(a Dell host may carry an HGX baseboard).
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import re

from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.json_document import last
from ironic_accel.redfish.vendors import amd
from ironic_accel.redfish.vendors.base import Quirks
from ironic_accel.redfish.vendors import bluefield
from ironic_accel.redfish.vendors import cisco
from ironic_accel.redfish.vendors import cray
from ironic_accel.redfish.vendors import dell
from ironic_accel.redfish.vendors import hpe
from ironic_accel.redfish.vendors import lenovo
from ironic_accel.redfish.vendors import nvidia
from ironic_accel.redfish.vendors import supermicro

#: The more special a table, the earlier: the first that says something of
#: how to push counts.
ALL: tuple[Quirks, ...] = (
    nvidia.STATION, nvidia.QUIRKS, amd.QUIRKS, bluefield.QUIRKS,
    dell.QUIRKS, cray.QUIRKS, hpe.QUIRKS, lenovo.QUIRKS, cisco.QUIRKS,
    supermicro.QUIRKS)

#: Tables whose firmware entries are known by their Ids on any box: an NVIDIA
#: board behind a BMC that shows no System for it.
ANYWHERE: tuple[Quirks, ...] = (nvidia.ENTRIES,)


def recognise(root: Fields, systems: Iterable[Fields],
              unread: Iterable[str] = ()) -> tuple[Quirks, ...]:
    """The quirks of a box, by its service root and its Systems.

    :param unread: paths of Systems that are listed and were not read: their
        Ids are known all the same.
    """
    says = {'root.Vendor': [root.text('Vendor') or ''],
            'root.Product': [root.text('Product') or ''],
            'system.Id': [], 'system.Manufacturer': [], 'system.Model': []}
    says['system.Id'] += [last(uri) for uri in unread]
    for system in systems:
        says['system.Id'].append(last(system.uri))
        for name in ('Id', 'Manufacturer', 'Model'):
            says[f'system.{name}'].append(system.text(name) or '')
    return tuple(q for q in ALL if any(
        _says(says, *row) for row in q.recognised_by) or (
            q.structure and all(_says(says, *row) for row in q.structure)))


def _says(says: Mapping[str, list[str]], key: str, pattern: str) -> bool:
    return any(re.fullmatch(pattern, text, re.I) for text in says[key])
