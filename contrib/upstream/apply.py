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

"""Add the interface type ``accelerator`` to an unpacked Ironic.

``python contrib/upstream/apply.py TREE`` edits the tree of an unpacked
ironic-39.0.0.tar.gz; with ``--patches FOLDER`` it leaves the tree alone and
writes the same as a series of patches (``git format-patch``), with
``--check`` it only looks for the anchors.

Every edit is at an anchor of ``edits.toml``. Where an anchor is not there, or
is there twice, or a new file is there already, nothing is written and the
exit status is 1. It needs Python 3.11 and, for patches, git.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import tomllib
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
EDITS = HERE / 'edits.toml'
FILES = HERE / 'files'
#: What an edit may have beside its file and text: where its anchor is.
PLACES = ('before', 'after', 'replace')
#: Of the commits of a series; the tree of an sdist names no author.
AUTHOR = 'The ironic-accel authors <noreply@openstack.org>'


class Stopped(Exception):
    """The tree is not one that the edits fit. Nothing was written."""


@dataclasses.dataclass(frozen=True)
class Edit:
    """One insertion or replacement.

    :ivar file: path below the tree.
    :ivar place: one of ``PLACES``.
    :ivar anchor: text of the file that is there exactly once.
    :ivar text: what is inserted, or what replaces the anchor.
    :ivar below: text that is there once too, after which the anchor is.
    :ivar above: the same, before which the anchor is.
    """

    file: str
    place: str
    anchor: str
    text: str
    below: str | None = None
    above: str | None = None

    def span(self, content: str) -> tuple[int, int]:
        """Begin and end, in the file, of what ``text`` takes the place of.

        :raises: Stopped where an anchor is missing or ambiguous.
        """
        start = 0 if self.below is None else self._only(
            content, self.below, 0, len(content))[1]
        end = len(content) if self.above is None else self._only(
            content, self.above, start, len(content))[0]
        first, last = self._only(content, self.anchor, start, end)
        if self.place == 'before':
            return first, first
        return (last, last) if self.place == 'after' else (first, last)

    def _only(self, content: str, text: str, start: int, end: int
              ) -> tuple[int, int]:
        times = content.count(text, start, end)
        if times != 1:
            raise Stopped(f'{self.file}: anchor {text!r}: found {times} '
                          'times, expected once')
        at = content.index(text, start, end)
        return at, at + len(text)


@dataclasses.dataclass(frozen=True)
class Commit:
    """One patch of the series.

    :ivar files: new files, as paths below the tree and below ``FILES``.
    """

    subject: str
    body: str
    files: tuple[str, ...]
    edits: tuple[Edit, ...]


def load(path: pathlib.Path = EDITS) -> tuple[str, tuple[Commit, ...]]:
    """The release that the edits are for, and the series.

    :raises: Stopped where the file is not as described in it.
    """
    document = tomllib.loads(path.read_text('utf-8'))
    return str(document['release']), tuple(
        Commit(one['subject'], one['body'].strip(), tuple(one['files']),
               tuple(_edit(e) for e in one['edit']))
        for one in document['commit'])


def _edit(given: Mapping[str, Any]) -> Edit:
    places = [p for p in PLACES if p in given]
    unknown = set(given) - {'file', 'text', 'below', 'above', *PLACES}
    if len(places) != 1 or unknown or not given[places[0]]:
        raise Stopped(f"edit of {given.get('file')}: expected one of "
                      f"{', '.join(PLACES)}, and file, text, below, above")
    return Edit(given['file'], places[0], given[places[0]], given['text'],
                given.get('below'), given.get('above'))


def edited(content: str, edits: Iterable[Edit]) -> str:
    """The text of a file after some edits.

    Every anchor is looked for in the text as it is given.

    :raises: Stopped where an anchor is missing or ambiguous, or two edits
        overlap.
    """
    placed = sorted(((*e.span(content), e) for e in edits),
                    key=lambda p: p[:2])
    parts, done = [], 0
    for first, last, edit in placed:
        if first < done:
            raise Stopped(f'{edit.file}: two edits overlap at '
                          f'{edit.anchor!r}')
        parts += [content[done:first], edit.text]
        done = last
    return ''.join([*parts, content[done:]])


def changes(tree: pathlib.Path, commits: Sequence[Commit],
            files: pathlib.Path = FILES) -> dict[str, str]:
    """The new text of each file that the commits change or add.

    :param tree: the unpacked release, as it is.
    :param files: where the new files are.
    :raises: Stopped where they do not fit.
    """
    found: dict[str, str] = {}
    for name in sorted({e.file for c in commits for e in c.edits}):
        found[name] = edited(_read(tree, name), [
            e for c in commits for e in c.edits if e.file == name])
    for name in (f for c in commits for f in c.files):
        if (tree / name).exists():
            raise Stopped(f'{name}: is there already')
        found[name] = _read(files, name)
    return found


def _read(folder: pathlib.Path, name: str) -> str:
    try:
        return (folder / name).read_text('utf-8')
    except OSError as exc:
        raise Stopped(f'{name}: {exc.strerror}') from exc


def check_release(tree: pathlib.Path, release: str) -> None:
    """Check that a tree is of the release that the edits are for.

    :raises: Stopped.
    """
    found = [line.partition(':')[2].strip()
             for line in _read(tree, 'PKG-INFO').splitlines()
             if line.startswith('Version:')]
    if found[:1] != [release]:
        raise Stopped(f"PKG-INFO: version {found[0] if found else 'none'}, "
                      f'expected {release}')


def write(tree: pathlib.Path, texts: Mapping[str, str]) -> None:
    """Write the files, each whole: none is ever seen half written."""
    for name, text in texts.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f'{path.name}.new')
        new.write_text(text, 'utf-8')
        if path.exists():
            shutil.copymode(path, new)
        os.replace(new, path)


def write_patches(tree: pathlib.Path, commits: Sequence[Commit],
                  folder: pathlib.Path, files: pathlib.Path = FILES
                  ) -> list[pathlib.Path]:
    """Write a series of patches; the tree stays as it is.

    :raises: Stopped, or CalledProcessError of git.
    """
    steps = [changes(tree, commits[:n + 1], files)
             for n in range(len(commits))]
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='ironic-series-') as temporary:
        copy = pathlib.Path(temporary) / 'ironic'
        # What a build left, and the repository that the tree may be in.
        shutil.copytree(tree, copy, symlinks=True, ignore=shutil.
                        ignore_patterns('.git', '__pycache__', '*.egg-info'))
        _git(copy, 'init', '-q')
        _commit(copy, 'The release')
        for commit, texts in zip(commits, steps, strict=True):
            write(copy, texts)
            _commit(copy, f'{commit.subject}\n\n{commit.body}\n')
        _git(copy, 'format-patch', '-q', '--zero-commit', '--no-signature',
             f'-{len(commits)}', '-o', str(folder.resolve()))
    return sorted(folder.glob('*.patch'))


def _commit(tree: pathlib.Path, message: str) -> None:
    _git(tree, 'add', '--all', '--force')
    _git(tree, 'commit', '-q', '--no-verify', '-m', message)


def _git(tree: pathlib.Path, *arguments: str) -> str:
    name, _, mail = AUTHOR.rstrip('>').partition(' <')
    return subprocess.run(
        ['git', '-c', f'user.name={name}',
         '-c', f'user.email={mail}', '-c', 'commit.gpgsign=false',
         '-c', 'core.autocrlf=false', '-C', str(tree), *arguments],
        check=True, capture_output=True, text=True).stdout


def figures(commits: Sequence[Commit], files: pathlib.Path = FILES) -> str:
    """How much it is, in one line."""
    edits = [e for c in commits for e in c.edits]
    lines = sum(max(1, e.text.count('\n')) for e in edits)
    new = {f: _read(files, f).count('\n') for c in commits for f in c.files}
    return (f'{len(edits)} edits of {lines} lines in '
            f'{len({e.file for e in edits})} files, {len(new)} new files '
            f'of {sum(new.values())} lines')


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; see ``--help``."""
    parser = argparse.ArgumentParser(
        description='Add the interface type accelerator to an unpacked '
                    'Ironic.')
    parser.add_argument('tree', type=pathlib.Path,
                        help='Folder of the unpacked sdist.')
    wanted = parser.add_mutually_exclusive_group()
    wanted.add_argument('--patches', type=pathlib.Path, metavar='FOLDER',
                        help='Write a series of patches to this folder, and '
                             'leave the tree as it is.')
    wanted.add_argument('--check', action='store_true',
                        help='Only look for the anchors.')
    given = parser.parse_args(arguments)
    try:
        release, commits = load()
        check_release(given.tree, release)
        texts = changes(given.tree, commits)
        if given.patches is not None:
            for path in write_patches(given.tree, commits, given.patches):
                print(path)
        elif not given.check:
            write(given.tree, texts)
        print(figures(commits))
    except Stopped as exc:
        print(f'{exc}; nothing was written', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
