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

"""Power and resets of one host, for callers without a conductor.

Each method makes one request, or one read and one request. None waits for
the result. A write is sent once (``client.writer``).
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
from typing import Any

from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client.read_failures import NOT_THERE
from ironic_accel.redfish.client.reader import Reader
from ironic_accel.redfish.client import session
from ironic_accel.redfish.client.writer import Writer
from ironic_accel.redfish.inventory import activity
from ironic_accel.redfish.inventory import system_state
from ironic_accel.redfish.inventory import topology
from ironic_accel.redfish.vendors.base import AuxPower
from ironic_accel.redfish.vendors import registry

_RESET = '#ComputerSystem.Reset'
_INFO = '@Redfish.ActionInfo'

#: Seconds for which the actions of a System are not read again.
_RECENT = 1.0

#: Seconds after which a busy BMC is asked again.
_AT_WORK = 30.0


@dataclasses.dataclass(frozen=True, slots=True)
class AuxAction:
    """An action that cycles the auxiliary power of a system.

    :ivar target: URI of the action.
    :ivar body: body of the request; requires that the host is off.
    :ivar forced: body of the request while the host is on, or None if the
        action has no such form.
    """

    target: str
    body: Mapping[str, Any]
    forced: Mapping[str, Any] | None = None


class SystemPower:
    """The host of one System.

    :param connector: sushy's.
    :param system: path of the System.
    """

    def __init__(self, connector: session.Connector, system: str,
                 settings: BmcSettings | None = None) -> None:
        settings = settings or BmcSettings()
        self._source = connector
        self._settings = settings
        self._reader = Reader(connector, settings)
        self._writer = Writer(connector, settings)
        self._uri = system

    def power_state(self) -> system_state.Power:
        """``on``, ``off``, or ``unknown`` during a transition.

        :raises: Unreachable if the BMC does not respond.
        """
        return system_state.power(self._system())

    def check_bmc(self) -> None:
        """Check that the BMC responds.

        :raises: Unreachable if it does not.
        """
        self._system()

    def boot_mark(self) -> str | None:
        """A value that changes at each host reset; None if there is none.

        :raises: Unreachable if the BMC does not respond.
        """
        return system_state.boot_mark(self._system())

    def power_on(self) -> None:
        """Request power on.

        :raises: Rejected, Unreachable, OutcomeUnknown; so do the others.
        """
        self._reset('On', 'ForceOn')

    def power_off(self, soft: bool) -> None:
        """Request power off; soft asks the operating system to shut down."""
        self._reset('GracefulShutdown' if soft else 'ForceOff')

    def warm_reboot(self, soft: bool = False) -> None:
        """Restart the host without a power cut."""
        if soft:
            self._reset('GracefulRestart', 'ForceRestart')
        else:
            self._reset('ForceRestart', 'GracefulRestart')

    def reset_types(self) -> tuple[str, ...] | None:
        """The ResetTypes that the System offers; None if it lists none.

        :raises: Rejected if it has no reset action; Unreachable if it, or
            its ActionInfo, cannot be read.
        """
        action = self._reset_action(self._system(recent=True))
        allowed = self._allowed(action)
        if allowed is None:
            raise Unreachable(
                f'cannot read {action.doc.get(_INFO)}, which lists the '
                f'reset types of {self._uri}',
                error_class=ErrorClass.TRANSIENT)
        return tuple(allowed) or None

    def offers(self, kind: str) -> bool:
        """Whether a ResetType may be requested: it is listed, or there is no
        list.

        ``GracefulRestart`` and ``GracefulShutdown`` are the soft ones.

        :raises: as ``reset_types``.
        """
        types = self.reset_types()
        return types is None or kind in types

    def aux_cycle_action(self) -> AuxAction | None:
        """The action that cycles the auxiliary power, or None.

        :raises: Unreachable if the BMC does not respond.
        """
        system = self._system()
        tables = [q.aux for v in registry.vendors() for q in v.quirks
                  if q.aux is not None]
        for row in tables:
            if row.owner == 'system' and (
                    found := _aux(system, row)) is not None:
                return found
        for chassis in self._chassis(system):
            for row in tables:
                if row.owner == 'chassis' and (
                        found := _aux(chassis, row)) is not None:
                    return found
        return None

    def aux_cycle(self, force: bool = False) -> None:
        """Cycle the auxiliary power; the BMC is unreachable for a while.

        The BMC is checked again first: since the inventory the host was shut
        down, and another client may have started an update meanwhile.

        :param force: cut the power although the host is on.
        :raises: Rejected, to be retried later, unless the BMC is idle.
        """
        action = self.aux_cycle_action()
        if action is None:
            raise Rejected(
                'the BMC has no action that cuts the auxiliary power',
                error_class=ErrorClass.NEEDS_OPERATOR,
                todo='disconnect and reconnect AC power of the server')
        body = action.forced if force else action.body
        if body is None:
            raise Rejected('the auxiliary power can be cut only while the '
                           'host is off', expected='off', seen='on')
        self.check_idle()
        self._writer.send('POST', action.target, body)

    def check_idle(self) -> None:
        """Check that the BMC is idle, directly before a power cut.

        A host takes its time to shut down after the inventory, and another
        client may have started an update in between.

        :raises: Rejected, to be retried later, if a task or job is running
            (its detail has ``running``) or cannot be read: unread is not
            idle; Unreachable if the System cannot be read.
        """
        reader = Reader(self._source, self._settings)
        around = topology.find(reader, self._uri)
        doing = activity.read(reader, around)
        service = reader.follow(around.root, 'UpdateService', activity.HOLDS)
        shown = (reader.read(service, impact=activity.HOLDS)
                 if service else None)
        at_work = [b.words for b in (
            *activity.busy(reader, around, doing, shown, ()),
            *system_state.copies(around))]
        running = at_work[0] if at_work else None
        at_work += [f'{uri} cannot be read: {reader.failures[uri].answer}'
                    for uri, impact in reader.open.items()
                    if impact.holds and uri in reader.failures
                    and not (impact.optional and reader.failures[uri].status
                             in NOT_THERE)]
        if at_work:
            raise Rejected(
                f'cannot confirm that the BMC is idle: {at_work[0]}',
                retry_after=_AT_WORK, error_class=ErrorClass.TRANSIENT,
                running=running)

    def _system(self, recent: bool = False) -> Fields:
        """The System.

        :param recent: whether a reading of the last second will do: for its
            actions, which the next write makes outdated, not for its state.
        """
        self._reader.begin((lambda uri: _RECENT) if recent else None)
        doc = self._reader.get(self._uri)
        if doc is None:
            reasons = [w.message for w in self._reader.warnings]
            raise Unreachable(f'{self._uri}: {"; ".join(reasons)}',
                              error_class=ErrorClass.TRANSIENT)
        return self._reader.fields(doc)

    def _chassis(self, system: Fields) -> Iterator[Fields]:
        """The System's own chassis, then the others of the BMC."""
        seen = set()
        for uri in system.links('Links', 'Chassis'):
            seen.add(uri)
            shown = self._reader.read(uri)
            if shown is not None:
                yield shown
        root = self._reader.root()
        for shown in self._reader.members(root.link('Chassis')):
            if shown.uri not in seen:
                yield shown

    def _reset(self, *kinds: str) -> None:
        """Post the first of the given reset types that the System allows.

        If the allowed types cannot be read, the first one is posted: a
        service rejects an unknown type and does nothing.
        """
        action = self._reset_action(self._system(recent=True))
        target = action.target('target')
        allowed = self._allowed(action) or []
        kind = next((k for k in kinds if not allowed or k in allowed), None)
        if kind is None:
            raise Rejected(
                f'{self._uri} does not offer the required reset type',
                expected=' or '.join(kinds), seen=', '.join(allowed))
        self._reader.begin()
        self._writer.send('POST', str(target), {'ResetType': kind})

    def _reset_action(self, system: Fields) -> Fields:
        action = system.part('Actions', _RESET)
        if action.target('target') is None:
            raise Rejected(f'{self._uri} has no action {_RESET}',
                           error_class=ErrorClass.NEEDS_OPERATOR)
        return action

    def _allowed(self, action: Fields) -> list[str] | None:
        """Allowed ResetTypes; empty if the BMC lists none, None if their
        ActionInfo cannot be read."""
        told = action.texts('ResetType@Redfish.AllowableValues')
        if told:
            return told
        info = action.doc.get(_INFO)
        if not isinstance(info, str):
            return []
        shown = self._reader.read(info)
        if shown is None:
            return None
        for parameter in shown.parts('Parameters'):
            if parameter.text('Name') == 'ResetType':
                return parameter.texts('AllowableValues')
        return []


def _aux(owner: Fields, row: AuxPower) -> AuxAction | None:
    target = owner.target(*row.action, 'target')
    return AuxAction(target, row.body, row.forced) if target else None
