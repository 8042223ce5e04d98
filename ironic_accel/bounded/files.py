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

"""Reads files from outside: opened once, regular files only, limited size."""

from __future__ import annotations

from collections.abc import Iterable
import contextlib
import hashlib
import os
import stat
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


class Checked:
    """A file that gives its last byte only where all of it was right.

    Whoever sends it on sends what was digested here, and not the end of
    what is something else: a file that was changed since it was checked
    never arrives whole.

    :param size: bytes, and
    :param sha256: the digest that it must have.
    :ivar gone: bytes given so far.
    :ivar changed: whether it was found to be something else.
    """

    def __init__(self, file: BinaryIO, size: int, sha256: str) -> None:
        self._file, self._size, self._wanted = file, size, sha256
        self._digest = hashlib.sha256()
        self.gone = 0
        self.changed = False

    @property
    def len(self) -> int:
        """Bytes that are left; requests-toolbelt asks for them."""
        return self._size - self.gone

    def read(self, size: int = -1) -> bytes:
        """The next piece, at most a mebibyte; none at the end.

        :raises: Changed where it is not what it should be.
        """
        room = min(self.len, _PIECE if size < 0 else size, _PIECE)
        if not room:
            return b''
        piece = self._file.read(room)
        self._digest.update(piece)
        last = len(piece) == self.len
        if not piece or (last and (
                self._file.read(1)
                or self._digest.hexdigest() != self._wanted)):
            self.changed = True
            raise Changed(0, 'the image was changed after it was verified; '
                          f'sending stopped at byte {self.gone}')
        self.gone += len(piece)
        return piece
