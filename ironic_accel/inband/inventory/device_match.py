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


"""Find the local device that a caller means, who may use another id.

The caller has merged several inventories, or one with an earlier one. A device
is identified by its serial number, then its address, then its location, and
nothing else that is known may contradict.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses

from ironic_accel.converge.agent_schema import Whose
from ironic_accel.model.device import Device
from ironic_accel.model import device_marks
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Ref


def known(device: Device) -> Whose:
    """The identity of a device."""
    return Whose(device.id, device.kind,
                 device_marks.clean_serial(device.serial),
                 device.address, device.location)


def find(whose: Whose, devices: Iterable[Device]) -> Device | None:
    """The one device that is meant, or None."""
    alike = [d for d in devices if _alike(whose, d)]
    for key in ('serial', 'address', 'location'):
        wanted = getattr(whose, key)
        found = [d for d in alike if wanted is not None and _same(
            wanted, getattr(d, key))]
        if len(found) == 1:
            return found[0]
    return None


def _same(a: str, b: str | None) -> bool:
    return b is not None and device_marks.clean_text(a) is not None and (
        a.strip().lower() == b.strip().lower())


def _alike(whose: Whose, device: Device) -> bool:
    kinds = {whose.kind, device.kind}
    serial = device_marks.clean_serial(whose.serial)
    return (len(kinds) == 1 or kinds == {'nic', 'dpu'}) and (
        serial is None or device.serial is None
        or _same(serial, device.serial))


def renamed(action: Action, names: Mapping[str, str]) -> Action:
    """The action with other device ids: new ones by old ones."""
    def ref(old: Ref) -> Ref:
        return names.get(old[0], old[0]), old[1]

    changes = tuple(dataclasses.replace(c, item=dataclasses.replace(
        c.item, device=ref(c.item.ref)[0])) for c in action.changes)
    return dataclasses.replace(
        action, changes=changes,
        also_writes=tuple(ref(r) for r in action.also_writes))
