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
"""A conductor to measure in: Ironic's objects, tables, and its manager.

Ironic's own code on SQLite in a folder, or on another database; simulated
BMCs that respond without HTTP, and nodes that are managed by our driver.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import functools
import logging
import pathlib
import sys
import threading
import time
from typing import Any
from unittest import mock
import warnings

# A library of Ironic's looks whether eventlet is there.
warnings.filterwarnings('ignore', message=r'\s*Eventlet is deprecated')

from oslo_service import backend as oslo_backend

# Ironic's own commands do this before anything else of Ironic is imported.
oslo_backend.init_backend(oslo_backend.BackendType.THREADING)

# ruff: noqa: E402
from ironic.common import context as ironic_context
from ironic.common import hash_ring
from ironic.common import service
from ironic.conductor import base_manager
from ironic.conf import CONF
from ironic.db.sqlalchemy import models
from ironic import objects
from oslo_db.sqlalchemy import enginefacade
from oslo_utils import uuidutils

from ironic_accel.converge.ports import Backend
from ironic_accel.model.device import Inventory
from ironic_accel.model.identity import Source
from ironic_accel.model.plan import Transport
from ironic_accel.model.profile import Push
from tests.unit.conductor import sample

#: Interfaces of a node of ours.
INTERFACES = {
    'bios': 'no-bios', 'boot': 'redfish-virtual-media',
    'console': 'no-console', 'deploy': 'ramdisk', 'firmware': 'no-firmware',
    'inspect': 'no-inspect', 'management': 'redfish', 'network': 'noop',
    'power': 'accel-redfish', 'raid': 'no-raid', 'rescue': 'no-rescue',
    'storage': 'noop', 'vendor': 'accelerator'}
#: What is enabled for such nodes.
ENABLED = {'hardware_types': ['accel-redfish'],
           **{f'{kind}_interfaces': [name]
              for kind, name in INTERFACES.items()}}
#: The conductor's name.
HOST = 'bench'
#: Site profiles of the conductor.
PROFILES = 10


def begin(folder: pathlib.Path, database: str | None = None,
          enabled: Mapping[str, Sequence[str]] | None = None) -> Any:
    """Set Ironic up, once a process, and return a context.

    :param database: URL of an empty database; SQLite's in the folder by
        default.
    :param enabled: hardware types and interfaces by option, without
        ``enabled_``: those of a node of ours by default.
    """
    hook = sys.excepthook
    service.prepare_command(['bench'])
    # oslo.log sends what ends the program to a log that nobody keeps.
    sys.excepthook = hook
    profiles = folder / 'profiles'
    profiles.mkdir()
    profiles.joinpath('site.yaml').write_text(sample.yaml_of(*(
        sample.mode_profile(f'profile-{n}', ecc='enabled')
        for n in range(PROFILES))))
    CONF.set_override('connection',
                      database or f'sqlite:///{folder}/ironic.sqlite',
                      group='database')
    CONF.set_override('host', HOST)
    CONF.set_override('profile_path', str(profiles), group='accelerator')
    CONF.set_override('ownership_scope', 'bmc', group='accelerator')
    enabled = enabled or ENABLED
    for option, names in enabled.items():
        CONF.set_override(f'enabled_{option}', list(names))
    # Nobody sends the heartbeats of this conductor.
    CONF.set_override('heartbeat_timeout', 86400, group='conductor')
    logging.disable(logging.INFO)
    objects.register_all()
    models.Base.metadata.create_all(enginefacade.writer.get_engine())
    _register(enabled['hardware_types'])
    return ironic_context.get_admin_context()


def _register(types: Sequence[str]) -> None:
    """Make the conductor the only one of the hash ring."""
    dbapi = objects.Conductor.dbapi
    made = dbapi.register_conductor({
        'hostname': HOST, 'drivers': list(types), 'conductor_group': ''})
    dbapi.register_conductor_hardware_interfaces(made.id, [
        {'hardware_type': name, 'interface_type': 'vendor',
         'interface_name': 'accelerator', 'default': True}
        for name in types])


def node(context: Any, state: str = 'available',
         driver_info: Mapping[str, Any] | None = None) -> str:
    """Create a node and return its UUID."""
    made = objects.Node(
        context, uuid=uuidutils.generate_uuid(), driver='accel-redfish',
        provision_state=state, power_state='power on',
        driver_info=dict(driver_info or {
            'redfish_address': 'http://192.0.2.1'}),
        **{f'{k}_interface': v for k, v in INTERFACES.items()})
    made.create()
    return str(made.uuid)


def manager(spawn: Any = None) -> Any:
    """Ironic's conductor manager, which serves every node.

    :param spawn: what runs a worker: a pool's ``submit``; none is free
        without.
    """
    made = mock.create_autospec(base_manager.BaseConductorManager,
                                instance=True)
    made.host = HOST
    made._shutdown = threading.Event()
    if spawn is not None:
        made._spawn_worker.side_effect = spawn
    # Ironic's own, over the hash ring.
    made.dbapi = objects.Node.dbapi
    made.ring_manager = hash_ring.HashRingManager()
    for name in ('iter_nodes', '_mapped_to_this_conductor'):
        getattr(made, name).side_effect = functools.partial(
            getattr(base_manager.BaseConductorManager, name), made)
    return made


class Bmc(Backend):
    """A BMC with eight GPUs, which is only read.

    No mock: one remembers every call, and what is never freed costs each
    thread time in Python's garbage collector.

    :param seconds: that it takes for an inventory.
    :param complete: False: it is still discovering its devices.
    """

    def __init__(self, seconds: float, complete: bool) -> None:
        self._seconds = seconds
        self._sources = sample.sources(sample.box(
            *(sample.gpu(n) for n in range(8)), complete=complete))

    def sources(self) -> tuple[Source, ...]:
        """Read the inventory; see ports.Backend."""
        if self._seconds:
            time.sleep(self._seconds)
        return self._sources

    def transports(self, inventory: Inventory, pushes: Collection[Push] = ()
                   ) -> tuple[Transport, ...]:
        """What can be done; see ports.Backend."""
        return (sample.transport(inventory),)


def bmc(seconds: float = 0.0, complete: bool = True) -> Backend:
    """A BMC with eight GPUs; see ``Bmc``."""
    return Bmc(seconds, complete)
