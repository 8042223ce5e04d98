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


"""A third party's tool family: a file of its own and an entry point."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

from ironic_accel.inband.tools import loader
from tests.unit.inband import sample

ROOT = pathlib.Path(__file__).parents[3]

_FAMILY = '''
from ironic_accel.inband.tools.family import Told, ToolReading
from ironic_accel.model.device import Activation


class Acme:
    name = 'acme'
    generic = False

    def claims(self, function, product):
        return function.vendor_id == '15b3'

    def look(self, host, functions):
        return ToolReading({functions[0].address: Told(model='Acme NIC')})

    def burns(self, host, device):
        return frozenset()

    sets = burns

    def resets(self, host, device):
        return Activation.NONE
'''

_LOOK = '''
from ironic_accel.inband.backend import LocalBackend
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.tools import loader
import sys

families, warnings = loader.load(['acme', 'broken'])
print([f.name for f in families], [w.uri for w in warnings])
seen = LocalBackend(Machine(sys.argv[1]), families,
                    folder=sys.argv[2]).observe()
print([d.model for d in seen.devices if d.kind == 'nic'])
'''


def test_a_third_party_adds_a_family(tmp_path: pathlib.Path) -> None:
    tree, _ = sample.machine(tmp_path)
    site = tmp_path / 'site'
    info = site / 'acme_accel-1.0.dist-info'
    info.mkdir(parents=True)
    (site / 'acme_accel.py').write_text(_FAMILY)
    (info / 'METADATA').write_text(
        'Metadata-Version: 2.1\nName: acme-accel\nVersion: 1.0\n')
    (info / 'entry_points.txt').write_text(
        f'[{loader.NAMESPACE}]\nacme = acme_accel:Acme\n'
        'broken = acme_accel:Missing\n')
    ran = subprocess.run(
        [sys.executable, '-c', _LOOK, str(tree.root), str(tmp_path / 'j')],
        capture_output=True, text=True, timeout=120, env={
            **os.environ, 'PYTHONPATH': f'{site}:{ROOT}',
            'XDG_CACHE_HOME': str(tmp_path / 'cache')})
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [
        "['acme'] ['ironic_accel.tools:broken']", "['Acme NIC']"]


def test_generic_families_come_last() -> None:
    class Made:
        def __init__(self, name: str, generic: bool) -> None:
            self.name, self.generic = name, generic

    made = [Made('a', True), Made('z', False), Made('b', False)]
    ordered = loader.ordered(made)  # type: ignore[arg-type]
    assert [f.name for f in ordered] == ['b', 'z', 'a']
