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

"""JSON from elsewhere: what is let in, and what is not."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from ironic_accel.model import strict_json


@pytest.mark.parametrize('text', [
    '{}', '[]', 'null', 'true', '"x"', '-1.5e3', '{"a": [1, {"b": null}]}',
    '{"a": "[[[{{{\\"[["}', '\ufeff{"a": 1}', '{"a": 1, "a": 1}',
    '{"\\u00e9": "\\ud83d\\ude00"}', '18446744073709551615'])
def test_what_is_json_is_read_as_python_reads_it(text: str) -> None:
    assert strict_json.parse(text.encode()) == json.loads(
        text.removeprefix('\ufeff'))


@pytest.mark.parametrize(('body', 'why'), [
    (b'', 'not JSON'), (b'busy', 'not JSON'), (b'<html>', 'not JSON'),
    (b'{"a": 1', 'not JSON'), (b'{} {}', 'not JSON'), (b'"a', 'not JSON'),
    (b'"a\\', 'not JSON'), (b'{"a": "\xff"}', 'not UTF-8'),
    (b'{"a": "\xed\xa0\x80"}', 'not UTF-8'),
    ('{"a": 1}'.encode('utf-16'), 'not UTF-8'),
    (b'{"a": 1, "a": 2}', "the key 'a' is duplicated"),
    (b'{"a": 1, "a": true}', 'duplicated'),
    (b'{"x": {"a": [], "a": {}}}', 'duplicated'),
    (b'[' * 65 + b']' * 65, 'nested deeper than 64'),
    (b'{"a":' * 100_000 + b'1' + b'}' * 100_000, 'nested deeper'),
    (b'[' * 1_000_000, 'nested deeper'), (b' ' * 2_097_153, 'more than'),
    (b'"\x01"', 'not JSON')])
def test_invalid_json_is_an_error_with_its_reason(
        body: bytes, why: str) -> None:
    with pytest.raises(strict_json.NotJson, match=why):
        strict_json.parse(body)


@pytest.mark.parametrize('text', ['NaN', 'Infinity', '-Infinity', '1e999',
                                  '-1e999', '9' * 5000, '-' + '9' * 5000,
                                  '1' + '0' * 20])
def test_a_number_that_is_none_costs_its_own_property(text: str) -> None:
    doc = strict_json.parse_object(
        f'{{"Health": "OK", "Reading": {text}}}'.encode())
    assert doc['Health'] == 'OK'
    assert isinstance(doc['Reading'], str)
    assert len(doc['Reading']) < 50


@pytest.mark.parametrize(('raw', 'text'), [
    (r'"\ud800"', '\ufffd'), (r'"a\uDFFFb"', 'a\ufffdb'),
    (r'"\u001b[2J"', ' [2J'), (r'"SN1\u0000\u0000"', 'SN1  '),
    (r'"\u009b31m"', ' 31m'), (r'"a\bc"', 'a c'), (r'"a\tb\nc"', 'a\tb\nc'),
    ('"\x7f"', ' '), ('"\x9b2J"', ' 2J'), (r'"\ud83d\ude00"', '\U0001f600')])
def test_texts_can_be_stored_and_shown(raw: str, text: str) -> None:
    found = strict_json.parse(f'{{"k": [{raw}], {raw}: 1}}'.encode())
    assert found == {'k': [text], text: 1}
    assert text.encode()


@pytest.mark.parametrize('value', [[], 'x', 3, True, None])
def test_an_object_is_wanted(value: Any) -> None:
    with pytest.raises(strict_json.NotJson, match='expected an object'):
        strict_json.parse_object(json.dumps(value).encode())


@pytest.mark.parametrize('body', [
    b'"' * 2_000_000, b'\\"' * 1_000_000, b'"' + b'\\"' * 1_000_000,
    b'"' + b'\\' * 1_999_999, b'{"' * 1_000_000, b'[""' * 600_000,
    b'{"a":"' + b'\\u0000' * 300_000])
def test_nothing_takes_long(body: bytes) -> None:
    start = time.monotonic()
    with pytest.raises(strict_json.NotJson):
        strict_json.parse(body)
    assert time.monotonic() - start < 2
