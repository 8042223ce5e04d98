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

"""Several requests at a time, where a vendor's row allows them."""

from __future__ import annotations

from collections.abc import Callable
import random
import threading
import time
from typing import Any

import pytest

from ironic_accel.model.device import Inventory
from ironic_accel.redfish.client.read_history import ReadHistory
from ironic_accel_emulator.bmc import mischief
from tests.contract.redfish.conftest import Rig
from tests.contract.redfish.conftest import Start
from tests.contract.redfish import plans

BOARD = '/redfish/v1/Systems/HGX_Baseboard_0'
#: What is read together: after the Systems, and after the tasks.
EARLY = {f'/redfish/v1/{name}'
         for name in ('Chassis', 'TaskService', 'Managers')}
LATE = {f'{BOARD}/Processors', '/redfish/v1/Systems/System_0/Processors',
        '/redfish/v1/Chassis/BMC_0/NetworkAdapters',
        '/redfish/v1/UpdateService'}

Damage = Callable[[Any, Any, Any], None]


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Callable[[Damage], None]:
    """Has a function called for each request, in the BMC's own thread."""
    def install(damage: Damage) -> None:
        first = mischief.damage

        def both(box: Any, request: Any, reply: Any) -> None:
            first(box, request, reply)
            damage(box, request, reply)

        monkeypatch.setattr(mischief, 'damage', both)
    return install


def history(at: Rig) -> ReadHistory:
    """That of a process that has never read the BMC."""
    return ReadHistory(at.clock.now, lambda: 0.0)


def one_at_a_time(at: Rig) -> Inventory:
    """The inventory by a process that found the BMC overloaded."""
    known = history(at)
    known.remember(at.backend.address, 'one request at a time', True)
    return at.again('System_0', history=known).observe()


@pytest.mark.parametrize('paths', [EARLY, LATE], ids=['early', 'late'])
def test_reads_are_sent_together(
        rig: Start, hook: Callable[[Damage], None], paths: set[str]) -> None:
    at = rig('hgx-h100', 'System_0')
    # Each of them waits until all of them are there.
    together = threading.Barrier(len(paths))

    def wait(box: Any, request: Any, reply: Any) -> None:
        if request.path in paths:
            together.wait(30)

    hook(wait)
    assert at.backend.observe().complete
    assert not together.broken


def test_tasks_are_read_before_anything_with_a_version(
        rig: Start, hook: Callable[[Damage], None]) -> None:
    at = rig('hgx-h100', 'System_0')
    order: list[str] = []
    hook(lambda box, request, reply: order.append(request.path))
    at.backend.observe()
    assert max(map(order.index, EARLY)) < min(map(order.index, LATE))


@pytest.mark.parametrize('seed', range(6))
def test_an_inventory_is_the_same_whatever_comes_first(
        rig: Start, hook: Callable[[Damage], None], seed: int) -> None:
    at = rig('hgx-h100', 'System_0', 'u', 'p')
    at.box.faults.add('unknown-enum', '/Status/Health', f'{BOARD}/Memory')
    at.box.faults.add('status', '500', '/Chassis/BMC_0/NetworkAdapters')
    at.box.faults.add('wrong-type', '/SerialNumber', '/GPU_SXM_3')
    wanted = one_at_a_time(at)
    assert wanted.warnings
    assert wanted.unread
    pauses = random.Random(seed)  # noqa: S311

    def pause(box: Any, request: Any, reply: Any) -> None:
        time.sleep(pauses.uniform(0, 0.02))

    hook(pause)
    assert at.again('System_0', history=history(at)).observe() == wanted


def test_at_most_four_at_a_time(
        rig: Start, hook: Callable[[Damage], None]) -> None:
    at = rig('hgx-h100', 'System_0')
    lock, now, most = threading.Lock(), [0], [0]

    def count(box: Any, request: Any, reply: Any) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.02)
        with lock:
            now[0] -= 1

    hook(count)
    inventory = at.backend.observe()
    assert 1 <= most[0] <= 4
    assert inventory.requests == len(at.box.ledger.requests)


@pytest.mark.parametrize(('vendor', 'product'), [
    ('Dell', 'Integrated Dell Remote Access Controller'),
    ('HPE', 'ProLiant'), ('Supermicro', None), (None, None)])
def test_a_bmc_without_such_a_row_gets_one_request_at_a_time(
        rig: Start, hook: Callable[[Damage], None], vendor: str | None,
        product: str | None) -> None:
    at = rig('hgx-h100', 'System_0')
    at.box.lay('/redfish/v1', lambda root: root.update(
        Vendor=vendor, Product=product))
    threads: set[str] = set()
    hook(lambda box, request, reply: threads.add(
        threading.current_thread().name))
    assert at.backend.observe().complete
    # A connection has a thread.
    assert len(threads) == 1


@pytest.mark.parametrize(('fault', 'value'), [
    ('busy', '1'), ('status', '429'), ('status', '504'),
    ('expire-session', None)])
def test_after_an_overload_it_is_one_at_a_time_for_an_hour(
        rig: Start, hook: Callable[[Damage], None], fault: str,
        value: str | None) -> None:
    at = rig('hgx-h100', 'System_0', 'u', 'p')
    wanted = at.backend.observe()
    assert at.box.ledger.connections > 2
    at.box.faults.add(fault, value, '/redfish/v1/TaskService$', 'GET',
                      count=1)
    seen = at.backend.observe()
    # What was refused was read again, alone.
    assert (seen.devices, seen.unread) == (wanted.devices, ())
    before = at.box.ledger.connections
    backend = at.again('System_0')
    assert backend.observe().devices == wanted.devices
    assert at.box.ledger.connections == before + 1
    at.clock.advance(3601)
    before = at.box.ledger.connections
    assert backend.observe().devices == wanted.devices
    assert at.box.ledger.connections > before + 1


def test_a_timeout_ends_it_too(rig: Start) -> None:
    at = rig('hgx-h100', 'System_0', read_timeout=0.5)
    wanted = at.backend.observe()
    at.box.faults.add('hang', '5', '/redfish/v1/Managers$', 'GET', count=1)
    seen = at.backend.observe()
    assert seen.devices == wanted.devices
    before = at.box.ledger.connections
    at.backend.observe()
    assert at.box.ledger.connections == before + 1
    at.box.faults.clear()


def test_writes_are_sent_one_after_another(
        rig: Start, hook: Callable[[Damage], None]) -> None:
    at = rig('hgx-h100', 'System_0')
    gpus = plans.gpus(at.backend.observe())
    lock, now = threading.Lock(), [0]
    most: list[int] = []

    def count(box: Any, request: Any, reply: Any) -> None:
        with lock:
            now[0] += 1
            most.append(now[0])
        time.sleep(0.01)
        with lock:
            now[0] -= 1

    hook(count)
    at.backend.start(plans.set_mode(dict.fromkeys(gpus, 'disabled'), 'ecc'))
    assert set(most) == {1}
    assert len(at.box.ledger.writes) == 8
