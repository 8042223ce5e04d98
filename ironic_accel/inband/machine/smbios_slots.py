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


"""Where a card sits: hot-plug slots and the designations of the SMBIOS.

Sources: Linux Documentation/ABI/testing/sysfs-bus-pci and sysfs-firmware-dmi-
entries; DMTF DSP0134 (SMBIOS) 3.7, 7.10 System Slots (Type 9): designation
at 04h, segment group at 0Dh, bus at 0Fh, device and function at 10h.
"""

from __future__ import annotations

from ironic_accel.inband.machine.machine import Machine
from ironic_accel.model import device_marks

SLOTS = '/sys/bus/pci/slots'
_ENTRIES = '/sys/firmware/dmi/entries'
_HAS_ADDRESS = 0x11
#: What a slot without an address carries in its address fields.
_NOWHERE = 0xff


def numbers(host: Machine) -> dict[str, str]:
    """Names of hot-plug slots by card (``0000:17:00``)."""
    out = {}
    for name in host.names(SLOTS):
        card = host.read(f'{SLOTS}/{name}/address')
        if card:
            out[card.lower()] = name
    return out


def designations(host: Machine) -> dict[str, str]:
    """The firmware's names of the cards' slots ("PCIe Slot 7"); a name that
    several slots have is left out."""
    found: list[tuple[str, str]] = []
    for entry in host.names(_ENTRIES):
        if entry.startswith('9-'):
            raw = host.read_bytes(f'{_ENTRIES}/{entry}/raw')
            place = _place(raw or b'')
            if place is not None:
                found.append(place)
    words = [word for _, word in found]
    return {card: word for card, word in found if words.count(word) == 1}


def _place(raw: bytes) -> tuple[str, str] | None:
    if len(raw) < 2 or raw[0] != 9 or raw[1] < _HAS_ADDRESS or (
            len(raw) < raw[1]):
        return None
    texts = raw[raw[1]:].split(b'\0')
    which = raw[4]
    if not 0 < which <= len(texts) or raw[0x0f] == _NOWHERE:
        return None
    word = device_marks.clean_text(
        texts[which - 1].decode('ascii', errors='replace'))
    if word is None:
        return None
    segment = int.from_bytes(raw[0x0d:0x0f], 'little')
    return f'{segment:04x}:{raw[0x0f]:02x}:{raw[0x10] >> 3:02x}', word
