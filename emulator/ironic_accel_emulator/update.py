# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""How a BMC processes a firmware image that it has received."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ironic_accel_emulator.errors import RedfishError
from ironic_accel_emulator.images import BadPackage, parse_image
from ironic_accel_emulator.ledger import Push, Write
from ironic_accel_emulator.parts import Component
from ironic_accel_emulator.selection import Job, select
from ironic_accel_emulator.tasks import Task

if TYPE_CHECKING:
    from ironic_accel_emulator.box import Box

STEPS = 20


@dataclass(frozen=True)
class Order:
    """A requested update.

    ``targets`` is None if the request has none; ``stage_only`` is NVIDIA's
    UpdateOption; ``apply_time`` the Redfish OperationApplyTime.
    """

    file: Path
    digest: str
    size: int
    transport: str
    targets: tuple[str, ...] | None = None
    force: bool = False
    stage_only: bool = False
    apply_time: str = 'Immediate'
    source: str | None = None


class Updates:
    """The behaviour of the update service."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self.waiting: list[tuple[Task, Order]] = []

    def start(self, order: Order) -> Task:
        """Start the update of a received image; return its task.

        Raises RedfishError 503 while another update is running, which is also
        recorded as a violation.
        """
        box = self._box
        self._refuse_equal(order)
        running = [t for t in box.tasks.running if t.name == 'Update']
        push = (
            box.timeline.now, order.digest, order.size, order.transport,
            order.targets,
        )  # fmt: skip
        if running and not box.family.parallel_updates:
            box.violate('two pushes at once', f'during {running[0].uri}')
            box.ledger.pushes.append(Push(*push, None, order.source))
            order.file.unlink(missing_ok=True)
            raise RedfishError.busy(box.retry_after(60))
        order, task = self._uploaded(order)
        box.ledger.pushes.append(Push(*push, task.id, order.source))
        box.faults.task_started(box, task)
        if order.apply_time in ('OnStartUpdateRequest', 'OnReset'):
            if task.name == 'Update':
                task.state = 'Pending'
            if box.family.scheduled and order.apply_time == 'OnReset':
                task.say('IDRAC.2.8.JCP001', (), box.family.scheduled, 'OK')
            self.waiting.append((task, order))
        else:
            self._begin(task, order)
            box.timeline.run_due()
        return task

    def _uploaded(self, order: Order) -> tuple[Order, Task]:
        """Supermicro: verify an upload, which then waits for its start.

        Raises RedfishError 405 while another one is waiting.
        """
        box = self._box
        fault = box.faults.find('upload-waits')
        if fault is None:
            return order, box.tasks.new('Update')
        if self.waiting:
            order.file.unlink(missing_ok=True)
            raise RedfishError(
                405, 'SMC.1.0.OemFirmwareAlreadyInUpdateMode', ('GPU',),
                'The GPU firmware update was already in update mode.')
        own = fault.value == 'new'
        task = box.tasks.new('GPU Verify' if own else 'Update')
        if own:
            box.timeline.after(
                box.options.timing.verify,
                lambda: box.tasks.end(task, 'Completed'), 'image checked')
        return replace(order, apply_time='OnStartUpdateRequest'), task

    def _refuse_equal(self, order: Order) -> None:
        """Reject the running version without a task, like some vendors."""
        box = self._box
        refuses = box.family.refuses_equal or box.faults.active(
            'equal-refused'
        )
        if order.force or not refuses:
            return
        try:
            image = parse_image(order.file)
        except BadPackage:
            return
        jobs = select(self._box, image, self._targets(order))
        if jobs and all(job.version == job.part.running for job in jobs):
            order.file.unlink(missing_ok=True)
            raise RedfishError(
                400,
                'IDRAC.2.8.SUP029',
                text='Unable to update: the version is already installed.',
            )

    def _targets(self, order: Order) -> tuple[str, ...] | None:
        """The targets of a request that the service respects."""
        ignored = self._box.faults.active('targets-ignored')
        return None if ignored else order.targets

    def start_waiting(self) -> list[Task]:
        """Start the updates that waited for UpdateService.StartUpdate."""
        return self._start_waiting('OnStartUpdateRequest')

    def start_on_reset(self) -> None:
        """Start the updates that waited for a host reset."""
        self._start_waiting('OnReset')

    def _start_waiting(self, when: str) -> list[Task]:
        due = [one for one in self.waiting if one[1].apply_time == when]
        self.waiting = [one for one in self.waiting if one not in due]
        begun = []
        for waited, order in due:
            own = waited.name != 'Update'
            task = self._box.tasks.new('Update') if own else waited
            task.state = 'Running'
            self._begin(task, order)
            begun.append(task)
        return begun

    def _begin(self, task: Task, order: Order) -> None:
        self._box.timeline.after(
            0.0 if task.fast else self._box.options.timing.verify,
            lambda: self._verify(task, order),
            'image verified',
        )

    def _fail(self, task: Task, message: str, text: str) -> None:
        task.say(message, (), text, 'Critical')
        self._box.tasks.end(task, 'Exception', 'Critical')

    def _verify(self, task: Task, order: Order) -> None:
        if not task.running:
            order.file.unlink(missing_ok=True)
            return
        family = self._box.family
        try:
            image = parse_image(order.file)
        except BadPackage as error:
            self._fail(task, family.bad_image, str(error))
            return
        finally:
            order.file.unlink(missing_ok=True)
        jobs = select(self._box, image, self._targets(order))
        if not jobs:
            self._fail(
                task,
                family.misfit,
                f'The image {image.version} matches no component of this '
                'system.',
            )
            return
        jobs = [job for job in jobs if self._wanted(task, job, order)]
        if not jobs:
            self._end(task)
            return
        self._write(task, jobs, order)

    def _wanted(self, task: Task, job: Job, order: Order) -> bool:
        box, part = self._box, job.part
        device = box.devices.get(part.device or '')
        off = device is not None and not box.shown(device)
        if off and not box.family.flash_while_off:
            self._failed(task, part, 'the device does not answer')
            return False
        lowest = (box.documents.see(part.uri) or {}).get(
            'LowestSupportedVersion'
        )
        if lowest and job.version < lowest:
            self._failed(task, part, f'lower than {lowest}')
            return False
        if box.faults.take('fail-component', part.id):
            self._failed(task, part, 'the device did not take the image')
            return False
        if job.version == part.pending and part.staged_only:
            part.staged_only = order.stage_only
        same = job.version in (part.running, part.pending)
        if same and not order.force:
            if box.family.rejects_equal:
                self._failed(task, part, f'it has {job.version}')
                return False
            task.say(
                box.family.skipped,
                (part.id,),
                f'The update of {part.id} is skipped: it has {job.version}.',
                'OK',
            )
            return False
        task.say(
            'Update.1.0.TransferringToComponent',
            (job.version, part.id),
            f"Image '{job.version}' is being transferred to '{part.id}'.",
            'OK',
        )
        return True

    def _failed(self, task: Task, part: Component, why: str) -> None:
        task.status = 'Critical'
        task.say(
            'Update.1.0.ApplyFailed',
            ('', part.id),
            f"Installation of the image to '{part.id}' failed: {why}.",
            'Critical',
        )

    def _write(self, task: Task, jobs: list[Job], order: Order) -> None:
        for job in jobs:
            job.part.flashing = True
        seconds = 0.0 if task.fast else self._box.options.timing.flash
        for step in range(1, STEPS):
            self._box.timeline.after(
                seconds * step / STEPS,
                lambda done=step: self._progress(task, done),  # type: ignore[misc]
                'flash progress',
            )
        self._box.timeline.after(
            seconds, lambda: self._written(task, jobs, order), 'flashed'
        )

    def _progress(self, task: Task, step: int) -> None:
        if task.running:
            early = self._box.faults.active('task-early')
            task.percent = 100 if early else 100 * step // STEPS

    def _written(self, task: Task, jobs: list[Job], order: Order) -> None:
        for job in jobs:
            if job.part.flashing:
                job.part.flashing = False
                self._stage(task, job, order)
        self._end(task)

    def _end(self, task: Task) -> None:
        if task.status == 'Critical':
            self._box.tasks.end(task, 'Exception', 'Critical')
        elif self._box.faults.take('task-warning'):
            self._box.tasks.end(task, 'Completed', 'Warning')
        else:
            self._box.tasks.end(task, 'Completed')

    def _stage(self, task: Task, job: Job, order: Order) -> None:
        box, part = self._box, job.part
        entry = Write(box.timeline.now, part.id, job.version, order.digest)
        box.ledger.writes.append(entry)
        if not box.faults.take('silent-noop', part.id):
            part.stage(job.version, order.digest)
            part.staged_only = order.stage_only
            at_once = order.apply_time == 'OnReset' and box.family.scheduled
            if part.activation == 0 or at_once:
                box.activate(part)
        task.say(
            'Update.1.0.UpdateSuccessful',
            (part.id, job.version),
            f"Device '{part.id}' successfully updated with image "
            f"'{job.version}'.",
            'OK',
        )
        if part.pending is not None:
            task.say(
                'Update.1.0.AwaitToActivate',
                (job.version, part.id),
                f"Awaiting for an action to proceed with activating image "
                f"'{job.version}' on '{part.id}'.",
                'OK',
            )
        if part.copies is not None:
            self.copy(part.copies)

    def start_foreign(self, seconds: float) -> Task:
        """Start an update of another client for some seconds."""
        task = self._box.tasks.new('Update')
        self._box.timeline.after(
            seconds,
            lambda: self._box.tasks.end(task, 'Completed'),
            'foreign task',
        )
        return task

    def copy(self, path: str, committed: Component | None = None) -> None:
        """Start the background copy of one root of trust.

        :param committed: component to copy to its other slot.
        """
        self._box.copying[path] = 'InProgress'
        self._box.timeline.after(
            self._box.options.timing.background_copy,
            lambda: self._copied(path, committed),
            'background copy',
        )

    def _copied(self, path: str, committed: Component | None) -> None:
        if self._box.copying.get(path) == 'InProgress':
            self._box.copying[path] = 'Completed'
        if committed is not None and committed.slotted:
            committed.inactive = committed.running
