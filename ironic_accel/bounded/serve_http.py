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

"""Files over plain HTTP, to clients that may be slow, many, or hostile.

A client has so many connections at a time, so long to ask and so long for
each request, whatever it sends or takes in between; one that drips keeps a
place of its own address and nobody else's. Nothing that it sends raises.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
import contextlib
import http.server
import io
import ipaddress
import logging
import socket
import sys
import threading
from typing import Any, BinaryIO, NamedTuple

from ironic_accel.bounded import files
from ironic_accel.bounded import web

LOG = logging.getLogger(__name__)

#: Connections at a time: of all clients, and of one. A BMC fetches one image
#: at a time; some ask for its length on a second connection (HEAD).
MOST, EACH = 64, 8
#: Requests on one connection.
REQUESTS = 64
#: Seconds in which a request has to be told, from its first byte or, on a
#: connection that is kept, from the end of the one before; and its bytes.
ASKING, HEAD = 15.0, 16 * 1024
#: Seconds without a byte taken; and bytes a second that a client takes, on
#: average, once so many seconds have gone by.
IDLE, RATE, GRACE = 60.0, 4 * 1024, 300.0

#: Bytes that are under way to one client.
BUFFER = 256 * 1024

_PIECE = 64 * 1024


class ServedFile(NamedTuple):
    """A file to be sent.

    :ivar open: opens it at its beginning; whoever reads it closes it.
    :ivar size: bytes, and
    :ivar sha256: the digest, without which it is not sent.
    """

    open: Callable[[], BinaryIO]
    size: int
    sha256: str


#: What is served under a path, or None.
Find = Callable[[str], ServedFile | None]


def listening(host: str, port: int, find: Find) -> Server:
    """A server that listens; ``serve_forever`` has it answer.

    :param host: address to listen on; empty is all of them.
    :param port: 0 is any free one.
    :raises: OSError.
    """
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    kind = type('_Bound', (Server,), {'address_family': family})
    made: Server = kind((host, port), find)
    return made


class Server(http.server.ThreadingHTTPServer):
    """Answers each connection in a thread, as long as there are places."""

    daemon_threads = True
    #: Connections that wait to be accepted: nobody is kept waiting there.
    request_queue_size = MOST

    def __init__(self, address: tuple[str, int], find: Find) -> None:
        self.find = find
        self._lock = threading.Lock()
        self._open: dict[socket.socket, str] = {}
        self._closed = False
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection, or close it where there is no place."""
        who = _client(str(client_address[0]))
        with self._lock:
            mine = Counter(self._open.values())[who]
            free = (len(self._open) < MOST and mine < EACH
                    and not self._closed)
            if free:
                self._open[request] = who
        if not free:
            LOG.warning('Closing an image server connection from %(who)s: '
                        '%(mine)d of %(each)d connections of this client '
                        'and %(all)d of %(most)d in total are open', {
                            'who': who, 'mine': mine, 'each': EACH,
                            'all': len(self._open), 'most': MOST})
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection; its place is free."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Listen no longer, and end what is under way."""
        super().server_close()
        with self._lock:
            self._closed = True
            left = list(self._open)
        for sock in left:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say in the log that a connection broke, and no more.

        A client that goes away or is too slow is an OSError; anything else
        is a defect of ours, and costs this connection alone.
        """
        # It is called where the exception is handled (socketserver).
        error = sys.exception()
        LOG.log(logging.INFO if isinstance(error, OSError) else logging.ERROR,
                'Connection from %s to the image server failed',
                client_address[0],
                exc_info=error)


def _client(address: str) -> str:
    """Whose connections are counted together.

    A machine has as many addresses as it likes within its IPv6 network
    (RFC 4291: 64 bits of it are the interface's own).
    """
    try:
        found = ipaddress.ip_address(address.partition('%')[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


class _RequestStream(io.RawIOBase):
    """What a client sends, each piece within the limit of its request."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.limit = web.Limit(ASKING, HEAD)

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, see RawIOBase.

        :raises: TimeoutError, OSError where the limit is reached.
        """
        self._sock.settimeout(self.limit.patience())
        # No more than may be asked: what comes behind is not read ahead.
        count = self._sock.recv_into(buffer, min(len(buffer), 4096))
        self.limit.took(count)
        return count


class _Handler(http.server.BaseHTTPRequestHandler):
    """GET and HEAD of the files, nothing else."""

    protocol_version = 'HTTP/1.1'
    server_version = 'images'
    sys_version = ''
    server: Server
    _asked = 0

    def setup(self) -> None:
        """Read within bounds."""
        super().setup()
        # What the kernel holds for a client that takes nothing is not taken.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF,
                                   BUFFER)
        self._raw = _RequestStream(self.connection)
        self.rfile = io.BufferedReader(self._raw, 4096)

    def handle_one_request(self) -> None:
        """Answer one request; a connection has an end of them."""
        self._raw.limit = web.Limit(ASKING, HEAD)
        self._asked += 1
        try:
            super().handle_one_request()
        except OSError as error:
            # Too slow, too long, or gone; nothing of it is answered.
            LOG.debug('Image request aborted: %s', error)
            self.close_connection = True
        if self._asked >= REQUESTS:
            self.close_connection = True

    def do_GET(self) -> None:
        """Send a file."""
        self._answer(body=True)

    def do_HEAD(self) -> None:
        """Tell a file's length."""
        self._answer(body=False)

    def _answer(self, body: bool) -> None:
        limit = web.Limit(GRACE, idle=IDLE)
        self.connection.settimeout(limit.patience())
        found = self.server.find(self.path)
        if found is None:
            self.send_error(404)
            return
        with found.open() as file:
            image = files.Checked(file, found.size, found.sha256)
            if image.verify() is not None:
                # Whoever changed it, it is not what was approved.
                self.send_error(410)
                return
            self.send_response(200)
            self.send_header('Content-Type', 'application/octet-stream')
            self.send_header('Content-Length', str(found.size))
            self.end_headers()
            if body:
                self._send(image)

    def _send(self, image: files.Checked) -> None:
        """Send an image; one that is changed meanwhile never wholly.

        :raises: OSError where the client takes it too slowly.
        """
        limit = web.Limit(GRACE + image.len / RATE, idle=IDLE)
        try:
            while piece := image.read(_PIECE):
                self.connection.settimeout(limit.patience())
                self.wfile.write(piece)
        except files.Changed as error:
            LOG.error('An image was changed while a client fetched it: %s',
                      error.strerror)
        if image.len:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Paths are secrets: they are not logged."""
