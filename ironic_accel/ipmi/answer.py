# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The answers of a BMC over IPMI: validation of FRU data, and inventory.

The inventory is made of the document ``ipmi/1``. pyghmi does not check FRU
data; source of the check: IPMI Platform Management FRU Information Storage
Definition 1.0 revision 1.3, 8 Common Header Format and 10 to 12, the info
areas.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from ironic_accel.model import catalog
from ironic_accel.model import device_marks
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Warned

NAME = 'ipmi'
SCHEMA = 'ipmi/1'

#: Offsets in the FRU common header of the info areas, and their names.
_AREAS = ((2, 'chassis'), (3, 'board'), (4, 'product'))


def inventory(answer: Mapping[str, Any],
              known: Iterable[Device] = ()) -> Inventory:
    """The inventory of a document ``ipmi/1``.

    Its devices have the ids of the FRU inventory.

    It has the host's own board, with the BMC's firmware. Accelerators are
    seen in band, where they can be told from one another; a unit that has
    the serial number of one adds where it sits and its part number.

    :param known: devices that were seen in band.
    :raises: ValueError for another schema.
    """
    if answer.get('schema') != SCHEMA:
        raise ValueError(f"schema: {answer.get('schema')!r}, expected "
                         f'{SCHEMA!r}')
    units = {u['id']: u for u in answer['units']}
    board = _board(units.pop(0, {}).get('fields') or {},
                   answer['bmc']['version'])
    return Inventory(
        system=answer.get('uuid') or NAME, host='unknown', complete=True,
        seen_via=(NAME,), requests=answer['requests'],
        warnings=tuple(Warned(**w) for w in answer['warnings']),
        devices=(board, *_matched(units.values(), known)))


def _board(fields: Mapping[str, Any], firmware: str) -> Device:
    maker = fields.get('Board manufacturer') or fields.get('Manufacturer')
    return Device(
        id='system', kind='baseboard',
        vendor=catalog.load().vendor(maker) or device_marks.clean_text(maker),
        model=device_marks.clean_text(
            fields.get('Product name') or fields.get('Board product name')),
        serial=device_marks.clean_serial(
            fields.get('Board serial number') or fields.get('Serial Number')),
        # pyghmi calls the board's part number its model (fru.py).
        part_number=device_marks.clean_text(fields.get('Board model')),
        location='System', uri='ipmi:fru/0',
        components=(Component('bmc', 'BMC', firmware, uri='ipmi:mc'),))


def _matched(units: Iterable[Mapping[str, Any]],
             known: Iterable[Device]) -> Iterator[Device]:
    """What units tell of devices that were seen in band.

    Without a URI: that a BMC has a unit's inventory does not say that it
    sees the device.
    """
    serials: dict[str, list[Device]] = {}
    for device in known:
        if serial := device_marks.clean_serial(device.serial):
            serials.setdefault(serial, []).append(device)
    for unit in units:
        fields = unit['fields']
        serial = device_marks.clean_serial(fields.get('Serial Number')
                                   or fields.get('Board serial number'))
        found = serials.get(serial or '', [])
        if len(found) == 1:
            yield Device(
                id=f"fru-{unit['id']}", kind=found[0].kind, serial=serial,
                location=device_marks.clean_text(unit['name']),
                part_number=device_marks.clean_text(
                    fields.get('Board model') or fields.get('Model')))


def defect(raw: bytes) -> str | None:
    """What is wrong with a FRU inventory, or None.

    Header and areas each sum up to zero, modulo 256.
    """
    if len(raw) < 8:
        return f'{len(raw)} bytes, expected at least 8'
    if raw[0] & 0x0f != 1:
        return f'format {raw[0] & 0x0f}, expected 1'
    if sum(raw[:8]) % 256:
        return 'wrong checksum of the header'
    for place, name in _AREAS:
        start = 8 * raw[place]
        if not start:
            continue
        if start + 2 > len(raw):
            return f'the {name} area starts beyond the end'
        area = raw[start:start + 8 * raw[start + 1]]
        if len(area) < 8 or len(area) != 8 * raw[start + 1]:
            return f'the {name} area is truncated'
        if sum(area) % 256:
            return f'wrong checksum of the {name} area'
    return None
