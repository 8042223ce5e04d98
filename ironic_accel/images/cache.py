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

"""Files by digest in a folder that several processes may share."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Generator
import contextlib
import hashlib
import os
import tempfile
import time

from ironic_accel.bounded import files
from ironic_accel.converge.ports import Ready
from ironic_accel.images.policy import ImageNotAllowed
from ironic_accel.model.errors import BadInput
from ironic_accel.model.errors import ErrorClass

_CHUNK = 1 << 20
_SUFFIX = '.part'
#: Seconds after its last use for which a file counts as in use.
HOLD = 6 * 3600.0
#: Seconds after which the time of last use of a file is set again.
TOUCH = HOLD / 12
#: Seconds after which a partial file belongs to a process that died.
ABANDONED = 24 * 3600.0


class Part:
    """A file of the cache that is being written."""

    def __init__(self, cache: Cache, fd: int, path: str) -> None:
        self._cache = cache
        self._file = os.fdopen(fd, 'wb')
        self._path = path
        self._kept = False

    def write(self, chunk: bytes) -> None:
        """Append."""
        self._file.write(chunk)

    def keep(self, digest: str) -> Ready:
        """Make it the cache's file of that digest, durably."""
        self._file.flush()
        os.fsync(self._file.fileno())
        ready = self._cache.adopt(self._path, digest)
        self._kept = True
        return ready

    def close(self) -> None:
        """Close it, and remove what was not kept."""
        self._file.close()
        if not self._kept:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)


class Cache:
    """The folder: ``<first two digits>/<digest>``.

    :param limit: bytes that all files together may take.
    """

    def __init__(self, folder: str, limit: int) -> None:
        self._folder = os.path.abspath(folder)
        self._limit = limit
        #: When this process last used what (``time.monotonic``): a clock
        #: that is set by a day makes nothing unused that is being written.
        self._used: dict[str, float] = {}
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        why = files.shared(self._folder)
        if why is not None:
            raise BadInput(
                f'cannot use the image cache {self._folder}: {why}',
                error_class=ErrorClass.NEEDS_OPERATOR,
                expected='a folder that only its owner can write to',
                todo=f'run chmod go-w {self._folder} and empty the folder')

    def path(self, digest: str) -> str:
        """Where the file of a digest is."""
        return os.path.join(self._folder, digest[:2], digest)

    def known(self, digest: str) -> Ready | None:
        """The file, if this process has digested it and it is unchanged."""
        path = self.path(digest)
        try:
            info = os.stat(path, follow_symlinks=False)
        except FileNotFoundError:
            return None
        if not files.DIGESTS.has(info, digest):
            return None
        self._used[path] = time.monotonic()
        # The time of last use, for every process that shares the folder: by
        # the time of day, as it has to outlive them. One that jumps costs
        # another transfer, or has an image stay for longer. It is seldom
        # set: whoever sends the image meanwhile has to digest it again.
        if abs(time.time() - info.st_atime) > TOUCH:
            with contextlib.suppress(OSError):
                os.utime(path, ns=(time.time_ns(), info.st_mtime_ns))
                files.DIGESTS.follow(
                    info, os.stat(path, follow_symlinks=False), digest)
        return Ready(path, info.st_size, digest)

    def verify(self, digest: str, check: Callable[[], None]) -> Ready | None:
        """Digest a file that is there; one that is not what it says goes.

        :param check: called between chunks; raises to end it.
        """
        path = self.path(digest)
        try:
            with files.open_regular(path, follow=False) as file:
                info, since = os.fstat(file.fileno()), time.time()
                seen = hashlib.sha256()
                while chunk := file.read(_CHUNK):
                    check()
                    seen.update(chunk)
        except FileNotFoundError:
            return None
        except files.NoFile:
            # Whoever put it there, an image is a file.
            os.unlink(path)
            return None
        if seen.hexdigest() != digest:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            return None
        files.DIGESTS.add(info, digest, since)
        return self.known(digest)

    @contextlib.contextmanager
    def part(self) -> Generator[Part, None, None]:
        """A new file to write to; it goes where it is not kept."""
        fd, path = tempfile.mkstemp(dir=self._folder, suffix=_SUFFIX)
        part = Part(self, fd, path)
        try:
            yield part
        finally:
            part.close()

    def adopt(self, path: str, digest: str) -> Ready:
        """Rename a written file to its digest. It has been digested."""
        target = self.path(digest)
        # Whoever reads it reads it; nobody of ours writes it again.
        os.chmod(path, 0o400)
        folder = os.path.dirname(target)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        since = time.time()
        os.replace(path, target)
        _sync_folder(folder)
        _sync_folder(self._folder)
        info = os.stat(target)
        files.DIGESTS.add(info, digest, since)
        return Ready(target, info.st_size, digest)

    def make_room(self, size: int) -> None:
        """Remove the least recently used until ``size`` more bytes fit.

        What has been used lately, by whichever process, stays.

        :raises: Refused where not enough can be removed.
        """
        now = time.time()
        files = sorted(self._files(now))
        total = size + sum(length for _, length, _ in files)
        for used, length, path in files:
            if total <= self._limit or now - used < HOLD:
                break
            if self._holds(path):
                continue
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            total -= length
        if total > self._limit:
            raise ImageNotAllowed(
                'the image cache is full, and all images are in use',
                f'at most {self._limit} bytes', f'{total} bytes')

    def _holds(self, path: str) -> bool:
        """Whether this process used a file lately, whatever its time says.
        """
        used = self._used.get(path)
        return used is not None and time.monotonic() - used < HOLD

    def _files(self, now: float) -> list[tuple[float, int, str]]:
        """(last use, bytes, path) of every file; abandoned ones go."""
        found = []
        for root, _, names in os.walk(self._folder):
            for name in names:
                path = os.path.join(root, name)
                try:
                    info = os.stat(path)
                except FileNotFoundError:
                    continue  # another process was faster
                if not name.endswith(_SUFFIX):
                    found.append((info.st_atime, info.st_size, path))
                elif now - info.st_mtime > ABANDONED:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(path)
                else:
                    found.append((now, info.st_size, path))
        return found


def _sync_folder(folder: str) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
