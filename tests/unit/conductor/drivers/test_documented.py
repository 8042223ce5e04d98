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

"""The examples of the contributor's guide that need Ironic, executed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from ironic.common import exception
from ironic.common import states
import pytest

from ironic_accel.conductor.config import catalogue
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.drivers import admission
from ironic_accel.conductor.drivers import requested_steps
from ironic_accel.conductor.drivers import vendor
from ironic_accel.conductor.node import inventory_store
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.upkeep import cleanup
from tests.unit.conductor import sample
from tests.unit.docs.examples import step

EXAMPLES = Path(__file__).parents[2] / 'docs' / 'examples'


def test_site_adds_the_product_by_its_folder(
        tmp_path: Path, database: Path) -> None:
    folder = tmp_path / 'rows'
    folder.mkdir()
    folder.joinpath('acme.yaml').write_text(
        (EXAMPLES / 'product.yaml').read_text())
    catalogue.catalogue.cache_clear()
    CONF.set_override('catalogue_path', str(folder), group='accelerator')
    try:
        assert catalogue.catalogue().product('acme-a1') is not None
    finally:
        CONF.clear_override('catalogue_path', group='accelerator')
        catalogue.catalogue.cache_clear()


class Extended(step.ResetKind, vendor.RedfishAccelerator):
    """The vendor interface with the example's step."""


@pytest.fixture
def cleaning(make_node: Callable[..., Any],
             acquire: Callable[..., Any]) -> Any:
    """A node in CLEANING with a stored inventory, on that interface."""
    node = make_node(provision_state=states.CLEANING)
    task = acquire(node)
    inventory_store.save(task, sample.box())
    task.driver.vendor = Extended()
    return task


def test_step_is_stored_and_waits(cleaning: Any) -> None:
    state = cleaning.driver.vendor.execute_clean_step(
        cleaning, {'step': 'reset_kind', 'args': {'device_kind': 'gpu'}})
    current = operation.load(cleaning.node)
    assert state == states.CLEANWAIT
    assert current is not None
    assert (current.step, current.work, current.devices) == (
        'reset_kind', 'reset', ('gpu-0', 'gpu-1'))


def test_step_ends_as_refused_for_a_kind_that_the_node_lacks(
        cleaning: Any) -> None:
    state = cleaning.driver.vendor.execute_clean_step(
        cleaning, {'step': 'reset_kind', 'args': {'device_kind': 'fpga'}})
    current = operation.load(cleaning.node)
    assert state == states.CLEANWAIT
    assert current is not None and current.work == 'refuse'
    assert "no 'fpga'" in current.why


@pytest.mark.parametrize(('args', 'told'), [
    ({}, 'device_kind: required argument missing'),
    ({'device_kind': 'gpu', 'kind': 'gpu'},
     'kind: unknown argument; supported arguments: device_kind')])
def test_request_for_the_step_is_refused_for_its_arguments(
        cleaning: Any, args: dict[str, str], told: str) -> None:
    with mock.patch.object(
            requested_steps, 'steps', autospec=True, return_value=('clean', [
                {'interface': 'vendor', 'step': 'reset_kind',
                 'args': args}])), \
            pytest.raises(exception.InvalidParameterValue, match=told):
        admission.check(cleaning)


def test_leftover_of_the_step_is_removed(make_node: Callable[..., Any]
                                         ) -> None:
    node = make_node(provision_state=states.DEPLOYFAIL, deploy_step={
        'step': 'reset_kind', 'interface': 'vendor'})
    assert cleanup.wanted(node)
