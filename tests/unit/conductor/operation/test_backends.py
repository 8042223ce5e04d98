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

"""A parent's steps reach into the BMCs of its children."""

from __future__ import annotations

from collections.abc import Iterator
import pathlib
from unittest import mock

from ironic.common import exception
from ironic import objects
import pytest

from ironic_accel.conductor.access import related_nodes
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.operation import backends
from ironic_accel.conductor.operation.backends import GuardedBackend
from ironic_accel.converge.ports import Backend
from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Result
from ironic_accel.converge.ports import Unknown
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from tests.unit.conductor.family import Family
from tests.unit.conductor.family import Make
from tests.unit.conductor.family import staged
from tests.unit.conductor.family import TRANSPORT
from tests.unit.converge.box import burn_of


@pytest.fixture
def family(make_node: Make, acquire: Make, profiles: pathlib.Path
           ) -> Iterator[Family]:
    """A host and the card in it, with all that is around them."""
    with staged(make_node, acquire, profiles) as made:
        yield made


@pytest.mark.parametrize(('goes_down', 'powered'), [
    # Ironic touches no child of a host that is asked to go down.
    (True, [('parent', 'soft power off'), ('parent', 'power on')]),
    # It takes the child down with its parent; we bring it up again.
    (False, [('parent', 'soft power off'),
             ('child', 'power off'), ('parent', 'power off'),
             ('parent', 'power on'), ('child', 'power on')])])
def test_a_mode_of_the_child_is_set_by_a_step_of_the_parent(
        family: Family, goes_down: bool,
        powered: list[tuple[str, str]]) -> None:
    family.goes_down = goes_down
    family.refresh(family.child)
    family.run(family.child)
    family.begin(family.parent, 'apply_profile', profile='card-ecc')
    told = family.run(family.parent)
    assert (told['outcome'], told['writes'], told['resets']) == (
        'converged', 1, 1)
    assert family.host.sins + family.card.sins == []
    assert (family.host.writes, family.card.writes) == (0, 1)
    assert {'CUSTOM_ACCEL_IS_CARD_ECC', 'CUSTOM_ACCEL_GPU_ECC'} <= (
        family.traits(family.parent))
    assert family.powered == powered
    # The child is looked at anew, and says what it has become.
    assert family.run(family.child)['outcome'] == 'done'
    assert 'CUSTOM_ACCEL_GPU_ECC' in family.traits(family.child)
    # Again: nothing is done.
    family.powered.clear()
    family.begin(family.parent, 'apply_profile', profile='card-ecc')
    assert family.run(family.parent)['writes'] == 0
    assert family.powered == []


def test_each_request_that_writes_is_fenced(family: Family) -> None:
    """One action has a request for each device; between them the node may be
    taken over."""
    family.begin(family.parent, 'apply_profile', profile='card-ecc')
    while not family.card.writes:
        family.tick(family.parent)
    assert set(family.fences) == {'redfish', TRANSPORT}
    task = family.acquire(family.parent)
    current = operation.load(task.node)
    assert current is not None
    made = backends.backend(task, current)
    made.observe()
    for fence in family.fences.values():
        fence()
    operation.store(task.node, current.but(id='another'))
    for fence in family.fences.values():
        with pytest.raises(saving.NotOurs):
            fence()


def test_write_that_was_not_sent_is_in_the_history(family: Family) -> None:
    family.begin(family.parent, 'apply_profile', profile='card-ecc')
    task = family.acquire(family.parent)
    current = operation.load(task.node)
    assert current is not None
    inner = mock.create_autospec(Backend, instance=True)
    inner.poll.return_value = Ended((
        Result(('d0', 'ecc'), True), Result(('d1', 'ecc'), False, None,
                                            'not-sent'),
        Result(('d2', 'ecc'), False, None, 'not-sent')))
    guarded = GuardedBackend(task, current, inner)
    assert guarded.poll({}) is inner.poll.return_value
    saving.save(task.node)
    event, = (e.event for e in objects.NodeHistory.list_by_node_id(
        None, task.node.id) if 'not sent' in e.event)
    assert event == 'not sent: ecc on d1, d2'


def test_a_child_that_does_not_answer_holds_up_its_parent(
        family: Family) -> None:
    family.silent = True
    family.refresh(family.parent)
    left = family.tick(family.parent)
    assert left is not None
    assert left.progress == ('the BMC of child node dpu is not reachable: no '
                             'route to the DPU')
    # Hands are off what is in maintenance.
    family.child.refresh()
    family.child.maintenance = True
    family.child.save()
    assert family.run(family.parent)['outcome'] == 'done'


def test_a_child_whose_node_is_not_configured_does_not_answer(
        family: Family) -> None:
    one = backends.ChildBackend(family.child, TRANSPORT)
    family.error = exception.MissingParameterValue('no user')
    with pytest.raises(Unreachable, match='dpu is not reachable') as error:
        one.observe()
    assert 'no user' in str(error.value)


def test_a_child_is_named_by_its_name_or_its_uuid(family: Family) -> None:
    assert backends.transport_name(family.child) == TRANSPORT
    family.child.name = None
    assert backends.transport_name(family.child) == (
        f'redfish-{family.child.uuid[:8]}')


def test_read_only_is_read_only(family: Family) -> None:
    only = backends.ReadOnlyBackend(family.card, 'because')
    assert only.transports(only.observe()) == ()
    assert only.commit([('d0', 'ecc')]) == ()
    assert family.card.commits == []
    with pytest.raises(Rejected, match='because'):
        only.start(burn_of('d0'))
    assert family.card.writes == 0
    assert isinstance(only.poll({'job': 'gone'}), Unknown)


def test_a_child_s_bmc_is_written_through_by_its_parent(
        family: Family, make_node: Make) -> None:
    third = make_node(driver_info={'redfish_address': 'http://192.0.2.2'})
    task = family.acquire(third, shared=True)
    assert related_nodes.writing_node(task) is None
    family.begin(family.parent, 'apply_profile', profile='card-ecc')
    while not family.card.writes:
        family.tick(family.parent)
    assert related_nodes.writing_node(task) == family.parent.uuid
    # And the other way round.
    family.parent.del_driver_internal_info(keys.RECORD.name)
    family.parent.save()
    third.set_driver_internal_info(keys.RECORD.name, {
        'intent': {'kind': 'action', 'deadline': family.host.now + 60}})
    flash_guard.put(third, 'a card', family.host.now, 60)
    third.save()
    parents = family.acquire(family.parent, shared=True)
    assert related_nodes.writing_node(parents) == third.uuid
