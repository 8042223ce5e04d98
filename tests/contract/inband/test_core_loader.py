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

import pytest

from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.tools import common
from ironic_accel.inband.tools.family import FirstBootMode
from ironic_accel.inband.tools import loader
from ironic_accel.model.device import Device
from tests.unit.inband import sample

ROOT = pathlib.Path(__file__).parents[3]

_FAMILY = '''
from ironic_accel.inband.tools.family import DeviceReading, ToolReading
from ironic_accel.model.device import Activation


class Acme:
    name = 'acme'
    generic = False

    def claims(self, function, product):
        return function.vendor_id == '15b3'

    def read(self, host, functions):
        return ToolReading({
            functions[0].address: DeviceReading(model='Acme NIC')})

    def updates(self, host, device):
        return frozenset()

    sets = updates

    def resets(self, host, device):
        return Activation.NONE
'''

_LOOK = '''
from ironic_accel.inband.backend import LocalBackend
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.tools import loader
import sys

families, warnings, _ = loader.load(['acme', 'broken'])
print([f.name for f in families], [w.uri for w in warnings])
seen = LocalBackend(Machine(sys.argv[1]), families,
                    folder=sys.argv[2]).observe()
print([d.model for d in seen.devices if d.kind == 'nic'])
'''


#: As the release before documented a family, with a write besides.
_EARLIER = '''
from ironic_accel.converge.ports import Result
from ironic_accel.inband.family import Function, Seen, Told
from ironic_accel.inband.host import Host
from ironic_accel.inband.tools import common
from ironic_accel.model.device import Component, Effect
from ironic_accel.model.facts import Product
from ironic_accel.model.join import clean_serial
from ironic_accel.model.standing import Unread


class Acme(common.BaseFamily):
    name = 'acme'
    beside = (('burn', 'mlx5_core'), ('set', 'mlx5_core'))

    def claims(self, function, product):
        return function.vendor_id == '15b3'

    def look(self, host, functions):
        assert isinstance(host, Host)
        return Seen({functions[0].address: Told(
            model='Acme NIC', components=(Component('nic', 'FW', '1.0'),))})

    def burns(self, host, device):
        return frozenset({'nic'})

    def burn(self, host, device, items, image, spec, force, progress):
        host.run(('touch', host.at('/burnt')), 10, flash=True)
        return tuple(Result(i.ref, True) for i in items)

    def resets(self, host, device):
        return Effect.DEVICE_RESET
'''

_UPDATE = '''
from ironic_accel.converge.ports import Running
from ironic_accel.inband.backend import LocalBackend
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.tools import common
from ironic_accel.inband.tools.family import FirstBootMode
from ironic_accel.inband.tools import loader
from ironic_accel.model.device import Device
from tests.unit.inband import sample
import pathlib
import sys
import time

root, folder = map(pathlib.Path, sys.argv[1:])
families, warnings, _ = loader.load(['acme'])
print([w.message for w in warnings])
backend = LocalBackend(Machine(str(root)), families, folder=str(folder))
seen = backend.observe()
(nic,) = [d for d in seen.devices if d.kind == 'nic']
(transport,) = backend.transports(seen)
print(nic.model, (nic.id, 'nic') in transport.updates,
      transport.resets[nic.id])
ticket = backend.start(sample.burn(nic.id), sample.image(root))
while isinstance(end := backend.poll(ticket), Running):
    time.sleep(0.05)
print([r.ok for r in end.results], (root / 'burnt').exists())
'''


def _run(tmp_path: pathlib.Path, family: str, script: str) -> list[str]:
    """The output of a script, with a family installed from a package."""
    tree, _ = sample.machine(tmp_path)
    for port in sample.NIC:
        (tree.at(f'/sys/bus/pci/devices/{port}/driver').unlink(True))
    site = tmp_path / 'site'
    info = site / 'acme_accel-1.0.dist-info'
    info.mkdir(parents=True)
    (site / 'acme_accel.py').write_text(family)
    (info / 'METADATA').write_text(
        'Metadata-Version: 2.1\nName: acme-accel\nVersion: 1.0\n')
    (info / 'entry_points.txt').write_text(
        f'[{loader.NAMESPACE}]\nacme = acme_accel:Acme\n'
        'broken = acme_accel:Missing\n')
    ran = subprocess.run(
        [sys.executable, '-W', 'error::DeprecationWarning:__main__', '-c',
         script, str(tree.root), str(tmp_path / 'j')],
        capture_output=True, text=True, timeout=120, cwd=ROOT, env={
            **os.environ,
            'PYTHONPATH': f'{site}:{ROOT}:{ROOT / "emulator"}',
            'XDG_CACHE_HOME': str(tmp_path / 'cache')})
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def test_package_adds_a_family(tmp_path: pathlib.Path) -> None:
    assert _run(tmp_path, _FAMILY, _LOOK) == [
        "['acme'] ['ironic_accel.tools:broken']", "['Acme NIC']"]


def test_family_of_the_release_before_updates_with_a_warning(
        tmp_path: pathlib.Path) -> None:
    warned, *rest = _run(tmp_path, _EARLIER, _UPDATE)
    assert (
        'method look is named read; method burns is named updates; method '
        'burn is named update; verb burn in beside is named update') in warned
    assert rest == ['Acme NIC True device-reset', '[True] True']


class _Family(common.BaseFamily):
    name = 'acme'


def test_family_with_both_names_is_called_by_the_present_one() -> None:
    class Both(_Family):
        def burns(self, host: object, device: object) -> frozenset[str]:
            raise AssertionError('the method of the release before')

        def updates(self, host: object, device: object) -> frozenset[str]:
            return frozenset({'nic'})

    (family,), warnings, _ = loader.accepted([Both()])
    device = Device('nic-1', 'nic')
    assert family.updates(Machine(), device) == {'nic'}
    assert warnings == ()


def test_unchanged_family_is_used_without_a_warning() -> None:
    family = _Family()
    assert loader.accepted([family]) == ((family,), (), {})
    assert loader.load()[1] == ()


@pytest.mark.parametrize(('declared', 'message'), [
    ({'beside': (('updates', 'mlx5_core'),)},
     "beside: 'updates' is none of update, set, reset"),
    ({'beside': ('update', 'mlx5_core')}, 'ValueError: too many values'),
    ({'flashers': {'acmectl': ['update']}},
     "flashers: 'acmectl': expected a set of arguments"),
    ({'first_boot': (FirstBootMode('boost', sample),)},
     'first_boot: boost: VALUE of tests.unit.inband.sample is missing'),
    ({'read': None}, 'read is missing'),
])
def test_family_that_declares_something_invalid_is_not_used(
        declared: dict[str, object], message: str) -> None:
    family = type('Acme', (_Family,), declared)()
    used, (warned,), _ = loader.accepted([family, _Family()])
    assert len(used) == 1
    assert warned.message.startswith('is not used: ')
    assert message in warned.message


def test_generic_families_come_last() -> None:
    class Made:
        def __init__(self, name: str, generic: bool) -> None:
            self.name, self.generic = name, generic

    made = [Made('a', True), Made('z', False), Made('b', False)]
    ordered = loader.ordered(made)  # type: ignore[arg-type]
    assert [f.name for f in ordered] == ['b', 'z', 'a']
