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

"""The report's page, in the browser that Debian ships."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
import json
import os
import pathlib
import re
import shutil
from typing import Any

import pytest

from ironic_accel.faces.osc.report import html_report
from ironic_accel.faces.osc.report import node_status
from tests.faces import browser
from tests.faces import fleet

NODES = 48
ROOT = pathlib.Path(__file__).parents[2]
SCREENSHOTS = ROOT.joinpath('doc', 'source', 'user', 'images')
#: What ``make accessibility`` installs; axe-core is not part of the project.
AXE = ROOT.joinpath('.axe', 'node_modules', 'axe-core', 'axe.min.js')
PNG = b'\x89PNG\r\n\x1a\n'
#: What a BMC or a user may call something.
HOSTILE = ('</script><script>document.title="x"</script>',
           '<img src=x onerror=document.title="x">', '"><b>', '&lt;b&gt;',
           '\x00\x1b[2J\u202etxt', 'x' * 400)


@pytest.fixture(scope='module')
def report() -> dict[str, Any]:
    """A fleet of which some names try to be something else."""
    nodes = fleet.report(NODES, seed=1)['nodes']
    one, two = nodes[8], nodes[9]
    one['name'] = HOSTILE[0]
    for at, device in enumerate(two['devices']):
        device.update(model=HOSTILE[at % 6], product=None,
                      serial=HOSTILE[(at + 1) % 6], location=HOSTILE[at % 6])
        device['components'][0]['running'] = HOSTILE[(at + 2) % 6]
    made = fleet.document(nodes)
    two = made['nodes'][9]
    two['remarks'] = [{'status': 'failed', 'text': text} for text in HOSTILE]
    two['traits'] = list(HOSTILE)
    two['history'] = [{'created_at': None, 'event': t} for t in HOSTILE]
    return made


@pytest.fixture(scope='module')
def opened() -> Iterator[browser.Page]:
    """A browser."""
    if browser.find() is None:
        pytest.skip("Debian's package chromium is not installed")
    with browser.browser() as found:
        yield found


@pytest.fixture(scope='module')
def path(report: dict[str, Any], tmp_path_factory: pytest.TempPathFactory,
         ) -> pathlib.Path:
    """The page of the fleet."""
    made = tmp_path_factory.mktemp('page') / 'report.html'
    made.write_text(html_report.render(report), 'utf-8')
    return made


@pytest.fixture
def shown(opened: browser.Page, path: pathlib.Path) -> Iterator[browser.Page]:
    """The page as it is when it has just been opened."""
    opened.open(path.as_uri(), 1400, 1000)
    yield opened
    assert opened.problems == []


def names(shown: browser.Page) -> list[str]:
    """The nodes in the table, from the top."""
    found: list[str] = shown.run(
        "[...document.querySelectorAll('tbody.on tr.node th')]"
        '.map(cell => cell.textContent)')
    return found


def search(shown: browser.Page, words: str) -> None:
    """Type something into the search."""
    shown.run("{ const find = document.getElementById('search'); find.value "
              f'= {json.dumps(words)}; find.dispatchEvent(new Event("input")) '
              '}')


def more(shown: browser.Page) -> None:
    """Have all nodes in the table."""
    shown.run("document.querySelector('#list > button').click()")


def test_each_node_is_counted_in_one_tile(
        shown: browser.Page, report: dict[str, Any]) -> None:
    counts = shown.run(
        "Object.fromEntries([...document.querySelectorAll('#tiles li')]"
        ".map(t => [t.dataset.status, +t.querySelector('b').textContent]))")
    assert counts == Counter(n['status'] for n in report['nodes'])
    assert list(counts) == list(node_status.STATUSES)
    assert sum(counts.values()) == NODES
    more(shown)
    assert sorted(names(shown)) == sorted(n['name'] for n in report['nodes'])


@pytest.mark.parametrize('status', node_status.STATUSES)
def test_a_tile_filters_its_nodes(shown: browser.Page, status: str,
                                  report: dict[str, Any]) -> None:
    tile = f"document.querySelector('[data-status=\"{status}\"] button')"
    more(shown)
    shown.run(f'{tile}.click()')
    assert shown.run(f'{tile}.ariaPressed') == 'true'
    more(shown)
    assert set(names(shown)) == {
        n['name'] for n in report['nodes'] if n['status'] == status}
    shown.run(f'{tile}.click()')
    assert shown.run("document.querySelector('[role=status]').textContent"
                     ).startswith(f'{NODES} nodes')


def test_the_worst_nodes_come_first(
        shown: browser.Page, report: dict[str, Any]) -> None:
    order = list(node_status.STATUSES)
    where = {n['name']: order.index(n['status']) for n in report['nodes']}
    more(shown)
    found = [where[name] for name in names(shown)]
    assert found == sorted(found)
    assert found[0] == 0


def test_only_compliant_devices_have_the_colour_of_compliance(
        shown: browser.Page, report: dict[str, Any]) -> None:
    """A failed node, or one in maintenance, has no green cell."""
    order = list(node_status.STATUSES)
    cells = shown.run(
        "Object.fromEntries([...document.querySelectorAll('#nodes tbody')]"
        ".map(b => [b.rows[0].cells[0].textContent, b.dataset.cells]))")
    green = str(order.index('compliant'))
    for node in report['nodes']:
        assert len(cells[node['name']]) == len(node['devices'])
        if node['status'] in ('failed', 'maintenance', 'updating',
                              'not seen'):
            assert green not in cells[node['name']]


def test_what_others_named_is_text(
        shown: browser.Page, report: dict[str, Any]) -> None:
    assert shown.run('document.title') == 'Accelerators'
    more(shown)
    assert HOSTILE[0] in names(shown)
    search(shown, report['nodes'][9]['uuid'])
    text = shown.run("document.querySelector('tbody.on').textContent")
    for name in HOSTILE[:4]:
        assert text.count(name) >= 3
    assert not set('\x00\x1b\u202e') & set(text)
    assert shown.run("document.querySelectorAll('#nodes img').length") == 0
    # The style, the script and nothing else.
    assert shown.run("document.querySelectorAll('script').length") == 1


@pytest.mark.parametrize('words, found', [
    ('rack00-node07', 1), ('1653200003008', 1), ('rack00 NODE1', 10),
    ('CUSTOM_ACCEL_GPU_X4', 0), ('no such thing', 0)])
def test_search_finds_names_serials_and_traits(
        shown: browser.Page, words: str, found: int) -> None:
    search(shown, words)
    assert len(names(shown)) == found
    assert shown.run("document.querySelector('[role=status]').textContent"
                     ).startswith(f'{found} node')
    shown.run("document.querySelector('#tools button').click()")
    assert len(names(shown)) == 25


def test_columns_sort_both_ways(shown: browser.Page) -> None:
    click = "document.querySelector('#nodes th button').click()"
    more(shown)
    shown.run(click)
    once = names(shown)
    plain = [n for n in once if n.startswith('rack')]
    assert plain == sorted(plain)
    shown.run(click)
    assert names(shown) == once[::-1]
    assert shown.run("document.querySelector('#nodes th').ariaSort"
                     ) == 'descending'


def test_a_version_leads_to_its_nodes(
        shown: browser.Page, report: dict[str, Any]) -> None:
    shown.run("[...document.querySelectorAll('.version button')].find("
              f"b => b.textContent === '{fleet.OLD}').click()")
    assert set(names(shown)) == {n['name'] for n in report['nodes'] if any(
        c['running'] == fleet.OLD for d in n['devices']
        for c in d['components'])}
    assert shown.run("document.getElementById('search').value"
                     ) == f'"gpu {fleet.OLD}"'
    # A version that begins or ends as another one is not it.
    search(shown, f'"gpu {fleet.OLD[:-1]}"')
    assert names(shown) == []
    search(shown, f'gpu {fleet.OLD[:-1]}')
    assert names(shown) != []


def test_the_versions_are_those_of_the_devices(
        shown: browser.Page, report: dict[str, Any]) -> None:
    found = Counter(d['components'][0]['running'] for n in report['nodes']
                    for d in n['devices'] if d['product'] == 'nvidia-h100-sxm')
    rows = shown.run(
        "[...document.querySelector('#versions details').querySelectorAll("
        "'tbody:first-of-type tr')].map(r => [r.querySelector('.version')"
        ".textContent, +r.cells[r.cells.length - 3].textContent])")
    assert dict(rows)[fleet.OLD] == found[fleet.OLD] > 0


def test_a_node_opens_to_its_devices(
        shown: browser.Page, report: dict[str, Any]) -> None:
    drifted = next(n for n in report['nodes'] if n['drift'])
    search(shown, drifted['uuid'])
    shown.run("document.querySelector('tbody.on tr.node').click()")
    text = shown.run("document.querySelector('tbody.on tr.more').innerText")
    assert f'expected: {fleet.NEW}' in text
    assert 'apply_profile hgx-h100: converged' in text
    assert 'CUSTOM_ACCEL_GPU_X8' in text
    assert (f"baremetal accelerator plan {drifted['name']} --profile "
            'hgx-h100') in text
    shown.run("document.querySelectorAll('tbody.on details').forEach("
              'd => { d.open = true })')
    text = shown.run("document.querySelector('tbody.on tr.more').innerText")
    for device in drifted['devices']:
        assert device['id'] in text
    shown.run("document.querySelector('tbody.on tr.node').click()")
    assert shown.run("document.querySelector('tbody.on tr.more')"
                     '.offsetHeight') == 0


def test_the_picture_shows_statuses_and_opens_a_node(
        shown: browser.Page, report: dict[str, Any]) -> None:
    ranked = sorted((n for n in report['nodes'] if n['name'].startswith(
        'rack')), key=lambda n: n['name'])
    # The hostile name sorts before all others.
    at = 1 + ranked.index(next(n for n in ranked if n['status'] == 'failed'))
    pixel = shown.run(
        f"[...document.getElementById('picture').getContext('2d')"
        f'.getImageData({at} * 16 + 3, 3, 1, 1).data]')
    assert pixel == [0x7d, 0x11, 0x28, 255]
    shown.run(
        "(() => { const c = document.getElementById('picture'), "
        'box = c.getBoundingClientRect(); c.dispatchEvent(new MouseEvent('
        f"'click', {{clientX: box.left + {at} * 16 + 3, clientY: box.top + 3"
        '}))})()')
    assert names(shown) == [ranked[at - 1]['name']]
    assert shown.run("document.querySelector('tbody.on').className"
                     ) == 'on open'


@pytest.mark.parametrize('width', [320, 390, 768, 1024, 1400])
def test_nothing_is_wider_than_the_window(
        shown: browser.Page, width: int, tmp_path: pathlib.Path) -> None:
    shown.size(width, 844)
    more(shown)
    shown.run("document.querySelectorAll('tbody.on button').forEach("
              'b => b.click()); document.querySelectorAll("details").forEach('
              'd => { d.open = true }); '
              'new Promise(done => requestAnimationFrame(done))')
    assert shown.run('document.documentElement.scrollWidth') <= width
    picture = tmp_path / 'page.png'
    shown.picture(picture)
    assert picture.read_bytes().startswith(PNG)


#: Words with more than one line box: the browser has broken them.
BROKEN = """longest => [...document.querySelectorAll(
  'main, header')].flatMap(top => {
  const walker = document.createTreeWalker(top, NodeFilter.SHOW_TEXT);
  const found = [], range = document.createRange();
  while (walker.nextNode()) {
    const text = walker.currentNode;
    for (const word of text.data.matchAll(/\\S+/g)) {
      if (word[0].length > longest) continue;
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      const tops = new Set([...range.getClientRects()].filter(
        r => r.width > 0).map(r => Math.round(r.top)));
      if (tops.size > 1) found.push(word[0]);
    }
  }
  return found;
})"""


@pytest.mark.parametrize('width, longest', [
    (768, 26), (1024, 26), (1400, 32)])
def test_no_word_is_broken(shown: browser.Page, width: int,
                           longest: int) -> None:
    script = f'({BROKEN})({longest})'
    shown.size(width, 1000)
    more(shown)
    shown.run("document.querySelectorAll('tbody.on button').forEach("
              'b => b.click())')
    assert shown.run(script) == []
    # The check finds what is broken.
    shown.run("document.querySelector('tbody.on tr.node th').style.cssText = "
              "'display:block;width:20px;overflow-wrap:anywhere'; document"
              ".querySelector('tbody.on tr.node .term').style.whiteSpace = "
              "'normal'")
    assert shown.run(script) != []


def test_the_keyboard_filters_sorts_and_opens(shown: browser.Page) -> None:
    def focus(where: str) -> None:
        for _ in range(60):
            shown.press('Tab')
            if shown.run(f"document.activeElement.matches('{where}')"):
                return
        raise AssertionError(f'Tab does not reach {where}')

    focus('#tiles button')
    shown.press('Enter')
    assert shown.run('document.activeElement.ariaPressed') == 'true'
    shown.press('Enter')
    focus('#search')
    for letter in 'node1':
        shown.press(letter, letter)
    assert len(names(shown)) == 10
    focus('#nodes thead button')
    shown.press('Enter')
    assert shown.run("document.querySelector('#nodes th').ariaSort"
                     ) == 'ascending'
    focus('tbody button')
    shown.press('Enter')
    assert shown.run('document.activeElement.ariaExpanded') == 'true'
    assert shown.run("document.querySelector('tbody.on tr.more')"
                     '.offsetHeight') > 0
    # What has the focus can be seen to have it.
    assert shown.run('getComputedStyle(document.activeElement).outlineWidth'
                     ) == '2px'


def test_without_scripts_all_of_it_can_be_read(
        opened: browser.Page, path: pathlib.Path,
        report: dict[str, Any]) -> None:
    opened.open(path.as_uri(), 1400, 1000, scripts=False)
    text = opened.run('document.body.innerText')
    for node in report['nodes'][10:]:
        assert node['name'] in text
        assert node['uuid'] in text
    for title in ('What a profile would change', 'Firmware versions'):
        assert title in text
    assert opened.run("[...document.querySelectorAll('tr.more')].every("
                      'r => r.offsetHeight > 0)')
    # Nothing is there that does nothing.
    assert opened.run("document.querySelectorAll('button').length") == 0
    assert opened.run("document.getElementById('fleet').offsetHeight") == 0


def test_the_address_may_contain_a_search(
        opened: browser.Page, path: pathlib.Path) -> None:
    opened.open(path.as_uri() + '#rack00-node07', 1400, 1000)
    assert names(opened) == ['rack00-node07']
    opened.open(path.as_uri() + '#changes', 1400, 1000)
    assert len(names(opened)) == 25


def test_a_page_of_two_thousand_nodes_works(
        opened: browser.Page, tmp_path: pathlib.Path) -> None:
    """How long it takes is measured by bench/report_page.py."""
    path = tmp_path / 'large.html'
    path.write_text(html_report.render(fleet.report(2000)), 'utf-8')
    opened.open(path.as_uri(), 1400, 1000)
    assert opened.run("document.querySelectorAll('#nodes > tbody').length"
                      ) == 2000
    assert len(names(opened)) == 25
    search(opened, 'rack49-node39')
    assert names(opened) == ['rack49-node39']
    assert opened.problems == []


@pytest.mark.parametrize('dark', [False, True])
@pytest.mark.parametrize('width', [390, 1024, 1400])
def test_axe_finds_no_violation(shown: browser.Page, width: int,
                                dark: bool) -> None:
    if not AXE.exists():
        pytest.skip('axe-core is not installed: make accessibility')
    shown.dark(dark)
    shown.size(width, 1000)
    shown.run("document.querySelectorAll('tbody.on button').forEach("
              '(b, at) => at < 12 && b.click())')
    shown.run(AXE.read_text('utf-8') + '; true')
    found = shown.run(
        "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', "
        "'wcag21aa', 'wcag22aa', 'best-practice']}).then(r => ({passed: "
        'r.passes.map(p => p.id), left: r.incomplete.map(i => i.id), bad: '
        'r.violations.map(v => v.id + ": " + v.nodes.map(n => n.html))}))')
    shown.dark(False)
    assert (found['bad'], found['left']) == ([], [])
    assert 'color-contrast' in found['passed']


def test_the_pictures_of_the_documentation(
        opened: browser.Page, tmp_path: pathlib.Path) -> None:
    """They are drawn anew with ``ACCEL_WRITE_SCREENSHOT=1``."""
    path = tmp_path / 'report.html'
    path.write_text(html_report.render(fleet.report(
        120, profile='hgx-h100-2026-11')), 'utf-8')
    opened.open(path.as_uri(), 1400, 1000)
    opened.run("document.querySelectorAll('tbody.on button')[2].click()")
    drawn = {'report.png': ''}
    drawn['report-versions.png'] = (
        "document.getElementById('changes').scrollIntoView()")
    for name, script in drawn.items():
        opened.run(f'{script}; document.activeElement.blur(); '
                   'new Promise(done => requestAnimationFrame(done))')
        opened.picture(tmp_path / name)
        if os.environ.get('ACCEL_WRITE_SCREENSHOT'):
            shutil.copyfile(tmp_path / name, SCREENSHOTS / name)
        # The size of both, out of the first chunk of PNG.
        assert (SCREENSHOTS / name).read_bytes()[:24] \
            == (tmp_path / name).read_bytes()[:24]


def test_the_page_loads_nothing(report: dict[str, Any]) -> None:
    text = html_report.render(report)
    head, _, body = text.partition('</head>')
    assert "default-src 'none'" in head
    assert 'unsafe' not in head
    assert not re.search(r'@import|url\(|fetch\(|https?:', head)
    links = re.findall(r'(?<=[ <])(?:src|href|style|on\w+)="([^"]*)"', body)
    assert all(link.startswith('#') for link in links)
    assert links, 'the sections are linked'


@pytest.mark.parametrize('made, others, command', [
    ([], 0, 'baremetal node list'),
    ([], 2, 'baremetal accelerator enable plain-0'),
    (['never'], 0, 'baremetal accelerator refresh rack00-node00')])
def test_an_empty_page_names_the_next_command(
        opened: browser.Page, tmp_path: pathlib.Path, made: list[str],
        others: int, command: str) -> None:
    nodes = [n for n in fleet.report(1)['nodes'] for _ in made]
    for node in nodes:
        node.update(seen='never', devices=[], age=None, complete=None,
                    profiles=[], applied=None, name='rack00-node00')
    path = tmp_path / 'empty.html'
    path.write_text(html_report.render(fleet.document(
        nodes, others=others)), 'utf-8')
    opened.open(path.as_uri(), 390, 844)
    assert command in opened.run("document.getElementById('empty').innerText")
    # Nodes without an inventory may have failed: they are listed.
    assert opened.run("document.querySelectorAll('tr.node').length"
                      ) == len(made)
    assert opened.problems == []
