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

"""Our own reader."""

from __future__ import annotations

from bench.measure.facts import Facts
from ironic_accel.redfish.backend import RedfishBackend
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client import session


def read(url: str, system: str, expand: bool) -> Facts:
    """One observation, and what it found."""
    connector = session.connect(url)
    try:
        backend = RedfishBackend(connector, system,
                                 settings=BmcSettings(expand=expand))
        inventory = backend.observe()
    finally:
        session.disconnect(connector)
    return Facts(
        devices=len(inventory.devices),
        versions=sum(c.running is not None for d in inventory.devices
                     for c in d.components),
        modes=sum(len(d.modes) for d in inventory.devices),
        note='' if inventory.complete else 'incomplete')
