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

"""The image server serves registered images to a BMC, and nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import requests

from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Ready
from ironic_accel.redfish.image_server import ImageServer
from ironic_accel_emulator import images
from tests.contract.redfish.conftest import Start
from tests.contract.redfish import plans


@pytest.fixture
def image(tmp_path: Path) -> Ready:
    path = tmp_path / 'an image.bin'
    path.write_bytes(b'x' * 3_000_000)
    return Ready(str(path), 3_000_000,
                 hashlib.sha256(path.read_bytes()).hexdigest())


def test_an_image_is_served_whole(image: Ready) -> None:
    with ImageServer('http://127.0.0.1:1') as server:
        uri = server.uri(image)
        assert uri is not None
        answer = requests.get(uri, timeout=10)
        assert hashlib.sha256(answer.content).hexdigest() == image.sha256
        head = requests.head(uri, timeout=10)
        assert head.headers['Content-Length'] == '3000000'
        root = uri.rsplit('/', 2)[0]
        for path in ('/', '/an%20image.bin', '/../an%20image.bin'):
            assert requests.get(root + path, timeout=10).status_code == 404
        assert requests.post(uri, timeout=10).status_code == 501
    with pytest.raises(requests.ConnectionError):
        requests.get(uri, timeout=10)


def test_an_image_that_changed_is_not_served(image: Ready) -> None:
    with ImageServer('http://127.0.0.1:1') as server:
        uri = server.uri(image)
        assert uri is not None
        Path(image.path).write_bytes(b'y' * 3_000_000)
        assert requests.get(uri, timeout=10).status_code == 410


def test_a_server_outside_its_context_serves_nothing(image: Ready) -> None:
    assert ImageServer('http://127.0.0.1:1').uri(image) is None


def test_simple_update_downloads_from_the_image_server(
        rig: Start, tmp_path: Path) -> None:
    with ImageServer('http://127.0.0.1:1') as server:
        at = rig('two-nodes', 'Node0', image_uri=server.uri)
        inventory = at.backend.observe()
        gpus = plans.gpus(inventory)
        transport, = at.backend.transports(inventory)
        assert set(transport.updates) == {(g, 'gpu') for g in gpus}
        path = tmp_path / 'vbios.rom'
        digest = images.plain_image(path, 'gpu', '92.00.45.00.03')
        ticket = at.backend.start(
            plans.update(inventory, {(gpus[0], 'gpu'): '92.00.45.00.03'}),
            Ready(str(path), path.stat().st_size, digest))
        at.clock.advance(3000)
        poll = at.backend.poll(ticket)
        assert isinstance(poll, Ended)
        assert poll.results[0].ok
        push, = at.box.ledger.pushes
        assert (push.transport, push.digest) == ('simple-update', digest)
