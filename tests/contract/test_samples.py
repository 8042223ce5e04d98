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

"""The sample profiles are valid, and mean what they say on simulated boxes."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from ironic_accel.model import catalog
from ironic_accel.model import loader
from ironic_accel.model.plan import Plan
from ironic_accel.model.planner import make_plan
from ironic_accel.model.profile import Profile
from tests.contract.machine import machine

ROOT = Path(__file__).resolve().parents[2]
CAPTURES = ROOT.parent / 'shared' / 'captures'
SAMPLES = sorted(
    Path(str(found)) for found in
    (resources.files('ironic_accel') / 'samples').iterdir()
    if found.name.endswith('.yaml'))


def sample(name: str) -> Profile:
    """A shipped profile by its name."""
    [path] = [p for p in SAMPLES if p.stem == name]
    [profile] = loader.load_text(path.read_text())
    return profile


def planned(name: str, box: str | Path, folder: Path,
            system: str | None = None) -> Plan:
    """The plan of a sample on a simulated box that is on."""
    with machine(box, folder, system, power='On') as found:
        found.clock.advance(600)
        inventory = found.backend.observe()
        assert inventory.complete
        return make_plan(inventory, sample(name), (),
                         found.backend.transports(inventory), catalog.load())


def test_there_are_eight_real_set_ups_at_least() -> None:
    assert len(SAMPLES) >= 8


@pytest.mark.parametrize('path', SAMPLES, ids=lambda p: p.stem)
def test_a_sample_is_valid_and_named_like_its_file(path: Path) -> None:
    [profile] = loader.load_text(path.read_text())
    assert profile.name == path.stem
    assert profile.summary
    assert path.read_text().startswith('# ')


def test_hgx_h100_has_nothing_to_do_on_a_box_as_documented(
        tmp_path: Path) -> None:
    plan = planned('hgx-h100', 'hgx-h100', tmp_path)
    assert plan.converged
    assert len(plan.satisfied) == 8 * 2 + 1


def test_a100_mig_cuts_the_cards_of_the_pcie_box(tmp_path: Path) -> None:
    plan = planned('a100-mig', 'pcie-a100', tmp_path)
    assert not plan.refused
    items = [i for s in plan.stages for a in s.actions for i in a.items]
    assert [(i.name, i.wanted) for i in items] == [('mig', 'enabled')] * 4


def test_gb300_nvl_is_the_recorded_tray(tmp_path: Path) -> None:
    capture = CAPTURES / 'gb300-supermicro.tar.gz'
    if not capture.exists():
        pytest.skip('no recorded trees beside this checkout')
    plan = planned('gb300-nvl', capture, tmp_path)
    assert plan.converged, plan.refused
    assert len(plan.satisfied) == 4 * 2 + 4
