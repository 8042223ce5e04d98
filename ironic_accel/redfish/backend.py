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

"""The Backend port for one System of one BMC over Redfish."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import functools
from typing import Any
from typing import TypeVar

from ironic_accel.converge.ports import Backend
from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Poll
from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Result
from ironic_accel.converge.ports import Ticket
from ironic_accel.converge.ports import Unknown
from ironic_accel.model import catalog as catalogs
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Rejected
from ironic_accel.model.identity import Known
from ironic_accel.model.identity import NOBODY
from ironic_accel.model.identity import Source
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Ref
from ironic_accel.model.plan import Transport
from ironic_accel.model.plan import UpdateTarget
from ironic_accel.model.profile import Image
from ironic_accel.model.profile import Push
from ironic_accel.redfish.actions import device_reset
from ironic_accel.redfish.actions import firmware_update
from ironic_accel.redfish.actions import mode_setter
from ironic_accel.redfish.actions import start_update
from ironic_accel.redfish.actions import tasks
from ironic_accel.redfish.actions import update_scope
from ironic_accel.redfish.actions.update_scope import UpdateRequest
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client.read_history import WaitTimes
from ironic_accel.redfish.client.reader import Reader
from ironic_accel.redfish.client import session
from ironic_accel.redfish.client.writer import Writer
from ironic_accel.redfish.inventory import inventory as inventory_module
from ironic_accel.redfish.inventory.inventory import SystemReading
from ironic_accel.redfish.inventory import modes
from ironic_accel.redfish.inventory import recent_readings
from ironic_accel.redfish.inventory.recent_readings import Reuse
from ironic_accel.redfish.inventory import update_methods
from ironic_accel.redfish.vendors import registry

NAME = 'redfish'

_K = TypeVar('_K')
_V = TypeVar('_V')


def vendor_plugins() -> registry.Installed:
    """The vendor plug-ins of this installation, for installation checks."""
    return registry.installed()


class OnRequest(Mapping[_K, _V]):
    """A mapping that is made when something is first asked of it.

    What a transport can do besides setting modes takes a while to work out
    on a large system, and a profile without firmware asks nothing of it.

    :param make: makes it; called once at most.
    """

    def __init__(self, make: Callable[[], Mapping[_K, _V]]) -> None:
        self._make = make
        self._made: Mapping[_K, _V] | None = None

    def _mapping(self) -> Mapping[_K, _V]:
        if self._made is None:
            self._made = self._make()
        return self._made

    def __getitem__(self, key: _K) -> _V:
        return self._mapping()[key]

    def __iter__(self) -> Iterator[_K]:
        return iter(self._mapping())

    def __len__(self) -> int:
        return len(self._mapping())


class RedfishBackend(Backend):
    """Reads and changes the accelerators of one node through its BMC.

    :param connector: a sushy connector; the conductor's cached one, or that
        of ``session.connect``.
    :param system: path or Id of the node's System; None if the BMC has only
        one host.
    :param catalog: product catalogue; the package's own by default.
    :param name: name of the transport, if a plan uses several BMCs (that of
        a DPU beside that of its host).
    """

    def __init__(self, connector: session.Connector,
                 system: str | None = None, *,
                 catalog: catalogs.Catalog | None = None,
                 settings: BmcSettings | None = None,
                 name: str = NAME) -> None:
        self._name = name
        self._connector = connector
        self._system = system
        self._catalog = catalog or catalogs.load()
        self._settings = settings or BmcSettings()
        self._reader = Reader(connector, self._settings)
        self._writer = Writer(connector, self._settings)
        self._waits = WaitTimes(self._settings.history.now)
        self._seen: SystemReading | None = None
        self._seen_at: float | None = None
        # What the next inventory need not read again.
        self._reuse: Reuse | None = None
        # The devices of the last inventory, by the ids of the caller.
        self._devices: dict[str, Device] = {}

    @property
    def address(self) -> str:
        """Host and port of the BMC, which gets one push at a time."""
        return session.address(self._connector)

    def sources(self) -> tuple[Source, ...]:
        """Read the inventory; its devices have their URIs as ids.

        :raises: Unreachable if the BMC does not respond or rejects the
            credentials; BadInput if there is no such System.
        """
        reuse, self._reuse = self._reuse, None
        began = self._settings.history.now()
        self._seen = inventory_module.read_inventory(
            self._reader, self._system, self._catalog, self._settings, reuse)
        self._seen_at = began if reuse is None else None
        return (Source(self._seen.inventory),)

    def observe(self, known: Known = NOBODY) -> Inventory:
        """Read the inventory; see ports.Backend."""
        inventory = super().observe(known)
        self._devices = _own_devices(self._reading().inventory, inventory)
        return inventory

    def starting(self) -> str | None:
        """Why the host is still booting, or None.

        :raises: as ``sources``.
        """
        self._reuse = None
        told = inventory_module.booting(
            self._reader, self._system, self._settings)
        if told is None:
            return inventory_module.starting(
                self._reader, self._system, self._settings)
        scope, why = told
        if why is None:
            self._reuse = recent_readings.after_check(scope)
        return why

    def transports(self, inventory: Inventory, pushes: Collection[Push] = ()
                   ) -> tuple[Transport, ...]:
        """What can be changed on the node after ``observe``. Makes no
        request.

        :param inventory: inventory of the node; its devices may have other
            ids than those of ``observe``.
        """
        seen = self._reading()
        self._devices = devices = _own_devices(seen.inventory, inventory)
        writes = functools.cache(functools.partial(
            self._updates, seen, devices, tuple(pushes)))
        return (Transport(
            self._name,
            OnRequest(lambda: writes()[0]),
            frozenset((name, m.name) for name, device in devices.items()
                      for m in device.modes
                      if m.uri and m.name in modes.names()),
            OnRequest(functools.partial(
                device_reset.offered, self._reader, devices)),
            OnRequest(functools.partial(
                firmware_update.commits, seen, devices)),
            OnRequest(lambda: writes()[1]), seen.scope.offers_aux_cycle),)

    def _updates(
        self, seen: SystemReading, devices: Mapping[str, Device],
        pushes: Collection[Push],
    ) -> tuple[dict[Ref, UpdateTarget], dict[Ref, str]]:
        """The components that can be written, and why others cannot."""
        updates: dict[Ref, UpdateTarget] = {}
        bars: dict[Ref, str] = {}
        for name, device in devices.items():
            for part in device.components:
                choice = firmware_update.choose(seen, part, self._settings)
                ref = (name, part.name)
                if choice is None and (
                        why := firmware_update.unsupported_reason(
                            seen, part, self._settings)):
                    bars[ref] = why
                if choice is not None and part.updateable is not False:
                    updates[ref] = firmware_update.update_target(
                        seen, devices, part, ref, pushes, self._settings,
                        f'{self.address}/'
                        f'{firmware_update.lane(choice, part)}')
        return updates, bars

    def _reading(self) -> SystemReading:
        """The last reading of the system; a new backend makes one."""
        if self._seen is None:
            self.observe()
        assert self._seen is not None  # noqa: S101
        return self._seen

    def start(self, action: Action, image: Ready | None = None,
              spec: Image | None = None, force: bool = False) -> Ticket:
        """Start a write.

        :raises: Rejected, Unreachable if nothing was written;
            OutcomeUnknown if that is not known.
        """
        seen = self._reading()
        if action.verb == 'set':
            return self._set(seen, action)
        if action.verb == 'reset':
            return device_reset.start(self._reader, self._writer,
                                self._devices, action)
        if image is None:
            raise Rejected('no image given for the firmware update')
        parts = [self._part(ref) for ref in (i.ref for i in action.items)]
        refs = [(*i.ref, p.id) for i, p in zip(
            action.items, parts, strict=True)]
        asked = firmware_update.request(
            seen, parts, spec.push if spec else None, self._settings)
        self._check_collateral(asked, action)
        try:
            answer = firmware_update.push(
                seen, self._writer, self._settings, asked, image, spec, force)
        except Rejected as error:
            if firmware_update.is_already_installed(seen, error):
                return {'kind': 'done', 'parts': [list(r) for r in refs]}
            raise self._with_running(error) from error
        return start_update.ticket(
            tasks.ticket(answer, refs,
                         firmware_update.apply_time(seen, asked)),
            update_methods.start_uri(seen.service) if (
                asked.choice.style.start and seen.service) else None)

    def _set(self, seen: SystemReading, action: Action) -> Ticket:
        now = self._settings.history.now()
        recent = self._seen_at is not None and (
            0 <= now - self._seen_at <= recent_readings.VALUES)
        self._seen_at = None
        try:
            return mode_setter.set_modes(
                self._reader, self._writer, self._devices, action,
                seen.scope.levels, recent)
        finally:
            mode_setter.forget_written(self._reader, self._devices, action)
            if action.activation.is_host_reset:
                self._reuse = recent_readings.before_reset(seen.inventory)

    def _check_collateral(self, asked: UpdateRequest, action: Action) -> None:
        """Refuse a request that would write more than the plan lists.

        :raises: Rejected; nothing has been sent.
        """
        planned = {i.ref for i in action.items} | {*action.also_writes}
        more = update_scope.written(
            self._reading(), self._devices, asked) - planned
        if more:
            names = ', '.join(f'{d}/{n}' for d, n in sorted(more)[:4])
            raise Rejected(
                f'the push would also write {len(more)} components that are '
                f'not in the plan ({names})',
                error_class=ErrorClass.TRANSIENT,
                todo='plan again: the BMC now reports other devices')

    def _with_running(self, error: Rejected) -> Rejected:
        """A refusal with the running tasks of the BMC, if readable."""
        running = tasks.running(self._connector, self._reading().scope.root)
        if not running:
            return error
        return Rejected(error.detail, error.retry_after,
                        running='; '.join(running[:4]))

    def _part(self, ref: Ref) -> Component:
        device = self._devices.get(ref[0])
        part = device.component(ref[1]) if device else None
        if part is None or part.uri is None:
            raise Rejected(f'{ref[1]} of {ref[0]} is not in the firmware '
                           'inventory of the BMC', device=ref[0],
                           component=ref[1])
        return part

    def poll(self, ticket: Ticket) -> Poll:
        """Read the state of a write.

        Also enables a device again that our reset has disabled, and starts
        an upload after its check (``ports.GO``).

        :raises: Unreachable if the BMC does not respond; the errors of
            ``start`` when it starts an upload.
        """
        told: Mapping[str, Any] = dict(ticket)
        kind = told.get('kind')
        if kind == 'set':
            return mode_setter.poll_modes(self._connector, self._reader, told,
                                      self._waits)
        if kind == 'reset':
            return device_reset.poll(self._connector, self._reader,
                                     self._writer, told, self._waits)
        if kind == 'done':
            return Ended(tuple(Result((p[0], p[1]), True)
                               for p in told.get('parts', ())))
        if kind == 'task' and told.get(start_update.START):
            return start_update.poll(self._connector, self._writer, told)
        if kind == 'task':
            return tasks.poll(self._connector, told)
        if kind == 'watch':
            return Unknown(f'the BMC accepted it ({told.get("said")})',
                           hidden=True)
        return Unknown(f'unknown kind of ticket {kind!r}')

    def commit(self, refs: Sequence[Ref]) -> tuple[str, ...]:
        """Commit running images, if the vendor has such an action.

        :param refs: components to commit.
        :returns: the paths of the entries in the request; empty if there is
            nothing to commit.
        :raises: Rejected, Unreachable, OutcomeUnknown.
        """
        seen = self._reading()
        uris = set()
        for device, name in refs:
            mine = self._devices.get(device)
            part = mine.component(name) if mine else None
            if part is not None and part.uri is not None:
                uris.add(part.uri)
        return firmware_update.commit(seen, self._writer, uris)


def _own_devices(own: Inventory, told: Inventory) -> dict[str, Device]:
    """The devices of our inventory by the ids of another inventory.

    Devices of the other inventory may have ids of an earlier refresh, or may
    be merged with the devices of another transport. Then their path may be
    that of the other transport, and the serial number is compared.
    """
    out: dict[str, Device] = {}
    for device in told.devices:
        there = [d for d in own.devices if d.uri == device.uri and (
            d.serial == device.serial or None in (d.serial, device.serial))]
        if not there and device.serial is not None:
            there = [d for d in own.devices if d.serial == device.serial]
        if len(there) > 1:
            there = [d for d in there if d.location == device.location]
        if len(there) == 1:
            out[device.id] = there[0]
    return out
