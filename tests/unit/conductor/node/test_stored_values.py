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

"""A stored value against a type hint."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any
from typing import NotRequired
from typing import TypedDict

import pytest

from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import stored_values


class Document(TypedDict):
    name: str
    count: NotRequired[int]
    more: NotRequired[dict[str, list[str]] | None]


class Loose(TypedDict, total=False):
    name: str


@dataclasses.dataclass
class Record:
    name: str
    size: float = 0.0
    tags: tuple[str, ...] = ()
    extra: dict[str, Any] = dataclasses.field(default_factory=dict)


FITS: list[tuple[object, Any]] = [
    ({'name': 'a'}, Document),
    ({'name': 'a', 'count': 1, 'more': {'b': ['c']}}, Document),
    ({'name': 'a', 'more': None}, Document),
    ({'name': 'a', 'later': object()}, Document),
    ({}, Loose),
    ({'name': 'a', 'size': 1, 'tags': ['x']}, Record),
    ({'name': 'a', 'tags': ('x',)}, Record),
    ([1, 'a', None], list[Any]), ({'a': 1}, Mapping[str, int]),
    (1, float), (1.0, int), (True, bool), (None, str | None), ('a', object),
]


@pytest.mark.parametrize(('value', 'hint'), FITS)
def test_valid_values(value: object, hint: Any) -> None:
    assert stored_values.misfit(value, hint) is None


MISFITS: list[tuple[object, Any, str]] = [
    (None, Document, 'expected an object, found NoneType'),
    ([], Document, 'expected an object, found list'),
    ({'count': 1}, Document, 'name is missing'),
    ({'name': 1}, Document, 'name: expected str, found int'),
    ({'name': 'a', 'count': True}, Document,
     'count: expected int, found bool'),
    ({'name': 'a', 'more': {'b': ['c', 1]}}, Document,
     'more: b: 1: expected str, found int'),
    ({'name': None}, Loose, 'name: expected str, found NoneType'),
    ({'size': 1.0}, Record, 'name is missing'),
    ({'name': 'a', 'tags': 'xy'}, Record,
     'tags: expected a list, found str'),
    ({'a': 'b'}, list[str], 'expected a list, found dict'),
    ('a', float, 'expected float, found str'),
    (0, bool, 'expected bool, found int'),
    (1, str | None, 'expected str, found int'),
]


@pytest.mark.parametrize(('value', 'hint', 'why'), MISFITS)
def test_invalid_values(value: object, hint: Any, why: str) -> None:
    assert stored_values.misfit(value, hint) == why


def test_stored_operation_has_the_fields_of_operation() -> None:
    fields = {f.name for f in dataclasses.fields(operation.Operation)}
    assert set(stored_values.StoredOperation.__annotations__) <= fields


@pytest.mark.parametrize('field', [
    f.name for f in dataclasses.fields(operation.Operation)])
def test_an_operation_with_a_wrong_field_is_none(
        field: str, caplog: pytest.LogCaptureFixture) -> None:
    raw = dataclasses.asdict(operation.Operation('clean', 'apply_profile'))

    class Node:
        uuid = 'n-1'
        driver_internal_info: Mapping[str, Any] = {
            'accel_operation': {**raw, 'later': 1}}

    assert operation.load(Node()) == operation.Operation(**raw)
    Node.driver_internal_info = {'accel_operation': {
        **raw, field: object()}}
    assert operation.load(Node()) is None
    assert field in caplog.text
