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

from collections.abc import Iterator
import json
import os
import pathlib
import re
import shutil
from typing import Any

import pytest

from ironic_accel.faces.osc.report import html_report
from tests.faces import browser
from tests.faces import fleet

NODES = 24
SCREENSHOT = pathlib.Path(__file__).parents[2].joinpath(
    'doc', 'source', 'user', 'images', 'report.png')
PNG = b'\x89PNG\r\n\x1a\n'


@pytest.fixture(scope='module')
def report() -> dict[str, Any]:
    """A fleet, one name of which tries to be a script."""
    made = fleet.report(NODES, seed=1)
    made['nodes'][5]['name'] = '</script><script>document.title="x"</script>'
    return made


@pytest.fixture(scope='module')
def opened(report: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
           ) -> Iterator[browser.Page]:
    """The page, open in a browser."""
    if browser.find() is None:
        pytest.skip("Debian's package chromium is not installed")
    path = tmp_path_factory.mktemp('page') / 'report.html'
    path.write_text(html_report.render(report), 'utf-8')
    with browser.browser() as found:
        found.open(path.as_uri(), 1280, 1000)
        yield found


@pytest.fixture
def shown(opened: browser.Page) -> Iterator[browser.Page]:
    """The page as it is when it has just been opened."""
    opened.size(1280, 1000)
    opened.run("query = ''; only = null; open.clear(); order = {column: 1, "
               'down: false}; choose()')
    yield opened
    assert opened.problems == []


def names(shown: browser.Page) -> list[str]:
    """The nodes in the table, from the top."""
    found: list[str] = shown.run(
        "[...document.querySelectorAll('tr.node td:first-child')]"
        '.map(cell => cell.textContent)')
    return found


def test_the_page_has_all_nodes_and_counts_by_state(
        shown: browser.Page, report: dict[str, Any]) -> None:
    assert sorted(names(shown)) == sorted(
        n['name'] for n in report['nodes'])
    counts = shown.run(
        "Object.fromEntries([...document.querySelectorAll('#counts button')]"
        '.map(b => [b.dataset.state, +b.firstChild.textContent]))')
    states = [s for node in fleet.states(report) for s in node]
    assert counts == {s: states.count(s) for s in fleet.STATES}
    assert all(counts.values()), 'the fleet has something of everything'
    assert 'not permitted' in shown.run(
        "document.getElementById('withheld').innerText")


def test_a_name_is_text_whatever_it_contains(
        shown: browser.Page, report: dict[str, Any]) -> None:
    assert shown.run('document.title') == 'Accelerators'
    assert report['nodes'][5]['name'] in names(shown)


@pytest.mark.parametrize('words, found', [
    ('node07', 1), ('1653200003008', 1), ('rack00 NODE1', 10),
    ('no such thing', 0)])
def test_search_finds_names_and_serials(
        shown: browser.Page, words: str, found: int) -> None:
    shown.run("{ const find = document.getElementById('find'); find.value = "
              f'{json.dumps(words)}; find.oninput({{target: find}}) }}')
    assert len(names(shown)) == found
    assert shown.run("document.getElementById('shown').textContent"
                     ).startswith(f'{found} node')


def test_columns_sort_both_ways(shown: browser.Page) -> None:
    click = "document.querySelector('#nodes th button').click()"
    shown.run(click)
    once = names(shown)
    assert once == sorted(once)
    shown.run(click)
    assert names(shown) == once[::-1]
    assert shown.run("document.querySelector('#nodes th').ariaSort"
                     ) == 'descending'


def test_a_state_filters_nodes_and_the_worst_come_first(
        shown: browser.Page, report: dict[str, Any]) -> None:
    ill = {n['name'] for n, found in zip(
        report['nodes'], fleet.states(report), strict=True)
        if 'unhealthy' in found}
    assert set(names(shown)[:len(ill)]) == ill
    shown.run("document.querySelector('[data-state=unhealthy]').click()")
    assert set(names(shown)) == ill
    shown.run("document.querySelector('[data-state=unhealthy]').click()")
    assert len(names(shown)) == NODES


def test_a_node_opens_to_its_devices(
        shown: browser.Page, report: dict[str, Any]) -> None:
    drifted = next(n for n in report['nodes'] if n['drift'])
    shown.run(f"query = '{drifted['uuid']}'; choose(); "
              "document.querySelector('tr.node').click()")
    text = shown.run("document.querySelector('tr.more').innerText")
    for device in drifted['devices']:
        assert device['serial'] in text
    assert 'expected: 96.00.68.00.01' in text
    assert 'hgx-h100: 9 items proved' in text
    assert 'CUSTOM_ACCEL_GPU_X8' in text


def test_the_picture_shows_states_and_opens_a_node(
        shown: browser.Page, report: dict[str, Any]) -> None:
    at = next((n, d) for n, found in enumerate(fleet.states(report))
              for d, state in enumerate(found) if state == 'unhealthy')
    pixel = shown.run(
        f"(() => {{ const x = {at[0]} * (grid.step + 1) + 3, "
        f'y = {at[1]} * grid.step + 3; return [...canvas.getContext("2d")'
        '.getImageData(x, y, 1, 1).data] })()')
    assert pixel == [0xc0, 0x39, 0x2b, 255]
    shown.run(
        '(() => { const box = canvas.getBoundingClientRect(); canvas.onclick('
        f'{{clientX: box.left + {at[0]} * (grid.step + 1) + 3, '
        f'clientY: box.top + {at[1]} * grid.step + 3}}) }})()')
    assert names(shown) == [report['nodes'][at[0]]['name']]


@pytest.mark.parametrize('width', [320, 390, 1280])
def test_nothing_is_wider_than_the_window(
        shown: browser.Page, width: int, tmp_path: pathlib.Path) -> None:
    shown.size(width, 844)
    shown.run("document.querySelector('tr.node').click(); "
              'new Promise(done => requestAnimationFrame(done))')
    assert shown.run('document.documentElement.scrollWidth') <= width
    picture = tmp_path / 'page.png'
    shown.picture(picture)
    assert picture.read_bytes().startswith(PNG)


def test_the_keyboard_opens_a_node_and_stays_there(
        shown: browser.Page) -> None:
    shown.run("document.querySelector('tr.node button').focus(); "
              'document.activeElement.click()')
    assert shown.run('document.activeElement.ariaExpanded') == 'true'
    assert shown.run('document.activeElement.dataset.node') == shown.run(
        "document.querySelector('tr.node button').dataset.node")


def test_a_phone_sorts_too(shown: browser.Page) -> None:
    shown.size(390, 844)
    assert shown.run(
        "document.querySelector('#nodes th button').offsetWidth") > 0


@pytest.mark.parametrize('changes, state', [
    ({}, 'compliant'),
    ({'drift': ['trait CUSTOM_ACCEL_IS_HGX_H100 is void']}, 'drifted'),
    ({'traits': ['CUSTOM_ACCEL_DEGRADED']}, 'unhealthy'),
    ({'seen': 'never', 'devices': []}, 'unknown'),
    ({'seen': 'failed', 'devices': [], 'failed': 'it is gone'}, 'unknown'),
    ({'working': {'step': 'audit', 'kind': 'idle', 'profile': None,
                  'progress': None}}, 'compliant'),
    ({'working': {'step': 'apply_profile', 'kind': 'clean', 'profile': 'x',
                  'progress': None}}, 'busy')])
def test_traits_and_drift_count_for_the_state_of_a_node(
        report: dict[str, Any], changes: dict[str, Any], state: str) -> None:
    good = next(n for n, found in zip(
        report['nodes'], fleet.states(report), strict=True)
        if set(found) == {'compliant'})
    made = html_report.condense({**report, 'nodes': [{**good, **changes}]})
    assert made['nodes'][0]['state'] == state


def test_devices_drift_from_applied_profiles_only(
        report: dict[str, Any]) -> None:
    drifted = next(n for n in report['nodes'] if n['drift'])
    other = {**drifted, 'drift': [], 'profiles': [
        {**drifted['profiles'][0], 'published': []}]}
    for applied, state in (('hgx-h100', 'drifted'), ('raw', 'compliant')):
        made = html_report.condense({**report, 'nodes': [
            {**other, 'applied': applied}]})
        assert made['nodes'][0]['state'] == state


def test_a_page_of_two_thousand_nodes_works(
        opened: browser.Page, tmp_path: pathlib.Path) -> None:
    """How long it takes is measured by bench/report_page.py."""
    path = tmp_path / 'large.html'
    path.write_text(html_report.render(fleet.report(2000)), 'utf-8')
    with browser.browser() as large:
        large.open(path.as_uri(), 1280, 1000)
        assert large.run('nodes.length') == 2000
        assert large.run('hits.length') == 2000
        assert large.problems == []


def test_the_picture_of_the_documentation(
        opened: browser.Page, tmp_path: pathlib.Path) -> None:
    """It is drawn anew with ``ACCEL_WRITE_SCREENSHOT=1``."""
    path = tmp_path / 'report.html'
    path.write_text(html_report.render(fleet.report(120)), 'utf-8')
    picture = tmp_path / 'report.png'
    with browser.browser() as drawn:
        drawn.open(path.as_uri(), 1280, 1000)
        drawn.run("document.querySelectorAll('tr.node')[3].click(); "
                  'document.activeElement.blur(); '
                  'new Promise(done => requestAnimationFrame(done))')
        drawn.picture(picture)
    if os.environ.get('ACCEL_WRITE_SCREENSHOT'):
        shutil.copyfile(picture, SCREENSHOT)
    # The size of both, out of the first chunk of PNG.
    assert SCREENSHOT.read_bytes()[:24] == picture.read_bytes()[:24]


def test_the_page_loads_nothing(report: dict[str, Any]) -> None:
    text = html_report.render(report)
    assert not re.search(r'(src|href)\s*=|@import|url\(', text)
    assert "default-src 'none'" in text
