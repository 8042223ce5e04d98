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

"""What a failed run names: what is staged, and what may still run."""

from __future__ import annotations

from ironic_accel.converge import outcome
from ironic_accel.converge.ports import Pace
from ironic_accel.converge import write_watch
from ironic_accel.model.device import Activation
from ironic_accel.model.plan import Item
from ironic_accel.model.profile import Limits
from ironic_accel.model.record import Intent
from ironic_accel.model.record import Record
from ironic_accel.model.record import Staged
from tests.unit.converge.box import Box
from tests.unit.converge.box import Part
from tests.unit.converge.drive import Disk
from tests.unit.converge.drive import profile
from tests.unit.converge.drive import run


def item(number: int, name: str = 'gpu') -> Item:
    """The firmware of one device."""
    return Item(f'd{number}', name, 'firmware', '2')


def test_staged_items_are_named_with_their_reset() -> None:
    record = Record(staged=(
        *(Staged(item(n), Activation.AUX_CYCLE) for n in range(5)),
        Staged(item(0, 'bmc'), Activation.WARM_REBOOT, at_reset=True),
        Staged(item(1, 'nic'), Activation.POWER_CYCLE, sure=False)))
    assert write_watch.staged_words(record) == (
        'gpu of d0, gpu of d1, gpu of d2 and 2 more, active after the next '
        'aux-cycle; bmc of d0, written at the next warm-reboot; '
        'possibly nic of d1, active after the next power-cycle')
    assert write_watch.staged_words(Record()) is None


def test_an_open_write_is_named_with_its_task_and_its_time() -> None:
    intent = Intent('action', Activation.NONE, 0, 9, verb='update',
                    transport='redfish', items=(item(0),),
                    ticket={'task': '/redfish/v1/TaskService/Tasks/7'})
    assert write_watch.running_words(intent, Pace(gone=2700)) == (
        'update of gpu of d0 via redfish, task '
        '/redfish/v1/TaskService/Tasks/7, until about 1970-01-01 00:45 UTC')


def test_a_run_that_ends_in_a_write_names_it() -> None:
    box = Box({'d0': {'gpu': Part('1')}}, {}, [])
    box.flash = 1e6
    out = run(box, profile({'d0': {'gpu': '2'}},
                           limits=Limits(minutes=1)), Disk())
    assert isinstance(out, outcome.Failed) and out.running
    assert out.error.running is not None
    assert out.error.running.startswith('update of gpu of d0 via redfish')
    assert 'until about' in out.error.running


def test_a_run_that_ends_before_a_reset_names_what_is_staged() -> None:
    """One of two devices fails; the other one has its version staged."""
    box = Box({f'd{n}': {'gpu': Part('1', claimed=Activation.POWER_CYCLE,
                                     real=Activation.POWER_CYCLE,
                                     lane=f'lane-{n}')} for n in range(2)},
              {}, ['none', 'all-fail', 'all-fail', 'all-fail'])
    out = run(box, profile({'d0': {'gpu': '2'}, 'd1': {'gpu': '2'}}), Disk())
    assert isinstance(out, outcome.Failed)
    assert 'staged: gpu of d0, active after the next power-cycle' in (
        out.error.summary)
