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

"""Whole profiles in band: the loop, the local backend, the real families,
simulated tools, and host resets by the box."""

from __future__ import annotations

from pathlib import Path
import time

import pytest

from ironic_accel.converge import advance as loop
from ironic_accel.converge import outcome
from ironic_accel.converge.ports import Pace
from ironic_accel.inband.backend import LocalBackend
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.tools.alveo.tool import Alveo
from ironic_accel.inband.tools.mellanox.tool import Mellanox
from ironic_accel.inband.tools.nvidia_gpu.tool import NvidiaGpu
from ironic_accel.inband.tools.sriov.tool import Sriov
from ironic_accel.model import catalog
from ironic_accel.model.device import Activation
from ironic_accel.model import loader
from ironic_accel_emulator import Box
from ironic_accel_emulator import FakeClock
from ironic_accel_emulator import images
from ironic_accel_emulator.inside import nvml
from ironic_accel_emulator.inside.shared import Inside
from ironic_accel_emulator import load_box
from tests.contract.machine import Local
from tests.contract.machine import Memory

SHELL = 'xilinx_u55c_gen3x16_xdma_base_3'
RESETS = {Activation.WARM_REBOOT: 'GracefulRestart',
          Activation.POWER_CYCLE: 'PowerCycle'}
PROFILE = """
profile: 1
name: in-band
images:
  nic-fw:
    url: file:///images/nic-fw
    sha256: {nic}
    fits: {{psid: MT_0000000834}}
  shell:
    url: file:///images/shell
    sha256: {shell}
    fits: {{board: u55c}}
devices:
  gpus:
    match: {{kind: gpu, product: nvidia-a100-pcie-80gb}}
    count: 4
    modes: {{mig: enabled, ecc: disabled}}
  nics:
    match: {{kind: nic, psid: MT_0000000834}}
    firmware: {{nic: {{version: "28.43.1014", image: nic-fw}}}}
    modes: {{vf-limit: 32, link-type: [ib, ib]}}
  dpus:
    match: {{kind: dpu, product: nvidia-bluefield-3}}
    modes: {{mode: nic}}
  fpgas:
    match: {{kind: fpga, product: amd-alveo-u55c}}
    firmware: {{shell: {{version: {platform}, image: shell}}}}
limits: {{reset: power-cycle}}
"""


class SimulatedMachine:
    """A box, the backend on its inside, and a caller of the loop."""

    def __init__(self, box: Box, inside: Inside, folder: Path) -> None:
        self.box = box
        self.inside = inside
        self.folder = folder
        self.journal = Memory()
        self.resets: list[Activation] = []

    def backend(self) -> LocalBackend:
        """What runs on the host now: another after each boot."""
        host = Machine(str(self.inside.root), str(self.inside.path),
                    {'pynvml': nvml.__name__})
        return LocalBackend(host, [Alveo(), Mellanox(), NvidiaGpu(),
                                   Sriov()], folder=str(self.folder / 'jobs'))

    def run(self, text: str) -> outcome.Outcome:
        """Run a profile to its end."""
        profile = loader.load_text(text)[0]
        record = loop.begin(profile, self.journal.load(), time.time())
        backend = self.backend()
        while True:
            out, record = loop.advance(
                backend, Local(self.folder), self.journal, profile, record,
                time.time(), catalog.load(), Pace(poll=0.05, look=0.05))
            if isinstance(out, outcome.Wait):
                time.sleep(max(0.01, min(0.1, out.until - time.time())))
            elif isinstance(out, outcome.Reset):
                self.resets.append(out.activation)
                self.box.power.reset(
                    self.box.hosts['1'], RESETS[out.activation])
                for _ in range(2):
                    self.box.advance(600)
                record = loop.reset_performed(record, time.time())
                self.journal.save(record)
                backend = self.backend()
            else:
                return out


@pytest.fixture
def machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SimulatedMachine:
    box = load_box('pcie-a100', clock=FakeClock())
    inside = Inside(box, '1', tmp_path)
    monkeypatch.setenv('TWIN_INSIDE_STATE', str(inside.state.path))
    return SimulatedMachine(box, inside, tmp_path)


def _profile(machine: SimulatedMachine, psid: str = 'MT_0000000834') -> str:
    nic = images.mlnx_image(machine.folder / 'nic-fw', '28.43.1014', psid)
    shell = images.xsabin_image(machine.folder / 'shell', SHELL)
    return PROFILE.format(nic=nic, shell=shell, platform=SHELL)


def test_a_profile_over_three_families_converges(
    machine: SimulatedMachine,
) -> None:
    text = _profile(machine)
    out = machine.run(text)
    assert isinstance(out, outcome.Converged), out
    running = {c.id: c.running for c in machine.box.components.values()}
    assert running['NIC6_ConnectX-7'] == '28.43.1014'
    assert running['Alveo_FPGA1_SHELL'] == SHELL
    assert running['NIC5_BlueField-3'] == '32.38.1002'
    assert {m: machine.box.modes[m].current for m in (
        'GPU1/mig', 'GPU4/mig', 'GPU1/ecc', 'GPU4/ecc')} == {
        'GPU1/mig': True, 'GPU4/mig': True,
        'GPU1/ecc': False, 'GPU4/ecc': False}
    assert machine.resets == [Activation.POWER_CYCLE]
    assert machine.box.ledger.violations == []
    updates = machine.inside.state.read()['burns']
    again = machine.run(text)
    assert isinstance(again, outcome.Converged)
    assert machine.inside.state.read()['burns'] == updates
    assert len(updates) == 2
    assert machine.resets == [Activation.POWER_CYCLE]


def test_an_image_for_another_board_fails_and_writes_nothing(
        machine: SimulatedMachine) -> None:
    out = machine.run(_profile(machine, psid='MT_0000000001'))
    assert isinstance(out, outcome.Failed)
    assert 'PSID' in out.error.summary
    assert [b for b in machine.inside.state.read()['burns']
            if b[1] == 'nic'] == []
