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

"""The demo's own pieces; the story itself is ``make demo``."""

from __future__ import annotations

import io
import pathlib

import pytest

from ironic_accel.faces import plan_view
from ironic_accel.faces import view
from ironic_accel.model import loader
from tests.functional.harness.demo.profiles import write
from tests.functional.harness.demo.show import NotAsTold
from tests.functional.harness.demo.show import Show
from tests.functional.harness import LabError


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def show(stream: io.StringIO) -> Show:
    return Show(view, plan_view, stream)


def test_what_is_as_told_is_said_and_counted(
        show: Show, stream: io.StringIO) -> None:
    show.expect(True, 'one push')
    assert show.held == 1
    assert '  ok  one push\n' in stream.getvalue()


def test_what_is_not_as_told_ends_the_demo(
        show: Show, stream: io.StringIO) -> None:
    with pytest.raises(LabError) as caught:
        show.expect(False, 'one push', 2)
    assert isinstance(caught.value, NotAsTold)
    assert str(caught.value) == 'expected: one push; seen: 2'
    assert (show.held, stream.getvalue()) == (0, '')


def test_any_row_can_be_shown(
        show: Show, stream: io.StringIO) -> None:
    show.rows('Machines', ('Name', 'Devices'), [('hgx', 8), ('x', None)])
    assert '\nMachines\nName  Devices\n----  -------\nhgx   8\nx     -\n' in (
        stream.getvalue())


class Lab:
    """Where the profiles are written."""

    class images:
        url = 'http://127.0.0.1:1'

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.profiles = folder / 'profiles'
        for path in (self.profiles, folder / 'images'):
            path.mkdir()


def test_the_profiles_of_the_story_are_valid(tmp_path: pathlib.Path) -> None:
    lab = Lab(tmp_path)
    write(lab)  # type: ignore[arg-type]
    found = [profile for path in sorted(lab.profiles.iterdir())
             for profile in loader.load_text(path.read_text(), path.name)]
    assert [p.name for p in found] == [
        'a100-mig', 'hgx-mig', 'hgx-raw', 'hgx-secure']
    assert all(p.offered for p in found)
