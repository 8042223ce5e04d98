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

"""Transports as they are stored with an inventory.

The conductor stores them with the inspection data of a node, and plans from
there; the report plans from the same data.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import functools
from typing import Any

from ironic_accel.model.device import Activation
from ironic_accel.model import earlier_documents
from ironic_accel.model.plan import Ref
from ironic_accel.model.plan import Transport
from ironic_accel.model.plan import UpdateTarget
from ironic_accel.model.profile import NO_NEEDS
from ironic_accel.model.profile import Push
from ironic_accel.model.profile import PushNeeds


def to_dict(transport: Transport) -> dict[str, Any]:
    """One entry of ``transports``."""
    return {
        'name': transport.name,
        'updates': [
            [*ref, target.lane, [list(r) for r in target.also_writes],
             target.at_reset]
            for ref, target in transport.updates.items()
        ],
        'sets': sorted(list(ref) for ref in transport.sets),
        'resets': dict(transport.resets),
        'commits': [[*ref, there] for ref, there in transport.commits.items()],
        'bars': [[*ref, why] for ref, why in transport.bars.items()],
        'needs': [[*ref, list(t.needs.suffixes), t.needs.force]
                  for ref, t in transport.updates.items()
                  if t.needs != NO_NEEDS],
        'pushes': [[*ref, _push_to_dict(push, target)]
                   for ref, target in transport.updates.items()
                   for push in target.pushes],
        'offers_aux_cycle': transport.offers_aux_cycle(),
    }


def _push_to_dict(push: Push, target: UpdateTarget) -> dict[str, Any]:
    """What a push does that a profile selects; ``also_writes`` is null if
    the service does not support it."""
    also, needs = target.pushes[push], target.push_needs.get(push, NO_NEEDS)
    return {'style': push.style,
            'targets': None if push.targets is None else list(push.targets),
            'also_writes': None if also is None else [list(r) for r in also],
            'at_reset': push in target.reset_pushes,
            'suffixes': list(needs.suffixes), 'force': needs.force}


def from_dict(raw: Mapping[str, Any]) -> Transport:
    """Read an entry of ``transports`` back.

    :raises: KeyError, TypeError or ValueError for anything else.
    """
    needs = {(device, name): PushNeeds(tuple(suffixes), force)
             for device, name, suffixes, force in raw.get('needs', ())}
    pushes: dict[Ref, dict[Push, Mapping[str, Any]]] = {}
    for device, name, push in raw.get('pushes', ()):
        targets = push['targets']
        pushes.setdefault((device, name), {})[Push(
            push['style'], None if targets is None else tuple(targets)
        )] = push
    return Transport(
        raw['name'],
        {(device, name): _target(
            UpdateTarget(lane, tuple((a, b) for a, b in also),
                         at_reset=any(more),
                         needs=needs.get((device, name), NO_NEEDS)),
            pushes.get((device, name), {}))
         for device, name, lane, also, *more in raw['updates']},
        frozenset((a, b) for a, b in raw['sets']),
        {k: Activation(v) for k, v in raw['resets'].items()},
        {(a, b): there for a, b, there in raw.get('commits', ())},
        {(a, b): why for a, b, why in raw.get('bars', ())},
        functools.partial(raw.get, 'offers_aux_cycle'))


def _target(plain: UpdateTarget, pushes: Mapping[Push, Mapping[str, Any]]
            ) -> UpdateTarget:
    """An update target with the pushes that profiles select."""
    return dataclasses.replace(
        plain,
        pushes={p: None if raw['also_writes'] is None else tuple(
            (a, b) for a, b in raw['also_writes'])
            for p, raw in pushes.items()},
        reset_pushes=frozenset(p for p, raw in pushes.items()
                               if raw['at_reset']),
        push_needs={p: PushNeeds(tuple(raw['suffixes']), raw['force'])
                    for p, raw in pushes.items()})


def read(stored: Mapping[str, Any]) -> tuple[Transport, ...]:
    """The transports that are stored with an inventory.

    :param stored: everything that is stored with it.
    :raises: KeyError, TypeError or ValueError for anything else.
    """
    return tuple(from_dict(t)
                 for t in earlier_documents.transports(stored) or ())
