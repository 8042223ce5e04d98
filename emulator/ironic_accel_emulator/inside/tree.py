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


"""The host's /sys and /proc, as far as they concern PCI cards.

A tree of plain files and symbolic links in a folder, in the layout of Linux
(Documentation/ABI/testing/sysfs-bus-pci), without the checks of the kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import pathlib
import uuid

from ironic_accel_emulator.inside import vpd


@dataclasses.dataclass(frozen=True, slots=True)
class Card:
    """One PCI function of a simulated host.

    :ivar address: ``0000:17:00.0``.
    :ivar ids: vendor, device, subsystem vendor, subsystem device: four
        hexadecimal digits each.
    :ivar class_code: six hexadecimal digits.
    :ivar vpd: VPD fields (PN, SN); without fields there is no VPD.
    :ivar interfaces: MAC addresses by name of the network interface.
    :ivar totalvfs: None without SR-IOV.
    :ivar slot: name of its hot-plug slot.
    :ivar designation: name of its slot in the SMBIOS.
    :ivar files: additional files of its folder, by name.
    """

    address: str
    ids: tuple[str, str, str, str]
    class_code: str = '030200'
    name: str = ''
    vpd: Mapping[str, str] = dataclasses.field(default_factory=dict)
    interfaces: Mapping[str, str] = dataclasses.field(default_factory=dict)
    driver: str | None = None
    numa_node: int = -1
    width: int = 16
    speed: str = '32.0 GT/s PCIe'
    totalvfs: int | None = None
    slot: str | None = None
    designation: str | None = None
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)


class Tree:
    """The files of a simulated host below a folder.

    :param root: the folder; created if missing.
    :param system: the system's UUID in the SMBIOS.
    """

    def __init__(self, root: str | pathlib.Path,
                 system: str = '4c4c4544-0000-1000-8000-000000000001'
                 ) -> None:
        self.root = pathlib.Path(root)
        self.put('/sys/class/dmi/id/product_uuid', system)
        for folder in ('/sys/bus/pci/devices', '/sys/bus/pci/slots',
                       '/dev', '/usr/share'):
            self.at(folder).mkdir(parents=True, exist_ok=True)
        self._booted()

    def at(self, path: str) -> pathlib.Path:
        """The file of an absolute path of the host."""
        return self.root / path.lstrip('/')

    def put(self, path: str, content: str | bytes) -> None:
        """Write a file and create its folders; text ends in a newline."""
        file = self.at(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes)
                         else f'{content}\n'.encode())

    def get(self, path: str) -> str:
        """The text of a file, stripped."""
        return self.at(path).read_text().strip()

    def add(self, *cards: Card) -> None:
        """Add cards."""
        for card in cards:
            self._ids(card)
            self._more(card)
            self._place(card)

    def remove(self, address: str) -> None:
        """Remove a function, like a card that falls off the bus."""
        link = self.at(f'/sys/bus/pci/devices/{address}')
        link.rename(self.at(f'/sys/gone-{address}-{uuid.uuid4()}'))

    def restore(self, address: str) -> None:
        """Restore a removed function."""
        self._link(f'/sys/bus/pci/devices/{address}',
                   f'../../../devices/pci{address[:7]}/{address}')

    def reboot(self) -> None:
        """Reset the state that a boot of the kernel resets."""
        for name in self.at('/sys/bus/pci/devices').iterdir():
            if (name / 'sriov_numvfs').exists():
                (name / 'sriov_numvfs').write_text('0\n')
        self._booted()

    def _booted(self) -> None:
        self.put('/proc/sys/kernel/random/boot_id', str(uuid.uuid4()))

    def _folder(self, card: Card) -> str:
        return f'/sys/devices/pci{card.address[:7]}/{card.address}'

    def _ids(self, card: Card) -> None:
        folder = self._folder(card)
        for name, value in zip(
                ('vendor', 'device', 'subsystem_vendor', 'subsystem_device',
                 'class'), (*card.ids, card.class_code), strict=True):
            self.put(f'{folder}/{name}', f'0x{value}')
        self._link(f'/sys/bus/pci/devices/{card.address}',
                   f'../../../devices/pci{card.address[:7]}/{card.address}')

    def _more(self, card: Card) -> None:
        folder = self._folder(card)
        self.put(f'{folder}/numa_node', str(card.numa_node))
        self.put(f'{folder}/current_link_width', str(card.width))
        self.put(f'{folder}/current_link_speed', card.speed)
        if card.vpd:
            self.put(f'{folder}/vpd', vpd.build(card.name, card.vpd))
        for name, mac in card.interfaces.items():
            self.put(f'{folder}/net/{name}/address', mac)
        if card.totalvfs is not None:
            self.put(f'{folder}/sriov_totalvfs', str(card.totalvfs))
            self.put(f'{folder}/sriov_numvfs', '0')
        if card.driver:
            self.at(f'/sys/bus/pci/drivers/{card.driver}').mkdir(
                parents=True, exist_ok=True)
            self._link(f'{folder}/driver',
                       f'../../../bus/pci/drivers/{card.driver}')
        for name, text in card.files.items():
            self.put(f'{folder}/{name}', text)

    def _place(self, card: Card) -> None:
        where = card.address.rpartition('.')[0]
        if card.slot:
            self.put(f'/sys/bus/pci/slots/{card.slot}/address', where)
            self.put(f'/sys/bus/pci/slots/{card.slot}/power', '1')
        if card.designation:
            entries = self.at('/sys/firmware/dmi/entries')
            number = len(list(entries.iterdir())) if entries.exists() else 0
            self.put(f'/sys/firmware/dmi/entries/9-{number}/raw',
                     slot_entry(card.designation, card.address, number))

    def _link(self, path: str, target: str) -> None:
        link = self.at(path)
        link.parent.mkdir(parents=True, exist_ok=True)
        if link.is_symlink():
            link.unlink()
        link.symlink_to(target)


def slot_entry(designation: str, address: str, handle: int = 0) -> bytes:
    """An SMBIOS System Slots structure (DSP0134 3.7, 7.10), 17 bytes and
    its string."""
    segment, bus, rest = address.split(':')
    slot, function = rest.split('.')
    fields: Sequence[int] = (
        9, 0x11, handle & 0xff, handle >> 8, 1, 0xa5, 0x0d, 0x04, 0x04,
        handle & 0xff, 0, 0x04, 0x01, int(segment, 16) & 0xff,
        int(segment, 16) >> 8, int(bus, 16),
        int(slot, 16) << 3 | int(function))
    return bytes(fields) + designation.encode('ascii') + b'\0\0'
