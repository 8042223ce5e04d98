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

"""What earlier versions stored is read to the same value."""

from __future__ import annotations

import json

import pytest

from ironic_accel.model import loader
from ironic_accel.model import plan
from ironic_accel.model import record
from ironic_accel.model import serialization
from tests.unit.model import stored


@pytest.mark.parametrize('name', stored.RECORDS)
def test_a_stored_record_is_read_to_the_same_value(name: str) -> None:
    assert record.load(stored.document('record', name)) == (
        stored.RECORDS[name])


@pytest.mark.parametrize('name', stored.INVENTORIES)
def test_a_stored_inventory_is_read_to_the_same_value(name: str) -> None:
    assert serialization.inventory_from_dict(
        stored.document('inventory', name)) == stored.INVENTORIES[name]


@pytest.mark.parametrize('name', stored.PLANS)
def test_a_stored_plan_is_read_in_the_present_form(name: str) -> None:
    assert plan.current(stored.document('plan', name)) == json.loads(
        json.dumps(stored.PLANS[name].to_dict()))


def test_a_stored_inventory_is_read_in_the_present_form() -> None:
    read = serialization.current(stored.document('inventory', 'whole'))
    assert read == json.loads(json.dumps(
        serialization.inventory_to_dict(stored.INVENTORIES['whole'])))


@pytest.mark.parametrize('complete', [True, False])
def test_an_inventory_of_the_first_release_is_complete_as_a_whole(
        complete: bool) -> None:
    raw = {'schema': 'inventory/1', 'system': '1', 'host': 'on',
           'complete': complete, 'devices': []}
    assert serialization.whole(serialization.current(raw)) is complete
    assert serialization.inventory_from_dict(raw).complete is complete


@pytest.mark.parametrize('name', stored.RECORDS)
def test_a_record_is_written_with_the_present_keys(name: str) -> None:
    found = json.loads(json.dumps(record.dump(stored.RECORDS[name])))
    assert found['schema'] == 'record/2'
    assert 'landed' not in found and 'staged' in found
    assert record.load(found) == stored.RECORDS[name]


def test_conductors_of_the_release_before_see_what_takes_the_bmc_down(
        ) -> None:
    """They read that key of the nodes behind the BMC that they write to."""
    found = record.dump(stored.RECORDS['host-reset'])
    assert found['intent']['effect'] == 'aux-cycle'
    assert 'effect' not in record.dump(stored.RECORDS['device-reset'])[
        'intent']


def test_an_intent_saved_by_an_earlier_version_matches_its_action() -> None:
    keys = json.loads((stored.FOLDER / 'action-keys.json').read_text())
    assert {f'{name}/{i}/{j}': plan.action_key(action)
            for name, made in stored.PLANS.items()
            for i, stage in enumerate(made.stages)
            for j, action in enumerate(stage.actions)} == keys


def test_an_upgrade_changes_no_digest_of_a_profile() -> None:
    """A proof, and so a trait, is void where the digest differs."""
    recorded = json.loads((stored.FOLDER / 'profile-digest.json').read_text())
    assert loader.load_data(recorded['profile']).digest == (
        recorded['digest'])
