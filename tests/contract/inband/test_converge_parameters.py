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

"""Named parameters and new modes in band, from a profile to the read-back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ironic_accel.converge import outcome
from ironic_accel.model import catalog
from ironic_accel.model.device import Activation
from ironic_accel.model import loader
from ironic_accel.model.plan import Plan
from ironic_accel.model import planner
from ironic_accel.model import traits
from ironic_accel_emulator import FakeClock
from ironic_accel_emulator.inside.shared import Inside
from ironic_accel_emulator.inside.tools.state import setting
from ironic_accel_emulator import load_box
from tests.contract.inband.test_converge import SimulatedMachine

PROFILE = """
profile: 2
name: tuned
devices:
  gpus:
    match: {kind: gpu, arch: ampere}
    count: 4
    modes: {power-limit: 250, persistence: on}
  nics:
    match: {kind: nic, psid: MT_0000000834}
    modes: {relaxed-ordering: forced, qos-trust: dscp, option-rom-pxe: off}
    raw: {ATS_ENABLED: true, CNP_DSCP_P1: 26}
  dpus:
    match: {kind: dpu, product: nvidia-bluefield-3}
    modes: {relaxed-ordering: forced}
    raw: {ROCE_ADAPTIVE_ROUTING_EN: true}
limits: {reset: power-cycle}
"""
NIC = {'PCI_WR_ORDERING': 0, 'QOS_TRUST_STATE_P1': 1,
       'QOS_TRUST_STATE_P2': 1, 'ATS_ENABLED': 0, 'CNP_DSCP_P1': 48}
DPU = {'PCI_WR_ORDERING': 0, 'ROCE_ADAPTIVE_ROUTING_EN': 0}


@pytest.fixture
def machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SimulatedMachine:
    """A host with four A100, a ConnectX-7 and a BlueField-3."""
    box = load_box('pcie-a100', clock=FakeClock())
    inside = Inside(box, '1', tmp_path)
    monkeypatch.setenv('TWIN_INSIDE_STATE', str(inside.state.path))
    with inside.state.change() as document:
        for name, address in inside.addresses.items():
            card, kind = document['cards'][address], box.devices[name].kind
            own = card['settings']
            if kind == 'gpu':
                card['facts']['power'] = [150000, 300000]
                own['persistence'] = setting(0, 'none', 'warm-reboot', 0)
                own['power-limit'] = setting(
                    300000, 'none', 'warm-reboot', 300000)
            elif name.startswith('NIC6'):
                own |= {k: setting(v, 'device-reset', default=v)
                        for k, v in NIC.items()}
                own['EXP_ROM_PXE_ENABLE'] = setting(
                    1, 'warm-reboot', default=1)
            elif name.startswith('NIC5'):
                own |= {k: setting(v, 'power-cycle', default=v)
                        for k, v in DPU.items()}
    return SimulatedMachine(box, inside, tmp_path)


def _settings(machine: SimulatedMachine, name: str) -> dict[str, Any]:
    found = machine.inside.state.read()['cards'][
        machine.inside.addresses[name]]['settings']
    return {k: v['current'] for k, v in found.items()}


def _plan(machine: SimulatedMachine) -> Plan:
    backend = machine.backend()
    seen = backend.observe()
    return planner.make_plan(
        seen, loader.load_text(PROFILE)[0], (), backend.transports(seen),
        catalog.load())


def test_a_profile_of_parameters_converges_and_is_kept(
        machine: SimulatedMachine) -> None:
    plan = _plan(machine)
    assert plan.refused == ()
    planned = {c.item.name: (c.seen, c.item.wanted) for s in plan.stages
               for a in s.actions for c in a.changes}
    assert planned['CNP_DSCP_P1'] == (48, 26)
    assert planned['ATS_ENABLED'] == ('false', 'true')
    assert planned['power-limit'] == (300, 250)
    assert planned['qos-trust'] == (('pcp', 'pcp'), ('dscp', 'dscp'))

    out = machine.run(PROFILE)
    assert isinstance(out, outcome.Converged), out
    # One reset of the host, for the BlueField; the GPUs' modes, which it
    # would lose, are set behind it.
    assert machine.resets == [Activation.POWER_CYCLE]
    nic, dpu = _settings(machine, 'NIC6'), _settings(machine, 'NIC5')
    assert nic | {'PCI_WR_ORDERING': 1, 'QOS_TRUST_STATE_P1': 2,
                  'QOS_TRUST_STATE_P2': 2, 'ATS_ENABLED': 1,
                  'CNP_DSCP_P1': 26, 'EXP_ROM_PXE_ENABLE': 0} == nic
    assert dpu | {'PCI_WR_ORDERING': 1, 'ROCE_ADAPTIVE_ROUTING_EN': 1} == dpu
    for name in ('GPU1', 'GPU4'):
        gpu = _settings(machine, name)
        assert (gpu['persistence'], gpu['power-limit']) == (1, 250000)
    assert machine.box.ledger.violations == []

    again = _plan(machine)
    assert again.stages == () and again.refused == ()
    assert {p.item.name: p.persistent for p in again.satisfied} == {
        'power-limit': False, 'persistence': False,
        'relaxed-ordering': True, 'qos-trust': True, 'option-rom-pxe': True,
        'ATS_ENABLED': True, 'CNP_DSCP_P1': True,
        'ROCE_ADAPTIVE_ROUTING_EN': True}
    # They are compared by the profile, and make no traits of their own.
    found = traits.modes(machine.backend().observe(), catalog.load())
    assert [t.name for t in found if any(word in t.name for word in (
        'ATS', 'CNP', 'ORDERING', 'OPTION', 'POWER', 'PERSISTENCE',
        'TRUST'))] == []
