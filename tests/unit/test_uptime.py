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

"""The time of a run without a conductor, whatever its clocks say."""

from __future__ import annotations

from collections.abc import Iterator
import json
import pathlib
import time
from unittest import mock

import pytest

from ironic_accel.faces.cli import journal
from ironic_accel.model.errors import BadInput
from ironic_accel.model.record import Record
from ironic_accel.redfish.inventory.bmc_identity import BmcIdentity
from ironic_accel import uptime

DAY = 86400.0


class Clocks:
    """What the machine tells."""

    wall, steady, boot = 5_000_000.0, 100.0, 'a'

    def goes_on(self, seconds: float, jump: float = 0.0) -> None:
        """Time goes by, and the time of day is set by some more."""
        self.steady += seconds
        self.wall += seconds + jump


@pytest.fixture
def clocks() -> Iterator[Clocks]:
    made = Clocks()
    with mock.patch.object(time, 'time', autospec=True,
                           side_effect=lambda: made.wall), \
            mock.patch.object(uptime, 'steady', autospec=True,
                              side_effect=lambda: made.steady), \
            mock.patch.object(uptime, 'boot', autospec=True,
                              side_effect=lambda: made.boot):
        yield made


@pytest.mark.parametrize('jump', [-DAY, -3600.0, 0.0, 3600.0, DAY, 1e9])
def test_a_clock_that_is_set_in_a_run_changes_nothing(
        clocks: Clocks, jump: float) -> None:
    run = uptime.Elapsed()
    assert run.now() == 5_000_000
    clocks.goes_on(90, jump)
    assert run.now() == 5_000_090
    again = uptime.Elapsed(json.loads(json.dumps(run.mark())))
    clocks.goes_on(10, -2 * jump)
    assert again.now() == 5_000_100


@pytest.mark.parametrize('jump', [-DAY, -3600.0, 3600.0, DAY, 1e9])
def test_a_clock_that_is_set_between_two_runs_changes_nothing(
        clocks: Clocks, jump: float) -> None:
    mark = uptime.Elapsed().mark()
    clocks.goes_on(500, jump)
    assert uptime.Elapsed(mark).now() == 5_000_500


@pytest.mark.parametrize(('jump', 'counted'), [
    (0.0, 90.0), (-DAY, 0.0), (-90.0, 0.0), (DAY, uptime.STEP),
    (1e9, uptime.STEP)])
def test_a_machine_that_was_started_again_counts_too_little_at_most(
        clocks: Clocks, jump: float, counted: float) -> None:
    """At its first boot a host may not know the year."""
    mark = uptime.Elapsed().mark()
    clocks.goes_on(90, jump)
    clocks.boot, clocks.steady = 'b', 3.0
    run = uptime.Elapsed(mark)
    assert run.now() == 5_000_000 + counted
    clocks.goes_on(5, jump)
    assert run.now() == 5_000_005 + counted


def test_a_journal_goes_on_with_the_time_of_the_last_run(
        clocks: Clocks, tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / 'j.json')
    one = journal.of(BmcIdentity('http://b', '/s'), path)
    one.save(Record())
    clocks.goes_on(60, -DAY)
    two = journal.of(BmcIdentity('http://b', '/s'), path)
    two.load()
    assert two.time.now() == 5_000_060


def test_a_journal_of_an_earlier_version_has_times_of_day(
        clocks: Clocks, tmp_path: pathlib.Path) -> None:
    path = tmp_path / 'j.json'
    journal.of(BmcIdentity('http://b', '/s'), str(path)).save(Record())
    old = json.loads(path.read_text())
    del old['time']
    path.write_text(json.dumps(old))
    one = journal.of(BmcIdentity('http://b', '/s'), str(path))
    one.load()
    assert one.time.now() == clocks.wall


@pytest.mark.parametrize('change', [
    {'time': 7}, {'time': {}}, {'time': {'at': 'x', 'boot': 'a'}},
    {'record': 7}, {'record': {'schema': 'record/1'}}, {'bmc': None}])
def test_a_journal_that_is_none_is_bad_input(
        tmp_path: pathlib.Path, change: dict[str, object]) -> None:
    path = tmp_path / 'j.json'
    journal.of(BmcIdentity('http://b', '/s'), str(path)).save(Record())
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(BadInput, match=r'j\.json'):
        journal.of(BmcIdentity('http://b', '/s'), str(path)).load()


def test_a_journal_that_lacks_something_is_bad_input(
        tmp_path: pathlib.Path) -> None:
    path = tmp_path / 'j.json'
    for key in ('bmc', 'system', 'found', 'record', 'schema'):
        journal.of(BmcIdentity('http://b', '/s'), str(path)).save(Record())
        doc = json.loads(path.read_text())
        del doc[key]
        path.write_text(json.dumps(doc))
        with pytest.raises(BadInput, match=r'j\.json'):
            journal.of(BmcIdentity('http://b', '/s'), str(path)).load()
