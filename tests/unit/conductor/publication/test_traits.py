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

"""Traits on a node, and the proofs that they stand on."""

from __future__ import annotations

from collections.abc import Callable
import pathlib
from typing import Any
from unittest import mock

from ironic.common import states
from ironic.conf import CONF
from ironic import objects
import pytest

from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import verification
from ironic_accel.conductor.publication import traits
from ironic_accel.conductor.publication import withdraw
from ironic_accel.conductor.upkeep import cleanup
from ironic_accel.model import catalog
from ironic_accel.model.trait_meaning import PRESENT
from ironic_accel.model.trait_meaning import TraitMeaning
from ironic_accel.model import traits as grammar
from tests.unit.conductor import sample

Make = Callable[..., Any]
IS_ECC = 'CUSTOM_ACCEL_IS_ECC_ON'
IS_MIG = 'CUSTOM_ACCEL_IS_MIG_ON'
MODE = 'CUSTOM_ACCEL_GPU_ECC'
FOREIGN = {'CUSTOM_FOREIGN', 'HW_CPU_X86_VMX', 'CUSTOM_FPGA_XILINX'}
IN_ECC = TraitMeaning.is_profile('ecc-on')
PUBLISHED = {IS_ECC: IN_ECC, IS_MIG: TraitMeaning.is_profile('mig-on'),
             MODE: TraitMeaning.mode('gpu'), 'CUSTOM_ACCEL_GPU': PRESENT}


@pytest.fixture
def task(make_node: Make, acquire: Make) -> Any:
    """A locked node with traits of others and of ours."""
    return published(make_node, acquire)


def published(make_node: Make, acquire: Make, **fields: Any) -> Any:
    task = acquire(make_node(**fields))
    for name in FOREIGN:
        objects.Trait(task.context, node_id=task.node.id,
                      trait=name).create()
    traits.change(task, PUBLISHED, ())
    verification.keep(task.node, sample.profile(
        sample.mode_profile('ecc-on', ecc='enabled')), ['gpu-0', 'gpu-1'])
    verification.keep(task.node, sample.profile(
        sample.mode_profile('mig-on', mig='enabled')), ['gpu-9'])
    task.node.save()
    return task


def names(task: Any) -> set[str]:
    return set(objects.TraitList.get_by_node_id(
        task.context, task.node.id).get_trait_names())


def test_others_traits_are_left_alone(task: Any) -> None:
    assert names(task) == FOREIGN | set(PUBLISHED)
    traits.change(task, {}, list(PUBLISHED))
    assert names(task) == FOREIGN
    assert traits.published(task.node) == {}


def test_node_object_has_the_traits_of_the_database(task: Any) -> None:
    traits.change(task, {}, [MODE])
    assert set(task.node.traits.get_trait_names()) == names(task)
    assert 'traits' not in task.node.obj_what_changed()


def test_trait_removed_by_another_process_is_no_error(task: Any) -> None:
    objects.Trait.destroy(task.context, task.node.id, MODE)
    traits.change(task, {}, [MODE])
    assert MODE not in names(task)


def test_change_withdraws_uncertain_traits(task: Any) -> None:
    withdraw.withdraw(task, withdraw.changing({'gpu-0'}, {'gpu'}))
    assert names(task) == FOREIGN | {IS_MIG, 'CUSTOM_ACCEL_GPU'}
    assert set(verification.of(task.node)) == {'mig-on'}


def test_a_change_of_another_kind_leaves_the_modes(task: Any) -> None:
    withdraw.withdraw(task, withdraw.changing({'dpu-1'}, {'dpu'}))
    assert names(task) == FOREIGN | set(PUBLISHED)


def test_trait_required_by_an_instance_is_kept_as_void(
        make_node: Make, acquire: Make) -> None:
    task = published(make_node, acquire, provision_state=states.ACTIVE,
                     instance_info={'traits': [IS_ECC]})
    withdraw.withdraw(task, withdraw.changing({'gpu-0'}, {'gpu'}))
    assert IS_ECC in names(task)
    assert traits.DEGRADED in names(task)
    assert task.node.driver_internal_info[keys.VOID.name] == [IS_ECC]
    traits.change(task, {IS_ECC: IN_ECC}, [traits.DEGRADED])
    assert traits.DEGRADED not in names(task)
    assert keys.VOID.name not in task.node.driver_internal_info


def write_profiles(folder: pathlib.Path, **modes: str) -> None:
    folder.joinpath('site.yaml').write_text(sample.yaml_of(
        sample.mode_profile('ecc-on', ecc=modes.get('ecc', 'enabled')),
        sample.mode_profile('mig-on', mig='enabled')))


def test_proofs_hold_while_nothing_changes(
        task: Any, profiles: pathlib.Path) -> None:
    write_profiles(profiles)
    assert not cleanup.wanted(task.node)
    cleanup.reap(task)
    assert names(task) == FOREIGN | set(PUBLISHED)


def test_a_changed_profile_voids_its_proof(
        task: Any, profiles: pathlib.Path) -> None:
    write_profiles(profiles, ecc='disabled')
    assert cleanup.wanted(task.node)
    cleanup.reap(task)
    assert names(task) == (FOREIGN | set(PUBLISHED)) - {IS_ECC}
    assert not cleanup.wanted(task.node)


def test_a_proof_ages(task: Any, profiles: pathlib.Path) -> None:
    write_profiles(profiles)
    at = verification.of(task.node)['ecc-on']['at']
    known = {p: sample.profile(sample.mode_profile(p, **{m: 'enabled'}))
             for p, m in (('ecc-on', 'ecc'), ('mig-on', 'mig'))}
    CONF.set_override('verification_max_age', 100, group='accelerator')
    try:
        assert verification.void(task.node, known, at + 99) == {}
        assert set(verification.void(task.node, known, at + 200)) == {
            'ecc-on', 'mig-on'}
    finally:
        CONF.clear_override('verification_max_age', group='accelerator')


def test_tenant_voids_earlier_verifications(
        task: Any, profiles: pathlib.Path) -> None:
    write_profiles(profiles)
    node = task.node
    withdraw.note_tenant(node)
    node.provision_state = states.ACTIVE
    assert not cleanup.wanted(node)
    node.provision_state = states.AVAILABLE
    assert cleanup.wanted(node)
    cleanup.reap(task)
    assert names(task) == FOREIGN | {'CUSTOM_ACCEL_GPU'}
    assert verification.of(node) == {}
    assert not cleanup.wanted(node)


def test_the_end_of_a_tenancy_withdraws_at_once(task: Any) -> None:
    withdraw.note_tenant(task.node)
    withdraw.after_tenant(task)
    assert names(task) == FOREIGN | {'CUSTOM_ACCEL_GPU'}
    assert keys.TENANT.name not in task.node.driver_internal_info


def fill(task: Any, number: int, prefix: str = 'CUSTOM_THEIRS') -> set[str]:
    """Other people's traits, through the same table as the API's."""
    found = {f'{prefix}_{n}' for n in range(number)}
    for name in found:
        objects.Trait(task.context, node_id=task.node.id,
                      trait=name).create()
    return found


def test_forty_nine_traits_of_others_leave_room_for_one(
        make_node: Make, acquire: Make, caplog: pytest.LogCaptureFixture
        ) -> None:
    task = acquire(make_node())
    theirs = fill(task, 48) | fill(task, 1, 'HW_CPU_X86')
    change = grammar.reconcile(traits.of(task), list(PUBLISHED))
    assert change.add == (IS_ECC,)
    assert len(change.dropped) == 3
    traits.change(task, {IS_ECC: IN_ECC}, change.remove)
    assert names(task) == theirs | {IS_ECC}
    traits.change(task, {}, [IS_ECC])
    assert names(task) == theirs


def test_traits_added_meanwhile_by_others_are_kept(
        make_node: Make, acquire: Make, caplog: pytest.LogCaptureFixture
        ) -> None:
    """Between the look at a node's traits and the first of ours."""
    task = acquire(make_node())
    create = objects.Trait.create
    late: list[set[str]] = []

    def slow(trait: Any, context: Any = None) -> None:
        if not late and trait.trait in PUBLISHED:
            late.append(set())
            late[0] |= fill(task, 49)
        create(trait, context)

    with mock.patch.object(objects.Trait, 'create', autospec=True,
                           side_effect=slow):
        traits.change(task, PUBLISHED, ())
    assert names(task) == late[0] | {IS_ECC}
    assert traits.published(task.node) == {IS_ECC: IN_ECC}
    assert MODE in caplog.text


def test_traits_changed_by_others_during_a_step_are_kept(
        task: Any) -> None:
    """A list that is written back whole would undo both."""
    destroy = objects.Trait.destroy

    def meanwhile(context: Any, node_id: int, trait: str) -> None:
        destroy(context, node_id, trait)
        if trait == MODE:
            fill(task, 2, 'CUSTOM_LATE')
            destroy(context, node_id, 'CUSTOM_FOREIGN')

    with mock.patch.object(objects.Trait, 'destroy', autospec=True,
                           side_effect=meanwhile):
        traits.change(task, {'CUSTOM_ACCEL_GPU_X2': PRESENT},
                          [MODE, IS_ECC])
    assert names(task) == FOREIGN - {'CUSTOM_FOREIGN'} | {
        'CUSTOM_LATE_0', 'CUSTOM_LATE_1', IS_MIG, 'CUSTOM_ACCEL_GPU',
        'CUSTOM_ACCEL_GPU_X2'}


def test_standard_trait_set_by_an_operator_is_kept(
        make_node: Make, acquire: Make) -> None:
    task = acquire(make_node())
    objects.Trait(task.context, node_id=task.node.id,
                  trait='HW_NIC_SRIOV').create()
    change = grammar.reconcile(traits.of(task), ['HW_NIC_SRIOV', MODE])
    assert change.standard == ()
    traits.change(task, {MODE: TraitMeaning.mode('gpu')}, change.remove)
    later = grammar.reconcile(traits.of(task), [])
    assert later.remove == (MODE,)


def test_no_trait_of_cyborg_s_is_ever_made() -> None:
    """Cyborg's are CUSTOM_FPGA_INTEL, CUSTOM_<VENDOR>_<PRODUCT> and the
    like, with OWNER_CYBORG (its drivers, cyborg/accelerator/drivers): ours
    all have a prefix that none of them can have."""
    known = catalog.load()
    made = {grammar.DEGRADED, grammar.is_trait('fpga-xilinx'),
            grammar.can_trait('owner-cyborg')}
    for kind in known.kinds:
        made.add(grammar.trait_name(kind))
        for mode in known.modes(kind):
            facts = known.mode(kind, mode)
            made |= {grammar.trait_name(kind, mode, w)
                     for w in (facts.values if facts else ())}
    made |= {grammar.trait_name(p.kind, p.name)
             for p in known.products.values()}
    assert len(made) > 50
    assert all(name.startswith('CUSTOM_ACCEL_') for name in made)
    words = {name.split('_')[1] for name in made}
    assert words == {'ACCEL'}
    assert 'OWNER_CYBORG' not in made
