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

"""The hardware of the virtual machine of these tests, in QEMU's words.

Root ports with a hot-plug slot each: an Intel 82576 (``nic0``, with seven
virtual functions), an NVMe controller, an empty slot, and on a host bridge of
its own, near the second NUMA node, another 82576 (``nic1``).
"""

from __future__ import annotations

#: Of SMBIOS type 1 (DSP0134, 7.2) and of the slot of nic0 (7.10).
UUID = '6f1b2c3d-0000-4000-8000-00000000beef'
SLOT = 'PCIe Slot 7'

NIC0, NIC1, NVME = '0000:01:00.0', '0000:81:00.0', '0000:02:00.0'
#: The bus behind the empty slot.
EMPTY = '0000:03:00.0'

#: QEMU's arguments for a device that goes back into the slot of nic0, and for
#: one that comes into the empty slot.
AGAIN = {'driver': 'igb', 'bus': 'rp1', 'id': 'nic0'}
NEW = {'driver': 'igb', 'bus': 'rp3', 'id': 'nic2'}


def arguments() -> list[str]:
    """QEMU's arguments."""
    devices = [
        'pcie-root-port,id=rp1,slot=1,chassis=1,addr=0x10',
        'igb,bus=rp1,id=nic0',
        'pcie-root-port,id=rp2,slot=2,chassis=2,addr=0x11',
        'nvme,serial=SIMULATED0,bus=rp2,id=nv0',
        'pcie-root-port,id=rp3,slot=3,chassis=3,addr=0x12',
        'pxb-pcie,id=far,bus_nr=128,numa_node=1,bus=pcie.0,addr=0x13',
        'pcie-root-port,id=rp4,slot=4,chassis=4,bus=far',
        'igb,bus=rp4,id=nic1']
    return [
        '-smbios', f'type=1,manufacturer=QEMU,product=Test,uuid={UUID}',
        '-smbios', f'type=9,slot_designation={SLOT},slot_type=0xa5,'
                   'slot_data_bus_width=0xd,current_usage=4,slot_length=4,'
                   'slot_id=7,slot_characteristics1=4,'
                   'slot_characteristics2=3,pci_device=nic0',
        '-object', 'memory-backend-ram,id=m0,size=768M',
        '-object', 'memory-backend-ram,id=m1,size=256M',
        '-numa', 'node,nodeid=0,memdev=m0,cpus=0',
        '-numa', 'node,nodeid=1,memdev=m1',
        *(word for one in devices for word in ('-device', one))]
