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

"""The examples of the contributor's guide, executed."""

from __future__ import annotations

import json
import os
from pathlib import Path
import shutil
import subprocess
import sys
import tomllib

import pytest
import yaml

from ironic_accel.converge import outcome
from ironic_accel.model import catalog
from ironic_accel.model.errors import BadInput
from ironic_accel.model import loader
from ironic_accel.model import traits
import ironic_accel_emulator as emulator
from tests.contract.machine import machine

ROOT = Path(__file__).parents[3]
EXAMPLES = Path(__file__).parent / 'examples'

#: A run that sets the example's mode, with the plug-ins on the path.
_SET_MODE = """
import json
import pathlib
import sys
import tomllib
from ironic_accel.model import catalog
from ironic_accel.model import loader
from ironic_accel_emulator.families import settings
from ironic_accel_emulator.parts import Activation
from ironic_accel_emulator.parts import Mode
from tests.contract.machine import machine

folder, rows, system = map(pathlib.Path, sys.argv[1:])
known = catalog.extended({rows.name: rows.read_text()})
profile = loader.load_data({
    'profile': 1, 'name': 'boosted', 'devices': {'cards': {
        'match': {'kind': 'gpu', 'product': 'acme-a1'}, 'count': 4,
        'modes': {'boost': 'enabled'}}}}, catalog=known)
with machine(system, folder, known=known) as run:
    for device in list(run.box.devices.values()):
        if device.kind == 'gpu':
            at = (device.uris[0], '/Oem/Acme/BoostEnabled')
            settings.add(run.box, Mode(
                device.id, 'boost', False, Activation.NONE, at, at))
    ends = [type(run.run(profile)).__name__ for _ in range(2)]
    print(json.dumps({
        'ends': ends,
        'patched': [r.path for r in run.box.ledger.requests
                    if r.method == 'PATCH'],
        'resets': len(run.box.ledger.resets),
        'now': [m.current for m in run.box.modes.values()
                if m.name == 'boost']}))
"""


ECC = """
profile: 1
name: ecc
devices:
  gpus:
    match: {kind: gpu, product: acme-a1}
    count: 4
    modes: {ecc: disabled}
"""


def system(folder: Path) -> Path:
    """A simulated system with four cards of the example."""
    shipped = Path(emulator.__file__).parent / 'boxes' / 'pcie-a100.yaml'
    spec = yaml.safe_load(shipped.read_text())
    spec['hosts'][0]['gpus'][0] |= {
        'manufacturer': 'Acme', 'model': 'Acme A1',
        'pci': '1d0f:00a1:1d0f:0001'}
    path = folder / 'system.yaml'
    path.write_text(yaml.safe_dump(spec))
    return path


def test_product_is_found_and_makes_a_trait(tmp_path: Path) -> None:
    rows = (EXAMPLES / 'product.yaml').read_text()
    known = catalog.extended({'product.yaml': rows})
    with machine(system(tmp_path), tmp_path, known=known) as run:
        seen = run.backend.observe()
        end = run.run(loader.load_text(ECC, catalog=known)[0])
    assert isinstance(end, outcome.Converged), end
    assert [r.kind for r in run.box.ledger.resets] == ['ForceRestart']
    cards = [d for d in seen.devices if d.kind == 'gpu']
    assert [d.product for d in cards] == ['acme-a1'] * 4
    assert 'CUSTOM_ACCEL_GPU_ACME_A1' in {
        t.name for t in traits.presence(seen, known)}
    assert catalog.load().product('acme-a1') is None


def test_mode_is_read_set_once_and_verified(tmp_path: Path) -> None:
    site = tmp_path / 'site'
    info = site / 'acme_accel-1.0.dist-info'
    info.mkdir(parents=True)
    (site / 'mode_vendor.py').write_text(
        (EXAMPLES / 'mode_vendor.py').read_text())
    (info / 'METADATA').write_text(
        'Metadata-Version: 2.1\nName: acme-accel\nVersion: 1.0\n')
    (info / 'entry_points.txt').write_text(
        '[ironic_accel.redfish_vendors]\nacme = mode_vendor:VENDOR\n')
    ran = subprocess.run(
        [sys.executable, '-c', _SET_MODE, str(tmp_path),
         str(EXAMPLES / 'mode.yaml'), str(system(tmp_path))],
        capture_output=True, text=True, timeout=120, cwd=tmp_path, env={
            **os.environ, 'XDG_CACHE_HOME': str(tmp_path / 'cache'),
            'PYTHONPATH': f'{site}:{ROOT}:{ROOT / "emulator"}'})
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert said['ends'] == ['Converged', 'Converged']
    assert len(said['patched']) == len(set(said['patched'])) == 4
    assert said['now'] == [True] * 4
    assert said['resets'] == 0


def test_tool_family_updates_detects_and_sets_at_first_boot(
        tmp_path: Path) -> None:
    site = tmp_path / 'site'
    info = site / 'acme_tools-1.0.dist-info'
    info.mkdir(parents=True)
    shutil.copytree(EXAMPLES / 'acme_tools', site / 'acme_tools')
    (info / 'METADATA').write_text(
        'Metadata-Version: 2.1\nName: acme-tools\nVersion: 1.0\n')
    groups = tomllib.loads((EXAMPLES / 'acme_tools/entry_points.toml')
                           .read_text())['project']['entry-points']
    (info / 'entry_points.txt').write_text(''.join(
        f'[{group}]\n' + ''.join(f'{n} = {v}\n' for n, v in rows.items())
        for group, rows in groups.items()))
    ran = subprocess.run(
        [sys.executable, '-m', 'tests.unit.docs.tool_family_run',
         str(tmp_path), str(EXAMPLES / 'tool_family.yaml')],
        capture_output=True, text=True, timeout=120, cwd=ROOT, env={
            **os.environ, 'XDG_CACHE_HOME': str(tmp_path / 'cache'),
            'PYTHONPATH': f'{site}:{ROOT}:{ROOT / "emulator"}'})
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert (said['before'], said['after']) == (['A1-r9'], ['A1-r10'])
    assert (said['updates'], said['results']) == (True, [True])
    assert said['order'] == -1
    assert ['acmectl' in one for one in said['others']] == [True]
    assert (said['first_boot'], said['boost']) == (True, 'enabled')


def test_form_of_a_package_that_is_not_installed_is_named() -> None:
    rows = (EXAMPLES / 'tool_family.yaml').read_text()
    with pytest.raises(BadInput, match="gpu: version form: 'acme-release'"):
        catalog.extended({'tool_family.yaml': rows})
