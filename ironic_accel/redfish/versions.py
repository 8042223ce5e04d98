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
from ironic_accel.redfish.fields import last
from ironic_accel.redfish.firmware import DEFAULT
from ironic_accel.redfish.firmware import kind_of
from ironic_accel.redfish.found import Found
from ironic_accel.redfish.reader import Reader
from ironic_accel.redfish.scope import Scope


def learn(reader: Reader, scope: Scope, found: Found, catalog: Catalog
          ) -> None:
    """Versions that the device itself tells, where no entry does."""
    kind = kind_of(found, catalog)
    for key, text in found.more_versions.items():
        name = key.lower()
        if catalog.base_name(kind, name) and found.component(name) is None:
            found.components.append(Component(
                name, f'{last(found.uri)}#{key}', text, uri=found.uri))
    _own_version(reader, scope, found, DEFAULT.get(kind))


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
