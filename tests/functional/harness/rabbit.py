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

"""RabbitMQ as a process of ours: Debian's server, in a folder of its own."""

from __future__ import annotations

import os
import pathlib
import shutil
import socket

from tests.functional.harness import process
from tests.functional.harness import services

#: Debian's scripts without the wrapper that changes to its own account.
SCRIPTS = pathlib.Path("/usr/lib/rabbitmq/bin")


def find_server() -> pathlib.Path | None:
    """Return the server's script, or None where it is not installed."""
    path = SCRIPTS / "rabbitmq-server"
    return path if path.exists() and shutil.which("epmd") else None


class _Names(services.Service):
    """Erlang's port mapper in the foreground, on a port of its own.

    Without it the server would start one that outlives it.
    """

    name = "epmd"

    def start(self) -> None:
        """Start it."""
        self.port = self.site.ports.take()
        self.spawn([str(shutil.which("epmd")), "-port", str(self.port),
                    "-address", "127.0.0.1"])

    def ready(self) -> bool:
        """Whether it takes a connection."""
        socket.create_connection(("127.0.0.1", self.port), 5).close()
        return True


class Rabbit(services.Service):
    """A broker on loopback; its guest may do everything.

    :raises: LabError from ``start`` where the server is not installed.
    """

    name = "rabbitmq"

    def __init__(self, site: services.Site) -> None:
        super().__init__(site)
        self.port = site.ports.take()
        self._names = _Names(site)

    @property
    def url(self) -> str:
        """What oslo.messaging calls a transport URL."""
        return f"rabbit://guest:guest@127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Start the port mapper and the server."""
        server = find_server()
        if server is None:
            raise process.LabError("rabbitmq-server is missing: Debian's "
                                   "package of that name")
        self._names.start()
        self._names.wait_ready()
        plugins = self.folder / "enabled_plugins"
        plugins.write_text("[].\n", encoding="ascii")
        self.spawn([str(server)], env={
            "HOME": str(self.folder),  # its cookie
            "ERL_EPMD_PORT": str(self._names.port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"lab{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self.site.ports.take()),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS":
                "-start_epmd false "
                "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PLUGINS_EXPAND_DIR": str(self.folder / "plugins"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq"),
        })

    def ready(self) -> bool:
        """Whether it speaks AMQP 0-9-1: it greets whoever says so."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as link:
            link.sendall(b"AMQP\x00\x00\x09\x01")
            link.settimeout(5)
            return link.recv(1) == b"\x01"

    def stop(self) -> None:
        """End both."""
        super().stop()
        self._names.stop()
