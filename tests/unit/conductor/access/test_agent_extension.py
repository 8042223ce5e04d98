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

"""The conductor's way to the agent, with the agent's own API behind it."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses
import functools
import hashlib
import http.server
import importlib.util
import os
import pathlib
import subprocess
import sys
import threading
import time
import types
from typing import Any
from unittest import mock

import pytest

from ironic_accel.conductor.access.agent_backend import AgentBackend
from ironic_accel.conductor.access.agent_client import AgentCalls
from ironic_accel.conductor.access import images
from ironic_accel.conductor.config.options import CONF
from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Poll
from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Running
from ironic_accel.converge.ports import Unknown
from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.plan import Action
from ironic_accel.model.profile import Image
from tests.unit.inband import sample

ROOT = pathlib.Path(__file__).parents[4]
NIC = 'nic-theirs'
TOKEN = 'of-this-boot'

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec('ironic_python_agent') is None,
    reason='ironic-python-agent is not installed')


@contextlib.contextmanager
def _agent(folder: pathlib.Path) -> Iterator[Any]:
    """An agent's process; gives a task whose node knows of it."""
    with subprocess.Popen(
            [sys.executable, '-W', 'ignore', '-m',
             'tests.contract.inband.agent_server', str(folder), TOKEN],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        yield types.SimpleNamespace(node=types.SimpleNamespace(
            uuid='the-node', driver_info={}, driver_internal_info={
                'agent_url': f'http://127.0.0.1:{port}',
                'agent_secret_token': TOKEN}))
        process.kill()


@pytest.fixture(name='task')
def _task(database: Any, tmp_path: pathlib.Path) -> Iterator[Any]:
    with _agent(tmp_path) as task:
        yield task


def _looked(task: Any) -> tuple[AgentBackend, Inventory]:
    """A backend that has looked, and the look by another's names."""
    backend = AgentBackend(AgentCalls(task))
    seen = backend.observe()
    return backend, dataclasses.replace(seen, devices=tuple(
        dataclasses.replace(d, id=NIC) if d.kind == 'nic' else d
        for d in seen.devices))


def _ended(backend: AgentBackend, ticket: Any) -> Poll:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        poll = backend.poll(ticket)
        if not isinstance(poll, Running):
            return poll
        time.sleep(0.05)
    raise AssertionError('it does not end')


def _by_agent(action: Action) -> Action:
    return dataclasses.replace(action, transport='agent')


def test_it_sees_and_sets(task: Any, tmp_path: pathlib.Path) -> None:
    backend, seen = _looked(task)
    assert (seen.seen_via, seen.host, seen.requests) == (('agent',), 'on', 1)
    assert {d.kind for d in seen.devices} == {'nic', 'gpu', 'crypto'}
    (transport,) = backend.transports(seen)
    assert transport.name == 'agent'
    assert (NIC, 'sriov') in transport.sets
    end = _ended(backend, backend.start(_by_agent(sample.set_sriov(NIC))))
    assert isinstance(end, Ended)
    assert [(r.ref, r.ok) for r in end.results] == [((NIC, 'sriov'), True)]
    assert (tmp_path / 'state-sriov').read_text() == 'enabled'


@pytest.fixture(name='served')
def _served(tmp_path: pathlib.Path) -> Iterator[Ready]:
    """An image on the conductor, which serves it beside its ramdisks."""
    folder = tmp_path / 'http'
    folder.mkdir()
    handler = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        CONF.set_override('image_serve_dir', str(folder),
                          group='accelerator')
        CONF.set_override('image_serve_url',
                          f'http://127.0.0.1:{web.server_port}',
                          group='accelerator')
        path = sample.image(tmp_path).path
        yield Ready(path, 8, hashlib.sha256(b'firmware').hexdigest())
        web.shutdown()
    for name in ('image_serve_dir', 'image_serve_url'):
        CONF.clear_override(name, group='accelerator')


def test_ramdisk_updates_with_an_image_of_the_conductor(
        task: Any, tmp_path: pathlib.Path, served: Ready) -> None:
    """The ramdisk cannot read the file that the profile names."""
    sample.tool(tmp_path, 'burner', 'cat "$2" > "$0.got"; echo done')
    backend, seen = _looked(task)
    (transport,) = backend.transports(seen)
    assert (NIC, 'nic') in transport.updates
    spec = Image('image', f'file://{served.path}', served.sha256,
                 {'psid': ('X',)})
    end = _ended(backend, backend.start(
        _by_agent(sample.burn(NIC)), served, spec))
    assert isinstance(end, Ended)
    assert [(r.ok, r.detail) for r in end.results] == [(True, None)]
    assert (tmp_path / 'bin/burner.got').read_text() == 'firmware'


def test_a_second_write_on_a_card_is_turned_down(
        task: Any, tmp_path: pathlib.Path, served: Ready) -> None:
    sample.tool(tmp_path, 'burner', 'read x < "$0.go"; echo done')
    pipe = tmp_path / 'bin/burner.go'
    os.mkfifo(pipe)
    both_ends = os.open(pipe, os.O_RDWR)
    backend, seen = _looked(task)
    backend.transports(seen)
    spec = Image('image', 'https://images.example.org/i', served.sha256, {})
    burn = _by_agent(sample.burn(NIC))
    ticket = backend.start(burn, served, spec)
    with pytest.raises(Rejected, match='is running on this card') as told:
        backend.start(burn, served, spec)
    assert told.value.retry_after is not None
    assert isinstance(backend.poll(ticket), Running)
    (busy,) = backend.observe().busy
    assert busy.ticket is not None
    assert busy.ticket['job'] == ticket['job']
    os.write(both_ends, b'go\n')
    assert isinstance(_ended(backend, ticket), Ended)
    os.close(both_ends)


def test_missing_agent_and_restarted_agent(
        database: Any, tmp_path: pathlib.Path) -> None:
    with _agent(tmp_path) as task:
        backend, seen = _looked(task)
        backend.transports(seen)
        ticket = backend.start(_by_agent(sample.set_sriov(NIC)))
        assert isinstance(_ended(backend, ticket), Ended)
    with pytest.raises(Unreachable, match='write is unknown'):
        backend.poll(ticket)
    with _agent(tmp_path / 'another-boot') as task:
        assert isinstance(
            AgentBackend(AgentCalls(task)).poll(ticket), Unknown)


def test_a_stranger_is_not_answered(task: Any) -> None:
    task.node.driver_internal_info['agent_secret_token'] = 'of-the-last'
    with pytest.raises(Unreachable, match='rejected the agent token'):
        AgentBackend(AgentCalls(task)).observe()


def test_without_a_web_server_the_profiles_url_is_the_agents(
        task: Any, tmp_path: pathlib.Path) -> None:
    """And what the agent may not fetch is told as what became of it."""
    sample.tool(tmp_path, 'burner', 'echo done')
    backend, seen = _looked(task)
    backend.transports(seen)
    ready = sample.image(tmp_path)
    spec = Image('image', f'file://{ready.path}', 'ab' * 32, {})
    with mock.patch.object(images, 'serve', autospec=True,
                           return_value=None):
        ticket = backend.start(_by_agent(sample.burn(NIC)), ready, spec)
    end = _ended(backend, ticket)
    assert isinstance(end, Ended)
    (result,) = end.results
    assert result.detail is not None
    assert 'the scheme of file:' in result.detail.summary
