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

"""Nothing from outside raises: profiles, site files and password files."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
import socket
import time
from typing import Any
from unittest import mock

import pytest

from ironic_accel.bounded import files
from ironic_accel.conductor.config import catalogue
from ironic_accel.conductor.config.profiles import SiteProfiles
from ironic_accel.faces.cli import bmc_options
from ironic_accel.faces.cli import profile_options
from ironic_accel.faces import profile_file
from ironic_accel.model import catalog
from ironic_accel.model.errors import BadInput
from ironic_accel.model import loader
from ironic_accel.model import strict_yaml

GOOD = '''
profile: 1
name: good
devices:
  gpus:
    match: {kind: gpu}
    modes: {ecc: enabled}
'''
DATA = {'profile': 1, 'name': 'good', 'devices': {'gpus': {
    'match': {'kind': 'gpu'}, 'modes': {'ecc': 'enabled'}}}}

BAD_TEXTS = {
    'flow': '[' * 100_000, 'flow mapping': '{a: ' * 50_000,
    'flow over lines': '[\n' * 50_000, 'closed': '[' * 5000 + ']' * 5000,
    'block': ''.join(f'{" " * i}a:\n' for i in range(500)),
    'block sequence': '- ' * 5000 + 'x', 'long': 'a: b\n' * 500_000,
    'anchors': '&a [*a]', 'bomb': 'a: &a [x]\nb: [*a, *a]\n',
    'tag': '!!python/object/apply:os.system ["true"]',
    'escape': 'a: "\\UFFFFFFFF"', 'surrogate': 'name: "\\ud800"',
    'control': 'name: "\\x1b[2J"', 'raw control': 'a: \x00',
    'key': '"\\ud800": 1', 'digits': 'profile: ' + '9' * 5000,
    'quote': 'a: "' + 'x' * 1000, 'binary': '\x00\x01\x02',
    'list key': '? [a]\n: b', 'tabs': '\ta: b', 'colons': ':' * 10_000,
    'questions': '? ' * 5000, 'pipe': '|' * 1000, 'empty': '',
    'many': '\n---\n'.join(['profile: 2'] * 2000),
    'many keys': '\n'.join(f'k{i}: 1' for i in range(20_000)),
    'long key': f'{"k" * 1000}: 1\n' + GOOD,
    'directive': '%YAML 9.9\n---\na: b', 'percent': '%' * 1000}


@pytest.mark.parametrize('what', sorted(BAD_TEXTS))
def test_a_bad_text_is_bad_input_soon_and_in_few_words(what: str) -> None:
    start = time.monotonic()
    with pytest.raises(BadInput, match=r'site\.yaml') as caught:
        loader.load_text(BAD_TEXTS[what], 'site.yaml')
    assert time.monotonic() - start < 20
    text = str(caught.value)
    assert len(text) < 6000
    assert text.encode()
    assert '\x1b' not in text


@pytest.mark.parametrize('depth', range(1, 60, 7))
def test_depth_alone_is_bounded(depth: int) -> None:
    text = '[' * depth + ']' * depth
    if depth <= strict_yaml.MAX_DEPTH:
        assert list(strict_yaml.documents(text))
    else:
        with pytest.raises(BadInput, match='nested deeper'):
            list(strict_yaml.documents(text))


def nested(levels: int) -> Any:
    value: Any = 'x'
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize('data', [
    None, 7, 'x', [], {}, nested(50), nested(900), nested(50_000),
    {**DATA, 'name': '\ud800'}, {**DATA, 'summary': float('nan')},
    {**DATA, 'x': object()}, {**DATA, 'x': {1, 2}}, {**DATA, 'x': b'y'},
    {**DATA, 'name': 'x' * 2_000_000}, {**DATA, 'profile': 10**5000},
    {**DATA, 'devices': {f'g{i}': {} for i in range(20_000)}}])
def test_bad_data_of_a_step_is_bad_input(data: Any) -> None:
    try:
        with pytest.raises(BadInput) as caught:
            loader.load_data(data, 'args.profile')
        assert len(str(caught.value)) < 6000
        str(caught.value).encode()
    finally:
        # Freeing it must not be what ends the process.
        while isinstance(data, list) and data:
            data = data[0]


def test_good_data_are_not_changed() -> None:
    before = json.dumps(DATA)
    assert loader.load_data(DATA).name == 'good'
    assert json.dumps(DATA) == before


def make(kind: str, path: Path) -> None:
    if kind == 'fifo':
        os.mkfifo(path)
    elif kind == 'folder':
        path.mkdir()
    elif kind == 'socket':
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(path))
    elif kind == 'device':
        path.symlink_to('/dev/zero')
    elif kind == 'terminal':
        path.symlink_to('/dev/tty')
    elif kind == 'loop':
        path.symlink_to(path)
    elif kind == 'dangling':
        path.symlink_to(path.with_name('nothing'))
    elif kind == 'process':
        path.symlink_to('/proc/self/mem')
    elif kind == 'latin':
        path.write_bytes(b'name: \xe9\n')
    elif kind == 'large':
        path.write_bytes(b'#' * (strict_yaml.MAX_LENGTH + 1))
    else:
        path.write_text(BAD_TEXTS[kind])


KINDS = ['fifo', 'folder', 'socket', 'device', 'terminal', 'loop',
         'dangling', 'process', 'latin', 'large', 'flow', 'escape', 'digits',
         'surrogate', 'empty']


@pytest.mark.parametrize('kind', KINDS)
def test_what_is_no_profile_is_bad_input_at_once(
        tmp_path: Path, kind: str) -> None:
    path = tmp_path / 'site.yaml'
    make(kind, path)
    start = time.monotonic()
    with pytest.raises(BadInput, match=r'site\.yaml'):
        profile_file.read(str(path))
    assert time.monotonic() - start < 10


@pytest.mark.parametrize('kind', KINDS)
def test_one_bad_file_takes_no_others_profiles(
        tmp_path: Path, kind: str) -> None:
    make(kind, tmp_path / 'a.yaml')
    (tmp_path / 'b.yaml').write_text(GOOD)
    sites = SiteProfiles(str(tmp_path))
    start = time.monotonic()
    assert set(sites.all()) == {'good'}
    assert set(sites.all()) == {'good'}
    assert time.monotonic() - start < 10


def test_a_linked_profile_is_one(tmp_path: Path) -> None:
    """As Kubernetes mounts them: each file a link to a link."""
    (tmp_path / 'real').mkdir()
    (tmp_path / 'real' / 'p.yaml').write_text(GOOD)
    (tmp_path / 'data').symlink_to('real')
    (tmp_path / 'p.yaml').symlink_to('data/p.yaml')
    assert set(SiteProfiles(str(tmp_path)).all()) == {'good'}


@pytest.mark.parametrize('path', ['', '\0', 'a\0b', '/', 'x' * 5000,
                                  '/dev/full', '/proc/self/fd/99'])
def test_a_path_that_is_none_is_bad_input(path: str) -> None:
    with pytest.raises(BadInput):
        profile_file.read(path)


@pytest.mark.parametrize(('mode', 'warned'), [
    (0o600, False), (0o400, False), (0o640, True), (0o604, True),
    (0o644, True)])
def test_a_password_that_others_may_read_is_warned_of(
        tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: int,
        warned: bool) -> None:
    path = tmp_path / 'password'
    path.write_text('secret\n')
    path.chmod(mode)
    args = argparse.Namespace(user='admin', password_file=str(path))
    assert bmc_options.credentials(args) == ('admin', 'secret')
    said = capsys.readouterr().err
    assert ('readable by other users' in said) is warned
    assert 'secret' not in said.replace(str(path), '')


@pytest.mark.parametrize('url', [
    'http://[::1', 'http://h:x', 'http://u:p@h', 'ftp://h', '', 'http://',
    'http://h/?a', 'https://h:99999'])
def test_an_address_that_is_none_is_bad_input(url: str) -> None:
    with pytest.raises(BadInput):
        bmc_options.url(argparse.Namespace(bmc=url))


@pytest.mark.parametrize('which', ['folder', 'file', 'link'])
@pytest.mark.parametrize('mode', [0o777, 0o722, 0o770, 0o707])
def test_who_else_may_write_profiles_is_told_once(
        tmp_path: Path, caplog: pytest.LogCaptureFixture, which: str,
        mode: int) -> None:
    folder = tmp_path / 'f'
    folder.mkdir(mode=0o755)
    file = folder / 'p.yaml'
    file.write_text(GOOD)
    if which == 'link':
        file.rename(tmp_path / 'real.yaml')
        file.symlink_to(tmp_path / 'real.yaml')
    path = folder if which == 'folder' else file
    path.chmod(mode)
    sites = SiteProfiles(str(folder))
    for _ in range(3):
        assert set(sites.all()) == {'good'}
    said, = [r.getMessage() for r in caplog.records
             if 'writable by others' in r.getMessage()]
    assert f'chmod go-w {path}' in said
    # Nobody is told what was mended; what is bad again is told again.
    path.chmod(0o700)
    sites.all()
    path.chmod(mode)
    sites.all()
    assert sum('writable by others' in r.getMessage()
               for r in caplog.records) == 2


def test_rows_of_the_catalogue_are_told_of_too(
        tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / 'r.yaml').write_text('sources: {}\n')
    (tmp_path / 'r.yaml').chmod(0o666)
    assert catalogue._texts(tmp_path)
    assert f'chmod go-w {tmp_path / "r.yaml"}' in caplog.text


def test_what_is_mounted_read_only_is_nobody_s_to_write(
        tmp_path: Path) -> None:
    """As Kubernetes mounts a ConfigMap: for everybody to write, and no."""
    tmp_path.chmod(0o777)
    with mock.patch.object(os, 'statvfs', autospec=True) as told:
        told.return_value.f_flag = os.ST_RDONLY
        assert files.exposed(str(tmp_path)) is None
        told.return_value.f_flag = 0
        assert files.exposed(str(tmp_path)) is not None


@pytest.mark.parametrize('mode', [0o620, 0o602, 0o666])
@pytest.mark.parametrize('what', ['password', 'profile'])
def test_the_command_tells_who_else_may_write_what_it_is_given(
        tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: int,
        what: str) -> None:
    path = tmp_path / 'given'
    path.write_text('secret\n' if what == 'password' else GOOD)
    path.chmod(mode)
    if what == 'password':
        bmc_options.credentials(argparse.Namespace(
            user='admin', password_file=str(path)))
    else:
        assert profile_options.choose(argparse.Namespace(
            profile=str(path), name=None, catalogue=[])).name == 'good'
    assert f'chmod go-w {path}' in capsys.readouterr().err


@pytest.mark.parametrize('kind', [k for k in KINDS if k != 'empty'])
def test_what_is_no_catalogue_is_bad_input_at_once(
        tmp_path: Path, kind: str) -> None:
    make(kind, tmp_path / 'rows.yaml')
    with pytest.raises(BadInput, match=r'rows\.yaml'):
        profile_options.catalogue(argparse.Namespace(
            catalogue=[str(tmp_path / 'rows.yaml')]))


@pytest.mark.parametrize('lacks', ['kind', 'vendor'])
def test_a_row_of_the_catalogue_that_lacks_something_is_bad_input(
        lacks: str) -> None:
    row = {'name': 'acme-gpu', 'kind': 'gpu', 'vendor': 'nvidia',
           'pci': ['10de:fff1'], 'components': ['gpu'], 'source': ['bench']}
    del row[lacks]
    text = json.dumps({'sources': {'bench': 'measured'}, 'products': [row]})
    with pytest.raises(BadInput, match=f'rows.yaml: acme-gpu: {lacks}: miss'):
        catalog.extended({'rows.yaml': text})


@pytest.mark.parametrize('mode', [0o777, 0o722, 0o770, 0o707])
def test_what_others_may_write_is_told(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / 'f'
    folder.mkdir()
    folder.chmod(mode)
    assert 'writable by others' in (files.shared(str(folder)) or '')
    folder.chmod(0o755)
    assert files.shared(str(folder)) is None
