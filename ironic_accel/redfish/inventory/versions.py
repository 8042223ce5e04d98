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

"""Versions that devices report themselves, without a firmware entry."""

from __future__ import annotations

import dataclasses

from ironic_accel.model.catalog import Catalog
from ironic_accel.model.device import Component
from ironic_accel.model import version
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.json_document import last
from ironic_accel.redfish.client.read_failures import Impact
from ironic_accel.redfish.client.reader import Reader
from ironic_accel.redfish.inventory.components import DEFAULT
from ironic_accel.redfish.inventory.device_builder import ADDITIONAL
from ironic_accel.redfish.inventory.device_builder import FoundDevice
from ironic_accel.redfish.inventory.firmware import kind_of
from ironic_accel.redfish.inventory.scope import Scope


def additional(shown: Fields) -> dict[str, str]:
    """Additional versions, by component name.

    :param shown: an object AdditionalFirmwareVersions.
    """
    found = {name: shown.text(key) for key, name in ADDITIONAL.items()}
    return {name: text for name, text in found.items() if text}


def add_versions(reader: Reader, scope: Scope, found: FoundDevice,
                 catalog: Catalog) -> None:
    """Add versions that the device itself reports, if no entry does.

    The additional versions are read only: no entry exists that an image could
    be written to.
    """
    kind = kind_of(found, catalog)
    _own_version(reader, scope, found, DEFAULT.get(kind))
    for name, text in found.more_versions.items():
        if catalog.base_name(kind, name) and found.component(name) is None:
            found.components.append(Component(
                name, f'{last(found.uri)}#{name}', text, updateable=False,
                uri=found.uri))


def _own_version(reader: Reader, scope: Scope, found: FoundDevice,
                 name: str | None) -> None:
    if name is None:
        return
    part = found.component(name)
    told = found.versions
    if not told and part is None:
        told = _oem_versions(reader, scope, found, name)
    if not told:
        return
    if part is None and any(c.running == told[0][1]
                            for c in found.components):
        # The device reports the version of a component with another name.
        return
    if part is None:
        part = Component(name, last(found.uri), uri=found.uri)
        found.components.append(part)
    found.components[found.components.index(part)] = _witnessed(
        part, told, found.hint not in ('nic', 'dpu'))


def _witnessed(part: Component, told: list[tuple[str, str]], exact: bool
               ) -> Component:
    """A component with the running versions by its device's own resources.

    If they differ, the running version is not verified.

    :param exact: whether they are versions of this firmware itself, and not
        of a package that contains it.
    """
    if part.conflicts:
        return dataclasses.replace(part, conflicts=tuple(dict.fromkeys(
            (*part.conflicts, *(f'{uri}: {v}' for uri, v in told)))))
    if part.running is None:
        seen = dict.fromkeys(v for _, v in told)
        if len(seen) == 1 or not exact:
            return dataclasses.replace(part, running=told[0][1])
    else:
        told = [(part.uri or part.id, part.running), *told]
        if not exact or all(version.same(part.running, v) or
                            v.lower() == part.running.lower()
                            for _, v in told):
            return part
    return dataclasses.replace(part, running=None, conflicts=tuple(
        dict.fromkeys(f'{uri}: {v}' for uri, v in told)))


def _oem_versions(reader: Reader, scope: Scope, found: FoundDevice, name: str
                  ) -> list[tuple[str, str]]:
    for quirk in scope.quirks:
        for row in quirk.oem_firmware:
            if row.component != name:
                continue
            fact = Impact(facts=(f'firmware:{name}',), about=found.uri)
            shown, lost = reader.listing(
                scope.system.link(*row.collection), fact)
            for uri in lost:
                if last(uri) == last(found.uri):
                    reader.declare(uri, fact)
            for one in shown:
                if one.text(row.id) == last(found.uri):
                    told = one.text(row.version)
                    return [(one.uri, told)] if told else []
    return []
