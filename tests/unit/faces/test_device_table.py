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

"""Identical devices share a row, and differences stand out."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest

from ironic_accel.faces import device_table
from ironic_accel.faces import terminal
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Link
from ironic_accel.model.device import Mode
from ironic_accel.model.serialization import inventory_to_dict
from tests import terminals


def gpu(number: int, **known: Any) -> Device:
    known = {'components': (
        Component('erot', f'E_{number}', '00.02.0134.0000_n00'),
        Component('gpu', f'FW_{number}', '96.00.68.00.01')),
        'modes': (Mode('ecc', 'enabled'), Mode('mig', 'disabled')),
        'health': 'OK', 'state': 'Enabled', **known}
    return Device(f'gpu-165322300000{number}', 'gpu',
                  model='NVIDIA H100 80GB HBM3', product='nvidia-h100-sxm',
                  serial=f'165322300000{number}',
                  location=f'GPU_SXM_{number}', **known)


def rows(*devices: Device) -> list[device_table.Row]:
    return device_table.rows(inventory_to_dict(Inventory(
        '/redfish/v1/Systems/1', 'on', True, devices=devices)))


def test_identical_devices_are_one_row_with_their_number() -> None:
    assert rows(*map(gpu, range(8))) == [device_table.Row((
        ('  8 gpu', '  nvidia-h100-sxm'), ('OK',),
        ('erot 00.02.0134.0000_n00', 'gpu 96.00.68.00.01'),
        ('ecc enabled', 'mig disabled')))]


@pytest.mark.parametrize('known, cells', [
    ({'health': 'Critical'},
     (('! gpu-1653223000003',), ('Critical',), ('-',), ('-',))),
    ({'state': 'Disabled'},
     (('! gpu-1653223000003',), ('OK', 'Disabled'), ('-',), ('-',))),
    ({'components': (
        Component('erot', 'E', '00.02.0134.0000_n00'),
        Component('gpu', 'F', '96.00.30.00.01', '96.00.68.00.01'))},
     (('! gpu-1653223000003',), ('OK',),
      ('gpu 96.00.30.00.01 > 96.00.68.00.01',), ('-',))),
    ({'components': (Component('gpu', 'F', '96.00.68.00.01'),)},
     (('! gpu-1653223000003',), ('OK',), ('erot -',), ('-',))),
    ({'modes': (Mode('ecc', 'enabled'), Mode('mig', 'enabled'))},
     (('! gpu-1653223000003',), ('OK',), ('-',), ('mig enabled',))),
    ({'unread': ('modes',)},
     (('! gpu-1653223000003',), ('OK',), ('-',), ('all not read',))),
    ({'link': Link(width=8)},
     (('! gpu-1653223000003', '  link x8'), ('OK',), ('-',), ('-',))),
])
def test_a_device_that_differs_has_a_marked_row_with_the_difference(
        known: dict[str, Any], cells: tuple[tuple[str, ...], ...]) -> None:
    found = rows(gpu(1), gpu(2), gpu(3, **known), gpu(4))
    assert [row.marked for row in found] == [False, True]
    assert found[0].cells[0][0] == '  3 gpu'
    assert found[1].cells == cells


def test_serials_locations_and_uris_are_no_difference() -> None:
    [row] = rows(gpu(1, uri='/redfish/v1/A'), gpu(2, uri='/redfish/v1/B'))
    assert row.cells[0][0] == '  2 gpu'


def test_devices_that_are_all_unhealthy_are_marked() -> None:
    [row] = rows(gpu(1, health='Warning'), gpu(2, health='Warning'))
    assert (row.marked, row.cells[0][0], row.cells[1]) == (
        True, '! 2 gpu', ('Warning',))


def test_many_devices_that_differ_are_counted() -> None:
    old = (Component('gpu', 'F', '96.00.30.00.01'),)
    found = rows(*map(gpu, range(5)),
                 *(gpu(n, components=old) for n in range(5, 9)))
    assert found[1].cells[0] == (
        '! 4 gpu', '  gpu-1653223000005', '  gpu-1653223000006',
        '  and 2 more')
    assert found[1].cells[2] == ('gpu 96.00.30.00.01', 'erot -')


def test_a_change_that_waits_for_a_reset_is_never_cut_off() -> None:
    parts = [Component(f'part{n}x', f'P{n}', '1') for n in range(9)]
    parts.append(Component('zz', 'Z', '1', '2'))
    [row] = rows(gpu(1, components=tuple(parts)))
    assert row.cells[2][0] == 'zz 1 > 2'
    assert row.cells[2][-1] == 'and 5 more'
    assert len(row.cells[2]) == 6


def test_equal_numbered_components_share_a_line() -> None:
    [row] = rows(Device('board', 'baseboard', components=(
        Component('bmc', 'B', '1.0'), *(
            Component(f'erot-{n}', f'E{n}', '2.0') for n in range(4)),
        Component('erot-9', 'E9', '1.9'))))
    assert row.cells[2] == ('bmc 1.0', 'erot 2.0 x4', 'erot 1.9')


def printed(width: int, *devices: Device) -> list[str]:
    stream = io.StringIO()
    doc = inventory_to_dict(Inventory('/S', 'on', True, devices=devices))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('COLUMNS', str(width))
        device_table.write(doc, stream)
    return stream.getvalue().splitlines()


@pytest.mark.parametrize('width', [60, 80, 120])
def test_a_table_is_as_narrow_as_the_terminal(width: int) -> None:
    lines = printed(
        width, *map(gpu, range(7)), gpu(7, components=(Component(
            'shell', 'S', 'xilinx_u55c_gen3x16_xdma_base_2',
            'xilinx_u55c_gen3x16_xdma_base_3'),), health='Critical'))
    assert max(len(line) for line in lines[:-1]) <= width
    first = lines[2].partition(' ')[0]
    text = ''.join(line[:len(first)].strip() for line in lines)
    assert '!gpu-1653223000007' in text.replace(' ', '')
    assert lines[-1] == device_table.LEGEND
    assert len(device_table.LEGEND) <= 80


def test_eight_devices_that_all_differ_fit_one_screen() -> None:
    lines = printed(80, *(gpu(n, modes=(Mode('mig', f'value-{n}'),))
                          for n in range(8)))
    assert len(lines) <= 22
    assert all(f'value-{n}' in '\n'.join(lines) for n in range(8))


def test_the_inventory_is_not_changed() -> None:
    doc = inventory_to_dict(Inventory('/S', 'on', True, devices=(
        gpu(1), gpu(2))))
    before = copy.deepcopy(doc)
    device_table.rows(doc)
    assert doc == before


@pytest.mark.parametrize('no_color, coloured', [('', True), ('1', False)])
def test_marked_rows_are_coloured_on_a_terminal_unless_unwanted(
        no_color: str, coloured: bool,
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('NO_COLOR', no_color)
    doc = inventory_to_dict(Inventory('/S', 'on', True, devices=(
        gpu(1), gpu(2), gpu(3, health='Critical'), gpu(4, modes=()))))
    text = terminals.shown(lambda stream: device_table.write(doc, stream))
    starts = (f'\x1b[{terminal.RED}m! gpu-1653223000003',
              f'\x1b[{terminal.YELLOW}m! gpu-1653223000004')
    assert [start in text for start in starts] == [coloured] * 2
    assert ('\x1b[' in text) is coloured


def test_text_of_a_bmc_cannot_control_the_terminal() -> None:
    [row] = rows(Device('gpu-\x1b[2J', 'gpu', model='\x1b]0;x\x07',
                        components=(Component('gpu', 'F', '\x1b[31m1'),)))
    assert '\x1b' not in repr(row).replace('\\x1b', '\x1b')
