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
"""Two conductors, their nodes, and what they cost as seen from outside."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import functools
import os
import pathlib
import time
from typing import Any

import pymysql
import requests

from tests.functional import stage
from tests.functional.harness import Lab
from tests.functional.harness import mariadb
from tests.functional.harness.conductors import Conductor
from tests.functional.harness.lab import INTERFACES
from tests.functional.harness.machines import Machine

#: Seconds between two polls of an update, and after which a conductor that
#: sends no heartbeat is offline.
POLL, HEARTBEAT = 5, 15
SETTINGS: dict[str, dict[str, object]] = {
    'DEFAULT': {'debug': False},
    'accelerator': {'poll_interval': POLL},
    'conductor': {'heartbeat_timeout': HEARTBEAT,
                  # Of all conductors together.
                  'max_concurrent_clean': 1000,
                  'sync_power_state_interval': 60}}
USER, PASSWORD = 'admin', 'secret'
SESSIONS = '/redfish/v1/SessionService/Sessions'


@dataclasses.dataclass
class Pair:
    """Two conductors of one cloud.

    :ivar rpc: how they talk to each other.
    """

    lab: Lab
    database: mariadb.MariaDB
    first: Conductor
    second: Conductor
    rpc: str

    def enroll(self, name: str, **fields: Any) -> Machine:
        """A box whose flash lasts, and its node, soon manageable."""
        file = self.lab.folder / 'bmc-password'
        file.write_text(PASSWORD)
        twin = self.lab.twin(
            '--system', 'hgx-h100', '--power', 'on', '--time-scale', '400',
            '--user', USER, '--password-file', str(file), *stage.LASTING)
        node = self.first.api.create_node(
            driver='accel-redfish', name=name, driver_info={
                'redfish_address': twin.url, 'redfish_auth_type': 'session',
                'redfish_username': USER, 'redfish_password': PASSWORD,
                'redfish_system_id': stage.SYSTEM}, **INTERFACES, **fields)
        made = Machine(self.first, twin, node)
        self.first.api.set_provision(made.uuid, 'manage')
        return made

    def conductor_of(self, one: Machine, by: Conductor | None = None) -> str:
        """The address of the conductor of a node."""
        return str((by or self.first).api.node(one.uuid)['conductor'])

    def queries(self) -> int:
        """Statements that the database has had."""
        connection = pymysql.connect(
            host='127.0.0.1', port=self.database.port, user='root')
        with connection, connection.cursor() as cursor:
            cursor.execute("SHOW GLOBAL STATUS LIKE 'Questions'")
            found = cursor.fetchone()
        assert found is not None
        return int(found[1])


def cpu(conductor: Conductor) -> float:
    """CPU seconds of a conductor's process, and of those it has waited for."""
    pid = conductor.running().pid
    fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2]
    # utime, stime, cutime, cstime: proc(5), fields 14 to 17.
    return sum(map(int, fields.split()[11:15])) / os.sysconf('SC_CLK_TCK')


def sessions(one: Machine) -> int:
    """Sessions that are open at a BMC."""
    answer = requests.get(one.twin.url + SESSIONS, auth=(USER, PASSWORD),
                          timeout=30)
    answer.raise_for_status()
    return len(answer.json()['Members'])


def generation(one: Machine) -> int:
    """How often a node was saved by us."""
    return int(one.info.get('accel_fence', '0').partition(':')[0])


def until(what: str, test: Callable[[], Any], seconds: float = 300) -> None:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not test():
        assert time.monotonic() < end, f'waited {seconds} s for {what}'
        time.sleep(0.5)


def each(what: str, nodes: Sequence[Machine], test: Callable[[Machine], Any],
         seconds: float = 600) -> None:
    """Wait until something is true of every node."""
    end = time.monotonic() + seconds
    for one in nodes:
        until(f'{what} of {one.node["name"]}', functools.partial(test, one),
              max(1.0, end - time.monotonic()))
