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

"""The effect of a reset or power cut on updates and background copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ironic_accel_emulator.parts import Component

if TYPE_CHECKING:
    from ironic_accel_emulator.box import Box
    from ironic_accel_emulator.power import Host


def cut(box: Box, host: Host | None, why: str) -> None:
    """Power cut or reset of one host (None: of the whole system)."""
    parts = [
        part
        for part in box.components.values()
        if host is None or part.host == host.id
    ]
    cut_parts(box, parts, why)
    if host is None:
        for path, state in box.copying.items():
            if state == 'InProgress':
                box.violate('cut during background copy', path)
                box.copying[path] = 'Failed'


def cut_manager(box: Box, manager: str) -> None:
    """Restart of a BMC: the firmware that it is writing is lost."""
    parts = [p for p in box.components.values() if p.flashing]
    cut_parts(box, parts, f'{manager} reset')


def cut_parts(box: Box, parts: list[Component], why: str) -> None:
    for part in parts:
        if part.flashing:
            box.violate('reset during a flash', f'{part.id}: {why}')
            part.flashing = False
            brick(box, part)


def brick(box: Box, part: Component) -> None:
    """Incompletely written firmware: the device is lost permanently."""
    device = box.devices.get(part.device or '')
    if device is None:
        part.updateable = False
        part.running = ''
        return
    device.bricked = True
    device.health = 'Critical'
