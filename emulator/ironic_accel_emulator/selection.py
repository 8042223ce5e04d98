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

"""Select the components that an image fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ironic_accel_emulator.documents import normal
from ironic_accel_emulator.images import FirmwareImage, ImagePart
from ironic_accel_emulator.parts import Component

if TYPE_CHECKING:
    from ironic_accel_emulator.box import Box


@dataclass
class Job:
    """One component that an update writes."""

    part: Component
    version: str


def select(
    box: Box, image: FirmwareImage, targets: Sequence[str] | None
) -> list[Job]:
    """The components that an image fits, within the targets.

    A part of an image has a PLDM component identifier or a kind, and
    properties of the hardware; a component without a property matches any
    value.
    """
    jobs: dict[str, Job] = {}
    for part in image.parts:
        for component in box.components.values():
            fits = _matches(box, part, component)
            if fits and _targeted(box, component, targets):
                jobs[component.id] = Job(component, part.version)
    return list(jobs.values())


def _matches(box: Box, part: ImagePart, component: Component) -> bool:
    if not component.updateable:
        return False
    device = box.devices.get(component.device or '')
    if device is not None and (device.bricked or not device.present):
        return False
    if part.software_id is not None:
        if part.software_id != component.software_id:
            return False
    elif part.key != component.key:
        return False
    return all(
        component.fits.get(name, text).lower() == text.lower()
        for name, text in part.fits.items()
    )


def _targeted(
    box: Box, component: Component, targets: Sequence[str] | None
) -> bool:
    if not targets:
        return True
    device = box.devices.get(component.device or '')
    own = {component.uri, *(device.uris if device else ())}
    return any(
        name in own or box.family.covers(name, component)
        for name in map(normal, targets)
    )
