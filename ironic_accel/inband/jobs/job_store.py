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


"""Writes that are running, kept in files so that they outlive the agent.

A job is a folder with ``job.json``, replaced as a whole, and the output of its
tools. A reader can tell what became of it: its worker is running, or only a
tool that it started, or the result is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import fcntl
import json
import logging
import os
import pathlib
import shutil
import threading
import time
from types import NoneType
from typing import Any
import uuid

from ironic_accel.bounded import files
from ironic_accel.inband.jobs import private_files
from ironic_accel.inband.machine.machine import FlashNote
from ironic_accel.inband.machine.machine import start_time
from ironic_accel.model.activity import Busy
from ironic_accel.model import earlier_documents
from ironic_accel.model.plan import Ref
from ironic_accel.model import strict_json

LOG = logging.getLogger(__name__)

SCHEMA = 'job/2'
#: Bytes of a job's file.
_MOST = 1 << 20

#: Ended jobs that are kept for whoever asks late.
_KEPT = 64

#: Seconds that a job of a verb may take for each of its cards: what its
#: tools may, and more.
_LIMITS = {'set': 900.0, 'reset': 900.0}
_LONGEST = 7200.0

#: The variable in the environment of a job's flashes.
_MARK = 'IRONIC_ACCEL_JOB'

#: Jobs that have a worker in this process, by their folder.
_WORKERS: dict[str, threading.Thread] = {}


@dataclasses.dataclass(slots=True)
class StoredJob:
    """One write, and its progress.

    :ivar refs: the items that it writes, by local device ids.
    :ivar cards: addresses of the cards that it writes.
    :ivar names: the caller's ids of the devices, if they differ.
    :ivar boot: the boot in which it was started.
    :ivar since: epoch seconds.
    :ivar worker: process id and start time of the agent.
    :ivar flashes: process id and start time of each tool that it started to
        write firmware.
    :ivar results: one for each item, as in ``converge.agent_schema``; None
        while it is running.
    :ivar lost: why the result is unknown, or None.
    :ivar begun: seconds since boot, from which its age is computed: the wall
        clock of a ramdisk may be set at any time.
    """

    id: str
    transport: str
    verb: str
    refs: tuple[Ref, ...]
    cards: tuple[str, ...]
    boot: str | None
    since: float
    names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    image: str | None = None
    summary: str = ''
    percent: int | None = None
    worker: tuple[int, int | None] = (0, None)
    flashes: tuple[tuple[int, int | None], ...] = ()
    results: list[dict[str, Any]] | None = None
    lost: str | None = None
    begun: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The content of the file."""
        return {'schema': SCHEMA, **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> StoredJob:
        """Read the content of a file.

        :raises: AttributeError, KeyError, TypeError or ValueError if it is
            invalid.
        """
        raw = earlier_documents.job(raw, SCHEMA)
        known = {k: v for k, v in raw.items() if k != 'schema'}
        known['refs'] = tuple((d, n) for d, n in raw['refs'])
        known['cards'] = tuple(raw['cards'])
        known['worker'] = _process(raw['worker'])
        known['flashes'] = tuple(map(_process, raw['flashes']))
        job = cls(**known)
        texts = (job.id, job.transport, job.verb, job.summary, *job.cards,
                 *(t for ref in job.refs for t in ref),
                 *(t for pair in job.names.items() for t in pair),
                 *(x for x in (job.boot, job.image, job.lost)
                   if x is not None))
        numbers = (job.since, *(x for x in (job.begun, job.percent)
                                if x is not None))
        if not all(isinstance(t, str) for t in texts) or not all(
                type(x) in (int, float) for x in numbers) or not isinstance(
                    job.results, list | None):
            raise ValueError('a field has an invalid type')
        return job

    @property
    def overdue(self) -> str | None:
        """That it takes longer than allowed, without a tool that still writes:
        something below it does not return."""
        limit = (_LIMITS[self.verb] * max(len(self.cards), 1)
                 if self.verb in _LIMITS else _LONGEST)
        if self.begun is None or self.is_flashing or (
                _since_boot() - self.begun <= limit):
            return None
        return (f'the {self.verb} of {", ".join(self.cards)} has not ended '
                f'within {limit / 60:.0f} minutes: {self.summary}')

    @property
    def ticket(self) -> dict[str, Any]:
        """The ticket with which the job is polled."""
        return {'transport': self.transport, 'job': self.id}

    @property
    def is_flashing(self) -> bool:
        """Whether a tool that it started, as far as recorded, still writes."""
        return any(_lives(pid, start) for pid, start in self.flashes)

    @property
    def mark(self) -> dict[str, str]:
        """The environment variable by which its tools are found: one that
        started just before the agent ended is not recorded."""
        return {_MARK: self.id}

    def busy(self) -> Busy:
        """The job as an entry of ``Inventory.busy``."""
        return Busy('flash' if self.verb == 'update' else 'task', self.id,
                    self.overdue or self.summary, self.percent, self.refs,
                    self.image, self.ticket)


def _process(raw: Sequence[Any]) -> tuple[int, int | None]:
    """Process id and start time."""
    pid, start = raw
    if type(pid) is not int or type(start) not in (int, NoneType):
        raise ValueError('invalid process id')
    return pid, start


def _since_boot() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _lives(pid: int, start: int | None) -> bool:
    now = start_time(pid)
    return now is not None and (start is None or now == start)


def _is_marked(job: StoredJob) -> bool:
    """Whether a process carries the job's mark (proc(5), environ)."""
    mark = f'{_MARK}={job.id}'.encode()
    for folder in pathlib.Path('/proc').glob('[0-9]*'):
        with contextlib.suppress(OSError):
            if mark in (folder / 'environ').read_bytes().split(b'\0'):
                return True
    return False


class Jobs:
    """All jobs of a machine, in one folder.

    :param folder: created if it is missing; emptied by a reboot (``/run``).
    """

    def __init__(self, folder: str) -> None:
        self._folder = pathlib.Path(folder)
        self._writing = threading.Lock()

    def folder(self, job_id: str) -> pathlib.Path:
        """The folder of a job."""
        return self._folder / job_id

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """A lock: no other process starts a job meanwhile."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(self._folder / 'lock', 'w', encoding='ascii') as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def new(self, **known: Any) -> StoredJob:
        """A new job of this process, saved."""
        job = StoredJob(id=uuid.uuid4().hex, since=time.time(),
                  begun=_since_boot(),
                  worker=(os.getpid(), start_time(os.getpid())), **known)
        self.folder(job.id).mkdir(parents=True, mode=0o700)
        self.save(job)
        self._prune()
        return job

    def drop(self, job: StoredJob) -> None:
        """Delete a job that was never started."""
        shutil.rmtree(self.folder(job.id), ignore_errors=True)

    def save(self, job: StoredJob) -> None:
        """Save a job; durable on return.

        :raises: OSError if it cannot be saved.
        """
        folder = self.folder(job.id)
        with self._writing:
            part = folder / 'job.json.part'
            with open(part, 'w', encoding='utf-8') as file:
                json.dump(job.to_dict(), file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, folder / 'job.json')

    def load(self, job_id: str) -> StoredJob | None:
        """A job, or None if there is none with that id."""
        if not job_id.isalnum():
            return None
        try:
            with files.open_regular(str(self.folder(job_id) / 'job.json'),
                                    follow=False) as file:
                raw = strict_json.parse(file.read(_MOST + 1), _MOST)
        except (OSError, ValueError):
            return None
        if not isinstance(raw, dict) or raw.get('schema') not in (
                SCHEMA, earlier_documents.JOB):
            return None
        try:
            job = StoredJob.from_dict(raw)
            if job.id != job_id:
                raise ValueError('it has the id of another job')
            return job
        except (AttributeError, KeyError, TypeError, ValueError):
            LOG.warning('Ignoring an invalid job in %s', self.folder(job_id))
            return None

    def run(self, job: StoredJob, thread: threading.Thread) -> None:
        """Start a job's worker thread and register it."""
        _WORKERS[str(self.folder(job.id))] = thread
        thread.start()

    def all(self) -> tuple[StoredJob, ...]:
        """All known jobs, oldest first."""
        try:
            found = [p for p in self._folder.iterdir() if p.is_dir()]
        except OSError:
            return ()
        jobs = [j for p in found if (j := self.load(p.name))]
        return tuple(sorted(jobs, key=lambda j: j.since))

    def under_way(self) -> tuple[StoredJob, ...]:
        """The jobs that are running, including those with only a tool left."""
        return tuple(j for j in self.all() if self.goes_on(j))

    def goes_on(self, job: StoredJob) -> bool:
        """Whether a job may still write."""
        if job.is_flashing:
            return True
        if job.results is not None or job.lost is not None:
            return False
        return self.has_worker(job) or _is_marked(job)

    def has_worker(self, job: StoredJob) -> bool:
        """Whether the worker of a job is running."""
        pid, start = job.worker
        if pid == os.getpid() and start == start_time(pid):
            thread = _WORKERS.get(str(self.folder(job.id)))
            return thread is not None and thread.is_alive()
        return _lives(pid, start)

    def _prune(self) -> None:
        ended = [j for j in self.all() if not self.goes_on(j)]
        for job in ended:
            # The agent ended before it could; an image is large.
            private_files.remove(self.folder(job.id))
        for job in ended[:-_KEPT]:
            _WORKERS.pop(str(self.folder(job.id)), None)
            self.drop(job)


def noted(job: StoredJob, note: FlashNote) -> None:
    """Record a tool that a job has started to write firmware."""
    job.flashes = (*job.flashes, (note.pid, note.started))
