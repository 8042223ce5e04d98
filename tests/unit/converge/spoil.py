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

"""Looks at a box of which something is left unread, for a while."""

from __future__ import annotations

import dataclasses

from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model import errors
from ironic_accel.model.reading_status import Standing
from ironic_accel.model.reading_status import Unread

#: What may be left unread; those with a device in them are about one.
BOX = ('silent', 'tasks', 'kind', 'other-kind', 'unsettled')
DEVICE = ('presence', 'hidden', 'firmware', 'modes', 'health', 'values',
          'dropped')


@dataclasses.dataclass(frozen=True)
class Spoil:
    """Something that some looks in a row do not tell.

    :ivar first: number of the first look, from 0; ``last`` of the last one.
    :ivar every: only every such look.
    """

    what: str
    first: int = 0
    last: int = 10 ** 9
    device: str = 'd0'
    every: int = 1

    def holds(self, look: int) -> bool:
        """Whether a look is spoilt."""
        return self.first <= look <= self.last and (
            (look - self.first) % self.every == 0)


def spoil(seen: Inventory, one: Spoil) -> Inventory:
    """What is left of a look.

    :raises: Unreachable for ``silent``.
    """
    if one.what == 'silent':
        raise errors.Unreachable('no answer in 60 s')
    if one.what == 'unsettled':
        return dataclasses.replace(seen, complete=False)
    if one.what in ('tasks', 'kind', 'other-kind'):
        unread = Unread('/redfish/v1/X', 'HTTP 503', **{  # type: ignore
            'tasks': {'holds': True}, 'kind': {'kinds': ('gpu',)},
            'other-kind': {'kinds': ('crypto',)}}[one.what])
        if one.what == 'tasks':
            seen = dataclasses.replace(seen, busy=())
        return dataclasses.replace(seen, unread=(*seen.unread, unread))
    return _of_device(seen, one)


def _of_device(seen: Inventory, one: Spoil) -> Inventory:
    device = seen.device(one.device)
    if device is None:
        return seen
    left = [_spoilt(d, one.what) if d is device else d
            for d in seen.devices]
    why = [Unread('/redfish/v1/D', 'HTTP 500', device.id)]
    if one.what in ('hidden', 'dropped'):
        left.remove(device)
        why = [] if one.what == 'dropped' else [
            Unread('/redfish/v1/D', 'HTTP 500', kinds=('gpu',))]
    return dataclasses.replace(seen, devices=tuple(left),
                               unread=(*seen.unread, *why))


def _spoilt(device: Device, what: str) -> Device:
    if what == 'presence':
        return Device(device.id, device.kind, location=device.location,
                      unread=('presence',))
    if what == 'values':
        return dataclasses.replace(
            device, components=tuple(dataclasses.replace(
                c, running=None, pending=None, standing=Standing.UNREAD)
                for c in device.components),
            modes=tuple(dataclasses.replace(
                m, current=None, pending=None, standing=Standing.UNREAD)
                for m in device.modes))
    if what in ('firmware', 'modes', 'health'):
        return dataclasses.replace(device, unread=(what,))
    return device


def forbids(one: Spoil, device: str) -> bool:
    """Whether a device must not be written while a look is so."""
    return one.what not in ('other-kind', 'dropped') and (
        one.what in BOX or one.device == device or one.what == 'hidden')
