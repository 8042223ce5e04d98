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

"""Taking a node out of our care: all that we put on it goes.

What Ironic itself keeps of a node (driver, interfaces) the API changes; what
the API cannot remove is removed here: traits, firmware components, the
stored inventory and our keys in ``driver_internal_info``.
"""

from __future__ import annotations

from typing import Any

from ironic.common import exception

from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import inventory_store
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.publication import ports
from ironic_accel.conductor.publication import traits


def check(task: Any) -> None:
    """Make sure that ironic-accel can be disabled for a node.

    :raises: InvalidState while an operation or an update is in progress.
    """
    node = task.node
    standing = flash_guard.applicable(task)
    if standing is not None:
        raise exception.InvalidState(flash_guard.refusal(*standing))
    operation.check_free(node)


def disable(task: Any) -> dict[str, Any]:
    """Remove what we set on a node, and save it.

    Fields of its ports are removed too. A trait that the instance of the node
    requires stays: a rebuild needs it, and the operator has to remove it
    later. A resource class stays as well: Nova counts the node by it. Doing it
    twice changes nothing.

    :returns: ``traits`` and ``kept_traits`` (names), ``firmware`` (number of
        rows) and ``keys`` (names).
    """
    node = task.node
    ports.clear(task)
    removed, kept = traits.remove_all(task)
    rows = inventory_store.forget(task)
    ours = sorted(k for k in node.driver_internal_info or {}
                  if k.startswith(keys.PREFIX) and k != keys.FENCE.name)
    for key in ours:
        node.del_driver_internal_info(key)
    text = (f'disabled: removed {len(removed)} traits, {rows} firmware '
            f'components and {len(ours)} keys')
    if kept:
        text += f"; kept for the instance: {', '.join(kept)}"
    saving.history(node, text)
    saving.save(node, forget=True)
    return {'traits': removed, 'kept_traits': kept, 'firmware': rows,
            'keys': ours}
