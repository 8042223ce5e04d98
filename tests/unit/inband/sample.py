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


"""A host with cards of several vendors, and a family over a shell tool."""

from __future__ import annotations

from collections.abc import Sequence
import hashlib
import pathlib
import stat
from typing import ClassVar

from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Result
from ironic_accel.inband.backend import LocalBackend
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine.pci_functions import Function
from ironic_accel.inband.tools.family import DeviceReading
from ironic_accel.inband.tools.family import FACTS
from ironic_accel.inband.tools.family import Family
from ironic_accel.inband.tools.family import Flashers
from ironic_accel.inband.tools.family import Progress
from ironic_accel.inband.tools.family import ToolReading
from ironic_accel.model.catalog_types import Product
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Fit
from ironic_accel.model.device import Mode
from ironic_accel.model.device import Warned
from ironic_accel.model.errors import Detail
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Change
from ironic_accel.model.plan import Item
from ironic_accel.model.profile import Image
from ironic_accel_emulator.inside.tree import Card
from ironic_accel_emulator.inside.tree import Tree

#: ConnectX-6 Dx with two ports, a BMC's display, an A100 and a QAT 4xxx.
NIC = ('0000:17:00.0', '0000:17:00.1')
GPU = '0000:ca:00.0'
QAT = '0000:6b:00.0'


def cards() -> list[Card]:
    """The cards of the sample host."""
    ports = [Card(
        address, ('15b3', '101d', '15b3', '0016'), '020000',
        'ConnectX-6 Dx EN adapter card',
        {'PN': 'MCX623106AN-CDAT', 'SN': 'MT2049X00001'},
        {f'ens1f{n}np{n}': f'0C:42:A1:00:00:0{n}'}, 'mlx5_core', 0, 16,
        '16.0 GT/s PCIe', 8, slot='7' if n == 0 else None,
        designation='PCIe Slot 7' if n == 0 else None)
        for n, address in enumerate(NIC)]
    return [
        *ports,
        Card('0000:03:00.0', ('1a03', '2000', '1a03', '2000'), '030000'),
        Card(GPU, ('10de', '20b0', '10de', '1463'), '030200', width=255,
             speed='Unknown'),
        Card(QAT, ('8086', '4940', '8086', '0000'), '0b4000',
             driver='4xxx', numa_node=1, totalvfs=16)]


def machine(folder: pathlib.Path, *more: Card) -> tuple[Tree, Machine]:
    """The sample host below a folder, with an empty PATH of its own."""
    tree = Tree(folder / 'root')
    tree.add(*cards(), *more)
    tools = folder / 'bin'
    tools.mkdir(exist_ok=True)
    return tree, Machine(str(tree.root), f'{tools}:/usr/bin:/bin')


def tool(folder: pathlib.Path, name: str, script: str) -> pathlib.Path:
    """Put a shell script on the sample host's PATH."""
    path = folder / 'bin' / name
    path.write_text(f'#!/bin/sh\n{script}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


class Burner:
    """A family for the vendor 15b3, over a tool called ``burner``.

    What runs and waits is in files beside the tool's PATH, so that several
    processes see one card.
    """

    name = 'burner'
    generic = False
    together = False
    beside: tuple[tuple[str, str], ...] = (
        ('update', 'mlx5_core'), ('set', 'mlx5_core'), ('reset', 'mlx5_core'))
    flashers: ClassVar[Flashers] = {'mstflint': frozenset({'burn'})}

    def __init__(self, folder: pathlib.Path, timeout: float = 30) -> None:
        self._folder = folder
        self._timeout = timeout

    def state(self, key: str, default: str) -> str:
        """What the card keeps under a key."""
        path = self._folder / f'state-{key}'
        return path.read_text() if path.exists() else default

    def claims(self, function: Function, product: Product | None) -> bool:
        return function.vendor_id == '15b3'

    def facts(self, product: Product | None) -> tuple[str, ...]:
        return FACTS

    def read(
        self, host: Machine, functions: Sequence[Function]
    ) -> ToolReading:
        part = Component(
            'nic', 'FW', self.state('running', '22.41.1000'), None, True,
            True)
        told = DeviceReading(fit=Fit('MT_0000000359'), health='OK',
                    components=(part, Component('unheard-of', 'X')),
                    modes=(Mode('sriov', self.state('sriov', 'disabled')),))
        return ToolReading({functions[0].address: told},
                    (Warned('burner', 'a word'),))

    def updates(self, host: Machine, device: Device) -> frozenset[str]:
        return frozenset({'nic'} if host.which('burner') else ())

    def sets(self, host: Machine, device: Device) -> frozenset[str]:
        return frozenset({'sriov'})

    def resets(self, host: Machine, device: Device) -> Activation:
        return Activation.DEVICE_RESET

    def update(self, host: Machine, device: Device, items: Sequence[Item],
               image: Ready, spec: Image | None, force: bool,
               progress: Progress) -> tuple[Result, ...]:
        progress('burning', 1)
        ran = host.run(['burner', device.address or '', image.path],
                       self._timeout, flash=True)
        ok = ran.ok and 'done' in ran.out
        return tuple(Result(i.ref, ok, None if ok else Detail(
            'the burner failed', device=device.id, component=i.name,
            seen=ran.err or None)) for i in items)

    def set(self, host: Machine, device: Device, items: Sequence[Item],
            progress: Progress) -> tuple[Result, ...]:
        for item in items:
            (self._folder / f'state-{item.name}').write_text(
                str(item.wanted))
        return tuple(Result(i.ref, True) for i in items)

    def reset(self, host: Machine, device: Device, activation: Activation,
              progress: Progress) -> tuple[Result, ...]:
        (self._folder / 'state-reset').write_text(str(activation))
        return ()


def backend(folder: pathlib.Path, host: Machine,
            *families: Family) -> LocalBackend:
    """A backend of that host whose jobs are kept in the folder."""
    return LocalBackend(host, families, folder=str(folder / 'jobs'))


def burn(device: str, wanted: str = '22.43.2026') -> Action:
    """An action that updates the adapter's firmware."""
    return _action('update', Item(device, 'nic', 'firmware', wanted),
                   Activation.DEVICE_RESET, 'image')


def set_sriov(device: str) -> Action:
    """An action that sets a mode of the adapter."""
    return _action('set', Item(device, 'sriov', 'mode', 'enabled'),
                   Activation.DEVICE_RESET)


def reset(
    device: str, activation: Activation = Activation.DEVICE_RESET
) -> Action:
    """An action that resets the adapter for its waiting firmware."""
    return _action('reset', Item(device, 'nic', 'firmware', '22.43.2026'),
                   activation)


def _action(verb: str, item: Item, activation: Activation,
            image: str | None = None) -> Action:
    return Action(verb, 'local', (  # type: ignore[arg-type]
        Change(item, None),), activation, image)


def image(folder: pathlib.Path) -> Ready:
    """A file that stands for a firmware image."""
    path = folder / 'image.bin'
    path.write_bytes(b'firmware')
    return Ready(str(path), 8, hashlib.sha256(b'firmware').hexdigest())
