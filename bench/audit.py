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

"""What the audit costs a conductor: ``python bench/audit.py [NODES]``.

Real Ironic objects on SQLite, boxes of eight GPUs that answer at once, ten
site profiles. Prints seconds; the BMC's own time comes on top, and is spent
without any lock by the audit's workers.
"""

from __future__ import annotations

import logging
import pathlib
import sys
import tempfile
import threading
import time
from typing import Any
from unittest import mock

from oslo_service import backend as oslo_backend

oslo_backend.init_backend(oslo_backend.BackendType.THREADING)

# ruff: noqa: E402
from ironic.common import context as ironic_context
from ironic.common import service
from ironic.conductor import base_manager
from ironic.conf import CONF
from ironic.db.sqlalchemy import models
from ironic import objects
from oslo_db.sqlalchemy import enginefacade
from oslo_utils import uuidutils

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.node import profile_agreement
from ironic_accel.conductor.node import queries
from ironic_accel.conductor.upkeep import audit
from ironic_accel.conductor.upkeep import periodics
from ironic_accel.converge.ports import Backend
from tests.unit.conductor import sample

SAMPLE = 100


def main() -> None:
    """Measure."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    with tempfile.TemporaryDirectory() as folder:
        context = _ironic(pathlib.Path(folder))
        began = time.perf_counter()
        nodes = [_node(context) for _ in range(number)]
        print(f'{number} nodes made in {time.perf_counter() - began:.1f} s')
        with mock.patch.object(bmc_session, 'backend', autospec=True,
                               return_value=_box()):
            _measure(context, nodes)


def _measure(context: Any, nodes: list[str]) -> None:
    manager = mock.create_autospec(base_manager.BaseConductorManager,
                                   instance=True)
    manager._shutdown = threading.Event()
    manager.iter_nodes.side_effect = lambda filters: (
        objects.Node.dbapi.get_nodeinfo_list(
            columns=['uuid', 'driver', 'conductor_group'], filters=filters))
    queue = audit.Due()
    told = [('a pass that lists all nodes', lambda: audit.begin(
        manager, context, periodics.Periodics, queue))]
    told += [('a pass with nothing due', told[0][1])]
    for what, work in told:
        _time(what, work)
    chosen = nodes[:SAMPLE]
    for what in ('first', 'same again', 'same again'):
        began = time.perf_counter()
        words = {audit.audit(context, uuid, periodics.Periodics, queue)
                 for uuid in chosen}
        each = (time.perf_counter() - began) / len(chosen)
        print(f'an audit, {what}: {each * 1000:.0f} ms a node {words}; '
              f'{each * len(nodes):.0f} s for all {len(nodes)}')
    _time('telling of the site profiles', lambda: profile_agreement.announce(
        manager, context, periodics.Periodics))
    _time('finding what the others told', lambda: queries.with_key(
        'accel_site'))


def _time(what: str, work: Any) -> None:
    began = time.perf_counter()
    work()
    print(f'{what}: {(time.perf_counter() - began) * 1000:.0f} ms')


def _ironic(folder: pathlib.Path, database: str | None = None) -> Any:
    service.prepare_command(['bench'])
    profiles = folder / 'profiles'
    profiles.mkdir()
    profiles.joinpath('site.yaml').write_text(sample.yaml_of(*(
        sample.mode_profile(f'profile-{n}', ecc='enabled')
        for n in range(10))))
    for name, value, group in (
            ('connection', database or f'sqlite:///{folder}/ironic.sqlite',
             'database'),
            ('enabled_hardware_types', ['accel-redfish'], None),
            ('profile_path', str(profiles), 'accelerator'),
            ('ownership_scope', 'bmc', 'accelerator')):
        CONF.set_override(name, value, group=group)
    for kind, name in INTERFACES.items():
        CONF.set_override(f'enabled_{kind}_interfaces', [name])
    logging.disable(logging.INFO)
    objects.register_all()
    engine = enginefacade.writer.get_engine()
    models.Base.metadata.create_all(engine)
    return ironic_context.get_admin_context()


INTERFACES = {
    'bios': 'no-bios', 'boot': 'redfish-virtual-media',
    'console': 'no-console',
    'deploy': 'ramdisk', 'firmware': 'no-firmware', 'inspect': 'no-inspect',
    'management': 'redfish', 'network': 'noop', 'power': 'accel-redfish',
    'raid': 'no-raid', 'rescue': 'no-rescue', 'storage': 'noop',
    'vendor': 'accelerator'}


def _node(context: Any) -> str:
    node = objects.Node(
        context, uuid=uuidutils.generate_uuid(), driver='accel-redfish',
        provision_state='available', power_state='power on',
        driver_info={'redfish_address': 'http://192.0.2.1'},
        **{f'{k}_interface': v for k, v in INTERFACES.items()})
    node.create()
    return str(node.uuid)


def _box() -> Any:
    seen = sample.box(*(sample.gpu(n) for n in range(8)))
    made = mock.create_autospec(Backend, instance=True)
    made.sources.return_value = sample.sources(seen)
    made.transports.side_effect = lambda inventory, pushes=(): (
        sample.transport(inventory),)
    return made


if __name__ == '__main__':
    main()
