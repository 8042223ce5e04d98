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

"""The field ``health`` of a node, as Ironic's power sync fills it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import importlib
from typing import Any
from unittest import mock

from ironic.common import exception
from ironic.conductor import utils as conductor_utils
from ironic.conf import CONF
from ironic.drivers.modules.drac import management as drac
from ironic.drivers.modules.redfish import management as upstream
from ironic import objects
import pytest

from ironic_accel.conductor.config import ironic_series
from ironic_accel.conductor.drivers import management
from ironic_accel.conductor.node import inventory_store
from ironic_accel.conductor.node import keys
from ironic_accel.redfish.client import session
from tests.unit.conductor import clocks
from tests.unit.conductor import sample

if not ironic_series.NODE_HEALTH.present:
    pytest.skip('NODE_HEALTH', allow_module_level=True)

Make = Callable[..., Any]
OK, WARNING, CRITICAL = importlib.import_module(
    'ironic.common.health_states').HealthState
NOW = 1_000_000.0
LIMIT = 7200
#: The system, and the node whose accelerators' health is not known.
UNKNOWN = [(OK, None), (WARNING, 'Warning'), (CRITICAL, 'Critical'),
           (None, None)]


@pytest.fixture
def system() -> Iterator[mock.Mock]:
    """What Ironic reads of the system; a BMC is asked for nothing else."""
    with mock.patch.object(
            upstream.RedfishManagement, 'get_node_health', autospec=True,
            return_value=OK) as asked, \
            mock.patch.object(session, 'connect', autospec=True) as other, \
            clocks.told(lambda: NOW):
        yield asked
        assert other.call_count == 0


@pytest.fixture
def synced(system: mock.Mock, make_node: Make, acquire: Make
           ) -> Callable[..., str | None]:
    """The field of a node with an inventory after Ironic's own function."""
    def sync(told: Any = OK, *healths: str | None, age: float = 0.0,
             unread: tuple[str, ...] = (), box: Any = None,
             **fields: Any) -> str | None:
        system.return_value = told
        node = make_node(management_interface='accel-redfish', **fields)
        task = acquire(node)
        if healths:
            box = sample.box(*(
                sample.with_health(sample.gpu(n, unread=unread), health)
                for n, health in enumerate(healths)))
        if box is not None:
            inventory_store.save(task, box, now=NOW - age)
            task.node.save()
        conductor_utils.node_cache_health(task)
        task.release_resources()
        found: str | None = objects.Node.get_by_uuid(
            node._context, node.uuid).health
        return found
    return sync


@pytest.mark.parametrize(('told', 'healths', 'worst'), [
    (OK, ('OK', 'OK'), 'OK'), (OK, ('OK', 'Critical'), 'Critical'),
    (OK, ('Warning', 'OK'), 'Warning'), (WARNING, ('OK',), 'Warning'),
    (WARNING, ('Critical',), 'Critical'), (CRITICAL, ('Warning',), 'Critical'),
    # A system that reports none: ill by its accelerators, never healthy.
    (None, ('Critical',), 'Critical'), (None, ('OK',), None),
    # Accelerators that report none.
    (OK, (None, None), 'OK'), (WARNING, (None,), 'Warning'),
    (None, (None,), None)])
def test_worse_of_system_and_accelerators_is_the_health(
        synced: Callable[..., str | None], told: Any,
        healths: tuple[str | None, ...], worst: str | None) -> None:
    assert synced(told, *healths) == worst


@pytest.mark.parametrize(('told', 'health'), UNKNOWN)
def test_unread_accelerator_makes_the_health_unknown(
        synced: Callable[..., str | None], told: Any,
        health: str | None) -> None:
    """Not healthy by what was not read, and not ill by it either."""
    assert synced(told, 'OK', 'OK', unread=('health',)) == health


def test_inventory_without_accelerators_leaves_the_health_of_the_system(
        synced: Callable[..., str | None]) -> None:
    assert synced(OK, box=sample.box()) == 'OK'


@pytest.mark.parametrize('power', ['power on', 'power off', None])
@pytest.mark.parametrize(('info'), [
    {}, {keys.SUMMARY.name: {'at': NOW}},
    {keys.SUMMARY.name: {'at': NOW, 'health': 'excellent'}},
    {keys.SUMMARY.name: {'at': NOW, 'health': 7}},
    {keys.SUMMARY.name: 'what'}],
    ids=['no inventory', 'of an earlier version', 'of a later version',
         'malformed', 'no summary'])
@pytest.mark.parametrize(('told', 'health'), UNKNOWN)
def test_health_is_unknown_without_that_of_the_accelerators(
        synced: Callable[..., str | None], told: Any, health: str | None,
        info: dict[str, Any], power: str | None) -> None:
    assert synced(told, driver_internal_info=info,
                  power_state=power) == health


@pytest.mark.parametrize(('age', 'told', 'power', 'health'), [
    (LIMIT, 'OK', 'power on', 'OK'), (LIMIT + 1, 'OK', 'power on', None),
    # The clock was set back: its age is not known.
    (-86400, 'OK', 'power on', None),
    # Of those that report none it does not say that they still are there.
    (LIMIT, None, 'power on', 'OK'), (LIMIT + 1, None, 'power on', None),
    # Nothing can be read of a host that is off.
    (1e6, 'OK', 'power off', 'OK'),
    # Nobody has seen that it is well again.
    (1e6, 'Critical', 'power on', 'Critical'),
    (1e6, 'Warning', 'power off', 'Warning')])
def test_old_inventory_makes_nothing_healthy(
        synced: Callable[..., str | None], age: float, told: str | None,
        power: str, health: str | None) -> None:
    assert synced(OK, told, age=age, power_state=power) == health


def test_health_has_no_limit_of_age_where_the_site_wants_none(
        synced: Callable[..., str | None]) -> None:
    CONF.set_override('health_max_age', 0, group='accelerator')
    try:
        assert synced(OK, 'OK', age=1e6) == 'OK'
    finally:
        CONF.clear_override('health_max_age', group='accelerator')


def test_silent_bmc_leaves_the_field_as_it_was(
        synced: Callable[..., str | None], system: mock.Mock) -> None:
    system.side_effect = exception.RedfishConnectionError(
        address='192.0.2.1', error='no answer')
    assert synced(OK, 'Critical', health='Warning') == 'Warning'


def test_both_management_interfaces_tell_it() -> None:
    for mine, base in (
            (management.AccelRedfishManagement, upstream.RedfishManagement),
            (management.AccelIdracManagement, drac.DracRedfishManagement)):
        assert issubclass(mine, management.Health)
        assert mine.__mro__.index(management.Health) < mine.__mro__.index(base)
