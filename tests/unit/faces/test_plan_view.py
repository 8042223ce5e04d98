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

"""Plans and outcomes as text and as one table, for both commands."""

from __future__ import annotations

import dataclasses
from typing import Any

from ironic_accel.faces.osc.commands import plan as plan_command
from ironic_accel.faces import plan_view
from ironic_accel.model.device import Activation
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import AwaitingReset
from ironic_accel.model.plan import Change
from ironic_accel.model.plan import Item
from ironic_accel.model.plan import Plan
from ironic_accel.model.plan import Proof
from ironic_accel.model.plan import Refusal
from ironic_accel.model.plan import Stage

UPDATE = Action('update', 'redfish', tuple(
    Change(Item(f'gpu-{n}', 'gpu', 'firmware', '97.00'), '96.00')
    for n in range(8)), Activation.AUX_CYCLE, 'bundle',
    (('baseboard', 'fpga'),))
STAGED = AwaitingReset(
    Item('gpu-0', 'gpu', 'firmware', '97.00'), Activation.AUX_CYCLE)
#: One of everything that a plan can have.
FULL = Plan(
    (Stage((UPDATE,), Activation.AUX_CYCLE),
     Stage((), Activation.AUX_CYCLE, (STAGED,))),
    satisfied=(
        Proof(Item('gpu-0', 'mig', 'mode', 'enabled'), 'enabled', False),
        Proof(Item('nic', 'nic', 'firmware', '2.0', True), '2.1', True)),
    refused=(Refusal(Item('gpu-1', 'gpu', 'firmware', '95.00'),
                     'it is a downgrade', '96.00 or later', '96.00'),),
    fallback=tuple(
        Change(Item(f'gpu-{n}', 'gpu', 'firmware', '97.00'), '95.00')
        for n in range(2))).to_dict()


def rows(doc: dict[str, Any]) -> list[tuple[str, ...]]:
    """The cells of the table of a plan."""
    return list(plan_view.table(doc).rows)


def test_equal_changes_of_devices_share_a_row() -> None:
    doc = Plan((Stage((UPDATE,), Activation.AUX_CYCLE),)).to_dict()
    assert rows(doc) == [
        ('1', 'update', '8: gpu-0 .. gpu-7', 'gpu', '96.00', '97.00',
         'redfish: bundle', '-'),
        ('1', 'also writes', 'baseboard', 'fpga', '-', '-',
         'redfish: bundle', 'not in the profile, written by the same push'),
        ('1', 'reset', 'host', 'aux-cycle', '-', '-', '-', '-')]
    assert plan_view.headline(doc) == (
        '1 stage, 1 write, 1 host reset (aux-cycle), 0 items compliant')


def test_a_reset_by_hand_is_no_reset_of_the_run() -> None:
    doc = Plan((Stage((dataclasses.replace(UPDATE, also_writes=()),),
                      Activation.AUX_CYCLE, manual=True),)).to_dict()
    assert rows(doc)[-1] == (
        '1', 'reset', 'host', 'aux-cycle', '-', '-', '-',
        'by hand, the BMC offers none')
    assert plan_view.headline(doc) == (
        '1 stage, 1 write, 0 host resets (aux-cycle by hand), 0 items '
        'compliant')


def test_a_range_of_devices_has_no_gap() -> None:
    left = tuple(c for c in UPDATE.changes if c.item.device != 'gpu-3')
    doc = Plan((Stage((dataclasses.replace(
        UPDATE, changes=left, also_writes=()),),
        Activation.AUX_CYCLE),)).to_dict()
    assert rows(doc)[0][2] == '7: gpu-0 .. gpu-2, gpu-4 .. gpu-7'


def test_collateral_of_many_devices_is_one_row() -> None:
    doc = Plan((Stage((dataclasses.replace(UPDATE, also_writes=tuple(
        (f'switch-{n}', 'nvswitch') for n in range(4))),),
        Activation.AUX_CYCLE),)).to_dict()
    assert [row[1:4] for row in rows(doc)] == [
        ('update', '8: gpu-0 .. gpu-7', 'gpu'),
        ('also writes', '4: switch-0 .. switch-3', 'nvswitch'),
        ('reset', 'host', 'aux-cycle')]


def test_resets_of_devices_are_not_resets_of_the_host() -> None:
    mig = Action('set', 'redfish', tuple(
        Change(Item(f'gpu-{n}', 'mig', 'mode', 'enabled'), 'disabled')
        for n in range(4)), Activation.DEVICE_RESET)
    doc = Plan((Stage((mig,), Activation.DEVICE_RESET),)).to_dict()
    assert doc['counts'] == {'writes': 8, 'device_resets': 4, 'resets': 0}
    assert plan_view.headline(doc) == (
        '1 stage, 8 writes (4 device resets), 0 host resets, '
        '0 items compliant')
    assert rows(doc)[1][:4] == (
        '1', 'reset', '4: gpu-0 .. gpu-3', 'device-reset')


def test_equal_refusals_of_devices_share_a_row() -> None:
    doc = Plan(refused=tuple(Refusal(
        Item(f'gpu-{n}', 'gpu', 'firmware', '95.00'), 'it is a downgrade',
        '96.00', '97.00') for n in (1, 2, 3, 4, 8))).to_dict()
    assert rows(doc) == [('-', 'refused', '5: gpu-1 .. gpu-4, gpu-8', 'gpu',
                          '97.00', '96.00', '-', 'it is a downgrade')]
    assert doc['counts'] == {'writes': 0, 'device_resets': 0, 'resets': 0}


def test_a_profile_that_does_not_apply_says_so() -> None:
    doc = Plan(applies=False).to_dict()
    assert plan_view.headline(doc) == (
        'the profile does not apply: no group matches a device; nothing to '
        'do')
    assert not doc['converged'] and rows(doc) == []
    ended = {**doc, 'outcome': 'does-not-apply', 'proofs': [], 'writes': 0,
             'device_resets': 0, 'resets': 0, 'requests': 9}
    assert plan_view.outcome_headline(ended).startswith(
        'the profile does not apply')


def test_a_reset_names_the_staged_items_that_it_activates() -> None:
    doc = Plan((Stage((), Activation.AUX_CYCLE, (STAGED,)),)).to_dict()
    assert rows(doc) == [('1', 'reset', 'host', 'aux-cycle', '-', '-', '-',
                          'activates staged gpu-0 gpu')]


def test_fallback_slots_are_listed_and_counted() -> None:
    doc = Plan(fallback=(
        Change(Item('gpu-0', 'gpu', 'firmware', '97.00'), '95.00'),
        Change(Item('gpu-1', 'gpu', 'firmware', '97.00'), '95.00'),
    )).to_dict()
    assert '2 fallback slots to update' in plan_view.headline(doc)
    assert rows(doc) == [('-', 'copy', 'gpu-0, gpu-1', 'gpu', '95.00',
                          '97.00', '-', 'to the fallback slot')]


def test_a_refused_item_has_its_reason() -> None:
    doc = Plan(refused=(Refusal(
        Item('gpu-0', 'gpu', 'firmware', '95.00'), 'it is a downgrade',
        '96.00 or later', '96.00'),)).to_dict()
    assert plan_view.headline(doc) == 'refused: 1 item; nothing is changed'
    assert rows(doc) == [('-', 'refused', 'gpu-0', 'gpu', '96.00',
                          '96.00 or later', '-', 'it is a downgrade')]


def test_a_compliant_plan_lists_what_is_kept() -> None:
    doc = Plan(satisfied=(
        Proof(Item('gpu-0', 'mig', 'mode', 'enabled'), 'enabled', False),
        Proof(Item('nic', 'nic', 'firmware', '2.0', True), '2.1', True),
    )).to_dict()
    assert plan_view.headline(doc) == '2 items compliant, nothing to do'
    assert rows(doc) == [
        ('-', 'keep', 'gpu-0', 'mig', 'enabled', 'enabled', '-',
         'lost at the next reset'),
        ('-', 'keep', 'nic', 'nic', '2.1', '2.0 or later', '-', '-')]


def test_both_commands_show_the_same_table() -> None:
    """``baremetal accelerator plan`` has its cells as data and as text."""
    listed = [tuple(cell.human_readable() for cell in row)
              for row in plan_command.rows(FULL)]
    assert listed == rows(FULL)
    assert {row[1] for row in listed} == {
        'update', 'also writes', 'reset', 'copy', 'keep', 'refused'}
    data = [cell.machine_readable() for cell in plan_command.rows(FULL)[0]]
    assert data == [1, 'update', [f'gpu-{n}' for n in range(8)], 'gpu',
                    '96.00', '97.00', 'redfish: bundle', None]


def test_an_outcome_lists_verified_and_refused_items() -> None:
    doc = {**FULL, 'outcome': 'converged', 'proofs': FULL['satisfied'],
           'writes': 8, 'resets': 1, 'requests': 40}
    table = plan_view.outcome_table(doc)
    assert table.columns == plan_view.COLUMNS
    assert [row[1:4] for row in table.rows] == [
        ('verified', 'gpu-0', 'mig'), ('verified', 'nic', 'nic'),
        ('refused', 'gpu-1', 'gpu')]
    assert plan_view.outcome_headline(doc) == (
        'converged: 2 items verified; 8 writes, 1 host reset, 40 requests')


def test_a_reset_that_is_not_allowed_is_no_value_of_the_item() -> None:
    doc = Plan(refused=(Refusal(
        Item('gpu-0', 'ecc', 'mode', 'disabled'), 'not allowed', 'none',
        'warm-reboot'),)).to_dict()
    assert rows(doc) == [
        ('-', 'refused', 'gpu-0', 'ecc', '-', 'disabled', '-',
         'not allowed (allowed none, needs warm-reboot)')]


def test_a_refused_list_is_shown() -> None:
    doc = Plan(refused=(Refusal(
        Item('qat-0', 'services', 'mode', ('asym', 'dc')), 'no',
        ('asym', 'dc'), ('sym',)),)).to_dict()
    assert rows(doc)[0][3:6] == ('services', 'sym', 'asym, dc')
