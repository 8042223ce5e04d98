# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""One box seen both ways: its BMC outside, its host's tools inside.

``Inside`` makes the inside of one host of a box (the tree of /sys, the
vendors' tools, the state that they share) and keeps that state and the box
the same: what a tool burnt waits in the box too, and runs there after the
reset; what the BMC burnt is what the tools show.

    inside = Inside(box, '1', folder)
    host = Host(str(inside.root), str(inside.path), nvml=...)

The two are compared when a resource of a card is read outside, when the
host's power moves, and whenever ``sync`` is called: tools are processes of
their own, and nobody tells the box that one has run.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ironic_accel.twin.box import Box
from ironic_accel.twin.documents import Document
from ironic_accel.twin.inside import tools
from ironic_accel.twin.inside.tools.state import State, part, setting
from ironic_accel.twin.inside.tree import Card, Tree
from ironic_accel.twin.parts import Component, Device, Effect, Mode

_WORD = {e: e.name.lower().replace('_', '-') for e in Effect}
#: By the PCI vendor: the tools' executables, driver, class of a function.
_MAKERS: dict[str, tuple[tuple[str, ...], str, str]] = {
    '10de': (('nvidia-smi',), 'nvidia', '030200'),
    '15b3': (('mstflint', 'mstconfig', 'mstfwreset'), 'mlx5_core', '020000'),
    '10ee': (('xbmgmt',), 'xclmgmt', '120000'),
}
#: What a card's tool has besides, that no BMC shows.
_MORE: dict[str, dict[str, Any]] = {
    'nic': {'SRIOV_EN': 0, 'NUM_OF_VFS': 8,
            'LINK_TYPE_P1': 2, 'LINK_TYPE_P2': 2},
    'dpu': {'SRIOV_EN': 0, 'NUM_OF_VFS': 16, 'INTERNAL_CPU_MODEL': 1,
            'INTERNAL_CPU_OFFLOAD_ENGINE': 0},
}  # fmt: skip
#: Modes of the box, and what the tools call them.
_SETTINGS = {'mig': 'mig', 'ecc': 'ecc', 'sriov': 'SRIOV_EN'}

_Seen = tuple[Any, Any]


class Inside:
    """The inside of one host of a box.

    :ivar root: the folder of its /sys and /proc.
    :ivar path: the folder of its tools, for PATH.
    :ivar library: a folder for PYTHONPATH, with a ``pynvml``.
    :ivar state: what the tools share.
    :ivar addresses: the PCI address of each device of the box that is here.
    """

    def __init__(self, box: Box, host: str, folder: Path) -> None:
        self.box = box
        self.host = host
        self.root = folder / 'root'
        self.path = folder / 'bin'
        self.library = folder / 'lib'
        self.tree = Tree(self.root)
        self.state = State(folder / 'state.json')
        self.addresses: dict[str, str] = {}
        self._warm = False
        self._told = 0
        self._last: dict[str, _Seen] = {}
        self._build()
        self._watch()

    def _build(self) -> None:
        cards: Document = {}
        names: set[str] = set()
        for device in self.box.devices.values():
            ids = self._ids(device)
            if device.host != self.host or ids[0] not in _MAKERS:
                continue
            address = f'0000:{0x10 + len(cards):02x}:00.0'
            self.addresses[device.id] = address
            cards[address] = self._card(device)
            self.tree.add(self._function(device, address, ids))
            names.update(_MAKERS[ids[0]][0])
        self.state.create(cards)
        tools.install(self.path, self.state.path, sorted(names))
        self.library.mkdir(exist_ok=True)
        (self.library / 'pynvml.py').write_text(
            'from ironic_accel.twin.inside.nvml import *\n'
        )
        self._remember()

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to be inside, besides root and PATH."""
        return {
            'TWIN_INSIDE_STATE': str(self.state.path),
            'PYTHONPATH': str(self.library),
        }

    def _ids(self, device: Device) -> tuple[str, str, str, str]:
        """The PCI ids of a device, of its first PCIe function."""
        for uri in device.uris:
            document = self.box.documents.get(uri) or {}
            for inner in document.get('Controllers', ()):
                found = self._function_ids(
                    inner['Links']['PCIeDevices'][0]['@odata.id']
                )
                if found:
                    return found
            found = self._function_ids(uri)
            if found:
                return found
        return ('', '', '', '')

    def _function_ids(self, uri: str) -> tuple[str, str, str, str] | None:
        found = self.box.documents.get(f'{uri}/PCIeFunctions/0')
        if found is None:
            return None
        keys = ('VendorId', 'DeviceId', 'SubsystemVendorId', 'SubsystemId')
        vendor, dev, subvendor, subdevice = (
            str(found.get(k, '0x0000')).removeprefix('0x').lower()
            for k in keys
        )
        return (vendor, dev, subvendor, subdevice)

    def _said(self, device: Device) -> Mapping[str, Any]:
        return self.box.documents.get(device.uris[0]) or {}

    def _function(
        self, device: Device, address: str, ids: tuple[str, str, str, str]
    ) -> Card:
        _, driver, class_code = _MAKERS[ids[0]]
        said = self._said(device)
        vpd = {'PN': said['PartNumber'], 'SN': said['SerialNumber']}
        place = said.get('Location', {}).get('PartLocation', {})
        return Card(
            address,
            ids,
            class_code,
            name=said['Model'],
            # NVIDIA's GPUs and Xilinx's cards have no VPD.
            vpd=vpd if ids[0] == '15b3' else {},
            driver=driver,
            totalvfs=16 if ids[0] == '15b3' else None,
            designation=place.get('ServiceLabel'),
        )

    def _card(self, device: Device) -> Document:
        said = self._said(device)
        facts = {
            'name': said['Model'],
            'serial': said['SerialNumber'],
            'part_number': said['PartNumber'],
            'remapped': [0, 0, 0, 0],
            'recovery': 0,
        }
        parts = {}
        for component in self._components(device):
            facts.update(component.fits)
            effect = _WORD[component.effect]
            if device.kind == 'nic':
                # mstfwreset loads what any stronger reset loads too.
                effect = 'device-reset'
            parts[component.key] = part(component.running, effect)
        settings = {
            name: setting(value, 'device-reset' if device.kind == 'nic'
                          else 'power-cycle', default=value)
            for name, value in _MORE.get(device.kind, {}).items()
        }  # fmt: skip
        for mode in self._modes(device):
            settings[_SETTINGS[mode.name]] = setting(
                int(mode.current), _WORD[mode.effect],
                _WORD[mode.lost_at] if mode.lost_at is not None else None,
                int(mode.default),
            )  # fmt: skip
        return {'facts': facts, 'parts': parts, 'settings': settings}

    def _components(self, device: Device) -> list[Component]:
        return [
            c for c in self.box.components.values() if c.device == device.id
        ]

    def _modes(self, device: Device) -> list[Mode]:
        return [
            m
            for m in self.box.modes.values()
            if m.device == device.id and m.name in _SETTINGS
        ]

    # One state

    def _watch(self) -> None:
        self.box.on_power(self._power)
        for name in self.addresses:
            device = self.box.devices[name]
            uris = [*device.uris]
            uris += [c.uri for c in self._components(device)]
            for uri in uris:
                # Before the overlays that show the state.
                found = self.box.overlays.setdefault(uri, [])
                found.insert(0, lambda document: self.sync())

    def _power(self, host: str, state: str) -> None:
        if host != self.host:
            return
        if state == 'Off':
            self._cut()
            self.sync()
            self._warm = self.box.hosts[host].power == 'On'
            return
        # The box has done what the reset does to what both have; what it
        # does not know of goes through the reset here.
        self.state.reset('warm-reboot' if self._warm else 'power-cycle')
        self._push()
        self.tree.reboot()

    def _cut(self) -> None:
        """What a tool is writing just now is lost, and its card with it."""
        self.state.cut('host reset or power cut')
        found = self.state.read()
        for detail in found['violations'][self._told :]:
            self.box.violate('reset during a flash', detail)
        self._told = len(found['violations'])
        for name, address in self.addresses.items():
            device = self.box.devices[name]
            if found['cards'][address].get('bricked') and not device.bricked:
                device.bricked = True
                device.health = 'Critical'

    def sync(self) -> None:
        """Let each side have what changed on the other."""
        with self.box.lock:
            self._pull()
            self._push()

    def _pull(self) -> None:
        """Into the box: what tools changed since the last time."""
        cards = self.state.read()['cards']
        for component, address in self._shared_parts():
            found = cards[address]['parts'][component.key]
            seen = (found['running'], found['pending'])
            if seen == self._last[component.id]:
                continue
            if seen[0] != component.running:
                component.pending = component.pending or seen[0]
                self.box.activate(component)
                component.running = seen[0]
            if seen[1] is not None:
                component.land(seen[1], '')
            else:
                component.pending = None
        for mode, address in self._shared_modes():
            found = cards[address]['settings'][_SETTINGS[mode.name]]
            seen = (found['current'], found['pending'])
            if seen != self._last[mode.id]:
                mode.current = _value(seen[0], mode)
                mode.pending = _value(seen[1], mode)

    def _push(self) -> None:
        """Into the file: what the box has, which pulled before."""
        with self.state.change() as document:
            cards = document['cards']
            for component, address in self._shared_parts():
                found = cards[address]['parts'][component.key]
                found['running'] = component.running
                found['pending'] = component.pending
            for mode, address in self._shared_modes():
                found = cards[address]['settings'][_SETTINGS[mode.name]]
                found['current'] = int(mode.current)
                found['pending'] = (
                    None if mode.pending is None else int(mode.pending)
                )
        self._remember()

    def _remember(self) -> None:
        for component, _ in self._shared_parts():
            self._last[component.id] = (component.running, component.pending)
        for mode, _ in self._shared_modes():
            self._last[mode.id] = (
                int(mode.current),
                None if mode.pending is None else int(mode.pending),
            )

    def _shared_parts(self) -> list[tuple[Component, str]]:
        return [
            (c, a)
            for name, a in self.addresses.items()
            for c in self._components(self.box.devices[name])
        ]

    def _shared_modes(self) -> list[tuple[Mode, str]]:
        return [
            (m, a)
            for name, a in self.addresses.items()
            for m in self._modes(self.box.devices[name])
        ]


def _value(number: int | None, mode: Mode) -> Any:
    if number is None or not isinstance(mode.default, bool):
        return number
    return bool(number)
