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

"""Management interfaces: Ironic's own, whose sensors and health know
accelerators.

Ironic asks every node for its sensors at an interval of its own
(``[sensor_data]``). What accelerators measure is added under the category
``Accelerator``, and their temperatures also under ``Temperature``, in the
shape in which Ironic's Redfish driver gives the others.

Since 35 Ironic asks for the health of every node whenever it asks for its
power state (``[conductor]enable_health_monitoring``), and keeps it in the
field ``health`` of the node.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from ironic.common import states
from ironic.drivers.modules.drac import management as drac_management
from ironic.drivers.modules.redfish import management as redfish_management
from oslo_log import log

from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.config import ironic_series
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import inventory_store
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import verification
from ironic_accel.model.errors import AccelError
from ironic_accel.model import traits
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.inventory import sensors
from ironic_accel.redfish.inventory.sensors import Reading

LOG = log.getLogger(__name__)

CATEGORY = 'Accelerator'

#: Redfish PhysicalContext (1.x) of a kind of device.
_CONTEXT = {'gpu': 'GPU', 'fpga': 'FPGA', 'nic': 'NetworkingDevice',
            'dpu': 'NetworkingDevice'}
_TEMPERATURE = ('identity', 'max_reading_range_temp',
                'min_reading_range_temp', 'reading_celsius',
                'physical_context', 'sensor_number', 'state', 'health')


class Sensors:
    """Adds accelerators to what an interface of Ironic's reads."""

    def get_sensors_data(self, task: Any) -> dict[str, Any]:
        """The sensor data of the node by category.

        Under ``Accelerator``, for each device: identity, kind, product,
        serial_number, state, health, temperature_celsius, power_watts, and the
        lifetime ECC errors of memory and caches; None is a value that the
        device does not report. If the accelerators cannot be read, the other
        categories are returned and the reason is logged.

        :raises: what the interface of Ironic raises.
        """
        data: dict[str, Any] = dict(
            super().get_sensors_data(task))  # type: ignore[misc]
        if not CONF.accelerator.sensors:
            return data
        readings = _readings(task)
        data[CATEGORY] = {r.device.id: _entry(r) for r in readings}
        warm = {f'{r.device.id}@{CATEGORY}': _temperature(r)
                for r in readings if r.temperature is not None}
        if warm:
            data['Temperature'] = _even(
                {**(data.get('Temperature') or {}), **warm})
        return data


class Health:
    """Adds accelerators to the health that an interface of Ironic's reads."""

    def get_node_health(self, task: Any) -> Any:
        """The worse of the health of the system and of the accelerators.

        Of the accelerators the last stored inventory counts, which costs no
        request: Ironic asks each minute. If there is no inventory, the health
        of an accelerator could not be read, or the inventory of a host that
        is on is older than ``[accelerator]health_max_age``, the health of the
        node is unknown, except where the system or another accelerator
        reports Warning or Critical.

        :returns: an ``ironic.common.health_states.HealthState``, or None if
            the health is unknown.
        :raises: what the interface of Ironic raises.
        """
        # Without ironic_series.NODE_HEALTH there is no such module, and nobody
        # asks.
        from ironic.common import health_states
        system = super().get_node_health(task)  # type: ignore[misc]
        stored = keys.SUMMARY.of(task.node) or {'at': 0.0}
        # An earlier version stored none; None: no accelerator reports one.
        told = stored.get('health', traits.UNREAD)
        for word in (health_states.HealthState.CRITICAL,
                     health_states.HealthState.WARNING):
            if word == system or word.value == told:
                return word
        # A host that is off shows no devices: what it showed last holds, as
        # for its traits.
        fresh = task.node.power_state == states.POWER_OFF or not (
            verification.is_past(stored['at'], clock.shared(),
                                 CONF.accelerator.health_max_age))
        return system if told in ('OK', None) and fresh else None


def _readings(task: Any) -> list[Reading]:
    """What the devices that were seen last measure now."""
    if flash_guard.applicable(task) is not None:
        # A BMC that writes firmware has enough to do.
        return []
    stored = inventory_store.load(task)
    if stored is None:
        return []
    try:
        connector, _ = bmc_session.session(task.node)
        return sensors.read(connector, stored.inventory.devices, BmcSettings())
    except AccelError as exc:
        LOG.warning('Failed to read the accelerator sensors of node %(node)s: '
                    '%(why)s', {'node': task.node.uuid, 'why': exc})
        return []


def _entry(reading: Reading) -> dict[str, Any]:
    device = reading.device
    return {'identity': device.id, 'kind': device.kind,
            'product': device.product, 'serial_number': device.serial,
            'state': reading.state, 'health': reading.health,
            'temperature_celsius': reading.temperature,
            'power_watts': reading.power,
            'memory_correctable_ecc_errors': reading.memory_corrected,
            'memory_uncorrectable_ecc_errors': reading.memory_uncorrected,
            'cache_correctable_ecc_errors': reading.cache_corrected,
            'cache_uncorrectable_ecc_errors': reading.cache_uncorrected}


def _temperature(reading: Reading) -> dict[str, Any]:
    """A temperature as Ironic's Redfish driver gives it."""
    values = {'identity': reading.device.id,
              'reading_celsius': reading.temperature,
              'physical_context': _CONTEXT.get(
                  reading.device.kind, 'Accelerator'),
              'state': reading.state, 'health': reading.health}
    return {key: values.get(key) for key in _TEMPERATURE}


def _even(entries: Mapping[str, Mapping[str, Any]]
          ) -> dict[str, dict[str, Any]]:
    """Entries that all have the same keys with a value.

    ironic-prometheus-exporter makes labels of the keys that have one, takes
    the first entry's for all, and loses the whole node where a later one has
    others (parsers/redfish.py, category_registry, 4.10).
    """
    keys = _told(entries.values())
    return {name: {key: '' if key in keys and value is None else value
                   for key, value in entry.items()}
            for name, entry in entries.items()}


def _told(entries: Iterable[Mapping[str, Any]]) -> set[str]:
    return {key for entry in entries for key, value in entry.items()
            if value is not None} - {'reading_celsius'}


@ironic_series.inherited_periodics_once
class AccelRedfishManagement(Health, Sensors,
                             redfish_management.RedfishManagement):
    """Ironic's Redfish management, with sensors and health of accelerators.
    """


@ironic_series.inherited_periodics_once
class AccelIdracManagement(Health, Sensors,
                           drac_management.DracRedfishManagement):
    """Ironic's iDRAC management, with sensors and health of accelerators."""
