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

"""Requests and replies, independent of any HTTP server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ironic_accel_emulator.documents import encode
from ironic_accel_emulator.errors import RedfishError

BODY_LIMIT = 1 << 20


class Body(Protocol):
    """The body of a request while it is received."""

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes; none at the end."""


@dataclass
class Request:
    """One request; header names are lower case, ``path`` is decoded.

    ``patience`` is the client's timeout in simulated seconds, if its time is
    simulated too.
    """

    method: str
    path: str
    query: str = ''
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    length: int | None = None
    patience: float | None = None

    def json(self) -> dict[str, Any]:
        """The body as a JSON object.

        Raises RedfishError 400 if it is not one, 413 if it is too large.
        """
        raw = b''
        while self.body is not None and (piece := self.body.read(65536)):
            raw += piece
            if len(raw) > BODY_LIMIT:
                raise RedfishError(413, 'PayloadTooLarge')
        kind = self.headers.get('content-type', 'application/json')
        if not kind.startswith('application/json'):
            raise RedfishError(415, 'UnrecognizedRequestBody')
        try:
            value = json.loads(raw or b'{}')
        except ValueError as error:
            raise RedfishError(400, 'MalformedJSON') from error
        if not isinstance(value, dict):
            raise RedfishError(400, 'UnrecognizedRequestBody')
        return value


@dataclass
class Reply:
    """One reply; ``drop`` closes the connection without sending it."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    close: bool = False
    expanded: int = 0
    truncate: bool = False

    @classmethod
    def of_error(cls, error: RedfishError) -> Reply:
        """The reply for an error."""
        return cls(error.status, error.body, dict(error.headers))

    def encoded(self) -> bytes:
        """The body's bytes."""
        if self.body is None:
            return b''
        if isinstance(self.body, bytes):
            return self.body
        return encode(self.body)
