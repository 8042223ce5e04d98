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

"""The next commands that the report names: for a cloud where there is
nothing to report yet, and for each node."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import shlex
from typing import Any

from ironic_accel.faces import view

Document = Mapping[str, Any]

_ACCELERATOR = 'baremetal accelerator'
#: Number of nodes that a command names.
_NAMED = 3


def of_fleet(report: Document) -> list[tuple[str, str]]:
    """What a report without inventories lacks, and the commands for it."""
    nodes: Sequence[Document] = report['nodes']
    others: Sequence[Document] = report['others']
    if not nodes and not others:
        return [('This user may read no node. Check cloud and project:',
                 'baremetal node list')]
    if not nodes:
        return [(f"{view.count(len(others), 'node')}, none managed by "
                 'ironic-accel. Enable it on one:',
                 f'{_ACCELERATOR} enable {_names(others[:1])}')]
    if all(n['seen'] == 'never' for n in nodes):
        return [('No node has an inventory yet. Take one of each:',
                 f'{_ACCELERATOR} refresh {_names(nodes[:_NAMED])}'
                 + (' ...' if len(nodes) > _NAMED else ''))]
    return []


def of_node(node: Document) -> str | None:
    """The next command for a node, by its status."""
    name = _names([node])
    profile = next((one['profile'] for one in node['profiles']
                    if one['status'] == 'differs'), None)
    commands = {
        'failed': f'{_ACCELERATOR} history {name}',
        'unhealthy': f'{_ACCELERATOR} list {name}',
        'updating': f'baremetal node show {name}',
        'drifted': f'{_ACCELERATOR} plan {name}' + (
            f' --profile {profile}' if profile else ''),
        'not seen': f'{_ACCELERATOR} ' + (
            'list' if node['denied'] else 'refresh') + f' {name}',
        'maintenance': f'baremetal node maintenance unset {name}',
        'no profile': f'{_ACCELERATOR} plan {name} --profile PROFILE'}
    return commands.get(node['status'])


def _names(nodes: Sequence[Document]) -> str:
    return ' '.join(shlex.quote(str(n.get('name') or n['uuid']))
                    for n in nodes)
