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

"""One bad answer at any read: never an exception, never for good."""

from __future__ import annotations

from typing import Any

import pytest

from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import ErrorClass
from ironic_accel.redfish.backend import RedfishBackend
from tests.security import fuzz
from tests.security import mutate

BOXES = [('pcie-a100', '/redfish/v1/Systems/1'),
         ('bluefield-2', '/redfish/v1/Systems/Bluefield')]
SAID = {
    'busy': mutate.Said(503, b'{"error": "busy"}'),
    'busy, 200': mutate.Said(200, b'{"error": "busy"}'),
    'empty': mutate.Said(200, b'{}'), 'list': mutate.Said(200, b'[]'),
    'null': mutate.Said(200, b'null'), 'text': mutate.Said(500, b'oops'),
    'nothing': mutate.Said(204, b''),
    'info': mutate.Said(503, b'{"error": {"@Message.ExtendedInfo": "x"}}'),
    'html': mutate.Said(502, b'<html>Bad gateway</html>'),
    'deep': mutate.Said(200, b'{"a":' * 3000 + b'1' + b'}' * 3000)}


def look(source: str, system: str, bad: str | None, said: mutate.Said | None
         ) -> tuple[list[str], AccelError | None]:
    """A look with one bad answer: what was asked, what it ended in."""
    asked: dict[str, None] = {}

    def spoil(path: str, doc: Any) -> mutate.Said | None:
        asked[path] = None
        return said if path == bad else None

    bmc = fuzz.Bmc(fuzz.documents(source), spoil)
    backend = RedfishBackend(fuzz.connected(bmc), system,
                             settings=fuzz.SETTINGS)
    try:
        backend.transports(backend.observe())
    except AccelError as error:
        return list(asked), error
    return list(asked), None


@pytest.mark.parametrize(('source', 'system', 'what'), [
    *((*BOXES[0], what) for what in sorted(SAID)),
    *((*BOXES[1], what) for what in ('busy', 'empty'))])
def test_one_bad_answer_is_looked_at_again(
        source: str, system: str, what: str) -> None:
    paths, wrong = look(source, system, None, None)
    assert wrong is None
    assert len(paths) > 5
    for path in paths:
        _, error = look(source, system, path, SAID[what])
        assert error is None or (
            error.detail.error_class is ErrorClass.TRANSIENT), (path, error)
