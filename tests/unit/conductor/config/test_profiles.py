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

"""Site profiles."""

from __future__ import annotations

import logging
import os
import pathlib

import pytest

from ironic_accel.conductor.config import profiles
from ironic_accel.model.errors import BadInput
from tests.unit.conductor import sample


def write(folder: pathlib.Path, name: str, text: str, at: int = 1) -> None:
    path = folder / name
    path.write_text(text)
    os.utime(path, ns=(at, at))


def test_profiles_are_read_again_when_a_file_changes(
        tmp_path: pathlib.Path) -> None:
    found = profiles.SiteProfiles(str(tmp_path))
    assert found.all() == {}
    write(tmp_path, 'a.yaml', sample.yaml_of(
        sample.mode_profile('one', ecc='enabled')))
    before = found.get('one').digest
    write(tmp_path, 'a.yaml', sample.yaml_of(
        sample.mode_profile('one', ecc='disabled')), at=2)
    assert found.get('one').digest != before
    (tmp_path / 'a.yaml').unlink()
    assert found.all() == {}


def test_a_bad_file_is_named_and_the_others_work(
        tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, 'bad.yaml', 'profile: 1\nname: UPPER\n')
    write(tmp_path, 'good.yaml', sample.yaml_of(
        sample.mode_profile('good', ecc='enabled')))
    found = profiles.SiteProfiles(str(tmp_path))
    with caplog.at_level(logging.ERROR):
        assert set(found.all()) == {'good'}
        assert set(found.all()) == {'good'}
    complaints = [r for r in caplog.records if 'bad.yaml' in r.getMessage()]
    assert len(complaints) == 1
    assert 'UPPER' in complaints[0].getMessage()


def test_a_name_in_two_files_is_neither_s(
        tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    for file, value in (('a.yaml', 'enabled'), ('b.yaml', 'disabled')):
        write(tmp_path, file, sample.yaml_of(
            sample.mode_profile('twice', ecc=value)))
    with caplog.at_level(logging.ERROR):
        assert profiles.SiteProfiles(str(tmp_path)).all() == {}
    assert 'a.yaml' in caplog.text
    assert 'b.yaml' in caplog.text


def test_unknown_profile_error_lists_the_known_ones(
        tmp_path: pathlib.Path) -> None:
    write(tmp_path, 'a.yaml', sample.yaml_of(
        sample.mode_profile('one', ecc='enabled')))
    with pytest.raises(
            BadInput, match=r"'two' is no site profile.*known: one"):
        profiles.SiteProfiles(str(tmp_path)).get('two')


def test_without_a_folder_there_are_none() -> None:
    found = profiles.SiteProfiles(None)
    assert found.all() == {}
    with pytest.raises(BadInput, match='none at all'):
        found.get('one')


def test_missing_profile_directory_is_empty(tmp_path: pathlib.Path) -> None:
    assert profiles.SiteProfiles(str(tmp_path / 'gone')).all() == {}
