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

"""An agent without its start: the API and the extensions of the real one.

    python -m tests.contract.inband.agent_server FOLDER TOKEN

It serves on a free port of 127.0.0.1, prints it, and ends with its standard
input. It looks after the sample host in FOLDER, and has our extension alone
and no hardware manager: all others are about this machine. It is a process of
its own: the agent and Ironic each take oslo.config's one global CONF for
themselves.
"""

from __future__ import annotations

import pathlib
import socketserver
import sys
import threading
from typing import Any
from unittest import mock
from wsgiref import simple_server

from ironic_python_agent.api import app
from ironic_python_agent import config
from ironic_python_agent.extensions import base
from ironic_python_agent import hardware
from stevedore import named

from ipa_hardware_manager import conf
from ironic_accel.inband.tools import loader
from tests.unit.inband import sample


class Agent(base.ExecuteCommandMixin):  # type: ignore[misc]
    """What the API needs of an agent."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self._token = token
        # Ours as it is installed.
        self.ext_mgr: Any = named.NamedExtensionManager(
            'ironic_python_agent.extensions', names=('accel',),
            invoke_on_load=True, invoke_kwds={'agent': self},
            propagate_map_exceptions=True)

    def validate_agent_token(self, token: str) -> bool:
        """As the real one does."""
        return token == self._token


class Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    """One thread for each request."""

    daemon_threads = True


class Handler(simple_server.WSGIRequestHandler):
    """Quiet."""

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


def main() -> None:
    """Serve until nobody is there any more."""
    folder, token = pathlib.Path(sys.argv[1]), sys.argv[2]
    _tree, host = sample.machine(folder)
    conf.register()
    for name, value in (
            ('root', host.root), ('tool_path', host.path),
            ('run_dir', str(folder / 'run')),
            ('image_cache_dir', str(folder / 'cache'))):
        conf.CONF.set_override(name, value, group='accelerator')
    with mock.patch.object(
            hardware, '_get_extensions', autospec=True, return_value=[]
    ), mock.patch.object(
            loader, 'load', autospec=True,
            return_value=loader.accepted([sample.Burner(folder)])):
        server = simple_server.make_server(
            '127.0.0.1', 0, app.Application(Agent(token), config.CONF),
            server_class=Server, handler_class=Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_port, flush=True)
        sys.stdin.read()


if __name__ == '__main__':
    main()
