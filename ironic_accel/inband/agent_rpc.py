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


"""The local backend for a remote caller: requests and answers as JSON.

The caller has merged several inventories and may use other device ids, so a
request says by which serial number, address and location each device is known.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from ironic_accel.converge import agent_schema
from ironic_accel.converge.ports import Images
from ironic_accel.inband.backend import LocalBackend
from ironic_accel.inband.inventory import device_match
from ironic_accel.model.device import Device
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import BadInput
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Rejected
from ironic_accel.model import serialization
from ironic_accel.model.untrusted import Untrusted
from ironic_accel.model.untrusted import Wrong

#: Maximum bytes of an image if the conductor does not limit it.
_LARGEST = 4 << 30

#: Provides the images for a request, from the sources that it allows.
ImagesFor = Callable[[Mapping[str, Any]], Images]


def told(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The answer, or the error instead of it."""
    try:
        return work()
    except AccelError as exc:
        return {'error': agent_schema.error_to_dict(exc)}


def sources(raw: Any) -> tuple[frozenset[str], tuple[str, ...] | None, int]:
    """Schemes, hosts (None: any) and maximum number of bytes that the
    conductor's policy allows; what is missing gets the strictest default.

    :raises: BadInput for an invalid policy.
    """
    given = Untrusted(raw if raw else {}, 'sources')
    try:
        schemes = frozenset(s.one_of(('http', 'https', 'file'))
                            for s in given['schemes'].each(8))
        hosts = given['hosts'].maybe(
            lambda: tuple(h.text() for h in given['hosts'].each()))
        most = given['max_bytes'].maybe(
            lambda: given['max_bytes'].number(1, _LARGEST))
    except Wrong as exc:
        raise BadInput(str(exc)) from exc
    return schemes or frozenset({'https'}), hosts, most or _LARGEST


def observe(backend: LocalBackend) -> dict[str, Any]:
    """``inventory`` (inventory/3) and ``transports``."""
    def work() -> dict[str, Any]:
        seen = backend.observe()
        return {
            'inventory': serialization.inventory_to_dict(seen),
            'transports': [
                agent_schema.transport_to_dict(w)
                for w in backend.transports(seen)]}

    return told(work)


def start(backend: LocalBackend, request: Mapping[str, Any],
          images: ImagesFor) -> dict[str, Any]:
    """``ticket``, for a request ``accel-start/2``; returns at once."""
    def work() -> dict[str, Any]:
        asked = agent_schema.start_from_dict(_object(request, 'request'))
        ours = {d.id: _ours(d, backend).id for d in asked.devices}
        action = device_match.renamed(asked.action, ours)
        return {'ticket': dict(backend.begin(
            action, None, asked.image, asked.force,
            {v: k for k, v in ours.items()}, images(asked.sources)))}

    return told(work)


def poll(backend: LocalBackend, ticket: Mapping[str, Any]
         ) -> dict[str, Any]:
    """``poll``: the state of a write."""
    return told(lambda: {'poll': agent_schema.poll_to_dict(
        backend.poll(_object(ticket, 'ticket')))})


def _object(raw: Any, name: str) -> Mapping[str, Any]:
    """:raises: BadInput for anything but an object."""
    if not isinstance(raw, Mapping):
        raise BadInput(f'{name}: not an object')
    return raw


def _ours(asked: agent_schema.Whose, backend: LocalBackend) -> Device:
    found = device_match.find(asked, backend.devices())
    if found is None:
        raise Rejected(
            'no device of this node matches, or several do',
            error_class=ErrorClass.NEEDS_OPERATOR, device=asked.id,
            expected=f'serial {asked.serial}, address {asked.address}',
            seen=', '.join(d.serial or d.id for d in backend.devices())
            or 'no device')
    return found
