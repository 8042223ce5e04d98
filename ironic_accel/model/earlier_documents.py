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

"""Documents of the release before, in the form that they have now.

Nodes, journals and ramdisks have documents that were written with other
keys. Each function gives one of them with the present keys and schema; a
document of another schema comes back as it is. The values themselves are not
checked here: the reader of the present form does that.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from ironic_accel.model.device import KINDS

#: Schemas that are read besides the present one.
RECORD = 'record/1'
PLAN = 'plan/1'
INVENTORIES = ('inventory/1', 'inventory/2')
START = 'accel-start/1'
JOB = 'job/1'

#: The present names of keys.
_KEYS = {'effect': 'activation', 'way': 'transport', 'landed': 'staged',
         'lasts': 'persistent', 'persists': 'persistent', 'burns': 'updates',
         'standing': 'status', 'doubt': 'conflicts', 'told': 'health_by',
         'holds': 'blocks'}
_STATUSES = {'told': 'reported', 'untold': 'not-reported'}
_VERBS = {'burn': 'update'}


def _renamed(raw: Any, *keys: str) -> Any:
    """A copy with some keys renamed; what is no mapping as it is."""
    if not isinstance(raw, Mapping):
        return raw
    return {_KEYS[k] if k in keys else k: v for k, v in raw.items()}


def _with_verb(raw: Any, *keys: str) -> Any:
    """An action, an intent or a job."""
    out = _renamed(raw, *keys)
    if isinstance(out, dict) and out.get('verb') in tuple(_VERBS):
        out['verb'] = _VERBS[out['verb']]
    return out


def _each(raw: Any, change: Callable[[Any], Any]) -> Any:
    """A list or the values of a mapping, each changed."""
    if isinstance(raw, list):
        return [change(x) for x in raw]
    if isinstance(raw, Mapping):
        return {k: change(v) for k, v in raw.items()}
    return raw


def _inside(raw: Any, **changes: Callable[[Any], Any]) -> Any:
    """A mapping with the values of some keys changed, where it has them."""
    if not isinstance(raw, Mapping):
        return raw
    return {k: changes[k](v) if k in changes else v for k, v in raw.items()}


def ticket(raw: Any) -> Any:
    """What a write is polled with."""
    return _renamed(raw, 'way')


def ticket_before(raw: Any) -> Any:
    """A ticket that the release before can poll too: it has both keys."""
    if not isinstance(raw, Mapping) or 'transport' not in raw:
        return raw
    return {**raw, 'way': raw['transport']}


def intent(raw: Any) -> Any:
    """The intent of a record, also of one in the present form."""
    if not isinstance(raw, Mapping) or 'activation' in raw:
        return raw
    return _inside(_with_verb(raw, 'effect', 'way'), ticket=ticket)


def record(raw: Mapping[str, Any], schema: str) -> Mapping[str, Any]:
    """A record.

    :param schema: the present one.
    """
    if raw.get('schema') != RECORD:
        return raw
    found: dict[str, Any] = _inside(_renamed(raw, 'landed'), intent=intent)
    return {**found, 'schema': schema}


def action(raw: Any) -> Any:
    """An action of a plan or of a request to a ramdisk."""
    return _with_verb(raw, 'effect', 'way')


def _stage(raw: Any) -> Any:
    return _inside(_renamed(raw, 'landed'),
                   actions=lambda found: _each(found, action))


def plan(raw: Mapping[str, Any], schema: str) -> Mapping[str, Any]:
    """A plan, also one of the present schema without later fields.

    :param schema: the present one.
    """
    if raw.get('schema') not in (PLAN, schema) or 'counts' in raw or not (
            {'stages', 'refused'} <= raw.keys()):
        return raw
    found: dict[str, Any] = dict(raw) if raw['schema'] == schema else _inside(
        raw, stages=lambda stages: _each(stages, _stage),
        satisfied=lambda items: _each(items, lambda i: _renamed(i, 'lasts')))
    refused = found['refused']
    return {'applies': True, 'counts': _counts(found),
            'undecided': bool(refused) and all(
                r.get('unread') for r in refused) and any(
                r['seen'] is None for r in refused),
            **found, 'schema': schema}


def _counts(doc: Mapping[str, Any]) -> dict[str, int]:
    """``model.plan.Counts`` of a plan that does not have them."""
    if doc['refused']:
        return {'writes': 0, 'device_resets': 0, 'resets': 0}
    hosts = ('warm-reboot', 'power-cycle', 'aux-cycle')
    devices = sum(device_resets(stage) for stage in doc['stages']
                  if stage['reset'] not in hosts)
    writes = sum(len(a['items']) if a['verb'] == 'set' else 1
                 for s in doc['stages'] for a in s['actions'])
    return {'writes': writes + devices + bool(doc.get('fallback')),
            'device_resets': devices,
            'resets': sum(s['reset'] in hosts for s in doc['stages'])}


def device_resets(stage: Mapping[str, Any]) -> int:
    """How many devices are reset at the end of a stage without host reset.
    """
    return len(
        {i['device'] for a in stage['actions'] for i in a['items']
         if a['activation'] != 'none'}
        | {i['device'] for i in stage['staged'] if i['reset'] != 'none'})


def inventory(raw: Mapping[str, Any], schema: str) -> Mapping[str, Any]:
    """An inventory; ``inventory/1`` has one ``complete`` for all kinds.

    :param schema: the present one.
    """
    if raw.get('schema') not in INVENTORIES:
        return raw
    found: dict[str, Any] = _inside(
        raw, devices=lambda devices: _each(devices, _device),
        busy=lambda busy: _each(busy, lambda b: _inside(b, ticket=ticket)),
        waiting=lambda waiting: _each(
            waiting, lambda w: _renamed(w, 'effect')),
        unread=lambda unread: _each(unread, lambda u: _renamed(u, 'holds')))
    if raw['schema'] == INVENTORIES[0] and 'complete' in raw:
        found['settled'] = raw['complete']
        found['complete'] = dict.fromkeys(KINDS, raw['complete'])
    return {**found, 'schema': schema}


def _device(raw: Any) -> Any:
    return _inside(_renamed(raw, 'told'),
                   components=lambda found: _each(found, _part),
                   modes=lambda found: _each(found, _part))


def _part(raw: Any) -> Any:
    """A component or a mode."""
    out = _renamed(raw, 'effect', 'persists', 'standing', 'doubt')
    if isinstance(out, dict) and out.get('status') in tuple(_STATUSES):
        out['status'] = _STATUSES[out['status']]
    return out


def transports(raw: Mapping[str, Any]) -> Any:
    """What can be done on the devices, of a mapping that has it under
    ``transports``, or under ``ways`` as before."""
    if 'transports' in raw:
        return raw['transports']
    return _each(raw.get('ways'), lambda t: _renamed(t, 'burns'))


def start(raw: Mapping[str, Any], schema: str) -> Mapping[str, Any]:
    """A request to a ramdisk to begin an action.

    :param schema: the present one.
    """
    if raw.get('schema') != START:
        return raw
    found: dict[str, Any] = _inside(raw, action=action)
    return {**found, 'schema': schema}


def start_before(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A request in the form that a ramdisk of the release before reads."""
    keys = {_KEYS[k]: k for k in ('effect', 'way')}
    verbs = {new: old for old, new in _VERBS.items()}
    asked = {keys.get(k, k): v for k, v in raw['action'].items()}
    asked['verb'] = verbs.get(asked['verb'], asked['verb'])
    return {**raw, 'schema': START, 'action': asked}


def job(raw: Mapping[str, Any], schema: str) -> Mapping[str, Any]:
    """A job of a ramdisk.

    :param schema: the present one.
    """
    if raw.get('schema') != JOB:
        return raw
    return {**_with_verb(raw, 'way'), 'schema': schema}
