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

"""A site's Redfish vendor: the module and entry point of the docs page."""

from __future__ import annotations

import json
import os
from pathlib import Path
import re
import subprocess
import sys
import textwrap
import tomllib
from typing import Any

import pytest
import yaml

import ironic_accel_emulator as emulator

ROOT = Path(__file__).parents[3]
PAGE = ROOT / 'doc/source/contributor/redfish-vendors.rst'
GROUP = 'ironic_accel.redfish_vendors'

#: Prints what a new process reads from a simulated BMC with the plug-ins on
#: its path.
_REPORT = """
import json
import sys
from ironic_accel.redfish.backend import RedfishBackend
from ironic_accel.redfish.backend import vendor_plugins
from ironic_accel.redfish.client import session
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel_emulator import FakeClock, load_box, TwinServer

settings = BmcSettings(warm_up=0.0)
with TwinServer(load_box(sys.argv[1], clock=FakeClock())) as url:
    backend = RedfishBackend(session.connect(url, settings=settings), None,
                             settings=settings)
    seen = backend.observe()
    transport, = backend.transports(seen)
    gpus = [d for d in seen.devices if d.kind == 'gpu']
    updates = [transport.updates.get((d.id, 'gpu')) for d in gpus]
    print(json.dumps({
        'plugins': list(vendor_plugins().vendors),
        'left_out': dict(vendor_plugins().left_out),
        'unlisted': list(vendor_plugins().unlisted),
        'warnings': [w.message for w in seen.warnings],
        'components': [[c.id for c in d.components if c.name == 'gpu']
                       for d in gpus],
        'writes': [None if u is None else len(u.also_writes)
                   for u in updates],
        'lanes': len({u.lane for u in updates if u is not None})}))
"""


def block(language: str) -> str:
    """The only code block in that language on the page."""
    found = re.findall(rf'code-block:: {language}\n\n((?:   .*\n|\n)+)',
                       PAGE.read_text('utf-8'))
    assert len(found) == 1
    return textwrap.dedent(found[0])


def install(folder: Path, module: str, points: dict[str, str],
            name: str = 'acme-accel') -> None:
    """Install a package with one module and entry points of the group."""
    folder.mkdir(exist_ok=True)
    stem = name.replace('-', '_')
    info = folder / f'{stem}-99.0.dist-info'
    info.mkdir()
    if module:
        (folder / f'{stem}.py').write_text(module)
    (info / 'METADATA').write_text(
        f'Metadata-Version: 2.1\nName: {name}\nVersion: 99.0\n')
    (info / 'entry_points.txt').write_text(f'[{GROUP}]\n' + ''.join(
        f'{key} = {value}\n' for key, value in points.items()))


def box(folder: Path, vendor: str) -> Path:
    """The shipped system with PCIe cards, with another vendor."""
    shipped = Path(emulator.__file__).parent / 'boxes' / 'pcie-a100.yaml'
    spec = yaml.safe_load(shipped.read_text())
    spec['service']['vendor'] = vendor
    host, = spec['hosts']
    host['manufacturer'] = vendor
    host['gpus'][0]['firmware'] = 'Slot{n}-FW'
    path = folder / 'box.yaml'
    path.write_text(yaml.safe_dump(spec))
    return path


def look(folder: Path, vendor: str, *sites: Path) -> dict[str, Any]:
    """What a separate process reads from a system of that vendor."""
    path = ':'.join(map(str, (*sites, ROOT, ROOT / 'emulator')))
    ran = subprocess.run(
        [sys.executable, '-c', _REPORT, str(box(folder, vendor))],
        capture_output=True, text=True, timeout=120, cwd=folder, env={
            **os.environ, 'PYTHONPATH': path,
            'XDG_CACHE_HOME': str(folder / 'cache')})
    assert ran.returncode == 0, ran.stderr
    told: dict[str, Any] = json.loads(ran.stdout)
    return told


@pytest.fixture
def acme(tmp_path: Path) -> Path:
    """The package of the page, installed."""
    points = tomllib.loads(block('toml'))['project']['entry-points'][GROUP]
    install(tmp_path / 'site', block('python'), points)
    return tmp_path / 'site'


def test_a_site_adds_a_vendor_by_one_module(
        tmp_path: Path, acme: Path) -> None:
    without = look(tmp_path, 'Acme')
    assert 'acme' not in without['plugins']
    assert without['writes'] == [0, 0, 0, 0] and without['lanes'] == 4
    told = look(tmp_path, 'Acme', acme)
    assert 'acme' in told['plugins'] and not told['left_out']
    assert told['components'] == [[f'Slot{n}-FW'] for n in range(1, 5)]
    assert told['writes'] == [3, 3, 3, 3] and told['lanes'] == 1
    assert told['warnings'] == without['warnings']


def test_a_site_vendor_applies_only_to_its_systems(
        tmp_path: Path, acme: Path) -> None:
    told = look(tmp_path, 'Contoso', acme)
    assert 'acme' in told['plugins']
    assert told['writes'] == [0, 0, 0, 0]


@pytest.mark.parametrize(('point', 'why'), [
    ('acme_accel:MISSING', 'cannot be loaded'),
    ('no_such_module:VENDOR', 'cannot be loaded'),
    ('acme_accel:Layer', 'is not a Vendor')])
def test_an_invalid_plug_in_stops_writes_only_to_unknown_vendors(
        point: str, why: str, tmp_path: Path) -> None:
    install(tmp_path / 'site', block('python'), {'acme': point})
    told = look(tmp_path, 'Acme', tmp_path / 'site')
    assert why in told['left_out']['acme']
    assert 'acme' not in told['plugins'] and 'dell' in told['plugins']
    assert told['writes'] == [None] * 4
    assert any('acme' in w and why in w for w in told['warnings'])
    known = look(tmp_path, 'Supermicro', tmp_path / 'site')
    assert known['left_out'] == told['left_out']
    assert None not in known['writes']
    assert not any('acme' in w for w in known['warnings'])


def test_a_known_vendor_cannot_be_matched_by_another_plug_in(
        tmp_path: Path) -> None:
    install(tmp_path / 'site', block('python').replace(
        "r'Acme'", "r'Super.*'"), {'acme': 'acme_accel:VENDOR'})
    told = look(tmp_path, 'Supermicro', tmp_path / 'site')
    assert told['writes'] == look(tmp_path, 'Supermicro')['writes']
    assert any('acme' in w and 'supermicro' in w and 'already' in w
               for w in told['warnings'])


def test_a_plug_in_name_is_unique(tmp_path: Path) -> None:
    install(tmp_path / 'site', block('python'), {
        'dell': 'acme_accel:VENDOR'})
    told = look(tmp_path, 'Acme', tmp_path / 'site')
    assert 'same name' in told['left_out']['dell']
    assert 'dell' in told['plugins']


def test_own_vendors_are_used_without_metadata(
        tmp_path: Path) -> None:
    install(tmp_path / 'site', '', {}, 'ironic-accel')
    told = look(tmp_path, 'Supermicro', tmp_path / 'site')
    assert {'dell', 'hpe', 'nvidia', 'openbmc'} <= set(told['unlisted'])
    assert set(told['unlisted']) == set(told['plugins'])
    assert told['plugins'] == look(tmp_path, 'Supermicro')['plugins']
