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

"""What a plan says is what a run does, for many profiles and systems.

Profiles are drawn from what each simulated system has, with limits, counts
and images that fit or do not. Verdict, writes and resets of the plan are
compared with those of the run, and with the ledger of the BMC.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
from importlib import resources
import json
from pathlib import Path
import random
from typing import Any

import pytest

from ironic_accel.converge import advance as loop
from ironic_accel.converge.composite import CountingBackend
from ironic_accel.converge import forecast
from ironic_accel.converge import image_check
from ironic_accel.converge import outcome
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Mode
from ironic_accel.model import loader
from ironic_accel.model.plan import Plan
from ironic_accel.model.profile import Profile
from ironic_accel.model import stages
from ironic_accel_emulator import images as twin_images
from tests.contract.machine import Local
from tests.contract.machine import Machine
from tests.contract.machine import machine

#: An HGX board whose BMC offers no auxiliary power cycle. Every other profile
#: allows that an operator disconnects the AC power instead.
NO_AUX = 'hgx-h100-no-aux'
SYSTEMS = [('hgx-h100', None), ('pcie-a100', None), ('bluefield-3', None),
           ('bluefield-2', None), ('two-nodes', 'Node1'), ('plain', None),
           (NO_AUX, None)]
#: Profiles of each system: more of those that have more to change.
CASES = [(name, system, seed) for name, system in SYSTEMS
         for seed in range(40 if name in ('hgx-h100', 'pcie-a100') else 10)]
#: Versions of the GPUs of an HGX board: newer, older, the present one.
VERSIONS = ('96.00.A6.00.01', '96.00.30.00.01', '96.00.68.00.01')
#: What a host reset sends besides: cutting and restoring the power.
HOST = {'ForceOff', 'On', 'ForceRestart', 'AuxPowerCycle'}


def other(draw: random.Random, mode: Mode) -> Any:
    """A value for a mode, the present one among them."""
    if mode.allowed:
        return draw.choice([mode.current, *(
            v for v in 3 * mode.allowed if v != mode.current)])
    if isinstance(mode.current, int):
        return mode.current + draw.choice((0, 1))
    return mode.current


def group(draw: random.Random, kind: str, devices: Sequence[Device],
          folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """A group for the devices of a kind, and the images that it uses."""
    number = len(devices)
    made: dict[str, Any] = {'match': {'kind': kind}, 'count': draw.choice(
        [number] * 12 + [number + 1, {'min': 0}, {'min': 1}])}
    made['modes'] = {
        m.name: other(draw, m) for m in devices[0].modes
        if m.current is not None and draw.random() < (
            0.7 if m.activation else 0.1)}
    images: dict[str, Any] = {}
    if kind == 'gpu' and number == 8 and draw.random() < 0.6:
        version = draw.choice([VERSIONS[0]] * 3 + [*VERSIONS])
        digest = twin_images.pldm_bundle(
            folder / 'bundle', {'gpu': version}, size=2048)
        images['bundle'] = {
            'url': 'file:///i/bundle',
            'sha256': draw.choice([digest] * 9 + ['0' * 64]),
            'fits': {'board': draw.choice(
                ['HGX H100 8-GPU'] * 9 + ['HGX H200 8-GPU'])}}
        made['firmware'] = {'gpu': {'version': version, 'image': 'bundle',
                                    'at_least': draw.random() < 0.3}}
    elif devices[0].components and draw.random() < 0.15:
        part = draw.choice(devices[0].components)
        made['firmware'] = {part.name.rstrip('-0123456789'): {
            'version': draw.choice([part.running or '1', '9.9.9'])}}
    return {k: v for k, v in made.items() if v}, images


def profile(draw: random.Random, seen: Inventory, folder: Path
            ) -> Profile | None:
    """A profile for what was seen; None if nothing is declared of it."""
    kinds = sorted({d.kind for d in seen.devices})
    chosen = [k for k in kinds if draw.random() < 0.7] or kinds[:1]
    if draw.random() < 0.15:
        chosen = ['crypto', *chosen[1:]]
    data: dict[str, Any] = {
        'profile': 1, 'name': 'drawn', 'devices': {}, 'images': {},
        'limits': {'reset': draw.choice(
            ['aux-cycle'] * 20 + [str(a) for a in Activation]),
            'resets': draw.choice([0] + [1, 2] * 4), 'minutes': 1440},
        'allow': draw.sample(
            ['downgrade', 'collateral', 'staged'], draw.randrange(4))}
    for kind in chosen:
        found = [d for d in seen.devices if d.kind == kind]
        if not found:
            data['devices'][kind] = {
                'match': {'kind': kind}, 'count': {'min': 0},
                'modes': {'services': ['asym']}}
            continue
        made, images = group(draw, kind, found, folder)
        if 'modes' in made or 'firmware' in made:
            data['devices'][kind] = made
            data['images'] |= images
    if not data['devices']:
        return None
    return loader.load_data(json.loads(json.dumps(
        {k: v for k, v in data.items() if v})), inline=False)


def settled(box: Machine) -> Inventory:
    """An inventory; a second one if nothing tells when the host started."""
    inventory = box.backend.observe()
    if not inventory.complete:
        box.clock.advance(60)
        inventory = box.backend.observe()
    assert inventory.complete
    return inventory


def described(name: str, folder: Path) -> str | Path:
    """A system by its name, or its description."""
    if name != NO_AUX:
        return name
    text = (resources.files('ironic_accel_emulator')
            / 'boxes/hgx-h100.yaml').read_text('utf-8')
    assert '  aux: true\n' in text
    path = folder / 'no-aux.yaml'
    path.write_text(text.replace('  aux: true\n', ''), 'utf-8')
    return path


def foresee(box: Machine, wanted: Profile) -> Plan:
    """The plan, with its images."""
    inventory = settled(box)
    record = loop.begin(wanted, None, box.clock.now())
    plan = forecast.plan(
        inventory, wanted, record,
        box.backend.transports(inventory, wanted.pushes), box.known)
    plan, missing = image_check.wait(
        plan, wanted, Local(box.folder), inventory, lambda *_: False)
    assert missing == ()
    return plan


def reasons(plan: Plan) -> list[tuple[Any, ...]]:
    """What is refused, and why."""
    return [(r.item, r.reason, r.expected, r.seen) for r in plan.refused]


@pytest.mark.parametrize('name, system, seed', CASES)
def test_a_run_does_what_its_plan_says(
        name: str, system: str | None, seed: int, tmp_path: Path) -> None:
    draw = random.Random(f'{name} {seed}')  # noqa: S311
    with machine(described(name, tmp_path), tmp_path, system) as box:
        seen = settled(box)
        wanted = next((p for _ in range(99) if (
            p := profile(draw, seen, tmp_path)) is not None), None)
        assert wanted is not None
        if name == NO_AUX and seed % 2:
            wanted = dataclasses.replace(
                wanted, allow=wanted.allow | {stages.MANUAL})
        counting = CountingBackend(box.backend)
        box.backend = counting  # type: ignore[assignment]
        plan = foresee(box, wanted)
        ledger = box.box.ledger
        assert not ledger.count('POST', 'PATCH')
        ledger.clear()
        out = box.run(wanted)
        resets = [r.kind for r in ledger.resets]
        if plan.refused:
            assert isinstance(out, outcome.Refused), (out, plan.refused)
            assert reasons(out.plan) == reasons(plan)
            assert (ledger.count('POST', 'PATCH'), ledger.pushes,
                    resets) == (0, [], [])
            return
        if plan.stages and plan.stages[-1].manual:
            assert isinstance(out, outcome.Failed), out
            assert stages.BY_HAND in out.error.summary
            assert (counting.writes, resets) == (plan.counts.writes, [])
            assert ledger.count('POST', 'PATCH') == plan.counts.writes
            return
        assert isinstance(out, outcome.Converged), out
        assert out.plan.applies is plan.applies
        assert plan.converged is (plan.applies and counting.writes == 0
                                  and not resets)
        counts = plan.counts
        assert (counting.writes, counting.device_resets) == (
            counts.writes, counts.device_resets)
        updates = [a for s in plan.stages for a in s.actions
                   if a.verb == 'update']
        assert len(ledger.pushes) == len(updates)
        assert counts.resets == sum(
            kind in ('On', 'ForceRestart') for kind in resets)
        # All that the BMC was sent: writes, and the requests of resets.
        assert ledger.count('POST', 'PATCH') == counts.writes + sum(
            kind in HOST for kind in resets)
        assert ledger.violations == []
        # Afterwards nothing is left to do.
        assert foresee(box, wanted).counts.writes == 0
