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
"""The step deliver_first_boot, up to the agent that does the writing."""

from __future__ import annotations

import base64
from collections.abc import Callable
from collections.abc import Iterator
import email
import gzip
import json
import pathlib
from typing import Any
from unittest import mock

from ironic.common import states
from ironic.conductor import utils as manager_utils
from ironic.drivers.modules.storage import noop
import pytest

from ironic_accel.conductor.access.agent_client import AgentCalls
from ironic_accel.conductor.access.agent_client import Lost
from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.operation import first_boot
from ironic_accel.conductor.operation import runner
from ironic_accel.inband import agent_rpc
from ironic_accel.inband.backend import LocalBackend
from ironic_accel.inband.firstboot import deliver
from ironic_accel.inband.firstboot import target
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model import loader
from tests.unit.conductor import clocks
from tests.unit.conductor.refusal import refused
from tests.unit.converge.box import Box
from tests.unit.inband import sample

Make = Callable[..., Any]
PROFILE: dict[str, Any] = {
    'profile': 1, 'name': 'qat-asym', 'allow': ['first_boot'], 'devices': {
        'crypto': {'match': {'kind': 'crypto'},
                   'modes': {'services': ['asym', 'sym'], 'vfs': 4}}}}


class Agent:
    """Answers as the agent's extension does, over the same functions.

    :ivar root: the instance's root file system.
    :ivar drives: the config drives that were written.
    :ivar key: what the answer calls the method: the release before had
        another name for it.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.root = folder / 'instance'
        self.drives: list[str] = []
        self.key = 'method'
        self.lost = 0
        _, host = sample.machine(folder)
        self._backend = LocalBackend(host, (), name='agent',
                                     folder=str(folder / 'jobs'))

    def ask(self, _calls: AgentCalls, command: str,
            **params: Any) -> dict[str, Any]:
        params = json.loads(json.dumps(params))
        if command == 'accel_observe':
            return dict(json.loads(json.dumps(
                agent_rpc.observe(self._backend))))
        assert command == 'accel_first_boot'
        if self.lost:
            self.lost -= 1
            raise Lost('no answer', error_class=ErrorClass.TRANSIENT)
        found = target.examine(self.root)
        answer = {'reasons': list(found.reasons), self.key: found.method,
                  'delivered': None}
        if found.reasons or params.get('look_only'):
            return {'first_boot': answer}
        drive = params.get('configdrive')
        if drive is None:
            deliver.inject(self.root, deliver.files(params['document']))
            return {'first_boot': {**answer, 'delivered': 'files'}}
        self.drives.append(drive)
        return {'first_boot': {**answer, 'delivered': 'configdrive'}}


class Stage:
    """A node in the middle of its deployment."""

    def __init__(self, make_node: Make, acquire: Make,
                 agent: Agent) -> None:
        self._make, self._acquire, self.agent = make_node, acquire, agent
        self.now = 1_000_000.0
        self.resumed: list[str] = []
        self.node: Any = None

    def begin(self, profile: Any = PROFILE, priority: int = 70,
              **fields: Any) -> None:
        """Run the step's body as Ironic does."""
        self.node = self._make(**{
            'deploy_interface': 'direct',
            'provision_state': states.DEPLOYING,
            'deploy_step': {'step': first_boot.STEP, 'interface': 'vendor',
                            'priority': priority},
            'driver_internal_info': {'agent_url': 'http://192.0.2.9',
                                     'agent_secret_token': 'x'}, **fields})
        task = self._acquire(self.node)
        task.node.provision_state = task.driver.vendor.execute_deploy_step(
            task, {'step': first_boot.STEP, 'args': {'profile': profile}})
        task.node.save()
        task.release_resources()

    def tick(self) -> None:
        """One tick."""
        task = self._acquire(self.node)
        runner.tick(task)
        if task.node is not None:
            task.release_resources()
        self.node.refresh()
        self.now += 30

    def run(self, **fields: Any) -> dict[str, Any]:
        """The step to its end; gives its result."""
        self.begin(**fields)
        for _ in range(10):
            self.tick()
            if operation.load(self.node) is None:
                return dict(
                    self.node.driver_internal_info[keys.RESULT.name])
        raise AssertionError(str(self.node.driver_internal_info))


@pytest.fixture
def stage(make_node: Make, acquire: Make, tmp_path: pathlib.Path,
          profiles: pathlib.Path) -> Iterator[Stage]:
    """A node, its agent behind the port, and an instance on its disk."""
    agent = Agent(tmp_path)
    _debian(agent.root)
    made = Stage(make_node, acquire, agent)

    def resume(task: Any, kind: str) -> None:
        made.resumed.append(kind)
        task.release_resources()

    CONF.set_override('first_boot_injection', True, group='accelerator')
    with clocks.told(lambda: made.now), \
        mock.patch.object(bmc_session, 'backend', autospec=True,
                          side_effect=lambda _node, **_: Box({}, {}, [])), \
        mock.patch.object(AgentCalls, 'ask', autospec=True,
                          side_effect=agent.ask), \
        mock.patch.object(manager_utils,
                          'notify_conductor_resume_operation',
                          autospec=True, side_effect=resume):
        yield made
    CONF.clear_override('first_boot_injection', group='accelerator')


def _debian(root: pathlib.Path, **more: str) -> None:
    for name, text in {'usr/lib/systemd/systemd': '', 'usr/bin/python3': '',
                       'usr/lib/python3.11/os.py': '', 'etc/hostname': '',
                       'sbin/.keep': '', **more}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    if not (root / 'sbin/init').is_symlink():
        (root / 'sbin/init').symlink_to('/lib/systemd/systemd')


def _document(root: pathlib.Path) -> list[tuple[str, Any]]:
    found = json.loads((root / deliver.DOCUMENT).read_text())
    return [(i['mode'], i['wanted']) for i in found['items']]


def test_an_instance_gets_files(stage: Stage) -> None:
    told = stage.run()
    assert (told['outcome'], told['delivered']) == ('done', 'files')
    assert told['first_boot_count'] == 2
    assert _document(stage.agent.root) == [
        ('services', ['asym', 'sym']), ('vfs', 4)]
    assert (stage.agent.root / deliver.WANTS).is_symlink()
    assert stage.resumed == ['deploy']


def test_a_site_profile_is_delivered(
        stage: Stage, profiles: pathlib.Path) -> None:
    profiles.joinpath('q.yaml').write_text(
        loader.to_yaml(loader.load_data(PROFILE)))
    assert stage.run(profile='qat-asym')['delivered'] == 'files'


@pytest.mark.parametrize('key', ['method', 'way'])
def test_cloud_init_gets_one_more_part(stage: Stage, key: str) -> None:
    stage.agent.key = key
    _debian(stage.agent.root, **{'usr/bin/cloud-init': ''})
    told = stage.run(instance_info={'configdrive': {
        'user_data': '#cloud-config\nruncmd: [[id]]\n',
        'vendor_data': {'cloud-init': '#!/bin/sh\n', 'mine': 1}}})
    assert told['delivered'] == 'configdrive'
    (drive,) = stage.agent.drives
    files = first_boot.read_drive(drive)
    assert files['openstack/latest/user_data'] == (
        b'#cloud-config\nruncmd: [[id]]\n')
    meta = json.loads(files['openstack/latest/meta_data.json'])
    assert meta['uuid'] == stage.node.uuid
    data = json.loads(files['openstack/latest/vendor_data2.json'])
    assert data['mine'] == 1
    theirs, ours = data['cloud-init']
    assert theirs == '#!/bin/sh\n'
    assert email.message_from_string(ours).get_filename() == deliver.SCRIPT
    assert not (stage.agent.root / deliver.DOCUMENT).exists()


@pytest.mark.parametrize(('info', 'why'), [
    ({}, 'has no config drive'),
    ({'configdrive': 'https://example.org/drive'}, 'is a URL'),
    ({'configdrive': base64.b64encode(gzip.compress(b'x', mtime=0)).decode()},
     'not an ISO 9660'),
    ({'configdrive': '%%%'}, 'not an ISO 9660'),
    ({'configdrive': {'user_data': '#cloud-config\nvendor_data2: '
                                   '{enabled: false}\n'}}, 'vendor data'),
    ({'configdrive': {'vendor_data': {'cloud-init': {'a': 1}}}},
     'has other content'),
])
def test_where_the_drive_cannot_carry_it_files_do(
        stage: Stage, info: dict[str, Any], why: str) -> None:
    _debian(stage.agent.root, **{'usr/bin/cloud-init': ''})
    told = stage.run(instance_info=info)
    assert told['delivered'] == 'files'
    assert why in told['note']
    assert stage.agent.drives == []


def test_nothing_to_deliver_is_no_failure(stage: Stage) -> None:
    data = {**PROFILE, 'devices': {'nics': {
        'match': {'kind': 'nic'}, 'modes': {'sriov': 'enabled'}}}}
    told = stage.run(profile=data)
    assert (told['outcome'], told['error']) == ('done', None)
    assert 'nothing to deliver' in told['note']
    assert not (stage.agent.root / deliver.DOCUMENT).exists()


@pytest.mark.parametrize(('more', 'reason'), [
    ({'etc/fstab': '/dev/sda1 / ext4 ro 0 1\n'}, 'read-only'),
    ({'etc/kernel/cmdline': 'roothash=ab\n'}, 'dm-verity'),
])
def test_unsuitable_instance_fails_the_step(
        stage: Stage, more: dict[str, str], reason: str) -> None:
    _debian(stage.agent.root, **more)
    told = stage.run()
    assert reason in told['error']['summary']
    assert reason in stage.node.last_error
    assert stage.node.provision_state == states.DEPLOYFAIL
    assert not (stage.agent.root / deliver.DOCUMENT).exists()


def test_a_missing_device_fails_the_step(stage: Stage) -> None:
    data = {**PROFILE, 'devices': {'crypto': {
        'match': {'kind': 'crypto'}, 'count': 2,
        'modes': {'services': ['dc']}}}}
    told = stage.run(profile=data)
    assert told['outcome'] == 'failed'
    assert told['error']['expected'] == '2'


def test_a_lost_answer_is_asked_for_again(stage: Stage) -> None:
    stage.agent.lost = 2
    assert stage.run()['delivered'] == 'files'


def test_an_agent_that_stays_silent_ends_the_step(stage: Stage) -> None:
    stage.agent.lost = 1000
    told = stage.run()
    assert (told['outcome'], told['error']['summary']) == (
        'failed', 'no answer')


@pytest.mark.parametrize(('fields', 'told'), [
    ({'profile': {**PROFILE, 'allow': []}}, 'does not allow first_boot'),
    ({'profile': 'other'}, "'other' is no site profile"),
    ({'priority': 80}, 'priority 80: expected 79 to 61'),
    ({'priority': 60}, 'priority 60: expected 79 to 61'),
    ({'deploy_interface': 'ramdisk'},
     'the deploy interface ramdisk writes no disk'),
])
def test_invalid_requests_are_refused_before_delivery(
        stage: Stage, fields: dict[str, Any], told: str) -> None:
    stage.begin(**fields)
    stage.node.refresh()
    assert told in refused(stage.node)


def test_a_site_that_does_not_want_it_refuses(stage: Stage) -> None:
    CONF.set_override('first_boot_injection', False, group='accelerator')
    stage.begin()
    stage.node.refresh()
    assert 'first_boot_injection' in refused(stage.node)


def test_an_instance_that_boots_from_a_volume_is_refused(
        stage: Stage) -> None:
    with mock.patch.object(noop.NoopStorage, 'should_write_image',
                           autospec=True, return_value=False):
        stage.begin()
    stage.node.refresh()
    assert 'volume' in refused(stage.node)
