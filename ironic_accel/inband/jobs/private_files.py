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

"""A private copy of an image for a tool: exactly what was checked.

A tool opens a file by its name, reads it more than once, and keeps running if
the agent ends: neither a name in a cache nor an open file is enough. It gets a
copy in a folder of the job (``jobs/ID``, mode 0700), made through one
descriptor, whose digest is that of the copied bytes. Later changes of the old
file, or another file with its name, have no effect.
"""

from __future__ import annotations

import errno
import os
import pathlib
import re
from urllib import parse

from ironic_accel.bounded import files
from ironic_accel.converge.ports import Ready
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.profile import Image

#: Of a private copy; also what is removed of an ended job.
PREFIX = 'image-'
_SUFFIX = re.compile(r'(?:\.[A-Za-z0-9]{1,8}){1,2}')


def copy(image: Ready, spec: Image | None, folder: pathlib.Path) -> Ready:
    """A private, read-only copy of an image, verified while it is copied.

    :param spec: its URL names the file: tools may look at the suffix.
    :raises: AccelError if the image is not what was checked, or cannot be
        copied; there is no copy then.
    """
    path = folder / f'{PREFIX}{image.sha256[:16]}{_suffix(spec)}'
    try:
        with files.open_regular(image.path, follow=False) as source:
            checked = files.Checked(source, image.size, image.sha256)
            _write(path, checked)
    except files.Changed as exc:
        raise AccelError(
            'the image changed after it was checked; nothing was written',
            error_class=ErrorClass.TRANSIENT,
            expected=f'SHA-256 {image.sha256}, {image.size} bytes',
            seen=exc.strerror) from exc
    except OSError as exc:
        full = exc.errno == errno.ENOSPC
        raise AccelError(
            f'cannot copy the image to {folder}; nothing was written',
            error_class=ErrorClass.NEEDS_OPERATOR,
            seen=exc.strerror or str(exc),
            todo=f'free {image.size} bytes in {folder.parent}'
            if full else None) from exc
    return Ready(str(path), image.size, image.sha256)


def _write(path: pathlib.Path, checked: files.Checked) -> None:
    """Write all of it, or leave no file."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
                 | os.O_CLOEXEC, 0o400)
    try:
        with os.fdopen(fd, 'wb') as target:
            while piece := checked.read():
                target.write(piece)
            if checked.len:
                raise files.Changed(0, f'the file ends at byte {checked.gone}')
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _suffix(spec: Image | None) -> str:
    """The suffix of the file's name in a URL, if it is a plain one."""
    name = parse.urlsplit(spec.url).path.rpartition('/')[2] if spec else ''
    match = _SUFFIX.search(name)
    return match[0] if match and name.endswith(match[0]) else ''


def remove(folder: pathlib.Path) -> None:
    """Remove the copies of a job that has ended."""
    for path in folder.glob(f'{PREFIX}*'):
        path.unlink(missing_ok=True)
