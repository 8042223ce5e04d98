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

"""Versions that devices tell themselves, where no firmware entry does."""

from __future__ import annotations

import dataclasses

from ironic_accel.model.catalog import Catalog
from ironic_accel.model.device import Component
from ironic_accel.redfish.fields import Fields
from ironic_accel.redfish.fields import last
from ironic_accel.redfish.firmware import DEFAULT
from ironic_accel.redfish.firmware import kind_of
from ironic_accel.redfish.found import Found
from ironic_accel.redfish.reader import Reader
from ironic_accel.redfish.scope import Scope


#: Processor.AdditionalFirmwareVersions (Processor v1.15) to our names. Its
#: type is SoftwareInventory's AdditionalVersions: the first three are of
#: v1.7, OSDistribution of v1.8, the last two of v1.11.
ADDITIONAL = {
    'Bootloader': 'bootloader', 'Kernel': 'kernel',
    'Microcode': 'microcode', 'OSDistribution': 'os-distribution',
    'BootParameters': 'boot-parameters',
    'FactoryConfiguration': 'factory-configuration'}


def additional(shown: Fields) -> dict[str, str]:
    """Versions beside the firmware's own, by our names for them.

    :param shown: an object AdditionalFirmwareVersions.
    """
    found = {name: shown.text(key) for key, name in ADDITIONAL.items()}
    return {name: text for name, text in found.items() if text}


def learn(reader: Reader, scope: Scope, found: Found, catalog: Catalog
          ) -> None:
    """Versions that the device itself tells, where no entry does.

    Those beside its firmware's own are to be read only: there is nothing
    that an image of one could be written to.
    """
    kind = kind_of(found, catalog)
    _own_version(reader, scope, found, DEFAULT.get(kind))
    for name, text in found.more_versions.items():
        if catalog.base_name(kind, name) and found.component(name) is None:
            found.components.append(Component(
                name, f'{last(found.uri)}#{name}', text, updateable=False,
                uri=found.uri))


def _own_version(reader: Reader, scope: Scope, found: Found,
                 name: str | None) -> None:
    if name is None:
        return
    told = found.version
    if told is None and found.component(name) is None:
        told = _oem_version(reader, scope, found, name)
    part = found.component(name)
    if part is None and any(c.running == told for c in found.components):
        # The device tells the version of a component of another name.
        return
    if part is None and told is not None:
        found.components.append(Component(
            name, last(found.uri), told, uri=found.uri))
    elif part is not None and part.running is None and told is not None:
        found.components[found.components.index(part)] = (
            dataclasses.replace(part, running=told))


def _oem_version(reader: Reader, scope: Scope, found: Found,
                 name: str) -> str | None:
    for quirk in scope.quirks:
        for row in quirk.oem_firmware:
            if row.component != name:
                continue
            uri = scope.system.link(*row.collection)
            for one in reader.members(uri):
                if one.text(row.id) == last(found.uri):
                    return one.text(row.version)
    return None
