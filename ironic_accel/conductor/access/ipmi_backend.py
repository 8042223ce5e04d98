# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Nodes without Redfish: their BMC is read by IPMI, and nothing is written.

Accelerators of such a node are seen and changed in band; its power goes
through Ironic's own interface.
"""

from __future__ import annotations

from typing import Any

from ironic.common import exception
from ironic.drivers.modules import ipmitool

from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import inventory_store
from ironic_accel.converge.ports import Backend
from ironic_accel.converge.ports import Poll
from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Ticket
from ironic_accel.converge.ports import Unknown
from ironic_accel import ipmi
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Rejected
from ironic_accel.model.identity import Source
from ironic_accel.model.plan import Action
from ironic_accel.model.profile import Image

NAME = ipmi.NAME
DRIVER = 'accel-ipmi'


def target(node: Any) -> ipmi.IpmiTarget:
    """The BMC of a node, as Ironic itself reads its driver_info.

    :raises: AccelError where something is missing or not valid there.
    """
    try:
        info = ipmitool._parse_driver_info(node)
    except (exception.MissingParameterValue,
            exception.InvalidParameterValue) as exc:
        raise AccelError(
            f'driver_info: {exc}', error_class=ErrorClass.NEEDS_OPERATOR,
            node=node.uuid) from exc
    return ipmi.IpmiTarget(
        info['address'], info['username'] or '', info['password'] or '',
        info['dest_port'] or ipmi.PORT, info['hex_kg_key'])


class IpmiBackend(Backend):
    """The FRU inventory and the firmware revision of a node's BMC.

    :param task: a task that holds the node.
    :raises: AccelError if driver_info has no valid IPMI address or
        credentials.
    """

    def __init__(self, task: Any) -> None:
        self._task = task
        self._target = target(task.node)

    def sources(self) -> tuple[Source, ...]:
        """Read the BMC; see ports.Backend.

        :raises: Unreachable if it does not respond or rejects the credentials.
        """
        answer = ipmi.ask(self._target, float(CONF[DRIVER].timeout))
        stored = inventory_store.load(self._task)
        return (Source(ipmi.inventory(
            answer, stored.inventory.devices if stored else ())),)

    def start(self, action: Action, image: Ready | None = None,
              spec: Image | None = None, force: bool = False) -> Ticket:
        """Begin nothing.

        :raises: Rejected.
        """
        raise Rejected('accelerators cannot be changed over IPMI',
                       error_class=ErrorClass.NEEDS_OPERATOR,
                       todo='use the step apply_profile_in_band')

    def poll(self, ticket: Ticket) -> Poll:
        """Nothing was ever begun here."""
        return Unknown('accelerators cannot be changed over IPMI')
