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

"""Any invalid property affects at most that property."""

from __future__ import annotations

from collections.abc import Iterator
import copy
import functools
import json
import random
from typing import Any

import pytest
from requests import structures
from sushy import exceptions

from ironic_accel.model.device import Inventory
from ironic_accel.redfish.backend import RedfishBackend
from ironic_accel.redfish.client.json_document import normal
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel_emulator import FakeClock
from ironic_accel_emulator import load_box

BOXES = [('hgx-h100', 'System_0'), ('pcie-a100', '1'),
         ('bluefield-2', 'Bluefield'), ('two-nodes', 'Node0')]
ABSENT = object()
SPOILT = (None, ABSENT, ['junk', None, 3], {'x': {'y': 1}}, 'TwinInvented',
          '', 0, -1.5, True)
#: Without these there is no System to read.
VITAL = ('/redfish/v1', '/redfish/v1/Systems')
EACH = 120


class Answer:
    """The response of a connector's ``get``."""

    def __init__(self, doc: Any) -> None:
        self.status_code = 200
        self.headers: structures.CaseInsensitiveDict[str] = (
            structures.CaseInsensitiveDict())
        self.content = json.dumps(doc).encode()
        self.text = self.content.decode()

    def iter_content(self, size: int) -> Iterator[bytes]:
        yield self.content

    def json(self) -> Any:
        return json.loads(self.content)

    def close(self) -> None:
        pass


class Documents:
    """A connector for documents; it records the requested paths."""

    def __init__(self, docs: dict[str, Any]) -> None:
        self._url = 'http://192.0.2.1'
        self.docs = docs
        self.asked: dict[str, None] = {}

    def get(self, path: str, **ignored: Any) -> Answer:
        uri = normal(path)
        self.asked[uri] = None
        if uri not in self.docs:
            answer = Answer({'error': {'code': 'Base.1.0.Missing'}})
            answer.status_code = 404
            raise exceptions.ResourceNotFoundError('GET', path, answer)
        return Answer(self.docs[uri])


@functools.cache
def documents(name: str) -> dict[str, Any]:
    box = load_box(name, clock=FakeClock())
    return {p: box.document(p) for p in box.documents.below('/redfish/v1')
            } | {'/redfish/v1': box.document('/redfish/v1')}


def look(docs: dict[str, Any], system: str
         ) -> tuple[Inventory, Documents, RedfishBackend]:
    connector = Documents(docs)
    backend = RedfishBackend(connector, system, settings=BmcSettings(
        warm_up=0, expand=False))
    return backend.observe(), connector, backend


def properties(value: Any, path: tuple[Any, ...] = ()
               ) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    items = (value.items() if isinstance(value, dict)
             else enumerate(value) if isinstance(value, list) else ())
    for key, inner in items:
        yield from properties(inner, (*path, key))


def spoil(doc: Any, path: tuple[Any, ...], value: Any) -> Any:
    doc = copy.deepcopy(doc)
    inner = doc
    for key in path[:-1]:
        inner = inner[key]
    if value is not ABSENT:
        inner[path[-1]] = value
    elif isinstance(inner, dict):
        del inner[path[-1]]
    else:
        inner.pop(path[-1])
    return doc


@pytest.mark.parametrize(('name', 'system'), BOXES)
def test_no_invalid_property_breaks_the_inventory(
        name: str, system: str) -> None:
    docs = documents(name)
    whole, connector, _ = look(docs, system)
    assert whole.devices
    places = [(uri, path, value) for uri in connector.asked
              if uri in docs and uri not in VITAL
              for path in properties(docs[uri]) for value in SPOILT]
    chosen = random.Random(name).sample(places, EACH)  # noqa: S311
    seen = 0
    for uri, path, value in chosen:
        if path == ('@odata.id',) and uri.endswith(f'/{system}'):
            # Without it the resource of the response is unknown.
            continue
        spoilt = {**docs, uri: spoil(docs[uri], path, value)}
        inventory, _, backend = look(spoilt, system)
        backend.transports(inventory)
        assert len({d.id for d in inventory.devices}) == len(
            inventory.devices)
        seen += inventory.devices == whole.devices
    # Most properties are not read.
    assert seen > EACH // 3


@pytest.mark.parametrize(('name', 'system'), BOXES)
def test_no_missing_resource_breaks_the_inventory(
        name: str, system: str) -> None:
    docs = documents(name)
    _, connector, _ = look(docs, system)
    for uri in connector.asked:
        if uri not in docs or uri in VITAL or uri.endswith(f'/{system}'):
            continue
        left = {k: v for k, v in docs.items() if k != uri}
        inventory, _, backend = look(left, system)
        backend.transports(inventory)
        assert uri in {w.uri for w in inventory.warnings}
