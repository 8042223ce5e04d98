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

"""Properties with invalid values are read as unknown, with a warning."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from ironic_accel.redfish.client import json_document
from ironic_accel.redfish.client.json_document import Fields

DOC = {
    '@odata.id': '/redfish/v1/Systems/1/',
    'Text': '  96.00.A6.00.01  ', 'Blank': '   ', 'NA': 'NA', 'Null': None,
    'Flag': True, 'Number': 7, 'Float': 7.0, 'Half': 7.5, 'List': [1],
    'Part': {'Text': 'x', 'Deep': {'Flag': 'yes'}},
    'Link': {'@odata.id': '/redfish/v1/Chassis/1/?a=b#/c'},
    'Links': [{'@odata.id': '/a/'}, {'x': 1}, 'junk', {'@odata.id': 3}],
}


class Told(list[tuple[str, str]]):
    """The warnings."""

    def __call__(self, uri: str, message: str) -> None:
        self.append((uri, message))


def read(doc: dict[str, Any] = DOC) -> tuple[Fields, Told]:
    told = Told()
    return Fields(doc, told), told


def test_valid_properties_are_read() -> None:
    shown, told = read()
    assert shown.uri == '/redfish/v1/Systems/1'
    assert shown.text('Text') == '96.00.A6.00.01'
    assert shown.flag('Flag') is True
    assert (shown.number('Number'), shown.number('Float')) == (7, 7)
    assert shown.link('Link') == '/redfish/v1/Chassis/1'
    assert shown.links('Links') == ['/a']
    assert shown.part('Part').text('Text') == 'x'
    assert shown.word('Text', known={'  96.00.A6.00.01  '}) is not None
    assert told == []


@pytest.mark.parametrize(('call', 'path', 'named'), [
    ('text', ('Number',), 'Number: 7: expected a string'),
    ('flag', ('Text',), 'Text'), ('flag', ('Number',), 'Number'),
    ('number', ('Flag',), 'Flag'), ('number', ('Half',), 'Half'),
    ('number', ('Text',), 'Text'), ('link', ('Text',), 'Text'),
    ('links', ('Text',), 'Text'), ('parts', ('Part',), 'Part'),
    ('texts', ('Flag',), 'Flag'),
    ('text', ('List', 'Deep'), 'List: [1]: expected an object'),
    ('text', ('Text', 0), 'Text'),
])
def test_a_wrong_type_is_named_in_the_warning(
        call: str, path: tuple[str | int, ...], named: str) -> None:
    shown, told = read()
    assert not getattr(shown, call)(*path)
    (uri, message), = told
    assert uri == '/redfish/v1/Systems/1'
    assert named in message


def test_a_missing_property_warns_only_if_needed() -> None:
    shown, told = read()
    for name in ('Missing', 'Null', 'Blank', 'NA'):
        assert shown.text(name) is None
    assert shown.flag('Missing') is None
    assert shown.number('Null') is None
    assert told == []
    for name in ('Missing', 'Null', 'Blank', 'NA'):
        assert shown.text(name, needed=True) is None
    assert [m.split()[0].rstrip(':') for _, m in told] == [
        'Missing', 'Null', 'Blank', 'NA']


def test_a_part_is_named_by_its_path() -> None:
    shown, told = read()
    assert shown.part('Part', 'Deep').flag('Flag') is None
    assert told == [('/redfish/v1/Systems/1',
                     "Part.Deep.Flag: 'yes': expected true or false")]


def test_an_unknown_value_is_named_with_the_known_ones() -> None:
    shown, told = read()
    assert shown.word('NA', known={'OK', 'Warning'}) is None
    assert told[0][1] == "NA: 'NA': expected one of OK, Warning"


def test_knows_distinguishes_null_from_missing() -> None:
    shown, _ = read()
    assert shown.knows('Null')
    assert not shown.has('Null')
    assert not shown.knows('Missing')
    assert shown.knows('Part', 'Deep')
    assert not shown.knows('Text', 'Deep')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(['a', 'b', '@odata.id', 'Members']), inner,
        max_size=3), max_leaves=8)


@given(JSON, st.lists(st.sampled_from(['a', 'b', 0, 1]), min_size=1,
                      max_size=3))
def test_no_json_value_raises_an_error(
        value: Any, path: list[str | int]) -> None:
    shown, _ = read({'a': value, 'b': [value]})
    assert isinstance(shown.text(*path), str | None)
    assert isinstance(shown.flag(*path), bool | None)
    number = shown.number(*path)
    assert number is None or type(number) is int
    assert shown.word(*path, known={'a'}) in ('a', None)
    assert isinstance(shown.link(*path), str | None)
    assert all(isinstance(x, str) for x in shown.links(*path))
    assert all(isinstance(x, Fields) for x in shown.parts(*path))
    assert isinstance(shown.part(*path), Fields)


@pytest.mark.parametrize(('uri', 'plain'), [
    ('/redfish/v1/', '/redfish/v1'), ('/', '/'), ('', '/'),
    ('https://x:443/a/b?c=d', '/a/b'), ('/a#/b', '/a')])
def test_normal_path_of_a_uri(uri: str, plain: str) -> None:
    assert json_document.normal(uri) == plain
