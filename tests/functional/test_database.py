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

"""Many nodes at once on the database that Ironic has by default."""

from __future__ import annotations

from collections.abc import Callable
import concurrent.futures
import contextlib
import sqlite3
import time
from typing import Any

from tests.functional import stage
from tests.functional.harness import ironic_api
from tests.functional.harness import Lab
from tests.functional.harness.machines import Machine
from tests.functional.harness.machines import MakeMachine

NODES = 8
GPUS = 4


def test_plain_sqlite_is_what_an_operator_gets(lab: Lab) -> None:
    """A lab with a better database would show less than operators see."""
    with contextlib.closing(sqlite3.connect(lab.ironic.sqlite)) as database:
        assert database.execute('PRAGMA journal_mode').fetchone() == (
            'delete',)
    settings = lab.ironic.config.read_text()
    assert f'sqlite:///{lab.ironic.sqlite}\n' in settings
    assert 'sqlite_' not in settings.replace('ironic.sqlite', '')


def test_requests_at_once_are_all_answered(
        lab: Lab, ironic: ironic_api.IronicApi,
        machine: MakeMachine) -> None:
    one = machine('--system', 'plain')

    def add(number: int) -> None:
        ironic_api.IronicApi(lab.ironic.url).add_trait(
            one.uuid, f'CUSTOM_LAB_{number}')

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(24)))
    assert len(ironic.traits(one.uuid)) == 24


def test_eight_nodes_at_once_converge_on_plain_sqlite(
        lab: Lab, ironic: ironic_api.IronicApi, machine: MakeMachine,
        record_property: Callable[[str, object], None]) -> None:
    with concurrent.futures.ThreadPoolExecutor(NODES) as pool:
        def make(number: int) -> Machine:
            return machine(
                '--system', 'pcie-a100', '--power', 'on', '--time-scale',
                str(stage.SCALE), name=f'database-{number}')

        boxes = list(pool.map(make, range(NODES)))

        def each(work: Callable[[Machine], Any]) -> list[Any]:
            return list(pool.map(work, boxes))

        each(lambda one: ironic_api.IronicApi(lab.ironic.url).manage(
            one.uuid))
        with stage.site_profile(lab, 'at-once', devices={'gpus': {
                'match': {'kind': 'gpu',
                          'product': 'nvidia-a100-pcie-80gb'},
                'count': GPUS, 'modes': {'ecc': 'disabled'}}}) as profile:
            begun = time.monotonic()
            log = lab.ironic.running().log
            before = len(log.read_text())
            each(lambda one: ironic_api.IronicApi(lab.ironic.url).clean(
                one.uuid, [stage.step(profile)], 300))
            seconds = time.monotonic() - begun
            told = log.read_text()[before:]
            for one in boxes:
                assert stage.result(one)['outcome'] == 'converged'
                assert f'CUSTOM_ACCEL_IS_{profile.upper()}'.replace(
                    '-', '_') in ironic.traits(one.uuid)
                counted = stage.ledger(one)
                assert len(counted['writes']) == GPUS
                assert counted['violations'] == []
    record_property(stage.FIGURE, (
        f'{NODES} nodes at once on plain SQLite: {seconds:.0f} s, the '
        f"database was locked {told.count('database is locked')} times"))
