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

"""The little REST client under the services' clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests

from tests.functional.harness import process

Json = Any
SECONDS = 60


class RestError(process.LabError):
    """A service answered with an error: its status and text are here."""

    def __init__(self, method: str, url: str, status: int, text: str) -> None:
        super().__init__(f"{method} {url}: {status} {text[:600]}")
        self.status = status
        self.text = text


class RestClient:
    """JSON over HTTP to one service."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self.url = url
        self._session = requests.Session()
        # A proxy of the environment has no business on loopback.
        self._session.trust_env = False
        self._session.headers.update(headers)

    def request(self, method: str, path: str, body: Json = None,
                headers: Mapping[str, str] | None = None) -> Json:
        """Return the decoded answer, or None for an empty one.

        :raises: RestError for a status of 400 and more, LabError where the
            service cannot be reached.
        """
        try:
            answer = self._session.request(
                method, self.url + path, json=body, timeout=SECONDS,
                headers=dict(headers or {}))
        except requests.RequestException as error:
            raise process.LabError(f"{method} {path}: {error}") from error
        if answer.status_code >= 400:
            raise RestError(method, self.url + path, answer.status_code,
                            answer.text)
        return answer.json() if answer.content else None

    def get(self, path: str) -> Json:
        """GET ``path``."""
        return self.request("GET", path)

    def put(self, path: str, body: Json = None) -> Json:
        """PUT ``body`` to ``path``."""
        return self.request("PUT", path, body)

    def post(self, path: str, body: Json = None) -> Json:
        """POST ``body`` to ``path``."""
        return self.request("POST", path, body)

    def delete(self, path: str) -> Json:
        """DELETE ``path``."""
        return self.request("DELETE", path)
