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


"""What each scope withdraws of a node, and what it leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ironic.common import states
from ironic import objects
import pytest

from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.node import verification
from ironic_accel.conductor.publication import traits
from ironic_accel.conductor.publication import withdraw
from ironic_accel.conductor.publication.withdraw import WithdrawalScope
from ironic_accel.conductor.upkeep import cleanup
from ironic_accel.model.trait_meaning import PRESENT
from ironic_accel.model.trait_meaning import TraitMeaning
from ironic_accel.model.trait_meaning import TraitType
from tests.unit.conductor import sample

Make = Callable[..., Any]
THEIRS = 'CUSTOM_RACK_7'
HERE = 'CUSTOM_ACCEL_GPU'
IS_ECC, IS_MIG = 'CUSTOM_ACCEL_IS_ECC_ON', 'CUSTOM_ACCEL_IS_MIG_ON'
CAN_ECC, CAN_MIG = 'CUSTOM_ACCEL_CAN_ECC_ON', 'CUSTOM_ACCEL_CAN_MIG_ON'
GPU_MODE, DPU_MODE = 'CUSTOM_ACCEL_GPU_ECC', 'CUSTOM_ACCEL_DPU_MODE_DPU'
ODD = 'CUSTOM_ACCEL_ODD'
MEANINGS = {
    HERE: PRESENT,
    IS_ECC: TraitMeaning.is_profile('ecc-on'),
    IS_MIG: TraitMeaning.is_profile('mig-on'),
    CAN_ECC: TraitMeaning.can_profile('ecc-on'),
    CAN_MIG: TraitMeaning.can_profile('mig-on'),
    GPU_MODE: TraitMeaning.mode('gpu'), DPU_MODE: TraitMeaning.mode('dpu'),
    ODD: TraitMeaning(TraitType.UNKNOWN, 'says something new')}
MAC = '52:54:00:00:00:01'


@pytest.fixture
def task(make_node: Make, acquire: Make) -> Any:
    """A locked node of which everything is published."""
    task = acquire(make_node())
    node = task.node
    objects.Trait(task.context, node_id=node.id, trait=THEIRS).create()
    traits.change(task, MEANINGS, ())
    for name, mode, device in (('ecc-on', 'ecc', 'gpu-0'),
                               ('mig-on', 'mig', 'gpu-1')):
        verification.keep(node, sample.profile(
            sample.mode_profile(name, **{mode: 'enabled'})), [device])
    port = objects.Port(task.context, node_id=node.id, address=MAC,
                        category='dpu')
    port.create()
    task.ports.append(port)
    node.set_driver_internal_info(
        keys.PORTS.name, {port.uuid: {'category': 'dpu'}})
    node.set_driver_internal_info(keys.CLAIMS.name, {'at': 1.0, 'of': ['c']})
    node.set_driver_internal_info(keys.TENANT.name, True)
    saving.save(node)
    return task


def left(task: Any) -> set[str]:
    """Traits, proofs (their names) and what the port says, in the database.
    """
    node = objects.Node.get_by_id(task.context, task.node.id)
    found = traits.of(task) | set(verification.of(node))
    port = objects.Port.get_by_address(task.context, MAC)
    return found | ({'port'} if port.category else set()) | {
        k for k in (keys.CLAIMS.name, keys.TENANT.name, keys.INSIDE_VOID.name)
        if k in node.driver_internal_info}


ALL_IS = {IS_ECC, IS_MIG, 'ecc-on', 'mig-on'}
MODES = {GPU_MODE, DPU_MODE}


@pytest.mark.parametrize(('scope', 'gone', 'new'), [
    (withdraw.everything(),
     {*MEANINGS, *ALL_IS, 'port', keys.CLAIMS.name}, {traits.DEGRADED}),
    (withdraw.not_seen(instance=False),
     {*MEANINGS, *ALL_IS, 'port'} - {HERE}, {traits.DEGRADED}),
    (withdraw.not_seen(instance=True),
     {*MEANINGS, *ALL_IS} - {HERE}, {traits.DEGRADED}),
    (withdraw.tenant_left(),
     {*ALL_IS, *MODES, ODD, 'port', keys.TENANT.name},
     {keys.INSIDE_VOID.name}),
    (withdraw.changed_by_parent({'gpu'}),
     {*ALL_IS, *MODES, CAN_ECC, CAN_MIG, ODD}, set()),
    (withdraw.changed_by_parent({'dpu'}),
     {*ALL_IS, *MODES, CAN_ECC, CAN_MIG, ODD, 'port'}, set()),
    (withdraw.changing({'gpu-0'}, {'gpu'}),
     {IS_ECC, 'ecc-on', GPU_MODE, ODD}, set()),
    (withdraw.changing({'dpu-0'}, {'dpu'}),
     {DPU_MODE, ODD, 'port'}, set()),
    (withdraw.changing((), ()), set(), set()),
    (withdraw.void_proofs({'mig-on'}), {IS_MIG, 'mig-on', ODD}, set()),
    (withdraw.void_proofs(()), set(), set()),
    (withdraw.disagreed({'ecc-on'}),
     {IS_ECC, 'ecc-on', CAN_ECC, ODD}, set()),
    (withdraw.disagreed({'ecc-on'}) | withdraw.void_proofs({'mig-on'}),
     {*ALL_IS, CAN_ECC, ODD}, set()),
    (withdraw.disagreed({'ecc-on'}) | withdraw.tenant_left(),
     {*ALL_IS, *MODES, CAN_ECC, ODD, 'port', keys.TENANT.name},
     {keys.INSIDE_VOID.name})])
def test_scope_withdraws_only_what_is_uncertain(
        task: Any, scope: WithdrawalScope, gone: set[str],
        new: set[str]) -> None:
    before = left(task)
    assert before == {THEIRS, *MEANINGS, 'ecc-on', 'mig-on', 'port',
                      keys.CLAIMS.name, keys.TENANT.name}
    names = withdraw.withdraw(task, scope)
    saving.save(task.node)
    assert left(task) == before - gone | new
    assert set(names) == gone & set(MEANINGS)


def test_traits_are_withdrawn_before_ports(
        task: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node is scheduled by its traits: a kill in between leaves them gone.
    """
    def killed(_node: Any, _port: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(saving, 'save_row', killed)
    with pytest.raises(KeyboardInterrupt):
        withdraw.withdraw(task, withdraw.tenant_left())
    assert traits.of(task) & {IS_ECC, IS_MIG, *MODES} == set()


def test_a_rebuild_finds_the_trait_that_its_instance_names(
        task: Any) -> None:
    task.node.provision_state = states.ACTIVE
    task.node.instance_info = {'traits': [IS_ECC]}
    withdraw.withdraw(task, withdraw.void_proofs({'ecc-on'}))
    saving.save(task.node)
    assert {IS_ECC, traits.DEGRADED} <= traits.of(task)
    assert task.node.driver_internal_info[keys.VOID.name] == [IS_ECC]
    task.node.provision_state = states.AVAILABLE
    withdraw.withdraw(task, withdraw.tenant_left())
    assert IS_ECC not in traits.of(task)


def test_node_without_tenant_keeps_its_traits(
        make_node: Make, acquire: Make) -> None:
    task = acquire(make_node())
    traits.change(task, MEANINGS, ())
    withdraw.after_tenant(task)
    assert set(MEANINGS) <= traits.of(task)


@pytest.mark.parametrize('state', [states.ACTIVE, states.RESCUE])
def test_tenant_that_no_step_has_noted_is_noted_by_the_cleanup(
        task: Any, state: str) -> None:
    """A site may have disallowed the step that notes it."""
    node = task.node
    keys.TENANT.drop(node)
    node.provision_state = state
    saving.save(node)
    assert cleanup.wanted(node)
    cleanup.reap(task)
    assert keys.TENANT.of(objects.Node.get_by_id(task.context, node.id))


def test_node_without_verifications_needs_no_tenant_noted(
        make_node: Make) -> None:
    assert not cleanup.wanted(make_node(provision_state=states.ACTIVE))
