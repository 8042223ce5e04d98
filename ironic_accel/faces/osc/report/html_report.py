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

The page loads and sends nothing: it contains its data, and its content
security policy forbids any connection. It can be opened from a file.
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
_UNHEALTHY = frozenset({'Warning', 'Critical'})
#: From worst to best; the page has a colour for each.
_STATES = ('unhealthy', 'drifted', 'busy', 'unknown', 'compliant')


def render(report: Document) -> str:
    """Render a report document as an HTML page, to be written as UTF-8."""
    page = (resources.files(__package__) / 'report.html').read_text('utf-8')
    before, mark, after = page.partition(_MARK)
    if not mark:
        raise ValueError(f'report.html: {_MARK} is missing')
    # A closing tag in the data would end the script element.
    data = json.dumps(condense(report), separators=(',', ':'))
    return before + data.replace('<', '\\u003c') + after


def condense(report: Document) -> dict[str, Any]:
    """The data of the page: texts, and a state for each device.

    A device is ``unhealthy`` (it reports Warning or Critical), ``busy`` (an
    operation is in progress on its node), ``drifted`` (it differs from the
    profile applied to its node), ``unknown`` (the caller may not read it
    completely) or ``compliant``. A node has the state of its worst device,
    of its traits and of its drift: a missing device has no cell.
    """
    denied: dict[str, None] = dict.fromkeys(report['denied'])
    for node in report['nodes']:
        denied.update(dict.fromkeys(node['denied']))
        if node['failed']:
            denied[node['failed']] = None
    others = len(report['others'])
    if others:
        denied[f'{view.count(others, "node")} not managed by ironic-accel'
               ] = None
    return {'at': report['at'], 'withheld': list(denied),
            'profiles': _profiles(report['profiles']),
            'nodes': [_node(n) for n in report['nodes']]}


def _profiles(profiles: Iterable[Document]) -> list[dict[str, Any]]:
    """Each profile once, with the digests of all conductors."""
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
        remarks.append('no inventory')
    if node['failed']:
        remarks.append('could not be read completely')
    if node['complete'] is False:
        remarks.append('the last inventory is not complete')
    last = node['last'] or {}
    if last.get('outcome') in ('failed', 'refused'):
        remarks.append(f"{last.get('step')} {last['outcome']}")
    return {
        'name': node['name'] or node['uuid'], 'uuid': node['uuid'],
        'state': _worst(node, devices),
        'provision_state': node['state'],
        'maintenance': bool(node['maintenance']), 'age': node['age'],
        'traits': node['traits'] or [], 'remarks': remarks,
        'profiles': [{'name': p['profile'], 'state': p['status']}
                     for p in node['profiles']],
        'history': [{'when': e.get('created_at'), 'what': e.get('event')}
                     for e in reversed(node['history'] or ())],
        'devices': devices}


def _worst(node: Document, devices: Iterable[Document]) -> str:
    found = {d['state'] for d in devices}
    if grammar.DEGRADED in (node['traits'] or ()):
        found.add('unhealthy')
    if node['drift']:
        found.add('drifted')
    if _busy(node):
        found.add('busy')
    return next((s for s in _STATES if s in found), 'unknown')


def _busy(node: Document) -> bool:
    return bool(node['working']) and node['working']['kind'] != 'idle'


def _wanted(node: Document) -> dict[tuple[str, str], str]:
    """The expected values that differ, by device and item."""
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
    if device.get('health') in _UNHEALTHY:
        return 'unhealthy'
    if _busy(node):
        return 'busy'
    if any(key == device['id'] for key, _ in wanted):
        return 'drifted'
    return 'unknown' if node['seen'] != 'inventory' else 'compliant'
