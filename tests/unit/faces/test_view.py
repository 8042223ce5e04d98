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

"""What people read: tables and lines, made from the documents."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import pytest

from ironic_accel.faces import view
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Mode
from ironic_accel.model.device import Warned
from ironic_accel.model.reading_status import Standing
from ironic_accel.model.reading_status import Unread
from ironic_accel.model.serialization import inventory_to_dict
from tests import terminals


def gpu(number: int, **known: Any) -> Device:
    return Device(
        f'gpu-{number}', 'gpu', model='NVIDIA H100 80GB HBM3',
        components=(Component('gpu', f'FW_{number}', '96.00', '97.00',
                              shows_pending=True, updateable=True,
                              activation=Activation.AUX_CYCLE),),
        modes=(Mode('ecc', 'disabled', 'enabled'), Mode('mig', 'disabled')),
        **known)


def inventory(*devices: Device, **known: Any) -> dict[str, Any]:
    return inventory_to_dict(Inventory(
        '/redfish/v1/Systems/1', 'on', True, devices=devices, requests=1,
        **known))


def test_an_inventory_has_a_row_for_each_device() -> None:
    table = view.inventory_table(inventory(gpu(0), gpu(1, serial='S1')))
    assert table.rows == (
        ('gpu-0', 'gpu', 'NVIDIA H100 80GB HBM3', '-', '-', '-', '-',
         'gpu 96.00 > 97.00', 'ecc disabled > enabled, mig disabled'),
        ('gpu-1', 'gpu', 'NVIDIA H100 80GB HBM3', 'S1', '-', '-', '-',
         'gpu 96.00 > 97.00', 'ecc disabled > enabled, mig disabled'))


def test_many_components_are_cut_short() -> None:
    board = Device('board', 'baseboard', components=tuple(
        Component(f'erot-{n}', f'E{n}', '1.0') for n in range(5)))
    row = view.inventory_table(inventory(board)).rows[0]
    assert row[7] == 'erot-0 1.0, erot-1 1.0, and 3 more'


def row(**known: Any) -> tuple[str, ...]:
    """The row of one device: health, state, firmware and modes."""
    known = {'components': (), 'modes': (), **known}
    (cells,) = view.inventory_table(inventory(dataclasses.replace(
        gpu(0), **known))).rows
    return cells[5:]


@pytest.mark.parametrize(('known', 'cells'), [
    ({}, ('-', '-', '-', '-')),
    ({'health': 'OK', 'state': 'Enabled'}, ('OK', 'Enabled', '-', '-')),
    ({'unread': ('health',)}, ('not read', '-', '-', '-')),
    ({'health': 'OK', 'unread': ('health',)},
     ('OK (not read)', '-', '-', '-')),
    ({'absent': ('health',)}, ('none', '-', '-', '-')),
    ({'unread': ('presence',)}, ('not read',) * 4),
    ({'unread': ('firmware:erot',)}, ('-', '-', 'erot not read', '-')),
    ({'unread': ('modes',), 'modes': (Mode('ecc', 'enabled'),)},
     ('-', '-', '-', 'ecc enabled, others not read')),
    ({'modes': (Mode('ecc', standing=Standing.UNREAD),
                Mode('mig', standing=Standing.ABSENT), Mode('cc'))},
     ('-', '-', '-', 'ecc not read, mig none, cc -')),
    ({'modes': (Mode('ecc', pending='enabled', standing=Standing.UNREAD),)},
     ('-', '-', '-', 'ecc not read > enabled')),
    ({'components': (Component('gpu', 'A', conflicts=(
        'redfish: 1', 'agent: 2')),)},
     ('-', '-', 'gpu conflicting (redfish: 1, agent: 2)', '-'))])
def test_unread_absent_and_unknown_values_have_different_texts(
        known: dict[str, Any], cells: tuple[str, ...]) -> None:
    assert row(**known) == cells


def test_warning_lines_name_unread_resources_and_what_is_unknown() -> None:
    doc = inventory(gpu(0), unread=(
        Unread('/redfish/v1/Chassis', 'HTTP 503', kinds=('gpu', 'nic')),
        Unread('nvml', 'no answer in 20 s', 'gpu-0', facts=('health',)),
        Unread('/redfish/v1/TaskService', 'HTTP 500', holds=True)),
        warnings=(Warned('/redfish/v1/Chassis', 'HTTP 503'),
                  Warned('/redfish/v1/Logs', 'HTTP 404')))
    assert view.warning_lines(doc) == [
        'not read: /redfish/v1/Chassis: HTTP 503; unknown: number of gpu, '
        'nic',
        'not read: nvml (gpu-0): no answer in 20 s; unknown: health',
        'not read: /redfish/v1/TaskService: HTTP 500; the system may be '
        'busy, so no write or reset is started',
        'note: /redfish/v1/Logs: HTTP 404']
    assert 'complete except gpu, nic, dpu' in view.inventory_headline(doc)


def test_resources_that_were_not_read_for_the_same_reason_are_one_line(
        ) -> None:
    doc = inventory(gpu(0), unread=(
        *(Unread(f'/redfish/v1/Chassis/GPU_{n}', 'HTTP 404', kinds=('nic',))
          for n in range(1, 9)),
        Unread('/redfish/v1/Chassis/GPU_9', 'HTTP 500', kinds=('nic',))))
    assert view.warning_lines(doc) == [
        'not read: 8: /redfish/v1/Chassis/GPU_1 .. /redfish/v1/Chassis/GPU_8'
        ': HTTP 404; unknown: number of nic',
        'not read: /redfish/v1/Chassis/GPU_9: HTTP 500; unknown: number of '
        'nic']
    assert [line for line in view.unready_lines(doc)
            if line.startswith('not read: ')] == view.warning_lines(doc)


def test_an_inventory_headline_has_host_devices_and_completeness() -> None:
    line = view.inventory_headline(inventory(gpu(0)))
    assert line == ('/redfish/v1/Systems/1: host on, 1 device, complete, '
                    '1 request')


def test_the_firmware_table_marks_versions_that_are_not_shown() -> None:
    hidden = Device('nic', 'nic', components=(Component('nic', 'N', '1'),))
    rows = view.firmware_table(inventory(gpu(0), hidden)).rows
    assert rows == (
        ('gpu-0', 'gpu', '96.00', '97.00', 'yes', 'aux-cycle'),
        ('nic', 'nic', '1', 'not shown', '-', '-'))


def test_other_warnings_are_notes() -> None:
    doc = inventory(warnings=(Warned('/redfish/v1/X', 'answered 500'),))
    assert view.warning_lines(doc) == ['note: /redfish/v1/X: answered 500']


@pytest.mark.parametrize('raw, expected', [
    (None, '-'), ('', '-'), (0, '0'), (True, 'yes'), (['asym', 'sym'],
                                                      'asym, sym'),
    ('\x1b[31mred', '\N{REPLACEMENT CHARACTER}[31mred')])
def test_values_as_cells(raw: object, expected: str) -> None:
    assert view.value(raw) == expected


def test_a_table_is_plain_text_without_a_terminal() -> None:
    stream = io.StringIO()
    view.write(view.Table('Traits', ('Node', 'Traits'), (
        ('hgx', 'A\nB'), ('plain', '-'))), stream)
    assert stream.getvalue() == (
        'Traits\n'
        'Node   Traits\n'
        '-----  ------\n'
        'hgx    A\n'
        '       B\n'
        'plain  -\n')


def on_terminal(table: view.Table, columns: int) -> list[str]:
    text = terminals.shown(lambda stream: view.write(table, stream), columns)
    return text.replace('\r\n', '\n').splitlines()


def test_a_table_on_a_terminal_has_no_markup() -> None:
    assert on_terminal(view.Table('T', ('Model',), (('[bold]x[/bold]',),)),
                       80) == ['T', 'Model', '-' * 14, '[bold]x[/bold]']


PLAN = view.Table('Plan', ('Stage', 'Devices', 'Item', 'Current', 'Note'), (
    ('1', '8: gpu-1653223000001 .. gpu-1653223000008', 'gpu',
     '96.00.68.00.01', '-'),
    ('1', 'host', 'aux-cycle', '-', '-')))


def test_a_wide_table_fits_the_terminal_without_empty_columns() -> None:
    assert on_terminal(PLAN, 52) == [
        'Plan',
        'Stage  Devices                Item       Current',
        '-----  ---------------------  ---------  ---------',
        '1      8: gpu-1653223000001   gpu        96.00.68.',
        '        .. gpu-1653223000008              00.01',
        '1      host                   aux-cycle  -']
    assert 'Note' in on_terminal(PLAN, 100)[1]
    stream = io.StringIO()
    view.write(PLAN, stream)
    assert 'Note' in stream.getvalue()



def test_a_progress_line_has_seconds_and_percent() -> None:
    assert view.progress(12.34, 'flashing', 40) == (
        '   12.3 s  flashing (40 %)')


def test_unready_lines_name_busy_tasks_and_unread_resources() -> None:
    doc = {'busy': [{'kind': 'task', 'ref': '/T/1', 'percent': 40,
                     'summary': 'Update Running'},
                    {'kind': 'flash', 'ref': 'pid 7', 'percent': None,
                     'summary': ''}],
           'unread': [{'uri': '/redfish/v1/TaskService', 'answer': 'HTTP 503',
                       'blocks': True}]}
    assert view.unready_lines(doc) == [
        'busy: Update Running 40 % (/T/1): no write starts before it has '
        'ended',
        'busy: flash (pid 7): no write starts before it has ended',
        'not read: /redfish/v1/TaskService: HTTP 503; the system may be '
        'busy, so no write or reset is started']


@pytest.mark.parametrize(('busy', 'said'), [
    ([], ''), (['a'], '; busy: a (r)'), (['a', 'b', 'c'],
                                        '; busy: a (r), b (r), c (r)'),
    (['a', 'b', 'c', 'd'], '; busy: a (r), b (r), and 2 more')])
def test_the_headline_names_at_most_three_busy_tasks(
        busy: list[str], said: str) -> None:
    doc = {'system': 's', 'host': 'on', 'devices': [], 'complete': {},
           'settled': True, 'requests': 1, 'unread': [], 'busy': [
               {'kind': 'task', 'ref': 'r', 'percent': None, 'summary': b}
               for b in busy]}
    assert view.inventory_headline(doc).partition('1 request')[2] == said
