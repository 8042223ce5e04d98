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

"""What a tenant leaves behind: nothing that we still vouch for."""

from __future__ import annotations

from typing import Any

from oslo_log import log

from ironic_accel.conductor import netports
from ironic_accel.conductor import nodetraits
from ironic_accel.conductor import proofs
from ironic_accel.conductor import saving
from ironic_accel.conductor import store

LOG = log.getLogger(__name__)


def begun(node: Any) -> None:
    """Note that a tenant gets the node; the caller saves it."""
    node.set_driver_internal_info(proofs.TENANT_KEY, True)


def ended(task: Any) -> None:
    """Withdraw what was proved before or while a tenant had the node.

    A tenant may have burnt and set what it liked; until somebody looks, all
    that is certain is that the devices were there.
    """
    node = task.node
    info = node.driver_internal_info or {}
    if not info.get(proofs.TENANT_KEY) and not info.get(proofs.KEY):
        return
    proofs.drop(node, set(proofs.of(node)))
    netports.withdraw(task)
    names = nodetraits.withdraw(
        task, lambda meaning: meaning.startswith(('is ', 'mode ')))
    node.del_driver_internal_info(proofs.TENANT_KEY)
    store.tenant_gone(node)
    saving.save(node)
    LOG.info('Node %(node)s had a tenant; withdrawn: %(traits)s',
             {'node': node.uuid, 'traits': ', '.join(names) or 'nothing'})
