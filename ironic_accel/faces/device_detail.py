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

"""One device of an inventory: find it, and all of it as text."""

from __future__ import annotations

from ironic_accel.faces import ranges
from ironic_accel.faces import view
from ironic_accel.faces.view import Document
from ironic_accel.model.errors import BadInput


def find(doc: Document, name: str) -> Document:
    """The device with an id, a serial number or a location.

    :raises: BadInput with the ids of all devices, or with those of several
        devices that have the serial number or the location.
    """
    devices: list[Document] = doc['devices']
    for key in ('id', 'serial', 'location'):
        found = [d for d in devices if d[key] == name]
        if len(found) == 1:
            return found[0]
        if found:
            raise BadInput(
                f'{len(found)} devices have the {key} {name!r}; give an id: '
                + ', '.join(view.value(d['id']) for d in found))
    known = ranges.words([d['id'] for d in devices]) or 'none'
    raise BadInput(f'device {name!r} not found; devices of the node: {known}')


def texts(dev: Document) -> dict[str, str]:
    """The text of each field of a device."""
    return {**{name: view.value(raw) for name, raw in dev.items()},
            'health': view.fact(dev, 'health', dev['health']),
            'state': view.fact(dev, 'state', dev.get('state')),
            'serial': view.fact(dev, 'identity', dev['serial']),
            'components': _components(dev), 'modes': _modes(dev),
            'fit': _pairs(dev['fit']), 'pci': _pairs(dev['pci']),
            'link': _pairs(dev['link'])}


def table(doc: Document, dev: Document) -> view.Table:
    """A table with a row for each field that has a value."""
    shown = {**texts(dev), 'host': view.value(doc['host']),
             'seen_via': view.value(doc['seen_via'])}
    return view.Table('Device', ('Field', 'Value'), tuple(
        (name, text) for name, text in shown.items()
        if text != view.UNKNOWN))


def _components(dev: Document) -> str:
    return '\n'.join(
        f"{view.value(c['name'])} {view.current(c, 'running')}"
        f" (updateable: {view.value(c['updateable'])}, active after: "
        f"{view.value(c['activation'])})"
        for c in dev['components']) or view.UNKNOWN


def _modes(dev: Document) -> str:
    return '\n'.join(
        f"{name} {view.current(m, 'current')} (allowed: "
        f"{view.value(m['allowed'])}, active after: "
        f"{view.value(m['activation'])}, persistent: "
        f"{view.value(m['persistent'])})"
        for name, m in dev['modes'].items()) or view.UNKNOWN


def _pairs(found: Document | None) -> str:
    return ', '.join(
        f'{k} {view.value(v)}' for k, v in (found or {}).items()
        if v is not None) or view.UNKNOWN
