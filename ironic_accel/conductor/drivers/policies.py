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

"""Policies of our own: who may stop a node's writes, who may end a guard.

Ironic has one policy for all passthru methods of a node
(``baremetal:node:vendor_passthru``), which is asked first, in the API. These
are asked in the conductor, of the policy file that its configuration names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ironic.common import policy
from oslo_policy import policy as oslo_policy

HOLD = 'baremetal:node:accelerator:hold'
UNLOCK = 'baremetal:node:accelerator:unlock'


def _rule(name: str, method: str, what: str) -> Any:
    return oslo_policy.DocumentedRuleDefault(
        name=name, check_str=policy.SYSTEM_ADMIN,
        scope_types=['system', 'project'], description=what,
        operations=[{'method': 'POST', 'path':
                     '/nodes/{node_ident}/vendor_passthru'
                     f'?method={method}'}])


RULES = (
    _rule(HOLD, 'accel_hold', 'Hold a node or remove the hold. While a node '
                              'is held, no write to its accelerators and no '
                              'host reset begins.'),
    _rule(UNLOCK, 'accel_unlock', 'Remove the power lock of a node although '
                                  'its update was not confirmed to have '
                                  'ended.'))


def list_rules() -> Sequence[Any]:
    """What oslo.policy's generator of sample files asks for."""
    return RULES


def enforce(task: Any, name: str) -> None:
    """Make sure that the user of a request is allowed to make it.

    Without Keystone every user is allowed to, as in the API.

    :raises: HTTPForbidden.
    """
    enforcer = policy.get_enforcer()
    for rule in RULES:
        if rule.name not in enforcer.registered_rules:
            enforcer.register_default(rule)
    node = task.node
    policy.authorize(name, {
        'node.owner': node.owner, 'node.lessee': node.lessee},
        task.context.to_policy_values())
