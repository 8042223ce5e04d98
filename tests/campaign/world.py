# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""One run in the simulated world: box, network, loop, caller and judge."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import datetime
import functools
import itertools
from typing import Any
from unittest import mock

from ironic_accel.converge.composite import Both
from ironic_accel.converge.ports import Backend
from ironic_accel.converge.ports import Pace
from ironic_accel.model import catalog
from ironic_accel.model.device import Inventory
from ironic_accel.model import loader
from ironic_accel.model.profile import Profile
from ironic_accel.model import strict_json
from ironic_accel.model import traits
from ironic_accel.redfish.actions.system_power import SystemPower
from ironic_accel.redfish.backend import RedfishBackend
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client import session
from ironic_accel_emulator.bmc.direct import Network
from ironic_accel_emulator import Box
from ironic_accel_emulator import FakeClock
from ironic_accel_emulator.faults import Fault
from ironic_accel_emulator.inside.shared import Inside
from ironic_accel_emulator.ledger import Violation
from ironic_accel_emulator.load import Blueprint
from ironic_accel_emulator.load import blueprint
from ironic_accel_emulator import virtual
from tests.campaign.case import Case
from tests.campaign.case import Event
from tests.campaign.case import Trouble
from tests.campaign import clocks
from tests.campaign import inside
from tests.campaign import judge
from tests.campaign import scenes

#: Shorter than a real machine's, in the same proportions.
TIMING = {'flash': 300.0, 'background_copy': 90.0, 'gpu_ready': 45.0,
          'adapter_ready': 30.0, 'boot': 60.0, 'verify': 10.0}
#: Bytes of an answer that is not kept for the next case.
_LONG = 65536

_NUMBERS = itertools.count(1)
#: What a box asks for, where a case is with credentials.
LOGIN = ('admin', 'secret')


def make_box(scene: scenes.Scene, clock: FakeClock, power: str | None,
             login: tuple[str, str] | None = None) -> Box:
    """A new box; captures are unpacked once only.

    :param login: user and password that it asks for.
    """
    user, password = login or (None, None)
    box = _blueprint(scene.path).box(
        clock, timing=TIMING, power=power, activations=dict(scene.activations),
        user=user, password=password)
    # A day that is the same in all cases.
    box.epoch = datetime.datetime.fromtimestamp(
        virtual.EPOCH, datetime.UTC)
    return box


@functools.cache
def _blueprint(path: str) -> Blueprint:
    return blueprint(path)


@functools.lru_cache(maxsize=2048)
def _parsed(body: bytes, limit: int, depth: int) -> dict[str, Any]:
    return _PARSE(body, limit, depth)


_PARSE = strict_json.parse_object


def _parse_once(body: bytes, limit: int = strict_json.MAX_BYTES,
                depth: int = strict_json.MAX_DEPTH) -> dict[str, Any]:
    """As the real one, which need not read the same text again.

    Boxes of one scene tell mostly the same in a thousand cases.
    """
    if len(body) > _LONG:
        return _PARSE(body, limit, depth)
    return dict(_parsed(body, limit, depth))


class World:
    """A case being played."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.scene = scenes.named(case.scene)
        self.clock = FakeClock()
        self.login = LOGIN if case.login else None
        self.box = make_box(self.scene, self.clock, case.power, self.login)
        self.network = Network(self.clock)
        self.watch = judge.Watch(self.box)
        # What is remembered of one BMC is not of the next case's.
        self.url = self.network.add(
            self.watch, f'http://bmc-{next(_NUMBERS)}.invalid')
        self.host = self.scene.system or next(iter(self.box.hosts))
        self.folder, text = scenes.stored(case.scene)
        self.profile: Profile = loader.load_text(text)[0]
        self.facts: catalog.Catalog = scenes.facts(case.scene)
        self.pace = Pace(poll=case.pace, look=case.pace)
        self.sins: list[str] = []
        self.calls = 0
        self.moments: dict[str, float] = {}
        self.inside: Inside | None = None
        self.agent: inside.Agent | None = None
        self.clocks = clocks.Clocks(self.clock, case.skews, case.jumps)
        #: Whether the box changed during the last look, which then is
        #: neither true nor false.
        self.moved = False
        #: When the run began that goes on.
        self.began = 0.0
        #: When somebody else took the host's power, and what that broke.
        self.downs: list[float] = []
        self.excused: set[int] = set()
        self._waiting = list(case.troubles)
        for event in case.events:
            self.box.timeline.after(
                event.at, functools.partial(self._happen, event))

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Nothing leaves this world, and its time is its clock's."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.network)
            stack.enter_context(virtual.at(self.clock))
            stack.enter_context(mock.patch.object(
                strict_json, 'parse_object', new=_parse_once))
            if 'agent' in self.scene.transports:
                self.inside = stack.enter_context(
                    inside.inside(self.box, self.host, self.case.burn))
                self.agent = inside.Agent(
                    self.box, self.host, self.inside, self.facts)
            yield
            if self.inside is not None:
                self.inside.sync()

    # What goes wrong

    def _happen(self, event: Event) -> None:
        if event.what == 'foreign':
            self.box.updates.start_foreign(event.lasts)
        elif event.what == 'copy':
            for path in self.box.copying:
                self.box.updates.copy(path)
        elif event.what in ('off', 'mains'):
            self._fail(event.lasts if event.what == 'mains' else None)
        elif event.what == 'agent':
            if self.agent is not None:
                self.agent.restart()
        elif event.what in ('gone', 'health'):
            device = self.box.devices[event.device]
            device.health = 'Critical'
            device.present = event.what != 'gone'

    def _fail(self, back_in: float | None) -> None:
        """The host's power goes, and not by us: what breaks is not ours."""
        violations = self.box.ledger.violations
        before = len(violations)
        self.downs.append(self.clock.now())
        self.box.power.fail(self.box.hosts[self.host], back_in)
        self.excused |= {*range(before, len(violations))}

    @property
    def violations(self) -> list[Violation]:
        """What would have hurt a real machine, and was done by us."""
        return [one for number, one in enumerate(self.box.ledger.violations)
                if number not in self.excused]

    def trouble(self) -> None:
        """Let the troubles begin whose time or moment it is."""
        now, moment = self.clock.now(), judge.moment(self.box)
        self.moments.setdefault(moment, now)
        for one in list(self._waiting):
            due = (one.phase == moment if one.phase is not None
                   else now >= (one.at or 0.0))
            if due:
                self._waiting.remove(one)
                self._begin(one)

    def _begin(self, one: Trouble) -> None:
        if one.name in ('foreign-task', 'foreign-copy'):
            self.box.misbehave(
                f'{one.name}={one.value}' if one.value else one.name)
            return
        if one.name == 'tool':
            self._misuse(one)
            return
        fault = self.box.faults.add(one.name, one.value, one.match,
                                    one.method, one.count, one.skip)
        if one.lasts is not None:
            self.box.timeline.after(
                one.lasts, functools.partial(self._lift, fault))

    def _misuse(self, one: Trouble) -> None:
        """A tool inside begins to misbehave, about one card or all."""
        if self.inside is None:
            return
        state = self.inside.state
        tool, _, kind = (one.value or '').partition('=')
        state.fault(tool, kind, one.match)
        if one.lasts is not None:
            self.box.timeline.after(
                one.lasts, lambda: state.fault(tool, None))

    def _lift(self, fault: Fault) -> None:
        self.box.faults.lift(fault)

    # Ports

    @contextlib.contextmanager
    def ports(self) -> Iterator[tuple[Backend, SystemPower]]:
        """A backend, and the host's power, as a new process makes them."""
        settings = BmcSettings(
            expand=self.case.expand,
            image_uri=lambda ready, spec: f'file://{ready.path}')
        user, password = self.login or (None, None)
        connector = session.connect(self.url, user, password,
                                    settings=settings)
        try:
            transports: dict[str, Backend] = {}
            if 'redfish' in self.scene.transports:
                transports['redfish'] = RedfishBackend(
                    connector, self.scene.system, catalog=self.facts,
                    settings=settings)
            if self.agent is not None:
                transports['agent'] = self.agent
            yield (
                Both(transports, needed=[*transports])
                if len(transports) > 1
                else next(iter(transports.values())),
                SystemPower(
                    connector, self.box.hosts[self.host].uri, settings),
            )
        finally:
            session.disconnect(connector)

    def passes(self, seconds: float) -> None:
        """Time passes, in steps that let moments be met."""
        end = self.clock.now() + seconds
        while True:
            self.trouble()
            left = end - self.clock.now()
            if left <= 0:
                return
            due = self.box.timeline.next_due()
            step = min(left, 30.0, *([max(0.5, due)] if due is not None
                                     else []))
            self.box.advance(step)

    # Judgement

    def published(self, inventory: Inventory) -> list[str]:
        """The traits that a look would give the node."""
        if judge.uncounted(inventory):
            return []
        return traits.wanted(
            traits.presence(inventory, self.facts, self.profile.groups),
            traits.modes(inventory, self.facts))

    def unsure(self) -> list[str]:
        """The devices that are not well, and that no resource tells of.

        Those of a capture leave resources that nothing ties to them. One
        that is not well is told by its own resource alone: where that was
        never there (listed, and 404 from the first look on), by none.
        """
        captured = self.scene.source.endswith('.gz')
        never = any(
            t.name == 'status'
            and t.value in ('404', '405', '501')
            and None is t.lasts is t.count
            for t in self.case.troubles
        )
        return [d.id for d in self.box.devices.values()
                if (captured and d.bricked)
                or (never and d.present and d.health != 'OK')]

    def looked(self, inventory: Inventory) -> None:
        """Judge what would be published of a look."""
        self.sins += [f'trait {lie}' for lie in self.lies(inventory)]

    def lies(self, inventory: Inventory) -> list[str]:
        """The traits of a look that are not so just now."""
        if self.scene.source.startswith('cases/'):
            # Their state stands in documents alone: there is no other truth.
            return []
        return list(judge.lies(self.box, self.host, self.published(inventory),
                               unsure=self.unsure()))
