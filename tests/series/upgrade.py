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

"""The two conductors of an upgrade, and what an operator does in one."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses
import os
import pathlib
import sys

from tests.conductors import pair as conductors
from tests.functional import stage
from tests.functional.harness import brokered
from tests.functional.harness import Lab
from tests.functional.harness.conductors import Conductor
from tests.functional.harness.lab import INTERFACES
from tests.functional.harness.machines import Machine
from tests.functional.harness import services
from tests.functional.test_story import trait

SETTINGS: dict[str, dict[str, object]] = {
    # An API asks no conductor for long that is dead.
    'DEFAULT': {'hash_ring_reset_interval': 1},
    'conductor': {'heartbeat_timeout': 15}}
#: What Ironic calls its releases of a coordinated one
#: (ironic/common/release_mappings.py).
_NAMES = {32: '2025.2', 35: '2026.1', 39: '2026.2'}


def series(python: str) -> str:
    """The name of the series that an environment has, as ``2026.1``."""
    return _NAMES[services.ironic_of(python)]


@dataclasses.dataclass
class Pair:
    """Two conductors of one cloud, of two series.

    :ivar older: of the series, or the release of ours, that is left.
    :ivar newer: of the one that is entered; it is not started yet, and it is
        pinned to the older series.
    """

    lab: Lab
    older: Conductor
    newer: Conductor

    def enter(self) -> None:
        """Bring the database to the newer series, as the older one runs."""
        self.newer.configure()
        self._dbsync('upgrade')

    def leave(self) -> None:
        """Take the pin from the newer one, and migrate what is stored."""
        self.newer.reconfigure({'DEFAULT': {'pin_release_version': None}})
        self._dbsync('online_data_migrations')

    def _dbsync(self, command: str) -> None:
        brokered.run(self.newer.folder, self.newer.site.program(
            'ironic-dbsync', '--config-file', self.newer.config, command))

    def both_up(self, seconds: float = 120) -> None:
        """Wait until each of them takes both to be up."""
        both = {self.older.address, self.newer.address}
        conductors.until(
            'both to see each other',
            lambda: both <= self.older.alive() & self.newer.alive(), seconds)

    def enrolled(self, by: Conductor, name: str) -> Machine:
        """A box whose flash lasts, and its manageable node."""
        twin = self.lab.twin(
            '--system', 'hgx-h100', '--power', 'on', '--time-scale', '400',
            *stage.LASTING)
        node = by.api.create_node(
            driver='accel-redfish', name=name, driver_info={
                'redfish_address': twin.url, 'redfish_auth_type': 'basic',
                'redfish_system_id': stage.SYSTEM}, **INTERFACES)
        made = Machine(by, twin, node)
        by.api.manage(made.uuid, 120)
        return made

    def flashing(self, by: Conductor, name: str, profile: str) -> Machine:
        """A box whose flash is under way."""
        one = self.enrolled(by, name)
        by.api.set_provision(one.uuid, 'clean',
                             clean_steps=[stage.step(profile)])
        stage.writing(one, 240)
        return one

    @contextlib.contextmanager
    def begun(self, name: str) -> Iterator[tuple[str, Machine]]:
        """A profile, and a box whose flash the older conductor has begun.

        The limit of the run is longer than any test.
        """
        with stage.site_profile(self.lab, name, **stage.burning(
                self.lab, limits={'minutes': 600})) as profile:
            yield profile, self.flashing(self.older, 'forth', profile)


def goes_over(one: Machine, dead: Conductor, by: Conductor) -> None:
    """Kill a conductor in the middle of a flash, and wait for the other."""
    assert stage.flashing(one)
    dead.kill()
    one.ironic = by
    conductors.until('the dead one to be missed',
                     lambda: dead.address not in by.alive())
    since = conductors.generation(one)
    conductors.until('the other one to go on', lambda: (
        by.api.node(one.uuid)['conductor'] == by.address
        and conductors.generation(one) > since + 2), 300)
    assert stage.flashing(one)
    assert one.info['accel_guard']
    assert one.info['accel_record']['intent']['ticket']


def ends(one: Machine, profile: str) -> None:
    """Let a flash end, and see that nothing was done twice or lost."""
    stage.finish(one)
    one.ironic.api.wait_state(one.uuid, 'manageable', 300)
    told = stage.ledger(one)
    assert told['violations'] == []
    assert len(told['pushes']) == 1
    assert stage.result(one)['outcome'] == 'converged'
    assert stage.running(one) == {stage.NEW['gpu']}
    assert trait('IS', profile) in one.ironic.api.traits(one.uuid)


def begin(lab: Lab, database: str, stack: contextlib.ExitStack, *,
          older: str = sys.executable, newer: str = sys.executable,
          tree: pathlib.Path | None = None) -> Pair:
    """Start the older conductor on an empty database.

    :param stack: ends both.
    :param older: interpreter of the older environment; ``newer`` alike.
    :param tree: folder of the release of ours that the older one runs.
    """
    net = f'127.{os.getpid() % 250 + 1}'
    first = lab.add(Conductor(
        lab, database, 'older', f'{net}.1.1', True, SETTINGS, python=older,
        tree=tree))
    stack.callback(first.stop)
    first.wait_ready(180)
    pin = None if series(older) == series(newer) else series(older)
    # It is not added to the lab, which would start it.
    second = Conductor(
        lab, database, 'newer', f'{net}.2.1', False, {
            **SETTINGS, 'DEFAULT': {**SETTINGS['DEFAULT'],
                                    'pin_release_version': pin}},
        python=newer)
    stack.callback(second.stop)
    return Pair(lab, first, second)
