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
import pathlib
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
#: How often, and for how many seconds, somebody else has the database: longer
#: than SQLite waits for it by itself.
LOCK_OUTS = 3
HELD = 8
#: What oslo.db logs of a try of ours that has failed.
REPEATED = 'Performing DB retry for function'


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


def lock_out(path: pathlib.Path, boxes: list[Machine]) -> int:
    """Lock the database again and again, as a backup or a slow disk does.

    Only while ironic-accel, and nothing of Ironic, works on the nodes: a node
    that Ironic could not read after it has reserved it stays reserved (ironic
    39, db/sqlalchemy/api.py reserve_node), and an entry in the history that
    it could not write ends its step. So at first nobody may write, then
    nobody may read: a transaction that outgrows its cache needs the file for
    itself (https://sqlite.org/lockingv3.html).

    :returns: how often; less than LOCK_OUTS where the steps end before.
    """
    with contextlib.closing(sqlite3.connect(
            path, timeout=60, isolation_level=None)) as database:
        database.execute('PRAGMA cache_size = 10')
        for done in range(LOCK_OUTS):
            if not reserve_for_writing(database, {b.uuid for b in boxes}):
                return done
            time.sleep(1)
            database.execute('CREATE TABLE filler (content BLOB)')
            database.execute('INSERT INTO filler VALUES (ZEROBLOB(4000000))')
            time.sleep(HELD)
            database.execute('ROLLBACK')
            time.sleep(0.5)
    return LOCK_OUTS


def reserve_for_writing(database: sqlite3.Connection,
                        uuids: set[str]) -> bool:
    """Begin a transaction that writes while nodes wait for a step of ours.

    :returns: whether any does; there is no transaction otherwise.
    """
    waits, over = ('clean wait', True, False), ('manageable', False, False)
    end = time.monotonic() + 60
    while True:
        database.execute('BEGIN IMMEDIATE')
        rows = {
            (state, '"accel_operation"' in (info or ''),
             bool(reserved) and state != 'clean wait')
            for uuid, state, info, reserved in database.execute(
                'SELECT uuid, provision_state, driver_internal_info, '
                'reservation FROM nodes') if uuid in uuids}
        if waits in rows and rows <= {waits, over}:
            return True
        database.execute('ROLLBACK')
        if rows == {over}:
            return False
        assert time.monotonic() < end, rows
        time.sleep(0.1)


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
            each(lambda one: ironic_api.IronicApi(
                lab.ironic.url).set_provision(
                    one.uuid, 'clean', clean_steps=[stage.step(profile)]))
            locked = lock_out(lab.ironic.sqlite, boxes)
            each(lambda one: ironic.wait_state(one.uuid, 'manageable', 300))
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
        f'{NODES} nodes at once on plain SQLite, locked {locked} times '
        f'for {HELD + 1} s: {seconds:.0f} s, {told.count(REPEATED)} tries '
        'repeated'))
    # It was locked for longer than SQLite itself waits.
    assert locked > 0
    assert told.count(REPEATED) > 0
    assert "Failed to call periodic 'ironic_accel" not in told
    assert 'Unexpected error while working on node' not in told
