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


"""The work of one job, in its own thread."""

from __future__ import annotations

from collections.abc import Iterable
import logging
import time

from ironic_accel.converge import agent_schema
from ironic_accel.converge.ports import Answered
from ironic_accel.converge.ports import Bad
from ironic_accel.converge.ports import Images
from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Result
from ironic_accel.inband.inventory.inventory import InventoryReader
from ironic_accel.inband.jobs import job_store as kept
from ironic_accel.inband.jobs.job_store import Jobs
from ironic_accel.inband.jobs.job_store import StoredJob
from ironic_accel.inband.jobs import private_files
from ironic_accel.inband.machine.machine import FlashNote
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.tools import family as tool_family
from ironic_accel.inband.tools.family import Family
from ironic_accel.inband.tools.family import Progress
from ironic_accel.model.device import Device
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Item
from ironic_accel.model.profile import Image

LOG = logging.getLogger(__name__)

_FETCH_POLL = 0.2


class Work:
    """The parameters of a job; ``run`` is the body of its thread."""

    def __init__(self, host: Machine, reader: InventoryReader, jobs: Jobs,
                 action: Action, image: Ready | None, spec: Image | None,
                 force: bool, images: Images | None) -> None:
        self._host = host
        self._reader = reader
        self._jobs = jobs
        self._action = action
        self._image = image
        self._spec = spec
        self._force = force
        self._images = images

    def run(self, job: StoredJob) -> None:
        """Do the work and save the result, whatever it is."""
        host = self._host.watched(
            str(self._jobs.folder(job.id)),
            lambda note: self._noted(job, note), job.mark)
        results: tuple[Result, ...] | None = None
        try:
            results = self._do(job, host)
            if job.is_flashing:
                job.lost = 'a tool that writes firmware did not end in time'
        except OutcomeUnknown as exc:
            job.lost = str(exc)
        except AccelError as exc:
            results = self._all(exc.detail)
        except Exception as exc:  # a family's defect must not be silent
            LOG.exception('Job %s (%s) failed', job.id, job.verb)
            what = _defect(exc)
            if job.flashes:
                job.lost = what.summary
            else:
                results = self._all(what)
        if results is not None:
            job.results = [agent_schema.result_to_dict(r) for r in results]
        self._reader.forget()
        self._jobs.save(job)
        if not job.is_flashing:
            # A flash that goes on reads its image still.
            private_files.remove(self._jobs.folder(job.id))

    def _noted(self, job: StoredJob, note: FlashNote) -> None:
        kept.noted(job, note)
        self._jobs.save(job)

    def _tell(self, job: StoredJob, summary: str, percent: int | None) -> None:
        if (summary, percent) != (job.summary, job.percent):
            job.summary, job.percent = summary, percent
            self._jobs.save(job)

    def _do(self, job: StoredJob, host: Machine) -> tuple[Result, ...]:
        image = self._image
        if self._action.verb == 'update':
            image = private_files.copy(image or self._fetch(job), self._spec,
                                 self._jobs.folder(job.id))
        results: list[Result] = []
        for device, items in self._by_device():
            if self._action.verb != 'set':
                results += self._one(job, host, device, items, image)
            elif any(r.answer == 'unknown' for r in results):
                results += _all_of(items, Detail(
                    'not set: the result for an earlier device is '
                    'unknown', ErrorClass.TRANSIENT), 'not-sent')
            else:
                results += self._set(job, host, device, items)
        return tuple(results)

    def _set(self, job: StoredJob, host: Machine, device: Device,
             items: list[Item]) -> tuple[Result, ...]:
        """Set the modes of one device; a failure is its own.

        :raises: OutcomeUnknown if the job is about this device alone.
        """
        try:
            return self._one(job, host, device, items, None)
        except OutcomeUnknown as exc:
            if len(job.cards) == 1:
                raise
            return _all_of(items, exc.detail, 'unknown')
        except AccelError as exc:
            return _all_of(items, exc.detail)
        except Exception as exc:  # a family's defect must not be silent
            LOG.exception('Setting modes of %s failed', device.id)
            return _all_of(items, _defect(exc))

    def _by_device(self) -> list[tuple[Device, list[Item]]]:
        groups: dict[str, list[Item]] = {}
        for item in self._action.items:
            groups.setdefault(item.device, []).append(item)
        out = []
        for name, items in groups.items():
            device = self._reader.device(name)
            if device is None:
                raise AccelError('the device is no longer present',
                                 device=name)
            out.append((device, items))
        return out

    def _fetch(self, job: StoredJob) -> Ready:
        """Fetch the image, which the caller named but did not send."""
        if self._images is None or self._spec is None:
            raise AccelError(f'image {self._action.image}: no source to '
                             'fetch it from')
        while True:
            got = self._images.get(self._spec)
            if isinstance(got, Ready):
                return got
            if isinstance(got, Bad):
                raise AccelError(f'image {self._spec.name}: {got.reason}',
                                 expected=got.expected, seen=got.seen)
            self._tell(job, got.summary, got.percent)
            time.sleep(_FETCH_POLL)

    def _one(self, job: StoredJob, host: Machine, device: Device,
             items: list[Item], image: Ready | None) -> tuple[Result, ...]:
        """Write all items of one device, each by the first family that can."""
        def tell(summary: str, percent: int | None) -> None:
            self._tell(job, summary, percent)

        if self._action.verb == 'reset':
            return self._reset(host, device, items, tell)
        out: list[Result] = []
        for family, mine in self._shares(host, device, items):
            if self._action.verb == 'set':
                out += family.set(host, device, mine, tell)
            elif image is not None:
                out += family.update(host, device, mine, image, self._spec,
                                     self._force, tell)
        done = {r.ref for r in out}
        out += [Result(i.ref, False, self._unable(host, device, i.name))
                for i in items if i.ref not in done]
        return tuple(out)

    def _unable(self, host: Machine, device: Device, name: str | None = None
                ) -> Detail:
        """Why nothing was done: a driver is bound to the card, or no tool can.
        """
        held = [why for family in self._reader.families_of(device)
                if (why := self._held(host, family, device))]
        verb = self._action.verb
        if held:
            return Detail(
                f'{verb} refused: {held[0]}', ErrorClass.NEEDS_OPERATOR,
                device=device.id, component=name,
                todo='unbind the driver, or stop what uses the device')
        what = (f'no installed tool can do a {self._action.activation}'
                if verb == 'reset'
                else f'no installed tool can {verb} it now')
        return Detail(what, ErrorClass.NEEDS_OPERATOR, device=device.id,
                      component=name)

    def _held(self, host: Machine, family: Family,
              device: Device) -> str | None:
        return tool_family.held(host, family, device.address or '',
                                self._action.verb)

    def _shares(self, host: Machine, device: Device, items: list[Item]
                ) -> list[tuple[Family, list[Item]]]:
        left = list(items)
        out = []
        for family in self._reader.families_of(device):
            if self._held(host, family, device):
                continue
            can = (family.sets(host, device) if self._action.verb == 'set'
                   else family.updates(host, device))
            mine = [i for i in left if i.name in can]
            left = [i for i in left if i.name not in can]
            if mine:
                out.append((family, mine))
        return out

    def _reset(self, host: Machine, device: Device, items: list[Item],
               tell: Progress) -> tuple[Result, ...]:
        activation = self._action.activation
        for family in self._reader.families_of(device):
            if self._held(host, family, device):
                continue
            if family.resets(host, device).rank >= activation.rank:
                failed = [r for r in family.reset(
                    host, device, activation, tell) if not r.ok]
                return tuple(Result(i.ref, not failed, failed[0].detail
                                    if failed else None) for i in items)
        return self._all(self._unable(host, device))

    def _all(self, detail: Detail) -> tuple[Result, ...]:
        return _all_of(self._action.items, detail)


def _defect(exc: Exception) -> Detail:
    """The failure of a tool family that raised an exception."""
    return Detail(f'the tool family failed: {type(exc).__name__}: {exc}',
                  ErrorClass.NEEDS_OPERATOR)


def _all_of(items: Iterable[Item], detail: Detail, answer: Answered = 'told'
            ) -> tuple[Result, ...]:
    """The same result for several items."""
    return tuple(Result(i.ref, False, detail, answer) for i in items)
