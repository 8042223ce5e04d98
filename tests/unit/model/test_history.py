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

"""The history of operations: its documents, their rows and their size."""

from __future__ import annotations

import dataclasses
import io
import json
from typing import Any

import pytest

from ironic_accel.faces import history_view
from ironic_accel.model import catalog
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Mode
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model import history
from ironic_accel.model.history import OperationEnd
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Change
from ironic_accel.model.plan import Item
from ironic_accel.model.record import Intent
from ironic_accel.model.record import Record
from ironic_accel.model.record import Staged

FACTS = catalog.load()
VALUES = {'id': 'x1', 'system': 'node-1', 'operation': 'clean',
          'step': 'apply_profile', 'profile': 'p', 'outcome': 'failed',
          'started': 0.0, 'finished': 90.5, 'seconds': 90.5, 'writes': 2,
          'resets': 0, 'user': 'ada', 'project': 'ops', 'request': 'req-1'}


def firmware(number: int, wanted: str = '2') -> Item:
    """The firmware of one GPU."""
    return Item(f'gpu-{number}', 'gpu', 'firmware', wanted)


def box(*running: str) -> Inventory:
    """GPUs with that firmware."""
    return Inventory('sys', 'on', True, devices=tuple(
        Device(f'gpu-{n}', 'gpu', serial=f'S{n}',
               components=(Component('gpu', 'gpu', version),),
               modes=(Mode('ecc', 'enabled'),))
        for n, version in enumerate(running)))


def update(*items: Item, seen: str = '1') -> Action:
    """An update of items whose version was seen."""
    return Action('update', 'redfish', tuple(
        Change(item, seen) for item in items), Activation.POWER_CYCLE)


def begun(*items: Item) -> history.Changes:
    """The changes of one update."""
    return history.begun((), update(*items), 'f' * 64, box('1', '1', '1'))


def document(changes: history.Changes, end: OperationEnd,
             **values: Any) -> dict[str, Any]:
    """A document, as the callers make it."""
    return history.document(
        {**VALUES, 'outcome': end.outcome, **values},
        history.changed(changes, end, FACTS), end.error)


def test_a_change_that_is_written_again_keeps_its_first_value() -> None:
    changes = begun(firmware(0))
    again = history.begun(changes, update(firmware(0, '3'), seen='2'),
                          'e' * 64, box('2'))
    one, = again
    assert (one.before, one.wanted, one.sha256, one.serial) == (
        '1', '3', 'e' * 64, 'S0')


def test_changes_are_stored_and_read_back_in_little_space() -> None:
    changes = history.failed(
        begun(*(firmware(n) for n in range(3))),
        {('gpu-1', 'gpu'): Detail('no', message_id='Update.1.0.Failed')})
    modes = history.begun(changes, Action('set', 'redfish', (Change(
        Item('nic-0', 'link-type', 'mode', ('ib', 'eth')), ('eth', 'eth')),),
        Activation.WARM_REBOOT), None, None)
    stored = json.loads(json.dumps(history.dump(modes)))
    assert {c.ref: c for c in history.load(stored)} == {
        c.ref: c for c in modes}
    # Two equal ones share a row.
    assert len(stored) == 3


@pytest.mark.parametrize('most', [history.MOST_BYTES, 16384, 4096])
def test_changes_that_are_stored_have_a_bound(most: int) -> None:
    """Each has failed with a long message of its own."""
    items = [firmware(n) for n in range(history.MOST_CHANGES + 50)]
    changes = history.failed(begun(*items), {
        i.ref: Detail(f'{i.device} ' + 'x' * 5000) for i in items})
    stored = history.dump(changes, most)
    assert len(json.dumps(stored).encode()) <= most
    read = history.load(stored)
    assert [c.ref for c in read] == [c.ref for c in changes[:len(read)]]
    assert len(read) > most // 400
    # It still shows that it failed.
    assert all(c.message for c in read)


RECORD = Record(staged=(Staged(firmware(1), Activation.POWER_CYCLE),),
                intent=Intent('action', Activation.POWER_CYCLE, 0, 9,
                              verb='update', items=(firmware(2),)))


def test_each_change_has_its_own_result() -> None:
    changes = begun(*(firmware(n) for n in range(3)))
    error = Detail('device lost', ErrorClass.NEEDS_OPERATOR,
                   device='gpu-0', component='gpu', message_id='X.1.0.Lost')
    changes = history.failed(changes, {('gpu-0', 'gpu'): error})
    doc = document(changes, OperationEnd('failed', error, RECORD,
                                         box('1', '1', '1')))
    assert [(c['device'], c['result'], c['message']) for c in
            doc['changes']] == [
        ('gpu-0', 'failed', 'device lost'),
        ('gpu-1', 'staged', 'active after power-cycle'),
        ('gpu-2', 'unknown', 'the write may still be in progress')]
    assert doc['changes'][0]['message_id'] == 'X.1.0.Lost'
    assert doc['message_id'] == 'X.1.0.Lost'


def test_a_failed_operation_verifies_only_what_was_read_back() -> None:
    changes = begun(firmware(0), firmware(1))
    error = Detail('too late', ErrorClass.TRANSIENT)
    seen = document(changes, OperationEnd('failed', error, None,
                                          box('2', '1')))
    assert [c['result'] for c in seen['changes']] == [
        'verified', 'not verified']
    unseen = document(changes, OperationEnd('failed', error))
    assert [c['result'] for c in unseen['changes']] == ['not verified'] * 2


def test_an_operation_that_converged_verified_all() -> None:
    doc = document(begun(firmware(0)), OperationEnd('converged'))
    assert [c['result'] for c in doc['changes']] == ['verified']
    assert not history.is_bad(doc)


def test_refused_items_have_their_reason_and_present_value() -> None:
    no = {'device': 'gpu-0', 'name': 'ecc', 'kind': 'mode',
          'wanted': 'disabled', 'reason': 'needs a reset',
          'expected': 'none', 'seen': 'warm-reboot'}
    doc = document((), OperationEnd('refused', None, None, box('1'), (no,)))
    row, = history.rows(doc)
    assert (row['device'], row['serial'], row['from'], row['to']) == (
        'gpu-0', 'S0', 'enabled', 'disabled')
    assert row['message'] == (
        'needs a reset (allowed none, needs warm-reboot)')
    assert (row['outcome'], row['result']) == ('refused', 'refused')
    assert history.is_bad(doc)


def test_a_row_has_one_value_in_each_cell() -> None:
    changes = (history.Written('nic-0', None, 'link-type', 'mode',
                               ('eth', 'eth'), ('ib', 'eth'),
                               message='first\nsecond\x1b[31m'),)
    row, = history.rows(document(changes, OperationEnd(
        'failed', Detail('no\nway'))))
    assert set(row) == set(history.FIELDS)
    assert all(value is None or isinstance(value, str | int | float)
               for value in row.values())
    assert (row['from'], row['to']) == ('eth+eth', 'ib+eth')
    assert row['time'] == '1970-01-01T00:01:30Z'
    assert '\n' not in ''.join(str(v) for v in row.values())
    assert '\x1b' not in str(row['message'])


def test_an_operation_without_changes_has_one_row() -> None:
    row, = history.rows(document((), OperationEnd('failed', Detail(
        'the BMC rejected the credentials', message_id='B.1.No'))))
    assert (row['device'], row['result'], row['message_id']) == (
        None, 'failed', 'B.1.No')
    assert 'rejected the credentials' in str(row['error'])


def test_a_document_has_a_bound_and_keeps_what_failed() -> None:
    items = [firmware(n) for n in range(history.MOST_CHANGES + 50)]
    changes = history.failed(begun(*items), {
        ('gpu-7', 'gpu'): Detail('x' * 5000)})
    doc = document(changes, OperationEnd('failed', Detail('no')))
    assert len(json.dumps(doc).encode()) <= history.MOST_BYTES
    kept = {c['device'] for c in doc['changes']}
    assert 'gpu-7' in kept
    assert doc['omitted'] == len(items) - len(kept)


@pytest.mark.parametrize('raw', [
    None, 'text', {}, {'schema': 'history/2', 'changes': []},
    {'schema': 'history/1'}, {'schema': 'history/1', 'changes': None}])
def test_what_is_no_document_of_this_version_is_not_read(raw: Any) -> None:
    assert history.read(raw) is None


def test_a_sheet_takes_no_text_for_a_formula() -> None:
    change = history.Written('gpu-0', '=1+1', 'gpu', 'firmware', '1', '2',
                             message='@SUM(A1)')
    out = io.StringIO()
    doc = document((change,), OperationEnd('failed', Detail('no')))
    history_view.write_csv([doc], out)
    heading, row = out.getvalue().splitlines()
    assert heading.split(',') == list(history_view.COLUMNS)
    assert "'=1+1" in row and "'@SUM(A1)" in row


def test_changes_without_room_are_counted_in_the_table() -> None:
    doc = {**document((), OperationEnd('failed', Detail('no'))), 'omitted': 7}
    row, = history_view.table([doc]).rows
    assert row[-2:] == ('7 changes not recorded', 'no [permanent]')


def test_the_changes_of_a_change_that_is_not_firmware_are_compared() -> None:
    change = dataclasses.replace(
        begun(firmware(0))[0], name='ecc', kind='mode', wanted='enabled')
    doc = document((change,), OperationEnd('failed', Detail('no'), None,
                                           box('1')))
    assert [c['result'] for c in doc['changes']] == ['verified']
