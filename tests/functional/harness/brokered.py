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

"""A lab as a cloud has it: one process for each service, over RabbitMQ.

Ironic's API and conductor, and Nova's API, conductor, scheduler and compute
are upstream's own commands; their databases are MariaDB's. It takes twice as
long to start as the other lab, and twice the memory: it is there on request,
to show that nothing depends on services that share a process.
"""

from __future__ import annotations

import pathlib
import subprocess
from collections.abc import Callable
from collections.abc import Mapping

from tests.functional.harness import ironic
from tests.functional.harness import lab
from tests.functional.harness import mariadb
from tests.functional.harness import nova
from tests.functional.harness import process
from tests.functional.harness import rabbit
from tests.functional.harness import services

THREADS = {"OS_NOVA_DISABLE_EVENTLET_PATCHING": "true"}


def missing() -> str | None:
    """Return the Debian package that is missing, or None."""
    if rabbit.find_server() is None:
        return "rabbitmq-server"
    return None if mariadb.find_server() else "mariadb-server"


class Peer(services.Service):
    """A process beside the main one of a service.

    :param line: its command.
    :param up: whether it answers.
    """

    def __init__(self, site: services.Site, name: str, line: list[str],
                 up: Callable[[], bool],
                 env: Mapping[str, str | None] | None = None) -> None:
        self.name = name
        super().__init__(site)
        self._line, self._up, self._env = line, up, env

    def start(self) -> None:
        """Start it."""
        self.spawn(self._line, env=self._env)

    def ready(self) -> bool:
        """Whether it answers."""
        return self._up()


class BrokeredIronic(ironic.Ironic):
    """Ironic in two processes; the main one is the conductor.

    :param transport: oslo.messaging's URL of the broker.
    """

    def __init__(self, site: services.Site, settings: services.Settings,
                 database: str, transport: str) -> None:
        super().__init__(site, lab.layered(settings, {
            "DEFAULT": {"rpc_transport": "oslo", "transport_url": transport},
            # A killed conductor is forgotten within the tests' patience.
            "conductor": {"heartbeat_interval": 2}}), database)
        self.front = Peer(site, "ironic-api", site.program(
            "ironic-api", "--config-file", self.config), self.ready)

    def start(self) -> None:
        """Make the tables, then start both."""
        self.configure()
        run(self.folder, self.site.program(
            "ironic-dbsync", "--config-file", self.config, "create_schema"))
        self.spawn(self.site.program(
            "ironic-conductor", "--config-file", self.config))
        self.front.start()

    def stop(self) -> None:
        """End both."""
        self.front.stop()
        super().stop()


class BrokeredNova(nova.Nova):
    """Nova in four processes; the main one is nova-compute.

    :param databases: URLs of ``api`` and ``cell1``; cell 0's is beside it.
    """

    def __init__(self, site: services.Site, port: int,
                 urls: Mapping[str, str], databases: Mapping[str, str],
                 transport: str) -> None:
        self._databases, self._transport = databases, transport
        super().__init__(site, port, urls)
        self._env = {"OS_NOVA_CONFIG_DIR": str(self.folder), **THREADS}
        self.peers = [
            Peer(site, name, line, lambda: True, self._env)
            for name, line in (
                ("nova-api", self.site.module(
                    "tests.functional.harness.run_wsgi", port,
                    "nova.wsgi.osapi_compute:application")),
                ("nova-conductor", self._command("nova-conductor")),
                ("nova-scheduler", self._command("nova-scheduler")))]

    def _command(self, name: str) -> list[str]:
        return self.site.program(
            name, "--config-file", self.folder / "nova.conf")

    def start(self) -> None:
        """Make tables and cells, then start all."""
        self.configure()
        run(self.folder, self.site.module(
            "tests.functional.harness.run_nova", "--databases"), self._env)
        for peer in self.peers:
            peer.start()
        self.spawn(self._command("nova-compute"), env=self._env)

    def stop(self) -> None:
        """End all."""
        super().stop()
        for peer in self.peers:
            peer.stop()

    def _settings(self) -> dict[str, dict[str, object]]:
        found = super()._settings()
        found["DEFAULT"]["transport_url"] = self._transport
        return found

    def _database(self, name: str) -> dict[str, object]:
        return {"connection": self._databases[name]}


class BrokeredLab(lab.Lab):
    """A lab of separate processes.

    :raises: LabError on entering where a Debian package is missing.
    """

    def make_ironic(self, settings: services.Settings) -> ironic.Ironic:
        """Ironic, with a broker and a database of its own."""
        self._rabbit = self.add(rabbit.Rabbit(self.site))
        self._mariadb = self.add(mariadb.MariaDB(self.site))
        self.wait_ready(self._rabbit, self._mariadb)
        return BrokeredIronic(self.site, settings,
                              self._mariadb.create("ironic"),
                              self._rabbit.url)

    def make_nova(self, port: int, urls: Mapping[str, str]) -> nova.Nova:
        """Nova, over the same broker and database."""
        self._mariadb.create("nova_cell0")
        return BrokeredNova(
            self.site, port, urls,
            {name: self._mariadb.create(f"nova_{name}")
             for name in ("api", "cell1")}, self._rabbit.url)


def run(folder: pathlib.Path, line: list[str],
        env: Mapping[str, str | None] | None = None) -> None:
    """Run a command to its end.

    :raises: LabError where it fails, with what it said last.
    """
    done = subprocess.run(
        line, cwd=folder, stdin=subprocess.DEVNULL, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=process.environment(env or {}))
    if done.returncode:
        raise process.LabError(f"{line[0]}: {done.stdout[-2000:]}")
