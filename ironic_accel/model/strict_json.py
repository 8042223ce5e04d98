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

"""JSON from elsewhere, bounded before it is parsed (RFC 8259).

What Python's parser lets through and later code stumbles over is settled
here: size and nesting have an end, a key that is there twice with two values
is an error, numbers that no JSON can have stay the text that they are, and
texts have neither lone surrogates nor control characters in them.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

#: Levels of nesting. Redfish resources of real machines have up to 9.
MAX_DEPTH = 64
#: Bytes of a document, where the caller does not say.
MAX_BYTES = 2 * 1024 * 1024
#: Digits of a whole number: 64 bits have 20.
_DIGITS = 20

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+\\?(?:"|\Z)', re.DOTALL)
_BRACKET = re.compile(rb'[\[\]{}]')
#: What may become a character that no text of ours has.
_ODD = re.compile(rb'\\u(?:[dD][89a-fA-F]|00[0189])|[\x7f]|\xc2[\x80-\x9f]|'
                  rb'\\[bf]')
_CONTROL = re.compile('[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]')
_SURROGATE = re.compile('[\ud800-\udfff]')


class NotJson(ValueError):
    """Bytes that are no JSON, or none within the bounds; says why."""


def parse(body: bytes, limit: int = MAX_BYTES, depth: int = MAX_DEPTH
          ) -> Any:
    """The value of a JSON text in UTF-8.

    :param limit: most bytes.
    :param depth: most levels of objects and arrays.
    :raises: NotJson, and nothing else.
    """
    if len(body) > limit:
        raise NotJson(f'more than {limit} bytes')
    _check_depth(body, depth)
    try:
        text = body.decode('utf-8-sig')
        value = _DECODER.decode(text)
    except UnicodeDecodeError:
        raise NotJson('not UTF-8 text') from None
    except RecursionError:
        raise NotJson('nested too deeply') from None
    except json.JSONDecodeError as exc:
        raise NotJson(f'not JSON: {exc.msg} at byte {exc.pos}') from None
    return _cleaned(value) if _ODD.search(body) else value


def parse_object(body: bytes, limit: int = MAX_BYTES,
                 depth: int = MAX_DEPTH) -> dict[str, Any]:
    """The JSON object of a text.

    :raises: NotJson, also for a value that is no object.
    """
    value = parse(body, limit, depth)
    if not isinstance(value, dict):
        raise NotJson(f'a JSON {_name(value)}, expected an object')
    return value


def _check_depth(body: bytes, depth: int) -> None:
    level = 0
    for bracket in _BRACKET.findall(_STRING.sub(b'', body)):
        level += 1 if bracket in b'[{' else -1
        if level > depth:
            raise NotJson(f'nested deeper than {depth} levels')


def _integer(text: str) -> int | str:
    """A whole number; one of too many digits stays text, shortened.

    So it costs its own property, as any other value of a wrong type does.
    """
    return int(text) if len(text.lstrip('-')) <= _DIGITS else (
        f'{text[:_DIGITS]}...')


def _float(text: str) -> float | str:
    value = float(text)
    return value if math.isfinite(value) else text[:40]


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) < len(pairs):
        for key, value in pairs:
            if out[key] != value or type(out[key]) is not type(value):
                raise NotJson(f'the key {key[:60]!r} is duplicated, with '
                              'two values')
    return out


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_float,
                            parse_constant=str, object_pairs_hook=_pairs)


def text_of(value: str) -> str:
    """A text without lone surrogates and control characters.

    They become U+FFFD and blanks: such a text can be stored, sent and
    printed, and moves no cursor of the terminal that shows it.
    """
    return _SURROGATE.sub('\ufffd', _CONTROL.sub(' ', value))


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return text_of(value)
    if isinstance(value, list):
        return [_cleaned(v) for v in value]
    if isinstance(value, dict):
        return {text_of(k): _cleaned(v) for k, v in value.items()}
    return value


def _name(value: Any) -> str:
    names = {list: 'array', str: 'text', bool: 'boolean', type(None): 'null'}
    return names.get(type(value), 'number')
