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

"""Short forms of actions of the planner."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ironic_accel.converge.ports import Ready
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Value
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Change
from ironic_accel.model.plan import Item
from ironic_accel.model.plan import Ref
from ironic_accel.model.profile import Push
from ironic_accel.redfish.backend import RedfishBackend
from ironic_accel_emulator import images


def bundle(folder: Path, board: str = 'hgx-h100', **versions: str) -> Ready:
    """A firmware bundle of the emulator, ready for a push."""
    path = folder / 'bundle.fwpkg'
    digest = images.pldm_bundle(path, versions, board=board)
    return Ready(str(path), path.stat().st_size, digest)


def update(inventory: Inventory, wanted: dict[tuple[str, str], str],
         also: Iterable[Ref] = ()) -> Action:
    """Update components by one push.

    :param wanted: versions by (device id, component).
    :param also: collateral in the plan.
    """
    return Action('update', 'redfish', tuple(
        Change(Item(d, c, 'firmware', v), None)
        for (d, c), v in wanted.items()), Activation.AUX_CYCLE, 'bundle',
        tuple(also))


def planned(backend: RedfishBackend, wanted: dict[tuple[str, str], str],
            push: Push | None = None) -> Action:
    """The same, with the collateral that the transport reports."""
    inventory = backend.observe()
    transport, = backend.transports(inventory, () if push is None else (push,))
    also: set[Ref] = set()
    for ref in wanted:
        more = (transport.updates[ref].also_writes if push is None
                else transport.updates[ref].pushes[push])
        also |= set(more or ())
    return update(inventory, wanted, sorted(also - set(wanted)))


def set_mode(wanted: dict[str, Value], name: str,
             activation: Activation = Activation.WARM_REBOOT) -> Action:
    """Set one mode on devices."""
    return Action('set', 'redfish', tuple(
        Change(Item(d, name, 'mode', v), None)
        for d, v in wanted.items()), activation)


def gpus(inventory: Inventory) -> list[str]:
    """Ids of the GPUs."""
    return [d.id for d in inventory.devices if d.kind == 'gpu']
