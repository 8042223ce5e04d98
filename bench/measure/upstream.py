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

"""Ironic's own readers, on a real task of a node in a real database.

Firmware by ``RedfishFirmware.cache_firmware_components`` and inspection by
``RedfishInspect.inspect_hardware``, each through a task as a conductor makes
it. The database is SQLite in a folder of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
from pathlib import Path
import sys
from typing import Any
import warnings

# ruff: noqa: E402
# A library of Ironic's looks whether eventlet is there.
warnings.filterwarnings('ignore', message=r'\s*Eventlet is deprecated')

from oslo_service import backend as oslo_backend

# Ironic's own commands do this before anything else of Ironic is imported.
oslo_backend.init_backend(oslo_backend.BackendType.THREADING)

from ironic.common import context as ironic_context
from ironic.common import service
from ironic.conductor import task_manager
from ironic.conf import CONF
from ironic.db.sqlalchemy import models
from ironic.drivers.modules.redfish import utils as redfish_utils
from ironic import objects
from oslo_db.sqlalchemy import enginefacade
from oslo_utils import uuidutils

from bench.measure.facts import Facts

INTERFACES = {
    'bios': 'no-bios', 'boot': 'redfish-virtual-media',
    'console': 'no-console', 'deploy': 'ramdisk', 'firmware': 'redfish',
    'inspect': 'redfish', 'management': 'redfish', 'network': 'noop',
    'power': 'redfish', 'raid': 'no-raid', 'rescue': 'no-rescue',
    'storage': 'noop', 'vendor': 'redfish'}


def begin(folder: Path) -> None:
    """Make Ironic's database and configuration, once a process."""
    hook = sys.excepthook
    service.prepare_command(['bench'])
    # oslo.log sends what ends the program to a log that nobody keeps.
    sys.excepthook = hook
    CONF.set_override('connection', f'sqlite:///{folder}/ironic.sqlite',
                      group='database')
    CONF.set_override('enabled_hardware_types', ['redfish'])
    CONF.set_override('host', 'bench')
    for kind, name in INTERFACES.items():
        CONF.set_override(f'enabled_{kind}_interfaces', [name])
    objects.register_all()
    models.Base.metadata.create_all(enginefacade.writer.get_engine())


def end() -> None:
    """Let go of the database."""
    enginefacade.writer.get_engine().dispose()


def read(url: str, system: str) -> Facts:
    """Cache the firmware and inspect, one after the other."""
    redfish_utils.SessionCache._sessions.clear()
    with task(url, system) as acquired:
        notes = []
        for what in (acquired.driver.firmware.cache_firmware_components,
                     acquired.driver.inspect.inspect_hardware):
            try:
                what(acquired)
            except Exception as error:
                # Whatever stops it on this box is part of the answer: the
                # requests up to there are what it cost.
                notes.append(f'{what.__name__}: {type(error).__name__}')
        found = objects.FirmwareComponentList.get_by_node_id(
            acquired.context, acquired.node.id)
    return Facts(devices=sum(c.component.startswith('nic') for c in found),
                 versions=len(found), note=', '.join(notes))


@contextlib.contextmanager
def task(url: str, system: str) -> Iterator[Any]:
    """A task of a new node, with the lock of a conductor."""
    context = ironic_context.get_admin_context()
    node = objects.Node(
        context, uuid=uuidutils.generate_uuid(), driver='redfish',
        driver_info={
            'redfish_address': url, 'redfish_system_id': system,
            'redfish_username': 'user', 'redfish_password': 'secret',
            'redfish_auth_type': 'basic'},
        provision_state='manageable', power_state='power on',
        **{f'{k}_interface': v for k, v in INTERFACES.items()})
    node.create()
    with task_manager.acquire(context, node.uuid, shared=False,
                              purpose='bench') as acquired:
        yield acquired
