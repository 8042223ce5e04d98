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

"""One system for both its BMC and the tools inside its host.

``Inside`` makes the inside of one host of a system (the tree of /sys, the
vendors' tools, their shared state) and synchronises it with the state of the
system: firmware written by a tool is pending in the BMC too, and runs after
the reset; firmware written by the BMC is reported by the tools.

    inside = Inside(box, '1', folder)
    host = Machine(str(inside.root), str(inside.path), {'pynvml': ...})

The two are synchronised when a resource of a card is read from the BMC, when
the host's power changes, and when ``sync`` is called: tools are separate
processes, and do not notify the system.
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
    """The inside of one host of a system.

    :ivar root: folder of its /sys and /proc.
    :ivar path: folder of its tools, for PATH.
    :ivar library: folder for PYTHONPATH, with a ``pynvml``.
    :ivar state: shared state of the tools.
    :ivar addresses: PCI address of each device of the system in this host.
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
        """Environment of a process inside, in addition to PATH.

        PYTHONPATH keeps its value, which has the modules of this checkout.
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
                # Before the overlays that report the state.
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
        # The system has applied the reset to the shared state; the rest of
        # the state is reset here.
        self.state.reset('warm-reboot' if self._warm else 'power-cycle')
        self._push()
        self.tree.reboot()

    def _cut(self) -> None:
        """Brick the card that a tool is writing."""
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
        """Copy the changes of each side to the other."""
        with self.box.lock:
            self._pull()
            self._push()
            self._bus()

    def _bus(self) -> None:
        """Remove disabled and missing devices from the host's bus."""
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
        """Copy the changes of the tools into the system."""
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
                component.stage(seen[1], '')
            else:
                component.pending = None
        for mode, address in self._shared_modes():
            found = cards[address]['settings'][SETTINGS[mode.name]]
            seen = (found['current'], found['pending'])
            if seen != self._last[mode.id]:
                mode.current = _value(seen[0], mode)
                mode.pending = _value(seen[1], mode)

    def _push(self) -> None:
        """Copy the state of the system, after ``_pull``, into the file."""
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
