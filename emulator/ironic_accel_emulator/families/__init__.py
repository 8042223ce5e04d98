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

"""The behaviour of the systems of each vendor, one file per vendor."""

from __future__ import annotations

from ironic_accel_emulator.documents import ROOT, Documents
from ironic_accel_emulator.families.base import Family
from ironic_accel_emulator.families.cray import Cray
from ironic_accel_emulator.families.dell import Dell
from ironic_accel_emulator.families.nvidia import Nvidia

FAMILIES: dict[str, type[Family]] = {
    family.name: family for family in (Family, Nvidia, Dell, Cray)
}


def family_of(documents: Documents) -> Family:
    """Choose the family by the properties of the service."""
    root = documents.see(ROOT) or {}
    service = documents.see(f'{ROOT}/UpdateService') or {}
    if 'Dell' in (root.get('Oem') or {}):
        return Dell()
    if 'Nvidia' in (service.get('Oem') or {}):
        return Nvidia()
    for system in documents.collection(f'{ROOT}/Systems'):
        model = (documents.see(system) or {}).get('Model') or ''
        if 'Cray' in model:
            return Cray()
    return Family()
