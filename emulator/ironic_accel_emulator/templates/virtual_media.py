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

"""The virtual drive of a BMC (VirtualMedia v1.6)."""

from __future__ import annotations

from ironic_accel_emulator.documents import Documents
from ironic_accel_emulator.templates.base import collection, put

#: A drive without an image.
EMPTY = {
    'Image': None,
    'ImageName': None,
    'Inserted': False,
    'ConnectedVia': 'NotConnected',
    'WriteProtected': True,
}


def add(documents: Documents, system: str) -> None:
    """Add a CD drive to a System; that of Managers is deprecated."""
    path = f'{system}/VirtualMedia'
    drive = f'{path}/CD1'
    collection(documents, path, 'VirtualMedia')
    put(
        documents, drive, 'VirtualMedia.v1_6_3', 'Virtual CD',
        MediaTypes=['CD', 'DVD'],
        TransferMethod='Stream',
        Actions={
            f'#VirtualMedia.{name}Media': {
                'target': f'{drive}/Actions/VirtualMedia.{name}Media'
            }
            for name in ('Insert', 'Eject')
        },
        **EMPTY,
    )  # fmt: skip
