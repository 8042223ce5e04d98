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

"""Components of devices, from the entries of a FirmwareInventory."""

from __future__ import annotations

import dataclasses
import re

from ironic_accel.model.catalog import Catalog
from ironic_accel.model.catalog_types import pci_id
from ironic_accel.model.device import Component
from ironic_accel.model.device import PciIds
from ironic_accel.model.reading_status import Standing
from ironic_accel.model import version
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.json_document import last
from ironic_accel.redfish.inventory.device_builder import absent
from ironic_accel.redfish.inventory.device_builder import FoundDevice
from ironic_accel.redfish.vendors.base import Quirks
from ironic_accel.redfish.vendors.device_rows import FirmwareRule
from ironic_accel.redfish.vendors import registry

#: Name of the component of a kind whose entry has no name of its own.
DEFAULT = {'gpu': 'gpu', 'fpga': 'fpga', 'nic': 'nic', 'dpu': 'nic',
            'ai': 'firmware', 'crypto': 'firmware', 'storage': 'firmware'}


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """A firmware entry and its row in a vendor's table."""

    shown: Fields
    rule: FirmwareRule | None
    match: re.Match[str] | None
    quirks: Quirks | None

    def fill(self, template: str) -> str:
        """A template of the row, filled with the groups of the Id."""
        out = template
        if self.match is not None:
            for i, text in enumerate(self.match.groups(), 1):
                out = out.replace(f'{{{i}}}', text or '')
        return out


def add(found: FoundDevice, entry: Entry, kind: str, catalog: Catalog,
         service: Fields | None) -> None:
    """Add an entry to its device as a component."""
    shown, rule = entry.shown, entry.rule
    name = rule.component if rule else _component_name(found, shown, kind)
    if name is None or catalog.base_name(kind, name) is None:
        return
    running, standing = _running(shown)
    slots, waiting = pending(shown, running)
    updateable = shown.flag('Updateable')
    if shown.flag('WriteProtected'):
        updateable = False
    part = Component(
        name, shown.text('Id') or last(shown.uri), running, waiting, slots,
        updateable, None, shown.uri, shown.text('LowestSupportedVersion'),
        service.number('MaxImageSizeBytes') if service else None, standing)
    known = found.component(name)
    if known is None:
        found.components.append(part)
    elif rule and rule.once:
        return
    elif kind == 'baseboard':
        part = dataclasses.replace(part, name=_next_name(found, name))
        found.components.append(part)
    else:
        _merge_entry(found, known, part)
        return
    if standing is Standing.UNREAD:
        found.unread.add(f'firmware:{part.name}')
    _add_device_facts(found, entry)


def _merge_entry(found: FoundDevice, known: Component, other: Component
                 ) -> None:
    """Merge another entry of the same component.

    A BMC may have its own entry beside that of the board's controller, and
    only the latter can be updated. If their versions differ, the running
    version is not verified.
    """
    better = known
    if other.running and other.updateable and known.updateable is False:
        better = other
    if known.running and other.running and not version.same(
            known.running, other.running):
        better = dataclasses.replace(better, running=None, conflicts=(
            f'{known.uri}: {known.running}', f'{other.uri}: {other.running}'))
    found.components[found.components.index(known)] = better


def _running(shown: Fields) -> tuple[str | None, Standing]:
    """The version of an entry, and the status of that reading.

    An entry in state Absent is an empty place for firmware: its version may
    be that of a former device. The health and the other states of an entry
    do not matter: healthy systems have running versions in entries that are
    UnavailableOffline.
    """
    if absent(shown):
        return None, Standing.ABSENT
    running = shown.text('Version', needed=True)
    value = shown.doc.get('Version')
    if running is None and value is not None and not isinstance(value, str):
        return None, Standing.UNREAD
    return running, Standing.NOT_REPORTED


def _component_name(found: FoundDevice, shown: Fields, kind: str
                    ) -> str | None:
    """The component by a word in the entry's Id, else that of the kind.

    An entry that relates to a whole System is its BIOS or the like, not the
    firmware of its kind.
    """
    text = shown.text('Id') or last(shown.uri)
    for word in (w for v in registry.vendors() for w in v.component_words):
        if word.kind == kind and re.search(word.pattern, text, re.I):
            return word.component
    if '/Systems/' in found.uri and '/Processors/' not in found.uri and (
            '/PCIeDevices/' not in found.uri):
        return None
    return DEFAULT.get(kind)


def _next_name(found: FoundDevice, base: str) -> str:
    """``fpga-1`` for the second FPGA of a board."""
    number = 1
    while found.component(f'{base}-{number}') is not None:
        number += 1
    return f'{base}-{number}'


def pending(shown: Fields, running: str | None) -> tuple[bool, str | None]:
    """Whether an entry can report a pending version, and that version."""
    for row in (s for v in registry.vendors() for s in v.slots):
        slot = shown.part(*row.inactive)
        if slot.doc:
            state = slot.word(row.state, known=row.waiting | row.others)
            waits = slot.text(row.version) if state in row.waiting else None
            return True, None if waits == running else waits
    if shown.has('Staged'):
        # SoftwareInventory v1.12 reports that a version is pending, but not
        # which one.
        return False, None
    return False, None


def _add_device_facts(found: FoundDevice, entry: Entry) -> None:
    """Add what a vendor's entry reports about the device itself."""
    software = entry.shown.text('SoftwareId')
    if software and any(
            v.parameter_set and re.fullmatch(v.parameter_set, software)
            for v in registry.vendors()):
        found.psid = software
    quirks = entry.quirks
    if quirks is None:
        return
    if quirks.pci_ids is not None and found.pci is None:
        path, names = quirks.pci_ids
        part = entry.shown.part(*path)
        found.pci = PciIds(*(pci_id(part.text(n)) for n in names))
        if found.pci.pair is None:
            found.pci = None
    if quirks.product_name and found.model is None:
        match = re.fullmatch(quirks.product_name,
                             entry.shown.text('Name') or '')
        found.model = match[1] if match else None
