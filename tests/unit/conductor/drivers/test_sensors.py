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

"""Sensors of accelerators, from the BMC to what Prometheus is given."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import pathlib
import queue
import threading
import types
from typing import Any

from ironic.conductor import manager
from ironic.conf import CONF
from ironic.drivers.modules.redfish import management as upstream
import oslo_messaging
from prometheus_client import parser
import pytest

from ironic_accel.conductor.drivers import management
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import inventory_store
from ironic_accel.redfish.backend import RedfishBackend
from ironic_accel.redfish.client import session
from ironic_accel_emulator import Box
from ironic_accel_emulator import FakeClock
from ironic_accel_emulator import load_box
from ironic_accel_emulator import TwinServer

SYSTEM = '/redfish/v1/Systems/System_0'
GPUS = 8

MakeNode = Callable[..., Any]


@pytest.fixture
def box() -> Iterator[tuple[Box, str]]:
    """An HGX host that is on, and its BMC's address."""
    clock = FakeClock()
    box = load_box('hgx-h100', clock=clock, power='On')
    clock.advance(600)
    server = TwinServer(box)
    yield box, server.start()
    server.stop()


@pytest.fixture
def node(box: tuple[Box, str], make_node: MakeNode,
         acquire: Callable[..., Any]) -> Iterator[Any]:
    """A node of ours whose accelerators were looked at."""
    _, url = box
    made = make_node(
        name='hgx-1', management_interface='accel-redfish',
        driver_info={'redfish_address': url, 'redfish_auth_type': 'basic',
                     'redfish_system_id': SYSTEM})
    connector = session.connect(url)
    task = acquire(made)
    inventory_store.save(task, RedfishBackend(connector, SYSTEM).observe())
    task.node.save()
    task.release_resources()
    session.disconnect(connector)
    yield made


@pytest.fixture
def metrics(tmp_path: pathlib.Path, context: Any,
            monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], list[Any]]:
    """What the exporter's web server gives of a node's sensors.

    The conductor's own task asks the node and notifies; the driver named in
    its configuration writes; the exporter's application reads.
    """
    # Importing the exporter registers an option that Ironic must then have.
    from ironic_prometheus_exporter.app import exporter

    from ironic_accel.faces.export import prometheus
    assert prometheus.CATEGORY == management.CATEGORY
    CONF.set_override('location', str(tmp_path / 'metrics'),
                      group='oslo_messaging_notifications')
    conf = tmp_path / 'ironic.conf'
    conf.write_text('[oslo_messaging_notifications]\n'
                    f'location = {tmp_path / "metrics"}\n')
    monkeypatch.setenv('IRONIC_CONFIG', str(conf))
    transport = oslo_messaging.get_notification_transport(
        CONF, url='fake://')
    notifier = oslo_messaging.Notifier(
        transport, driver='accel_prometheus', publisher_id='conductor',
        topics=['notifications'],
        serializer=oslo_messaging.JsonPayloadSerializer())

    def read(node: Any) -> list[Any]:
        waiting: queue.Queue[tuple[str | None, ...]] = queue.Queue()
        waiting.put((node.uuid, node.driver, '', None))
        conductor = types.SimpleNamespace(
            _shutdown=threading.Event(), sensors_notifier=notifier,
            _filter_out_unsupported_types=lambda data: data)
        manager.ConductorManager._sensors_nodes_task(
            conductor, context, waiting)
        answer = exporter.application.test_client().get('/metrics')
        assert answer.status_code == 200
        return list(parser.text_string_to_metric_families(
            answer.get_data(as_text=True)))
    return read


def values(families: list[Any], name: str) -> dict[str, float]:
    """A metric's values by accelerator."""
    [family] = [f for f in families if f.name == name]
    return {s.labels['accelerator']: s.value for s in family.samples}


def test_gpu_sensors_reach_prometheus(
        box: tuple[Box, str], node: Any,
        metrics: Callable[[Any], list[Any]]) -> None:
    families = metrics(node)
    warm = values(families, 'baremetal_accelerator_temperature_celsius')
    assert sorted(warm.values()) == [30.0 + n for n in range(1, GPUS + 1)]
    drawn = values(families, 'baremetal_accelerator_power_watts')
    assert sorted(drawn.values()) == [70.0 + n for n in range(1, GPUS + 1)]
    for errors in ('memory_correctable', 'memory_uncorrectable',
                   'cache_correctable', 'cache_uncorrectable'):
        counted = values(
            families, f'baremetal_accelerator_{errors}_ecc_errors')
        assert list(counted.values()) == [0.0] * GPUS
    assert set(warm) <= set(
        values(families, 'baremetal_accelerator_status'))
    # The shape that the exporter's own parser knows.
    [plain] = [f for f in families if f.name == 'baremetal_temp_gpu_celsius']
    assert len(plain.samples) == GPUS
    assert {s.labels['node_name'] for s in plain.samples} == {'hgx-1'}


def test_unhealthy_gpu_and_its_errors_are_reported(
        box: tuple[Box, str], node: Any,
        metrics: Callable[[Any], list[Any]]) -> None:
    documents = box[0].documents
    gpu = ('/redfish/v1/Systems/HGX_Baseboard_0/Processors/GPU_SXM_3')

    def at(path: str) -> dict[str, Any]:
        found = documents.see(gpu + path)
        assert found is not None
        return found

    at('')['Status']['Health'] = 'Critical'
    at('/MemorySummary/MemoryMetrics')['LifeTime'][
        'UncorrectableECCErrorCount'] = 7
    at('/EnvironmentMetrics')['PowerWatts'] = 'a lot'
    families = metrics(node)
    status = values(families, 'baremetal_accelerator_status')
    assert sorted(status.values())[-2:] == [0.0, 2.0]
    [ill] = [name for name, value in status.items() if value == 2.0]
    assert values(families, 'baremetal_accelerator_memory_uncorrectable'
                  '_ecc_errors')[ill] == 7
    drawn = values(families, 'baremetal_accelerator_power_watts')
    assert ill not in drawn
    assert len(drawn) == GPUS - 1


@pytest.mark.parametrize('why', ['switched off', 'in a flash', 'not seen'])
def test_disabled_sensors_are_not_read(
        why: str, node: Any, acquire: Callable[..., Any],
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        upstream.RedfishManagement, 'get_sensors_data',
        lambda self, task: {'Fan': {}})
    task = acquire(node)
    asked = task.driver.management.get_sensors_data(task)
    assert len(asked['Temperature']) == GPUS
    if why == 'switched off':
        CONF.set_override('sensors', False, group='accelerator')
    elif why == 'in a flash':
        flash_guard.put(task.node, 'GPU 1', 4e9, 600)
    else:
        monkeypatch.setattr(inventory_store, 'load', lambda task: None)
    try:
        told = task.driver.management.get_sensors_data(task)
    finally:
        CONF.clear_override('sensors', group='accelerator')
    assert not told.get('Accelerator')
    assert 'Temperature' not in told
    assert told['Fan'] == {}


def test_temperatures_are_labelled_evenly(
        node: Any, acquire: Callable[..., Any],
        monkeypatch: pytest.MonkeyPatch) -> None:
    # The exporter loses a node whose sensors have different labels.
    inlet = {'identity': '1', 'max_reading_range_temp': 125,
             'min_reading_range_temp': None, 'reading_celsius': 21,
             'physical_context': 'Intake', 'sensor_number': 4,
             'state': 'Enabled', 'health': 'OK'}
    monkeypatch.setattr(
        upstream.RedfishManagement, 'get_sensors_data',
        lambda self, task: {'Temperature': {'1@Chassis': dict(inlet)}})
    task = acquire(node)
    told = task.driver.management.get_sensors_data(task)['Temperature']
    assert len(told) == GPUS + 1
    assert len({tuple(k for k, v in entry.items() if v is not None)
                for entry in told.values()}) == 1
    assert told['1@Chassis'] == inlet
