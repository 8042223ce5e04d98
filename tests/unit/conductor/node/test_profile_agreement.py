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

"""Conductors that have different profiles under one name."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import logging
import pathlib
from typing import Any
from unittest import mock

from ironic.common import states
from ironic.conductor import base_manager
from ironic.conf import CONF
from ironic import objects
import pytest

from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.config import profiles
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import profile_agreement
from ironic_accel.conductor.node import verification
from ironic_accel.conductor.operation import runner
from ironic_accel.conductor.operation import observe
from ironic_accel.conductor.upkeep import periodics
from ironic_accel.conductor.upkeep import cleanup
from ironic_accel.converge.ports import Backend
from tests.unit.conductor import clocks
from tests.unit.conductor import sample

Make = Callable[..., Any]
PROFILE = 'CUSTOM_ACCEL_{}_ECC_ON'
BOTH = {PROFILE.format('IS'), PROFILE.format('CAN')}
OTHER = 'CUSTOM_ACCEL_IS_MIG_OFF'


class Conductor:
    """A conductor of its own: its name, profiles, knowledge and nodes."""

    def __init__(self, cloud: Cloud, host: str, folder: pathlib.Path
                 ) -> None:
        self.cloud, self.host = cloud, host
        self.folder = folder
        folder.mkdir()
        self.sites = profiles.SiteProfiles(str(folder))
        self.agreement = profile_agreement.Agreement()
        self.nodes = [cloud.make_node(provision_state=states.AVAILABLE)
                      for _ in range(2)]
        self.manager = mock.create_autospec(
            base_manager.BaseConductorManager, instance=True)
        self.manager.host = host
        self.manager.iter_nodes.side_effect = lambda filters: [
            row for row in objects.Node.dbapi.get_nodeinfo_list(
                columns=['uuid', 'driver', 'conductor_group'],
                filters=filters)
            if row[0] in {n.uuid for n in self.nodes}]
        objects.Conductor.register(cloud.context, host, ['accel-redfish'],
                                   '', update_existing=True)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """This process is the conductor, for a while."""
        with (
            mock.patch.object(profiles, '_instance', self.sites),
            mock.patch.object(profile_agreement, '_instance', self.agreement),
        ):
            yield

    def write(self, ecc: str) -> None:
        """Put profiles into the folder."""
        text = sample.yaml_of(sample.mode_profile('ecc-on', ecc=ecc),
                              sample.mode_profile('mig-off', ecc='enabled'))
        self.folder.joinpath(f'site-{ecc}.yaml').write_text(text)
        for path in self.folder.glob('*.yaml'):
            if path.stem != f'site-{ecc}':
                path.unlink()

    def pass_over(self) -> None:
        """One pass of the periodics, some time after the last."""
        self.cloud.now += profile_agreement.FRESH + 1
        with self.running():
            profile_agreement.announce(
                self.manager, self.cloud.context, periodics.Periodics)
            for node in self.nodes:
                node.refresh()
                if cleanup.wanted(node):
                    task = self.cloud.acquire(node)
                    cleanup.reap(task)
                    task.release_resources()
                node.refresh()
                if operation.load(node) is not None:
                    task = self.cloud.acquire(node)
                    runner.tick(task)
                    if task.node is not None:
                        task.release_resources()

    def look(self) -> list[set[str]]:
        """Look at the nodes; gives their traits."""
        with self.running():
            for node in self.nodes:
                task = self.cloud.acquire(node)
                observe.verify(task)
                task.release_resources()
        return self.traits()

    def traits(self) -> list[set[str]]:
        """The traits of the nodes that are about profiles."""
        return [{t for t in objects.TraitList.get_by_node_id(
            self.cloud.context, n.id).get_trait_names()
            if '_IS_' in t or '_CAN_' in t} for n in self.nodes]


class Cloud:
    """The database that the conductors share, and the time."""

    def __init__(self, make_node: Make, acquire: Make, context: Any,
                 folder: pathlib.Path) -> None:
        self.make_node, self.acquire = make_node, acquire
        self.context, self.folder = context, folder
        self.now = 1_000_000.0

    def conductor(self, host: str, ecc: str = 'enabled') -> Conductor:
        """A conductor whose profile ecc-on wants a mode."""
        made = Conductor(self, host, self.folder / host)
        made.write(ecc)
        return made


@pytest.fixture
def cloud(make_node: Make, acquire: Make, context: Any,
          tmp_path: pathlib.Path) -> Iterator[Cloud]:
    """No conductors yet."""
    made = Cloud(make_node, acquire, context, tmp_path)
    backend = mock.create_autospec(Backend, instance=True)
    seen = sample.box(*(sample.with_mode(sample.gpu(n), 'ecc', 'enabled')
                        for n in range(2)))
    backend.sources.return_value = sample.sources(seen)
    backend.transports.side_effect = lambda seen, _=(): (
        sample.transport(seen),)
    with clocks.told(lambda: made.now), \
        mock.patch.object(bmc_session, 'backend', autospec=True,
                          return_value=backend):
        yield made
    for name in context_hosts(context):
        objects.Conductor.delete(context, name)


def context_hosts(context: Any) -> list[str]:
    """Every conductor that was registered here."""
    return [c.hostname for c in objects.Conductor.list(context)]


def test_those_that_agree_publish(cloud: Cloud) -> None:
    pair = [cloud.conductor('one'), cloud.conductor('two')]
    for each in pair:
        each.pass_over()
    for each in pair:
        assert all(t >= BOTH | {OTHER} for t in each.look())


def test_those_that_differ_publish_nothing_and_say_so(
        cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    one, two = cloud.conductor('one'), cloud.conductor('two', 'disabled')
    with caplog.at_level(logging.ERROR):
        for each in (one, two, one):
            each.pass_over()
    said = [r.getMessage() for r in caplog.records
            if 'differs from' in r.getMessage()]
    assert sorted(said) == [
        'Profile ecc-on differs from the one on conductor one: neither '
        'conductor publishes it',
        'Profile ecc-on differs from the one on conductor two: neither '
        'conductor publishes it']
    for each in (one, two):
        for traits in each.look():
            assert not traits & BOTH
            assert OTHER in traits


def test_published_traits_are_withdrawn_and_published_again(
        cloud: Cloud) -> None:
    one, two = cloud.conductor('one'), cloud.conductor('two')
    for each in (one, two, one):
        each.pass_over()
        each.look()
    two.write('disabled')
    for each in (two, one, two):
        each.pass_over()
    for traits in (*one.traits(), *two.traits()):
        assert not traits & BOTH
        assert OTHER in traits
    assert all('ecc-on' not in verification.of(n) for n in one.nodes)
    one.write('disabled')
    two.write('enabled')
    for each in (two, one, two):
        each.pass_over()
    assert not any(t & BOTH for t in (*one.traits(), *two.traits()))
    one.write('enabled')
    for each in (one, two, one):
        each.pass_over()
    for each in (one, two):
        assert all(t >= BOTH | {OTHER} for t in each.traits())
        assert all(keys.DIFFERING.name not in n.driver_internal_info
                   for n in each.nodes)


def test_result_names_the_conductor_that_differs(cloud: Cloud) -> None:
    one, two = cloud.conductor('one'), cloud.conductor('two', 'disabled')
    two.pass_over()
    one.look()
    node = one.nodes[0]
    task = cloud.acquire(node)
    with one.running():
        task.driver.vendor.accel_refresh(task, http_method='POST')
        runner.tick(task)
    node.refresh()
    result = node.driver_internal_info[keys.RESULT.name]
    assert result['differing'] == {'ecc-on': 'two'}


def test_offline_conductor_is_ignored(cloud: Cloud) -> None:
    one, two = cloud.conductor('one'), cloud.conductor('two', 'disabled')
    two.pass_over()
    one.pass_over()
    assert not any(t & BOTH for t in one.look())
    objects.Conductor.get_by_hostname(cloud.context, 'two').unregister()
    one.pass_over()
    assert all(t >= BOTH for t in one.traits())


def test_a_profile_that_only_one_has_is_no_difference(
        cloud: Cloud) -> None:
    one, two = cloud.conductor('one'), cloud.conductor('two')
    for path in two.folder.glob('*.yaml'):
        path.unlink()
    two.pass_over()
    one.pass_over()
    assert all(t >= BOTH for t in one.look())
    assert two.look() == [set(), set()]


def test_a_beacon_is_written_once_and_where_there_is_room(
        cloud: Cloud) -> None:
    one = cloud.conductor('one')
    one.pass_over()
    assert profile_agreement.others('another') == ()
    cloud.conductor('two')
    locked, free = one.nodes
    objects.Node.reserve(cloud.context, 'somebody', locked.id)
    try:
        one.pass_over()
    finally:
        objects.Node.release(cloud.context, 'somebody', locked.id)
    free.refresh()
    first = free.driver_internal_info[keys.SITE.name]
    assert first['host'] == 'one'
    one.pass_over()
    for node in one.nodes:
        node.refresh()
    assert free.driver_internal_info[keys.SITE.name] == first
    assert keys.SITE.name not in locked.driver_internal_info
    one.write('disabled')
    one.pass_over()
    free.refresh()
    assert free.driver_internal_info[keys.SITE.name]['profiles'] \
        != first['profiles']


@pytest.mark.parametrize('jump', [-86400.0, -3600.0, 3600.0, 86400.0])
@pytest.mark.parametrize('aged', [False, True])
def test_the_later_beacon_counts_whatever_the_clocks_say(
        cloud: Cloud, jump: float, aged: bool) -> None:
    """One stays behind on a node that cannot be written to any more.

    :param aged: whether that one is of a version that did not number them.
    """
    one = cloud.conductor('one')
    cloud.conductor('two')
    one.pass_over()
    behind = next(n for n in one.nodes
                  if keys.SITE.name in n.driver_internal_info)
    if aged:
        beacon = dict(behind.driver_internal_info[keys.SITE.name])
        del beacon['number']
        behind.set_driver_internal_info(keys.SITE.name, beacon)
        behind.save()
    objects.Node.reserve(cloud.context, 'somebody', behind.id)
    try:
        one.write('disabled')
        cloud.now += jump
        one.pass_over()
    finally:
        objects.Node.release(cloud.context, 'somebody', behind.id)
    told, = profile_agreement.others('two')
    assert told.node != behind.uuid
    with one.running():
        assert told.profiles == profile_agreement.own()
    # And nobody asks a day later, or never, what the others say.
    two = profile_agreement.Agreement()
    two.host = 'two'
    with mock.patch.object(profiles, '_instance', one.sites), \
            mock.patch.object(profile_agreement, 'others', autospec=True,
                              return_value=()) as asked:
        for _ in range(3):
            two.differing()
        assert asked.call_count == 1
        cloud.now += profile_agreement.FRESH + 1
        two.differing()
        assert asked.call_count == 2


def test_a_beacon_that_is_not_understood_or_has_no_room_is_passed_over(
        cloud: Cloud) -> None:
    one = cloud.conductor('one')
    cloud.conductor('two')
    odd, free = one.nodes
    odd.set_driver_internal_info(keys.SITE.name, {'host': 'later'})
    odd.set_driver_internal_info('somebody', 'x' * 59990)
    odd.save()
    one.pass_over()
    odd.refresh()
    free.refresh()
    assert odd.driver_internal_info[keys.SITE.name] == {'host': 'later'}
    assert [b.node for b in profile_agreement.others('two')] == [free.uuid]


def test_the_conductor_s_name_is_ironic_s(cloud: Cloud) -> None:
    """With JSON RPC on a port of its own it has the port in it."""
    assert CONF.host == 'this-conductor'
    one = cloud.conductor('this-conductor:8090')
    cloud.conductor('another')
    one.pass_over()
    with one.running():
        assert profile_agreement.agreement().host == 'this-conductor:8090'
        assert profile_agreement.others('this-conductor:8090') == ()
        assert [b.host for b in profile_agreement.others('another')] == [
            'this-conductor:8090']
