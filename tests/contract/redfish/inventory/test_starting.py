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

"""An inventory of a booting host needs only a few requests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ironic_accel.converge import outcome
from ironic_accel.model.errors import Unreachable
from tests.contract.machine import Machine
from tests.contract.machine import machine

ECC = """
profile: 1
name: ecc
devices:
  gpus:
    match: {kind: gpu}
    count: 8
    modes: {ecc: disabled}
"""


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Machine]:
    """An HGX H100 whose host is up."""
    with machine('hgx-h100', tmp_path) as made:
        yield made


def reset(box: Machine) -> None:
    box.power('ForceRestart')


def paths(box: Machine) -> list[str]:
    return [r.path for r in box.box.ledger.requests]


def test_no_device_is_read_while_the_host_starts(box: Machine) -> None:
    out = box.run(ECC)
    assert isinstance(out, outcome.Converged), out
    told = paths(box)
    begun = next(i for i, path in enumerate(told) if path.endswith('.Reset'))
    after = told[begun + 1:]
    looks = [i for i, path in enumerate(after) if path == '/redfish/v1']
    whole = [after[a:b] for a, b in zip(
        looks, [*looks[1:], len(after)], strict=True)]
    assert len(whole) > 2
    assert all(not any('/Processors' in p or '/Chassis' in p for p in look)
               and len(look) <= 6 for look in whole[:2])
    # The inventory that verifies the modes is complete.
    assert any('/Processors' in p for p in whole[-1])
    assert any(w.startswith('the host is booting') for w in box.progress)


def test_a_booting_host_is_reported(box: Machine) -> None:
    assert box.backend.starting() is None
    reset(box)
    assert box.backend.starting() == (
        'the host is booting: PCIResourceConfigStarted')
    box.clock.advance(3600)
    assert box.backend.starting() is None


def test_a_host_that_is_off_gets_a_full_inventory(box: Machine) -> None:
    box.power('ForceOff')
    assert box.backend.starting() is None


@pytest.mark.parametrize('path', [
    '/redfish/v1/TaskService$', '/redfish/v1/UpdateService$',
    '/Managers'])
def test_unread_resources_lead_to_a_full_inventory(
        box: Machine, path: str) -> None:
    reset(box)
    box.box.faults.add('status', '503', path, 'GET')
    assert box.backend.starting() is None


def test_a_bmc_that_does_not_respond_while_booting_is_unreachable(
        box: Machine) -> None:
    reset(box)
    box.box.faults.add('status', '503', '/redfish/v1$', 'GET')
    with pytest.raises(Unreachable):
        box.backend.starting()
