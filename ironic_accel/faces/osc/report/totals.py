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

"""The numbers of the report: nodes by status, versions, and changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from ironic_accel.faces.osc.report import compliance
from ironic_accel.faces.osc.report import node_status
from ironic_accel.model.device import base_name

Document = Mapping[str, Any]

#: Number of reasons for a refusal that are listed for a profile.
REASONS = 5


def of(nodes: Sequence[Document], profiles: Iterable[str],
       ) -> dict[str, Any]:
    """``totals``, ``versions`` and ``changes`` of the report.

    :param nodes: the nodes of the report.
    :param profiles: the names of the site profiles, a name once for each
        version of it.
    """
    return {'totals': {'nodes': len(nodes),
                       'devices': sum(len(n['devices']) for n in nodes),
                       'status': node_status.totals(nodes)},
            'versions': versions(nodes), 'changes': changes(nodes, profiles)}


def versions(nodes: Iterable[Document]) -> list[dict[str, Any]]:
    """The firmware versions by product and component.

    ``products``: the most frequent first; of each its ``components`` by
    name, and of these the ``versions``, the most frequent first: the number
    of ``devices`` that run each, of their ``nodes``, and of the devices on
    which it is ``pending``. A version that is not known is null.
    """
    devices: Counter[str] = Counter()
    found: dict[str, dict[str, dict[str | None, list[set[Any]]]]] = {}
    for at, node in enumerate(nodes):
        for device in node['devices']:
            product = str(device.get('product') or device.get('model')
                          or device.get('kind') or 'unknown')
            devices[product] += 1
            for part in device['components']:
                rows = found.setdefault(product, {}).setdefault(
                    base_name(str(part['name'])), {})
                own = (at, device['id'])
                _row(rows, part['running'])[0].add(own)
                if part['pending'] not in (None, part['running']):
                    _row(rows, part['pending'])[1].add(own)
    return [{'product': product, 'devices': devices[product], 'components': [
        {'name': name, 'versions': _versions(rows)}
        for name, rows in sorted(found.get(product, {}).items())]}
        for product in sorted(devices, key=lambda p: (-devices[p], p))]


def _row(rows: dict[str | None, list[set[Any]]], version: str | None,
         ) -> list[set[Any]]:
    return rows.setdefault(version, [set(), set()])


def _versions(rows: Mapping[str | None, list[set[Any]]],
              ) -> list[dict[str, Any]]:
    return [{'version': version, 'devices': len(run),
             'nodes': len({at for at, _ in run}), 'pending': len(waiting)}
            for version, (run, waiting) in sorted(rows.items(), key=lambda r: (
                -len(r[1][0]), str(r[0])))]


def changes(nodes: Sequence[Document], profiles: Iterable[str],
            ) -> list[dict[str, Any]]:
    """What profiles would change on the nodes, by the stored inventories.

    It has the profile of ``--profile`` alone, or all site profiles.
    ``outcomes`` has the number of nodes of each outcome, ``resets`` the
    nodes that would change by the strongest reset of the host, ``writes``
    the writes on all of them, and ``reasons`` the nodes by the most frequent
    reasons of refusals.
    """
    chosen = {n['change']['profile'] for n in nodes if n['change']}
    if chosen:
        return [_change(name, [n['change'] for n in nodes])
                for name in sorted(chosen)]
    return [_change(name, [_compared(n, name, number > 1) for n in nodes])
            for name, number in sorted(Counter(profiles).items())]


def _compared(node: Document, name: str, differing: bool) -> Document:
    """What a site profile would change on a node.

    :param differing: whether conductors have different profiles of the name.
    """
    for one in node['profiles']:
        if one['profile'] == name and 'outcome' in one:
            found: Document = one
            return found
    outcome = ('does not apply' if node['complete'] and not differing
               else 'not known')
    return {'outcome': outcome, 'writes': 0, 'reset': None, 'reasons': ()}


def _change(name: str, found: Sequence[Document]) -> dict[str, Any]:
    outcomes = Counter(one['outcome'] for one in found)
    resets = Counter(str(one['reset'] or 'none') for one in found
                     if one['outcome'] == 'would change')
    reasons = Counter(reason for one in found if one['outcome'] == 'refused'
                      for reason in one['reasons'])
    return {'profile': name, 'digests': sorted(
                {str(one['digest']) for one in found if one.get('digest')}),
            'outcomes': {o: outcomes[o] for o in compliance.OUTCOMES},
            'writes': sum(one['writes'] for one in found),
            'resets': dict(sorted(resets.items())),
            'reasons': [{'reason': reason, 'nodes': number} for reason, number
                        in reasons.most_common(REASONS)]}
