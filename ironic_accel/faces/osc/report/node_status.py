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

"""The status of a node in the report, and of its devices.

Several things can be so of one node; it has the first of ``STATUSES`` that
applies, so that each node is counted once and the numbers add up to the
fleet. The remarks tell the others. ``compliant`` needs evidence: a complete
inventory that the caller may read, and a declared profile that it matches.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from ironic_accel.faces.osc import formatters
from ironic_accel.faces import view
from ironic_accel.model import condition
from ironic_accel.model import serialization
from ironic_accel.model import traits as grammar

Document = Mapping[str, Any]

#: By priority, and what each means.
STATUSES: Mapping[str, str] = {
    'failed': 'the last operation failed or was refused',
    'unhealthy': 'a device reports a problem or is missing',
    'updating': 'an operation is in progress',
    'drifted': 'it differs from its profile',
    'not seen': 'no complete, recent inventory',
    'maintenance': 'in maintenance',
    'no profile': 'no profile is declared for it',
    'compliant': 'it matches its profile'}
#: Statuses of a whole node, which its healthy and compliant devices share.
_OF_NODE = frozenset({'failed', 'updating', 'not seen', 'maintenance',
                      'no profile'})
#: What has to be read of each device. Firmware and modes that could not be
#: read matter where a profile declares them.
_NEEDED = frozenset({'presence', 'identity', 'health', 'state'})
#: Number of devices that a remark names.
_NAMED = 3

Remark = tuple[str, str]


def marked(node: Document, max_age: float | None = None) -> dict[str, Any]:
    """A node of the report with ``status``, ``remarks`` and, for each device,
    ``status``.

    :param node: all other fields of the node.
    :param max_age: seconds after which an inventory counts as not seen; None
        if it never does.
    """
    order = list(STATUSES)
    found = sorted(_remarks(node, max_age), key=lambda r: order.index(r[0]))
    status = found[0][0] if found else 'compliant'
    own = [_of_device(node, d) for d in node['devices']]
    # A node without a device of its status (a missing one) has all in it.
    rest = status if status not in own else next(
        (s for s, _ in found if s in _OF_NODE), 'compliant')
    return {
        **node, 'status': status,
        'remarks': [{'status': s, 'text': view.value(t)} for s, t in found],
        'devices': [{**d, 'status': s or rest} for d, s in zip(
            node['devices'], own, strict=True)]}


def declared(node: Document) -> list[Document]:
    """The profiles that a node is expected to match: the one that was
    applied last, and those whose IS trait it has."""
    return [one for one in node['profiles'] if one['profile']
            == node['applied'] or any(t.startswith(f'{grammar.PREFIX}IS_')
                                      for t in one.get('published') or ())]


def expected(node: Document) -> dict[tuple[str, str], Any]:
    """The declared values that differ, by device and component or mode."""
    return {(item['device'], item['name']): item['expected']
            for one in declared(node) for item in one.get('differs') or ()
            if not item.get('unread')}


def _remarks(node: Document, max_age: float | None) -> Iterator[Remark]:
    yield from (('failed', text) for text in _failures(node))
    yield from _of_devices(node)
    if grammar.DEGRADED in (node['traits'] or ()):
        yield 'unhealthy', f'trait {grammar.DEGRADED}'
    yield from (('updating', text) for text in _operations(node))
    yield from (('drifted', text) for text in node['drift']
                if text != 'degraded')
    yield from (('not seen', text) for text in _gaps(node, max_age))
    if node['maintenance']:
        reason = node.get('maintenance_reason')
        yield 'maintenance', 'in maintenance' + (
            f': {reason}' if reason else '')
    if node['seen'] == 'inventory' and not declared(node):
        applied = node['applied']
        yield 'no profile', (
            f'profile {applied} was applied and is not compared: it is no '
            'site profile, or conductors have different ones'
            if applied else 'no profile is declared')


def _failures(node: Document) -> Iterator[str]:
    """Failures of Ironic and of the last operation on accelerators."""
    state, error = str(node['state']), node['last_error']
    last = node['last'] or {}
    if not (state.endswith('failed') or state == 'error'):
        state = str(node.get('fault') or '')
    if state:
        yield f'{state}: {error}' if error else state
    # A failed refresh is over with the next inventory; a change is not.
    over = last.get('operation') == 'idle' and node['seen_after_last']
    if last.get('outcome') in ('failed', 'refused') and not over:
        what = f"{last.get('step')} {last.get('profile') or ''}".strip()
        why = last.get('error')
        summary = why.get('summary') if isinstance(why, Mapping) else None
        if not summary or summary not in str(error):
            yield f"{what}: {last['outcome']}" + (
                f': {summary}' if summary else '')
    if error and not state:
        yield f'last error: {error}'


def _of_devices(node: Document) -> Iterator[Remark]:
    """Devices with the same problem share a remark."""
    found: dict[Remark, list[str]] = {}
    for device in node['devices']:
        why = _problem(device)
        if why:
            found.setdefault(why, []).append(str(device['id']))
    for (status, problem), names in found.items():
        shown = ', '.join(names) if len(names) <= _NAMED else view.count(
            len(names), 'device')
        yield status, f'{shown}: {problem}'


def _problem(device: Document) -> Remark | None:
    """Why a device is unhealthy or not seen, or None."""
    health = device.get('health')
    if health not in (None, 'OK'):
        return 'unhealthy', f'health {health}'
    if device.get('state') not in (None, *condition.USABLE):
        seen = serialization.device_from_dict(device)
        if not condition.usable(seen):
            return 'unhealthy', f"state {device['state']}"
    unread = [f for f in device.get('unread') or () if f in _NEEDED]
    return ('not seen', f"not read: {', '.join(unread)}") if unread else None


def _operations(node: Document) -> Iterator[str]:
    """What changes the node now, as far as it is known."""
    work = node['working']
    if work and (work['kind'] != 'idle' or work.get('work') == 'watch'):
        yield ': '.join(t for t in (
            f"{work['step']} {work['profile'] or ''}".strip(),
            work['progress']) if t)
    elif node.get('lock'):
        yield f"power lock: {node['lock']}"
    for summary in node.get('busy') or ():
        yield f'busy at the time of the inventory: {summary}'


def _gaps(node: Document, max_age: float | None) -> Iterator[str]:
    """What keeps a node from being judged."""
    if node['failed']:
        yield 'not read: ' + str(node['failed']).removeprefix(
            f"node {node['uuid']}: ")
    elif node['seen'] != 'inventory':
        yield ('the inventory may not be read by this user'
               if node['seen'] == 'partly' else 'no inventory yet')
    for one in declared(node):
        if one['status'] == 'unread':
            first = one['differs'][0]
            yield (f"profile {one['profile']} cannot be compared: "
                   f"{first['device']} {first['name']}: {first['reason']}")
    if node['complete'] is False:
        yield 'the last inventory is not complete'
    if max_age and node['age'] is not None and node['age'] > max_age:
        yield f"the last inventory is {formatters.age(node['age'])} old"


def _of_device(node: Document, device: Document) -> str | None:
    """The status of a device by itself, or None."""
    problem = _problem(device)
    if problem:
        return problem[0]
    if any(key == device['id'] for key, _ in expected(node)):
        return 'drifted'
    return None


def totals(nodes: Iterable[Document]) -> dict[str, int]:
    """The number of nodes in each status."""
    found = dict.fromkeys(STATUSES, 0)
    for node in nodes:
        found[node['status']] += 1
    return found
