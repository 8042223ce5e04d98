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

"""The table of nodes of the page: a row for each, and its details.

A node is a ``tbody`` of two rows. Without scripts, the details of all nodes
are visible. The script hides them and reads what it needs of the rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import re
from typing import Any

from ironic_accel.faces.osc import formatters
from ironic_accel.faces.osc.report import next_steps
from ironic_accel.faces.osc.report import node_status
from ironic_accel.faces.osc.report.markup import code
from ironic_accel.faces.osc.report.markup import Content
from ironic_accel.faces.osc.report.markup import el
from ironic_accel.faces.osc.report.markup import Element
from ironic_accel.faces.osc.report.markup import term
from ironic_accel.faces.osc.report.markup import words
from ironic_accel.faces import view
from ironic_accel.model.device import base_name

Document = Mapping[str, Any]

COLUMNS = ('Node', 'Status', 'Reason', 'Devices', 'Profiles',
           'Provision state', 'Inventory')
DEVICE_COLUMNS = ('Devices', 'Status', 'Product', 'Health', 'Firmware',
                  'Modes')
#: A profile on a node, by its status.
_WORDS = {'can': 'can be applied', 'unread': 'not read'}
TIMES = '\N{MULTIPLICATION SIGN}'
_ORDER = {status: at for at, status in enumerate(node_status.STATUSES)}


def badge(status: str) -> Element:
    """A status with its colour."""
    return el('span', el('span', cls=f'dot {slug(status)}'), status,
              cls='badge')


def slug(status: str) -> str:
    """The class of a status."""
    return status.replace(' ', '-')


def table(nodes: Iterable[Document], profile: str | None) -> Element:
    """The table: by status, the worst first, and by name.

    :param profile: the profile of ``--profile``, which has a column.
    """
    heads = [*COLUMNS, *([f'With {profile}'] if profile else [])]
    return el(
        'table', el('thead', el('tr', (
            el('th', words(head), scope='col') for head in heads))),
        (_node(n, len(heads)) for n in sorted(nodes, key=_rank)), id='nodes')


def grid(heads: Sequence[str], rows: Iterable[Iterable[Content]],
         cls: str) -> Element:
    """A table; on a small screen each cell names its column."""
    return el('table', el('thead', el('tr', (
        el('th', head, scope='col') for head in heads))), el('tbody', (
            el('tr', (el('td', cell) for cell in row)) for row in rows)),
        cls=cls)


def _rank(node: Document) -> tuple[Any, ...]:
    name = str(node['name'] or node['uuid'])
    return _ORDER[node['status']], [
        (int(part), '') if part.isascii() and part.isdecimal() else (-1, part)
        for part in re.split(r'([0-9]{1,18})', name)]


def _node(node: Document, columns: int) -> Element:
    age = node['age']
    cells: list[Element] = [
        el('th', term(node['name'] or node['uuid']), scope='row'),
        el('td', badge(node['status']), data_sort=_ORDER[node['status']]),
        el('td', _reason(node)),
        el('td', _products(node), data_sort=len(node['devices'])),
        el('td', _profiles(node)),
        el('td', node['state'], ', in maintenance' if node['maintenance']
           else None, ', held' if node['stopped'] else None),
        el('td', view.UNKNOWN if age is None
           else term(f'{formatters.age(age)} ago'),
           data_sort=-1 if age is None else int(age))]
    if node['change']:
        cells.append(el('td', _change(node['change'])))
    return el(
        'tbody', el('tr', cells, cls='node'),
        el('tr', el('td', _details(node), colspan=columns), cls='more'),
        data_status=node['status'], data_cells=''.join(
            str(_ORDER[d['status']]) for d in node['devices']))


def _reason(node: Document) -> Content:
    texts = [r['text'] for r in node['remarks']]
    if not texts:
        return view.UNKNOWN
    return [words(texts[0]), f'; {len(texts) - 1} more'
            if len(texts) > 1 else None]


def _products(node: Document) -> Content:
    found = Counter(_product(d) for d in node['devices'])
    return _listed(term(f'{number} {TIMES} {product}')
                   for product, number in found.most_common()) or view.UNKNOWN


def _product(device: Document) -> str:
    return str(device.get('product') or device.get('model')
               or device.get('kind') or 'unknown')


def _profiles(node: Document) -> Content:
    return _listed(
        [term(p['profile']), ': ', _WORDS.get(p['status'], p['status'])]
        for p in node['profiles']) or view.UNKNOWN


def _change(change: Document) -> Content:
    if change['outcome'] == 'would change':
        return [f"would change: {view.count(change['writes'], 'write')}, ",
                words(change['reset'] or 'no host reset')]
    reasons = change['reasons']
    return [change['outcome'], [': ', words(reasons[0])] if reasons else None]


def _listed(items: Iterable[Content]) -> list[Content]:
    """Items with a comma after each but the last."""
    found: list[Content] = []
    for item in items:
        found += [', ', item] if found else [item]
    return found


def _details(node: Document) -> Content:
    command = next_steps.of_node(node)
    about = [node['driver'], f"conductor {node['conductor']}"
             if node['conductor'] else None,
             f"power: {node['power']}" if node['power'] else None,
             node['stopped']]
    return [
        el('p', 'Next: ', code(command)) if command else None,
        el('ul', (el('li', el('b', r['status']), ': ', words(r['text']))
                  for r in node['remarks'])) if node['remarks'] else None,
        _devices(node) if node['devices'] else None,
        el('p', 'Traits: ', _listed(map(term, node['traits'] or ()))
           or 'none'),
        grid(('Time', 'Event'), (
            [words(view.value(e.get(key))) for key in ('created_at', 'event')]
            for e in reversed(node['history'])), 'inner history')
        if node['history'] else None,
        el('p', el('span', term(node['uuid'], 36), cls='uuid'), ', ', _listed(
            words(text) for text in about if text), cls='soft')]


def _devices(node: Document) -> Element:
    """The devices; those that differ in nothing but identity share a row."""
    wanted = node_status.expected(node)
    groups: dict[tuple[Any, ...], list[Document]] = {}
    for device in node['devices']:
        groups.setdefault(_key(device, wanted), []).append(device)
    return grid(DEVICE_COLUMNS, (
        [_identities(alike), badge(alike[0]['status']),
         term(_product(alike[0])), alike[0].get('health') or view.UNKNOWN,
         _firmware(alike[0], wanted), _modes(alike[0], wanted)]
        for alike in groups.values()), 'inner devices')


def _key(device: Document, wanted: Mapping[tuple[str, str], Any],
         ) -> tuple[Any, ...]:
    own = {name: str(value) for (of, name), value in wanted.items()
           if of == device['id']}
    return (
        device['status'], _product(device), str(device.get('health')),
        tuple((c['name'], view.current(c, 'running'))
              for c in device['components']),
        tuple((name, view.current(m, 'current'))
              for name, m in (device.get('modes') or {}).items()),
        tuple(sorted(own.items())))


def _identities(alike: Sequence[Document]) -> Content:
    rows = [el('div', term(_identity(d))) for d in alike]
    if len(rows) == 1:
        return rows
    return el('details', el('summary', view.count(len(rows), 'device')), rows)


def _identity(device: Document) -> str:
    """The id, and serial number and location as far as it lacks them."""
    known = (device.get('serial'), device.get('location')
             or device.get('address'))
    return ', '.join([str(device['id']), *(
        str(text) for text in known
        if text and str(text) not in str(device['id']))])


def _firmware(device: Document, wanted: Mapping[tuple[str, str], Any],
              ) -> Content:
    """The components; several of one kind with the same version are one."""
    found: dict[tuple[str, ...], list[Document]] = {}
    for part in device['components']:
        found.setdefault((
            base_name(str(part['name'])), view.current(part, 'running'),
            str(wanted.get((device['id'], part['name'])))), []).append(part)
    # The script finds a version between blanks.
    return [el('div', ' ', words(
        name if len(parts) == 1 else f'{len(parts)} {TIMES} {name}'), ' ',
        term(view.current({**parts[0], 'pending': None}, 'running')),
        [' → ', term(parts[0]['pending']), ' pending'] if parts[0][
            'pending'] not in (None, parts[0]['running']) else None,
        _expected(wanted, device, parts[0]['name']), ' ')
        for (name, *_rest), parts in found.items()] or view.UNKNOWN


def _modes(device: Document, wanted: Mapping[tuple[str, str], Any],
           ) -> Content:
    return [el('div', words(name), ' ', term(view.current(m, 'current')),
               _expected(wanted, device, name))
            for name, m in (device.get('modes') or {}).items()] or view.UNKNOWN


def _expected(wanted: Mapping[tuple[str, str], Any], device: Document,
              name: str) -> Content:
    key = (device['id'], name)
    if key not in wanted:
        return None
    return el('b', ' expected: ', term(view.value(wanted[key])), cls='wrong')
