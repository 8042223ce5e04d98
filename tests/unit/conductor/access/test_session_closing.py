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

"""What Ironic's cache of sessions drops is closed at the BMC."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses
import gc
import threading
import time
from typing import Any

from ironic.conf import CONF
from ironic.drivers.modules.redfish import utils as redfish_utils
from ironic import objects
from ironic_accel_emulator import load_box
from ironic_accel_emulator import TwinServer
import pytest

from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.node import queries
from ironic_accel.redfish.client import session as client_session
from tests.security import evil
from tests.unit.conductor.access import test_bmc_session
from tests.unit.conductor.stage import Make

SYSTEM = '/redfish/v1/Systems/1'
SESSIONS = '/redfish/v1/SessionService/Sessions'
#: BMCs, and sessions that Ironic keeps.
BMCS, KEPT = 4, 2


@pytest.fixture(autouse=True)
def cache(database: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty cache of few sessions; what it drops is closed at once."""
    monkeypatch.setattr(client_session, 'GRACE', 0.0)
    CONF.set_override('connection_cache_size', KEPT, group='redfish')
    redfish_utils.SessionCache._sessions.clear()
    bmc_session._cache.cache_clear()
    yield
    CONF.clear_override('connection_cache_size', group='redfish')
    redfish_utils.SessionCache._sessions.clear()
    bmc_session._cache.cache_clear()


@dataclasses.dataclass
class Cloud:
    """Nodes, each with a BMC of its own."""

    context: Any
    boxes: list[Any]
    uuids: list[str]
    connectors: list[Any] = dataclasses.field(default_factory=list)

    def node(self, number: int) -> Any:
        """As a task reads it."""
        return objects.Node.get_by_uuid(self.context, self.uuids[number])

    def look(self, number: int) -> None:
        """Read a BMC, as one tick does; nothing of it remains."""
        self.read(self.node(number))

    def read(self, node: Any) -> int:
        """Read the BMC of a node; the status of the answer."""
        connector, _ = bmc_session.session(node)
        self.connectors.append(connector)
        found: int = client_session.reading(connector).get(
            SYSTEM).status_code
        return found

    def logins(self) -> list[int]:
        """Of each BMC."""
        return [sum((r.method, r.path) == ('POST', SESSIONS)
                    for r in b.ledger.requests) for b in self.boxes]

    def open(self) -> list[int]:
        """Sessions of each BMC."""
        return [len(b.sessions) for b in self.boxes]

    def wait_for(self, *wanted: int) -> None:
        """Wait until each BMC has so many sessions."""
        until = time.monotonic() + 60
        while self.open() != list(wanted):
            assert time.monotonic() < until, self.open()
            time.sleep(0.01)


@pytest.fixture
def cloud(context: Any, make_node: Make) -> Iterator[Cloud]:
    boxes = [load_box('plain', user='admin', password='secret')
             for _ in range(BMCS)]
    with contextlib.ExitStack() as stack:
        made = Cloud(context, boxes, [make_node(driver_info={
            'redfish_address': stack.enter_context(TwinServer(box)),
            'redfish_system_id': SYSTEM, 'redfish_username': 'admin',
            'redfish_password': 'secret', 'redfish_auth_type': 'session'}
        ).uuid for box in boxes])
        yield made
        # Sushy would close them during the garbage collection of another
        # test, for half a minute each, as their BMCs are not there any more.
        for connector in made.connectors:
            client_session.forget(connector)


def test_more_bmcs_than_sessions_leave_no_session_behind(
        cloud: Cloud) -> None:
    for _ in range(3):
        for number in range(BMCS):
            cloud.look(number)
    # Each look logs in again: the cache is too small.
    assert cloud.logins() == [3, 3, 3, 3]
    cloud.wait_for(0, 0, 1, 1)
    assert len(redfish_utils.SessionCache._sessions) == KEPT


def test_a_session_that_is_kept_is_not_closed(cloud: Cloud) -> None:
    for _ in range(3):
        for number in range(KEPT):
            cloud.look(number)
    assert cloud.logins() == [1, 1, 0, 0]
    assert cloud.open() == [1, 1, 0, 0]


def test_a_session_in_use_is_closed_after_its_use(cloud: Cloud) -> None:
    node = cloud.node(0)
    cloud.read(node)
    connector, _ = bmc_session.session(node)
    for number in (1, 2, 3):
        cloud.look(number)
    cloud.wait_for(1, 0, 1, 1)
    assert client_session.reading(connector).get(SYSTEM).status_code == 200
    assert cloud.logins()[0] == 1
    del node
    gc.collect()
    cloud.look(1)
    cloud.wait_for(0, 1, 0, 1)


def test_a_backend_uses_its_session_without_its_node(cloud: Cloud) -> None:
    cloud.look(0)
    backend = bmc_session.backend(cloud.node(0))
    gc.collect()
    for number in (1, 2, 3):
        cloud.look(number)
    cloud.wait_for(1, 0, 1, 1)
    assert backend.observe().complete
    assert cloud.logins()[0] == 1


def test_the_bmc_of_a_child_node_is_read_for_its_parent(
        cloud: Cloud) -> None:
    """A node that is only read, not reserved, uses a session too."""
    child = queries.node(cloud.uuids[0])
    assert cloud.read(child) == 200
    for number in (1, 2, 3):
        cloud.look(number)
    cloud.wait_for(1, 0, 1, 1)
    del child
    gc.collect()
    cloud.look(1)
    cloud.wait_for(0, 1, 0, 1)


def test_a_session_dropped_a_moment_ago_is_left(
        cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ironic's own requests may still use it."""
    monkeypatch.setattr(client_session, 'GRACE', 3600.0)
    for number in range(BMCS):
        cloud.look(number)
    assert cloud.open() == [1, 1, 1, 1]


def test_a_session_dropped_after_an_error_is_closed(cloud: Cloud) -> None:
    cloud.look(0)
    redfish_utils.SessionCache._sessions.clear()
    cloud.look(0)
    cloud.wait_for(1, 0, 0, 0)
    assert cloud.logins()[0] == 2


def test_without_a_cache_each_session_is_closed(cloud: Cloud) -> None:
    CONF.set_override('connection_cache_size', 0, group='redfish')
    for _ in range(3):
        cloud.look(0)
    cloud.look(1)
    cloud.wait_for(0, 1, 0, 0)


def test_the_session_of_somebody_else_is_left(cloud: Cloud) -> None:
    """A BMC that was restarted counts from the beginning."""
    box = cloud.boxes[0]
    cloud.look(0)
    name, = box.sessions
    box.forget_sessions()
    box.sessions[name] = 'the token of somebody else'
    for number in (1, 2, 3):
        cloud.look(number)
    cloud.wait_for(1, 0, 1, 1)
    until = time.monotonic() + 60
    while not any(r.method == 'DELETE' for r in box.ledger.requests):
        assert time.monotonic() < until
        time.sleep(0.01)
    assert list(box.sessions) == [name]
    assert cloud.logins()[0] == 1


def test_nobody_waits_for_a_bmc_that_does_not_answer(
        cloud: Cloud, make_node: Make) -> None:
    asked, answer = threading.Event(), threading.Event()

    def hang(_asked: evil.Asked, sock: Any) -> None:
        asked.set()
        answer.wait(60)

    silent = {**test_bmc_session.answers(), f'{SESSIONS}/7': hang}
    with evil.serve(silent) as bmc:
        uuid = test_bmc_session.node_of(make_node, bmc.url).uuid
        cloud.uuids.append(uuid)
        cloud.look(BMCS)
        try:
            for number in (0, 1, 2):
                cloud.look(number)
            assert asked.wait(60)
            cloud.look(3)
            assert not answer.is_set()
        finally:
            answer.set()
    # The others were closed meanwhile.
    cloud.wait_for(0, 0, 1, 1)


def test_a_flood_of_dropped_sessions_is_bounded(
        cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_session, 'MOST_WAITING', 0)
    for number in range(BMCS):
        cloud.look(number)
    gc.collect()
    assert not [r for b in cloud.boxes for r in b.ledger.requests
                if r.method == 'DELETE']
