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

"""An observation takes one connection to the BMC."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from ironic_accel.model.errors import NoAccess
from ironic_accel.redfish.backend import RedfishBackend
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client.read_history import ReadHistory
from ironic_accel.redfish.client import session
from ironic_accel_emulator import FakeClock
from ironic_accel_emulator import load_box
from ironic_accel_emulator import TwinServer
from tests.contract.redfish.conftest import Rig
from tests.contract.redfish.conftest import Start
from tests.contract.redfish import plans

GPU3 = '/redfish/v1/Systems/HGX_Baseboard_0/Processors/GPU_SXM_3'


def connections(at: Rig) -> int:
    return at.box.ledger.connections


def alone(at: Rig) -> None:
    """Give the BMC a maker for which one request at a time is the rule."""
    at.box.lay('/redfish/v1', lambda root: root.update(Vendor='Other'))


@pytest.mark.parametrize('expand', [True, False])
def test_an_observation_makes_one_connection_and_closes_it(
        rig: Start, expand: bool) -> None:
    at = rig('hgx-h100', 'System_0', 'u', 'p', expand=expand)
    alone(at)
    for _ in range(2):
        before = connections(at)
        inventory = at.backend.observe()
        assert inventory.complete
        assert connections(at) == before + 1
    before = connections(at)
    assert at.backend.starting() is None
    assert connections(at) == before + 1


def test_each_observation_has_its_own_connection(rig: Start) -> None:
    at = rig('hgx-h100', 'System_0')
    alone(at)
    for _ in range(3):
        at.backend.observe()
    assert connections(at) == 3


def test_an_observation_that_fails_closes_its_connection(rig: Start) -> None:
    at = rig('hgx-h100', 'System_0', 'u', 'p')
    at.box.faults.add('status', '401')
    with pytest.raises(NoAccess):
        at.backend.observe()
    at.box.faults.clear()
    alone(at)
    before = connections(at)
    at.backend.observe()
    assert connections(at) == before + 1


def test_a_session_that_expires_is_renewed_on_the_same_connection(
        rig: Start) -> None:
    at = rig('hgx-h100', 'System_0', 'u', 'p', expand=False)
    alone(at)
    whole = at.backend.observe()
    at.box.faults.add('expire-session', None, GPU3, count=1)
    before = connections(at)
    assert at.backend.observe().devices == whole.devices
    # The login is a write, which has a connection of its own.
    assert connections(at) == before + 2


@pytest.mark.parametrize('fault', ['drop', 'refuse'])
def test_a_connection_lost_before_a_byte_is_replaced_once(
        rig: Start, fault: str) -> None:
    at = rig('hgx-h100', 'System_0', expand=False)
    alone(at)
    whole = at.backend.observe()
    before = connections(at)
    at.box.faults.add(fault, None, GPU3 + '$', 'GET', count=1)
    after = at.backend.observe()
    assert (after.devices, after.complete) == (whole.devices, True)
    assert connections(at) == before + 2


def test_a_response_that_breaks_off_is_not_read_again(rig: Start) -> None:
    at = rig('hgx-h100', 'System_0', expand=False)
    alone(at)
    whole = at.backend.observe()
    before = connections(at)
    at.box.faults.add('cut', None, GPU3 + '$', 'GET', count=1)
    after = at.backend.observe()
    assert [d.uri for d in after.devices if d.unread] == [GPU3]
    assert len(after.devices) == len(whole.devices)
    assert connections(at) == before + 2


def test_a_write_does_not_use_the_connection_of_the_reads(
        rig: Start) -> None:
    at = rig('hgx-h100', 'System_0')
    inventory = at.backend.observe()
    gpu = plans.gpus(inventory)[0]
    before = connections(at)
    methods = len(at.box.ledger.requests)
    at.backend.start(plans.set_mode({gpu: 'disabled'}, 'ecc'))
    sent = len(at.box.ledger.requests) - methods
    assert connections(at) - before == sent


def test_a_bundle_that_changes_is_loaded_again(tmp_path: Path) -> None:
    box = load_box('hgx-h100', clock=FakeClock())
    bundle = tmp_path / 'bundle.pem'
    with contextlib.ExitStack() as stack:
        server, other = (TwinServer(b, tls=True) for b in (
            box, load_box('plain', clock=FakeClock())))
        for one in (server, other):
            stack.enter_context(one)
        assert server.certificate
        assert other.certificate
        bundle.write_bytes(server.certificate.read_bytes())
        connector = session.connect(server.url, verify=str(bundle))
        stack.callback(session.disconnect, connector)
        box.lay('/redfish/v1', lambda root: root.update(Vendor='Other'))
        backend = RedfishBackend(connector, 'System_0', settings=BmcSettings(
            warm_up=0, history=ReadHistory(FakeClock().now)))
        assert backend.observe().complete
        assert backend.observe().complete
        assert box.ledger.connections == 2
        bundle.write_bytes(other.certificate.read_bytes())
        with pytest.raises(NoAccess, match='certificate'):
            backend.observe()
        bundle.write_text('no certificate')
        with pytest.raises(NoAccess):
            backend.observe()
        bundle.write_bytes(server.certificate.read_bytes())
        assert backend.observe().complete
