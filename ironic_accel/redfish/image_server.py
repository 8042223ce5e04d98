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

"""An HTTP server for BMCs that download images (SimpleUpdate).

For callers without a web server of their own. It serves only registered
files, each under an unguessable path. The digest of an image is verified
again at every download, before the first byte is sent. The number of clients
and the time of a download are limited (``serve_http``).
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
    """A context manager that serves images.

    Its ``uri`` is a value for ``BmcSettings.image_uri``.

    :param bmc: URL of the BMC: the server listens on the local address from
        which the BMC is reached, and uses it in URIs.
    :param port: port to listen on; 0 for any free one.
    :param host: host name or address by which the BMC reaches this machine,
        if it is another one. It is used in URIs; unless it is a local
        address, the server listens on all addresses.
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
        """A server at the address, or at all if it is not a local one."""
        try:
            return serve_http.listening(self._host, self._port, self._served)
        except OSError as error:
            if isinstance(error, socket.gaierror) or (
                    error.errno == errno.EADDRNOTAVAIL):
                # The BMC uses another address than the local one: a
                # forwarded port or NAT.
                return serve_http.listening('', self._port, self._served)
            raise

    def _served(self, path: str) -> serve_http.ServedFile | None:
        """The file that is served under a path, rewound, or None."""
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
        """Start to serve an image; returns its URI.

        :raises: Rejected if the file is not the image.
        """
        if self._server is None:
            return None
        # Opened once: another file with the same name is not served.
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
    """The local address from which a BMC is reached. Sends nothing."""
    where = parse.urlsplit(bmc)
    port = where.port or 443
    family, _, _, _, target = socket.getaddrinfo(
        where.hostname, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect(target)
        return str(probe.getsockname()[0])


class _Served(NamedTuple):
    """An open file with its expected size and digest."""

    file: BinaryIO
    image: Ready

    def again(self) -> serve_http.ServedFile:
        """The same file from its beginning, for one download.

        It has its own position, independent of other downloads.
        """
        return serve_http.ServedFile(
            lambda: io.BufferedReader(_At(self.file.fileno()), _PIECE),
            self.image.size, self.image.sha256)


class _At(io.RawIOBase):
    """Reads an open file at its own position (pread).

    It also has its own descriptor: the number of a closed descriptor is soon
    used for another file.
    """

    def __init__(self, fd: int) -> None:
        self._fd, self._place = os.dup(fd), 0

    def fileno(self) -> int:
        """The descriptor."""
        return self._fd

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
        """Close the descriptor."""
        if not self.closed:
            os.close(self._fd)
        super().close()
