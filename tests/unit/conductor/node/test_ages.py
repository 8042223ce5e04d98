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

"""A proof is as old as the oldest thing that it stands on."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import dataclasses
import pathlib
from typing import Any

from ironic.common import states
from ironic.conf import CONF
import pytest

from ironic_accel.conductor.node import inventory_store
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import verification
from ironic_accel.conductor.publication import publish
from ironic_accel.conductor.publication import traits
from ironic_accel.model.device import Inventory
from tests.unit.conductor import sample

Make = Callable[..., Any]
IS, TWO = 'CUSTOM_ACCEL_IS_ECC_ON', 'CUSTOM_ACCEL_GPU_X2'
T0 = 1_000_000.0


def both() -> Inventory:
    """Two GPUs; their ECC is seen from inside alone."""
    gpus = [sample.with_mode(sample.gpu(n), 'ecc', 'enabled')
            for n in range(2)]
    return sample.box(*gpus, seen_via=('redfish', 'agent'))


def outside() -> Inventory:
    """What the BMC shows of it: firmware."""
    return sample.box(*(
        dataclasses.replace(
            sample.gpu(n), modes=(), uri=f'/g{n}',
            components=tuple(dataclasses.replace(c, uri=f'/f{n}')
                             for c in sample.gpu(n).components))
        for n in range(2)))


class Looks:
    """A node that is looked at now and then."""

    def __init__(self, task: Any) -> None:
        self.task = task

    def __call__(self, seen: Inventory, now: float, **more: Any
                 ) -> dict[str, Any]:
        return dict(
            publish.publish(
                self.task,
                seen,
                lambda own, _pushes: (sample.transport(own),),
                now,
                **more,
            ).facts
        )

    def proved(self) -> float | None:
        """When the profile was proved."""
        proof = verification.of(self.task.node).get('ecc-on')
        return None if proof is None else proof['at']

    def traits(self) -> set[str]:
        """What is published."""
        return set(traits.published(self.task.node))


@pytest.fixture
def look(make_node: Make, acquire: Make, profiles: pathlib.Path
         ) -> Iterator[Looks]:
    """A node, and one site profile: two GPUs with ECC."""
    profiles.joinpath('site.yaml').write_text(sample.yaml_of(
        sample.mode_profile('ecc-on', ecc='enabled')))
    CONF.set_override('verification_max_age', 100, group='accelerator')
    yield Looks(acquire(make_node(provision_state=states.AVAILABLE)))
    CONF.clear_override('verification_max_age', group='accelerator')


def test_inventory_renews_only_what_it_read_itself(look: Looks) -> None:
    look(both(), T0)
    assert look.proved() == T0
    look(outside(), T0 + 50)
    assert look.proved() == T0
    look(outside(), T0 + 90)
    assert look.proved() == T0
    assert IS in look.traits()
    look(both(), T0 + 95)
    assert look.proved() == T0 + 95


def test_verification_of_carried_over_data_ages(look: Looks) -> None:
    look(both(), T0)
    look(outside(), T0 + 101)
    assert look.proved() is None
    assert IS not in look.traits()
    assert TWO in look.traits()
    look(both(), T0 + 102)
    assert look.proved() == T0 + 102
    assert IS in look.traits()


def test_an_aged_proof_is_not_made_anew_out_of_old_facts(
        look: Looks) -> None:
    look(both(), T0)
    verification.drop(look.task.node, {'ecc-on'})
    look(outside(), T0 + 40)
    assert look.proved() == T0


def test_unreported_mode_does_not_count_as_read(
        look: Looks) -> None:
    look(both(), T0)
    look(sample.box(*(dataclasses.replace(d, modes=tuple(
        dataclasses.replace(m, current=None)
        for m in sample.gpu(0).modes)) for d in outside().devices)), T0 + 10)
    assert look.proved() == T0
    assert not verification.void(
        look.task.node, {'ecc-on': sample.profile(sample.mode_profile(
            'ecc-on', ecc='enabled'))}, T0 + 100)


def test_unknown_device_count_is_not_published(
        look: Looks) -> None:
    facts = look(dataclasses.replace(both(), uncounted=('gpu',)), T0)
    assert look.proved() is None
    assert look.traits() == {'CUSTOM_ACCEL_GPU',
                             'CUSTOM_ACCEL_GPU_NVIDIA_H100_SXM'}
    assert look.traits() == set(facts['traits'])
    look(outside(), T0 + 1)
    assert TWO not in look.traits()
    look(both(), T0 + 2)
    assert look.traits() >= {IS, TWO}


def test_unstored_inventory_verifies_nothing(
        look: Looks) -> None:
    look(both(), T0)
    inventory_store.tenant_gone(look.task.node)
    # A run that looks at what to apply, and fails before it publishes.
    stored = inventory_store.load(look.task)
    inventory_store.whole(
        look.task.node, stored, inventory_store.known_ids(stored, both()))
    look(outside(), T0 + 1)
    assert look.proved() is None
    assert IS not in look.traits()
    look(both(), T0 + 2)
    assert look.proved() == T0 + 2
    assert keys.INSIDE_VOID.name not in look.task.node.driver_internal_info


def test_stored_inventory_is_as_old_as_its_oldest_part(look: Looks) -> None:
    look(both(), T0)
    look(outside(), T0 + 50)
    stored = inventory_store.load(look.task)
    assert stored is not None
    assert stored.looks == {'redfish': T0 + 50, 'agent': T0}
    look(stored.inventory, stored.at, looks=stored.looks)
    assert look.proved() == T0
    again = inventory_store.load(look.task)
    assert again is not None and again.looks == stored.looks
