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

"""Values whose documents were recorded from earlier versions.

``documents/NAME.json`` is what the version that wrote ``record/1``,
``plan/1`` and ``inventory/2`` stored of the value of that name. The values
follow the code, the recorded documents never change.
"""

from __future__ import annotations

import json
import pathlib
from typing import Any

from ironic_accel.model.activity import Busy
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Fit
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Link
from ironic_accel.model.device import Mode
from ironic_accel.model.device import PciIds
from ironic_accel.model.device import Waiting
from ironic_accel.model.device import Warned
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import AwaitingReset
from ironic_accel.model.plan import UpdateTarget
from ironic_accel.model.plan import Change
from ironic_accel.model.plan import Item
from ironic_accel.model.plan import Plan
from ironic_accel.model.plan import Proof
from ironic_accel.model.plan import Refusal
from ironic_accel.model.plan import Stage
from ironic_accel.model.plan import Transport
from ironic_accel.model.profile import Push
from ironic_accel.model.reading_status import Standing
from ironic_accel.model.reading_status import Unread
from ironic_accel.model.record import Intent
from ironic_accel.model.record import Staged
from ironic_accel.model.record import Record

FOLDER = pathlib.Path(__file__).with_name('documents')

GPUS = ('gpu-1653@HGX/GPU_0', 'gpu-1654@HGX/GPU_1')
VBIOS = tuple(Item(d, 'gpu', 'firmware', '96.00.A6.00.01') for d in GPUS)
EROT = tuple(Item(d, 'erot', 'firmware', '01.04.0031.0000_n04', True)
             for d in GPUS)
ECC = tuple(Item(d, 'ecc', 'mode', 'enabled') for d in GPUS)
LINK = Item('dpu-MT2333X@Slot_3', 'link-type', 'mode', ('ib', 'eth'))
VFS = Item('dpu-MT2333X@Slot_3', 'vf-limit', 'mode', 16)
COUNT = Item('gpu', 'count', 'device', 8)
IDENTITIES: dict[str, tuple[str, str | None, str | None]] = {
    GPUS[0]: ('gpu', '1653', 'HGX/GPU_0'), GPUS[1]: ('gpu', '1654', None),
    LINK.device: ('dpu', 'MT2333X', 'Slot_3')}
DIGEST = 'e' * 64

LANDED = (
    *(
        Staged(
            i,
            Activation.AUX_CYCLE,
            1,
            Activation.POWER_CYCLE,
            DIGEST,
            False,
            True,
            '2026-03-01T10:00:00Z',
            1.75e9,
            ((GPUS[0], 'inforom'),),
            '/redfish/v1/TaskService/Tasks/7',
        )
        for i in VBIOS
    ),
    Staged(LINK, Activation.WARM_REBOOT),
    Staged(EROT[0], Activation.POWER_CYCLE, 2, Activation.POWER_CYCLE, DIGEST),
)

RECORDS: dict[str, Record] = {
    'empty': Record(),
    'update-before-start': Record(
        'hgx-h100',
        'd' * 64,
        1.7e9,
        1.8e9,
        {i: 2 for i in VBIOS},
        1,
        Intent(
            'action',
            Activation.AUX_CYCLE,
            1.71e9,
            1.72e9,
            'a1b2c3d4e5f6',
            'update',
            'redfish',
            VBIOS,
            '2026-03-01T10:00:00Z',
            None,
            DIGEST,
            ((GPUS[0], 'inforom'), (GPUS[1], 'inforom')),
            True,
        ),
        progress='updating gpu on 2 devices',
        identities=IDENTITIES,
    ),
    'update-under-way': Record(
        'hgx-h100',
        'd' * 64,
        1.7e9,
        1.8e9,
        {**{i: 1 for i in VBIOS}, ECC[0]: 3},
        0,
        Intent(
            'action',
            Activation.POWER_CYCLE,
            1.71e9,
            1.72e9,
            'a1b2c3d4e5f6',
            'update',
            'redfish',
            VBIOS,
            None,
            {
                'transport': 'redfish',
                'task': '/redfish/v1/TaskService/Tasks/9',
                'parts': [[GPUS[0], 'gpu', 'ok']],
            },
            DIGEST,
        ),
        LANDED,
        'updating gpu on 2 devices: 40 %',
        12.5,
        'tasks',
        {'tasks': 60.0},
        {'gpu': ('1653', '1654')},
        'gpu: 1654',
        1.70e9,
        8,
        ((GPUS[0], 'bmc'), (GPUS[1], 'bmc')),
        1.715e9,
        {
            'summary': 'the image was refused',
            'class': 'permanent',
            'seen': 'HTTP 400',
        },
        IDENTITIES,
    ),
    'agent-update': Record(
        'bf3',
        'c' * 64,
        5.0,
        900.0,
        {},
        0,
        Intent(
            'action',
            Activation.WARM_REBOOT,
            6.0,
            606.0,
            'ffeeddccbbaa',
            'update',
            'agent',
            (Item(LINK.device, 'nic', 'firmware', '32.43.1014'),),
            'b7a1',
            {'transport': 'agent', 'job': 'ab12'},
            DIGEST,
        ),
        identities=IDENTITIES,
    ),
    'agent-mode': Record(
        'bf3',
        'c' * 64,
        5.0,
        900.0,
        {LINK: 1, VFS: 1},
        0,
        Intent(
            'action',
            Activation.WARM_REBOOT,
            6.0,
            606.0,
            'ffeeddccbbab',
            'set',
            'agent',
            (LINK, VFS),
            'b7a1',
        ),
        identities=IDENTITIES,
    ),
    'device-reset': Record(
        'hgx-h100',
        'd' * 64,
        5.0,
        900.0,
        {},
        0,
        Intent(
            'action',
            Activation.DEVICE_RESET,
            6.0,
            606.0,
            '0011223344aa',
            'reset',
            'redfish',
            ECC,
            None,
            {'transport': 'redfish', 'at': 1},
        ),
        (
            Staged(ECC[0], Activation.DEVICE_RESET),
            Staged(ECC[1], Activation.DEVICE_RESET),
        ),
        identities=IDENTITIES,
    ),
    'host-reset': Record(
        'hgx-h100',
        'd' * 64,
        5.0,
        900.0,
        {},
        2,
        Intent(
            'reset',
            Activation.AUX_CYCLE,
            6.0,
            606.0,
            boot='b7a1',
            ticket={'phase': 'off', 'at': 7.0, 'by': 'conductor-1'},
        ),
        LANDED,
        booted=4.0,
        devices=8,
        identities=IDENTITIES,
    ),
    'written-and-waiting': Record(
        'hgx-h100',
        'd' * 64,
        staged=LANDED,
        uncommitted=((GPUS[0], 'bmc'),),
        identities=IDENTITIES,
    ),
    'lookup-lost': Record(
        'hgx-h100',
        'd' * 64,
        5.0,
        900.0,
        {ECC[1]: 1},
        0,
        Intent(
            'action',
            Activation.NONE,
            6.0,
            606.0,
            '0011223344ab',
            'set',
            'redfish',
            ECC,
            None,
            {'gone': True, 'job': '/redfish/v1/J/1'},
        ),
        waiting=7.5,
        identities=IDENTITIES,
    ),
}

INVENTORIES: dict[str, Inventory] = {
    'whole': Inventory(
        'Node0',
        'on',
        True,
        '2026-03-01T10:00:00Z',
        (
            Busy(
                'flash',
                '/redfish/v1/TaskService/Tasks/9',
                'update',
                40,
                ((GPUS[0], 'gpu'),),
                'hgx.fwpkg',
                {'transport': 'redfish',
                 'task': '/redfish/v1/TaskService/Tasks/9'},
            ),
            Busy('background-copy', 'HGX_BMC_0'),
        ),
        ('redfish', 'agent'),
        55,
        (Warned('/redfish/v1/Chassis/X', 'HTTP 500'),),
        (
            Device(
                GPUS[0],
                'gpu',
                'nvidia',
                'NVIDIA H100 80GB HBM3',
                'h100-sxm5-80gb',
                '1653',
                '692-2G520',
                'baseboard-1',
                Fit('MT_0000000884', 'P5010'),
                PciIds('10de', '2330', '10de', '16c1'),
                '0000:1b:00.0',
                1,
                Link(16, '32.0'),
                ('00:11:22:33:44:55',),
                'HGX/GPU_0',
                '/redfish/v1/Chassis/HGX_GPU_0',
                'OK',
                (
                    Component(
                        'gpu',
                        'FW_GPU_0',
                        '96.00.74.00.01',
                        '96.00.A6.00.01',
                        True,
                        True,
                        Activation.AUX_CYCLE,
                        '/redfish/v1/FW_GPU_0',
                        '95',
                        512 << 20,
                    ),
                    Component(
                        'erot', 'FW_EROT_0', None, standing=Standing.UNREAD
                    ),
                    Component(
                        'inforom',
                        'FW_INFO_0',
                        None,
                        None,
                        False,
                        False,
                        Activation.NONE,
                        conflicts=('redfish: 1', 'agent: 2'),
                    ),
                ),
                (
                    Mode(
                        'ecc',
                        'enabled',
                        'disabled',
                        ('enabled', 'disabled'),
                        Activation.DEVICE_RESET,
                        True,
                        '/redfish/v1/GPU_0/Memory',
                    ),
                    Mode(
                        'mig', 'disabled', None, None, Activation.NONE, False
                    ),
                    Mode(
                        'services',
                        ('asym', 'sym'),
                        None,
                        (('asym', 'sym'), ('dc',)),
                        Activation.DRIVER_RELOAD,
                        None,
                        None,
                        True,
                        conflicts=(),
                    ),
                    Mode(
                        'power-limit',
                        None,
                        None,
                        None,
                        None,
                        None,
                        standing=Standing.ABSENT,
                    ),
                ),
                'Enabled',
                ('mode:cc',),
                ('firmware:nvme',),
                ('agent: OK', 'redfish: OK'),
            ),
            Device(
                LINK.device,
                'dpu',
                modes=(
                    Mode(
                        'link-type',
                        ('ib', 'eth'),
                        None,
                        None,
                        Activation.WARM_REBOOT,
                        True,
                    ),
                    Mode(
                        'vf-limit',
                        16,
                        8,
                        (0, 8, 16),
                        Activation.POWER_CYCLE,
                        True,
                    ),
                ),
            ),
        ),
        uncounted=('nic',),
        unread=(
            Unread(
                '/redfish/v1/Tasks',
                'HTTP 503',
                None,
                1.7e9,
                ('gpu',),
                ('health',),
                True,
            ),
            Unread('nvml', 'no answer in 60 s', GPUS[0]),
        ),
        waiting=(
            Waiting('task', '/redfish/v1/Jobs/1', 'BIOS settings'),
            Waiting(
                'firmware',
                '/redfish/v1/Jobs/2',
                'BMC',
                Activation.AUX_CYCLE,
                True,
            ),
        ),
    ),
    'off': Inventory('Node0', 'off', False, seen_via=('redfish',)),
    'inside': Inventory(
        'b7a1-uuid',
        'on',
        True,
        'b7a1',
        (
            Busy(
                'flash',
                'ab12',
                'nic: 40 %',
                40,
                (('0000:17:00.0', 'nic'),),
                'nic-fw',
                {'transport': 'agent', 'job': 'ab12'},
            ),
        ),
        ('agent',),
        1,
        devices=(
            Device(
                '0000:17:00.0',
                'nic',
                'mellanox',
                'ConnectX-7',
                None,
                'MT1',
                pci=PciIds('15b3', '1021'),
                address='0000:17:00.0',
                components=(
                    Component(
                        'nic',
                        'fw',
                        '28.39.1002',
                        '28.43.1014',
                        True,
                        True,
                        Activation.DEVICE_RESET,
                    ),
                ),
                modes=(
                    Mode(
                        'link-type',
                        ('ib', 'ib'),
                        None,
                        (('ib', 'ib'), ('eth', 'eth')),
                        Activation.WARM_REBOOT,
                        True,
                    ),
                ),
            ),
        ),
    ),
}

PLANS: dict[str, Plan] = {
    'converged': Plan(satisfied=(
        Proof(VBIOS[0], '96.00.A6.00.01', True),
        Proof(ECC[0], 'enabled', True),
        Proof(Item(GPUS[0], 'mig', 'mode', 'enabled'), 'enabled', False))),
    'all-verbs': Plan(
        (Stage((
            Action('update', 'redfish', (Change(VBIOS[0], '96.00.74.00.01'),
                                       Change(VBIOS[1], None)),
                   Activation.AUX_CYCLE, 'hgx-fw', ((GPUS[0], 'inforom'),),
                   'redfish', True),
            Action('set', 'agent', (Change(LINK, ('ib', 'ib')),
                                    Change(VFS, 8)), Activation.WARM_REBOOT)),
            Activation.AUX_CYCLE, (
                AwaitingReset(EROT[0], Activation.POWER_CYCLE),)),
         Stage((Action('reset', 'local', (Change(ECC[0], 'disabled'),),
                       Activation.DEVICE_RESET),)),
         Stage((), Activation.WARM_REBOOT, (
             AwaitingReset(LINK, Activation.WARM_REBOOT),))),
        (Proof(EROT[1], '01.04.0031.0000_n05', True),), (),
        (Change(VBIOS[0], '95'),)),
    'refused': Plan(refused=(
        Refusal(COUNT, '7 devices of this kind where 8 are declared', 8, 7),
        Refusal(VBIOS[1], 'the version was not read', '96.00.A6.00.01', None,
                True))),
}

#: What the agent that shows the inventory ``inside`` can do.
NIC = ('0000:17:00.0', 'nic')
NIC_INSIDE = Transport(
    'agent', {NIC: UpdateTarget('mellanox:17')},
    frozenset({(NIC[0], 'link-type')}), {NIC[0]: Activation.DEVICE_RESET})
#: What an agent and a BMC can do on the inventory ``whole``.
INSIDE = Transport(
    'agent', {VBIOS[0].ref: UpdateTarget('nvidia:1b', (EROT[0].ref,)),
              EROT[0].ref: UpdateTarget('nvidia:1b')},
    frozenset({ECC[0].ref, LINK.ref}),
    {GPUS[0]: Activation.DEVICE_RESET, LINK.device: Activation.DRIVER_RELOAD})
OUT_OF_BAND = Transport(
    'redfish', {VBIOS[0].ref: UpdateTarget('bmc', (), at_reset=True)},
    frozenset({ECC[0].ref}), {GPUS[0]: Activation.DEVICE_RESET},
    {VBIOS[0].ref: '95', VBIOS[1].ref: None})
#: The same with pushes that a profile asks for.
PUSHES = Transport('local', {VBIOS[0].ref: UpdateTarget('bmc', (), {
    Push('all', ()): (EROT[0].ref,), Push('one', ('/x',)): (),
    Push('odd'): None})}, commits={VBIOS[0].ref: None})


def document(kind: str, name: str) -> dict[str, Any]:
    """A recorded document.

    :param kind: record, inventory, plan.
    """
    found: dict[str, Any] = json.loads(
        (FOLDER / f'{kind}-{name}.json').read_text(encoding='utf-8'))
    return found
