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

"""The agent in the ramdisk, as a transport to a node.

It is called over Ironic's own session with the agent, by commands of our
extension (``accel_observe``, ``accel_start``, ``accel_poll``), which are short
and use JSON both ways (``converge.agent_schema``). A write continues in the
ramdisk.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import dataclasses
from typing import Any
from urllib import parse

from ironic_accel.conductor.access.agent_client import AgentCalls
from ironic_accel.conductor.access.agent_client import Lost
from ironic_accel.conductor.access import images
from ironic_accel.conductor.config import catalogue
from ironic_accel.converge import agent_answers
from ironic_accel.converge import agent_schema
from ironic_accel.converge.ports import Backend
from ironic_accel.converge.ports import Poll
from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Ticket
from ironic_accel.inband.inventory import device_match
from ironic_accel.model.device import Inventory
from ironic_accel.model import earlier_documents
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.identity import Source
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import UpdateTarget
from ironic_accel.model.plan import Ref
from ironic_accel.model.plan import Transport
from ironic_accel.model.profile import Image
from ironic_accel.model.profile import Push

NAME = 'agent'


@dataclasses.dataclass(frozen=True, slots=True)
class AgentView:
    """The inventory of a ramdisk in one response.

    :ivar inventory: what it reports; its ids are the agent's own.
    :ivar before: whether the ramdisk has the previous release, which reads
        requests in its own form.
    """

    inventory: Inventory
    _transports: tuple[Transport, ...]
    before: bool = False

    @classmethod
    def read(cls, answer: Mapping[str, Any]) -> AgentView:
        """Read an answer to ``accel_observe``, or what a collector sent.

        :raises: Unreachable where it is no inventory.
        """
        try:
            seen = agent_answers.inventory(
                answer.get('inventory'), NAME, catalogue.catalogue())
            return cls(seen, agent_answers.transports(
                earlier_documents.transports(answer), NAME, seen),
                'transports' not in answer)
        except agent_answers.Wrong as exc:
            raise Unreachable(
                'the agent in the ramdisk returned an invalid inventory',
                error_class=ErrorClass.TRANSIENT, seen=str(exc),
                todo='check the log of the ramdisk, and that it has the same '
                     'release of ironic-accel as this conductor') from exc

    def transports(self, inventory: Inventory) -> tuple[Transport, ...]:
        """The transports of the ramdisk, by the device ids of an inventory.

        That inventory may be joined from several and have other ids than the
        agent.
        """
        names = {}
        for one in inventory.devices:
            device = device_match.find(
                device_match.known(one), self.inventory.devices)
            if device is not None:
                names[device.id] = one.id
        return tuple(_called(w, names) for w in self._transports)


class AgentBackend(Backend):
    """The devices of a node as its ramdisk sees and changes them.

    :param calls: what carries a command to the agent.
    """

    def __init__(self, calls: AgentCalls) -> None:
        self._calls = calls
        self._view: AgentView | None = None
        self._whose: dict[str, agent_schema.Whose] = {}

    def sources(self) -> tuple[Source, ...]:
        """Read the inventory from the ramdisk; see ports.Backend.

        :raises: Unreachable; AccelError if the agent cannot take an inventory.
        """
        self._view = None
        try:
            answer = self._calls.ask('accel_observe')
        except Lost as exc:
            raise Unreachable(exc.detail) from exc
        self._view = AgentView.read(answer)
        return (Source(self._view.inventory),)

    def transports(self, inventory: Inventory, pushes: Collection[Push] = ()
             ) -> tuple[Transport, ...]:
        """What can be done from inside; see AgentView.transports."""
        self._whose = {d.id: device_match.known(d) for d in inventory.devices}
        return (
            self._view.transports(inventory) if self._view is not None else ())

    def start(self, action: Action, image: Ready | None = None,
              spec: Image | None = None, force: bool = False) -> Ticket:
        """Begin a write in the ramdisk; see ports.Backend.

        The agent fetches the image itself, from this conductor where it
        serves images, and checks its digest.

        :raises: Rejected; Unreachable; OutcomeUnknown.
        """
        sources = _sources()
        if spec is not None and image is not None:
            spec, sources = _served(image, spec, sources)
        devices = dict.fromkeys(i.device for i in action.items)
        unknown = [d for d in devices if d not in self._whose]
        if unknown:
            raise Rejected('the agent in the ramdisk does not report the '
                           'device',
                           error_class=ErrorClass.TRANSIENT,
                           device=unknown[0])
        request = agent_schema.Start(
            action, tuple(self._whose[d] for d in devices), spec, force,
            sources).to_dict()
        if self._view is not None and self._view.before:
            request = earlier_documents.start_before(request)
        try:
            answer = self._calls.ask('accel_start', request=request)
        except Lost as exc:
            raise OutcomeUnknown(exc.detail) from exc
        try:
            return agent_answers.ticket(answer.get('ticket'))
        except agent_answers.Wrong as exc:
            # It may have begun all the same.
            raise OutcomeUnknown(
                'the agent in the ramdisk returned an invalid ticket for a '
                'write', error_class=ErrorClass.TRANSIENT, seen=str(exc)
            ) from exc

    def poll(self, ticket: Ticket) -> Poll:
        """Read the state of a write; see ports.Backend.

        :raises: Unreachable if the state is unknown.
        """
        try:
            answer = self._calls.ask('accel_poll', ticket=dict(ticket))
        except (Lost, Unreachable) as exc:
            raise Unreachable(
                f'{exc.detail.summary}: the result of the write is unknown',
                error_class=exc.detail.error_class,
                running='unknown',
                todo='run the step again; it reads the result from the '
                     'device') from exc
        try:
            return agent_answers.poll(answer.get('poll'))
        except agent_answers.Wrong as exc:
            raise Unreachable(
                'the agent in the ramdisk returned an invalid state of a '
                'write: its result is unknown',
                error_class=ErrorClass.TRANSIENT, seen=str(exc),
                running='unknown',
                todo='check the log of the ramdisk') from exc


def _called(transport: Transport, names: Mapping[str, str]) -> Transport:
    """A transport with other device ids; devices without one are left out."""
    def ref(old: Ref) -> Ref:
        return names.get(old[0], old[0]), old[1]

    return Transport(
        transport.name,
        {ref(r): UpdateTarget(b.lane, tuple(ref(x) for x in b.also_writes))
         for r, b in transport.updates.items() if r[0] in names},
        frozenset(ref(r) for r in transport.sets if r[0] in names),
        {names[d]: e for d, e in transport.resets.items() if d in names})


def _sources() -> dict[str, Any]:
    """Where the agent may fetch an image from: where we may."""
    policy = images.policy()
    return {'schemes': sorted(policy.schemes), 'max_bytes': policy.max_bytes,
            'hosts': None if policy.hosts is None else list(policy.hosts)}


def _served(image: Ready, spec: Image, sources: dict[str, Any]
            ) -> tuple[Image, dict[str, Any]]:
    """The image as this conductor serves it, where it does.

    The ramdisk may not reach what the conductor reaches, and has none of
    its files.
    """
    url = images.serve(image, spec)
    if url is None:
        return spec, sources
    parts = parse.urlsplit(url)
    hosts = sources['hosts']
    return dataclasses.replace(spec, url=url), {
        **sources, 'schemes': sorted({*sources['schemes'], parts.scheme}),
        'hosts': (None if hosts is None
                  else [*hosts, parts.hostname or ''])}
