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
"""Steps of ironic-accel that a configuration of Ironic's takes away.

``[api]disallow_KIND_steps`` (Ironic 32) take a step away from everybody, and
policies of single steps (39) from some. Neither is told where a step is left
out of automated cleaning or of a deploy template.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import types
from typing import Any

from ironic.common import context as ironic_context
from ironic.common import exception
from ironic.common import policy
from ironic.conductor import steps as conductor_steps
import ironic.conf
from oslo_policy import policy as oslo_policy
from oslo_upgradecheck import upgradecheck

from ironic_accel.conductor.config import ironic_series
from ironic_accel.conductor.drivers import agent_steps
from ironic_accel.conductor.drivers import policies
from ironic_accel.conductor.drivers import vendor

CONF = ironic.conf.CONF
Code = upgradecheck.Code
Result = upgradecheck.Result

#: What Ironic does with a disallowed step, by kind of operation (39.0,
#: conductor/steps.py set_node_cleaning_steps, set_node_deployment_steps,
#: check_disallowed_steps), and what that means for those that it does not
#: refuse.
LEFT_OUT: Mapping[str, tuple[str, Mapping[str, str]]] = {
    'clean': ('refused in a manual cleaning, left out of automated cleaning '
              'without an error', {
                  'apply_baseline': ': no node gets its baseline'}),
    'deploy': ('left out of deployments without an error, refused only in '
               'deploy_steps', dict.fromkeys(
                   ('apply_profile', agent_steps.STEP),
                   ': an instance gets a node without the profile of its '
                   'flavor')),
    'service': ('refused', {})}

#: Those who may request steps by Ironic's defaults: the role, and where it is
#: held. The first may do anything.
_PEOPLE = (('admin', 'system'), ('member', 'system'), ('manager', 'owner'),
           ('member', 'owner'), ('manager', 'lessee'))
#: What a role implies (keystone-manage bootstrap).
_IMPLIED = ('admin', 'manager', 'member', 'reader')
_NODE = types.SimpleNamespace(owner='owner', lessee='lessee')


def disallowed() -> Any:
    """Steps of ours that no operation may have."""
    found = '; '.join(_disallowed())
    return Result(Code.WARNING if found else Code.SUCCESS, found or None)


def _disallowed() -> Iterator[str]:
    # Without __init__, which reads the catalogue.
    declared = vendor.RedfishAccelerator.__new__(vendor.RedfishAccelerator)
    for kind, (done, means) in LEFT_OUT.items():
        steps = {agent_steps.STEP, *(
            s['step'] for s in getattr(declared, f'{kind}_steps'))}
        option = f'disallow_{kind}_steps'
        for step in sorted(s for s in steps
                           if f'vendor.{s}' in CONF.api[option]):
            yield (f'vendor.{step} in [api]{option}: {done}'
                   f'{means.get(step, "")}: remove it from the list if that '
                   'is not intended')


def of_policies() -> Any:
    """Rules of the policy files for single steps of ours."""
    if CONF.auth_strategy != 'keystone':
        return Result(Code.SUCCESS, f'auth_strategy is {CONF.auth_strategy}: '
                                    'no policy is asked')
    if policies.MIDDLEWARE in getattr(CONF.api, 'middleware', ()):
        policies.step_policies(None)
    enforcer = policy.get_enforcer()
    enforcer.load_rules()
    told = [_rule(rule.name) for rule in policies.STEP_RULES
            if rule.name in enforcer.file_rules]
    return Result(max([Code.SUCCESS, *(code for code, _ in told)]),
                  '; '.join(text for _, text in told)
                  or 'no rule for a step of ironic-accel')


def _rule(name: str) -> tuple[Any, str]:
    """What a rule comes to, and whether that can be meant."""
    if not ironic_series.STEP_POLICY.present:
        return Code.WARNING, (f'{name}: Ironic has no policies of steps '
                              'before 39, the rule restricts nobody')
    step = {'interface': 'vendor', 'step': name.rpartition('.')[2]}
    refused = []
    for role, place in _PEOPLE:
        try:
            conductor_steps.validate_user_steps_policy(
                _context(role, place), [step], _NODE)
        except oslo_policy.PolicyNotRegistered:
            return Code.FAILURE, (
                f'{name}: every request for the step ends with an error: '
                f'remove it, or add {policies.MIDDLEWARE} to [api]middleware')
        except exception.NotAuthorized:
            refused.append(f'{role} ({place})')
    text = f'{name}: ' + (f'not permitted to {", ".join(refused)}'
                          if refused else 'restricts nobody')
    if 'admin (system)' in refused:
        return Code.WARNING, f'{text}: permit it to a system administrator'
    return Code.SUCCESS, text


def _context(role: str, place: str) -> Any:
    """A request of a user with a role and those that it implies."""
    return ironic_context.RequestContext(
        user_id='user', project_id=None if place == 'system' else place,
        system_scope='all' if place == 'system' else None,
        roles=list(_IMPLIED[_IMPLIED.index(role):]))
