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

STATES = ('compliant', 'drifted', 'unhealthy', 'unknown', 'busy')
OLD, NEW = '96.00.30.00.01', '96.00.68.00.01'
TRAITS = ['CUSTOM_ACCEL_GPU', 'CUSTOM_ACCEL_GPU_X8',
          'CUSTOM_ACCEL_GPU_NVIDIA_H100_SXM']


def device(number: int, state: str, node: int) -> dict[str, Any]:
    """One GPU; what is wrong with it fits its state."""
    serial = f'16532{node:05}{number:03}'
    return {
        'id': f'gpu-{serial}', 'kind': 'gpu', 'product': 'nvidia-h100-sxm',
        'model': 'H100 80GB HBM3', 'serial': serial,
        'health': 'Critical' if state == 'unhealthy' else 'OK',
        'location': f'GPU_SXM_{number}', 'address': None,
        'components': [{'name': 'gpu', 'pending': None,
                        'running': OLD if state == 'drifted' else NEW}],
        'modes': {'ecc': {'current': 'enabled'}}}


def node(number: int, rng: random.Random) -> dict[str, Any]:
    """A node with eight GPUs; most are as they should be."""
    whole = rng.choices((None, 'unknown', 'busy'), weights=(88, 6, 6))[0]
    states = [whole] * 8 if whole else rng.choices(
        STATES[:3], weights=(96, 2, 1), k=8)
    devices = [device(k, str(s), number) for k, s in enumerate(states, 1)]
    differs = [{'device': d['id'], 'name': 'gpu', 'expected': NEW,
                'seen': OLD, 'reason': 'it differs'}
               for d, s in zip(devices, states, strict=True) if s == 'drifted']
    return {
        'uuid': f'00000000-0000-4000-8000-{number:012}',
        'name': f'rack{number // 40:02}-node{number % 40:02}',
        'state': 'active' if number % 3 else 'available',
        'maintenance': False, 'age': float(60 + number),
        'seen': 'partly' if whole == 'unknown' else 'inventory',
        'complete': True, 'devices': devices,
        'traits': [*TRAITS, 'CUSTOM_ACCEL_IS_HGX_H100'],
        'profiles': [{'profile': 'hgx-h100', 'differs': differs,
                      'status': 'differs' if differs else 'compliant',
                      'published': ['CUSTOM_ACCEL_IS_HGX_H100']}],
        'drift': ['drifted from profile hgx-h100'] if differs else [],
        'working': {'step': 'apply_profile', 'kind': 'clean',
                    'profile': 'hgx-h100', 'progress': 'push 40 %'}
        if whole == 'busy' else None,
        'applied': 'hgx-h100',
        'last': {'step': 'apply_profile', 'profile': 'hgx-h100',
                 'outcome': 'converged'},
        'history': [{'created_at': '2026-11-20T02:11:00+00:00',
                      'event': 'hgx-h100: 9 items proved'}],
        'denied': ['firmware: not permitted'] if whole == 'unknown' else [],
        'failed': None}


def report(nodes: int, seed: int = 7) -> dict[str, Any]:
    """The document ``report/2`` of so many nodes."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    return {'schema': 'report/2', 'at': '2026-11-22 02:00:00 UTC',
            'profiles': [{'name': 'hgx-h100', 'digest': '3f' * 32,
                          'conductors': ['a'], 'offered': True}],
            'others': [{'uuid': 'x', 'name': 'plain', 'driver': 'redfish',
                        'vendor_interface': 'no-vendor'}],
            'denied': [], 'nodes': [node(n, rng) for n in range(nodes)]}


def states(report: dict[str, Any]) -> list[list[str]]:
    """The state of each device of each node, as the fleet was made."""
    return [[_state(n, d) for d in n['devices']] for n in report['nodes']]


def _state(of: dict[str, Any], one: dict[str, Any]) -> str:
    if one['health'] != 'OK':
        return 'unhealthy'
    if of['working']:
        return 'busy'
    if one['components'][0]['running'] == OLD:
        return 'drifted'
    return 'unknown' if of['seen'] == 'partly' else 'compliant'
