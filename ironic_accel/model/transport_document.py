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
from typing import Any

from ironic_accel.model.device import Activation
from ironic_accel.model import earlier_documents
from ironic_accel.model.plan import Transport
from ironic_accel.model.plan import UpdateTarget


def to_dict(transport: Transport) -> dict[str, Any]:
    """One entry of ``transports``."""
    return {
        'name': transport.name,
        'updates': [
            [
                *ref,
                target.lane,
                [list(r) for r in target.also_writes],
                target.at_reset,
            ]
            for ref, target in transport.updates.items()
        ],
        'sets': sorted(list(ref) for ref in transport.sets),
        'resets': dict(transport.resets),
        'commits': [[*ref, there] for ref, there in transport.commits.items()],
    }


def from_dict(raw: Mapping[str, Any]) -> Transport:
    """Read an entry of ``transports`` back.

    :raises: KeyError, TypeError or ValueError for anything else.
    """
    return Transport(
        raw['name'],
        {(device, name): UpdateTarget(lane, tuple((a, b) for a, b in also),
                              at_reset=any(more))
         for device, name, lane, also, *more in raw['updates']},
        frozenset((a, b) for a, b in raw['sets']),
        {k: Activation(v) for k, v in raw['resets'].items()},
        {(a, b): there for a, b, there in raw.get('commits', ())})


def read(stored: Mapping[str, Any]) -> tuple[Transport, ...]:
    """The transports that are stored with an inventory.

    :param stored: everything that is stored with it.
    :raises: KeyError, TypeError or ValueError for anything else.
    """
    return tuple(from_dict(t)
                 for t in earlier_documents.transports(stored) or ())
