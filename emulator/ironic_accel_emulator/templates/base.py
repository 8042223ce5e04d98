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

"""Common parts of all documents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ironic_accel_emulator.documents import ROOT, Document, Documents

GOOD = {'State': 'Enabled', 'Health': 'OK'}


def link(path: str) -> dict[str, str]:
    """A reference to a resource."""
    return {'@odata.id': path}


def links(paths: Iterable[str]) -> list[dict[str, str]]:
    """References to resources."""
    return [link(path) for path in paths]


def put(
    documents: Documents, path: str, kind: str, name: str, **said: Any
) -> Document:
    """Store one resource of a schema version such as ``Chassis.v1_22_0``.

    A resource below a collection is added to the collection.
    """
    schema = kind.partition('.')[0]
    identity = path.rpartition('/')[2]
    document: Document = {
        '@odata.id': path,
        '@odata.type': f'#{kind}.{schema}',
        'Id': said.pop('Id', identity),
        'Name': name,
        **said,
    }
    documents.put(path, document)
    parent = documents.see(path.rpartition('/')[0])
    if parent is not None and 'Members' in parent:
        parent['Members'].append(link(path))
        parent['Members@odata.count'] = len(parent['Members'])
    return document


def collection(documents: Documents, path: str, schema: str) -> None:
    """Store an empty collection, once."""
    if path in documents:
        return
    documents.put(
        path,
        {
            '@odata.id': path,
            '@odata.type': f'#{schema}Collection.{schema}Collection',
            'Name': f'{schema} Collection',
            'Members': [],
            'Members@odata.count': 0,
        },
    )


def function(
    documents: Documents, device: str, ids: str, device_class: str
) -> None:
    """Function 0 of a PCIe device; ``ids`` such as ``10de:2330:10de:16c1``.

    Vendor, device, subsystem vendor, subsystem.
    """
    vendor, product, sub_vendor, sub = ids.split(':')
    collection(documents, f'{device}/PCIeFunctions', 'PCIeFunction')
    put(
        documents, f'{device}/PCIeFunctions/0', 'PCIeFunction.v1_2_0',
        'PCIe Function',
        FunctionId=0,
        FunctionType='Physical',
        DeviceClass=device_class,
        VendorId=f'0x{vendor.upper()}',
        DeviceId=f'0x{product.upper()}',
        SubsystemVendorId=f'0x{sub_vendor.upper()}',
        SubsystemId=f'0x{sub.upper()}',
        Links={'PCIeDevice': link(device)},
    )  # fmt: skip


def pcie_device(
    documents: Documents,
    path: str,
    ids: str,
    device_class: str,
    **said: Any,
) -> None:
    """A PCIe device with one function."""
    put(
        documents, path, 'PCIeDevice.v1_14_0', 'PCIe Device',
        DeviceType='SingleFunction',
        PCIeFunctions=link(f'{path}/PCIeFunctions'),
        PCIeInterface={'LanesInUse': 16, 'MaxLanes': 16},
        Status=dict(GOOD),
        **said,
    )  # fmt: skip
    function(documents, path, ids, device_class)


def firmware(
    documents: Documents, name: str, version: str, **said: Any
) -> Document:
    """An entry of the firmware inventory."""
    related = said.pop('related', [])
    path = f'{ROOT}/UpdateService/FirmwareInventory/{name}'
    return put(
        documents, path, 'SoftwareInventory.v1_4_0', 'Software Inventory',
        Description=said.pop('description', 'Other image'),
        Version=version,
        Updateable=said.pop('updateable', True),
        Status=dict(GOOD),
        RelatedItem=links(related),
        **{'RelatedItem@odata.count': len(related)},
        **said,
    )  # fmt: skip
