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

"""A host that was off before a run is off after it."""

from __future__ import annotations

import dataclasses
import json
import pathlib

import pytest

from ironic_accel.converge.reset_terms import ResetTimes
from ironic_accel.faces.cli import found_power
from ironic_accel.faces.cli import journal
from ironic_accel.redfish.actions.system_power import SystemPower
from ironic_accel.redfish.client.session import connect
from ironic_accel.redfish.inventory.bmc_identity import BmcIdentity
from ironic_accel_emulator import Timing
from tests.faces.conftest import Boot
from tests.faces.conftest import in_time_of
from tests.faces.conftest import Machine
from tests.faces.conftest import Run
from tests.faces.conftest import Said

SYSTEM = '/redfish/v1/Systems/System_0'
QUICK = ('--poll-interval', '0.02', '--soft-power-off-timeout', '0', '--json',
         '--allow-disruption', '--yes')


@pytest.fixture
def compliant(tmp_path: pathlib.Path) -> pathlib.Path:
    """A profile that the simulated system complies with."""
    path = tmp_path / 'as-is.yaml'
    # The time of the system passes fast.
    path.write_text('profile: 1\nname: as-is\nlimits: {minutes: 1440}\n'
                    'devices:\n  gpus:\n'
                    '    match: {kind: gpu}\n    count: 8\n'
                    '    modes: {ecc: enabled}\n')
    return path


def apply(run: Run, machine: Machine, profile: pathlib.Path) -> Said:
    with in_time_of(machine):
        return run('apply', '--bmc', machine.url, '--profile', profile,
                   *QUICK)


def power(machine: Machine) -> str:
    found: str = machine.box.as_dict()['hosts']['System_0']
    return found


def saved(tmp_path: pathlib.Path) -> dict[str, object]:
    (path,) = (tmp_path / 'state/ironic-accel').glob('*.json')
    found: dict[str, object] = json.loads(path.read_text())
    return found


def test_a_run_ends_once_its_host_is_off(
        boot: Boot, run: Run, compliant: pathlib.Path,
        tmp_path: pathlib.Path) -> None:
    machine = boot('hgx-h100', power='Off', timing={'power_off': 90})
    said = apply(run, machine, compliant)
    assert (said.code, power(machine)) == (0, 'Off'), said.err
    assert machine.resets() == ['On', 'ForceOff']
    assert saved(tmp_path)['found'] is None


@pytest.mark.parametrize(('status', 'seen'), [
    (None, 'it is not off 120 s after the request (expected off, seen '
     'unknown)'),
    ('400', 'HTTP 400'),
    ('503', 'expected off, seen on')])
def test_a_host_that_is_not_off_is_named_and_powered_off_by_the_next_run(
        boot: Boot, run: Run, compliant: pathlib.Path,
        tmp_path: pathlib.Path, status: str | None, seen: str
        ) -> None:
    machine = boot('hgx-h100', power='Off')
    options = machine.box.options
    if status is None:
        machine.box.options = dataclasses.replace(
            options, timing=Timing(power_off=1e9))
    if status:
        machine.box.faults.add('status', status, 'ComputerSystem.Reset',
                               'POST', skip=1)
    said = apply(run, machine, compliant)
    assert said.document['outcome'] == 'converged'
    assert power(machine) != 'Off'
    assert 'cannot power off the host, which was off before the run: ' in (
        said.err)
    assert seen in said.err
    assert 'run the same command again, which does' in said.err
    assert saved(tmp_path)['found'] == 'off'
    machine.box.faults.clear()
    machine.box.options = options
    machine.box.advance(2e9)
    said = apply(run, machine, compliant)
    assert (said.code, power(machine)) == (0, 'Off'), said.err
    assert saved(tmp_path)['found'] is None


def test_a_request_to_power_off_without_an_answer_is_checked(
        boot: Boot, run: Run, compliant: pathlib.Path) -> None:
    machine = boot('hgx-h100', power='Off')
    machine.box.faults.add('drop', match='ComputerSystem.Reset',
                           method='POST', count=1, skip=1)
    said = apply(run, machine, compliant)
    assert (said.code, power(machine)) == (0, 'Off'), said.err
    assert machine.resets() == ['On', 'ForceOff']


def test_a_host_that_somebody_restarted_meanwhile_stays_on(
        boot: Boot, tmp_path: pathlib.Path) -> None:
    machine = boot('hgx-h100')
    found = journal.of(BmcIdentity(machine.url, SYSTEM),
                       str(tmp_path / 'journal'))
    found.found, found.boot = 'off', '2026-01-01T00:00:00Z'
    told: list[str] = []
    found_power.restore(
        SystemPower(connect(machine.url), SYSTEM), found, ResetTimes(),
        told.append)
    assert told == ['the host was off before the run, and was restarted '
                    'since: it stays on']
    assert machine.resets() == []
