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


"""The local backend for a caller elsewhere: requests and answers as JSON.

The caller has joined several looks and may call a device otherwise than it
is called here, so a request says what each device is known by.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
from typing import Any

from ironic_accel.converge import wire
from ironic_accel.converge.ports import Images
from ironic_accel.inband.backend import LocalBackend
from ironic_accel.model import document
from ironic_accel.model import join
from ironic_accel.model import version
from ironic_accel.model.device import Device
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Rejected
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Ref

#: Gives the images for a request, by what it says of their sources.
ImagesFor = Callable[[Mapping[str, Any]], Images]


def told(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The answer, or the error in its place."""
    try:
        return work()
    except AccelError as exc:
        return {'error': wire.error_to_dict(exc)}


def observe(backend: LocalBackend) -> dict[str, Any]:
    """``inventory`` (inventory/1) and ``ways``."""
    def work() -> dict[str, Any]:
        seen = backend.observe()
        return {'inventory': document.inventory_to_dict(seen),
                'ways': [wire.way_to_dict(w) for w in backend.ways(seen)]}

    return told(work)


def start(backend: LocalBackend, request: Mapping[str, Any],
          images: ImagesFor) -> dict[str, Any]:
    """``ticket``, for a request ``accel-start/1``; returns at once."""
    def work() -> dict[str, Any]:
        asked = wire.start_from_dict(request)
        ours = {d.id: _find(d, backend.devices()).id for d in asked.devices}
        action = _renamed(asked.action, ours)
        return {'ticket': dict(backend.begin(
            action, None, asked.image, asked.force,
            {v: k for k, v in ours.items()}, images(asked.sources)))}

    return told(work)


def poll(backend: LocalBackend, ticket: Mapping[str, Any]
         ) -> dict[str, Any]:
    """``poll``: what became of a write."""
    return told(lambda: {'poll': wire.poll_to_dict(backend.poll(ticket))})


def _find(whose: wire.Whose, devices: tuple[Device, ...]) -> Device:
    """The device here that a caller means: by its serial number, then its
    address, then its place; nothing known may tell them apart."""
    alike = [d for d in devices if _alike(whose, d)]
    for known in ('serial', 'address', 'location'):
        wanted = getattr(whose, known)
        found = [d for d in alike if wanted is not None and _same(
            wanted, getattr(d, known))]
        if len(found) == 1:
            return found[0]
    raise Rejected(
        'the device is not here, or cannot be told from others',
        error_class=ErrorClass.NEEDS_OPERATOR, device=whose.id,
        expected=f'serial {whose.serial}, address {whose.address}',
        seen=', '.join(d.id for d in devices) or 'no device')


def _same(a: str, b: str | None) -> bool:
    return b is not None and version.clean(a) is not None and (
        a.strip().lower() == b.strip().lower())


def _alike(whose: wire.Whose, device: Device) -> bool:
    kinds = {whose.kind, device.kind}
    serial = join.clean_serial(whose.serial)
    return (len(kinds) == 1 or kinds == {'nic', 'dpu'}) and (
        serial is None or device.serial is None
        or _same(serial, device.serial))


def _renamed(action: Action, names: Mapping[str, str]) -> Action:
    """The action with our ids in the place of the caller's."""
    def ref(old: Ref) -> Ref:
        return names.get(old[0], old[0]), old[1]

    changes = tuple(dataclasses.replace(c, item=dataclasses.replace(
        c.item, device=ref(c.item.ref)[0])) for c in action.changes)
    return dataclasses.replace(
        action, changes=changes,
        also_writes=tuple(ref(r) for r in action.also_writes))
