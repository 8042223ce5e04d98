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

"""One box seen both ways: by its BMC, and by the agent in its ramdisk.

The agent stands behind the HTTP session of Ironic's client: what travels is
JSON, told by the room that the agent's extension uses (``inband.serve``).
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import json
import pathlib
from typing import Any
from unittest import mock

from ironic.conf import CONF
from ironic.drivers.modules import deploy_utils
import pytest
import requests
from urllib3 import exceptions as urllib3_errors

from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.access import images
from ironic_accel.conductor.config import catalogue
from ironic_accel.conductor.config import ironic_series
from ironic_accel.converge import ports
from ironic_accel.converge.ports import Backend
from ironic_accel.inband import agent_rpc
from ironic_accel.inband.inventory import device_match
from ironic_accel.model.catalog import Catalog
from ironic_accel.model.catalog import ComponentFacts
from ironic_accel.model.catalog import ModeFacts
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.identity import Source
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Ref
from ironic_accel.model.plan import Transport
from ironic_accel.model.profile import Push
from tests.unit.conductor import sample
from tests.unit.conductor.stage import site_profile
from tests.unit.conductor.stage import Stage
from tests.unit.converge.box import Box

STEP = 'apply_profile_in_band'

#: GPU firmware through the BMC, ECC through the agent.
BOTH = site_profile('both-ways', allow=['burn_at_deploy'],
                    limits={'minutes': 30})

#: Seconds that the ramdisk takes to boot.
BOOT = 100.0


class View(Backend):
    """What one way sees of a box, and does to it."""

    def __init__(self, box: Box, name: str) -> None:
        self.box = box
        self.name = name
        self.jobs: set[str] = set()
        self.looks = 0

    def sources(self) -> tuple[Source, ...]:
        """The box, with only those parts that are of this way."""
        self.looks += 1
        seen = self.box.observe()
        return (Source(dataclasses.replace(
            seen, seen_via=(self.name,),
            busy=tuple(b for b in seen.busy if b.ref in self.jobs),
            devices=tuple(self._own(d) for d in seen.devices)),
            stable=True),)

    def _own(self, device: Device) -> Device:
        parts = self.box.parts[device.id]
        modes = self.box.modes.get(device.id, {})
        return dataclasses.replace(
            device, components=tuple(
                c for c in device.components
                if parts[c.name].transport == self.name),
            modes=tuple(m for m in device.modes
                        if modes[m.name].transport == self.name))

    def transports(self, inventory: Inventory, pushes: Collection[Push] = ()
             ) -> tuple[Transport, ...]:
        """What this way can do."""
        return tuple(w for w in self.box.transports(inventory, pushes)
                     if w.name == self.name)

    def start(self, action: Action, *args: Any) -> dict[str, Any]:
        """Begin a write."""
        ticket = self.box.start(action, *args)
        self.jobs.add(str(ticket['job']))
        return ticket

    def commit(self, refs: Sequence[Ref]) -> tuple[str, ...]:
        """Nothing."""
        return ()

    def poll(self, ticket: Mapping[str, Any]) -> ports.Poll:
        """How far a write is."""
        return self.box.poll(ticket)

    # what the agent's backend has besides

    def devices(self) -> tuple[Device, ...]:
        """The devices as they were last seen."""
        return self.box.observe().devices

    def begin(self, action: Action, image: Any, spec: Any, force: bool,
              names: Mapping[str, str], images: Any) -> Mapping[str, Any]:
        """Begin a write for a caller elsewhere."""
        return self.start(device_match.renamed(action, {}), image, spec, force)


class Facts:
    """A site's catalogue, which knows the made-up box.

    What activates a change is never the agent's to say.
    """

    def __init__(self, box: Box, real: Catalog) -> None:
        self._box, self._real = box, real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def component(self, kind: str, name: str, *of: Any
                  ) -> ComponentFacts | None:
        """The facts, with the effect that the box's own has."""
        found = self._real.component(kind, name, *of)
        part = next((p[name] for p in self._box.parts.values()
                     if name in p), None)
        return found if found is None or part is None else (
            dataclasses.replace(found, activation=part.claimed))

    def mode(self, kind: str, name: str, *of: Any) -> ModeFacts | None:
        """The facts, with what the box's own modes do."""
        found = self._real.mode(kind, name, *of)
        part = next((p[name] for p in self._box.modes.values()
                     if name in p), None)
        return found if found is None or part is None else (
            dataclasses.replace(found, activation=part.claimed,
                                persistent=part.persistent))


class Ramdisk:
    """The agent: there or not, with a token for each boot."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.redfish = View(stage.box, 'redfish')
        self.agent = View(stage.box, 'agent')
        self.prepared = 0
        self.boot_at: float | None = None
        self.boots = 0
        self.token: str | None = None
        self.never_again = False
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._seen = stage.box.boots

    def prepare(self, task: Any) -> None:
        """What Ironic does before it boots the ramdisk."""
        self.prepared += 1
        self.boot_at = None if self.never_again else 0

    def world(self) -> None:
        """Let a reset end the agent, and a boot that is over begin one."""
        box = self.stage.box
        if box.boots != self._seen or box.host == 'off':
            self._seen = box.boots
            self.token = None
            if self.boot_at == 0 and box.host == 'on':
                self.boot_at = box.now + BOOT
        if self.boot_at and box.now >= self.boot_at:
            self.boot_at = None
            self.call()

    def call(self) -> None:
        """Look up and call, as the agent does when it has booted."""
        self.boots += 1
        node = self.stage.node
        node.refresh()
        info = node.driver_internal_info
        if not info.get('agent_secret_token'):
            self.token = f'token-{self.boots}'
            node.set_driver_internal_info('agent_secret_token', self.token)
        if self.token is not None:
            node.set_driver_internal_info('agent_url', 'http://192.0.2.9:9')
        node.save()

    def post(self, _session: Any, url: str, *, params: Mapping[str, str],
             data: str, verify: Any, timeout: Any) -> requests.Response:
        """Answer a command, as the agent's API does."""
        self.world()
        if self.token is None or self.stage.box.host == 'off':
            reason = urllib3_errors.NewConnectionError(
                mock.sentinel.connection, 'refused')
            raise requests.ConnectionError(urllib3_errors.MaxRetryError(
                mock.sentinel.pool, f'{url}?agent_token=SECRET', reason))
        if params.get('agent_token') != self.token:
            return answer(401, {'faultstring': 'Token invalid.'})
        body = json.loads(data)
        self.calls.append((body['name'], body['params']))
        commands: dict[str, Callable[..., dict[str, Any]]] = {
            'accel.accel_observe': lambda: agent_rpc.observe(
                self.agent),  # type: ignore[arg-type]
            'accel.accel_start': lambda request: agent_rpc.start(
                self.agent,  # type: ignore[arg-type]
                request, lambda _sources: mock.sentinel.images),
            'accel.accel_poll': lambda ticket: agent_rpc.poll(
                self.agent, ticket),  # type: ignore[arg-type]
        }
        return answer(200, {
            'command_status': 'SUCCEEDED',
            'command_result': commands[body['name']](**body['params'])})

    def asked(self, name: str) -> list[dict[str, Any]]:
        """The parameters of the commands of that name."""
        return [p for n, p in self.calls if n == f'accel.accel_{name}']


def answer(status: int, body: Mapping[str, Any]) -> requests.Response:
    """An HTTP answer with JSON in it."""
    response = requests.Response()
    response.status_code = status
    response._content = json.dumps(body).encode()
    return response


@contextlib.contextmanager
def staged(stage: Stage, make_node: Callable[..., Any],
           **fields: Any) -> Iterator[Ramdisk]:
    """A node with a ramdisk up, its box behind both ways."""
    stage.node = make_node(**fields)
    made = Ramdisk(stage)
    made.call()
    tick = stage.tick

    def ticked() -> Any:
        made.world()
        return tick()

    stage.tick = ticked  # type: ignore[method-assign]
    # The stage has put a mock there.
    patched: Any = bmc_session.backend
    patched.side_effect = lambda _node, **_more: made.redfish
    facts = Facts(stage.box, catalogue.catalogue())
    # Where Ironic answers no agent in service wait otherwise.
    if not ironic_series.SERVICE_LOOKUP.present:
        CONF.set_override('restrict_lookup', False, group='api')
    try:
        with mock.patch.object(catalogue, 'catalogue', autospec=True,
                               return_value=facts), \
            mock.patch.object(deploy_utils, 'prepare_agent_boot',
                              autospec=True, side_effect=made.prepare), \
            mock.patch.object(images, 'serve', autospec=True,
                              return_value=None), \
            mock.patch.object(requests.Session, 'post', autospec=True,
                              side_effect=made.post):
            yield made
    finally:
        CONF.clear_override('restrict_lookup', group='api')


@pytest.fixture(name='inside')
def inside(stage: Stage, make_node: Callable[..., Any],
           profiles: pathlib.Path) -> Iterator[Ramdisk]:
    """A box whose ECC only the agent sees and sets."""
    profiles.joinpath('site.yaml').write_text(sample.yaml_of(BOTH))
    for modes in stage.box.modes.values():
        modes['ecc'].transport = 'agent'
    with staged(stage, make_node) as made:
        yield made


def begin(stage: Stage, kind: str = 'clean', **args: Any) -> None:
    """Run the body of the in-band step."""
    stage.begin(kind, STEP, stage.node, **{'profile': 'both-ways', **args})


def burn_by_agent(stage: Stage) -> None:
    """Have firmware, too, be something that only the agent writes."""
    for parts in stage.box.parts.values():
        parts['gpu'].transport = 'agent'
