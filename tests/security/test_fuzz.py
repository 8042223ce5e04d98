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

"""A short form of the fuzzing: ``make fuzz`` tries a hundred thousand."""

from __future__ import annotations

import pathlib
import random

import pytest

from tests.security import fuzz
from tests.security import mutate


@pytest.mark.parametrize('kind', sorted(fuzz.SHARES))
def test_no_exception_but_ours_and_each_in_its_time(kind: str) -> None:
    tally = fuzz.run(400, 11, list(fuzz.BOXES), (kind,))[kind]
    assert tally.wrong == []
    assert tally.mutated >= 400
    assert tally.slowest < fuzz.DEADLINE
    # What it does to answers is bad enough for some of them to be refused.
    # A request for an image is answered, whatever it is.
    assert kind in ('bmc', 'tools', 'served') or tally.ours


def test_captures_are_fuzzed_too(captures: pathlib.Path) -> None:
    source = str(captures / 'a100x4-cray-ex235n.tar.gz')
    tally = fuzz.run(150, 12, [source], ('bmc',))['bmc']
    assert tally.wrong == []


def test_an_exception_that_is_not_ours_is_counted() -> None:
    tally = fuzz.Tally()
    empty: dict[str, str] = {}
    with tally.attempt('mark'):
        empty.pop('x')
    assert tally.wrong
    assert 'mark: KeyError' in tally.wrong[0]


def test_a_seed_gives_the_same_again() -> None:
    one, two = (mutate.answer(
        random.Random('7'), fuzz.TASK)  # noqa: S311 - no secret
        for _ in range(2))
    assert one == two
