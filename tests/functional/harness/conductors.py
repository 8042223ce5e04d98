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
"""Ironic's processes of which a cloud has several, on one database."""

from __future__ import annotations

import dataclasses
import os
import pathlib

from tests.functional.harness import ironic
from tests.functional.harness import lab as labs
from tests.functional.harness import process
from tests.functional.harness import services

#: The port that conductors are known by without naming it.
PORT = 8089


class Conductor(ironic.Ironic):
    """One of several, on a database that has its tables; with an API.

    :param address: of the loopback net; it is the conductor's name too, as
        JSON RPC finds it by that.
    :param create: whether it is the first one, which makes the tables.
    :param settings: laid over its own.
    :param transport: oslo.messaging's URL of a broker; JSON RPC without one.
    :param python: interpreter of its environment, where that is not the
        lab's.
    :param tree: folder with another release of ours, which it runs.
    :ivar env: variables of its process.
    """

    def __init__(self, lab: labs.Lab, database: str, name: str, address: str,
                 create: bool, settings: services.Settings | None = None,
                 transport: str | None = None, python: str | None = None,
                 tree: pathlib.Path | None = None) -> None:
        rpc: dict[str, object] = {'rpc_transport': 'json-rpc'} if (
            transport is None) else {'rpc_transport': 'oslo',
                                     'transport_url': transport}
        site = dataclasses.replace(lab.site, python=python or lab.site.python)
        super().__init__(site, labs.layered(lab._accelerator(), {
            'DEFAULT': {**rpc, 'host': address},
            'json_rpc': {'auth_strategy': 'noauth', 'host_ip': address,
                         'port': PORT},
            'conductor': {'heartbeat_interval': 1}}, settings or {}),
            database, name)
        self.address = address
        self._create = create
        self.env: dict[str, str | None] = {} if tree is None else {
            'PYTHONPATH': os.pathsep.join(map(str, (
                tree, process.CHECKOUT, process.CHECKOUT / 'emulator')))}

    def start(self) -> None:
        """Start it; the first one makes the tables."""
        self.configure()
        create = ['--create-schema'] if self._create else []
        self.spawn([*self.command, *create], env=self.env)
        self.running().command = self.command

    def alive(self) -> set[str]:
        """The addresses of the conductors that it takes to be up."""
        told = self.api.get('/v1/conductors')['conductors']
        return {str(c['hostname']) for c in told if c['alive']}

    def reconfigure(self, settings: services.Settings) -> None:
        """Start it again with other settings.

        :param settings: laid over those that it has.
        """
        self._settings = labs.layered(self._settings, settings)
        self.configure()
        self.restart()
