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

"""Metrics of accelerators for ironic-prometheus-exporter.

The exporter has a notification driver for the conductor, which writes a file
for each node, and a web server, which serves the files to Prometheus. The
driver selects its parser by the event type, which contains the hardware type
of the node, and knows the hardware types of Ironic only (messaging.py,
NODE_PARSERS, 4.10). The driver in this module uses the same parsers for the
hardware types of this plug-in, and adds metrics of accelerators. The web
server is used unchanged. In ``ironic.conf``::

    [oslo_messaging_notifications]
    driver = accel_prometheus
    location = /var/lib/ironic/metrics
    transport_url = fake://
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import ClassVar

from ironic_prometheus_exporter import messaging
from ironic_prometheus_exporter.parsers import ipmi
from ironic_prometheus_exporter.parsers import redfish
from ironic_prometheus_exporter.utils import update_instance_uuid
from prometheus_client import CollectorRegistry
from prometheus_client import Gauge

CATEGORY = 'Accelerator'

#: Name, key in the notification, and help text of each metric.
METRICS = (
    ('baremetal_accelerator_temperature_celsius', 'temperature_celsius',
     'Temperature of an accelerator in degrees Celsius'),
    ('baremetal_accelerator_power_watts', 'power_watts',
     'Power consumption of an accelerator in watts'),
    ('baremetal_accelerator_memory_correctable_ecc_errors',
     'memory_correctable_ecc_errors',
     'Corrected ECC errors of the memory, lifetime count'),
    ('baremetal_accelerator_memory_uncorrectable_ecc_errors',
     'memory_uncorrectable_ecc_errors',
     'Uncorrectable ECC errors of the memory, lifetime count'),
    ('baremetal_accelerator_cache_correctable_ecc_errors',
     'cache_correctable_ecc_errors',
     'Corrected ECC errors of the caches, lifetime count'),
    ('baremetal_accelerator_cache_uncorrectable_ecc_errors',
     'cache_uncorrectable_ecc_errors',
     'Uncorrectable ECC errors of the caches, lifetime count'))
STATUS = 'baremetal_accelerator_status'

LABELS = ('node_name', 'node_uuid', 'instance_uuid', 'accelerator', 'kind',
           'product', 'serial_number')

Parser = Callable[[Mapping[str, Any], CollectorRegistry], None]


def accelerators(message: Mapping[str, Any],
                 registry: CollectorRegistry) -> None:
    """Register the metrics of the accelerators in a notification.

    :param message: the notification: the names of the node, and its sensors
        by category in ``payload``.
    """
    entries = (message.get('payload') or {}).get(CATEGORY) or {}
    if not entries:
        return
    labels = {name: _labels(message, name, entry)
              for name, entry in entries.items()}
    for metric, key, text in METRICS:
        found = {n: e[key] for n, e in entries.items()
                if e.get(key) is not None}
        _register(registry, metric, text, found, labels)
    _register(registry, STATUS,
              'Health of an accelerator: 0 OK, 1 Warning, 2 Critical',
              {n: redfish.HEALTH_MAP[e['health']]
               for n, e in entries.items()
               if e.get('health') in redfish.HEALTH_MAP}, labels)


def _register(registry: CollectorRegistry, metric: str, text: str,
              found: Mapping[str, float],
              labels: Mapping[str, Mapping[str, str]]) -> None:
    if not found:
        return
    gauge = Gauge(metric, text, labelnames=LABELS, registry=registry)
    for name, value in found.items():
        gauge.labels(**labels[name]).set(value)


def _labels(message: Mapping[str, Any], name: str,
            entry: Mapping[str, Any]) -> dict[str, str]:
    values = update_instance_uuid({
        'node_name': message.get('node_name'),
        'node_uuid': message.get('node_uuid'),
        'instance_uuid': message.get('instance_uuid'), 'accelerator': name,
        **{key: entry.get(key) for key in (
            'kind', 'product', 'serial_number')}})
    return {key: values.get(key) or '' for key in LABELS}


def _with(parser: Parser) -> Parser:
    """A parser of the exporter that also registers accelerators."""
    def both(message: Mapping[str, Any],
             registry: CollectorRegistry) -> None:
        parser(message, registry)
        accelerators(message, registry)
    return both


class AccelPrometheusDriver(
        messaging.PrometheusFileDriver):  # type: ignore[misc]
    """The driver of the exporter, with the hardware types of this plug-in."""

    NODE_PARSERS: ClassVar[dict[str, Parser]] = {
        **messaging.PrometheusFileDriver.NODE_PARSERS,
        'hardware.accel-redfish.metrics': _with(redfish.category_registry),
        'hardware.accel-idrac.metrics': _with(redfish.category_registry),
        'hardware.accel-ipmi.metrics': _with(ipmi.category_registry)}
