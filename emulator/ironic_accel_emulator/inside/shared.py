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

import os
from pathlib import Path
from typing import Any

from ironic_accel_emulator.box import Box
from ironic_accel_emulator.documents import Document
from ironic_accel_emulator.inside import plugged, tools
from ironic_accel_emulator.inside.plugged import MAKERS, SETTINGS
from ironic_accel_emulator.inside.tools.state import State
from ironic_accel_emulator.inside.tree import Tree
from ironic_accel_emulator.parts import Component, Mode

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
        self._off: set[str] = set()
        self._warm = False
        self._told = 0
        self._last: dict[str, _Seen] = {}
        self._build()
        self._watch()

    def _build(self) -> None:
        cards: Document = {}
        names: set[str] = set()
        for device in self.box.devices.values():
            ids = plugged.ids_of(self.box, device)
            if device.host != self.host or ids[0] not in MAKERS:
                continue
            address = f'0000:{0x10 + len(cards):02x}:00.0'
            self.addresses[device.id] = address
            cards[address] = plugged.card_of(self.box, device)
            self.tree.add(plugged.function_of(self.box, device, address, ids))
            names.update(MAKERS[ids[0]][0])
        self.state.create(cards)
        tools.install(self.path, self.state.path, sorted(names))
        self.library.mkdir(exist_ok=True)
        (self.library / 'pynvml.py').write_text(
            'from ironic_accel_emulator.inside.nvml import *\n'
        )
        self._remember()

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to be inside, besides root and PATH.

        A path of ours stays: it is where this checkout's modules are.
        """
        ours = os.environ.get('PYTHONPATH')
        return {
            'TWIN_INSIDE_STATE': str(self.state.path),
            'PYTHONPATH': os.pathsep.join(
                filter(None, (str(self.library), ours))
            ),
        }

    # One state

    def _watch(self) -> None:
        self.box.on_power(self._power)
        for name in self.addresses:
            device = self.box.devices[name]
            uris = [*device.uris]
            uris += [c.uri for c in plugged.components_of(self.box, device)]
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
            self._bus()

    def _bus(self) -> None:
        """What is disabled by the BMC, or gone, is not on the host's bus."""
        for name, address in self.addresses.items():
            device = self.box.devices[name]
            off = device.enabled is False or not device.present
            if off and address not in self._off:
                self._off.add(address)
                self.tree.remove(address)
            elif not off and address in self._off:
                self._off.remove(address)
                self.tree.restore(address)

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
            found = cards[address]['settings'][SETTINGS[mode.name]]
            seen = (found['current'], found['pending'])
            if seen != self._last[mode.id]:
                mode.current = _value(seen[0], mode)
                mode.pending = _value(seen[1], mode)

    def _push(self) -> None:
        """Into the file: what the box has, which pulled before."""
        with self.state.change() as document:
            cards = document['cards']
            for name, address in self.addresses.items():
                if self.box.devices[name].bricked:
                    cards[address]['bricked'] = True
            for component, address in self._shared_parts():
                found = cards[address]['parts'][component.key]
                found['running'] = component.running
                found['pending'] = component.pending
            for mode, address in self._shared_modes():
                found = cards[address]['settings'][SETTINGS[mode.name]]
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
            for c in plugged.components_of(self.box, self.box.devices[name])
        ]

    def _shared_modes(self) -> list[tuple[Mode, str]]:
        return [
            (m, a)
            for name, a in self.addresses.items()
            for m in plugged.modes_of(self.box, self.box.devices[name])
        ]


def _value(number: int | None, mode: Mode) -> Any:
    if number is None or not isinstance(mode.default, bool):
        return number
    return bool(number)
