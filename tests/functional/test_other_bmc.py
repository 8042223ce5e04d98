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

"""A BMC that others have made: the emulator of sushy-tools (fake driver).

It shows a host that runs, and links to services that it does not have: what
it does not report is named, and nothing is written through it.
"""

from __future__ import annotations

from collections.abc import Iterator
import json
import pathlib
import subprocess
import sys
from typing import Any
from typing import cast

import pytest

from tests.functional import stage
from tests.functional.harness import Lab
from tests.functional.harness import rest
from tests.functional.harness import services
from tests.functional.harness.machines import Machine

SYSTEM = '7d5a1c2e-0000-4000-8000-000000000001'
TASKS = '/redfish/v1/TaskService/Tasks'


class SushyEmulator(services.Service):
    """``sushy-emulator`` of sushy-tools, with one host that is on."""

    def __init__(self, site: services.Site) -> None:
        self.name = 'sushy-emulator'
        super().__init__(site)
        self._port = site.ports.take()
        self.url = f'http://127.0.0.1:{self._port}'

    def start(self) -> None:
        """Start it."""
        settings = self.folder / 'emulator.conf'
        settings.write_text(
            'SUSHY_EMULATOR_FAKE_DRIVER = True\n'
            "SUSHY_EMULATOR_LISTEN_IP = '127.0.0.1'\n"
            f'SUSHY_EMULATOR_LISTEN_PORT = {self._port}\n'
            f'SUSHY_EMULATOR_STATE_DIR = {str(self.folder)!r}\n'
            'SUSHY_EMULATOR_FAKE_SYSTEMS = [{'
            f"'uuid': '{SYSTEM}', 'name': 'other', 'power_state': 'On',"
            "'external_notifier': False,"
            "'nics': [{'mac': '52:54:00:aa:bb:01', 'ip': '192.0.2.5'}]}]\n")
        program = pathlib.Path(sys.executable).with_name('sushy-emulator')
        self.spawn([str(program), '--config', str(settings)])

    def ready(self) -> bool:
        """Whether it answers."""
        return bool(rest.RestClient(self.url, {}).get('/redfish/v1/'))


@pytest.fixture(scope='module')
def other(lab: Lab) -> Iterator[SushyEmulator]:
    """The BMC, up."""
    pytest.importorskip('sushy_tools')
    made = lab.add(SushyEmulator(lab.site))
    made.wait_ready()
    yield made
    made.stop()


def test_the_command_names_what_the_bmc_does_not_have(
        other: SushyEmulator) -> None:
    done = subprocess.run(
        [sys.executable, '-m', 'ironic_accel.faces.cli.main', 'inventory',
         '--json', '--once', '--bmc', other.url], capture_output=True,
        text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert (seen['host'], seen['devices'], seen['busy']) == ('on', [], [])
    unread = {u['uri']: u for u in seen['unread']}
    assert unread[TASKS]['blocks']
    assert 'HTTP 404' in unread[TASKS]['answer']
    assert not seen['complete']['baseboard']


def test_a_node_of_it_is_managed_and_nothing_is_written(
        lab: Lab, other: SushyEmulator) -> None:
    api = lab.ironic.api
    node = lab.enroll(other.url, f'/redfish/v1/Systems/{SYSTEM}')
    uuid = str(node['uuid'])
    try:
        api.manage(uuid)
        for target in ('power off', 'power on'):
            api.set_power(uuid, target)
            api.wait_node(uuid, target,
                          lambda n, t=target: n['power_state'] == t)
        # Ironic's own inspection fails here: sushy needs Processors.
        told = stage.refresh(Machine(lab.ironic, cast(Any, None), node))
        assert told['outcome'] == 'done', told
        assert not [t for t in api.traits(uuid) if 'ACCEL' in t]
        with stage.site_profile(lab, 'other', **stage.burning(lab)) as name:
            status, text = stage.refused(lambda: api.set_provision(
                uuid, 'clean', clean_steps=[stage.step(name)]))
        assert status == 400
        assert 'refused, nothing was changed: gpus count' in text
        assert 'expected 8, seen 0' in text
    finally:
        api.set_maintenance(uuid, True)
        api.delete_node(uuid)
