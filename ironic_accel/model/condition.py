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

"""The condition of a device: usable, healthy, reported.

The words of ``state`` are those of Redfish Resource.State (CSDL
``Resource_v1.xml``, whose descriptions decide which of them a tenant can
use), those of ``health`` Resource.Health. A value that
could not be read never counts as healthy or usable; a value that nothing
reports is no reason against a device.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Mode

#: "Enabled", "part of a redundancy set and awaits a failover", "the element
#: quality is within the acceptable range of operation".
USABLE = frozenset({'Enabled', 'StandbySpare', 'Qualified'})

#: States that a device leaves by itself: it starts, is updated or tested,
#: queues requests, takes a restricted set of commands.
PASSING = frozenset({
    'Starting', 'Updating', 'InTest', 'Deferring', 'Quiesced'})

#: Steady states of modes: a DPU in NIC mode has the cores of its own system
#: inactive for good, and its BMC reports StandbyOffline for that system then
#: (``modes.yaml`` has the source of the mode).
STEADY: Mapping[tuple[str, str], frozenset[str]] = {
    ('mode', 'nic'): frozenset({'StandbyOffline'})}

#: Kinds that one device may be reported as, depending on the transport.
FAMILIES = (frozenset({'nic', 'dpu'}), frozenset({'gpu', 'ai'}),
            frozenset({'fpga', 'ai', 'crypto'}))


def usable(device: Device) -> bool:
    """Whether a device's state is one that it can be used in.

    A state that is not reported is; a value that is not Redfish's is not.
    """
    return (device.state is None or device.state in USABLE
            or any(_steady(device, m) for m in device.modes))


def _steady(device: Device, mode: Mode) -> bool:
    return isinstance(mode.current, str) and device.state in STEADY.get(
        (mode.name, mode.current), ())


def healthy(device: Device) -> bool:
    """Whether nothing reported or unread may make a device unhealthy."""
    return (device.health in (None, 'OK') and usable(device)
            and not device.is_unread('health', 'state'))


def proved_healthy(device: Device) -> bool:
    """Whether a device is reported as healthy."""
    return device.health == 'OK' and healthy(device)


def complaint(device: Device) -> str:
    """Why a device does not count, in words; empty where it does."""
    if device.is_unread():
        return 'the device could not be read'
    if device.health not in (None, 'OK'):
        return f'its health is {device.health}'
    if not usable(device):
        return f'its state is {device.state}'
    asked = [f for f in ('health', 'state') if device.is_unread(f)]
    return f"its {' and '.join(asked)} could not be read" if asked else ''


def family(kinds: frozenset[str]) -> frozenset[str]:
    """The kinds, and those that the same device may be taken for."""
    return kinds.union(*(f for f in FAMILIES if f & kinds))


def marked(inventory: Inventory) -> Inventory:
    """The inventory with what is unread noted on the devices it is about.

    Whoever observed may have named a fact in ``unread`` alone.
    """
    facts: dict[str, tuple[str, ...]] = {}
    for unread in inventory.unread:
        if unread.about is not None and unread.facts:
            facts[unread.about] = (
                facts.get(unread.about, ()) + unread.facts)
    if not facts:
        return inventory
    return dataclasses.replace(inventory, devices=tuple(
        dataclasses.replace(d, unread=tuple(dict.fromkeys(
            (*d.unread, *facts[d.id])))) if d.id in facts else d
        for d in inventory.devices))
