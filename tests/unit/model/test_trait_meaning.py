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


"""What a published trait says, and its stored text."""

from __future__ import annotations

import pathlib
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from ironic_accel.model import trait_meaning
from ironic_accel.model.trait_meaning import DEGRADED
from ironic_accel.model.trait_meaning import PRESENT
from ironic_accel.model.trait_meaning import TraitMeaning
from ironic_accel.model.trait_meaning import TraitType

#: As releases before this one stored them.
STORED = {'CUSTOM_ACCEL_GPU': 'here', 'CUSTOM_ACCEL_GPU_MIG': 'mode gpu',
          'CUSTOM_ACCEL_IS_ECC_ON': 'is ecc-on',
          'CUSTOM_ACCEL_CAN_MIG_ON': 'can mig-on',
          'CUSTOM_ACCEL_DEGRADED': 'degraded'}


def test_what_earlier_releases_stored_is_read_and_written_as_it_was() -> None:
    found = trait_meaning.read(STORED)
    assert list(found.values()) == [
        PRESENT, TraitMeaning.mode('gpu'), TraitMeaning.is_profile('ecc-on'),
        TraitMeaning.can_profile('mig-on'), DEGRADED]
    assert trait_meaning.written(found) == STORED


@pytest.mark.parametrize('text', [
    '', 'is', 'is ', 'mode', 'here and there', 'degraded gpu', 'unknown',
    'IS ecc-on', 'says ecc-on', None, 7, ['is', 'ecc-on']])
def test_what_is_no_meaning_is_unknown_and_speaks_for_no_profile(
        text: Any) -> None:
    found = TraitMeaning.parse(text)
    assert found.type is TraitType.UNKNOWN
    assert found.profile is None
    assert found not in (PRESENT, DEGRADED)


@given(st.text())
def test_whatever_was_stored_is_stored_again(text: str) -> None:
    found = TraitMeaning.parse(text)
    assert str(found) == text
    assert TraitMeaning.parse(str(found)) == found


@pytest.mark.parametrize('stored', [None, [], 'is ecc-on', 7])
def test_what_is_no_mapping_is_no_trait(stored: Any) -> None:
    assert trait_meaning.read(stored) == {}


def test_no_other_module_takes_a_stored_meaning_apart() -> None:
    """By its first letters or words, as seven modules once did."""
    parsed = re.compile(
        r"""startswith\(\(?['"](is|can|mode) ['"]"""
        r"""|meaning(\[\d*:|\.partition)""")
    folder = pathlib.Path(trait_meaning.__file__).parents[1]
    modules = sorted(folder.rglob('*.py'))
    assert len(modules) > 100
    assert parsed.search("meaning.startswith(('is ', 'mode '))")
    assert parsed.search("proofs.get(meaning[3:])")
    assert [m.name for m in modules
            if parsed.search(m.read_text(encoding='utf-8'))] == []


def test_a_profile_is_spoken_for_by_is_and_can_alone() -> None:
    assert TraitMeaning.is_profile('ecc-on').profile == 'ecc-on'
    assert TraitMeaning.can_profile('ecc-on').profile == 'ecc-on'
    assert TraitMeaning.mode('gpu').profile is None
