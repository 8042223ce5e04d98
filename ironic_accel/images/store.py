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

"""The store: worker threads that fetch, and a cache by digest."""

from __future__ import annotations

from collections.abc import Callable
from concurrent import futures
import contextlib
import dataclasses
import hashlib
import logging
import threading
import time
from typing import Any

from ironic_accel.bounded.threads import Closed
from ironic_accel.bounded.threads import ThreadPool
from ironic_accel.converge.ports import Bad
from ironic_accel.converge.ports import Fetching
from ironic_accel.converge.ports import Ready
from ironic_accel.images.cache import Cache
from ironic_accel.images.policy import Credentials
from ironic_accel.images.policy import ImageNotAllowed
from ironic_accel.images.policy import no_credentials
from ironic_accel.images.policy import Policy
from ironic_accel.images import sources
from ironic_accel.model.profile import Image

LOG = logging.getLogger(__name__)

Submit = Callable[[Callable[[], None]], futures.Future[Any]]

#: Seconds that ``close`` waits for transfers to end.
CLOSE_TIMEOUT = 60.0
_CLOSED = 'the image store is closed'


@dataclasses.dataclass(slots=True)
class _Job:
    """The transfer of one image, as its worker reports it."""

    summary: str
    percent: int | None = None
    outcome: Ready | Bad | None = None
    ended: float = 0.0
    told: bool = False


class ImageStore:
    """Images by digest, fetched in the background.

    Several processes may share one folder: a file appears there whole, by a
    rename, under the digest of what it holds.

    :param folder: the cache, made where it is missing.
    :param policy: what may be fetched from where.
    :param workers: transfers at one time, in threads of this store.
    :param submit: runs a function in a thread instead: then the owner of the
        threads limits and ends them.
    :param credentials: gives (user, password) for a host.
    :param attempts: transfers of one image before it is Bad; what the source
        itself refuses is not tried again.
    :param remember: seconds for which a failure is returned again without a
        new transfer, so that a thousand nodes do not fetch one bad image a
        thousand times.
    """

    def __init__(self, folder: str, policy: Policy, workers: int = 2,
                 credentials: Credentials = no_credentials, *,
                 attempts: int = 2, remember: float = 15.0,
                 submit: Submit | None = None) -> None:
        self._cache = Cache(folder, policy.cache_bytes)
        self._policy = policy
        self._credentials = credentials
        self._attempts = attempts
        self._remember = remember
        # Submitting holds it, and a job that is cancelled meanwhile ends.
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._jobs: dict[tuple[str, str], _Job] = {}
        own = ThreadPool('accel-image', lambda: workers)
        self._pool = None if submit else own
        self._submit: Submit = submit or own.submit

    def get(self, image: Image) -> Ready | Fetching | Bad:
        """The image, or how far its fetching is; see ports.Images."""
        try:
            self._policy.check(image.url)
        except ImageNotAllowed as exc:
            return Bad(exc.reason, exc.expected, exc.seen)
        key = (image.sha256, image.url)
        with self._lock:
            known = self._cache.known(image.sha256)
            if known is not None:
                return known
            job = self._jobs.get(key)
            if job is None or self._is_stale(job):
                job = self._jobs[key] = _Job('queued')
                self._begin(job, image)
            if job.outcome is not None:
                job.told = True
                return job.outcome
            return Fetching(job.summary, job.percent)

    def _is_stale(self, job: _Job) -> bool:
        """Whether the result of a finished job is outdated."""
        if isinstance(job.outcome, Ready):
            return True  # and the cache has lost the file since
        return (job.outcome is not None and job.told
                and time.monotonic() - job.ended >= self._remember)

    def close(self) -> None:
        """End the workers: transfers in progress are aborted."""
        self._stop.set()
        if self._pool is not None:
            self._pool.close(CLOSE_TIMEOUT)

    def _begin(self, job: _Job, image: Image) -> None:
        """Hand a job to a worker. The lock is held."""
        try:
            future = self._submit(lambda: self._work(job, image))
        except Closed:
            job.outcome, job.ended = Bad(_CLOSED), time.monotonic()
            return
        future.add_done_callback(
            lambda done: self._end(job, Bad(_CLOSED))
            if done.cancelled() else None)

    def _work(self, job: _Job, image: Image) -> None:
        outcome: Ready | Bad
        try:
            outcome = self._obtain(job, image)
        except ImageNotAllowed as exc:
            outcome = Bad(exc.reason, exc.expected, exc.seen)
        except sources.Interrupted as exc:
            outcome = Bad(exc.reason)
        except OSError as exc:
            outcome = Bad(f'the image cache failed: {exc.strerror or exc}')
        except Exception as exc:  # a worker must never leave a job open
            LOG.exception('Failed to fetch image %s', image.name)
            outcome = Bad(f'{type(exc).__name__} in the worker')
        self._end(job, outcome)

    def _end(self, job: _Job, outcome: Ready | Bad) -> None:
        with self._lock:
            job.outcome, job.ended = outcome, time.monotonic()

    def _obtain(self, job: _Job, image: Image) -> Ready:
        job.summary = 'checking the cache'
        ready = self._cache.verify(image.sha256, self._check_stop)
        if ready is not None:
            return ready
        # All attempts together have the time of one: whoever waits for a
        # worker waits for them too.
        until = time.monotonic() + self._policy.total_timeout
        for attempt in range(1, self._attempts):
            with contextlib.suppress(sources.Interrupted):
                return self._fetch(job, image, until)
            # A server that restarts needs a moment; close() ends the wait.
            self._stop.wait(attempt)
        return self._fetch(job, image, until)

    def _fetch(self, job: _Job, image: Image, until: float) -> Ready:
        """One transfer into the cache, digested on the way."""
        digest = hashlib.sha256()
        left = max(1.0, until - time.monotonic())
        policy = dataclasses.replace(self._policy, total_timeout=left)
        with contextlib.ExitStack() as stack:
            stream = stack.enter_context(sources.open_stream(
                image.url, policy, self._credentials))
            self._check_size(stream.size or 0)
            self._cache.make_room(stream.size or 0)
            part = stack.enter_context(self._cache.part())
            seen = 0
            for chunk in stream.chunks:
                self._check_stop()
                seen += len(chunk)
                self._check_size(seen)
                if time.monotonic() > until:
                    raise sources.Interrupted(
                        'the transfer took longer than '
                        f'{self._policy.total_timeout:.0f} s')
                digest.update(chunk)
                part.write(chunk)
                _tell(job, seen, stream.size)
            if digest.hexdigest() != image.sha256:
                raise ImageNotAllowed(
                    'its SHA-256 digest differs from the digest in the '
                    'profile',
                    image.sha256,
                    digest.hexdigest())
            self._cache.make_room(0)
            return part.keep(image.sha256)

    def _check_size(self, size: int) -> None:
        if size > self._policy.max_bytes:
            raise ImageNotAllowed('the image is too large',
                          f'at most {self._policy.max_bytes} bytes',
                          f'{size} bytes or more')

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise sources.Interrupted(_CLOSED)


def _tell(job: _Job, seen: int, size: int | None) -> None:
    job.percent = min(100, seen * 100 // size) if size else None
    job.summary = f'{seen / 1e6:.1f} MB fetched'
