# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The whole state of a system as JSON, for ``/_twin/state``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ironic_accel_emulator.box import Box


def describe(box: Box) -> dict[str, Any]:
    """Hosts, devices, components, modes, tasks, copies and faults."""
    return {
        'name': box.name,
        'family': box.family.name,
        'time': box.timeline.now,
        'bmc_away': box.power.bmc_away,
        'hosts': {h.id: h.power for h in box.hosts.values()},
        'devices': {
            d.id: {
                'kind': d.kind, 'host': d.host, 'shown': box.shown(d),
                'present': d.present, 'health': d.health,
                'bricked': d.bricked,
            }
            for d in box.devices.values()
        },
        'components': {
            c.id: {
                'running': c.running, 'pending': c.pending,
                'device': c.device, 'effect': c.activation.name,
                'flashing': c.flashing,
            }
            for c in box.components.values()
        },
        'modes': {
            m.id: {'current': m.current, 'pending': m.pending}
            for m in box.modes.values()
        },
        'tasks': {t.id: t.state for t in box.tasks.all.values()},
        'copying': dict(box.copying),
        'faults': box.faults.as_dict(),
    }  # fmt: skip
