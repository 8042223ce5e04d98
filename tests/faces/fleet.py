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

"""A made-up fleet, as the report describes one."""

from __future__ import annotations

import random
from typing import Any

STATES = ('ok', 'drift', 'busy', 'ill', 'unknown')


def device(number: int, state: str, node: int) -> dict[str, Any]:
    """One GPU; what is wrong with it fits its state."""
    drift = state == 'drift'
    return {
        'id': f'gpu-16532{node:05}{number:03}', 'kind': 'gpu',
        'product': 'nvidia-h100-sxm', 'model': 'H100 80GB HBM3',
        'serial': f'16532{node:05}{number:03}',
        'health': 'Critical' if state == 'ill' else 'OK',
        'location': f'GPU_SXM_{number}', 'address': None, 'state': state,
        'firmware': [{'name': 'gpu', 'running': (
            '96.00.30.00.01' if drift else '96.00.68.00.01'),
            'pending': None, 'wanted': '96.00.68.00.01',
            'as_wanted': not drift}],
        'modes': [{'name': 'ecc', 'current': 'enabled', 'wanted': 'enabled',
                   'as_wanted': True}]}


def node(number: int, rng: random.Random) -> dict[str, Any]:
    """A node with eight GPUs; most are as they should be."""
    states = rng.choices(STATES, weights=(96, 2, 1, 1, 1), k=8)
    good = set(states) == {'ok'}
    return {
        'name': f'rack{number // 40:02}-node{number % 40:02}',
        'uuid': f'00000000-0000-4000-8000-{number:012}',
        'provision_state': 'active' if number % 3 else 'available',
        'maintenance': False, 'age': float(60 + number),
        'traits': ['CUSTOM_ACCEL_GPU', 'CUSTOM_ACCEL_GPU_X8',
                   'CUSTOM_ACCEL_GPU_NVIDIA_H100_SXM'],
        'remarks': [] if good else ['one of eight is not as declared'],
        'profiles': [{'name': 'hgx-h100', 'state': 'is' if good else 'can'}],
        'evidence': [{'when': '2026-11-20 02:11:00',
                      'what': 'hgx-h100: 9 items proved'}],
        'devices': [device(k, s, number) for k, s in enumerate(states, 1)]}


def report(nodes: int, seed: int = 7) -> dict[str, Any]:
    """The document ``report/1`` of so many nodes."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    return {'schema': 'report/1', 'at': '2026-11-22 02:00:00 UTC',
            'withheld': [], 'nodes': [node(n, rng) for n in range(nodes)]}
