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

"""Inventories and profiles that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any

from ironic_accel.model import loader
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Inventory
from ironic_accel.model.identity import Source
from ironic_accel.model.device import Mode
from ironic_accel.model.plan import UpdateTarget
from ironic_accel.model.plan import Transport
from ironic_accel.model.profile import Profile

OLD = '96.00.89.00.01'
NEW = '96.00.A6.00.01'
DIGEST = 'ab' * 32


def gpu(number: int, version: str = OLD, **fields: Any) -> Device:
    """An H100 whose firmware activates by a power cycle."""
    return Device(
        id=f'gpu-{number}', kind='gpu', vendor='nvidia',
        model='NVIDIA H100 80GB HBM3', product='nvidia-h100-sxm',
        serial=f'{number}', part_number='2330-885-A1',
        location=f'GPU_SXM_{number}', health='OK',
        components=(Component(
            'gpu', f'HGX_FW_GPU_{number}', version, updateable=True,
            activation=Activation.POWER_CYCLE),),
        modes=(Mode('ecc', 'disabled', allowed=('enabled', 'disabled'),
                    activation=Activation.WARM_REBOOT, persistent=True),
               Mode('mig', 'disabled', allowed=('enabled', 'disabled'),
                    activation=Activation.NONE, persistent=False)), **fields)


def box(*devices: Device, **fields: Any) -> Inventory:
    """A box that is on and complete."""
    values: dict[str, Any] = {
        'system': 'System_0', 'host': 'on', 'complete': True,
        'boot': 'first', 'requests': 7, 'seen_via': ('redfish',),
        'devices': devices or (gpu(0), gpu(1))}
    return Inventory(**{**values, **fields})


def with_health(device: Device, health: str | None) -> Device:
    """A device that reports another health."""
    return dataclasses.replace(device, health=health)


def with_mode(device: Device, name: str, value: str) -> Device:
    """A device with one mode's value changed."""
    return dataclasses.replace(device, modes=tuple(
        dataclasses.replace(m, current=value) if m.name == name else m
        for m in device.modes))


def transport(inventory: Inventory) -> Transport:
    """A way that can do everything."""
    return Transport(
        'redfish',
        updates={(d.id, c.name): UpdateTarget('bmc') for d in inventory.devices
               for c in d.components},
        sets=frozenset((d.id, m.name) for d in inventory.devices
                       for m in d.modes),
        resets={d.id: Activation.DEVICE_RESET for d in inventory.devices})


def profile_data(name: str = 'h100-new', **fields: Any) -> dict[str, Any]:
    """A profile that burns the GPUs and sets ECC, as plain data."""
    return {
        'profile': 1, 'name': name, 'offered': True,
        'images': {'bundle': {
            'url': 'https://images.example.org/bundle.fwpkg',
            'sha256': DIGEST, 'fits': {'model': 'NVIDIA H100 80GB HBM3'}}},
        'devices': {'gpus': {
            'match': {'kind': 'gpu'}, 'count': 2,
            'firmware': {'gpu': {'version': NEW, 'image': 'bundle'}},
            'modes': {'ecc': 'enabled'}}},
        **fields}


def mode_profile(name: str, **modes: str) -> dict[str, Any]:
    """A profile of modes alone, as plain data."""
    return {'profile': 1, 'name': name, 'offered': True,
            'devices': {'gpus': {'match': {'kind': 'gpu'}, 'count': 2,
                                 'modes': modes}}}


def profile(data: Mapping[str, Any] | None = None) -> Profile:
    """A profile out of plain data."""
    return loader.load_data(dict(data or profile_data()))


def yaml_of(*data: Mapping[str, Any]) -> str:
    """Profiles as the operator's YAML has them."""
    return '---\n'.join(loader.to_yaml(profile(d)) for d in data)


def sources(inventory: Inventory) -> tuple[Source, ...]:
    """What a backend whose ids are stable shows."""
    return (Source(inventory, stable=True),)
