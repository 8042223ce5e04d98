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

"""An inventory of a booting host needs only a few requests."""

from collections.abc import Iterator
import itertools
from pathlib import Path

import pytest

from ironic_accel.converge import outcome
from ironic_accel.model.errors import Unreachable
from ironic_accel_emulator.bmc import control
from tests.contract.machine import Machine
from tests.contract.machine import machine


ECC = """
profile: 1
name: ecc
devices:
  gpus:
    match: {kind: gpu}
    count: 8
    modes: {ecc: disabled}
"""


SYSTEMS = '/redfish/v1/Systems'


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Machine]:
    """An HGX H100 whose host is up."""
    with machine('hgx-h100', tmp_path) as made:
        yield made


def reset(box: Machine) -> None:
    box.power('ForceRestart')


def paths(box: Machine) -> list[str]:
    return [r.path for r in box.box.ledger.requests]


def after_the_reset(box: Machine) -> list[str]:
    told = paths(box)
    begun = next(i for i, path in enumerate(told) if path.endswith('.Reset'))
    return told[begun + 1:]


def boots_for_ever(box: Machine) -> None:
    box.box.faults.add(
        'says', '/BootProgress/LastState:"PCIResourceConfigStarted"',
        f'{SYSTEMS}/System_0')


def checks(box: Machine, times: int) -> list[int]:
    """The requests of checks, ten seconds apart."""
    asked = []
    for _ in range(times):
        before = len(paths(box))
        assert box.backend.starting() is not None
        asked.append(len(paths(box)) - before)
        box.clock.advance(10)
    return asked


def test_no_device_is_read_while_the_host_starts(box: Machine) -> None:
    out = box.run(ECC)
    assert isinstance(out, outcome.Converged), out
    after = after_the_reset(box)
    checked = [*itertools.takewhile(SYSTEMS.__eq__, after)]
    # The last one begins the inventory that verifies the modes.
    assert len(checked) > 2
    assert {'Processors', 'Chassis', 'Managers', 'UpdateService'} <= {
        part for path in after[len(checked):] for part in path.split('/')}
    assert SYSTEMS not in after[len(checked):]
    assert any(w.startswith('the host is booting') for w in box.progress)


def test_a_booting_host_is_reported(box: Machine) -> None:
    assert box.backend.starting() is None
    reset(box)
    assert box.backend.starting() == (
        'the host is booting: PCIResourceConfigStarted')
    box.clock.advance(3600)
    assert box.backend.starting() is None


def test_a_host_that_is_off_gets_a_full_inventory(box: Machine) -> None:
    box.power('ForceOff')
    assert box.backend.starting() is None


@pytest.mark.parametrize('path', [
    '/redfish/v1/TaskService$', '/redfish/v1/UpdateService$',
    '/Managers'])
def test_unread_resources_lead_to_a_full_inventory(
        box: Machine, path: str) -> None:
    reset(box)
    box.box.faults.add('status', '503', path, 'GET')
    assert box.backend.starting() is None


def test_a_bmc_that_does_not_respond_while_booting_is_unreachable(
        box: Machine) -> None:
    reset(box)
    box.box.faults.add('status', '503', '/redfish/v1$', 'GET')
    with pytest.raises(Unreachable):
        box.backend.starting()


def test_the_bmc_of_a_booting_host_is_checked_every_two_minutes(
        box: Machine) -> None:
    box.backend.observe()
    reset(box)
    boots_for_ever(box)
    asked = checks(box, 40)
    assert sum(asked) < 40 + 4 * 8
    assert asked[:5] == [1] * 5
    whole = [n for n, number in enumerate(asked) if number > 1]
    assert len(whole) >= 3
    assert all(b - a <= 13 for a, b in itertools.pairwise(whole))


def test_work_that_begins_while_the_host_boots_is_seen(box: Machine) -> None:
    """Then every check is a whole inventory, which waits for the work."""
    box.backend.observe()
    reset(box)
    boots_for_ever(box)
    control.start_foreign_task(box.box, 7200)
    times = 0
    while box.backend.starting() is not None:
        box.clock.advance(10)
        times += 1
    assert 0 < times <= 13
    for _ in range(5):
        box.clock.advance(10)
        assert box.backend.starting() is None
        assert box.backend.observe().busy


def test_a_bmc_of_which_nothing_is_known_is_checked_first(
        box: Machine) -> None:
    reset(box)
    boots_for_ever(box)
    first, *others = checks(box, 4)
    assert first > 1
    assert set(others) == {1}


def test_a_system_that_cannot_be_read_leads_to_a_full_inventory(
        box: Machine) -> None:
    box.backend.observe()
    reset(box)
    box.box.faults.add('status', '503', f'{SYSTEMS}/System_0$', 'GET')
    box.box.faults.add('expand-error')
    assert box.backend.starting() is None


def test_an_inventory_after_a_check_reads_the_system_of_that_check_alone(
        box: Machine) -> None:
    """A second later it is read again."""
    box.backend.observe()
    assert box.backend.starting() is None
    before = len(paths(box))
    box.backend.observe()
    assert SYSTEMS not in paths(box)[before:]
    assert box.backend.starting() is None
    box.clock.advance(2)
    before = len(paths(box))
    box.backend.observe()
    assert SYSTEMS in paths(box)[before:]
