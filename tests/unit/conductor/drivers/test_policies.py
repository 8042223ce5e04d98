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

"""Who may do what: our policies, and what the docs say of Ironic's."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
import pathlib
import re
from typing import Any

from ironic.common import context as ironic_context
from ironic.common import exception
from ironic.common import policy
from ironic.conf import CONF
import pytest

from ironic_accel.conductor.drivers import policies
from tests.unit.conductor.stage import Make

PAGE = (pathlib.Path(__file__).resolve().parents[4]
        / 'doc/source/admin/threat-model.rst')

#: Who may, by (role, scope of the token, project of the token).
SYSTEM = 'all'
OWNER, LESSEE, STRANGER = 'owner', 'lessee', 'stranger'
WHO = [(role, scope, project)
       for role in ('admin', 'manager', 'member', 'reader')
       for scope, project in (
           (SYSTEM, None), (None, OWNER), (None, LESSEE), (None, STRANGER))]

#: What an admin may a manager need not; each role has those below it.
BELOW = {'admin': ('admin', 'manager', 'member', 'reader'),
         'manager': ('manager', 'member', 'reader'),
         'member': ('member', 'reader'), 'reader': ('reader',)}

#: The least role that may, by where the token is of.
STEPS = {SYSTEM: 'member', OWNER: 'member', LESSEE: 'manager'}
ADMINS = {SYSTEM: 'admin'}
#: What the threat model says, policy by policy.
TOLD: dict[str, dict[str, str]] = {
    'baremetal:node:set_provision_state': STEPS,
    'baremetal:node:set_provision_state:clean_steps': STEPS,
    'baremetal:node:set_provision_state:service_steps': STEPS,
    'baremetal:node:set_maintenance': STEPS,
    'baremetal:runbook:use': {SYSTEM: 'member', OWNER: 'manager'},
    'baremetal:runbook:create': {
        SYSTEM: 'member', OWNER: 'manager', LESSEE: 'manager',
        STRANGER: 'manager'},
    'baremetal:node:set_power_state': {
        SYSTEM: 'member', OWNER: 'member', LESSEE: 'member'},
    'baremetal:node:vendor_passthru': ADMINS,
    'baremetal:node:accelerator:hold': ADMINS,
    'baremetal:node:accelerator:unlock': ADMINS,
    'baremetal:node:update:driver_info': {
        SYSTEM: 'member', OWNER: 'member'},
    'baremetal:node:traits:set': {SYSTEM: 'member', OWNER: 'manager'},
    'baremetal:node:traits:delete': {SYSTEM: 'member', OWNER: 'manager'},
    'baremetal:node:inventory:get': {SYSTEM: 'reader', OWNER: 'reader'},
    'baremetal:node:history:get': {SYSTEM: 'reader', OWNER: 'reader'},
    'baremetal:node:firmware:get': {
        SYSTEM: 'reader', OWNER: 'reader', LESSEE: 'reader'},
    'baremetal:node:get': {
        SYSTEM: 'reader', OWNER: 'reader', LESSEE: 'reader'},
    'baremetal:deploy_template:create': ADMINS}


@pytest.fixture(autouse=True)
def enforced(database: pathlib.Path) -> Iterator[None]:
    """With Keystone; without it everybody may everything."""
    CONF.set_override('auth_strategy', 'keystone')
    enforcer = policy.get_enforcer()
    for rule in policies.RULES:
        if rule.name not in enforcer.registered_rules:
            enforcer.register_default(rule)
    yield
    CONF.clear_override('auth_strategy')


def asking(role: str, scope: str | None, project: str | None) -> Any:
    return ironic_context.RequestContext(
        user_id='u', project_id=project, system_scope=scope,
        roles=list(BELOW[role]))


def may(name: str, context: Any) -> bool:
    target = {'node.owner': OWNER, 'node.lessee': LESSEE,
              'runbook.owner': OWNER}
    try:
        policy.authorize(name, target, context.to_policy_values())
    except exception.HTTPForbidden:
        return False
    return True


@pytest.mark.parametrize('name', sorted(TOLD))
def test_a_policy_lets_in_whom_the_threat_model_names(name: str) -> None:
    for role, scope, project in WHO:
        least = TOLD[name].get(str(scope or project))
        wanted = least is not None and least in BELOW[role]
        assert may(name, asking(role, scope, project)) is wanted, (
            role, scope, project)


def test_the_page_names_these_and_no_others() -> None:
    table = PAGE.read_text(encoding='utf-8').split('By default\n')[1].split(
        'Whoever may clean')[0]
    named = re.findall(r'``(?:\.\.\.|baremetal):([a-z_:]+)``', table)
    for name in named:
        assert [n for n in TOLD if n.endswith(f':{name}')], name
    for name in TOLD:
        assert [n for n in named if name.endswith(f':{n}')], name


def test_policies_are_of_a_system_admin_and_documented() -> None:
    point, = (p for p in metadata.entry_points(
        group='oslo.policy.policies') if p.name == 'ironic-accel')
    rules = {r.name: r for r in point.load()()}
    assert set(rules) == {policies.HOLD, policies.UNLOCK}
    for rule in rules.values():
        assert rule.check_str == policy.SYSTEM_ADMIN
        assert rule.scope_types == ['system', 'project']
        assert rule.description
        assert all(o['path'].startswith('/nodes/{node_ident}/vendor_passthru')
                   and o['method'] == 'POST' for o in rule.operations)


@pytest.mark.parametrize('method', [
    'accel_hold', 'accel_unhold', 'accel_unlock'])
@pytest.mark.parametrize(('role', 'scope', 'project'), [
    ('member', SYSTEM, None), ('manager', SYSTEM, None),
    ('admin', None, OWNER), ('admin', None, LESSEE),
    ('admin', None, STRANGER)])
def test_only_allowed_users_hold_and_unlock(
        make_node: Make, acquire: Make, method: str, role: str,
        scope: str | None, project: str | None) -> None:
    task = acquire(make_node(owner=OWNER, lessee=LESSEE))
    task.context = asking(role, scope, project)
    with pytest.raises(exception.HTTPForbidden, match='accelerator'):
        task.driver.vendor.validate(task, method=method, reason='so')


def test_a_site_may_give_them_to_others(
        make_node: Make, acquire: Make) -> None:
    """One of them alone: what a policy.yaml says takes its place."""
    enforcer = policy.get_enforcer()
    enforcer.load_rules()
    before = enforcer.rules.copy()
    try:
        enforcer.set_rules({
            **enforcer.rules, policies.HOLD: enforcer.rules[
                'baremetal:node:set_maintenance']},
            overwrite=True, use_conf=False)
        task = acquire(make_node(owner=OWNER))
        task.context = asking('member', None, OWNER)
        task.driver.vendor.validate(task, method='accel_hold', reason='so')
        with pytest.raises(exception.HTTPForbidden):
            task.driver.vendor.validate(
                task, method='accel_unlock', reason='so')
    finally:
        enforcer.set_rules(before, overwrite=True, use_conf=True)
