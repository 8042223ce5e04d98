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


"""The local backend: reads the inventory, and writes in the background."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import logging
import os
import threading

from ironic_accel.converge import agent_schema
from ironic_accel.converge.ports import Backend
from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Images
from ironic_accel.converge.ports import Poll
from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Result
from ironic_accel.converge.ports import Running
from ironic_accel.converge.ports import Ticket
from ironic_accel.converge.ports import Unknown
from ironic_accel.inband.inventory import device_match
from ironic_accel.inband.inventory import external_flashers
from ironic_accel.inband.inventory.inventory import boot_mark
from ironic_accel.inband.inventory.inventory import InventoryReader
from ironic_accel.inband.inventory.inventory import PATIENCE
from ironic_accel.inband.inventory.identity_store import IdentityStore
from ironic_accel.inband.jobs.job_store import Jobs
from ironic_accel.inband.jobs.job_store import StoredJob
from ironic_accel.inband.jobs.job_worker import Work
from ironic_accel.inband.machine import device_users
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.tools import family as tool_family
from ironic_accel.inband.tools.family import HasCollateral
from ironic_accel.inband.tools.family import Family
from ironic_accel.inband.tools import loader
from ironic_accel.model import catalog as catalogs
from ironic_accel.model.catalog import Catalog
from ironic_accel.model.device import Activation
from ironic_accel.model.activity import Busy
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

LOG = logging.getLogger(__name__)

RUN_FOLDER = '/run/ironic-accel/jobs'

#: Seconds after which a card that is being written may be tried again.
_LATER = 30.0


@dataclasses.dataclass(frozen=True, slots=True)
class _Can:
    """What a family can do to a device here and now."""

    updates: frozenset[str] = frozenset()
    sets: frozenset[str] = frozenset()
    resets: Activation = Activation.NONE


class LocalBackend(Backend):
    """The devices of the machine on which this runs; see ports.Backend.

    :param host: the machine.
    :param families: tool families; None for those that are installed.
    :param name: the name of the transport: ``local``, or ``agent`` in the
        agent.
    :param folder: where jobs are kept: they must not outlive a reboot.
    :param images: the source of images that ``start`` is not given.
    :param patience: seconds for which one reading waits for tools.
    """

    def __init__(self, host: Machine | None = None,
                 families: Sequence[Family] | None = None,
                 catalog: Catalog | None = None, name: str = 'local',
                 folder: str = RUN_FOLDER,
                 images: Images | None = None,
                 patience: float = PATIENCE) -> None:
        self._host = host or Machine()
        self._catalog = catalog or catalogs.load()
        self._name = name
        self._jobs = Jobs(folder)
        self._images = images
        self._called: dict[str, str] = {}
        loaded = (loader.load() if families is None
                  else loader.accepted(families))
        self._flashers = external_flashers.programs(
            loaded.families, loaded.flashers)
        self._reader = InventoryReader(
            self._host, loaded.families, self._catalog, name,
            loaded.warnings, patience,
            IdentityStore(os.path.join(folder, 'known.json')))

    def sources(self) -> tuple[Source, ...]:
        """Read the inventory; the ids of its devices are their PCI addresses.

        It is bounded by the families' own deadlines.
        """
        under_way = self._jobs.under_way()
        busy = [job.busy() for job in under_way]
        busy += [_external(f) for f in self._external()]
        cards = {c for job in under_way for c in job.cards}
        return (Source(self._reader.observe(busy, cards)),)

    def observe(self, known: Known = NOBODY) -> Inventory:
        """Read the inventory; see ports.Backend."""
        inventory = super().observe(known)
        self._called = {name: device.id for name, device
                        in self._mine(inventory).items()}
        return inventory

    def _mine(self, inventory: Inventory) -> dict[str, Device]:
        """The local devices by the ids that an inventory gives them."""
        ours = self._reader.devices()
        found = ((d.id, device_match.find(device_match.known(d), ours))
                 for d in inventory.devices)
        return {name: device for name, device in found
                if device is not None}

    def devices(self) -> tuple[Device, ...]:
        """The devices as last read."""
        return self._reader.devices()

    def transports(self, inventory: Inventory, pushes: Collection[Push] = ()
             ) -> tuple[Transport, ...]:
        """What can be done now to the devices of an inventory.

        The inventory may be merged with others, and have other ids than
        ``observe`` returned: an action that is started next uses its ids.
        """
        updates: dict[Ref, UpdateTarget] = {}
        sets: set[Ref] = set()
        resets: dict[str, Activation] = {}
        mine = self._mine(inventory)
        self._called = {name: device.id for name, device in mine.items()}
        for name, device in mine.items():
            for family in self._reader.families_of(device):
                can = self._can(family, device)
                for part in can.updates:
                    updates.setdefault((name, part), UpdateTarget(
                        f'{family.name}:{device.address}',
                        self._collateral(family, device, name, part)))
                sets |= {(name, mode) for mode in can.sets}
                if can.resets.rank > resets.get(name, Activation.NONE).rank:
                    resets[name] = can.resets
        return (Transport(self._name, updates, frozenset(sets), resets),)

    def _can(self, family: Family, device: Device) -> _Can:
        """What a family can do to a device now. A driver that is bound to the
        card, and a plug-in that fails, affect that family and that device
        only."""
        def free(verb: device_users.Verb) -> bool:
            return device.address is not None and tool_family.held(
                self._host, family, device.address, verb) is None

        try:
            return _Can(
                family.updates(self._host, device) if free('update')
                else frozenset(),
                family.sets(self._host, device) if free('set')
                else frozenset(),
                family.resets(self._host, device) if free('reset')
                else Activation.NONE)
        except Exception:  # a third party's plug-in
            LOG.exception('Tool family %s failed', family.name)
            return _Can()

    def _collateral(self, family: Family, device: Device, name: str,
                 part: str) -> tuple[Ref, ...]:
        if not isinstance(family, HasCollateral):
            return ()
        return tuple((name, other) for other in family.also_writes(
            self._host, device, part))

    def start(self, action: Action, image: Ready | None = None,
              spec: Image | None = None, force: bool = False) -> Ticket:
        """Begin a write in the background; see ports.Backend."""
        if not self._called:
            # A new process has not read the inventory yet.
            self.observe()
        ours = self._called
        return self.begin(device_match.renamed(action, ours), image, spec,
                          force, {v: k for k, v in ours.items()})

    def begin(self, action: Action, image: Ready | None = None,
              spec: Image | None = None, force: bool = False,
              names: Mapping[str, str] | None = None,
              images: Images | None = None) -> Ticket:
        """``start``, for a caller that has resolved the devices.

        :param action: its devices by their PCI addresses.
        :param names: by PCI address, the caller's ids: results carry them.
        :param images: the source of the image, if it is not here.
        :raises: Rejected if nothing was written.
        """
        called = dict(names or {})
        devices = [self._device(i.device, called) for i in action.items]
        cards = tuple(dict.fromkeys(d.address or '' for d in devices))
        source = images or self._images
        if action.verb == 'update' and image is None and (
                spec is None or source is None):
            raise Rejected(f'image {action.image}: no source to fetch it from')
        work = Work(self._host, self._reader, self._jobs, action, image, spec,
                    force, source)
        with self._jobs.alone():
            self._check_free(cards)
            job = self._jobs.new(
                transport=self._name, verb=action.verb, cards=cards,
                refs=tuple(i.ref for i in action.items),
                boot=boot_mark(self._host), names=called,
                image=spec.sha256 if spec else None,
                summary=f'{action.verb} started')
            self._jobs.run(job, threading.Thread(
                target=work.run, args=(job,), daemon=True,
                name=f'accel-{action.verb}-{job.id[:8]}'))
        return job.ticket

    def poll(self, ticket: Ticket) -> Poll:
        """The state of a write; any process may ask."""
        job = self._jobs.load(str(ticket.get('job', '')))
        if job is None:
            return Unknown('this agent has no record of the job: the node '
                           'was rebooted since it began')
        if job.boot != boot_mark(self._host):
            return Unknown('the node was rebooted while the job was running')
        if self._jobs.goes_on(job):
            if job.overdue is not None:
                return Unknown(job.overdue)
            return Running(_summary(job, self._jobs), job.percent)
        # It may have ended between the two reads.
        job = self._jobs.load(job.id) or job
        if job.lost is not None:
            return Unknown(job.lost)
        if job.results is None:
            return Unknown('the agent ended while the job was running')
        try:
            return Ended(
                tuple(
                    _renamed(agent_schema.result_from_dict(r), job.names)
                    for r in job.results
                )
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            return Unknown('the stored job is damaged')

    def _device(self, device_id: str,
                names: Mapping[str, str]) -> Device:
        device = self._reader.device(device_id)
        if device is None:
            raise Rejected('the device is not present',
                           error_class=ErrorClass.TRANSIENT,
                           device=names.get(device_id, device_id))
        return device

    def _external(self) -> tuple[external_flashers.Flash, ...]:
        ours = {pid for job in self._jobs.all() for pid, _ in job.flashes}
        return external_flashers.flashes(self._host, self._flashers, ours)

    def _check_free(self, cards: Sequence[str]) -> None:
        """Refuse a second write on a card, whichever process does the first.
        """
        for job in self._jobs.under_way():
            if set(job.cards) & set(cards):
                raise Rejected(
                    f'job {job.id} ({job.verb}) is running on this card',
                    retry_after=_LATER, error_class=ErrorClass.TRANSIENT,
                    running=job.summary or job.verb)
        for flash in self._external():
            if flash.address is None or flash.address in cards:
                raise Rejected(
                    f'{flash.program}, started by another process, is writing '
                    'firmware',
                    retry_after=_LATER, error_class=ErrorClass.TRANSIENT,
                    running=f'process {flash.pid}')


def _external(flash: external_flashers.Flash) -> Busy:
    where = f' of {flash.address}' if flash.address else ''
    return Busy('flash', f'process {flash.pid}',
                f'{flash.program}{where}, started by another process')


def _summary(job: StoredJob, jobs: Jobs) -> str:
    if jobs.has_worker(job) and job.results is None:
        return job.summary
    return (f'{job.summary}; the tool is still running without the agent '
            'that started it')


def _renamed(result: Result, names: Mapping[str, str]) -> Result:
    device, name = result.ref
    detail = result.detail
    if detail is not None and detail.device is not None:
        detail = dataclasses.replace(
            detail, device=names.get(detail.device, detail.device))
    return dataclasses.replace(
        result, ref=(names.get(device, device), name), detail=detail)
