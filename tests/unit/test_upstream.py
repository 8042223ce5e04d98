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

"""The script that adds the interface type accelerator to an Ironic.

Against a tree made here, and against the files of the Ironic installed.
``make test-upstream`` has the whole of it: upstream's tests, and the lab.
"""

from __future__ import annotations

from importlib import metadata
import pathlib
import shutil

import pytest

from contrib.upstream import apply

RELEASE, COMMITS = apply.load()


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> pathlib.Path:
    """A release of two files."""
    made = tmp_path / 'release'
    made.mkdir()
    made.joinpath('PKG-INFO').write_text('Name: it\nVersion: 1.2.3\n')
    made.joinpath('one.py').write_text('A = 1\nB = 2\nA2 = 1\n')
    return made


@pytest.fixture
def files(tmp_path: pathlib.Path) -> pathlib.Path:
    """The new files of a change."""
    made = tmp_path / 'files'
    made.joinpath('sub').mkdir(parents=True)
    made.joinpath('sub', 'new.py').write_text('NEW = 1\n')
    return made


def series(*edits: apply.Edit) -> list[apply.Commit]:
    """A series of one commit, with a new file."""
    return [apply.Commit('Do it', 'Why.', ('sub/new.py',), edits)]


def edit(place: str, anchor: str, text: str, **more: str) -> apply.Edit:
    """An edit of the one file."""
    return apply.Edit('one.py', place, anchor, text, **more)


@pytest.mark.parametrize('one, wanted', [
    (edit('before', 'B = 2\n', 'C = 3\n'), 'A = 1\nC = 3\nB = 2\nA2 = 1\n'),
    (edit('after', 'B = 2\n', 'C = 3\n'), 'A = 1\nB = 2\nC = 3\nA2 = 1\n'),
    (edit('replace', 'B = 2', 'B = 3'), 'A = 1\nB = 3\nA2 = 1\n'),
    (edit('replace', '= 1', '= 7', below='B = 2'),
     'A = 1\nB = 2\nA2 = 7\n'),
    (edit('replace', '= 1', '= 7', above='B = 2'),
     'A = 7\nB = 2\nA2 = 1\n')])
def test_an_edit(tree: pathlib.Path, files: pathlib.Path, one: apply.Edit,
                 wanted: str) -> None:
    assert apply.changes(tree, series(one), files) == {
        'one.py': wanted, 'sub/new.py': 'NEW = 1\n'}


@pytest.mark.parametrize('one, words', [
    (edit('before', 'D = 4', 'x'), "'D = 4': found 0 times, expected once"),
    (edit('before', '= 1', 'x'), "'= 1': found 2 times"),
    (edit('before', 'B', 'x', below='D'), "'D': found 0 times"),
    (edit('before', 'B', 'x', above='= 1'), "'= 1': found 2 times"),
    (edit('before', 'A = 1', 'x', below='B = 2'), 'found 0 times'),
    (apply.Edit('two.py', 'before', 'B', 'x'), 'two.py: No such file')])
def test_what_does_not_fit_stops_it(
        tree: pathlib.Path, files: pathlib.Path, one: apply.Edit, words: str
        ) -> None:
    good = edit('replace', 'B = 2', 'B = 3')
    with pytest.raises(apply.Stopped) as caught:
        apply.changes(tree, series(good, one), files)
    assert words in str(caught.value)


def test_edits_that_overlap_stop_it(
        tree: pathlib.Path, files: pathlib.Path) -> None:
    with pytest.raises(apply.Stopped, match='overlap'):
        apply.changes(tree, series(edit('replace', 'B = 2', 'x'),
                                   edit('replace', '2\nA2', 'y')), files)


def test_a_tree_that_has_it_already_stops_it(
        tree: pathlib.Path, files: pathlib.Path) -> None:
    commits = series(edit('after', 'B = 2\n', 'C = 3\n'))
    apply.write(tree, apply.changes(tree, commits, files))
    assert tree.joinpath('sub', 'new.py').read_text() == 'NEW = 1\n'
    with pytest.raises(apply.Stopped, match=r'new\.py: is there already'):
        apply.changes(tree, commits, files)


def test_another_release_stops_it(tree: pathlib.Path) -> None:
    apply.check_release(tree, '1.2.3')
    with pytest.raises(apply.Stopped, match=r'version 1\.2\.3, expected 1'):
        apply.check_release(tree, '1.2.4')
    tree.joinpath('PKG-INFO').unlink()
    with pytest.raises(apply.Stopped, match='PKG-INFO: No such file'):
        apply.check_release(tree, '1.2.3')


@pytest.mark.parametrize('option', [[], ['--check'], ['--patches', 'out']])
def test_the_command_writes_nothing_where_it_stops(
        tree: pathlib.Path, tmp_path: pathlib.Path,
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
        option: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    tree.joinpath('PKG-INFO').write_text(f'Version: {RELEASE}\n')
    before = {p: p.read_bytes() for p in tmp_path.rglob('*') if p.is_file()}
    assert apply.main([str(tree), *option]) == 1
    assert 'nothing was written' in capsys.readouterr().err
    assert before == {
        p: p.read_bytes() for p in tmp_path.rglob('*') if p.is_file()}


def test_a_series_of_patches(
        tree: pathlib.Path, files: pathlib.Path, tmp_path: pathlib.Path
        ) -> None:
    if shutil.which('git') is None:
        pytest.skip('git is missing')
    first, = series(edit('after', 'B = 2\n', 'C = 3\n'))
    second = apply.Commit('Do more', 'Because.', (),
                          (edit('before', 'A = 1\n', 'Z = 0\n'),))
    found = apply.write_patches(
        tree, [first, second], tmp_path / 'out', files)
    assert [p.name for p in found] == [
        '0001-Do-it.patch', '0002-Do-more.patch']
    texts = [p.read_text() for p in found]
    assert '+C = 3' in texts[0]
    assert '+NEW = 1' in texts[0]
    assert '+Z = 0' not in texts[0]
    assert '+Z = 0' in texts[1]
    assert '+C = 3' not in texts[1]
    assert tree.joinpath('one.py').read_text() == 'A = 1\nB = 2\nA2 = 1\n'


def test_every_anchor_is_in_the_ironic_installed_and_the_result_compiles(
        ) -> None:
    """A package has the modules and their tests, not pages and metadata."""
    found = metadata.distribution('ironic')
    if found.version != RELEASE:
        pytest.skip(f'ironic {found.version} is installed, not {RELEASE}')
    top = pathlib.Path(str(found.locate_file('')))
    if (top / 'ironic/db/sqlalchemy/alembic/versions'
            / '5d1f9c3b7a42_add_accelerator_interface.py').exists():
        pytest.skip('the Ironic installed has it already')
    commits = [apply.Commit(
        c.subject, c.body,
        tuple(f for f in c.files if f.startswith('ironic/')),
        tuple(e for e in c.edits if e.file.startswith('ironic/')))
        for c in COMMITS]
    texts = apply.changes(top, commits)
    assert len(texts) > 25
    for name, text in texts.items():
        compile(text, name, 'exec')
        assert not [line for line in text.splitlines()
                    if 'ccelerator' in line and len(line) > 79], name


def test_anchors_are_short() -> None:
    """No line of Ironic's is kept here beyond what finds the place."""
    for commit in COMMITS:
        for one in commit.edits:
            for text in (one.anchor, one.below, one.above):
                assert len((text or '').strip()) <= 80, text


def test_each_new_file_belongs_to_one_commit() -> None:
    there = {str(p.relative_to(apply.FILES))
             for p in apply.FILES.rglob('*') if p.is_file()
             and '__pycache__' not in p.parts}
    listed = [f for c in COMMITS for f in c.files]
    assert sorted(listed) == sorted(there)
