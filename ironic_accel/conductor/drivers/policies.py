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

"""Policies of our own: who may stop a node's writes, who may end a guard, and
the policies of single steps of ours.

Ironic has one policy for all passthru methods of a node
(``baremetal:node:vendor_passthru``), which is asked first, in the API. These
are asked in the conductor, of the policy file that its configuration names.

Ironic 39 asks ``baremetal:step:execute:INTERFACE.STEP`` of a policy file, in
the API, of who requests a step. It asks for a rule that has a default, and no
step has one (39.0.0, conductor/steps.py _check_step_policy: every such request
ends with PolicyNotRegistered). The middleware gives our steps theirs: they are
allowed to whoever may request steps.
"""

from __future__ import annotations

from collections.abc import Iterable
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


#: The name of the middleware in ``[api]middleware``.
MIDDLEWARE = 'accelerator-step-policies'
#: The steps are listed, because an API that loads the middleware need not
#: load the drivers.
STEP_RULES = tuple(oslo_policy.DocumentedRuleDefault(
    name=f'baremetal:step:execute:vendor.{step}', check_str='@',
    scope_types=['system', 'project'], description=(
        f'Request the step {step}. Needs {MIDDLEWARE} in [api]middleware of '
        'Ironic 39 or later.'), operations=[{
            'method': 'PUT', 'path': '/nodes/{node_ident}/states/provision'}])
    for step in (
        'apply_baseline', 'apply_profile', 'apply_profile_in_band',
        'deliver_first_boot', 'note_tenant', 'refresh_traits',
        'reset_devices'))


def list_rules() -> Sequence[Any]:
    """What oslo.policy's generator of sample files asks for."""
    return RULES + STEP_RULES


def step_policies(app: Any) -> Any:
    """The middleware: see above. It leaves every request as it is.

    :param app: the WSGI application of Ironic's API.
    """
    _register(STEP_RULES)
    return app


def _register(rules: Iterable[Any]) -> None:
    enforcer = policy.get_enforcer()
    for rule in rules:
        if rule.name not in enforcer.registered_rules:
            enforcer.register_default(rule)


def enforce(task: Any, name: str) -> None:
    """Make sure that the user of a request is allowed to make it.

    Without Keystone every user is allowed to, as in the API.

    :raises: HTTPForbidden.
    """
    _register(RULES)
    node = task.node
    policy.authorize(name, {
        'node.owner': node.owner, 'node.lessee': node.lessee},
        task.context.to_policy_values())
