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

"""The report as one self-contained page.

Nothing is fetched by it and nothing is sent: what it shows is in it, and its
content security policy forbids the rest. It opens from a file.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from importlib import resources
import json
from typing import Any

from ironic_accel.faces import view
from ironic_accel.model import traits as grammar

Document = Mapping[str, Any]

_MARK = '/*REPORT*/'
_SICK = frozenset({'Warning', 'Critical'})
#: From worst to best; the page has words and a colour for each.
_STATES = ('ill', 'drift', 'busy', 'unknown', 'ok')


def render(report: Document) -> str:
    """The page of the document ``report/1``, to be written as UTF-8."""
    page = (resources.files(__package__) / 'report.html').read_text('utf-8')
    before, mark, after = page.partition(_MARK)
    if not mark:
        raise ValueError(f'report.html: {_MARK} is missing')
    # A closing tag within the data would end the script.
    data = json.dumps(condense(report), separators=(',', ':'))
    return before + data.replace('<', '\\u003c') + after


def condense(report: Document) -> dict[str, Any]:
    """What the page shows of a report: words, and a state for each device.

    A device is ``ill`` (it says so), ``busy`` (something is done to its
    node), ``drift`` (not as the profile says that was brought about),
    ``unknown`` (the caller may not see it whole) or ``ok``. A node is as
    its worst device, and never better than its own traits and drift say: a
    device that is missing has no cell.
    """
    denied: dict[str, None] = dict.fromkeys(report['denied'])
    for node in report['nodes']:
        denied.update(dict.fromkeys(node['denied']))
        if node['failed']:
            denied[node['failed']] = None
    others = len(report['others'])
    if others:
        denied[f'{view.count(others, "node")} not looked after'] = None
    return {'at': report['at'], 'withheld': list(denied),
            'profiles': _profiles(report['profiles']),
            'nodes': [_node(n) for n in report['nodes']]}


def _profiles(profiles: Iterable[Document]) -> list[dict[str, Any]]:
    """Each name once, with what conductors differ about."""
    found: dict[str, dict[str, Any]] = {}
    for one in profiles:
        row = found.setdefault(one['name'], {
            'name': one['name'], 'offered': one['offered'], 'digests': []})
        row['digests'].append(one['digest'][:12])
    return list(found.values())


def _node(node: Document) -> dict[str, Any]:
    wanted = _wanted(node)
    devices = [_device(node, d, wanted) for d in node['devices']]
    remarks = list(node['drift'])
    if node.get('stopped'):
        remarks.insert(0, node['stopped'])
    if node['working']:
        work = node['working']
        remarks.append(': '.join(t for t in (
            f"{work['step']} {work['profile'] or ''}".strip(),
            work['progress']) if t))
    if node['seen'] == 'never':
        remarks.append('never looked at')
    if node['failed']:
        remarks.append('not read whole')
    if node['complete'] is False:
        remarks.append('the last look was not complete')
    last = node['last'] or {}
    if last.get('outcome') in ('failed', 'refused'):
        remarks.append(f"{last.get('step')} {last['outcome']}")
    return {
        'name': node['name'] or node['uuid'], 'uuid': node['uuid'],
        'state': _worst(node, devices),
        'provision_state': node['state'],
        'maintenance': bool(node['maintenance']), 'age': node['age'],
        'traits': node['traits'] or [], 'remarks': remarks,
        'profiles': [{'name': p['profile'], 'state': p['stands']}
                     for p in node['profiles']],
        'history': [{'when': e.get('created_at'), 'what': e.get('event')}
                     for e in reversed(node['history'] or ())],
        'devices': devices}


def _worst(node: Document, devices: Iterable[Document]) -> str:
    found = {d['state'] for d in devices}
    if grammar.DEGRADED in (node['traits'] or ()):
        found.add('ill')
    if node['drift']:
        found.add('drift')
    if _busy(node):
        found.add('busy')
    return next((s for s in _STATES if s in found), 'unknown')


def _busy(node: Document) -> bool:
    return bool(node['working']) and node['working']['kind'] != 'idle'


def _wanted(node: Document) -> dict[tuple[str, str], str]:
    """What is otherwise than what was brought about, by device and name."""
    return {
        (item['device'], item['name']): view.value(item['expected'])
        for one in node['profiles']
        if one['profile'] == node['applied'] or any(
            '_IS_' in trait for trait in one.get('published') or ())
        for item in one.get('differs') or ()}


def _device(node: Document, device: Document,
            wanted: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    key = device['id']
    return {
        'id': key, 'state': _state(node, device, wanted),
        **{name: device.get(name) for name in (
            'kind', 'product', 'model', 'serial', 'health', 'location',
            'address')},
        'firmware': [{'name': c['name'], 'running': c['running'],
                      'pending': c['pending'],
                      'wanted': wanted.get((key, c['name']))}
                     for c in device['components']],
        'modes': [{'name': name, 'current': view.value(mode['current']),
                   'wanted': wanted.get((key, name))}
                  for name, mode in (device.get('modes') or {}).items()]}


def _state(node: Document, device: Document,
           wanted: Mapping[tuple[str, str], str]) -> str:
    if device.get('health') in _SICK:
        return 'ill'
    if _busy(node):
        return 'busy'
    if any(key == device['id'] for key, _ in wanted):
        return 'drift'
    return 'unknown' if node['seen'] != 'inventory' else 'ok'
