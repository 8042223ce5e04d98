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

"""The short form of the campaign; ``make campaign`` is the long one.

Whole runs against boxes of which anything may go wrong: nothing is proved,
published, written or reset that must not be, and every run ends.
"""

from __future__ import annotations

import itertools

import pytest

from tests.campaign import draw
from tests.campaign import play
from tests.campaign import scenes
from tests.campaign import table
from tests.campaign.case import Case
from tests.campaign.case import Trouble

MOMENTS = ('start', 'verify', 'flash', 'landed', 'boot')
#: Cases with any scene that is on this machine; each is a few runs long.
SEED, BATCHES, EACH = 10, 12, 7


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without proxies to look for, requests are made at once."""
    monkeypatch.setenv('NO_PROXY', '*')


@pytest.mark.parametrize('batch', range(BATCHES))
def test_whatever_goes_wrong_nothing_is_done_or_said_that_must_not_be(
        batch: int) -> None:
    wrong = []
    for number in range(batch * EACH, (batch + 1) * EACH):
        case = draw.case(SEED, number)
        report = play.play(case)
        if report.sins:
            wrong.append((report.sins, case.dump()))
    assert wrong == []


@pytest.mark.parametrize('moment', MOMENTS)
def test_every_fault_at_a_moment(moment: str) -> None:
    """A part of the table: each fault, for good, at one of the moments."""
    rows = [(title, case) for title, when, case in table.cases()
            if when == f'{moment}, for good']
    assert len(rows) == len(table.FAULTS)
    wrong = []
    for title, case in itertools.islice(rows, MOMENTS.index(moment),
                                        None, 5):
        report = play.play(case)
        if report.sins:
            wrong.append((title, report.sins, case.dump()))
    assert wrong == []


def test_another_conductor_and_death_at_any_moment() -> None:
    rows = list(table.others())
    assert len(rows) == 2 * (table.CALLS + table.SAVES)
    for _, when, case in itertools.islice(rows, 0, None, 11):
        report = play.play(case)
        assert (report.outcome, report.sins) == ('Converged', []), when


@pytest.mark.parametrize('astray', ['redirect', 'absolute'])
def test_no_token_goes_astray(astray: str) -> None:
    report = play.play(Case('nic', login=True, troubles=(
        Trouble(astray, None, '/redfish/v1/Chassis'),)))
    assert report.sins == []
    assert report.requests > 10


def test_the_scenes_are_many_and_their_boxes_are_here() -> None:
    assert len([s for s in scenes.here() if not s.source.endswith('.gz')]
               ) >= 12
