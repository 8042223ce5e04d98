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

"""Assign the entries of the FirmwareInventory to their devices.

An entry belongs to the device in its RelatedItem: the resource of the device
itself, or the Chassis that contains it. Without RelatedItem, the vendor's
table names the device by the Id of the entry.
"""

from __future__ import annotations

from collections.abc import Iterable
import re

from ironic_accel.model.catalog import Catalog
from ironic_accel.model import device_marks
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.json_document import last
from ironic_accel.redfish.client.read_failures import Role
from ironic_accel.redfish.client.read_failures import Impact
from ironic_accel.redfish.client.reader import Reader
from ironic_accel.redfish.inventory import components
from ironic_accel.redfish.inventory.components import Entry
from ironic_accel.redfish.inventory.device_builder import ADDITIONAL
from ironic_accel.redfish.inventory.device_builder import FoundDevice
from ironic_accel.redfish.inventory import products
from ironic_accel.redfish.inventory.scope import Scope
from ironic_accel.redfish.vendors.base import Quirks
from ironic_accel.redfish.vendors.device_rows import FirmwareRule
from ironic_accel.redfish.vendors import registry


def kind_of(found: FoundDevice, catalog: Catalog) -> str:
    """The kind of a device by the catalogue, else by its resource."""
    product = products.identify(catalog, found.hint, found.vendor,
                                found.model, found.pci, found.part_number)
    return product.kind if product else found.hint or 'ai'


def entries(reader: Reader, scope: Scope, service: Fields | None
            ) -> tuple[list[Fields], list[str], bool]:
    """The whole FirmwareInventory of the BMC, sorted by Id.

    :returns: the entries; the paths of those that were not read; and whether
        the list is complete.
    """
    if service is None:
        return [], [], scope.root.link('UpdateService') is None and (
            f'{scope.root.uri}/UpdateService' not in reader.failures)
    impact = Impact(Role.SERVICE, ('baseboard',), ('firmware',),
                    optional=False)
    listed = reader.follow(service, 'FirmwareInventory', impact)
    shown, unread = reader.listing(listed, impact, one_kind=True)
    shown = [reader.whole(one, 'Version', 'Status') for one in shown]
    return (sorted(shown, key=lambda one: _natural_key(one.uri)), unread,
            not {listed, f'{service.uri}/FirmwareInventory'}
            & set(reader.failures))


def attach(scope: Scope, devices: list[FoundDevice], shown: Iterable[Fields],
           service: Fields | None, catalog: Catalog) -> None:
    """Add the components to the devices, by the firmware entries.

    :param devices: a baseboard that only firmware entries show is appended.
    """
    open_to_cards: set[str] = set()
    for one in shown:
        entry = _entry(one, scope.quirks)
        owner = _owner(entry, scope, devices)
        rule = entry.rule
        if owner is None and rule is not None and rule.by == 'rot' and (
                scope.lost_chassis):
            # The root of trust of its card may be among the unread ones.
            open_to_cards.add(rule.component)
        if owner is None and rule is not None:
            owner = _firmware_only_board(entry, scope, devices)
        if owner is not None:
            components.add(owner, entry, kind_of(owner, catalog), catalog,
                           service)
    for found in devices:
        if '/NetworkAdapters/' in found.uri:
            found.unread |= {f'firmware:{name}' for name in open_to_cards
                             if found.component(name) is None}


def declare_unread(reader: Reader, scope: Scope, devices: list[FoundDevice],
                   unread: Iterable[str], whole: bool, catalog: Catalog
                   ) -> None:
    """Declare what is unknown because entries were not read.

    If the Id of an entry names its component, that component; else every
    component without an entry, as it may be any of them.

    :param whole: whether the list of entries is complete.
    """
    if not whole:
        for one in devices:
            one.unread.add('firmware')
    for uri in unread:
        entry = _entry(reader.fields({'@odata.id': uri}), scope.quirks)
        owner = _owner(entry, scope, devices)
        if owner is not None and entry.rule is not None:
            fact = f'firmware:{entry.rule.component}'
            owner.unread.add(fact)
            reader.declare(uri, Impact(Role.SERVICE, facts=(fact,),
                                       about=owner.uri, optional=False))
            continue
        for one in devices:
            known = {c.name for c in one.components}
            missing = [n for n in _possible(one, catalog) if n not in known]
            one.unread |= ({'firmware'} if not known else
                           {f'firmware:{n}' for n in missing})
        reader.declare(uri, Impact(Role.SERVICE, facts=('firmware',),
                                   optional=False))


def _possible(found: FoundDevice, catalog: Catalog) -> tuple[str, ...]:
    """Names of the components of a device that may have entries."""
    product = products.identify(catalog, found.hint, found.vendor,
                                found.model, found.pci, found.part_number)
    if product is not None and product.components:
        return product.components
    return tuple(n for n in catalog.components(kind_of(found, catalog))
                 if n not in ADDITIONAL.values())


def _natural_key(text: str) -> list[tuple[int, str]]:
    """A sort key with 2 before 10."""
    return [(int(t), '') if t.isdigit() else (-1, t)
            for t in re.split(r'([0-9]+)', text)]


def _entry(shown: Fields, quirks: Iterable[Quirks]) -> Entry:
    name = shown.text('Id') or last(shown.uri)
    rows: list[tuple[Quirks | None, FirmwareRule]] = [
        (quirk, rule) for quirk in quirks for rule in quirk.firmware]
    rows += [(None, rule) for vendor in registry.vendors()
             for rule in vendor.entries]
    for quirk, rule in rows:
        match = re.fullmatch(rule.pattern, name)
        if match:
            return Entry(shown, rule, match, quirk)
    return Entry(shown, None, None, None)


def _owner(entry: Entry, scope: Scope, devices: list[FoundDevice]
           ) -> FoundDevice | None:
    """The device of an entry, or None if it is not in the inventory."""
    related = entry.shown.links('RelatedItem')
    parts = [d for d in devices if d.hint != 'baseboard']
    boards = [d for d in devices if d.hint == 'baseboard']
    for uri in related:
        for found in parts:
            if uri in found.own or (
                    uri == found.chassis and _only_one(uri, parts)):
                return found
    rule = entry.rule
    if rule is None:
        return _by_context(entry, scope, parts)
    if rule.system and entry.fill(rule.system) != last(scope.system.uri):
        return None
    if rule.owner == 'baseboard':
        for uri in related:
            for board in boards:
                if uri in board.own:
                    return board
        return boards[0] if boards and not rule.system else None
    return _by_rule(entry, rule, scope, parts)


def _by_context(entry: Entry, scope: Scope, parts: list[FoundDevice]
                ) -> FoundDevice | None:
    """The one device in the slot that a vendor's property of an entry names.
    """
    for quirk in scope.quirks:
        if quirk.context:
            place = entry.shown.text(*quirk.context)
            there = [d for d in parts if place and d.context == place]
            if len(there) == 1:
                return there[0]
    return None


def _only_one(chassis: str, parts: list[FoundDevice]) -> bool:
    return sum(d.chassis == chassis for d in parts) == 1


def _by_rule(entry: Entry, rule: FirmwareRule, scope: Scope,
             parts: list[FoundDevice]) -> FoundDevice | None:
    at = entry.fill(rule.at)
    if rule.owner == 'system':
        return next((d for d in parts if d.uri == scope.system.uri), None)
    wanted = {'adapter': '/NetworkAdapters/', 'card': '/PCIeDevices/'}.get(
        rule.owner, '/Processors/')
    there = [d for d in parts if wanted in d.uri]
    if rule.by == 'rot':
        return _protected_adapter(at, scope, there)
    if rule.by == 'port':
        there = [d for d in there if at == last(d.uri)
                 or at.startswith(f'{last(d.uri)}-')]
    else:
        there = [d for d in there if last(d.uri) == at]
    return there[0] if len(there) == 1 else None


def _protected_adapter(rot: str, scope: Scope,
                       adapters: list[FoundDevice]) -> FoundDevice | None:
    """The adapter on the card that a root of trust protects.

    A card with several adapters has as many roots of trust, which belong to
    the adapters in the order of their names.
    """
    guard = next((c for c in scope.chassis.values()
                  if last(c.uri) == rot), None)
    card = guard.link('Links', 'ContainedBy') if guard else None
    if card is None:
        return None
    here = sorted((d for d in adapters if d.chassis == card),
                  key=lambda d: d.uri)
    guards = sorted(last(c.uri) for c in scope.chassis.values()
                    if c.link('Links', 'ContainedBy') == card
                    and c.uri.rsplit('_', 1)[0] == (
                        guard.uri.rsplit('_', 1)[0] if guard else ''))
    if len(guards) != len(here) or any(
            last(u).rsplit('_', 1)[0] == rot.rsplit('_', 1)[0]
            for u in scope.lost_chassis):
        # Two cards of a board may share one, and an unread one may be
        # another one of this card.
        return None
    return here[guards.index(rot)]


def _firmware_only_board(entry: Entry, scope: Scope, devices: list[FoundDevice]
                         ) -> FoundDevice | None:
    """A baseboard that only a firmware entry shows."""
    rule = entry.rule
    if rule is None or rule.owner != 'baseboard':
        return None
    if rule.system:
        if entry.fill(rule.system) != last(scope.system.uri):
            return None
    elif not scope.alone or not any(d.hint == 'gpu' for d in devices):
        return None
    board = next((d for d in devices if d.hint == 'baseboard'), None)
    if board is None:
        board = FoundDevice(entry.shown.uri, 'baseboard', entry.shown)
        told = re.fullmatch(rule.board or '',
                            entry.shown.text('SoftwareId') or '')
        if rule.board and told:
            board.model = device_marks.clean_text(told['model'])
            board.vendor = told['vendor']
        board.board = board.model
        board.vendor = board.vendor or entry.shown.text('Manufacturer')
        board.location = last(scope.system.uri)
        devices.append(board)
    return board
