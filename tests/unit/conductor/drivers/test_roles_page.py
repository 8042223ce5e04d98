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

"""The page of roles and policies, row by row, asked of Ironic's code."""

from __future__ import annotations

from collections.abc import Iterator
import pathlib
import re
from typing import Any

from ironic.common import context as ironic_context
from ironic.common import exception
from ironic.common import policy
from ironic.conductor import steps as conductor_steps
from ironic.conf import CONF
from oslo_policy import _parser
from oslo_policy import policy as oslo_policy
import pytest
import yaml

from ironic_accel.conductor.drivers import policies
from tests import consoles
from tests.unit.conductor.stage import Make

PAGE = consoles.SOURCE / 'admin/roles.rst'
STEP_RULE = 'baremetal:step:execute:vendor.apply_profile'
OWNER, LESSEE, STRANGER = 'owner', 'lessee', 'stranger'
#: A role with those below it.
ROLES = {'admin': ['admin', 'manager', 'member', 'reader'],
         'manager': ['manager', 'member', 'reader'],
         'member': ['member', 'reader'], 'reader': ['reader']}
COLUMNS = {'system': (None, 'all'), 'owner': (OWNER, None),
           'lessee': (LESSEE, None)}
ROW = re.compile(r'^(.+?) +``(b:n[\w:]*|baremetal:[\w:]+)(?:``)? +'
                 r'(\w+|--) +(\w+|--) +(\w+|--)$')


def rows() -> list[tuple[str, str, tuple[str, ...]]]:
    """What, the policy, and the least role of each column of the table."""
    lines = PAGE.read_text('utf-8').splitlines()
    found = []
    for number, line in enumerate(lines):
        if match := ROW.match(line):
            name = match[2]
            if name.endswith(':'):
                name += lines[number + 1].strip().rstrip('`')
            found.append((match[1].strip(), name.replace(
                'b:n:', 'baremetal:node:').replace(
                    'b:n', 'baremetal:node'), match.groups()[2:]))
    return found


@pytest.fixture(autouse=True)
def enforced(database: pathlib.Path) -> Iterator[None]:
    """With Keystone; without it everybody may do everything."""
    CONF.set_override('auth_strategy', 'keystone')
    enforcer = policy.get_enforcer()
    for rule in policies.RULES:
        if rule.name not in enforcer.registered_rules:
            enforcer.register_default(rule)
    yield
    CONF.clear_override('auth_strategy')


def asking(role: str, project: str | None, scope: str | None) -> Any:
    return ironic_context.RequestContext(
        user_id='u', project_id=project, system_scope=scope,
        roles=ROLES[role])


def may(name: str, context: Any) -> bool:
    try:
        policy.authorize(name, {'node.owner': OWNER, 'node.lessee': LESSEE},
                         context.to_policy_values())
    except exception.HTTPForbidden:
        return False
    return True


def test_table_has_each_thing_that_a_user_may_want() -> None:
    assert [what for what, _, _ in rows()] == [
        'read traits, ``list``', 'read firmware', '``show``, inventory',
        '``history``', '``plan``', '``refresh``', '``apply`` (clean)',
        '``apply`` (service)', '``enable``', '``hold``, ``unhold``',
        '``unlock``', 'deploy templates']


@pytest.mark.parametrize(('what', 'name', 'least'), rows())
def test_least_role_of_the_table_is_that_of_the_policy(
        what: str, name: str, least: tuple[str, ...]) -> None:
    assert name in policy.get_enforcer().registered_rules, what
    for told, (project, scope) in zip(
            least, COLUMNS.values(), strict=True):
        for role in ROLES:
            wanted = told != '--' and told in ROLES[role]
            assert may(name, asking(role, project, scope)) is wanted, role
    assert not may(name, asking('admin', STRANGER, None))


@pytest.fixture
def shown() -> Iterator[dict[str, str]]:
    """The rules of the page's policy.yaml, in force."""
    text = '\n'.join(b.text for b in consoles.blocks(PAGE)
                     if b.language == 'yaml')
    given = yaml.safe_load(text)
    enforcer = policy.get_enforcer()
    enforcer.load_rules()
    before = enforcer.rules.copy()
    try:
        enforcer.set_rules({**enforcer.rules, **{
            name: policy_rule(check) for name, check in given.items()}},
            overwrite=True, use_conf=False)
        yield given
    finally:
        enforcer.set_rules(before, overwrite=True, use_conf=True)


def policy_rule(check: str) -> Any:
    """A check, as oslo.policy reads it from a file."""
    return _parser.parse_rule(check)


def test_project_cleans_by_runbook_alone_with_the_rules_of_the_page(
        shown: dict[str, str]) -> None:
    for kind in ('clean', 'service'):
        name = f'baremetal:node:set_provision_state:{kind}_steps'
        assert name in shown
        assert may(name, asking('member', None, 'all'))
        for project in (OWNER, LESSEE):
            assert not may(name, asking('admin', project, None))
    assert may('baremetal:node:set_provision_state',
               asking('member', OWNER, None))


def test_policy_of_a_single_step_fails_for_everybody_in_ironic_39(
        make_node: Make) -> None:
    """Once Ironic registers these rules, the page has to offer them."""
    steps = [{'interface': 'vendor', 'step': 'apply_profile'}]
    node = make_node(owner=OWNER)
    admin = asking('admin', None, 'all')
    conductor_steps.validate_user_steps_policy(admin, steps, node)
    enforcer = policy.get_enforcer()
    enforcer.load_rules()
    before = enforcer.rules.copy()
    try:
        enforcer.set_rules({**enforcer.rules, STEP_RULE: policy_rule('@')},
                           overwrite=True, use_conf=False)
        with pytest.raises(oslo_policy.PolicyNotRegistered):
            conductor_steps.validate_user_steps_policy(admin, steps, node)
    finally:
        enforcer.set_rules(before, overwrite=True, use_conf=True)
    assert f'``{STEP_RULE}``' in PAGE.read_text('utf-8')


def test_project_may_plan_and_not_hold_with_the_rule_of_the_page(
        shown: dict[str, str]) -> None:
    manager = asking('manager', OWNER, None)
    assert may('baremetal:node:vendor_passthru', manager)
    assert not may('baremetal:node:vendor_passthru',
                   asking('member', OWNER, None))
    assert not may(policies.HOLD, manager)
    assert not may(policies.UNLOCK, manager)


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
