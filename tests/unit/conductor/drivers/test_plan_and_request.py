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

"""``accel_plan`` refuses what a request is refused for, and the reverse."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import itertools
import pathlib
from typing import Any
from unittest import mock

from ironic.common import exception
from ironic.common import states
import pytest

from ironic_accel.conductor.access import images
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import inventory_store
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.operation import node_plan
from ironic_accel.converge.ports import Bad
from ironic_accel.converge.ports import Fetching
from ironic_accel.converge.ports import Ready
from ironic_accel.faces.osc.jobs import apply_job
from ironic_accel.images import ImageStore
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Component
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Mode
from ironic_accel.model.plan import Transport
from osc_lib.exceptions import CommandError
from tests.unit.conductor import sample
from tests.unit.conductor.drivers import test_admission
from tests.unit.conductor.drivers.test_admission import BEFORE
from tests.unit.conductor.drivers.test_admission import Cloud
from tests.unit.conductor.drivers.test_admission import HELD
from tests.unit.conductor.drivers.test_admission import Make

cloud = test_admission.cloud
ECC = sample.mode_profile('ecc-on', ecc='enabled')
READY = Ready('/cache/bundle', 1000, sample.DIGEST)


@pytest.fixture(autouse=True)
def store() -> Iterator[Any]:
    """The image store of the conductor: the images of tests are there."""
    made = mock.create_autospec(ImageStore, instance=True)
    made.get.return_value = READY
    with mock.patch.object(images, 'store', autospec=True,
                           return_value=made):
        yield made


@pytest.fixture(autouse=True)
def site(cloud: Cloud, profiles: pathlib.Path) -> None:
    """Two site profiles: of firmware and ECC, and of ECC alone."""
    profiles.joinpath('site.yaml').write_text(
        sample.yaml_of(sample.profile_data(), ECC))


def plan(acquire: Make, node: Any, **args: Any) -> dict[str, Any]:
    """Call the passthru method as the API does."""
    task = acquire(node, shared=True)
    task.driver.vendor.validate(task, method='accel_plan', **args)
    found: dict[str, Any] = task.driver.vendor.accel_plan(task, **args)
    return found


def refuses(told: dict[str, Any]) -> bool:
    """Whether the plan says that a request would be refused."""
    made = told['plan']
    return bool(made['blocked'] or (
        made['refused'] and not made['undecided']))


STORED = {
    'good': sample.box(), 'off': sample.box(host='off'),
    'one': sample.box(sample.gpu(0)),
    'ill': sample.box(dataclasses.replace(sample.gpu(0), health='Critical'),
                      sample.gpu(1))}
CASES = [*((kind, name, False) for kind in BEFORE for name in STORED),
         *((kind, 'good', True) for kind in BEFORE)]


@pytest.mark.parametrize('kind, stored, held', CASES)
def test_a_plan_and_a_request_have_one_verdict(
        cloud: Cloud, acquire: Make, kind: str, stored: str, held: bool
        ) -> None:
    """For limits and consent; a refused request begins nothing."""
    for name, limit, disruption in itertools.product(
            ('h100-new', 'ecc-on'),
            (None, Activation.NONE, Activation.WARM_REBOOT),
            (False, True)):
        args: dict[str, Any] = {'profile': name, 'allow_disruption':
                                disruption}
        if limit is not None:
            args['max_activation'] = str(limit)
        node = cloud.node(kind, STORED[stored],
                          driver_internal_info=HELD if held else {})
        case = (name, limit, disruption)
        try:
            told = refuses(plan(acquire, node, kind=kind, **args))
        except exception.InvalidParameterValue as exc:
            why = cloud.refused(
                kind, node, {'step': 'apply_profile', 'args': args})
            assert held or str(exc) in why, case
            continue
        if told:
            cloud.refused(kind, node, {
                'step': 'apply_profile', 'args': args})
        else:
            cloud.ask(kind, node, {'step': 'apply_profile', 'args': args})
            assert len(cloud.begun) == 1, case
            cloud.begun.clear()


@pytest.mark.parametrize('answer, refused, unchecked', [
    (READY, None, False),
    (Bad('its server returned HTTP 404', '200', '404'), 'HTTP 404', False),
    (Fetching('1 MB fetched'), None, True)])
def test_images_are_checked(
        cloud: Cloud, acquire: Make, store: Any, answer: Any,
        refused: str | None, unchecked: bool) -> None:
    store.get.return_value = answer
    node = cloud.node('clean', STORED['good'])
    with mock.patch.object(node_plan, 'IMAGE_WAIT', 0.01):
        told = plan(acquire, node, profile='h100-new')
        assert refuses(told) is (refused is not None)
        lines = [x for x in told['plan']['not_checked'] if 'image' in x]
        assert bool(lines) is unchecked
        if refused:
            assert refused in told['plan']['refused'][0]['reason']
            assert refused in cloud.refused('clean', node, {
                'step': 'apply_profile', 'args': {'profile': 'h100-new'}})


def test_a_plan_says_how_old_it_is_and_what_it_did_not_check(
        cloud: Cloud, acquire: Make) -> None:
    told = plan(acquire, cloud.node('clean', STORED['good']),
                profile='ecc-on')
    assert (told['kind'], told['via'], told['age']) == (
        'clean', 'redfish', 0.0)
    assert told['plan']['not_checked'] == [node_plan.UNSEEN]
    assert told['plan']['counts'] == {
        'writes': 2, 'device_resets': 0, 'resets': 1}
    off = plan(acquire, cloud.node('clean', STORED['off']), profile='ecc-on')
    assert 'the stored inventory is not complete' in (
        off['plan']['not_checked'][1])


def test_a_service_resets_nothing_by_default(
        cloud: Cloud, acquire: Make) -> None:
    node = cloud.node('service', STORED['good'])
    told = plan(acquire, node, profile='ecc-on')
    assert (told['kind'], told['limit']['activation']) == ('service', 'none')
    assert refuses(told)
    assert not refuses(plan(
        acquire, node, profile='ecc-on', allow_disruption=True,
        max_activation='warm-reboot'))


@pytest.mark.parametrize('state', [
    states.ENROLL, states.MANAGEABLE, states.AVAILABLE, states.ACTIVE,
    states.CLEANFAIL, states.SERVICEFAIL, states.DEPLOYFAIL, states.ERROR,
    states.INSPECTFAIL, states.RESCUE, states.DEPLOYWAIT])
@pytest.mark.parametrize('kind', ['clean', 'service', None])
def test_a_state_that_apply_refuses_blocks_the_plan(
        cloud: Cloud, acquire: Make, state: str, kind: str | None) -> None:
    node = cloud.node('clean', STORED['good'])
    node.provision_state = state
    node.save()
    args = {'kind': kind} if kind else {}
    blocked = plan(acquire, node, profile='ecc-on', **args)[
        'plan']['blocked']
    try:
        apply_job.operation({'provision_state': state}, 'n', kind, True)
    except CommandError:
        one, = blocked
        assert one['item'] == 'state'
        assert state in one['reason'] and one['next']
    else:
        assert blocked == []


@pytest.mark.parametrize('fields, item, words', [
    ({'maintenance': True, 'maintenance_reason': 'fan'}, 'maintenance',
     'in maintenance (fan)'),
    ({'driver_internal_info': HELD}, 'hold', 'is held by ops: audit'),
    ({'driver_internal_info': {keys.RECORD.name: {'schema': 'record/9'}}},
     'record', 'record/9')])
def test_what_stands_in_the_way_is_named(
        cloud: Cloud, acquire: Make, fields: dict[str, Any], item: str,
        words: str) -> None:
    node = cloud.node('clean', STORED['good'], **fields)
    blocked = plan(acquire, node, profile='ecc-on')['plan']['blocked']
    assert [b['item'] for b in blocked] == [item]
    assert words in blocked[0]['reason']
    assert blocked[0]['next'].startswith(('baremetal ', 'upgrade '))


def test_a_disabled_conductor_names_its_option(
        cloud: Cloud, acquire: Make) -> None:
    CONF.set_override('allow_writes', False, group='accelerator')
    try:
        one, = plan(acquire, cloud.node('clean', STORED['good']),
                    profile='ecc-on')['plan']['blocked']
    finally:
        CONF.clear_override('allow_writes', group='accelerator')
    assert '[accelerator]allow_writes' in one['next']


@pytest.mark.parametrize('args, told', [
    ({'kind': 'rebuild'}, "kind: 'rebuild': expected clean or deploy or"),
    ({'via': 'ipmi'}, "via: 'ipmi': expected redfish or agent"),
    ({'allow_disruption': 'yes'}, 'expected true or false'),
    ({'allow_disruption': 1}, 'expected true or false'),
    ({'max_activation': 'gentle'}, "max_activation: 'gentle'"),
    ({'profile': 'other'}, "'other' is no site profile"),
    ({'effort': 1}, 'effort: unknown argument')])
def test_bad_arguments_are_refused(
        cloud: Cloud, acquire: Make, args: dict[str, Any], told: str) -> None:
    node = cloud.node('clean', STORED['good'])
    with pytest.raises(exception.InvalidParameterValue, match=None) as caught:
        plan(acquire, node, **{'profile': 'ecc-on', **args})
    assert told in str(caught.value)


def _two_sides(current: str) -> Inventory:
    """GPUs of which the BMC shows ECC, and the agent alone MIG."""
    gpus = [dataclasses.replace(sample.gpu(n), uri=f'/gpu/{n}', modes=(
        Mode('ecc', 'disabled', allowed=('enabled', 'disabled'),
             activation=Activation.WARM_REBOOT, persistent=True,
             uri=f'/gpu/{n}'),
        Mode('mig', current, allowed=('enabled', 'disabled'),
             activation=Activation.NONE, persistent=True)),
        components=(Component('gpu', f'G{n}', sample.OLD, updateable=True,
                              activation=Activation.POWER_CYCLE,
                              uri=f'/fw/{n}'),)) for n in range(2)]
    return sample.box(*gpus, seen_via=('redfish', 'agent'))


@pytest.mark.parametrize('current', ['disabled', 'enabled'])
def test_a_plan_without_the_ramdisk_goes_by_what_the_bmc_shows(
        cloud: Cloud, acquire: Make, context: Any, current: str) -> None:
    seen = _two_sides(current)
    node = cloud.node('clean')
    inventory_store.save(
        mock.Mock(node=node, context=context), seen, (
            Transport('redfish', {}, frozenset(
                (d.id, 'ecc') for d in seen.devices)),
            Transport('agent', {}, frozenset(
                (d.id, 'mig') for d in seen.devices))))
    inline = sample.mode_profile('mig-on', mig='enabled')
    alone = plan(acquire, node, profile=inline)
    assert refuses(alone)
    assert {r['name'] for r in alone['plan']['refused']} == {'mig'}
    both = plan(acquire, node, profile=inline, via='agent')
    assert not refuses(both)
    assert both['plan']['converged'] is (current == 'enabled')


def test_what_the_ramdisk_may_do_is_not_refused(
        cloud: Cloud, acquire: Make, context: Any) -> None:
    """Nobody has booted it on this node; a count is certain all the same."""
    node = cloud.node('clean')
    inventory_store.save(mock.Mock(node=node, context=context),
                         sample.box(), (Transport('redfish'),))
    told = plan(acquire, node, profile='ecc-on', via='agent')
    assert told['plan']['undecided'] and told['plan']['refused']
    assert any('ramdisk' in x for x in told['plan']['not_checked'])
    cloud.ask('clean', node, {'step': 'apply_profile_in_band',
                              'args': {'profile': 'ecc-on'}})
    assert len(cloud.begun) == 1
    more = sample.mode_profile('three', ecc='enabled')
    more['devices']['gpus']['count'] = 3
    assert refuses(plan(acquire, cloud.node('clean', sample.box()),
                        profile=more, via='agent'))


@pytest.mark.parametrize('outcome, after, outdated', [
    ('failed', 5.0, True), ('failed', -500.0, False),
    ('converged', 5.0, False), (None, 0.0, False)])
def test_an_inventory_from_before_a_failure_is_outdated(
        cloud: Cloud, acquire: Make, outcome: str | None, after: float,
        outdated: bool) -> None:
    """A plan from it does not see what the operation has left behind."""
    info = {} if outcome is None else {keys.RESULT.name: {
        'outcome': outcome, 'finished': clock.now() + after}}
    node = cloud.node('clean', STORED['good'], driver_internal_info=info)
    assert plan(acquire, node, profile='ecc-on')['outdated'] is outdated
