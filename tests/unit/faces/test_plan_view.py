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
         'redfish: bundle', 'also writes baseboard fpga'),
        ('1', 'reset', 'host', 'aux-cycle', '-', '-', '-', '-')]
    assert plan_view.headline(doc) == (
        '1 stage, 1 write, 1 reset (aux-cycle), 0 items compliant')


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
        'update', 'reset', 'copy', 'keep', 'refused'}
    data = [cell.machine_readable() for cell in plan_command.rows(FULL)[0]]
    assert data == [1, 'update', [f'gpu-{n}' for n in range(8)], 'gpu',
                    '96.00', '97.00', 'redfish: bundle',
                    'also writes baseboard fpga']


def test_an_outcome_lists_verified_and_refused_items() -> None:
    doc = {**FULL, 'outcome': 'converged', 'proofs': FULL['satisfied'],
           'writes': 8, 'resets': 1, 'requests': 40}
    table = plan_view.outcome_table(doc)
    assert table.columns == plan_view.COLUMNS
    assert [row[1:4] for row in table.rows] == [
        ('verified', 'gpu-0', 'mig'), ('verified', 'nic', 'nic'),
        ('refused', 'gpu-1', 'gpu')]
    assert plan_view.outcome_headline(doc) == (
        'converged: 2 items verified; 8 writes, 1 reset, 40 requests')
