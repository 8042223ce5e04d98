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

"""A step that resets all devices of one kind."""

from typing import Any

from ironic_accel.conductor.config import declared_steps
from ironic_accel.conductor.drivers import steps
from ironic_accel.conductor.node import inventory_store
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node.operation import Operation


class ResetKind:
    """The step; a base class of ``Accelerator`` in ``drivers/vendor.py``."""

    @declared_steps.step('clean', arguments={'device_kind': {
        'description': 'Kind of the devices: gpu, fpga, dpu, ...',
        'required': True}})
    def reset_kind(self, task: Any, device_kind: str) -> str:
        """Reset all devices of one kind, with the host on.

        :raises: InvalidParameterValue where the node has none.
        """
        stored = inventory_store.load(task)
        devices = [d.id for d in stored.inventory.devices
                   if d.kind == device_kind] if stored else []
        if not devices:
            raise steps.invalid(f'device_kind: node {task.node.uuid} has no '
                            f'{device_kind!r} in its stored inventory')
        kind = str(operation.kind_of(task.node))
        steps.check_reset(task.node, kind, devices)
        return steps.begin(task, Operation(
            kind=kind, step='reset_kind', work='reset',
            devices=tuple(devices)))
