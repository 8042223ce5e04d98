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

"""Images served to BMCs that fetch them (SimpleUpdate), over plain HTTP.

For callers without a web server of their own. Only files that were asked to
be served are, each under a path that nobody can guess; an image's digest is
checked again at every fetch, before its first byte goes out. Who connects,
and how long it takes what it asked for, is bounded (``serve_http``).
"""

from __future__ import annotations

import errno
import io
import os
import secrets
import socket
import threading
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple
from urllib import parse

from ironic_accel.bounded import files
from ironic_accel.bounded import serve_http
from ironic_accel.converge.ports import Ready
from ironic_accel.model.errors import Rejected
from ironic_accel.model.profile import Image
from ironic_accel.redfish.inventory.update_methods import file_name

_PIECE = 1024 * 1024


class ImageServer:
    """Serves images as long as it is entered.

    ``Settings.image_uri`` takes its ``uri``.

    :param bmc: URL of the BMC: the local address that leads there is the one
        that is listened on and told.
    :param port: to listen on; 0 is any free one.
    :param host: by which the BMC reaches this machine, where it is another
        than that address; it is told to the BMC, and every address of the
        machine is listened on unless it is one of them.
    """

    def __init__(self, bmc: str, port: int = 0,
                 host: str | None = None) -> None:
        self._host = host or _address_towards(bmc)
        self._port = port
        self._files: dict[str, _Served] = {}
        self._server: serve_http.Server | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> ImageServer:
        self._server = self._bound()
        self._thread = threading.Thread(
            target=self._server.serve_forever, name='images', daemon=True)
        self._thread.start()
        return self

    def _bound(self) -> serve_http.Server:
        """A server at the address, or at all where it is not ours."""
        try:
            return serve_http.listening(self._host, self._port, self._served)
        except OSError as error:
            if isinstance(error, socket.gaierror) or (
                    error.errno == errno.EADDRNOTAVAIL):
                # Reached by another name or address than it has: a
                # forwarded port, an address translation.
                return serve_http.listening('', self._port, self._served)
            raise

    def _served(self, path: str) -> serve_http.ServedFile | None:
        """What is served under a path, from its beginning, or None."""
        found = self._files.get(path)
        return None if found is None else found.again()

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            for served in self._files.values():
                served.file.close()
            self._files.clear()

    def uri(self, image: Ready, spec: Image | None = None) -> str | None:
        """Serve an image from now on; the URI at which it is.

        :raises: Rejected where the file is not the image.
        """
        if self._server is None:
            return None
        # Opened once: whatever comes to stand under its name is not served.
        try:
            file = files.open_regular(image.path, follow=False)
        except OSError as error:
            raise Rejected(f'{image.path}: cannot read the image: '
                           f'{error.strerror}') from error
        name = file_name(image.path, spec)
        path = f'/{secrets.token_urlsafe(16)}/{name}'
        self._files[parse.quote(path)] = _Served(file, image)
        host = f'[{self._host}]' if ':' in self._host else self._host
        port = self._server.server_address[1]
        return f'http://{host}:{port}{parse.quote(path)}'


def _address_towards(bmc: str) -> str:
    """The local address from which a BMC is reached; nothing is sent."""
    where = parse.urlsplit(bmc)
    port = where.port or 443
    family, _, _, _, target = socket.getaddrinfo(
        where.hostname, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect(target)
        return str(probe.getsockname()[0])


class _Served(NamedTuple):
    """An open file and what it has to be."""

    file: BinaryIO
    image: Ready

    def again(self) -> serve_http.ServedFile:
        """The same file from its beginning, for one who fetches it.

        Reads of others do not move its place: it has one of its own.
        """
        return serve_http.ServedFile(
            lambda: io.BufferedReader(_At(self.file.fileno()), _PIECE),
            self.image.size, self.image.sha256)


class _At(io.RawIOBase):
    """Reads of an open file at a place of its own (pread).

    It has a descriptor of its own, too: the number of one that was closed
    is soon another file's.
    """

    def __init__(self, fd: int) -> None:
        self._fd, self._place = os.dup(fd), 0

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, see RawIOBase."""
        piece = os.pread(self._fd, len(buffer), self._place)
        self._place += len(piece)
        buffer[:len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        """Give the descriptor back."""
        if not self.closed:
            os.close(self._fd)
        super().close()
