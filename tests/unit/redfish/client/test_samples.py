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
"""Which members of an expanded collection are also read directly."""

from __future__ import annotations

from typing import Any

import pytest

from ironic_accel.redfish.client import documents
from ironic_accel.redfish.client.read_history import ReadHistory
from ironic_accel.redfish.client.read_history import Readings

BMC, KIND = 'https://bmc', '#ProcessorCollection.ProcessorCollection'


def doc(names: str) -> dict[str, Any]:
    """A resource with properties of one letter each, and an annotation."""
    return {'@odata.id': '/x', 'A@Redfish.AllowableValues': [],
            **dict.fromkeys(names)}


@pytest.mark.parametrize(('members', 'expected'), [
    ({}, []),
    ({'G_1': 'xy', 'G_2': 'xy'}, ['G_1']),
    # One that has less than the others of its kind may have lost it.
    ({'G_1': 'x', 'G_2': 'xy', 'G_3': 'xy'}, ['G_2', 'G_1']),
    # Two kinds may look alike without the properties that they lost.
    ({'F_0': 'xy', 'G_1': 'xy', 'G_2': 'xy'}, ['G_1', 'F_0']),
    # Those that stand for most come first, and few are left out.
    ({'F_0': 'q', **{f'G_{n}': 'xy' for n in range(20)}}, ['G_0']),
    ({'F_0': 'q', **{f'G_{n}': 'xy' for n in range(8)}}, ['G_0', 'F_0']),
    ({'A': 'p', 'B': 'q', 'C': 'r', 'D': 's'}, ['A', 'B', 'C'])])
def test_samples_stand_for_all(
        members: dict[str, str], expected: list[str]) -> None:
    given = {uri: doc(names) for uri, names in members.items()}
    assert documents.samples(given, 3, 0.9) == expected


@pytest.mark.parametrize(('members', 'expected'), [
    ({'A': 'xy', 'B': 'xy'}, ['A']),
    # The one with the most properties stands for the others.
    ({'A': 'x', 'B': 'xyz', 'C': 'xy'}, ['B']),
    ({'A': 'x', 'B': 'y'}, ['A', 'B'])])
def test_the_richest_of_one_kind_stands_for_the_others(
        members: dict[str, str], expected: list[str]) -> None:
    given = {uri: doc(names) for uri, names in members.items()}
    assert documents.samples(given, 3, 0.9, one_kind=True) == expected


def test_shape_leaves_annotations_out() -> None:
    assert documents.shape(doc('xy')) == {'x', 'y'}


def test_shape_has_the_settings_object() -> None:
    given = {**doc('x'), documents.SETTINGS: {}}
    assert documents.shape(given) == {'x', documents.SETTINGS}
    assert documents.dropped(given, doc('x')) == documents.SETTINGS


class Clock:
    """Time that is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_checked_shape_is_known_for_an_hour() -> None:
    clock = Clock()
    history = ReadHistory(clock)
    whole, part = frozenset('xyz'), frozenset('xy')
    assert history.expands_whole(BMC, KIND, whole) is None
    history.tried_expand(BMC, KIND, whole, True)
    assert history.expands_whole(BMC, KIND, whole) is True
    # What it lacks may be what was omitted.
    assert history.expands_whole(BMC, KIND, part) is None
    assert history.expands_whole(BMC, 'another', whole) is None
    assert history.expands_whole('https://other', KIND, whole) is None
    clock.now += 3601
    assert history.expands_whole(BMC, KIND, whole) is None


def test_shape_that_lacks_properties_is_not_excused_by_a_whole_one() -> None:
    history = ReadHistory(Clock())
    history.tried_expand(BMC, KIND, frozenset('xyz'), True)
    history.tried_expand(BMC, KIND, frozenset('xy'), False)
    assert history.expands_whole(BMC, KIND, frozenset('xy')) is False


def test_number_of_shapes_is_bounded() -> None:
    history = ReadHistory(Clock())
    for n in range(600):
        history.tried_expand(BMC, KIND, frozenset({str(n)}), True)
    assert history.expands_whole(BMC, KIND, frozenset({'0'})) is None
    assert history.expands_whole(BMC, KIND, frozenset({'599'})) is True


def test_readings_are_kept_by_their_age() -> None:
    clock = Clock()
    readings = Readings(clock)
    readings['/old'] = {'n': 1}
    clock.now += 5
    readings['/new'] = {'n': 2}
    readings['/never'] = {'n': 3}
    clock.now += 6
    readings.begin(lambda uri: 0.0 if uri == '/never' else 10.0)
    assert dict(readings) == {'/new': {'n': 2}}
    assert readings.kept() == ['/new']
    # What is kept does not become younger, and what is read again is new.
    clock.now += 5
    readings['/other'] = {'n': 4}
    readings['/new'] = {'n': 5}
    assert readings.kept() == []
    readings.begin(None)
    assert not readings


def test_no_reading_of_this_very_moment_is_kept_without_an_age() -> None:
    readings = Readings(Clock())
    readings['/x'] = {}
    readings.begin(lambda uri: 0.0)
    assert not readings


def test_clock_that_went_back_keeps_nothing() -> None:
    clock = Clock()
    readings = Readings(clock)
    readings['/x'] = {}
    clock.now -= 1
    readings.begin(lambda uri: 10.0)
    assert not readings
