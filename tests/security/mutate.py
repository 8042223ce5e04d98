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

"""Good answers made bad, at random and again the same by their seed."""

from __future__ import annotations

from collections.abc import Iterator
import copy
import dataclasses
import json
import random
from typing import Any

#: Values that stand where others are expected.
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 10**18, -10**18, '', ' ', 'Enabled', 'OK',
    'Critical', 'x' * 3000, '\x00', '\x1b[2J', '\u00b2', '\u2028', [], {},
    [[]], [None], ['x'], {'a': 1}, {'@odata.id': '/redfish/v1'},
    {'@odata.id': '//evil/x'}, {'@odata.id': 7}, [{'@odata.id': None}],
    {'@odata.id': '\\\\evil\\x'}, 'http://evil/x', '/redfish/v1', '//', '/',
    '..', 'nil', 'N/A', '0x0000', '%s%n', '{0}', 'None', '9' * 40, '1e999',
    [{}] * 300, 'is-h100-strict', '2026-13-99T99:99:99Z', 'P1Y', -1e300)
#: Bodies that are no documents.
BODIES = (
    b'', b'{}', b'[]', b'null', b'""', b'0', b'{"error": "busy"}',
    b'{"error": {"@Message.ExtendedInfo": "x"}}',
    b'{"error": {"@Message.ExtendedInfo": [null, 7, {}]}}', b'<html></html>',
    b'[' * 5000, b'{"a":' * 5000, b'{"a": NaN}', b'{"a": 1e999}',
    b'{"a": ' + b'9' * 5000 + b'}', b'{"@odata.id": "\\ud800"}',
    b'{"a": 1, "a": 2}', b'\xff\xfe{}', b'\xef\xbb\xbf{}', b'{"a": "\x00"}',
    b'busy\n', b'{"@odata.id": 7, "@odata.type": 7}', b'\x1f\x8b\x08\x00x')


def _places(value: Any, path: tuple[Any, ...] = ()
            ) -> Iterator[tuple[Any, ...]]:
    items = (value.items() if isinstance(value, dict)
             else enumerate(value) if isinstance(value, list) else ())
    for key, inner in items:
        yield (*path, key)
        yield from _places(inner, (*path, key))


def document(rng: random.Random, doc: Any, times: int = 3) -> Any:
    """A copy of plain data with some values changed, gone or elsewhere."""
    doc = copy.deepcopy(doc)
    for _ in range(rng.randint(1, times)):
        places = list(_places(doc))
        if not places:
            return rng.choice(VALUES)
        path = rng.choice(places)
        there = doc
        for key in path[:-1]:
            there = there[key]
        _change(rng, there, path[-1], doc, places)
    return doc


def _change(rng: random.Random, there: Any, key: Any, doc: Any,
            places: list[tuple[Any, ...]]) -> None:
    match rng.randrange(5):
        case 0:
            del there[key]
        case 1 if isinstance(there, dict):
            there[rng.choice([f'{key}x', '', str(key).upper(), 'x' * 500])
                  ] = there.pop(key)
        case 2:
            # Another value of the same document.
            other = doc
            for step in rng.choice(places):
                other = other[step]
            there[key] = copy.deepcopy(other)
        case _:
            there[key] = copy.deepcopy(rng.choice(VALUES))


def encoded(doc: Any) -> bytes:
    """A document as bytes, whatever is in it."""
    return json.dumps(doc).encode()


def text(rng: random.Random, data: bytes, times: int = 4) -> bytes:
    """Bytes cut, doubled, flipped, or with others put in."""
    out = bytearray(data)
    for _ in range(rng.randint(1, times)):
        if not out:
            return bytes(rng.randbytes(20))
        at = rng.randrange(len(out))
        to = min(len(out), at + rng.randint(1, 40))
        match rng.randrange(6):
            case 0:
                del out[at:]
            case 1:
                del out[at:to]
            case 2:
                out[at:at] = out[at:to] * rng.randint(1, 20)
            case 3:
                out[at] = rng.randrange(256)
            case 4:
                out[at:at] = rng.choice((
                    b'\n', b'\0', b'\xff', b'"', b'{', b']', b': ', b'|',
                    b'N/A', b'Error: ', b'-1', b'9' * 100, b'\x1b[0m'))
            case _:
                lines = out.split(b'\n')
                rng.shuffle(lines)
                out = bytearray(b'\n'.join(lines))
    return bytes(out)


@dataclasses.dataclass(frozen=True)
class Said:
    """An HTTP answer."""

    status: int = 200
    body: bytes = b'{}'
    headers: dict[str, str] = dataclasses.field(default_factory=dict)


_HEADERS = {
    'ETag': ('', '"', 'W/"x"', '""x""', '\u00ff' * 100, 'x' * 5000),
    'Content-Type': ('text/html', '', 'application/json; charset=\u00e9'),
    'Content-Encoding': ('gzip', 'br', 'identity', 'x'),
    'Location': ('', '//evil/x', 'http://evil/', '/redfish/v1', '\\\\x', 'x',
                 'http://[', '/redfish/v1/TaskService/Tasks/1'),
    'Retry-After': ('\u00b2', '-1', '9' * 400, 'x', '1'),
    'Content-Length': ('x', '-1', '9' * 30),
    'X-Auth-Token': ('', 'x' * 5000)}


def answer(rng: random.Random, doc: Any) -> Said:
    """One bad answer in the place of a good one."""
    body, status = encoded(doc), 200
    headers: dict[str, str] = {}
    match rng.randrange(8):
        case 0:
            body = rng.choice(BODIES)
        case 1:
            body = text(rng, body)
        case 2:
            status = rng.choice((201, 202, 204, 206, 300, 301, 302, 307, 304,
                                 400, 401, 403, 404, 405, 406, 409, 410, 412,
                                 428, 429, 500, 501, 502, 503, 504, 599))
            body = rng.choice((*BODIES, body))
        case _:
            body = encoded(document(rng, doc))
    if rng.randrange(4) == 0 or status in (301, 302, 307):
        for name in [*rng.sample(sorted(_HEADERS), 2), 'Location']:
            headers[name] = rng.choice(_HEADERS[name])
    return Said(status, body, headers)
