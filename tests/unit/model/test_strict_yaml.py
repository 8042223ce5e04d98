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

"""YAML read strictly: nothing guessed, nothing dropped in silence."""

from __future__ import annotations

import pathlib

from hypothesis import given
from hypothesis import strategies as st
import pytest

from ironic_accel.model import strict_yaml
from ironic_accel.model.errors import BadInput


def _one(text: str) -> object:
    return next(strict_yaml.documents(text)).data


@pytest.mark.parametrize('text', [
    'on', 'off', 'yes', 'no', 'y', 'True', 'NULL', '1.10', '1.0', '0x10',
    '0o17', '017', '1_000', '1e3', '+1', '.5', '2026-11-22', '1:30',
    '0000:17:00.0', '10:20:30', '.inf', '=', '-0'])
def test_what_yaml_guesses_stays_text(text: str) -> None:
    assert _one(f'key: {text}') == {'key': text}


@pytest.mark.parametrize(('text', 'value'), [
    ('8', 8), ('-3', -3), ('0', 0), ('true', True), ('false', False),
    ('null', None), ('~', None), ('', None), ('"8"', '8'), ("'true'",
                                                           'true'),
    ('""', ''), ('"null"', 'null')])
def test_what_is_not_text(text: str, value: object) -> None:
    data = _one(f'key: {text}')
    assert data == {'key': value}
    assert isinstance(data, dict) and type(data['key']) is type(value)


@pytest.mark.parametrize(('text', 'said'), [
    ('a: 1\nb: 2\na: 3', 'line 3: a: duplicate key'),
    ('a: {b: 1, b: 2}', 'line 1: a.b: duplicate key'),
    ('a: &x 1', 'line 1: anchors and aliases'),
    ('a: &x [1]\nb: *x', 'line 1: anchors and aliases'),
    ('a: !!str 1', 'line 1: tags are not allowed'),
    ('a: !!python/object:os.system {}', 'tags are not allowed'),
    ('x: {}\n<<: {a: 1}', 'line 2: (top): merge keys'),
    ('? [a, b]\n: 1', 'a key must be a plain word'),
    ('a: [1', 'not YAML'), ('a: b: c', 'line 1: not YAML'),
    ('a: "\x01"', 'not YAML'), ('@', 'not YAML')])
def test_mistakes_are_errors_with_a_line(text: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        list(strict_yaml.documents(text, 'p.yaml'))
    assert said in str(caught.value)
    assert str(caught.value).startswith('p.yaml')


def test_a_bomb_is_refused_before_it_is_built() -> None:
    rows = ['a0: &a0 [x, x]'] + [
        f'a{i}: &a{i} [*a{i - 1}, *a{i - 1}]' for i in range(1, 60)]
    with pytest.raises(BadInput, match='anchors and aliases'):
        list(strict_yaml.documents('\n'.join(rows)))


def test_documents_and_lines() -> None:
    text = 'a: 1\n---\n---\nb:\n  - {c: x}\n  - y\n...\n'
    first, second = strict_yaml.documents(text)
    assert (first.data, second.data) == ({'a': 1}, {'b': [{'c': 'x'}, 'y']})
    assert second.lines['b', 0, 'c'] == 5
    assert second.lines['b', 1] == 6
    assert strict_yaml.dotted(('b', 0, 'c')) == 'b[0].c'


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = list(strict_yaml.documents(text))
    except BadInput as exc:
        assert str(exc).startswith('<text>')
    else:
        assert all(d.data is not None for d in found)


@pytest.mark.parametrize('path', sorted(
    pathlib.Path(strict_yaml.__file__).parent.rglob('*.yaml')),
    ids=lambda path: path.name)
def test_libyaml_reads_each_shipped_file_as_pyyaml_does(
        path: pathlib.Path) -> None:
    text = path.read_text()
    ours = [(d.data, d.lines) for d in strict_yaml.documents(text)]
    assert ours
    assert ours == [(d.data, d.lines)
                    for d in strict_yaml.documents(text, shipped=True)]
