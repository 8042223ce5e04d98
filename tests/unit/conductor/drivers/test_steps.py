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

"""What a step body does, and does not do."""

from __future__ import annotations

from collections.abc import Callable
import pathlib
import re
import time
from typing import Any
from unittest import mock

from ironic.common import async_steps
from ironic.common import exception
from ironic.common import states
from ironic.conf import CONF
import pytest

from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.config import ironic_series
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import queries
from ironic_accel.converge import advance as converge
from ironic_accel.model.device import Activation
from ironic_accel.model import loader
from ironic_accel.model.plan import Item
from ironic_accel.model.record import Record
from ironic_accel.model.record import Staged
from tests.unit.conductor.refusal import refused
from tests.unit.conductor import sample

Make = Callable[..., Any]
STATES = {'clean': states.CLEANING, 'deploy': states.DEPLOYING,
          'service': states.SERVICING}


@pytest.fixture(autouse=True)
def no_bmc() -> Any:
    """A step body has no word with the BMC."""
    with mock.patch.object(bmc_session, 'session', autospec=True) as session:
        yield session
    session.assert_not_called()


@pytest.fixture
def site(profiles: pathlib.Path) -> pathlib.Path:
    """A site profile ``h100-new``."""
    profiles.joinpath('site.yaml').write_text(
        sample.yaml_of(sample.profile_data()))
    return profiles


def run(acquire: Make, node: Any, kind: str, step: str = 'apply_profile',
        **args: Any) -> tuple[Any, Any]:
    node.provision_state = STATES[kind]
    node.save()
    task = acquire(node)
    call = getattr(task.driver.vendor, f'execute_{kind}_step')
    return task, call(task, {'step': step, 'args': args})


@pytest.mark.parametrize(('kind', 'wait', 'flag'), [
    ('clean', states.CLEANWAIT, async_steps.CLEANING_POLLING),
    ('deploy', states.DEPLOYWAIT, async_steps.DEPLOYMENT_POLLING),
    ('service', states.SERVICEWAIT, async_steps.SERVICING_POLLING)])
def test_a_step_is_written_down_and_waits(
        make_node: Make, acquire: Make, site: pathlib.Path, kind: str,
        wait: str, flag: str) -> None:
    began = time.monotonic()
    task, state = run(acquire, make_node(), kind, profile='h100-new')
    assert time.monotonic() - began < 1
    assert state == wait
    task.node.refresh()
    assert task.node.driver_internal_info[flag] is True
    current = operation.load(task.node)
    record = operation.load_record(task.node)
    assert current is not None
    assert record is not None
    assert (current.kind, current.work, current.profile, current.inline) == (
        kind, 'apply', 'h100-new', False)
    assert record.profile == 'h100-new'
    task.node.provision_state = wait
    assert operation.is_current(task.node, current)


def test_an_inline_profile_goes_with_the_node(
        make_node: Make, acquire: Make) -> None:
    data = sample.profile_data('inline')
    before = loader.canonical(data)
    task, _state = run(acquire, make_node(), 'clean', profile=data)
    assert loader.canonical(data) == before
    stored = task.node.driver_internal_info[keys.PROFILE.name]
    assert loader.load_data(stored) == sample.profile(data)


@pytest.mark.parametrize(('args', 'told'), [
    ({'profile': 'other'}, r"'other' is no site profile.*h100-new"),
    ({'profile': 7}, 'profile: int: expected the name'),
    ({'profile': {'profile': 1, 'name': 'BAD'}}, 'BAD'),
    ({'profile': 'h100-new', 'max_activation': 'gentle'},
     "max_activation: 'gentle': expected one of none, driver-reload"),
    ({'profile': 'h100-new', 'allow_disruption': 'yes'},
     "allow_disruption: 'yes': expected true or false"),
])
@pytest.mark.parametrize('kind', STATES)
def test_invalid_arguments_are_reported_and_nothing_begins(
        make_node: Make, acquire: Make, site: pathlib.Path,
        args: dict[str, Any], told: str, kind: str) -> None:
    task, state = run(acquire, make_node(), kind, **args)
    assert state == f'{kind} wait' or kind == 'deploy'
    assert re.search(told, refused(task.node))
    assert operation.load_record(task.node) is None


def test_a_service_step_disrupts_nothing_by_default(
        make_node: Make, acquire: Make, site: pathlib.Path) -> None:
    task, _state = run(acquire, make_node(), 'service', profile='h100-new')
    current = operation.load(task.node)
    assert current is not None
    assert (current.activation, current.power_on) == ('none', False)
    assert 'max_activation' in current.why


def test_a_service_step_wants_consent_for_any_reset(
        make_node: Make, acquire: Make, site: pathlib.Path) -> None:
    task, _state = run(acquire, make_node(), 'service', profile='h100-new',
                       max_activation='power-cycle')
    assert 'requires allow_disruption: true' in refused(task.node)
    task, _state = run(acquire, make_node(), 'service', profile='h100-new',
                       max_activation='power-cycle', allow_disruption=True)
    current = operation.load(task.node)
    assert current is not None
    assert (current.activation, current.disruption, current.power_on) == (
        'power-cycle', True, True)


def test_deprecated_max_effect_limits_a_step_and_warns(
        make_node: Make, acquire: Make, site: pathlib.Path,
        caplog: pytest.LogCaptureFixture) -> None:
    task, _state = run(acquire, make_node(), 'service', profile='h100-new',
                       max_effect='warm-reboot', allow_disruption=True)
    current = operation.load(task.node)
    assert current is not None
    assert (current.activation, current.why) == (
        'warm-reboot', 'max_activation of the step is warm-reboot')
    assert (f'Node {task.node.uuid}: argument max_effect of step '
            'apply_profile is deprecated') in caplog.text


def test_both_names_of_max_activation_have_to_agree(
        make_node: Make, acquire: Make, site: pathlib.Path) -> None:
    task, _state = run(acquire, make_node(), 'clean', profile='h100-new',
                       max_activation='none', max_effect='none')
    current = operation.load(task.node)
    assert current is not None
    assert current.activation == 'none'
    task, _state = run(acquire, make_node(), 'clean', profile='h100-new',
                       max_activation='none', max_effect='warm-reboot')
    assert refused(task.node) == (
        "max_activation is 'none', but max_effect, its deprecated name, is "
        "'warm-reboot': set max_activation only")


@pytest.mark.parametrize('kind', STATES)
def test_ironic_lists_both_names_of_max_activation(
        make_node: Make, acquire: Make, kind: str) -> None:
    task = acquire(make_node())
    declared, = [s for s in getattr(task.driver.vendor, f'{kind}_steps')
                 if s['step'] == 'apply_profile']
    assert {'max_activation', 'max_effect'} < set(declared['argsinfo'])
    told = declared['argsinfo']['max_effect']['description']
    assert told.startswith('Deprecated, use max_activation')


def test_staged_items_of_the_last_run_are_inherited(
        make_node: Make, acquire: Make, site: pathlib.Path) -> None:
    node = make_node()
    staged = (Staged(Item('gpu-0', 'gpu', 'firmware', sample.NEW),
                     Activation.POWER_CYCLE),)
    operation.store_record(node, Record(staged=staged))
    task, _state = run(acquire, node, 'clean', profile='h100-new')
    record = operation.load_record(task.node)
    assert record is not None
    assert record.staged == staged
    assert record == converge.begin(
        sample.profile(), Record(staged=staged), record.started)


def test_a_record_of_a_later_version_stops_the_step(
        make_node: Make, acquire: Make, site: pathlib.Path) -> None:
    node = make_node(driver_internal_info={
        keys.RECORD.name: {'schema': 'record/9'}})
    with pytest.raises(exception.InvalidState, match='record/9'):
        run(acquire, node, 'clean', profile='h100-new')


def test_power_that_may_not_go_off_limits_the_resets(
        make_node: Make, acquire: Make, site: pathlib.Path) -> None:
    task, _state = run(acquire, make_node(disable_power_off=True), 'clean',
                       profile='h100-new')
    current = operation.load(task.node)
    assert current is not None
    assert (current.activation, current.why) == (
        'warm-reboot', 'disable_power_off is set on the node')


def test_the_baseline_has_the_priority_that_is_configured(
        make_node: Make, acquire: Make) -> None:
    task = acquire(make_node())
    CONF.set_override('baseline_priority', 42, group='accelerator')
    try:
        found = {s['step']: s['priority']
                 for s in task.driver.vendor.get_clean_steps(task)}
    finally:
        CONF.clear_override('baseline_priority', group='accelerator')
    assert found['apply_baseline'] == 42
    assert found['apply_profile'] == 0
    again = {s['step']: s['priority']
             for s in task.driver.vendor.get_clean_steps(task)}
    assert again['apply_baseline'] == 0


def test_the_baseline_is_the_node_s_own_or_the_option_s(
        make_node: Make, acquire: Make, site: pathlib.Path) -> None:
    _task, state = run(acquire, make_node(), 'clean', 'apply_baseline')
    assert state is None
    info = {'redfish_address': 'http://192.0.2.7',
            'accel_baseline': 'h100-new'}
    task, state = run(acquire, make_node(driver_info=info), 'clean',
                      'apply_baseline')
    current = operation.load(task.node)
    assert current is not None
    assert (state, current.profile) == (states.CLEANWAIT, 'h100-new')


def test_no_step_can_be_aborted_and_none_wants_a_ramdisk(
        make_node: Make, acquire: Make) -> None:
    vendor = acquire(make_node()).driver.vendor
    for step in (*vendor.clean_steps, *vendor.service_steps):
        assert (step['step'], step['abortable'], step['requires_ramdisk']
                ) == (step['step'], False, False)
    assert all(s.get('abortable') is (
        False if ironic_series.ABORTABLE_DEPLOY_STEP.present else None)
        for s in vendor.deploy_steps)


def test_a_deploy_is_noted_as_a_tenancy(
        make_node: Make, acquire: Make) -> None:
    task, state = run(acquire, make_node(), 'deploy', 'note_tenant')
    assert state is None
    task.node.refresh()
    assert task.node.driver_internal_info[keys.TENANT.name] is True


def test_devices_in_use_are_not_reset(
        make_node: Make, acquire: Make) -> None:
    task, _state = run(acquire, make_node(), 'service', 'reset_devices')
    assert 'requires allow_disruption' in refused(task.node)
    task, _state = run(acquire, make_node(), 'clean', 'reset_devices',
                       devices=['gpu-0'])
    current = operation.load(task.node)
    assert current is not None
    assert (current.work, current.devices) == ('reset', ('gpu-0',))


@pytest.mark.parametrize(('one', 'other', 'same'), [
    ('https://192.0.2.1', 'https://192.0.2.1/', True),
    ('https://BMC.example.org', 'bmc.example.org', True),
    ('https://192.0.2.1:443/redfish/v1', '192.0.2.1', True),
    ('http://192.0.2.1', 'https://192.0.2.1', False),
    ('https://192.0.2.1:8443', 'https://192.0.2.1', False),
    ('https://[2001:db8::1]', 'https://[2001:DB8::1]/', True),
    ('https://[2001:db8::1]', 'https://[2001:db8:0:0::0:1]', True),
    ('https://[2001:db8::1]', 'https://[2001:db8::2]', False),
    ('https://bmc.example.org', 'https://bmc.example.org.:443', True)])
def test_one_bmc_has_one_address(
        make_node: Make, one: str, other: str, same: bool) -> None:
    found = {queries.bmc_address(make_node(
        driver_info={'redfish_address': a})) for a in (one, other)}
    assert None not in found
    assert (len(found) == 1) is same


def test_a_neighbour_in_use_limits_the_resets(
        make_node: Make, acquire: Make, site: pathlib.Path) -> None:
    other = make_node(provision_state=states.ACTIVE)
    task, _state = run(acquire, make_node(), 'clean', profile='h100-new')
    current = operation.load(task.node)
    assert current is not None
    assert current.activation == 'power-cycle'
    assert f'node {other.uuid}, which shares the BMC, is active' in current.why
