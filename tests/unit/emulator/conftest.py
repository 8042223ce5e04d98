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

"""A client of a simulated service without a socket."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ironic_accel_emulator import Box, FakeClock, load_box
from ironic_accel_emulator.bmc.messages import Reply, Request
from ironic_accel_emulator.bmc.service import Service

CAPTURES = Path(__file__).parents[4] / 'shared' / 'captures'
UPDATE = '/redfish/v1/UpdateService'


class Client:
    """Requests to one system; only ``box.advance`` moves the time."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self._service = Service(box)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Send one request; ``body`` is JSON or bytes."""
        raw = b'' if body is None else body
        if not isinstance(raw, bytes):
            raw = json.dumps(raw).encode()
        path, _, query = path.partition('?')
        return self._service.handle(
            Request(method, path, query, headers or {}, io.BytesIO(raw),
                    len(raw))
        )  # fmt: skip

    def get(self, path: str) -> Any:
        """The body of a resource that must exist."""
        reply = self.send('GET', path)
        assert reply.status == 200, (path, reply.status, reply.body)
        return json.loads(reply.encoded())

    def post(self, path: str, body: Any = None) -> Reply:
        """POST a JSON body."""
        return self.send('POST', path, body or {})

    def patch(self, path: str, body: Any) -> Reply:
        """PATCH a JSON body."""
        return self.send('PATCH', path, body)

    def reset(self, kind: str, system: str = 'System_0') -> Reply:
        """ComputerSystem.Reset."""
        path = f'/redfish/v1/Systems/{system}/Actions/ComputerSystem.Reset'
        return self.post(path, {'ResetType': kind})

    def push(self, image: Path, parameters: Any) -> Reply:
        """A multipart push in the format of DSP0266."""
        body = (
            b'--B\r\nContent-Disposition: form-data; '
            b'name="UpdateParameters"\r\nContent-Type: application/json'
            b'\r\n\r\n' + json.dumps(parameters).encode() + b'\r\n--B\r\n'
            b'Content-Disposition: form-data; name="UpdateFile"; '
            b'filename="image"\r\nContent-Type: application/octet-stream'
            b'\r\n\r\n' + image.read_bytes() + b'\r\n--B--\r\n'
        )
        service = self.get(UPDATE)
        headers = {'content-type': 'multipart/form-data; boundary=B'}
        return self.send(
            'POST', service['MultipartHttpPushUri'], body, headers
        )

    def version(self, component: str) -> str:
        """The version in the firmware inventory."""
        path = f'{UPDATE}/FirmwareInventory/{component}'
        return str(self.get(path)['Version'])


MakeClient = Callable[..., Client]


@pytest.fixture
def client() -> MakeClient:
    """Make a client of a new system with a clock that stands still."""

    def make(source: str, **options: Any) -> Client:
        return Client(load_box(source, clock=FakeClock(), **options))

    return make


@pytest.fixture
def capture() -> Callable[[str], str]:
    """The path of a recorded system; skips the test if it is missing."""

    def find(name: str) -> str:
        path = CAPTURES / f'{name}.tar.gz'
        if not path.exists():
            pytest.skip(f'{path} is absent: real captures are not shipped')
        return str(path)

    return find
