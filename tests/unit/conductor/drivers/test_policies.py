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

"""Who may do what: our policies, and what the docs say of Ironic's.

The page of roles has the least role of each place for what a user wants; the
threat model has it for each policy.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
from importlib import metadata
import re
from typing import Any

from ironic.api import app as api_app
from ironic.common import context as ironic_context
from ironic.common import exception
from ironic.common import policy
from ironic.conductor import steps as conductor_steps
from ironic.conf import CONF
from oslo_policy import _parser
from oslo_policy import policy as oslo_policy
import pytest
import yaml

from ironic_accel.conductor.config import ironic_series
from ironic_accel.conductor.drivers import agent_steps
from ironic_accel.conductor.drivers import policies
from ironic_accel.conductor.drivers import vendor
from tests import consoles
from tests import roles_page
from tests.unit.conductor.stage import Make

THREAT_MODEL = consoles.SOURCE / 'admin/threat-model.rst'
STEP_RULE = 'baremetal:step:execute:vendor.apply_profile'
SYSTEM, OWNER, LESSEE, STRANGER = 'system', 'owner', 'lessee', 'stranger'
PLACES = (SYSTEM, OWNER, LESSEE, STRANGER)

#: The least role that may, by where the token is of.
STEPS = {SYSTEM: 'member', OWNER: 'member', LESSEE: 'manager'}
ADMINS = {SYSTEM: 'admin'}
#: What the threat model says, policy by policy.
TOLD: Mapping[str, Mapping[str, str]] = {
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
def enforced(database: object) -> Iterator[None]:
    """With Keystone; without it everybody may do everything."""
    CONF.set_override('auth_strategy', 'keystone')
    enforcer = policy.get_enforcer()
    for rule in policies.RULES:
        if rule.name not in enforcer.registered_rules:
            enforcer.register_default(rule)
    yield
    CONF.clear_override('auth_strategy')


def asking(role: str, place: str) -> Any:
    """A request of a user with one role, and those that it implies."""
    return ironic_context.RequestContext(
        user_id='u', project_id=None if place == SYSTEM else place,
        system_scope='all' if place == SYSTEM else None,
        roles=list(roles_page.ROLES[role]))


def may(name: str, context: Any) -> bool:
    target = {'node.owner': OWNER, 'node.lessee': LESSEE,
              'runbook.owner': OWNER}
    try:
        policy.authorize(name, target, context.to_policy_values())
    except exception.HTTPForbidden:
        return False
    return True


@contextlib.contextmanager
def ruled(given: Mapping[str, Any]) -> Iterator[None]:
    """Rules of a ``policy.yaml`` in force over the defaults."""
    enforcer = policy.get_enforcer()
    enforcer.load_rules()
    before = enforcer.rules.copy()
    try:
        enforcer.set_rules({**enforcer.rules, **{
            name: _parser.parse_rule(check) if isinstance(check, str)
            else check for name, check in given.items()}},
            overwrite=True, use_conf=False)
        yield
    finally:
        enforcer.set_rules(before, overwrite=True, use_conf=True)


# The pages

@pytest.mark.parametrize('name', sorted(TOLD))
def test_a_policy_lets_in_whom_the_threat_model_names(name: str) -> None:
    for role in roles_page.ROLES:
        for place in PLACES:
            least = TOLD[name].get(place)
            wanted = least is not None and least in roles_page.ROLES[role]
            assert may(name, asking(role, place)) is wanted, (role, place)


def test_the_threat_model_names_these_and_no_others() -> None:
    table = THREAT_MODEL.read_text(encoding='utf-8').split(
        'By default\n')[1].split('Whoever may clean')[0]
    named = re.findall(r'``(?:\.\.\.|baremetal):([a-z_:]+)``', table)
    for name in named:
        assert [n for n in TOLD if n.endswith(f':{name}')], name
    for name in TOLD:
        assert [n for n in named if name.endswith(f':{n}')], name


@pytest.mark.parametrize('row', roles_page.rows(), ids=lambda row: row.what)
def test_least_role_of_the_page_is_that_of_the_policy(
        row: roles_page.Row) -> None:
    assert row.policy in policy.get_enforcer().registered_rules
    for role in roles_page.ROLES:
        for place in PLACES:
            assert may(row.policy, asking(role, place)) is row.allows(
                role, place), (role, place)


@pytest.fixture
def shown() -> Iterator[Mapping[str, str]]:
    """The rules of the page's policy.yaml, in force."""
    given = yaml.safe_load('\n'.join(
        b.text for b in consoles.blocks(roles_page.PAGE)
        if b.language == 'yaml'))
    with ruled(given):
        yield given


def test_project_cleans_by_runbook_alone_with_the_rules_of_the_page(
        shown: Mapping[str, str]) -> None:
    for kind in ('clean', 'service'):
        name = f'baremetal:node:set_provision_state:{kind}_steps'
        assert name in shown
        assert may(name, asking('member', SYSTEM))
        for place in (OWNER, LESSEE):
            assert not may(name, asking('admin', place))
    assert may('baremetal:node:set_provision_state',
               asking('member', OWNER))


def test_project_may_plan_and_not_hold_with_the_rule_of_the_page(
        shown: Mapping[str, str]) -> None:
    manager = asking('manager', OWNER)
    assert may('baremetal:node:vendor_passthru', manager)
    assert not may('baremetal:node:vendor_passthru',
                   asking('member', OWNER))
    assert not may(policies.HOLD, manager)
    assert not may(policies.UNLOCK, manager)


@pytest.mark.skipif(not ironic_series.STEP_POLICY.present,
                    reason='STEP_POLICY')
def test_policy_of_a_single_step_fails_for_everybody_in_ironic_39(
        make_node: Make) -> None:
    """Once Ironic registers these rules, the page has to offer them."""
    steps = [{'interface': 'vendor', 'step': 'apply_profile'}]
    node = make_node(owner=OWNER)
    admin = asking('admin', SYSTEM)
    conductor_steps.validate_user_steps_policy(admin, steps, node)
    with ruled({STEP_RULE: '@'}), pytest.raises(
            oslo_policy.PolicyNotRegistered):
        conductor_steps.validate_user_steps_policy(admin, steps, node)
    assert f'``{STEP_RULE}``' in roles_page.PAGE.read_text('utf-8')


def test_each_step_of_ours_has_a_policy() -> None:
    declared = vendor.RedfishAccelerator()
    assert {r.name for r in policies.STEP_RULES} == {
        f'baremetal:step:execute:vendor.{name}' for name in (
            agent_steps.STEP, *(s['step'] for kind in (
                'clean', 'deploy', 'service')
                for s in getattr(declared, f'{kind}_steps')))}


@pytest.mark.skipif(not ironic_series.STEP_POLICY.present,
                    reason='STEP_POLICY')
def test_middleware_gives_the_policies_of_our_steps_a_default(
        make_node: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loaded as Ironic's API loads it."""
    monkeypatch.setattr(policy, '_ENFORCER', None)
    app = object()
    assert api_app._load_custom_middleware(
        app, [policies.MIDDLEWARE]) is app
    steps = [{'interface': 'vendor', 'step': 'apply_profile'}]
    node = make_node(owner=OWNER)
    for who in (asking('member', SYSTEM), asking('member', OWNER)):
        conductor_steps.validate_user_steps_policy(who, steps, node)
    rule = 'role:manager and project_id:%(node.owner)s'
    with ruled({STEP_RULE: rule}):
        conductor_steps.validate_user_steps_policy(
            asking('manager', OWNER), steps, node)
        for who in (asking('admin', SYSTEM), asking('member', OWNER),
                    asking('manager', LESSEE)):
            with pytest.raises(exception.NotAuthorized,
                               match='execute step apply_profile'):
                conductor_steps.validate_user_steps_policy(who, steps, node)
        # A step without a rule of the site's is as it was.
        conductor_steps.validate_user_steps_policy(
            asking('member', OWNER),
            [{'interface': 'vendor', 'step': 'reset_devices'}], node)


def test_disallowed_step_is_refused_or_dropped_as_the_page_has_it() -> None:
    assert CONF.api.disallow_clean_steps == ['vendor.send_raw']
    steps = [{'interface': 'vendor', 'step': 'apply_baseline'}]
    CONF.set_override('disallow_clean_steps', [
        'vendor.send_raw', 'vendor.apply_baseline'], group='api')
    try:
        with pytest.raises(exception.StepNotAllowed):
            conductor_steps.check_disallowed_steps(steps, 'clean')
        assert conductor_steps.check_disallowed_steps(
            steps, 'clean', raise_on_disallowed=False) == []
    finally:
        CONF.clear_override('disallow_clean_steps', group='api')


# Our own policies

def test_policies_are_of_a_system_admin_and_documented() -> None:
    point, = (p for p in metadata.entry_points(
        group='oslo.policy.policies') if p.name == 'ironic-accel')
    rules = {r.name: r for r in point.load()()}
    steps = {r.name: rules.pop(r.name) for r in policies.STEP_RULES}
    assert set(rules) == {policies.HOLD, policies.UNLOCK}
    assert all(r.check_str == '@' and r.description for r in steps.values())
    for rule in rules.values():
        assert rule.check_str == policy.SYSTEM_ADMIN
        assert rule.scope_types == ['system', 'project']
        assert rule.description
        assert all(o['path'].startswith('/nodes/{node_ident}/vendor_passthru')
                   and o['method'] == 'POST' for o in rule.operations)


@pytest.mark.parametrize('method', [
    'accel_hold', 'accel_unhold', 'accel_unlock'])
@pytest.mark.parametrize(('role', 'place'), [
    ('member', SYSTEM), ('manager', SYSTEM), ('admin', OWNER),
    ('admin', LESSEE), ('admin', STRANGER)])
def test_only_allowed_users_hold_and_unlock(
        make_node: Make, acquire: Make, method: str, role: str,
        place: str) -> None:
    task = acquire(make_node(owner=OWNER, lessee=LESSEE))
    task.context = asking(role, place)
    with pytest.raises(exception.HTTPForbidden, match='accelerator'):
        task.driver.vendor.validate(task, method=method, reason='so')


def test_a_site_may_give_them_to_others(
        make_node: Make, acquire: Make) -> None:
    """One of them alone: what a policy.yaml says takes its place."""
    policy.get_enforcer().load_rules()
    with ruled({policies.HOLD: policy.get_enforcer().rules[
            'baremetal:node:set_maintenance']}):
        task = acquire(make_node(owner=OWNER))
        task.context = asking('member', OWNER)
        task.driver.vendor.validate(task, method='accel_hold', reason='so')
        with pytest.raises(exception.HTTPForbidden):
            task.driver.vendor.validate(
                task, method='accel_unlock', reason='so')
