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

"""Power and resets of a host whose BMC is not ready for them."""

from __future__ import annotations

from collections.abc import Callable
import json
from typing import Any

import pytest

from ironic_accel.converge.perform_reset import HostResetter
from ironic_accel.converge.reset_terms import ResetRules
from ironic_accel.converge.reset_terms import ResetTimes
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.record import Intent
from ironic_accel.model.record import Record
from ironic_accel.redfish.actions.system_power import SystemPower
from tests.contract.redfish.conftest import Rig
from tests.contract.redfish.conftest import Start
from tests.contract.redfish import lookup

RESET = 'Actions/ComputerSystem.Reset'
SYSTEM = '/redfish/v1/Systems/1'
RULES = ResetRules('here', ResetTimes(look=5, soft=0, hard=120, busy=900))


def perform(at: Rig, activation: Activation) -> float:
    """Perform a reset; returns its duration in simulated seconds."""
    saved: list[Record] = []
    host = SystemPower(at.connector, SYSTEM, at.settings)
    resetter = HostResetter(host, saved.append, RULES)
    begin = at.clock.now()
    record = Record(intent=Intent('reset', activation, begin, begin + 1800))
    for _ in range(500):
        step = resetter.step(record, at.clock.now())
        record = step.record
        at.clock.advance(max(1.0, step.until - at.clock.now()))
        if step.performed:
            return at.clock.now() - begin
    raise AssertionError('not performed')


def kinds(at: Rig) -> list[str]:
    return [r.kind for r in at.box.ledger.resets]


@pytest.mark.parametrize('fault', [
    ('busy', '3'), ('busy', '31536000'), ('busy', '0'), ('status', '503'),
    ('status', '429'), ('status', '500'), ('refuse', None)])
@pytest.mark.parametrize('skip', [0, 1])
def test_a_power_cycle_continues_after_a_503(
        rig: Start, fault: tuple[str, str | None], skip: int) -> None:
    """503 with Retry-After for power off, or for power on."""
    at = rig('pcie-a100')
    name, value = fault
    at.box.faults.add(name, value, RESET, 'POST', count=2, skip=skip)
    assert perform(at, Activation.POWER_CYCLE) < 1300
    assert kinds(at) == ['ForceOff', 'On']
    assert at.box.hosts['1'].power == 'On'


def told(status: int, *ids: str) -> str:
    """A response with messages, for the fault ``body``."""
    return f'{status}:' + json.dumps({'error': {
        'code': 'Base.1.8.GeneralError', '@Message.ExtendedInfo': [
            {'MessageId': i, 'Message': i, 'Severity': 'Warning'}
            for i in ids]}})


NOT_NOW = [
    told(400, 'IDRAC.2.7.PWR8571'),
    told(409, 'Base.1.12.GeneralError', 'IDRAC.2.8.SYS518'),
    told(400, 'CrayHMS.1.0.PW003'), told(400, 'IPC.1.0.NodeBusy'),
    told(400, 'Base.1.8.PropertyValueError', 'Base.1.8.ResourceInUse'),
    told(400, 'iLO.2.31.InvalidOperationForSystemState'),
    told(503, 'Base.1.18.1.ServiceTemporarilyUnavailable'),
    told(500, 'Base.1.8.ServiceShuttingDown')]


@pytest.mark.parametrize('body', NOT_NOW)
@pytest.mark.parametrize(('activation', 'skip'), [
    (Activation.POWER_CYCLE, 0), (Activation.POWER_CYCLE, 1),
    (Activation.WARM_REBOOT, 0)])
def test_a_reset_rejected_with_not_now_is_repeated_later(
        rig: Start, body: str, activation: Activation, skip: int) -> None:
    """Of any vendor, at any position, for power off and power on."""
    at = rig('pcie-a100')
    at.box.faults.add('body', body, RESET, 'POST', count=2, skip=skip)
    assert perform(at, activation) < 1300
    assert kinds(at) == (
        ['ForceRestart']
        if activation is Activation.WARM_REBOOT
        else ['ForceOff', 'On']
    )
    assert at.box.hosts['1'].power == 'On'


def test_a_host_that_is_not_powered_on_again_is_reported(
        rig: Start) -> None:
    at = rig('pcie-a100')
    at.box.faults.add('busy', '3', RESET, 'POST', skip=1)
    with pytest.raises(AccelError) as error:
        perform(at, Activation.POWER_CYCLE)
    assert 'the host was powered off' in (error.value.detail.todo or '')
    assert at.box.hosts['1'].power == 'Off'


@pytest.mark.parametrize(('told', 'soft', 'expected'), [
    (['On', 'ForceRestart', 'GracefulRestart'], True, 'GracefulRestart'),
    (['On', 'ForceRestart'], True, 'ForceRestart'),
    (['On', 'ForceRestart', 'GracefulRestart'], False, 'ForceRestart'),
    ([], True, 'GracefulRestart')])
@pytest.mark.parametrize('where', ['action', 'info'])
def test_the_reset_types_that_a_system_offers(
        rig: Start, told: list[str], soft: bool, expected: str,
        where: str) -> None:
    at = rig('pcie-a100')
    offer(at, told, where)
    host = SystemPower(at.connector, SYSTEM, at.settings)
    assert host.reset_types() == (tuple(told) or None)
    assert host.offers('GracefulRestart') is (
        not told or 'GracefulRestart' in told)
    host.warm_reboot(soft)
    assert kinds(at) == [expected]


def offer(at: Rig, told: list[str], where: str) -> None:
    """Let the System list its reset types, at the action or elsewhere."""
    info = f'{SYSTEM}/ResetActionInfo'
    action: dict[str, Any] = {'target': f'{SYSTEM}/{RESET}'}
    if where == 'action':
        action['ResetType@Redfish.AllowableValues'] = told
    else:
        action['@Redfish.ActionInfo'] = info
        at.box.documents.put(info, {
            '@odata.id': info, '@odata.type': '#ActionInfo.v1_1_2.ActionInfo',
            'Id': 'ResetActionInfo', 'Name': 'Reset', 'Parameters': [
                {'Name': 'Other', 'AllowableValues': ['x']},
                {'Name': 'ResetType', 'AllowableValues': told}]})
    doc = lookup.document(at.box, SYSTEM)
    doc['Actions'] = {'#ComputerSystem.Reset': action}
    at.box.documents.put(SYSTEM, doc)


Do = Callable[[SystemPower], None]


@pytest.mark.parametrize(('do', 'expected'), [
    (SystemPower.power_on, 'On'),
    (SystemPower.warm_reboot, 'ForceRestart')])
def test_an_unreadable_list_of_reset_types(
        rig: Start, do: Do, expected: str) -> None:
    """The offered types are unknown; a request is sent anyway, as the
    service rejects unknown types."""
    at = rig('pcie-a100')
    offer(at, ['On', 'ForceRestart'], 'info')
    at.box.faults.add('status', '500', 'ResetActionInfo')
    host = SystemPower(at.connector, SYSTEM, at.settings)
    with pytest.raises(Unreachable, match='lists the reset types'):
        host.offers('GracefulRestart')
    do(host)
    assert kinds(at) == [expected]


def test_a_system_without_a_reset_is_refused(rig: Start) -> None:
    at = rig('pcie-a100')
    doc = lookup.document(at.box, SYSTEM)
    doc['Actions'] = {}
    at.box.documents.put(SYSTEM, doc)
    host = SystemPower(at.connector, SYSTEM, at.settings)
    with pytest.raises(Rejected, match='has no action'):
        host.reset_types()
    with pytest.raises(Rejected, match='has no action'):
        host.power_on()
