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

"""TLS, and systems that are not servers."""

from __future__ import annotations

from pathlib import Path
import textwrap

import pytest

from ironic_accel.model.errors import BadInput
from ironic_accel.model.errors import Unreachable
from ironic_accel.redfish.backend import RedfishBackend
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client import session
from ironic_accel_emulator import FakeClock
from ironic_accel_emulator import load_box
from ironic_accel_emulator import TwinServer
from tests.contract.redfish.conftest import Start
from tests.contract.redfish import lookup
from tests.contract.redfish import plans

STORAGE = """\
family: generic
service: {vendor: Contoso, product: Flash shelf, expand: 1,
          push: [multipart], bmc: '1.0'}
hosts:
- id: shelf
  manufacturer: Contoso
  model: Flash shelf 12
  serial: SHELF-0001
  cpus: 1
  cpu_model: Xeon D
  memory_gib: 64
  bios: '1.0'
  gpus:
  - count: 2
    id: GPU{n}
    manufacturer: NVIDIA
    model: NVIDIA A100 80GB PCIe
    part_number: 900-21001-0020-100
    serial: 132452100000{n}
    pci: '10de:20b5:10de:1533'
    slot: 0
    memory_mib: 81920
    firmware: GPU{n}
    software_id: A100-PCIE
    version: 92.00.45.00.05
"""


def test_a_certificate_is_verified_by_default(tmp_path: Path) -> None:
    box = load_box('hgx-h100', clock=FakeClock(), user='u', password='p')
    server = TwinServer(box, tls=True)
    url = server.start()
    try:
        with pytest.raises(Unreachable):
            session.connect(url, 'u', 'p')
        for verify in (str(server.certificate), False):
            connector = session.connect(url, 'u', 'p', verify=verify)
            backend = RedfishBackend(connector, 'System_0',
                                     settings=BmcSettings(warm_up=0))
            inventory = backend.observe()
            gpu = plans.gpus(inventory)[0]
            backend.start(plans.set_mode({gpu: 'disabled'}, 'ecc'))
            session.disconnect(connector)
        # Sessions are closed, as a BMC has few of them.
        assert box.sessions == {} or not box.sessions
        assert len(box.ledger.writes) == 2
    finally:
        server.stop()


@pytest.mark.parametrize('url', [
    'bmc', 'ftp://bmc', 'https://user:secret@bmc', ''])
def test_a_url_that_is_not_a_bmc(url: str) -> None:
    with pytest.raises(BadInput) as error:
        session.connect(url)
    assert 'secret' not in str(error.value)


@pytest.mark.parametrize('system', ['Node7', '/redfish/v1/Systems/7', None])
def test_an_unknown_system_is_refused(rig: Start, system: str | None) -> None:
    at = rig('two-nodes', system)
    with pytest.raises(BadInput, match='/redfish/v1/Systems/Node1'):
        at.backend.observe()


@pytest.mark.parametrize('system', [
    'Node1', '/redfish/v1/Systems/Node1', '/redfish/v1/Systems/Node1/'])
def test_the_forms_of_a_systems_name(rig: Start, system: str) -> None:
    at = rig('two-nodes', system)
    assert at.backend.observe().system == '/redfish/v1/Systems/Node1'


@pytest.mark.parametrize('kind', ['Physical', 'OS', 'Composed'])
def test_a_storage_system_with_accelerators_works_the_same(
        rig: Start, tmp_path: Path, kind: str) -> None:
    path = tmp_path / 'shelf.yaml'
    path.write_text(textwrap.dedent(STORAGE))
    at = rig(path)
    system = lookup.document(at.box, '/redfish/v1/Systems/shelf')
    system['SystemType'] = kind
    system['HostingRoles'] = ['StorageServer']
    at.box.documents.put('/redfish/v1/Systems/shelf', system)
    inventory = at.backend.observe()
    gpus = plans.gpus(inventory)
    assert len(gpus) == 2
    image = plans.bundle(tmp_path, gpu='96.00.A6.00.01')
    assert at.backend.start(plans.update(
        inventory, {(gpus[0], 'gpu'): '96.00.A6.00.01'}), image)
