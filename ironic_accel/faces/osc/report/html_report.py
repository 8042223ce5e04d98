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

"""The report as a self-contained HTML page.

The page loads and sends nothing: its content security policy permits its own
style and script, by their digests, and no connection. It can be read without
scripts, and opened from a file or served with a policy as strict.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
import hashlib
from importlib import resources
from typing import Any

from ironic_accel.faces.osc.report import html_nodes
from ironic_accel.faces.osc.report import html_sections
from ironic_accel.faces.osc.report.markup import el
from ironic_accel.faces.osc.report.markup import Element
from ironic_accel.faces.osc.report import markup
from ironic_accel.faces.osc.report import next_steps

Document = Mapping[str, Any]

TITLE = 'Accelerators'


def render(report: Document) -> str:
    """Render a report document as an HTML page, to be written as UTF-8."""
    sections = [s for s in _sections(report) if s is not None]
    return markup.page(el('html', _head(), el(
        'body', el('header', el('h1', TITLE), el(
            'p', markup.words(html_sections.headline(report)), cls='soft'),
            html_sections.tiles(report) if report['nodes'] else None,
            html_sections.contents(sections)),
        el('main', sections)), lang='en'))


def _head() -> Element:
    style, script = _text('page.css'), _text('page.js')
    policy = (f"default-src 'none'; style-src '{_digest(style)}'; "
              f"script-src '{_digest(script)}'; base-uri 'none'; "
              "form-action 'none'")
    return el(
        'head', el('meta', charset='utf-8'),
        el('meta', name='viewport',
           content='width=device-width, initial-scale=1'),
        el('meta', http_equiv='Content-Security-Policy', content=policy),
        el('title', TITLE), markup.raw('style', style),
        markup.raw('script', script))


def _sections(report: Document) -> list[Element | None]:
    steps = next_steps.of_fleet(report)
    empty = html_sections.empty(steps) if steps else None
    if not report['nodes']:
        return [empty, html_sections.missing(report)]
    profile = next((n['change']['profile'] for n in report['nodes']
                    if n['change']), None)
    # The script fills in the picture and the tools, and shows them.
    return [
        empty,
        html_sections.card('Nodes', el('div', id='tools'), el(
            'div', html_nodes.table(report['nodes'], profile), cls='scroll',
            role='region', tabindex=0, aria_label='Table of nodes'),
            name='list'),
        html_sections.changes(report),
        html_sections.versions(report['versions']),
        html_sections.card(
            'Fleet',
            el('p', 'One column for each node, one cell for each device.',
               cls='soft'),
            el('canvas', role='img', id='picture', aria_label='All devices '
               'of all nodes, coloured by status; the table of nodes has the '
               'same data'), name='fleet'),
        html_sections.missing(report)]


def _text(name: str) -> str:
    return (resources.files(__package__) / name).read_text('utf-8')


def _digest(text: str) -> str:
    """A source expression of a content security policy."""
    found = hashlib.sha256(text.encode()).digest()
    return f'sha256-{base64.b64encode(found).decode()}'
