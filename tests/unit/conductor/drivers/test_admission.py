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

"""What stored data can refuse is refused at the call of Ironic's API.

The conductor's own methods are called, as the API calls them.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from concurrent import futures
import pathlib
from typing import Any
from unittest import mock

from ironic.common import exception
from ironic.common import states
from ironic.conductor import manager
from ironic.db import api as db_api
from ironic.drivers.modules import ramdisk
from ironic import objects
import oslo_messaging
from oslo_utils import uuidutils
import pytest

from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.drivers import requested_steps
from ironic_accel.conductor.node import inventory_store
from ironic_accel.conductor.node import keys
from tests.unit.conductor import clocks
from tests.unit.conductor import sample

Make = Callable[..., Any]
BEFORE = {'clean': states.MANAGEABLE, 'deploy': states.AVAILABLE,
          'service': states.ACTIVE}
BEGUN = {'clean': states.CLEANING, 'deploy': states.DEPLOYING,
         'service': states.SERVICING}
NOW = 1_000_000.0


class Cloud:
    """A conductor that is asked by the API.

    :ivar begun: the workers that it has begun.
    """

    def __init__(self, make_node: Make, context: Any) -> None:
        self.make_node = make_node
        self.context = context
        self.begun: list[Any] = []
        self.conductor = manager.ConductorManager('this-conductor', 'topic')
        self.conductor.dbapi = db_api.get_instance()
        self.conductor.conductor = mock.create_autospec(
            objects.Conductor, instance=True, id=1)

    def node(self, kind: str, stored: Any = None, **fields: Any) -> Any:
        """A node that the operation may begin on, and what is stored of it.
        """
        node = self.make_node(provision_state=BEFORE[kind], **fields)
        if stored is not None:
            task = mock.Mock(node=node, context=self.context)
            inventory_store.save(task, stored, (sample.transport(stored),))
        return node

    def ask(self, kind: str, node: Any, *steps: dict[str, Any]) -> None:
        """Ask for steps as the API does."""
        listed = [{'interface': 'vendor', 'args': {}, **step}
                  for step in steps]
        if kind == 'deploy':
            self.call('do_node_deploy', node, deploy_steps=[
                {'priority': 150, **s} for s in listed])
        else:
            self.call(f'do_node_{kind}', node, listed)

    def call(self, name: str, node: Any, *args: Any, **more: Any) -> None:
        """Call a method of the conductor; what it expects to raise is told
        to the API."""
        try:
            getattr(self.conductor, name)(
                self.context, node.uuid, *args, **more)
        except oslo_messaging.ExpectedException as exc:
            raise exc.exc_info[1] from None

    def refused(self, kind: str, node: Any, *steps: dict[str, Any]) -> str:
        """Why it is answered with a 4xx; nothing has begun by then."""
        before = objects.Node.get_by_id(self.context, node.id)
        with pytest.raises(exception.IronicException) as caught:
            self.ask(kind, node, *steps)
        assert 400 <= caught.value.code < 500
        after = objects.Node.get_by_id(self.context, node.id)
        for field in ('provision_state', 'target_provision_state',
                      'power_state', 'maintenance', 'last_error',
                      'driver_internal_info', 'reservation'):
            assert getattr(after, field) == getattr(before, field)
        assert self.begun == []
        return str(caught.value)


@pytest.fixture
def cloud(make_node: Make, context: Any, profiles: pathlib.Path
          ) -> Iterator[Cloud]:
    """A conductor with the site profile ``h100-new``; workers are noted."""
    profiles.joinpath('site.yaml').write_text(
        sample.yaml_of(sample.profile_data()))
    made = Cloud(make_node, context)

    def spawn(_self: Any, function: Any, task: Any, *_args: Any) -> Any:
        made.begun.append(function)
        done = futures.Future[None]()
        done.set_result(None)
        return done

    with mock.patch.object(manager.ConductorManager, '_spawn_worker',
                           autospec=True, side_effect=spawn), \
        clocks.told(lambda: NOW), \
        mock.patch.object(ramdisk.RamdiskDeploy, 'validate', autospec=True):
        yield made


BAD = [
    ({'step': 'apply_profile'}, 'profile: required argument missing'),
    ({'step': 'apply_profile', 'args': {'profile': 'other'}},
     "'other' is no site profile"),
    ({'step': 'apply_profile', 'args': {'profile': 'h100-new', 'x': 1}},
     'x: unknown argument; supported arguments: allow_disruption, '
     'max_activation, max_effect, profile'),
    ({'step': 'apply_profile', 'args': {
        'profile': 'h100-new', 'max_activation': 'gentle'}}, 'gentle'),
    ({'step': 'apply_profile', 'args': {
        'profile': 'h100-new', 'max_effect': 'gentle'}}, 'gentle'),
    ({'step': 'apply_profile', 'args': {
        'profile': 'h100-new', 'max_activation': 'none',
        'max_effect': 'warm-reboot'}},
     "max_activation is 'none', but max_effect, its deprecated name, is "
     "'warm-reboot'"),
    ({'step': 'apply_profile', 'args': {
        'profile': 'h100-new', 'allow_disruption': 'yes'}},
     'expected true or false'),
    ({'step': 'apply_profile_in_band', 'args': {}},
     'profile: required argument missing'),
    ({'step': 'apply_profile_in_band', 'args': {'profile': 'other'}},
     "'other' is no site profile")]


@pytest.mark.parametrize(('step', 'told'), BAD)
@pytest.mark.parametrize('place', [0, 1])
@pytest.mark.parametrize('kind', BEFORE)
def test_invalid_arguments_are_refused_at_any_position(
        cloud: Cloud, kind: str, place: int, step: dict[str, Any],
        told: str) -> None:
    before = [{'interface': 'bios', 'step': 'factory_reset'}] * place
    node = cloud.node(kind)
    assert told in cloud.refused(kind, node, *before, step)


def test_a_service_wants_consent_before_it_begins(cloud: Cloud) -> None:
    node = cloud.node('service')
    told = cloud.refused('service', node, {
        'step': 'apply_profile', 'args': {
            'profile': 'h100-new', 'max_activation': 'power-cycle'}})
    assert 'max_activation power-cycle requires allow_disruption' in told
    assert 'requires allow_disruption' in cloud.refused('service', node, {
        'step': 'reset_devices'})


APPLY = {'step': 'apply_profile', 'args': {'profile': 'h100-new'}}


@pytest.mark.parametrize('kind', ['deploy', 'service'])
def test_plan_of_the_stored_inventory_is_refused(
        cloud: Cloud, kind: str) -> None:
    """A service may reset nothing; a deploy may not burn."""
    node = cloud.node(kind, sample.box())
    told = cloud.refused(kind, node, APPLY)
    assert 'refused, nothing was changed' in told
    assert 'inventory of 0 s ago' in told
    assert 'run: baremetal accelerator refresh ' in told


@pytest.mark.parametrize('inventory', [
    sample.box(complete=False), sample.box(host='off'), None])
def test_incomplete_inventory_refuses_nothing(
        cloud: Cloud, inventory: Any) -> None:
    node = cloud.node('service', inventory)
    cloud.ask('service', node, APPLY)
    assert len(cloud.begun) == 1


@pytest.mark.parametrize('before', [
    {'interface': 'bios', 'step': 'factory_reset'},
    {'step': 'refresh_traits'}])
def test_no_plan_after_an_earlier_step(
        cloud: Cloud, before: dict[str, Any]) -> None:
    node = cloud.node('service', sample.box())
    cloud.ask('service', node, before, APPLY)
    assert len(cloud.begun) == 1


@pytest.mark.parametrize('kind', BEFORE)
def test_valid_step_is_accepted(cloud: Cloud, kind: str) -> None:
    node = cloud.node(kind)
    cloud.ask(kind, node, APPLY)
    node.refresh()
    assert node.provision_state == BEGUN[kind]


def test_a_deploy_template_is_refused_too(cloud: Cloud, context: Any) -> None:
    template = objects.DeployTemplate(
        context, uuid=uuidutils.generate_uuid(),
        name='CUSTOM_ACCEL_CAN_OTHER', steps=[{
            'interface': 'vendor', 'step': 'apply_profile', 'priority': 150,
            'args': {'profile': 'other'}}])
    template.create()
    node = cloud.node('deploy', instance_info={
        'traits': ['CUSTOM_ACCEL_CAN_OTHER']})
    objects.Trait(context, node_id=node.id,
                  trait='CUSTOM_ACCEL_CAN_OTHER').create()
    try:
        with pytest.raises(exception.IronicException) as caught:
            cloud.call('do_node_deploy', node)
    finally:
        template.destroy()
    assert "'other' is no site profile" in str(caught.value)
    assert caught.value.code == 400


def test_a_later_version_s_node_is_not_begun_on(cloud: Cloud) -> None:
    node = cloud.node('service', driver_internal_info={
        keys.RECORD.name: {'schema': 'record/9'}})
    assert 'record/9' in cloud.refused('service', node, APPLY)


HELD = {keys.HOLD.name: {'reason': 'audit', 'by': 'ops', 'at': NOW}}
FIRST_BOOT = {'step': 'deliver_first_boot',
              'args': {'profile': 'h100-new'}}
IN_BAND = {'step': 'apply_profile_in_band',
           'args': {'profile': 'h100-new'}}
WRITES = [('clean', APPLY), ('clean', {'step': 'apply_baseline'}),
          ('clean', {'step': 'reset_devices'}), ('clean', IN_BAND),
          ('service', APPLY), ('service', IN_BAND),
          ('service', {'step': 'reset_devices', 'args': {
              'allow_disruption': True}}),
          ('deploy', APPLY), ('deploy', IN_BAND), ('deploy', FIRST_BOOT)]


@pytest.fixture(params=['option', 'hold', 'child'])
def stopped(request: pytest.FixtureRequest, cloud: Cloud
            ) -> Iterator[tuple[Callable[[str], Any], str]]:
    """How to make a node that is stopped, and what is told of it."""
    how = request.param

    def make(kind: str) -> Any:
        node = cloud.node(
            kind, driver_internal_info=HELD if how == 'hold' else {})
        if how == 'child':
            cloud.make_node(parent_node=node.uuid, driver_internal_info=HELD)
        return node

    if how == 'option':
        CONF.set_override('allow_writes', False, group='accelerator')
    yield make, ('allow_writes is not true' if how == 'option'
                 else 'is held by ops: audit')
    CONF.clear_override('allow_writes', group='accelerator')


@pytest.mark.parametrize('before', [
    [], [{'interface': 'bios', 'step': 'factory_reset'}],
    [{'step': 'refresh_traits'}]])
@pytest.mark.parametrize(('kind', 'step'), WRITES)
def test_writing_step_is_refused_while_held(
        cloud: Cloud, stopped: tuple[Callable[[str], Any], str], kind: str,
        step: dict[str, Any], before: list[dict[str, Any]]) -> None:
    make, told = stopped
    node = make(kind)
    with pytest.raises(exception.InvalidState) as caught:
        cloud.ask(kind, node, *before, step)
    assert caught.value.code == 409
    why = cloud.refused(kind, node, *before, step)
    assert f"{step['step']} refused" in why
    assert told in why


@pytest.mark.parametrize('kind', BEFORE)
def test_reading_step_is_accepted_while_held(
        cloud: Cloud, stopped: tuple[Callable[[str], Any], str],
        kind: str) -> None:
    node = stopped[0](kind)
    cloud.ask(kind, node, {'step': 'refresh_traits'},
              {'interface': 'bios', 'step': 'apply_profile'})
    assert len(cloud.begun) == 1


def test_a_template_of_the_instance_is_refused_while_held(
        cloud: Cloud, context: Any) -> None:
    template = objects.DeployTemplate(
        context, uuid=uuidutils.generate_uuid(),
        name='CUSTOM_ACCEL_CAN_H100_NEW', steps=[{
            'interface': 'vendor', 'priority': 150, **APPLY}])
    template.create()
    node = cloud.node('deploy', driver_internal_info=HELD, instance_info={
        'traits': ['CUSTOM_ACCEL_CAN_H100_NEW']})
    objects.Trait(context, node_id=node.id,
                  trait='CUSTOM_ACCEL_CAN_H100_NEW').create()
    try:
        told = cloud.refused('deploy', node)
    finally:
        template.destroy()
    assert 'is held by ops: audit' in told


def test_other_steps_and_other_calls_are_let_pass(
        cloud: Cloud, acquire: Make) -> None:
    node = cloud.node('service')
    cloud.ask('service', node, {'interface': 'bios', 'step': 'apply_profile'})
    assert len(cloud.begun) == 1
    task = acquire(cloud.node('clean'))
    assert requested_steps.steps(task) is None
    task.driver.power.validate(task)


UNACCEPTABLE = [
    ['/redfish/v1/TaskService'], '/redfish/v1/Systems/1/Processors/GPU1',
    ['http://bmc/redfish/v1/X'], ['/redfish/v1/UpdateService'], 7]


@pytest.mark.parametrize('accepted', UNACCEPTABLE)
@pytest.mark.parametrize('name', ['apply_profile', 'refresh_traits'])
def test_invalid_accept_unread_is_refused_at_the_request(
        cloud: Cloud, name: str, accepted: Any) -> None:
    node = cloud.node('clean')
    node.driver_info = {**node.driver_info, 'accel_accept_unread': accepted}
    node.save()
    step = {**APPLY, 'step': name}
    if name == 'refresh_traits':
        step['args'] = {}
    assert 'driver_info/accel_accept_unread' in cloud.refused(
        'clean', node, step)


@pytest.mark.parametrize('accepted', UNACCEPTABLE)
def test_refresh_with_invalid_accept_unread_is_refused(
        cloud: Cloud, accepted: Any) -> None:
    node = cloud.node('clean')
    node.driver_info = {**node.driver_info, 'accel_accept_unread': accepted}
    node.save()
    with pytest.raises(exception.InvalidParameterValue,
                       match='driver_info/accel_accept_unread'):
        cloud.call('vendor_passthru', node, 'accel_refresh', 'POST', {})
    assert cloud.begun == []


@pytest.mark.parametrize('kind', ['clean', 'deploy', 'service'])
def test_a_step_is_requested_of_the_interface_that_has_it(
        cloud: Cloud, kind: str) -> None:
    """Ironic boots the ramdisk for a step that no interface lists."""
    assert 'request vendor.apply_profile' in cloud.refused(
        kind, cloud.node(kind), {'interface': 'accelerator',
                                 'step': 'apply_profile', **APPLY})
