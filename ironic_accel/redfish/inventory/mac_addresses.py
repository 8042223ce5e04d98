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

"""MAC addresses of DPUs and SmartNICs, which identify their ports."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses

from ironic_accel.model.catalog import Catalog
from ironic_accel.model.device import Device
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.read_failures import part
from ironic_accel.redfish.client.reader import Reader
from ironic_accel.redfish.inventory.device_builder import FoundDevice


def with_mac_addresses(reader: Reader, catalog: Catalog,
                       found: Sequence[FoundDevice],
                       devices: Sequence[Device]) -> list[Device]:
    """The devices, with the MAC addresses of DPUs and SmartNICs.

    A DPU that is a System has adapters of its own. Other devices are not
    read, as each would need a request.

    :param devices: built from ``found``, in the same order.
    """
    out = []
    for one, device in zip(found, devices, strict=True):
        if _smart(device, catalog):
            known = dict.fromkeys(device.macs)
            for part in found:
                if part is one or part.parent == one.uri:
                    for shown in (part.shown, *part.adapters):
                        known.update(dict.fromkeys(
                            _of(reader, one.uri, shown)))
            device = dataclasses.replace(device, macs=tuple(known))
        out.append(device)
    return out


def _smart(device: Device, catalog: Catalog) -> bool:
    product = catalog.product(device.product)
    return (device.kind in ('dpu', 'nic') and product is not None
            and product.smart)


def _of(reader: Reader, about: str, adapter: Fields) -> Iterator[str]:
    """MAC addresses of an adapter's functions, or of its ports if no
    function has one.

    NetworkDeviceFunction v1.11, Ethernet.PermanentMACAddress and
    Ethernet.MACAddress; Port v1.14, Ethernet.AssociatedMACAddresses. If one
    of them is not read, the identity of the device is unknown.

    :param about: path of the device.
    """
    impact = part(about, 'identity')
    told = False
    functions, lost = reader.listing(
        adapter.link('NetworkDeviceFunctions'), impact)
    for shown in functions:
        for key in ('PermanentMACAddress', 'MACAddress'):
            mac = shown.text('Ethernet', key)
            if mac:
                told = True
                yield mac.lower()
    for uri in lost:
        reader.declare(uri, impact)
    if told or lost or not adapter.parts('Controllers'):
        # Without controllers the ports have no addresses either (seen on
        # real BMCs), so they are not read.
        return
    for shown in reader.members(adapter.link('Ports')):
        for mac in shown.texts('Ethernet', 'AssociatedMACAddresses'):
            yield mac.lower()
