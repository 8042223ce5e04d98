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

"""Devices for which the Linux Vendor Firmware Service has firmware, by fwupd.

Sources: fwupd (github.com/fwupd/fwupd): ``libfwupd/fwupd-device.c``
(fwupd_device_add_json: keys of the JSON), ``libfwupd/fwupd-common.c`` (GUIDs
are of version 5 in the namespace of DNS), ``src/fu-cli.c`` (get-devices,
get-details, local-install), README of the plug-ins devlink and nvme (their
instance ids).

fwupd does not report where a device sits. A device of fwupd is matched to a
PCI function by the GUID of its ids, and only if both are unique.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any
from typing import ClassVar
import uuid

from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Result
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine.pci_functions import Function
from ironic_accel.inband.tools import common
from ironic_accel.inband.tools.family import ANY
from ironic_accel.inband.tools.family import Beside
from ironic_accel.inband.tools.family import DeviceReading
from ironic_accel.inband.tools.family import Flashers
from ironic_accel.inband.tools.family import Progress
from ironic_accel.inband.tools.family import ToolReading
from ironic_accel.model.catalog_types import Product
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device_marks import clean_serial
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.plan import Item
from ironic_accel.model.profile import Image
from ironic_accel.model.reading_status import Unread

TOOL = 'fwupdmgr'

#: Commands of both programs that write firmware.
_WRITES = frozenset({'install', 'update', 'upgrade', 'reinstall',
                     'switch-branch', 'activate'})
#: What the one firmware of a device is called, by kind.
_NAMES = {'nic': 'nic', 'dpu': 'nic', 'gpu': 'gpu', 'ai': 'firmware',
          'crypto': 'firmware', 'storage': 'firmware'}
_FORMS = ('PCI\\VEN_{}&DEV_{}', 'PCI\\VEN_{}&DEV_{}&COMPONENT_fw',
          'NVME\\VEN_{}&DEV_{}')
#: FWUPD_ERROR_NOTHING_TO_DO: the answer of the daemon (fwupdmgr ends with
#: status 2) if it has no device at all.
_NOTHING = ('FwupdError', 9)
#: Flags of a device whose new firmware is pending.
_WAITS = ('needs-reboot', 'needs-shutdown', 'needs-activation')


def guids(vendor_id: str, device_id: str) -> frozenset[str]:
    """The GUIDs under which fwupd may know a PCI device."""
    ids = (vendor_id.upper(), device_id.upper())
    return frozenset(str(uuid.uuid5(uuid.NAMESPACE_DNS, f.format(*ids)))
                     for f in _FORMS)


class Fwupd(common.BaseFamily):
    """Devices of any vendor that no family of the vendor updates."""

    name = 'fwupd'
    generic = True
    together = True
    # fwupd writes through the kernel interfaces of the driver that is bound
    # (its plug-ins devlink and nvme), and decides itself.
    beside: Beside = (('update', ANY),)
    # fwupd 2.1, src/fu-cli.c and data/bash-completion/fwupdtool
    flashers: ClassVar[Flashers] = {
        'fwupdmgr': _WRITES | {
            'local-install', 'downgrade', 'sync', 'sync-bkc'},
        'fwupdtool': _WRITES | {'install-blob'}}

    def claims(self, function: Function, product: Product | None) -> bool:
        """Devices of kinds that have one firmware."""
        return product is not None and product.kind in _NAMES

    def facts(self, product: Product | None) -> tuple[str, ...]:
        """The only firmware of a device, which another family may report."""
        name = _NAMES.get(product.kind) if product else None
        return (f'firmware:{name}',) if name else ()

    def read(self, host: Machine, functions: Sequence[Function]
            ) -> ToolReading:
        """One call for all devices; without the tool nothing is reported."""
        if host.which(TOOL) is None or not functions:
            return ToolReading()
        unread: list[Unread] = []
        devices = self._devices(host, unread)
        told: dict[str, DeviceReading] = {
            f.address: DeviceReading(unread=tuple(dataclasses.replace(
                u, facts=self.facts(common.product_of(f))) for u in unread))
            for f in common.first_functions(functions) if unread}
        for function in common.first_functions(functions):
            found = _only(devices, functions, function)
            name = _name(function)
            if found is None or name is None:
                continue
            version = common.text_of(found.get('Version'))
            flags = found.get('Flags')
            told[function.address] = DeviceReading(
                serial=clean_serial(common.text_of(found.get('Serial'))),
                components=(Component(
                    name, str(found.get('DeviceId')), version,
                    updateable='updatable' in flags
                    if isinstance(flags, list) else None,
                    lowest=common.text_of(found.get('VersionLowest'))),)
                if version else ())
        return ToolReading(told)

    def _devices(self, host: Machine,
                 unread: list[Unread]) -> list[dict[str, Any]]:
        ran = host.run((TOOL, 'get-devices', '--json'), common.ASK)
        raw = common.table(common.json_in(ran.out))
        if ran.ok and isinstance(raw.get('Devices'), list):
            return common.rows(raw['Devices'])
        error = common.table(raw.get('Error'))
        if (error.get('Domain'), error.get('Code')) == _NOTHING:
            return []
        unread.append(common.unread(
            TOOL, common.text_of(error.get('Message'))
            or common.said(TOOL, ran)))
        return []

    def updates(self, host: Machine, device: Device) -> frozenset[str]:
        """The firmware, if fwupd reports that it can be updated."""
        if host.which(TOOL) is None:
            return frozenset()
        return frozenset(
            c.name for c in device.components if c.updateable
            and c.name == _NAMES.get(device.kind) and _is_id(c.id))

    def update(self, host: Machine, device: Device, items: Sequence[Item],
               image: Ready, spec: Image | None, force: bool,
               progress: Progress) -> tuple[Result, ...]:
        """Install a cabinet on one device, if it has the wanted version."""
        item = items[0]
        part = device.component(item.name)
        before = self._by_id(host, part.id if part else '')
        if part is None or before is None:
            return common.failures(device, items,
                                   'fwupd no longer lists the device')
        inside = self._inside(host, image, before)
        if item.wanted not in inside:
            return common.misfit(device, items, 'device or version',
                                 str(item.wanted), ', '.join(inside) or None)
        progress(f'writing {item.name} of {device.address}', None)
        ran = host.run((TOOL, 'local-install', image.path, part.id,
                        '--assume-yes', '--no-reboot-check', '--allow-older',
                        '--json'), common.FLASH, flash=True)
        if ran.timed_out:
            return common.still_running(device, items, TOOL, ran)
        after = self._by_id(host, part.id) or {}
        flags = after.get('Flags')
        waits = isinstance(flags, list) and any(f in flags for f in _WAITS)
        if after.get('Version') == item.wanted or (ran.ok and waits):
            return common.ok(device, items)
        return common.failures(device, items, common.said(TOOL, ran),
                               error_class=ErrorClass.NEEDS_OPERATOR,
                               expected=str(item.wanted),
                               seen=common.text_of(after.get('Version')))

    def _by_id(self, host: Machine,
               device_id: str) -> Mapping[str, Any] | None:
        return next((d for d in self._devices(host, [])
                     if d.get('DeviceId') == device_id), None)

    def _inside(self, host: Machine, image: Ready,
                device: Mapping[str, Any]) -> list[str]:
        """The versions that a cabinet has for a device."""
        ran = host.run((TOOL, 'get-details', image.path, '--json'),
                       common.ASK)
        mine = set(_guids_of(device))
        raw = common.table(common.json_in(ran.out)).get('Devices')
        return [version for found in common.rows(raw)
                if mine & set(_guids_of(found))
                for release in common.rows(found.get('Releases'))
                if (version := common.text_of(release.get('Version')))]


def _guids_of(device: Mapping[str, Any]) -> Iterator[str]:
    found = device.get('Guid')
    for guid in found if isinstance(found, list) else [found]:
        if isinstance(guid, str):
            yield guid.lower()


def _is_id(text: str) -> bool:
    """Whether an id is fwupd's: the SHA-1 of something, hexadecimal."""
    return len(text) == 40 and set(text) <= set('0123456789abcdef')


def _name(function: Function) -> str | None:
    product = common.product_of(function)
    return _NAMES.get(product.kind) if product else None


def _only(devices: Sequence[Mapping[str, Any]],
          functions: Sequence[Function],
          function: Function) -> Mapping[str, Any] | None:
    """fwupd's device of a function, if both are unique."""
    ids = (function.vendor_id, function.device_id)
    cards = {f.card for f in functions if (f.vendor_id, f.device_id) == ids}
    wanted = guids(*ids)
    # While something keeps it from being written (Problems, such as power
    # that is missing), fwupd takes the flag away.
    found = [d for d in devices if wanted & set(_guids_of(d)) and (
        'updatable' in (d.get('Flags') or ()) or d.get('Problems'))]
    return found[0] if len(found) == 1 and len(cards) == 1 else None
