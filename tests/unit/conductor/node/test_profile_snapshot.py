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


"""The profile of a run is parsed once, however many ticks the run has."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import dataclasses
import pathlib
from typing import Any
from unittest import mock

import pytest

from ironic_accel.conductor.config import catalogue
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import profile_snapshot
from ironic_accel.model import catalog
from ironic_accel.model.errors import BadInput
from ironic_accel.model import loader
from ironic_accel.model.profile import Count
from ironic_accel.model.profile import Profile
from tests.unit.conductor import sample
from tests.unit.conductor.stage import Stage
from tests.unit.conductor.stage import staged

Make = Callable[..., Any]


class Parses:
    """How often profiles and the catalogue were parsed."""

    def __init__(self, data: mock.Mock, text: mock.Mock,
                 facts: mock.Mock) -> None:
        self._all = data, text, facts

    def taken(self) -> tuple[int, int, int]:
        """Parses of plain data, profile files and catalogues since then."""
        counts = tuple(m.call_count for m in self._all)
        for made in self._all:
            made.reset_mock()
        return counts[0], counts[1], counts[2]


@pytest.fixture
def parses() -> Iterator[Parses]:
    """Counts the parses; they are made all the same."""
    with mock.patch.object(loader, 'load_data', autospec=True,
                           side_effect=loader.load_data) as data, \
        mock.patch.object(loader, 'load_text', autospec=True,
                          side_effect=loader.load_text) as text, \
        mock.patch.object(catalog, 'extended', autospec=True,
                          side_effect=catalog.extended) as facts:
        yield Parses(data, text, facts)


@pytest.fixture
def stage(make_node: Make, acquire: Make, profiles: pathlib.Path,
          another_conductor: Callable[[], None]) -> Iterator[Stage]:
    """A node, its box, and the world between them."""
    with staged(make_node, acquire, profiles) as made:
        yield made


@pytest.fixture
def another_conductor(monkeypatch: pytest.MonkeyPatch
                      ) -> Callable[[], None]:
    """Forgets what this process has parsed, as a new one has nothing."""
    def begin() -> None:
        monkeypatch.setattr(
            profile_snapshot, '_parsed', profile_snapshot.ParsedProfiles())
        catalogue.catalogue.cache_clear()

    begin()
    return begin


def ticks(stage: Stage, most: int) -> int:
    """Tick so many times, or until it is over; gives how many it were."""
    for number in range(1, most + 1):
        if stage.tick() is None:
            return number
    return most


def test_a_run_parses_its_profile_once(
        stage: Stage, parses: Parses) -> None:
    stage.seconds = 5.0
    stage.begin(profile='h100-new')
    # The file of site profiles, once; nothing of the run yet.
    assert parses.taken() == (0, 1, 1)
    assert ticks(stage, 200) >= 20
    assert stage.result['outcome'] == 'converged'
    assert parses.taken() == (0, 0, 0)


def test_a_conductor_that_takes_a_run_over_parses_once(
        stage: Stage, parses: Parses, profiles: pathlib.Path,
        another_conductor: Callable[[], None]) -> None:
    stage.seconds = 5.0
    stage.begin(profile='h100-new')
    ticks(stage, 5)
    assert parses.taken()[0] == 0
    another_conductor()
    assert ticks(stage, 200) >= 15
    assert stage.result['outcome'] == 'converged'
    assert parses.taken() == (1, 0, 1)


def test_another_stored_profile_is_parsed(
        make_node: Make, parses: Parses,
        another_conductor: Callable[[], None]) -> None:
    node = make_node()
    first, second = (sample.profile(sample.mode_profile('ecc', ecc=value))
                     for value in ('enabled', 'disabled'))
    parses.taken()
    profile_snapshot.keep(node, first)
    assert [profile_snapshot.load(node), profile_snapshot.load(node)] == [
        first,
        first,
    ]
    assert parses.taken()[0] == 0
    # One value differs: same name, same length but for the word.
    profile_snapshot.keep(node, second)
    assert profile_snapshot.load(node) == second
    raw = node.driver_internal_info[keys.PROFILE.name]
    raw['devices']['gpus']['modes']['ecc'] = 'enabled'
    assert profile_snapshot.load(node) == first
    assert parses.taken()[0] == 0
    # What no conductor kept, this one has to parse.
    raw['devices']['gpus']['count'] = 5
    found = profile_snapshot.load(node)
    assert found is not None and found.groups[0].count == Count(5, 5)
    assert found.digest not in (first.digest, second.digest)
    assert parses.taken()[0] == 1


def test_what_is_kept_is_what_another_conductor_parses(
        make_node: Make, another_conductor: Callable[[], None]) -> None:
    node = make_node()
    for given in (sample.profile(), sample.profile(sample.mode_profile(
            'ecc', ecc='enabled'))):
        profile_snapshot.keep(node, given)
        kept = profile_snapshot.load(node)
        another_conductor()
        assert profile_snapshot.load(node) == kept == given


def test_another_catalogue_parses_again(parses: Parses) -> None:
    cache = profile_snapshot.ParsedProfiles()
    raw = loader.normalise(sample.profile())
    one, two = catalog.load(), catalog.extended({})
    parses.taken()
    found = cache.get(raw, one)
    assert cache.get(dict(raw), one) is found
    assert cache.get(raw, two) == found
    assert parses.taken()[0] == 2


@pytest.mark.parametrize('raw', [
    {'profile': 1, 'name': 'bad', 'devices': {}}, [], 'text', 7,
    {'zlib': 'bm8gemxpYg=='}, {'zlib': 7}])
def test_invalid_snapshot_is_refused_each_time(
        make_node: Make, raw: Any) -> None:
    node = make_node()
    node.set_driver_internal_info(keys.PROFILE.name, raw)
    for _ in range(2):
        with pytest.raises(BadInput):
            profile_snapshot.load(node)


def test_the_profile_used_longest_ago_is_forgotten(parses: Parses) -> None:
    cache = profile_snapshot.ParsedProfiles(most=2)
    one, two, three = (loader.normalise(sample.profile(sample.mode_profile(
        name, ecc='enabled'))) for name in ('one', 'two', 'three'))
    known_now = catalog.load()
    parses.taken()
    for raw in (one, two, one, three, one):
        cache.get(raw, known_now)
    assert parses.taken()[0] == 3
    cache.get(two, known_now)
    assert parses.taken()[0] == 1


def _of_hopper() -> Profile:
    return loader.load_data({
        'profile': 2, 'name': 'hopper', 'devices': {'gpus': {
            'match': {'kind': 'gpu', 'arch': 'hopper'}, 'count': 2,
            'firmware': {'gpu': {'nvidia-h100-sxm': {'version': sample.OLD},
                                 'nvidia-h200-*': {'version': sample.NEW}}},
            'modes': {'ECC': 'on'}}}})


@pytest.mark.parametrize('size', [10, 9000])
def test_a_profile_of_format_2_is_stored_and_read_back(
        make_node: Make, another_conductor: Callable[[], None],
        size: int) -> None:
    node = make_node()
    profile = dataclasses.replace(_of_hopper(), summary='x' * size)
    profile = dataclasses.replace(profile, digest=loader.digest(profile))
    profile_snapshot.keep(node, profile)
    another_conductor()
    found = profile_snapshot.load(node)
    assert found == profile
    assert found is not None and found.groups[0].products


def test_a_run_of_a_profile_of_format_2_continues_on_another_conductor(
        stage: Stage, another_conductor: Callable[[], None],
        profiles: pathlib.Path) -> None:
    profile = loader.load_data({
        'profile': 2, 'name': 'mixed', 'devices': {'gpus': {
            'match': {'kind': 'gpu'}, 'count': 2,
            'firmware': {'gpu': {'nvidia-h100-sxm': {'version': sample.NEW},
                                 'any': {'version': sample.OLD}}},
            'modes': {'ECC': 'on'}}}})
    assert profile.format == 2
    profiles.joinpath('mixed.yaml').write_text(loader.to_yaml(profile))
    stage.begin(profile='mixed')
    ticks(stage, 2)
    writes = stage.box.writes
    assert writes
    another_conductor()
    ticks(stage, 200)
    assert stage.result['outcome'] == 'converged'
    assert 'CUSTOM_ACCEL_IS_MIXED' in stage.traits
    assert stage.box.writes == writes


def _of_a_later_release(stage: Stage) -> None:
    raw = {**stage.info[keys.PROFILE.name], 'profile': 3, 'new-key': {}}
    stage.node.driver_internal_info = {
        **stage.info, keys.PROFILE.name: raw}
    stage.node.save()


def test_a_run_of_a_later_release_waits_for_a_conductor_that_can_read_it(
        stage: Stage, another_conductor: Callable[[], None]) -> None:
    stage.begin(profile='h100-new')
    ticks(stage, 3)
    before = stage.info
    writes = stage.box.writes
    another_conductor()
    _of_a_later_release(stage)
    left = stage.tick()
    assert left is not None
    assert left.progress == (
        'the profile of the run has format 3, and this conductor reads 1 to '
        '2: waiting for a conductor of a later release')
    assert stage.info[keys.RECORD.name] == before[keys.RECORD.name]
    assert stage.box.writes == writes
    # The conductor that began it has it again.
    stage.node.driver_internal_info = {
        **stage.info, keys.PROFILE.name: before[keys.PROFILE.name]}
    stage.node.save()
    ticks(stage, 200)
    assert stage.result['outcome'] == 'converged'


def test_a_run_of_a_later_release_ends_at_its_deadline(
        stage: Stage, another_conductor: Callable[[], None]) -> None:
    stage.begin(profile='h100-new')
    ticks(stage, 3)
    another_conductor()
    _of_a_later_release(stage)
    stage.seconds = 600.0
    assert ticks(stage, 40) > 5
    assert stage.result['outcome'] == 'failed'
    assert 'format 3' in stage.node.last_error
