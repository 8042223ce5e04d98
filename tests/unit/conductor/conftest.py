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

"""Ironic's own objects on a database in a file: nothing of it is mocked."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import pathlib
from typing import Any
from unittest import mock

from oslo_service import backend as oslo_backend

# What Ironic's own commands do first; nothing else of Ironic may be imported
# before (ironic/command/__init__.py).
oslo_backend.init_backend(oslo_backend.BackendType.THREADING)

# ruff: noqa: E402
from ironic.common import context as ironic_context
from ironic.common import exception
from ironic.common import service
from ironic.conductor import task_manager
from ironic.conf import CONF
from ironic.db.sqlalchemy import models
from ironic import objects
from oslo_context import context as oslo_context
from oslo_db.sqlalchemy import enginefacade
from oslo_utils import uuidutils
import pytest
from sqlalchemy import event

from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.config import profiles as site_profiles
from ironic_accel.conductor.node import guard_copy
from ironic_accel.conductor.node import node_cache
from ironic_accel.conductor.node import queries
from ironic_accel.conductor.publication import device_ownership
from ironic_accel.conductor.upkeep import cleanup
from ironic_accel.redfish.client import session as client_session

INTERFACES = {
    'bios': 'no-bios', 'boot': 'redfish-virtual-media',
    'console': 'no-console',
    'deploy': 'ramdisk', 'firmware': 'no-firmware', 'inspect': 'no-inspect',
    'management': 'redfish', 'network': 'noop', 'power': 'accel-redfish',
    'raid': 'no-raid', 'rescue': 'no-rescue', 'storage': 'noop',
    'vendor': 'accelerator'}

#: What nodes may have instead.
MORE = {'boot': ('redfish-https', 'ipxe', 'pxe'),
        'deploy': ('direct', 'custom-agent'),
        'management': ('accel-redfish',)}


def _overrides() -> dict[tuple[str | None, str], Any]:
    """The overridden options, by group and name."""
    return {(group.name if group else None, info['opt'].dest):
            info['override'] for info, group in CONF._all_opt_infos()
            if 'override' in info}


@pytest.fixture(autouse=True)
def options_of_its_own(database: pathlib.Path) -> Iterator[None]:
    """No test leaves an option of Ironic's for the next one."""
    before = _overrides()
    yield
    after = _overrides()
    for (group, name), value in after.items():
        if (group, name) not in before:
            CONF.clear_override(name, group=group)
        elif before[group, name] != value:
            CONF.set_override(name, before[group, name], group=group)
    for group, name in before.keys() - after.keys():
        CONF.set_override(name, before[group, name], group=group)


@pytest.fixture(scope='session')
def database(tmp_path_factory: pytest.TempPathFactory
             ) -> Iterator[pathlib.Path]:
    """A database with Ironic's tables, and Ironic's configuration."""
    path = tmp_path_factory.mktemp('ironic') / 'ironic.sqlite'
    service.prepare_command(['tests'])
    CONF.set_override('connection', f'sqlite:///{path}', group='database')
    CONF.set_override('enabled_hardware_types', ['accel-redfish'])
    CONF.set_override('host', 'this-conductor')
    # iPXE writes its boot script where the interface is loaded.
    for group, option in (('deploy', 'http_root'), ('pxe', 'tftp_root')):
        folder = path.parent / option
        folder.mkdir()
        CONF.set_override(option, str(folder), group=group)
    for kind, name in INTERFACES.items():
        CONF.set_override(f'enabled_{kind}_interfaces', [
            name, *MORE.get(kind, ())])
    objects.register_all()
    engine = enginefacade.writer.get_engine()
    # What is written need not outlive the machine, only the test.
    event.listen(engine, 'connect', lambda connection, _record:
                 connection.execute('PRAGMA synchronous=OFF'))
    engine.dispose()
    models.Base.metadata.create_all(engine)
    yield path
    engine.dispose()


@pytest.fixture(autouse=True)
def pinned_sessions() -> Iterator[None]:
    """No BMC is there to make a session with, but where a test brings one.

    It overrides this.
    """
    with mock.patch.object(bmc_session, 'pin', autospec=True):
        yield


@pytest.fixture(autouse=True)
def sessions_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No session of another test is closed meanwhile: neither by us nor by
    sushy, which would try so during garbage collection for half a minute.
    """
    made = client_session.Sessions()
    monkeypatch.setattr(client_session, 'SESSIONS', made)
    yield
    for one in made._known.values():
        client_session.forget(one.connector)


@pytest.fixture(autouse=True)
def no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread serves no request; Ironic names the user of the last one."""
    monkeypatch.delattr(oslo_context._request_store, 'context',
                        raising=False)


@pytest.fixture(autouse=True)
def unshared_scans(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test changes between two questions is seen by the second; and
    nothing is known of the nodes of another test.
    """
    monkeypatch.setattr(node_cache, 'SHARED', 0.0)
    monkeypatch.setattr(queries, '_scan', node_cache.NodeScan(
        lambda since, entire: queries._read_scan(since, entire),
        queries._read_contents))
    for module, name in ((queries, '_known_keys'), (cleanup, '_clean'),
                         (guard_copy, '_overwritten'),
                         (device_ownership, '_claims')):
        monkeypatch.setattr(module, name, node_cache.ScanCache(
            getattr(module, name)._read))


@pytest.fixture
def context(database: pathlib.Path) -> Any:
    """An admin's context."""
    return ironic_context.get_admin_context()


@pytest.fixture
def profiles(tmp_path: pathlib.Path, database: pathlib.Path,
             monkeypatch: pytest.MonkeyPatch) -> Iterator[pathlib.Path]:
    """The conductor's folder of site profiles, empty."""
    folder = tmp_path / 'profiles'
    folder.mkdir()
    CONF.set_override('profile_path', str(folder), group='accelerator')
    monkeypatch.setattr(site_profiles, '_instance', None)
    yield folder
    CONF.clear_override('profile_path', group='accelerator')


@pytest.fixture
def make_node(context: Any) -> Iterator[Callable[..., Any]]:
    """Makes nodes, and takes them away again."""
    made = []

    def make(**fields: Any) -> Any:
        values = {
            'uuid': uuidutils.generate_uuid(), 'driver': 'accel-redfish',
            'driver_info': {'redfish_address': 'http://192.0.2.1',
                            'redfish_system_id': '/redfish/v1/Systems/1'},
            'provision_state': 'manageable', 'power_state': 'power on',
            **{f'{k}_interface': v for k, v in INTERFACES.items()},
            **fields}
        node = objects.Node(context, **values)
        node.create()
        made.append(node.id)
        return objects.Node.get_by_id(context, node.id)

    yield make
    for number in made:
        found = objects.Node.get_by_id(context, number)
        found.reservation = None
        found.destroy()


@pytest.fixture
def acquire(context: Any) -> Iterator[Callable[..., Any]]:
    """Locks nodes as the conductor does, until the end of the test."""
    tasks = []

    def lock(node: Any, shared: bool = False) -> Any:
        task = task_manager.acquire(context, node.uuid, shared=shared,
                                    purpose='testing')
        tasks.append(task)
        return task

    yield lock
    for task in tasks:
        if task.node is not None:
            with contextlib.suppress(exception.NodeNotLocked,
                                     exception.NodeLocked):
                task.release_resources()
