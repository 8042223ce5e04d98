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

"""Simulated recorded systems: their responses are the recorded ones."""

from __future__ import annotations

import json
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ironic_accel_emulator import FakeClock, load_box

from tests.unit.emulator.conftest import MakeClient


@pytest.mark.parametrize(
    ('name', 'family', 'hosts', 'gpus'),
    [
        ('gb300-supermicro', 'nvidia', 1, 4),
        ('a100x4-cray-ex235n', 'cray', 2, 8),
        ('dell-r750-h100', 'dell', 1, 1),
        ('dmtf-smartnic', 'generic', 2, 0),
    ],
)
def test_hardware_is_found(
    client: MakeClient,
    capture: Callable[[str], str],
    name: str,
    family: str,
    hosts: int,
    gpus: int,
) -> None:
    box = client(capture(name)).box
    kinds = [device.kind for device in box.devices.values()]
    assert (box.family.name, len(box.hosts)) == (family, hosts)
    assert kinds.count('gpu') == gpus


@pytest.mark.parametrize('name', ['gb300-supermicro', 'dell-r750-h100'])
def test_responses_equal_the_recorded_ones(
    client: MakeClient, capture: Callable[[str], str], name: str
) -> None:
    """All but changing properties: boot marks, tasks, sessions."""
    path = capture(name)
    twin = client(path)
    changed = []
    with tarfile.open(path) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isfile() else None
            if stream is None or not member.name.endswith('index.json'):
                continue
            recorded = json.loads(stream.read())
            uri = '/' + member.name.partition('/')[2]
            uri = uri.removesuffix('/index.json')
            recorded.pop('@odata.etag', None)
            found = twin.get(uri)
            found.pop('@odata.etag', None)
            if found != recorded:
                changed.append(uri)
    allowed = ('/Systems/', '/Tasks', '/Sessions', '/odata')
    strange = [u for u in changed if not any(a in u for a in allowed)]
    assert strange == []
    assert len(changed) < 20


def test_nodes_of_a_cray_blade_are_separate(
    client: MakeClient, capture: Callable[[str], str]
) -> None:
    blade = client(capture('a100x4-cray-ex235n'))
    blade.reset('ForceOff', 'Node0')
    blade.box.advance(5)
    first = '/redfish/v1/Systems/Node0/Processors/GPU0'
    second = '/redfish/v1/Systems/Node1/Processors/GPU0'
    assert blade.send('GET', first).status == 404
    assert blade.send('GET', second).status == 200
    owner = blade.box.components['Node1.Acc2.VBIOS']
    assert (owner.device, owner.host) == ('Node1.GPU2', 'Node1')


def test_the_largest_capture_starts_in_two_seconds(
    capture: Callable[[str], str],
) -> None:
    path = capture('dell-r750-h100')
    start = time.process_time()
    box = load_box(path, clock=FakeClock())
    assert time.process_time() - start < 2
    assert len(box.documents) > 2600


def test_a_tarball_without_a_service_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'empty.tar.gz'
    with tarfile.open(path, 'w:gz'):
        pass
    with pytest.raises(ValueError, match='expected NAME/redfish/v1'):
        load_box(path)


def test_options_are_checked() -> None:
    with pytest.raises(ValueError, match=r'options\.colour: unknown'):
        load_box('plain', colour='red')
    with pytest.raises(ValueError, match=r'timing\.flash: -1'):
        load_box('plain', timing={'flash': -1})
    with pytest.raises(ValueError, match="power: 'on'"):
        load_box('plain', power='on')


def test_a_system_from_a_yaml_file(tmp_path: Path) -> None:
    path = tmp_path / 'mine.yaml'
    path.write_text('hosts:\n- {id: X, model: Mine}\n')
    box = load_box(path, clock=FakeClock())
    assert list(box.hosts) == ['X']
    path.write_text('hats: []\n')
    with pytest.raises(ValueError, match=r'system mine: .*hats'):
        load_box(path)
