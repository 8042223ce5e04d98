# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Query parameters of DSP0266: $expand, $select, only, $top, $skip."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from ironic_accel_emulator import pointers
from ironic_accel_emulator.documents import Document, normal
from ironic_accel_emulator.errors import RedfishError

Reader = Callable[[str], Document | None]
_EXPAND = re.compile(r'([.~*])(?:\(\$levels=(\d+)\))?')


class Query:
    """The query of one GET, and its result for a document.

    ``expanded`` is the number of resources included by ``$expand``.
    """

    def __init__(self, text: str, features: Document, read: Reader) -> None:
        self._items = dict(parse_qsl(text, keep_blank_values=True))
        self._features = features
        self._read = read
        self.expanded = 0
        known = ('$expand', '$select', '$top', '$skip', '$filter', 'only')
        for name in self._items:
            if name.startswith('$') and name not in known:
                self._unsupported(name)

    @staticmethod
    def _unsupported(name: str) -> None:
        raise RedfishError(501, 'QueryParameterUnsupported', (name,))

    @property
    def wants_expand(self) -> bool:
        """Whether $expand was requested."""
        return '$expand' in self._items

    def apply(self, document: Document) -> Document:
        """Return the result of the query for a document.

        Raises RedfishError 400 for an invalid query, 501 for one that the
        service does not support.
        """
        if 'only' in self._items:
            document = self._only(document)
        if '$filter' in self._items:
            self._unsupported('$filter')
        if '$top' in self._items or '$skip' in self._items:
            document = self._page(document)
        if self.wants_expand:
            document = self._expand_all(document)
        if '$select' in self._items:
            document = self._select(document)
        return document

    def _only(self, document: Document) -> Document:
        if not self._features.get('OnlyMemberQuery'):
            self._unsupported('only')
        if len(self._items) > 1:
            raise RedfishError(400, 'QueryCombinationInvalid')
        if self._items['only']:
            args = (self._items['only'], 'only')
            raise RedfishError(400, 'QueryParameterValueFormatError', args)
        found = document.get('Members')
        if not isinstance(found, list):
            raise RedfishError(400, 'QueryNotSupportedOnResource')
        if len(found) != 1:
            return document
        return self._read(normal(found[0]['@odata.id'])) or document

    def _page(self, document: Document) -> Document:
        found = document.get('Members')
        if not isinstance(found, list):
            raise RedfishError(400, 'QueryNotSupportedOnResource')
        skip = self._number('$skip', 0)
        top = self._number('$top', len(found))
        document['Members'] = found[skip : skip + top]
        return document

    def _number(self, name: str, default: int) -> int:
        text = self._items.get(name, str(default))
        if not text.isdigit():
            raise RedfishError(
                400, 'QueryParameterValueFormatError', (text, name)
            )
        return int(text)

    def _expand_all(self, document: Document) -> Document:
        offered = self._features.get('ExpandQuery') or {}
        if not offered:
            self._unsupported('$expand')
        text = self._items['$expand']
        found = _EXPAND.fullmatch(text)
        flag = {'.': 'NoLinks', '~': 'Links', '*': 'ExpandAll'}
        if found is None or not offered.get(flag[found[1]]):
            raise RedfishError(
                400, 'QueryParameterValueFormatError', (text, '$expand')
            )
        levels = int(found[2] or 1)
        if levels < 1 or levels > offered.get('MaxLevels', 1):
            raise RedfishError(
                400, 'QueryParameterValueFormatError', (text, '$expand')
            )
        return self._expand(document, found[1], levels)

    def _expand(self, document: Document, how: str, levels: int) -> Document:
        return {
            name: self._grow(name, value, how, levels, False)
            for name, value in document.items()
        }

    def _grow(
        self, name: str, value: Any, how: str, levels: int, linked: bool
    ) -> Any:
        linked = linked or name == 'Links'
        # DSP0266: payload annotations such as Settings are expanded too.
        if name.startswith('@') and name != '@Redfish.Settings':
            return value
        if isinstance(value, list):
            return [
                self._grow('', item, how, levels, linked) for item in value
            ]
        if not isinstance(value, dict):
            return value
        if set(value) == {'@odata.id'}:
            wanted = how == '*' or linked == (how == '~')
            return self._follow(value, how, levels) if wanted else value
        return {
            key: self._grow(key, item, how, levels, linked)
            for key, item in value.items()
        }

    def _follow(self, reference: Document, how: str, levels: int) -> Document:
        uri = str(reference['@odata.id'])
        if '#' in uri:
            return reference
        try:
            found = self._read(normal(uri))
        except RedfishError:
            return reference
        if found is None:
            return reference
        self.expanded += 1
        return self._expand(found, how, levels - 1) if levels > 1 else found

    def _select(self, document: Document) -> Document:
        if not self._features.get('SelectQuery'):
            self._unsupported('$select')
        chosen: Document = {
            name: value
            for name, value in document.items()
            if name.startswith('@')
        }
        for name in filter(None, self._items['$select'].split(',')):
            value = pointers.get(document, name)
            if value is not None:
                pointers.put(chosen, name, value)
        return chosen
