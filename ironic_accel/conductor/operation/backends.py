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

"""Where a node is observed and written to: its BMC, and its children's.

One plan spans them: a DPU's mode is set through its own BMC, and the reset
that activates it is the host's.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Sequence
import dataclasses
import functools
from typing import Any

from ironic.common import exception

from ironic_accel.conductor.access import agent_backend
from ironic_accel.conductor.access.agent_backend import AgentBackend
from ironic_accel.conductor.access.agent_client import AgentCalls
from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.access import child_nodes
from ironic_accel.conductor.access import ipmi_backend
from ironic_accel.conductor.access.ipmi_backend import IpmiBackend
from ironic_accel.conductor.node import bmc_address
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node.operation import Operation
from ironic_accel.conductor.operation.node_journal import check_ours
from ironic_accel.converge.composite import Both
from ironic_accel.converge.composite import Delegating
from ironic_accel.converge.ports import Backend
from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Ticket
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Warned
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.identity import Source
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Ref
from ironic_accel.model.plan import Transport
from ironic_accel.model.profile import Image
from ironic_accel.model.profile import Push
from ironic_accel.redfish.backend import NAME


def backend(task: Any, current: Operation) -> Backend:
    """The backend of a node, including the backends of its child nodes.

    A child node in maintenance is left out: a DPU whose BMC has failed does
    not block the other devices of its host.

    :raises: Unreachable if the BMC of the node does not respond; AccelError if
        no transport can reach the node.
    """
    agent = AgentBackend(AgentCalls(task)) if current.in_band else None
    if bmc_address.of(task.node) is None:
        if agent is None and task.node.driver == ipmi_backend.DRIVER:
            return Both({ipmi_backend.NAME: IpmiBackend(task)})
        if agent is None:
            raise AccelError(
                'no transport can reach the accelerators of this node',
                error_class=ErrorClass.NEEDS_OPERATOR, node=task.node.uuid,
                expected='redfish_address in driver_info, or an in-band step')
        return Both({agent_backend.NAME: agent})
    # One action may take a request for each of its devices: a conductor that
    # loses the node in between sends no more of them.
    fence = functools.partial(check_ours, task, current)
    own = bmc_session.backend(task.node, before_write=fence)
    if task.node.parent_node:
        standing = flash_guard.applicable(task)
        return ReadOnlyBackend(own, 'a child node can only be changed by '
                                    'steps of its '
                                    'parent', standing is not None)
    transports: dict[str, Backend] = {NAME: own}
    for child in child_nodes.of(task):
        if child.maintenance or bmc_address.of(child) is None:
            continue
        name = transport_name(child)
        inner: Backend = ChildBackend(child, name, fence)
        why = child_nodes.in_use(child, current.disruption)
        if why:
            inner = ReadOnlyBackend(inner, why)
        transports[name] = inner
    if agent is None:
        return Both(transports)
    return Both({**transports, agent_backend.NAME: agent},
                # The monitoring of an update, too, learns from the BMC that
                # the host lost its power.
                needed=() if current.work == 'watch' else (
                    agent_backend.NAME,))


def transport_name(child: Any) -> str:
    """The name of the way through a child's BMC."""
    return f'{NAME}-{child.name or child.uuid[:8]}'


class ChildBackend(Delegating):
    """The BMC of a child node, connected to when it is first needed.

    One that does not answer makes an inventory incomplete; it is the host's
    BMC alone without which there is no inventory at all.

    :param node: the child node.
    :param name: of the way through its BMC.
    :param before_write: called before each request that changes something.
    """

    def __init__(self, node: Any, name: str,
                 before_write: Callable[[], None] | None = None) -> None:
        self._node = node
        self._name = name
        self._before_write = before_write
        self._connected: Backend | None = None

    def _target(self) -> Backend:
        if self._connected is None:
            try:
                self._connected = bmc_session.backend(
                    self._node, self._name, self._before_write)
            except exception.IronicException as exc:
                raise self._unreachable(
                    str(exc), ErrorClass.NEEDS_OPERATOR) from exc
            except Unreachable as exc:
                raise self._unreachable(
                    exc.detail.summary, exc.detail.error_class) from exc
        return self._connected

    def _unreachable(self, why: str, kind: ErrorClass) -> Unreachable:
        """That it is this BMC which does not answer, and not the host's."""
        name = self._node.name or self._node.uuid
        return Unreachable(f'the BMC of child node {name} is not reachable: '
                           f'{why}', error_class=kind, node=self._node.uuid)

    def sources(self) -> tuple[Source, ...]:
        """Read the child's inventory; see ports.Backend."""
        try:
            # It shows one card: what it lacks may be there all the same.
            return tuple(dataclasses.replace(s, whole=False)
                         for s in super().sources())
        except Unreachable as exc:
            if exc.detail.node == self._node.uuid:
                raise
            raise self._unreachable(
                exc.detail.summary, exc.detail.error_class) from exc


class ReadOnlyBackend(Delegating):
    """A backend through which nothing is written.

    What was begun before is still polled.

    :param why: why nothing is written, in a few words.
    :param changing: whether another step changes the system just now: what
        is seen then is no basis for anything.
    """

    def __init__(self, backend: Backend, why: str,
                 changing: bool = False) -> None:
        super().__init__(backend)
        self._why = why
        self._changing = changing

    def sources(self) -> tuple[Source, ...]:
        """Read the inventories; see ports.Backend."""
        sources = super().sources()
        if not self._changing:
            return sources
        why = 'an operation on the parent node is in progress'
        return tuple(dataclasses.replace(s, inventory=dataclasses.replace(
            s.inventory, complete=False,
            lacking=(*s.inventory.lacking, why), warnings=(
                *s.inventory.warnings, Warned('parent', why))))
            for s in sources)

    def transports(self, inventory: Inventory, pushes: Collection[Push] = ()
             ) -> tuple[Transport, ...]:
        """None."""
        return ()

    def start(self, action: Action, image: Ready | None = None,
              spec: Image | None = None, force: bool = False) -> Ticket:
        """Begin nothing.

        :raises: Rejected.
        """
        raise Rejected(self._why)

    def commit(self, refs: Sequence[Ref]) -> tuple[str, ...]:
        """Commit nothing."""
        return ()
