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

"""Sensor readings of accelerators: temperature, power, ECC error counts.

Read from the resources that belong to a device: ``EnvironmentMetrics``
(Redfish EnvironmentMetrics 1.3: TemperatureCelsius and PowerWatts are sensor
excerpts with a Reading), ``ProcessorMetrics`` (1.6: CacheMetricsTotal; 1.2,
TemperatureCelsius and ConsumedPowerWatt as plain numbers)
and ``MemoryMetrics`` (1.7: LifeTime) of a Processor's MemorySummary.
"""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses

from ironic_accel.model.device import Device
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client.reader import Reader
from ironic_accel.redfish.client import session

#: Kinds of devices whose sensors are read.
_KINDS = frozenset({'gpu', 'fpga', 'nic', 'dpu', 'ai', 'crypto'})


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """The readings of one device; None if it does not report one.

    :ivar state: Redfish Status.State.
    :ivar health: Redfish Status.Health.
    :ivar temperature: degrees Celsius.
    :ivar power: watts.
    :ivar memory_corrected: correctable ECC errors of the device's memory
        over its lifetime; ``memory_uncorrected``: uncorrectable ones.
    :ivar cache_corrected: correctable ECC errors of its caches.
    """

    device: Device
    state: str | None = None
    health: str | None = None
    temperature: float | None = None
    power: float | None = None
    memory_corrected: int | None = None
    memory_uncorrected: int | None = None
    cache_corrected: int | None = None
    cache_uncorrected: int | None = None


def read(connector: session.Connector, devices: Iterable[Device],
         settings: BmcSettings) -> list[Reading]:
    """Read the sensors of devices with a known resource.

    One request per device with ``$expand``, up to four without. A device
    that cannot be read is omitted.

    :raises: Unreachable if the BMC does not respond at all.
    """
    reader = Reader(connector, settings)
    reader.root()
    found = []
    for device in devices:
        if device.kind not in _KINDS or device.uri is None:
            continue
        own = reader.deep(device.uri, 1)
        if own is not None:
            found.append(_reading(reader, device, own))
    return found


def _reading(reader: Reader, device: Device, own: Fields) -> Reading:
    air = _linked(reader, own, 'EnvironmentMetrics')
    metrics = _linked(reader, own, 'Metrics')
    memory = _linked(reader, own, 'MemorySummary', 'Metrics')
    caches = metrics.part('CacheMetricsTotal', 'LifeTime')
    return Reading(
        device, state=own.text('Status', 'State'),
        health=own.text('Status', 'Health'),
        temperature=_first(air.part('TemperatureCelsius').reading('Reading'),
                           metrics.reading('TemperatureCelsius')),
        power=_first(air.part('PowerWatts').reading('Reading'),
                     metrics.reading('ConsumedPowerWatt')),
        memory_corrected=memory.number('LifeTime', 'CorrectableECCErrorCount'),
        memory_uncorrected=memory.number(
            'LifeTime', 'UncorrectableECCErrorCount'),
        cache_corrected=caches.number('CorrectableECCErrorCount'),
        cache_uncorrected=caches.number('UncorrectableECCErrorCount'))


def _linked(reader: Reader, own: Fields, *path: str) -> Fields:
    """A linked resource; one without properties if there is no link."""
    return reader.read(own.link(*path)) or reader.fields({})


def _first(*values: float | None) -> float | None:
    return next((v for v in values if v is not None), None)
