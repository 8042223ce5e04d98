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

"""YAML read strictly: strings, decimal integers, true, false, null.

What plain YAML 1.1 guesses stays text here: ``on`` and ``yes``, ``1.10``,
``0x10``, ``0000:17:00.0``, dates. Duplicate keys, anchors, aliases, merge
keys and tags are errors.
"""

from __future__ import annotations

from collections.abc import Iterator
import re
from typing import Any

import yaml

from ironic_accel.model.errors import BadInput

#: Path of a value in a document: keys and list positions.
Path = tuple[str | int, ...]

#: Characters of a text, and levels of nesting. A profile has some two
#: thousand characters and seven levels, the largest file of the catalogue
#: twelve thousand; PyYAML reads about a hundred thousand a second.
MAX_LENGTH = 256 * 1024
MAX_DEPTH = 24

#: What reads the files of this package.
_SHIPPED = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)

_QUOTE = 'quote a text that begins with & or *'

#: One of more digits than 64 bits have stays text, and is refused as such.
_INTEGER = re.compile(r'(?:0|-?[1-9][0-9]{0,18})\Z')
_ODD = re.compile('[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]')
_WORDS: dict[str, bool | None] = {
    'true': True, 'false': False, 'null': None, '~': None, '': None}


def dotted(path: Path) -> str:
    """A path as the messages have it: ``devices.gpus.match.pci[1]``."""
    text = ''
    for part in path:
        if isinstance(part, int):
            text += f'[{part}]'
        else:
            # A key is whatever somebody wrote there.
            part = _ODD.sub('?', part if len(part) <= 60 else
                            f'{part[:57]}...')
            text += f'.{part}' if text else part
    return text or '(top)'


class Document:
    """One document of a YAML text.

    :ivar data: plain values.
    :ivar lines: by path, the line where the value begins, from 1.
    """

    def __init__(self, node: yaml.Node, source: str) -> None:
        self.lines: dict[Path, int] = {}
        self._source = source
        self.data = self._build(node, ())

    def _fail(self, node: yaml.Node, path: Path, what: str) -> BadInput:
        line = node.start_mark.line + 1
        return BadInput(f'{self._source}, line {line}: {dotted(path)}: {what}')

    def _build(self, node: yaml.Node, path: Path) -> Any:
        self.lines[path] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._build(child, (*path, i))
                    for i, child in enumerate(node.value)]
        self._check_text(node, path)
        return _scalar(node)

    def _check_text(self, node: yaml.Node, path: Path) -> None:
        if _ODD.search(str(node.value)):
            raise self._fail(node, path, 'has control characters or half a '
                             'character in it')

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._fail(key_node, path,
                                 'a key must be a plain word')
            self._check_text(key_node, path)
            key = str(key_node.value)
            if key == '<<' and not key_node.style:
                raise self._fail(key_node, path,
                                 'merge keys (<<) are not allowed')
            if key in out:
                raise self._fail(key_node, (*path, key),
                                 'duplicate key')
            out[key] = self._build(value_node, (*path, key))
        return out


def _scalar(node: Any) -> str | int | bool | None:
    text = str(node.value)
    if node.style:
        return text
    if text in _WORDS:
        return _WORDS[text]
    return int(text) if _INTEGER.match(text) else text


def _refuse_event(event: yaml.Event, source: str) -> None:
    what = None
    if isinstance(event, yaml.AliasEvent) or getattr(event, 'anchor', None):
        what = f'anchors and aliases are not allowed ({_QUOTE})'
    elif tag := getattr(event, 'tag', None):
        what = f'tags are not allowed: {tag!r}'
    if what:
        mark = event.start_mark
        line = f', line {mark.line + 1}' if mark else ''
        raise BadInput(f'{source}{line}: {what}')


def documents(text: str, source: str = '<text>', shipped: bool = False
              ) -> Iterator[Document]:
    """The documents of a YAML text, empty ones left out.

    :param shipped: whether the text is part of this package. It is read by
        libyaml then, where PyYAML was built with it, which takes a
        twentieth of the time. A text of a site is not: libyaml differs from
        PyYAML in details, and each conductor has to read the same.
    :raises: BadInput with source and line for whatever is not strict YAML.
    """
    loader = _SHIPPED if shipped else yaml.SafeLoader
    if len(text) > MAX_LENGTH:
        raise BadInput(f'{source}: {len(text)} characters, expected at most '
                       f'{MAX_LENGTH}')
    try:
        depth = 0
        # Events come as the text is read: what is nested without an end
        # costs no time, which for PyYAML is quadratic, beyond the bound.
        for event in yaml.parse(text, Loader=loader):
            _refuse_event(event, source)
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                mark = event.start_mark
                where = f', line {mark.line + 1}' if mark else ''
                raise BadInput(f'{source}{where}: nested deeper than '
                               f'{MAX_DEPTH} levels')
        nodes = list(yaml.compose_all(text, Loader=loader))
        found = [Document(n, source) for n in nodes]
    except RecursionError:
        raise BadInput(f'{source}: nested too deeply') from None
    except yaml.YAMLError as exc:
        mark = getattr(exc, 'problem_mark', None)
        where = f', line {mark.line + 1}' if mark else ''
        problem = getattr(exc, 'problem', None) or str(exc)
        if (getattr(exc, 'context', None) or '').endswith(('alias', 'anchor')):
            problem += f' ({_QUOTE})'
        raise BadInput(f'{source}{where}: not YAML: {problem[:300]}') from exc
    except (ValueError, OverflowError, IndexError) as exc:
        # PyYAML of an escape that is no character ("\UFFFFFFFF").
        raise BadInput(f'{source}: not YAML: {str(exc)[:300]}') from exc
    for doc in found:
        if doc.data is not None:
            yield doc
