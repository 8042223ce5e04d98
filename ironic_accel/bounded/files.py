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

"""Reads files from outside: opened once, regular files only, limited size.

It also replaces our own files, as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable
import contextlib
import hashlib
import os
import stat
import threading
import time
from typing import BinaryIO

_PIECE = 1024 * 1024


class NoFile(OSError):
    """A path that is not an acceptable file; ``strerror`` has the reason."""

    def __init__(self, why: str) -> None:
        super().__init__(0, why)


class Changed(OSError):
    """A file was changed after it was verified."""


def open_regular(path: str, follow: bool = True) -> BinaryIO:
    """Open a regular file for reading, without blocking.

    A FIFO has no end until its writer closes it, and a device may act when it
    is opened: neither is read.

    :param follow: whether a symbolic link is, as the last part of a path.
    :raises: OSError; NoFile for what is no regular file.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    # A device is not opened at all where that can be told beforehand.
    _check(os.stat(path, follow_symlinks=follow))
    fd = os.open(path, flags if follow else flags | os.O_NOFOLLOW)
    try:
        _check(os.fstat(fd))
        return os.fdopen(fd, 'rb')
    except BaseException:
        os.close(fd)
        raise


_KINDS = ((stat.S_ISDIR, 'a folder'), (stat.S_ISFIFO, 'a FIFO'),
          (stat.S_ISCHR, 'a device'), (stat.S_ISBLK, 'a device'),
          (stat.S_ISSOCK, 'a socket'), (stat.S_ISLNK, 'a symbolic link'))


def _check(info: os.stat_result) -> None:
    if not stat.S_ISREG(info.st_mode):
        kind = next((n for is_a, n in _KINDS if is_a(info.st_mode)),
                    'not a regular file')
        raise NoFile(f'{kind}, expected a regular file')


def read_text(path: str, limit: int) -> str:
    """The text of a small regular file.

    :param limit: bytes.
    :raises: OSError; NoFile also where it is longer; UnicodeDecodeError.
    """
    with open_regular(path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise NoFile(f'longer than {limit} bytes')
    return data.decode('utf-8')


def replace(path: str, text: str) -> None:
    """Replace a file as a whole, readable by its owner alone.

    It is on disk when this returns. One process at a time may do this to a
    file: what one that was killed has left beside it is removed.

    :raises: OSError; the file is as before then.
    """
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, mode=0o700, exist_ok=True)
    part = f'{path}.part'
    with contextlib.suppress(FileNotFoundError):
        os.unlink(part)
    # Nobody else's file, and no symbolic link, is written to.
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC,
                 0o600)
    try:
        with os.fdopen(fd, 'w', encoding='utf-8') as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        # Also for KeyboardInterrupt: leave no partial file.
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def shared(path: str) -> str | None:
    """Why a folder or file is not ours alone to write, or None.

    :raises: OSError where it is not there.
    """
    info = os.stat(path)
    if info.st_uid not in (0, os.geteuid()):
        return f'owned by user {info.st_uid}'
    if info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f'writable by others (mode {stat.S_IMODE(info.st_mode):o})'
    return None


def exposed(path: str) -> str | None:
    """Why others could change a file or folder that is only read, or None.

    What is mounted read-only is not changed by way of this path: Kubernetes
    gives everybody the right to write to the folder of a ConfigMap.

    :raises: OSError where it is not there.
    """
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return None
    return shared(path)


def warning(paths: Iterable[str]) -> str | None:
    """A warning about files and folders that others can change, or None.

    A file that no longer exists is ignored.
    """
    found = {}
    for path in paths:
        with contextlib.suppress(OSError):
            why = exposed(path)
            if why is not None:
                found[path] = why
    if not found:
        return None
    return '; '.join(f'{path}: {why}' for path, why in found.items()) + (
        f": run chmod go-w {' '.join(found)}, and make root or the user of "
        'this process their owner')


def is_regular(path: str) -> bool:
    """Whether a path names a regular file."""
    with contextlib.suppress(OSError):
        return stat.S_ISREG(os.stat(path).st_mode)
    return False


def readable_by_others(path: str) -> bool:
    """Whether more than its owner may read a file, as far as its mode
    tells; one that is not there is read by nobody."""
    with contextlib.suppress(OSError):
        mode = os.stat(path).st_mode
        return stat.S_ISREG(mode) and bool(
            mode & (stat.S_IRGRP | stat.S_IROTH))
    return False


#: Seconds after the last change of a file from which on a further change
#: shows in its times: those of FAT count in units of 2 s, those of ext4 with
#: small inodes in units of 1 s, others in ticks of the kernel.
SETTLED = 3.0
#: Files whose digest is remembered.
_MOST_DIGESTS = 4096


class Digests:
    """SHA-256 digests of files, for as long as nothing changes the files.

    Whether a file was written shows in its size and in its times of
    modification and of change (stat(2)): the latter is set by the kernel
    alone.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[object, str, bool]] = {}
        self._lock = threading.Lock()

    def add(self, info: os.stat_result, sha256: str, since: float) -> None:
        """Remember the digest of a file.

        :param info: of the file before it was read.
        :param since: when the first byte was read (``time.time``).
        """
        changed = max(info.st_ctime, info.st_mtime)
        settled = (since - changed > SETTLED
                   and info.st_uid in (0, os.geteuid())
                   and not info.st_mode & _WRITE)
        self._put(info, sha256, settled)

    def follow(self, before: os.stat_result, after: os.stat_result,
               sha256: str) -> None:
        """Keep the digest of a file whose time of last use was just set."""
        settled = self._find(before, sha256)
        if settled is not None and _written(before) == _written(after):
            self._put(after, sha256, settled)

    def _put(self, info: os.stat_result, sha256: str, settled: bool) -> None:
        with self._lock:
            key = (info.st_dev, info.st_ino)
            self._known.pop(key, None)
            self._known[key] = (_state(info), sha256, settled)
            if len(self._known) > _MOST_DIGESTS:
                del self._known[next(iter(self._known))]

    def has(self, info: os.stat_result, sha256: str) -> bool:
        """Whether a file has this digest, as far as it can be told without
        reading it."""
        return self._find(info, sha256) is not None

    def is_settled(self, info: os.stat_result, sha256: str) -> bool:
        """Whether a file has this digest, and any change would show.

        So it is where nobody may write to the file (the owner has to change
        its mode first), and it was digested when its times were old enough
        for those of a later change to be others.
        """
        return bool(self._find(info, sha256))

    def _find(self, info: os.stat_result, sha256: str) -> bool | None:
        with self._lock:
            state, known, settled = self._known.get(
                (info.st_dev, info.st_ino), (None, '', False))
        return settled if (state, known) == (_state(info), sha256) else None


#: Those of this process.
DIGESTS = Digests()
_WRITE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


def _state(info: os.stat_result) -> tuple[int, ...]:
    """What differs after a file was written, renamed or given away."""
    return (*_written(info), info.st_ctime_ns)


def _written(info: os.stat_result) -> tuple[int, ...]:
    """What differs after a file was written."""
    return (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns)


class Checked:
    """A file that gives its last byte only where all of it was right.

    A file that was changed since it was verified never arrives whole. It is
    digested while it is read, or where that was done before and any change
    would show (``Digests.is_settled``), its size and times are compared for
    each piece. Covered by both: a file that is written to, cut, extended or
    cleared by its owner, by root, by another name or over a network, with
    its old time of modification or not. By the digest alone: a page of the
    cache or a block of the disk that changes by itself, and a writer that
    has the file mapped since before it became read-only.

    :param size: bytes, and
    :param sha256: the digest that it must have.
    :ivar gone: bytes given so far.
    :ivar changed: whether it was found to be something else.
    """

    def __init__(self, file: BinaryIO, size: int, sha256: str) -> None:
        self._file, self._size, self._wanted = file, size, sha256
        self._start()

    def _start(self) -> None:
        self.gone, self.changed = 0, False
        self._since = time.time()
        self._before = os.fstat(self._file.fileno())
        self._digest = (
            None if self._before.st_size == self._size and DIGESTS.is_settled(
                self._before, self._wanted) else hashlib.sha256())

    @property
    def len(self) -> int:
        """Bytes that are left."""
        return self._size - self.gone

    def verify(self) -> str | None:
        """Verify the file before any of it is used.

        It is read only where its digest is not known yet.

        :returns: how it differs from what it should be, or None.
        :raises: OSError if it cannot be read.
        """
        self._start()
        if self._before.st_size == self._size and DIGESTS.has(
                self._before, self._wanted):
            return None
        seen, size = self._digest_all(), os.fstat(self._file.fileno()).st_size
        if (seen, size) != (self._wanted, self._size):
            return f'{size} bytes, sha256 {seen}'
        DIGESTS.add(self._before, seen, self._since)
        self._start()
        return None

    def _digest_all(self) -> str:
        seen, place = hashlib.sha256(), 0
        while piece := os.pread(self._file.fileno(), _PIECE, place):
            seen.update(piece)
            place += len(piece)
        return seen.hexdigest()

    def read(self, size: int = -1) -> bytes:
        """The next piece, at most a mebibyte; none at the end.

        :raises: Changed where it is not what it should be.
        """
        room = min(self.len, _PIECE if size < 0 else size, _PIECE)
        if not room:
            return b''
        piece = self._file.read(room)
        if not piece or not self._is_right(piece, len(piece) == self.len):
            self.changed = True
            raise Changed(0, 'the image was changed after it was verified; '
                          f'sending stopped at byte {self.gone}')
        self.gone += len(piece)
        return piece

    def _is_right(self, piece: bytes, last: bool) -> bool:
        if self._digest is not None:
            self._digest.update(piece)
            if not last:
                return True
            if self._file.read(1) or (
                    self._digest.hexdigest() != self._wanted):
                return False
            DIGESTS.add(self._before, self._wanted, self._since)
            return True
        now = self._again() if last else os.fstat(self._file.fileno())
        if _state(now) == _state(self._before):
            return True
        # Its owner or mode, or its time of last use, was set meanwhile: by
        # chown -R or by a backup. Nothing shows that it was written.
        return _written(now) == _written(self._before) and (
            not last or self._digest_all() == self._wanted)

    def _again(self) -> os.stat_result:
        """The state of the file now: opening it has a client of NFS ask its
        server (nfs(5), "Close-to-open cache consistency")."""
        fd = self._file.fileno()
        try:
            again = os.open(f'/proc/self/fd/{fd}', os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # no /proc: what this client of NFS knows
            return os.fstat(fd)
        try:
            return os.fstat(again)
        finally:
            os.close(again)
