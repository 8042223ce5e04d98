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

"""The tasks of a BMC (Redfish TaskService)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ironic_accel_emulator import jobs
from ironic_accel_emulator.documents import ROOT, Document
from ironic_accel_emulator.errors import message

if TYPE_CHECKING:
    from ironic_accel_emulator.box import Box

TASKS = f'{ROOT}/TaskService/Tasks'
#: iDRAC: the work has ended, and the server must be restarted.
WAITS = 'UserIntervention'
ENDED = ('Completed', 'Exception', 'Killed', 'Cancelled', 'Interrupted')


@dataclass
class Task:
    """One long operation and its messages."""

    id: str
    name: str
    started: float
    state: str = 'Running'
    status: str = 'OK'
    percent: int = 0
    ended: float | None = None
    messages: list[dict[str, Any]] = field(default_factory=list)
    told_end: bool = False
    hidden: bool = False
    fast: bool = False
    foreign: bool = False
    place: str = TASKS

    @property
    def uri(self) -> str:
        """The task resource."""
        return f'{self.place}/{self.id}'

    @property
    def monitor(self) -> str:
        """The task monitor, at the path of OpenBMC."""
        return f'{self.uri}/Monitor'

    @property
    def running(self) -> bool:
        """Whether the task has not ended and does not wait for a reset."""
        return self.state not in (*ENDED, WAITS) and not self.foreign

    def say(
        self, name: str, args: tuple[str, ...], text: str, severity: str
    ) -> None:
        """Add one message of a registry other than Base."""
        self.messages.append(message(name, args, text, severity))


class Tasks:
    """The task list of a system; ids increase even over a BMC reset."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self._numbers = itertools.count()
        self.all: dict[str, Task] = {}
        self.forgotten: list[Task] = []

    def new(self, name: str) -> Task:
        """Start a task."""
        task = Task(str(next(self._numbers)), name, self._box.timeline.now)
        if self._box.faults.active('jobs'):
            task.place, task.id = jobs.place(self._box), f'JID_{task.id}'
        self.all[task.id] = task
        self._event(task, 'TaskStarted', 'has started.', 'OK')
        return task

    def end(self, task: Task, state: str, status: str = 'OK') -> None:
        """End a task; it is kept for ``task_kept`` seconds."""
        if not task.running:
            return
        if self._box.faults.take('task-stuck'):
            task.percent = 100
            return
        if state == 'Completed' and self._box.faults.take('task-waits'):
            self._wait(task)
            return
        task.state, task.status = state, status
        task.ended = self._box.timeline.now
        if state == 'Completed':
            task.percent = 100
        name, text = {
            'Completed': ('TaskCompletedOK', 'has completed.'),
        }.get(state, ('TaskAborted', 'has been aborted.'))
        self._event(task, name, text, status)
        self._box.timeline.after(
            self._box.options.timing.task_kept,
            lambda: self.drop(task),
            'task reaped',
        )

    def _wait(self, task: Task) -> None:
        """Let the task wait for a host reset, which ends it."""
        task.state, task.percent = WAITS, 100
        task.say(
            'TaskEvent.1.0.TaskPaused', (task.id,),
            'Server reboot pending.', 'OK',
        )  # fmt: skip

    def restarted(self) -> None:
        """End the tasks that waited for a host reset."""
        for task in list(self.all.values()):
            if task.state == WAITS:
                task.state = 'Running'
                self.end(task, 'Completed')

    def drop(self, task: Task) -> None:
        """Remove one task, like a BMC that purges tasks."""
        self.all.pop(task.id, None)

    def lose(self, task: Task) -> None:
        """Remove one task; its work continues (``forgotten``)."""
        self.forgotten.append(task)
        self.drop(task)

    def forget(self) -> None:
        """Remove all tasks: the BMC was restarted."""
        for task in self.all.values():
            task.state = 'Interrupted' if task.running else task.state
        self.all.clear()

    @property
    def running(self) -> list[Task]:
        """The tasks that have not ended, including forgotten ones."""
        known = [*self.all.values(), *self.forgotten]
        return [task for task in known if task.running]

    def _event(
        self, task: Task, name: str, text: str, severity: str
    ) -> None:
        task.say(
            f'TaskEvent.1.0.{name}',
            (task.id,),
            f"The task with Id '{task.id}' {text}",
            severity,
        )

    def document(self, path: str) -> Document | None:
        """Return the collection, a task, or None."""
        if path == TASKS:
            return self._collection(path, 'Task')
        if jobs.is_collection(self._box, path):
            return self._collection(path, 'Job')
        task = self.all.get(path.rpartition('/')[2])
        if task is None or task.hidden or task.uri != path:
            return jobs.service(self._box, path)
        if task.place != TASKS:
            return jobs.document(self._box, task)
        return self._task(task)

    def _collection(self, path: str, what: str) -> Document:
        uris = [task.uri for task in self.all.values()
                if not task.hidden and task.place == path]  # fmt: skip
        return {
            '@odata.id': path,
            '@odata.type': f'#{what}Collection.{what}Collection',
            'Name': f'{what} Collection',
            'Members': [{'@odata.id': uri} for uri in uris],
            'Members@odata.count': len(uris),
        }

    def monitored(self, path: str) -> Task | None:
        """Return the task with the monitor at ``path``."""
        return next((t for t in self.all.values() if t.monitor == path), None)

    def _task(self, task: Task) -> Document:
        document: Document = {
            '@odata.id': task.uri,
            '@odata.type': '#Task.v1_4_3.Task',
            'Id': task.id,
            'Name': task.name,
            'TaskState': task.state,
            'TaskStatus': task.status,
            'StartTime': self._box.timestamp(task.started),
            'TaskMonitor': task.monitor,
            'HidePayload': True,
            'Messages': list(task.messages),
            'PercentComplete': task.percent,
        }
        if task.ended is not None:
            document['EndTime'] = self._box.timestamp(task.ended)
        return document
