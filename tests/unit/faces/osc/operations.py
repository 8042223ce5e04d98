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

"""Plans, results and operations of the stand-in for Ironic's API."""

from __future__ import annotations

from typing import Any

from tests import commands
from tests.unit.faces.osc.cloud import Cloud

ITEM = {'device': 'gpu-0', 'name': 'ecc'}
PLAN: dict[str, Any] = {
    'schema': 'plan/2', 'converged': False, 'satisfied': [], 'refused': [],
    'stages': [{'reset': 'warm-reboot', 'staged': [], 'actions': [{
        'verb': 'set', 'transport': 'redfish', 'image': None,
        'also_writes': [],
        'items': [{**ITEM, 'device': f'gpu-{n}', 'from': 'disabled',
                   'to': 'enabled'} for n in range(8)]}]}]}
REFUSED = {**PLAN, 'stages': [], 'refused': [
    {**ITEM, 'expected': 'enabled', 'seen': None, 'reason': 'not there'}]}


def planning(cloud: Cloud, plan: dict[str, Any], **more: Any) -> None:
    """Let the cloud return this plan for every profile."""
    cloud.passthru['accel_plan'] = lambda node, body: (200, {
        'age': 60.0, 'profile': 'ecc-on', 'digest': 'd', 'plan': plan,
        **more})


def result(**fields: Any) -> dict[str, Any]:
    """A result as the conductor writes it."""
    return {'id': 'run-1', 'operation': 'clean', 'step': 'apply_profile',
            'outcome': 'converged', 'profile': 'ecc-on', 'seconds': 61.0,
            'writes': 8, 'resets': 1, 'proved': 8, 'error': None, **fields}


def running(cloud: Cloud, told: dict[str, Any], reads: int = 3) -> None:
    """Let a clean or service end with a result after some reads."""
    left: dict[str, int] = {}

    def begin(node: dict[str, Any], body: Any) -> None:
        left[node['name']] = reads
        node['provision_state'] = {'clean': 'clean wait',
                                   'service': 'service wait'}[body['target']]
        node['driver_internal_info']['accel_operation'] = {
            'work': 'apply', 'step': 'apply_profile', 'progress': 'writing',
            'percent': 10, 'profile': 'ecc-on', 'kind': body['target']}

    def read(node: dict[str, Any]) -> None:
        if node['name'] not in left:
            return
        left[node['name']] -= 1
        node['driver_internal_info']['accel_operation'][
            'percent'] = 90 - 20 * left[node['name']]
        if left[node['name']] == 0:
            del left[node['name']]
            node['driver_internal_info'] = {'accel_result': told}
            good = told['error'] is None
            node['provision_state'] = 'manageable' if good else \
                'clean failed'
            node['maintenance'] = not good
    cloud.on_provision, cloud.on_read = begin, read


def begun(cloud: Cloud) -> list[Any]:
    """The bodies of all provision requests."""
    return [body for verb, path, body in cloud.asked
            if path.endswith('states/provision')]


def run(cloud: Cloud, *words: str) -> commands.Told:
    """Run a command that reads the status often."""
    if words[0] == 'apply':
        words = (*words, '--interval', '0.01')
    return commands.run(cloud.url, 'accelerator', *words)
