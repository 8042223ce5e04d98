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

"""A made-up fleet, as the report describes one: nodes in every status."""

from __future__ import annotations

import random
from typing import Any

from ironic_accel.faces.osc.report import node_status
from ironic_accel.faces.osc.report import totals

OLD, NEW = '96.00.30.00.01', '96.00.68.00.01'
PROFILES = ('hgx-h100', 'a100-pcie', 'mi300x', 'alveo-u250')
#: How many of a thousand nodes have each status.
MIX = {'failed': 12, 'unhealthy': 25, 'updating': 40, 'drifted': 60,
       'not seen': 50, 'maintenance': 20, 'no profile': 60, 'compliant': 733}
#: What the nodes of a rack have: kind, product, model, number, firmware.
RACKS: tuple[tuple[tuple[str, str, str, int, dict[str, str]], ...], ...] = (
    (('gpu', 'nvidia-h100-sxm', 'H100 80GB HBM3', 8,
      {'gpu': NEW, 'inforom': 'G520.0200.00.05'}),
     ('baseboard', 'nvidia-hgx-h100-8gpu', 'HGX H100 8-GPU', 1,
      {'bmc': '24.10-1', 'fpga': '2.53', 'cpld': '0.22'})),
    (('gpu', 'nvidia-a100-pcie-80gb', 'NVIDIA A100 80GB PCIe', 4,
      {'gpu': '92.00.A0.00.05'}),
     ('dpu', 'nvidia-bluefield-3', 'BlueField-3 B3220', 1,
      {'nic': '32.41.1000', 'bmc': '24.07-14'})),
    (('gpu', 'amd-instinct-mi300x', 'AMD Instinct MI300X OAM', 8,
      {'gpu': '022.040.003.043.000001'}),),
    (('fpga', 'amd-alveo-u250', 'Alveo U250', 2,
      {'shell': 'xilinx_u250_gen3x16_base_4', 'sc': '4.6.21'}),),
)


def device(kind: str, product: str, model: str, serial: str, slot: int,
           versions: dict[str, str]) -> dict[str, Any]:
    """A healthy device."""
    return {
        'id': f'{kind}-{serial}', 'kind': kind, 'product': product,
        'model': model, 'serial': serial, 'health': 'OK',
        'state': 'Enabled', 'unread': [], 'absent': [],
        'location': f'{kind.upper()}_{slot}', 'address': None,
        'components': [{'name': name, 'running': version, 'pending': None,
                        'status': 'reported'}
                       for name, version in versions.items()],
        'modes': {'ecc': {'current': 'enabled', 'pending': None,
                          'status': 'reported'}} if kind == 'gpu' else {}}


def node(number: int, rng: random.Random, status: str | None = None,
         ) -> dict[str, Any]:
    """A node, most often as it should be.

    :param status: what the node is made to be; any if None.
    """
    chosen = status or rng.choices(tuple(MIX), tuple(MIX.values()))[0]
    rack = (0, 0, 0, 0, 1, 1, 2, 3)[number // 40 % 8]
    kinds, profile = RACKS[rack], PROFILES[rack]
    is_trait = 'CUSTOM_ACCEL_IS_' + profile.upper().replace('-', '_')
    devices = [device(kind, product, model, f'16532{number:05}{part}{slot:02}',
                      slot, versions)
               for part, (kind, product, model, count, versions)
               in enumerate(kinds) for slot in range(1, count + 1)]
    made: dict[str, Any] = {
        'uuid': f'00000000-0000-4000-8000-{number:012}',
        'name': f'rack{number // 40:02}-node{number % 40:02}',
        'driver': 'accel-redfish', 'conductor': f'conductor-{number % 3}',
        'state': 'active' if number % 3 else 'available',
        'power': 'power on', 'maintenance': False,
        'maintenance_reason': None, 'fault': None, 'instance': None,
        'last_error': None, 'age': float(60 + 7 * (number % 500)),
        'seen': 'inventory', 'seen_at': '2026-11-22T01:40:00Z',
        'seen_after_last': True, 'host': 'on', 'complete': True, 'busy': [],
        'health': 'OK', 'devices': devices, 'stopped': None, 'lock': None,
        'traits': ['CUSTOM_ACCEL_GPU',
                   f'CUSTOM_ACCEL_GPU_X{kinds[0][3]}',
                   is_trait],
        'profiles': [{'profile': profile, 'digest': '3f' * 32,
                      'status': 'compliant', 'differs': [], 'staged': [],
                      'outcome': 'compliant', 'writes': 0, 'reset': None,
                      'reasons': [],
                      'published': [is_trait]}],
        'drift': [], 'change': None, 'working': None, 'applied': profile,
        'last': {'step': 'apply_profile', 'profile': profile,
                 'operation': 'clean', 'outcome': 'converged'},
        'history': [{'created_at': '2026-11-20T02:11:00+00:00',
                     'event': f'apply_profile {profile}: converged'}],
        'denied': [], 'failed': None}
    if chosen != 'compliant':
        _CHANGES[chosen](made, rng)
    return made


def _failed(made: dict[str, Any], rng: random.Random) -> None:
    why = rng.choice((
        'image bundle.fwpkg: SHA-256 does not match the profile',
        'gpu-1653200003008 gpu: the BMC ended the update task with Exception: '
        'Transfer of image failed verification'))
    made.update(state='clean failed', maintenance=True, last_error=why,
                fault='clean failure', last={
                    **made['last'], 'outcome': 'failed',
                    'error': {'summary': why}})


def _unhealthy(made: dict[str, Any], rng: random.Random) -> None:
    for one in rng.sample(made['devices'], rng.choice((1, 1, 1, 2))):
        one['health'] = rng.choice(('Warning', 'Critical'))
    made.update(health='Critical')


def _updating(made: dict[str, Any], rng: random.Random) -> None:
    made.update(state='clean wait', working={
        'step': 'apply_profile', 'kind': 'clean', 'work': 'apply',
        'profile': made['applied'], 'progress': 'gpu 96.00.68.00.01: writing',
        'percent': rng.randrange(100)})


def _drifted(made: dict[str, Any], rng: random.Random) -> None:
    part = made['devices'][0]['components'][0]['name']
    changed = made['devices'][:rng.choice((1, 1, 2, len(made['devices']) - 1))]
    changed = [d for d in changed if d['components'][0]['name'] == part]
    differs = []
    for one in changed:
        wanted = one['components'][0]['running']
        one['components'][0]['running'] = OLD
        differs.append({'device': one['id'], 'name': part, 'expected': wanted,
                        'seen': OLD, 'reason': 'it differs'})
    made['profiles'][0].update(
        status='differs', differs=differs, outcome='would change',
        writes=1, reset='power-cycle')
    made['drift'] = [f'drifted from profile {made["applied"]}: '
                     f'{changed[0]["id"]} {part}: {OLD}, expected '
                     f'{differs[0]["expected"]}' + (
                         f'; {len(differs) - 1} more' * (len(differs) > 1))]


def _not_seen(made: dict[str, Any], rng: random.Random) -> None:
    why = rng.choice(('never', 'partly', 'failed', 'incomplete'))
    if why == 'incomplete':
        made.update(complete=False)
        made['profiles'][0].update(status='unread', outcome='not known',
                                   differs=[{
            'device': 'gpus', 'name': 'count', 'expected': 8, 'seen': None,
            'reason': 'cannot count the devices of the group: the host is '
                      'off', 'unread': True}])
        return
    made.update(seen=why, complete=None, age=None, seen_at=None, host=None,
                profiles=[], traits=[], applied=None)
    if why == 'partly':
        made.update(denied=[f"node {made['uuid']}: not permitted to read its "
                            'inventory: baremetal:node:inventory:get'])
    if why != 'partly':
        made.update(devices=[])
    if why == 'failed':
        made.update(failed=f"node {made['uuid']}: cannot read its inventory: "
                           'HTTP 500')


def _maintenance(made: dict[str, Any], rng: random.Random) -> None:
    made.update(maintenance=True, maintenance_reason=rng.choice((
        'swap of a fan, ticket 4711', None)))


def _no_profile(made: dict[str, Any], rng: random.Random) -> None:
    made.update(profiles=[], applied=None, traits=made['traits'][:2])


_CHANGES = {'failed': _failed, 'unhealthy': _unhealthy,
            'updating': _updating, 'drifted': _drifted,
            'not seen': _not_seen, 'maintenance': _maintenance,
            'no profile': _no_profile}


def report(nodes: int, seed: int = 7, profile: str | None = None,
           ) -> dict[str, Any]:
    """The document ``report/2`` of so many nodes.

    :param profile: the profile of ``--profile``.
    """
    rng = random.Random(seed)  # noqa: S311 - no secret
    # Of each status one, whatever the number.
    made = [node(n, rng, tuple(MIX)[n] if n < len(MIX) else None)
            for n in range(nodes)]
    if profile:
        for one in made:
            one['change'] = {'profile': profile, 'digest': '7a' * 32,
                             **_change(one, rng)}
    return document(made, profile)


def _change(made: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    if made['seen'] != 'inventory' or not made['complete']:
        return {'outcome': 'not known', 'writes': 0, 'reset': None,
                'reasons': ['its inventory is not known']}
    if made['devices'][0]['product'] != 'nvidia-h100-sxm':
        return {'outcome': 'does not apply', 'writes': 0, 'reset': None,
                'reasons': []}
    if any(d['health'] != 'OK' for d in made['devices']):
        return {'outcome': 'refused', 'writes': 0, 'reset': None,
                'reasons': ['health: the device is unhealthy']}
    if rng.random() < 0.2:
        return {'outcome': 'compliant', 'writes': 0, 'reset': None,
                'reasons': []}
    return {'outcome': 'would change', 'writes': rng.choice((1, 9)),
            'reset': rng.choice(('aux-cycle', None)), 'reasons': []}


def document(made: list[dict[str, Any]], profile: str | None = None,
             others: int = 1) -> dict[str, Any]:
    """The report of some nodes."""
    marked = [node_status.marked(one) for one in made]
    return {'schema': 'report/2', 'at': '2026-11-22T02:00:00Z',
            **totals.of(marked, PROFILES if made and not profile else []),
            'profiles': [{'name': name, 'digest': f'{at}f' * 32,
                          'conductors': ['conductor-0', 'conductor-1'],
                          'offered': True} for at, name in enumerate(
                              PROFILES if made else ())],
            'others': [{'uuid': f'x{n}', 'name': f'plain-{n}',
                        'driver': 'redfish', 'vendor_interface': 'no-vendor'}
                       for n in range(others)],
            'denied': [], 'stopped': [], 'nodes': marked}
