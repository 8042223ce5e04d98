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

"""The document ``inventory/3``: an inventory as programs read it."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any

from ironic_accel.model.activity import Busy
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Fit
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import KINDS
from ironic_accel.model.device import Link
from ironic_accel.model.device import Mode
from ironic_accel.model.device import PciIds
from ironic_accel.model.device import Value
from ironic_accel.model.device import Waiting
from ironic_accel.model.device import Warned
from ironic_accel.model import earlier_documents
from ironic_accel.model.plan import plain
from ironic_accel.model.plan import value_of
from ironic_accel.model.reading_status import Standing
from ironic_accel.model.reading_status import Unread

SCHEMA = 'inventory/3'
#: What is read: stored inventories may be of an earlier release.
READ = (SCHEMA, *earlier_documents.INVENTORIES)


def _component_to_dict(part: Component) -> dict[str, Any]:
    out: dict[str, Any] = {
        'name': part.name, 'id': part.id, 'running': part.running,
        'pending': part.pending, 'shows_pending': part.shows_pending,
        'updateable': part.updateable, 'activation': part.activation,
        'uri': part.uri}
    if part.lowest is not None:
        out['lowest'] = part.lowest
    if part.max_image_bytes is not None:
        out['max_image_bytes'] = part.max_image_bytes
    return out | _standing(part, part.running)


def _mode_to_dict(mode: Mode) -> dict[str, Any]:
    out: dict[str, Any] = {
        'current': plain(mode.current), 'pending': plain(mode.pending),
        'allowed': (None if mode.allowed is None
                    else [plain(v) for v in mode.allowed]),
        'activation': mode.activation, 'persistent': mode.persistent}
    if mode.uri is not None:
        out['uri'] = mode.uri
    if mode.unordered:
        out['unordered'] = True
    if mode.minimum is not None:
        out['minimum'] = mode.minimum
    if mode.maximum is not None:
        out['maximum'] = mode.maximum
    if mode.read_only:
        out['read_only'] = True
    return out | _standing(mode, mode.current)


def _standing(part: Component | Mode, value: Value | None
              ) -> dict[str, Any]:
    """The status of a value, and why it is missing."""
    return {'status': part.standing if value is None else Standing.REPORTED,
            **({'conflicts': list(part.conflicts)} if part.conflicts else {})}


def _unread_to_dict(unread: Unread) -> dict[str, Any]:
    """``uri`` of a resource, ``tool`` of anything else that was asked."""
    key = 'uri' if unread.source.startswith('/') else 'tool'
    return {key: unread.source, 'about': unread.about,
            'answer': unread.answer, 'since': unread.since,
            'kinds': list(unread.kinds), 'facts': list(unread.facts),
            'blocks': unread.holds}


def _unread_from_dict(raw: Mapping[str, Any]) -> Unread:
    return Unread(
        raw['uri'] if 'uri' in raw else raw['tool'], raw['answer'],
        raw.get('about'), raw.get('since'), tuple(raw.get('kinds') or ()),
        tuple(raw.get('facts') or ()), bool(raw.get('blocks')))


def device_to_dict(dev: Device) -> dict[str, Any]:
    """One entry of an inventory document's ``devices``."""
    return {'id': dev.id, 'kind': dev.kind, 'vendor': dev.vendor,
            'model': dev.model, 'product': dev.product, 'serial': dev.serial,
            'part_number': dev.part_number, 'parent': dev.parent,
            'fit': dataclasses.asdict(dev.fit),
            'pci': dataclasses.asdict(dev.pci) if dev.pci else None,
            'address': dev.address, 'numa_node': dev.numa_node,
            'link': dataclasses.asdict(dev.link) if dev.link else None,
            'macs': list(dev.macs), 'location': dev.location, 'uri': dev.uri,
            'health': dev.health, 'state': dev.state,
            'unread': list(dev.unread), 'absent': list(dev.absent),
            **({'health_by': list(dev.told)} if dev.told else {}),
            'components': [_component_to_dict(c) for c in dev.components],
            'modes': {m.name: _mode_to_dict(m) for m in dev.modes}}


def inventory_to_dict(inv: Inventory) -> dict[str, Any]:
    """The document ``inventory/3``.

    ``settled`` is true if the host is on and device discovery is complete,
    ``complete`` by kind if a missing device is a removed one.
    ``uncounted`` and ``waiting`` stand there only where there is such.
    """
    return {
        'schema': SCHEMA, 'system': inv.system, 'host': inv.host,
        'settled': inv.complete,
        'complete': {k: inv.complete_of(k) for k in KINDS},
        'unread': [_unread_to_dict(u) for u in inv.unread],
        'boot': inv.boot,
        'busy': [{**dataclasses.asdict(b),
                  'targets': [list(t) for t in b.targets]}
                 for b in inv.busy],
        'seen_via': list(inv.seen_via), 'requests': inv.requests,
        'warnings': [dataclasses.asdict(w) for w in inv.warnings],
        **({'uncounted': list(inv.uncounted)} if inv.uncounted else {}),
        **({'waiting': [_waiting_to_dict(w) for w in inv.waiting]}
           if inv.waiting else {}),
        'devices': [device_to_dict(d) for d in inv.devices]}


def whole(doc: Mapping[str, Any]) -> bool:
    """Whether an inventory document has every kind."""
    return bool(doc['settled']) and all(doc['complete'].values())


def _activation(raw: str | None) -> Activation | None:
    return None if raw is None else Activation(raw)


def device_from_dict(raw: Mapping[str, Any]) -> Device:
    """Read one entry of ``devices`` back."""
    modes = []
    for name, mode in raw['modes'].items():
        allowed = mode.get('allowed')
        modes.append(Mode(
            name, value_of(mode.get('current')),
            value_of(mode.get('pending')),
            (None if allowed is None else tuple(
                v for v in map(value_of, allowed) if v is not None)),
            _activation(mode.get('activation')), mode.get('persistent'),
            mode.get('uri'), mode.get('unordered', False),
            _standing_of(mode), tuple(mode.get('conflicts') or ()),
            mode.get('minimum'), mode.get('maximum'),
            mode.get('read_only', False)))
    flat = {k: raw.get(k) for k in (
        'id', 'kind', 'vendor', 'model', 'product', 'serial', 'part_number',
        'parent', 'address', 'numa_node', 'location', 'uri', 'health',
        'state')}
    return Device(
        **flat,  # type: ignore[arg-type]
        fit=Fit(**(raw.get('fit') or {})),
        pci=PciIds(**raw['pci']) if raw.get('pci') else None,
        link=Link(**raw['link']) if raw.get('link') else None,
        macs=tuple(raw.get('macs') or ()),
        components=tuple(_component_from_dict(c) for c in raw['components']),
        modes=tuple(modes), unread=tuple(raw.get('unread') or ()),
        absent=tuple(raw.get('absent') or ()),
        told=tuple(raw.get('health_by') or ()))


def _component_from_dict(raw: Mapping[str, Any]) -> Component:
    given = {k: v for k, v in raw.items() if k not in ('status', 'conflicts')}
    return Component(**{
        **given, 'activation': _activation(raw.get('activation')),
        'standing': _standing_of(raw),
        'conflicts': tuple(raw.get('conflicts') or ())})


def _waiting_to_dict(waiting: Waiting) -> dict[str, Any]:
    return {'kind': waiting.kind, 'ref': waiting.ref,
            'summary': waiting.summary, 'activation': waiting.activation,
            'updates': waiting.updates}


def _waiting_from_dict(raw: Mapping[str, Any]) -> Waiting:
    return Waiting(raw['kind'], raw['ref'], raw['summary'],
                   Activation(raw['activation']), raw['updates'])


def _standing_of(raw: Mapping[str, Any]) -> Standing:
    """Why a value is missing; ``reported`` if there is a value."""
    standing = Standing(raw.get('status') or Standing.NOT_REPORTED)
    return Standing.NOT_REPORTED if standing is Standing.REPORTED else standing


def current(doc: Mapping[str, Any]) -> Mapping[str, Any]:
    """An inventory document in its present form.

    :raises: ValueError for a schema that is not read.
    """
    if doc.get('schema') not in READ:
        raise ValueError(f"schema: {doc.get('schema')!r}, expected {SCHEMA!r}")
    return earlier_documents.inventory(doc, SCHEMA)


def inventory_from_dict(data: Mapping[str, Any]) -> Inventory:
    """Read a document ``inventory/3`` back, or one of an earlier release.

    ``inventory/1`` knows nothing of unread sources.

    :raises: ValueError for another schema.
    """
    data = current(data)
    return Inventory(
        system=data['system'], host=data['host'], complete=data['settled'],
        boot=data.get('boot'),
        busy=tuple(
            Busy(**{**b, 'targets': tuple(
                (t[0], t[1]) for t in b.get('targets', ()))})
            for b in data.get('busy', ())),
        seen_via=tuple(data.get('seen_via', ())),
        requests=data.get('requests', 0),
        warnings=tuple(Warned(**w) for w in data.get('warnings', ())),
        devices=tuple(device_from_dict(d) for d in data['devices']),
        uncounted=tuple(data.get('uncounted', ())),
        unread=tuple(map(_unread_from_dict, data.get('unread') or ())),
        waiting=tuple(
            _waiting_from_dict(w) for w in data.get('waiting') or ()))
