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

"""What the supported series of Ironic differ in, with the installed one."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from concurrent import futures
from importlib import metadata
import json
import pathlib
import re
from typing import Any
from unittest import mock

from ironic.common import driver_factory
from ironic.common import states
from ironic.common import swift
from ironic.conductor import manager as conductor_manager
from ironic.conf import CONF
from ironic.drivers.modules.redfish import management as upstream
from ironic import objects
import pytest

from ironic_accel.conductor.config import ironic_series
from ironic_accel.conductor.drivers import vendor
from ironic_accel.conductor.node import inventory_store
from ironic_accel.conductor.upkeep import periodics

Make = Callable[..., Any]

ROOT = pathlib.Path(__file__).resolve().parents[4]
PAGE = ROOT / 'doc/source/reference/series.rst'
SERIES = {'32': '2025.2', '35': '2026.1', '39': '2026.2'}


@pytest.mark.parametrize('capability', ironic_series.CAPABILITIES,
                         ids=lambda capability: capability.name)
def test_the_installed_series_has_what_is_written_of_it(
        capability: ironic_series.Capability) -> None:
    installed = int(metadata.version('ironic').split('.')[0])
    assert capability.present is (installed >= capability.since)


def test_the_page_has_every_capability_and_series() -> None:
    text = PAGE.read_text(encoding='utf-8')
    rows = dict(re.findall(r'^   \* - ``([A-Z_]+)``\n     - (\d+)\n', text,
                           re.MULTILINE))
    assert rows == {capability.name: str(capability.since)
                    for capability in ironic_series.CAPABILITIES}
    for series, release in SERIES.items():
        assert f'{release} (ironic {series})' in text


def test_a_capability_has_the_name_of_its_constant() -> None:
    assert len(ironic_series.CAPABILITIES) > 10
    for capability in ironic_series.CAPABILITIES:
        assert getattr(ironic_series, capability.name) is capability


#: How code asks which Ironic is installed.
ASKS = re.compile(
    r"""version\(\s*['"](ironic|ironic-python-agent)['"]"""
    r"""|ironic(_python_agent)?\.version|import version\b.*ironic"""
    r"""|from ironic(_python_agent)? import version""")
#: How code tries whether Ironic has something.
TRIES = re.compile(
    r'(hasattr|getattr)\(\s*(manager_utils|deploy_utils|inspect_utils|'
    r'async_steps|base|states|task_manager|redfish_utils|agent_client),')


@pytest.mark.parametrize('text', [
    "metadata.version('ironic')", 'from ironic import version',
    'ironic.version.version_info', "hasattr(deploy_utils, 'x')"])
def test_a_version_test_is_found(text: str) -> None:
    assert ASKS.search(text) or TRIES.search(text)


def test_nothing_else_asks_for_the_version_of_ironic() -> None:
    found = {path.name for folder in ('ironic_accel', 'ipa_hardware_manager')
             for path in (ROOT / folder).rglob('*.py')
             for text in [path.read_text(encoding='utf-8')]
             if ASKS.search(text) or TRIES.search(text)}
    # The check before an upgrade compares what is required of Ironic, and each
    # conductor tells the others its releases for it.
    assert found == {'ironic_series.py', 'upgrade_check.py',
                     'profile_agreement.py'}


def test_each_option_that_is_read_is_there(database: pathlib.Path) -> None:
    named = {pair for path in (ROOT / 'ironic_accel').rglob('*.py')
             for pair in re.findall(r'\bCONF\.(\w+)\.(\w+)',
                                    path.read_text(encoding='utf-8'))
             if path.name != 'ironic_series.py'}
    assert len(named) > 20
    assert {(group, option) for group, option in named
            if option not in getattr(CONF, group)} == set()


# Periodics

@pytest.fixture
def collected(database: pathlib.Path, context: Any
              ) -> Iterator[tuple[Any, list[Any]]]:
    """A conductor, and the periodics that it collected."""
    # What a vendor interface of ours gets is of this test alone.
    enabled = CONF.enabled_vendor_interfaces
    CONF.set_override('enabled_vendor_interfaces', ['accelerator'])
    CONF.set_override('audit_interval', 0, group='accelerator')
    CONF.set_override('poll_interval', 7, group='accelerator')
    manager = conductor_manager.ConductorManager('this-conductor', 'topic')
    with futures.ThreadPoolExecutor(1) as pool:
        manager._executor = pool
        made = {name: type(found)() for name, found in
                driver_factory.interfaces('vendor').items()}
        with mock.patch.object(
                driver_factory, 'all_interfaces', autospec=True,
                return_value={
                    'vendor': made,
                    'management': driver_factory.interfaces('management')}):
            manager._collect_periodic_tasks(context)
        yield manager, manager._periodic_task_callables
    CONF.clear_override('poll_interval', group='accelerator')
    CONF.clear_override('audit_interval', group='accelerator')
    CONF.set_override('enabled_vendor_interfaces', enabled)


def test_periodics_have_their_configured_intervals(
        collected: tuple[Any, list[Any]]) -> None:
    ours = {call.__name__: call for call, _args, _more in collected[1]
            if isinstance(getattr(call, '__self__', None),
                          periodics.Periodics)}
    assert len(ours) == 8
    assert ours['pick_due_operations']._periodic_spacing == 7
    assert ours['clear_leftovers']._periodic_spacing == (
        CONF.accelerator.cleanup_interval)
    assert ours['pick_due_operations']._is_periodic
    assert not ours['audit_accelerators']._is_periodic
    CONF.set_override('audit_interval', 3600, group='accelerator')
    ironic_series.read_spacings(vendor.RedfishAccelerator())


@pytest.mark.parametrize('interface', ['redfish', 'accel-redfish'])
def test_an_inherited_periodic_visits_a_node_once(
        collected: tuple[Any, list[Any]], make_node: Make, context: Any,
        interface: str) -> None:
    """Ironic's management interface is enabled beside ours."""
    node = make_node(
        provision_state=states.CLEANWAIT, management_interface=interface,
        driver_internal_info={'firmware_updates': [{}]})
    manager, calls = collected
    found = [(node.uuid, node.driver, '', node.driver_internal_info)]
    with (mock.patch.object(manager, 'iter_nodes', autospec=True,
                            side_effect=lambda **_more: iter(found)),
          mock.patch.object(upstream.RedfishManagement,
                            '_check_node_firmware_update', autospec=True
                            ) as check):
        for call, args, _more in calls:
            if call.__name__ == '_query_firmware_update_status':
                call(*args)
    assert check.call_count == 1


def test_an_inherited_periodic_runs_where_ours_alone_is_enabled(
        collected: tuple[Any, list[Any]], make_node: Make, context: Any
        ) -> None:
    node = make_node(
        provision_state=states.CLEANWAIT,
        management_interface='accel-redfish',
        driver_internal_info={'firmware_updates': [{}]})
    manager, _calls = collected
    ours = driver_factory.interfaces('management')['accel-redfish']
    found = [(node.uuid, node.driver, '', node.driver_internal_info)]
    with (mock.patch.object(manager, 'iter_nodes', autospec=True,
                            side_effect=lambda **_more: iter(found)),
          mock.patch.object(driver_factory, 'interfaces', autospec=True,
                            return_value={'accel-redfish': ours}),
          mock.patch.object(upstream.RedfishManagement,
                            '_check_node_firmware_update', autospec=True
                            ) as check):
        ours._query_firmware_update_status(manager, context)
    assert check.call_count == 1


# A service that boots no ramdisk

STEP = {'interface': 'vendor', 'step': 'refresh_traits'}


@pytest.fixture
def served(make_node: Make, acquire: Make) -> Any:
    """A locked node in a service, as Ironic begins it."""
    return acquire(make_node(
        provision_state=states.SERVICING, service_step=STEP,
        target_provision_state=states.ACTIVE, driver_internal_info={
            'service_steps': [STEP], 'service_step_index': 0,
            'service_disable_ramdisk':
            ironic_series.SERVICE_RAMDISK_NOTED.present}))


def test_a_service_without_ramdisk_is_known_as_one(served: Any) -> None:
    """At its end Ironic would power the host off and on otherwise."""
    state = served.driver.vendor.execute_service_step(served, STEP)
    served.node.save()
    served.node.refresh()
    assert state == states.SERVICEWAIT
    assert ironic_series.is_ramdisk_disabled(served.node)


@pytest.mark.parametrize('info', [
    {'agent_url': 'http://192.0.2.9'},
    {'agent_cached_service_steps': {'deploy': []}},
    {'service_steps': [{'interface': 'vendor',
                        'step': 'apply_profile_in_band'}]},
    {'service_steps': [{**STEP, 'requires_ramdisk': True}]},
    {'service_steps': None}], ids=lambda info: next(iter(info)))
def test_in_doubt_a_service_has_a_ramdisk(served: Any, info: Any) -> None:
    served.node.driver_internal_info = {
        'service_steps': [STEP],
        'service_disable_ramdisk': False, **info}
    ironic_series.note_service_without_ramdisk(served)
    assert not ironic_series.is_ramdisk_disabled(served.node)


# What Ironic stores

def test_history_names_the_project_where_ironic_has_it(
        make_node: Make, context: Any) -> None:
    node = make_node()
    ironic_series.node_history_record(
        node, event='done', user='someone', project='theirs')
    [entry] = objects.NodeHistory.list_by_node_id(context, node.id)
    assert (entry.event, entry.user) == ('done', 'someone')
    if ironic_series.HISTORY_PROJECT.present:
        assert entry.project == 'theirs'
    else:
        assert not hasattr(entry, 'project')


def test_inspection_data_of_swift_are_decoded(
        make_node: Make, acquire: Make) -> None:
    stored = {'inventory': {'cpu': 2}, 'plugin_data': {'a': [1]}}
    task = acquire(make_node())
    CONF.set_override('data_backend', 'swift', group='inventory')
    try:
        with mock.patch.object(swift, 'SwiftAPI', autospec=True) as api:
            api.return_value.get_object.side_effect = (
                lambda name, _container: json.dumps(
                    stored['inventory' if name.endswith('-inventory')
                           else 'plugin_data']).encode())
            found = inventory_store.inspection_data(task)
    finally:
        CONF.clear_override('data_backend', group='inventory')
    assert (found.inventory, dict(found.plugin)) == (
        stored['inventory'], stored['plugin_data'])


def test_no_series_differs_in_the_states_of_a_service() -> None:
    assert {states.SERVICING, states.SERVICEWAIT, states.AVAILABLE,
            states.CLEANWAIT} <= ironic_series.PROVISION_STATES
