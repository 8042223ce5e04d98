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

"""The sections of the page above and below the table of nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from ironic_accel.faces.osc.report.html_nodes import grid
from ironic_accel.faces.osc.report.html_nodes import slug
from ironic_accel.faces.osc.report.markup import code
from ironic_accel.faces.osc.report.markup import Content
from ironic_accel.faces.osc.report.markup import el
from ironic_accel.faces.osc.report.markup import Element
from ironic_accel.faces.osc.report.markup import term
from ironic_accel.faces.osc.report.markup import words
from ironic_accel.faces.osc.report import node_status
from ironic_accel.faces import view

Document = Mapping[str, Any]

CHANGE_COLUMNS = ('Profile', 'Compliant', 'Would change', 'Refused',
                  'Does not apply', 'Not known', 'Digest')
#: How to see what a profile would change before a conductor has it.
_PREVIEW = 'baremetal accelerator report --profile FILE --html report.html'
#: Number of products whose versions are shown without a click.
_OPEN = 3


def card(title: str, *content: Content, name: str) -> Element:
    """A section with a heading."""
    return el('section', el('h2', title, id=f'{name}-title'), content,
              cls='card', id=name, aria_labelledby=f'{name}-title')


def contents(sections: Iterable[Element]) -> Element | None:
    """Links to the sections."""
    links = [el('li', el('a', section[0].text, href=f"#{section.get('id')}"),
                cls='scripted' if section.get('id') == 'fleet' else None)
             for section in sections]
    return el('nav', el('ul', links), aria_label='Sections') \
        if len(links) > 1 else None


def headline(report: Document) -> str:
    """How large the fleet is, and when its data were read."""
    totals = report['totals']
    others = len(report['others'])
    return (f"{view.count(totals['nodes'], 'node')} managed by ironic-accel, "
            f"{view.count(totals['devices'], 'device')}"
            + (f'; {view.count(others, "node")} not managed' if others else '')
            + f", as stored in Ironic at {report['at']}")


def tiles(report: Document) -> Element:
    """The number of nodes in each status."""
    numbers = report['totals']['status']
    return el('ul', (
        el('li', el('span', el('b', numbers[status]), el(
            'span', el('span', cls=f'dot {slug(status)}'), status,
            cls='badge'), el('small', meaning), cls='tile'),
            data_status=status)
        for status, meaning in node_status.STATUSES.items()),
        id='tiles', aria_label='Nodes by status')


def empty(steps: Iterable[tuple[str, str]]) -> Element:
    """The next commands where there is nothing to report yet."""
    return card('Next', (
        el('p', words(text), ' ', code(command))
        for text, command in steps), name='empty')


def versions(products: Sequence[Document]) -> Element | None:
    """The firmware versions of each product."""
    shown = [p for p in products if p['components']]
    if not shown:
        return None
    return card('Firmware versions', (
        el('details', el('summary', el('h3', term(p['product'])), ', ',
                         view.count(p['devices'], 'device')),
           _versions(p), open='open' if at < _OPEN else None)
        for at, p in enumerate(shown)), name='versions')


def _versions(product: Document) -> Element:
    return el('table', el('thead', el('tr', (
        el('th', head, scope='col') for head in (
            'Component', 'Version', 'Devices', 'Nodes', 'Share')))), (
        el('tbody', (_version(part, at, row)
                     for at, row in enumerate(part['versions'])))
        for part in product['components']), cls='numbers')


def _version(part: Document, at: int, row: Document) -> Element:
    """A row: the component is named in the first one of it."""
    share = row['devices'] / max(1, sum(
        other['devices'] for other in part['versions']))
    rows = len(part['versions'])
    return el(
        'tr', el('th', term(part['name']), scope='rowgroup',
                 rowspan=rows if rows > 1 else None) if not at else None,
        el('td', el('span', term('unknown' if row['version'] is None
                                 else row['version'], 20), cls='version'),
           f", pending on {row['pending']}" if row['pending'] else None),
        el('td', row['devices']), el('td', row['nodes']),
        el('td', el('span', f'{share:.0%}', cls='share'), el(
            'svg', el('rect', width=f'{100 * share:.1f}', height=8),
            viewBox='0 0 100 8', preserveAspectRatio='none',
            aria_hidden='true', cls='bar')))


def changes(report: Document) -> Element:
    """What profiles would change on the nodes."""
    title = 'What a profile would change'
    rows = report['changes']
    if not rows and report['denied']:
        return card(title, el('p', 'The site profiles could not be read; see '
                              'below. A profile of a file can be compared: ',
                              code(_PREVIEW)), name='changes')
    if not rows:
        return card(title, el(
            'p', 'No site profile is known. Next: write one, check it with ',
            code('baremetal accelerator profile validate FILE'),
            ', and see what it would change: ', code(_PREVIEW)),
            name='changes')
    return card(
        title, el('p', 'Number of nodes, by the inventories that are stored. '
                  'What is applied is planned again from a new one.',
                  cls='soft'),
        grid(CHANGE_COLUMNS, (_change(row, _digests(report, row))
                              for row in rows), 'changes'),
        el('ul', (el('li', words(
            f"{row['profile']}: refused on {view.count(r['nodes'], 'node')}: "
            f"{r['reason']}")) for row in rows for r in row['reasons']))
        if any(row['reasons'] for row in rows) else None, name='changes')


def _digests(report: Document, row: Document) -> list[str]:
    """The digests of a profile: several if conductors have it differently.
    """
    found = {*row['digests']} or {
        one['digest'] for one in report['profiles']
        if one['name'] == row['profile']}
    return sorted(digest[:12] for digest in found)


def _change(row: Document, digests: Sequence[str]) -> list[Content]:
    found = row['outcomes']
    resets = ', '.join(
        f'{number} ' * (len(row['resets']) > 1)
        + ('no host reset' if reset == 'none' else reset)
        for reset, number in row['resets'].items())
    digest: Content = view.UNKNOWN
    if len(digests) == 1:
        digest = term(digests[0])
    elif digests:
        digest = words('differs between conductors: ' + ', '.join(digests))
    return [term(row['profile']), found['compliant'],
            [found['would change'], words(f' ({resets})') if resets else None],
            found['refused'],
            found['does not apply'], found['not known'], digest]


def missing(report: Document) -> Element | None:
    """What the report does not have, and why; the same error once."""
    found: Counter[str] = Counter()
    for node in report['nodes']:
        errors = [*node['denied'], *([node['failed']] if node['failed']
                                     else [])]
        found.update({_general(text, node) for text in errors})
    lines: list[Content] = [words(text) for text in report['denied']]
    lines += [[f"{view.count(number, 'node')}: ", words(text)]
              for text, number in found.most_common()]
    if not lines:
        return None
    return card('Not available', el('ul', (el('li', line) for line in lines)),
                name='missing')


def _general(text: str, node: Document) -> str:
    """An error without the node that it is about."""
    for name in (node['uuid'], node['name']):
        if name:
            text = text.removeprefix(f'node {name}: ').replace(
                str(name), 'NODE')
    return text
