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

"""HTTP/1.1 on loopback for one system, optionally with TLS."""

from __future__ import annotations

import logging
import socket
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ironic_accel_emulator.bmc.certificate import make_certificate
from ironic_accel_emulator.bmc.messages import Reply, Request
from ironic_accel_emulator.bmc.service import Service
from ironic_accel_emulator.box import Box
from ironic_accel_emulator.errors import RedfishError

LOG = logging.getLogger(__name__)
_IDLE_SECONDS = 60
# Interval of the check for a shutdown. The default of half a second would
# delay every test that stops a server.
_POLL_SECONDS = 0.02


class _Body:
    """A request body that is read once and never past its end."""

    def __init__(self, handler: _Handler, length: int) -> None:
        self._handler = handler
        self.left = length

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes; none at the end."""
        self._handler.go_on()
        data = self._handler.rfile.read(min(size, self.left))
        self.left -= len(data)
        if not data and self.left:
            raise ConnectionError(f'body ended {self.left} bytes early')
        return data


class _Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    server_version = 'twin'
    sys_version = ''
    wbufsize = -1
    disable_nagle_algorithm = True
    timeout = _IDLE_SECONDS
    server: _HTTPServer

    def setup(self) -> None:
        """Count the connection."""
        with self.server.service.box.lock:
            self.server.service.box.ledger.connections += 1
        super().setup()

    def handle_expect_100(self) -> bool:
        """Delay ``100 Continue`` until the body is read."""
        self._expecting = True
        return True

    def go_on(self) -> None:
        """Tell a waiting client to send its body."""
        if getattr(self, '_expecting', False):
            self._expecting = False
            self.send_response_only(100)
            self.end_headers()
            self.wfile.flush()

    def _serve(self) -> None:
        text = self.headers.get('Content-Length') or '0'
        if not text.isdigit() or 'Transfer-Encoding' in self.headers:
            self._send(Reply(411, {'error': 'expected Content-Length'}), None)
            return
        body = _Body(self, int(text))
        parts = urlsplit(self.path)
        request = Request(
            method=self.command,
            path=unquote(parts.path),
            query=parts.query,
            headers={k.lower(): v for k, v in self.headers.items()},
            body=body,
            length=body.left,
        )
        try:
            reply = self.server.service.handle(request)
        except ConnectionError as error:
            LOG.info('%s %s: %s', self.command, self.path, error)
            self.close_connection = True
            return
        except Exception:
            LOG.exception('%s %s', self.command, self.path)
            reply = Reply.of_error(RedfishError(500, 'InternalError'))
        self._send(reply, body)

    do_GET = do_HEAD = do_POST = do_PATCH = _serve
    do_PUT = do_DELETE = do_OPTIONS = _serve

    def _send(self, reply: Reply, body: _Body | None) -> None:
        unread = body is not None and body.left > 0
        if reply.drop:
            self._hang_up()
            return
        data = reply.encoded()
        length = len(data) * (2 if reply.truncate else 1)
        self._expecting = False
        self.send_response(reply.status)
        kind = 'application/json; charset=utf-8'
        headers = {'Content-Type': kind, **reply.headers}
        if reply.status in (204, 304):
            headers.pop('Content-Type')
        else:
            headers['Content-Length'] = str(length)
        closing = reply.close or unread or reply.truncate
        if closing or self.close_connection:
            headers['Connection'] = 'close'
            self.close_connection = True
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(data)
        self.wfile.flush()
        if unread and body is not None:
            self._drain(body)

    def _drain(self, body: _Body) -> None:
        """Read a little of what the client still sends.

        Closing immediately would reset the connection, and the client would
        lose the response with the reason.
        """
        self.connection.settimeout(0.2)
        try:
            while body.left > 0 and body.read(1 << 16):
                pass
        except OSError as error:
            LOG.debug('client stopped sending: %s', error)

    def _hang_up(self) -> None:
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError as error:
            LOG.debug('connection is already closed: %s', error)

    def log_message(self, format: str, *args: Any) -> None:
        """Log requests at debug level."""
        LOG.debug(format, *args)


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    service: Service

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log the error of a connection; closed ones are normal."""
        error = sys.exception()
        usual = isinstance(error, OSError)
        level = logging.DEBUG if usual else logging.ERROR
        LOG.log(level, 'connection from %s: %r', client_address, error)


class TwinServer:
    """A system behind a socket: ``start()`` returns the URL.

    A thread runs the events of the system when they are due, so that power
    hooks run without any request.
    """

    def __init__(
        self,
        box: Box,
        port: int = 0,
        tls: bool = False,
        host: str = '127.0.0.1',
    ) -> None:
        self.box = box
        self.certificate: Path | None = None
        self._stopped = False
        self._http = _HTTPServer((host, port), _Handler)
        self._http.service = Service(box)
        self._scheme = 'http'
        if tls:
            self._scheme = 'https'
            self.certificate, key = make_certificate(host)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate, key)
            self._http.socket = context.wrap_socket(
                self._http.socket,
                server_side=True,
                do_handshake_on_connect=False,
            )
        self._threads = [
            threading.Thread(
                target=self._http.serve_forever, args=(_POLL_SECONDS,),
                daemon=True,
            ),
            threading.Thread(target=self._play, daemon=True),
        ]

    @property
    def url(self) -> str:
        """The URL of the service."""
        host, port = self._http.server_address[:2]
        return f'{self._scheme}://{host!s}:{port}'

    def start(self) -> str:
        """Start the server; return the URL."""
        for thread in self._threads:
            thread.start()
        return self.url

    def stop(self) -> None:
        """Stop the server and wait for its end."""
        self._http.shutdown()
        self._http.server_close()
        with self.box.lock:
            self._stopped = True
            self.box.timeline.changed.notify_all()
        for thread in self._threads:
            thread.join()
        if self.certificate is not None:
            for file in self.certificate.parent.iterdir():
                file.unlink()
            self.certificate.parent.rmdir()

    def __enter__(self) -> str:
        return self.start()

    def __exit__(self, *args: object) -> None:
        self.stop()

    def _play(self) -> None:
        timeline = self.box.timeline
        with self.box.lock:
            while not self._stopped:
                timeline.run_due()
                due = timeline.next_due()
                wait = None
                if due is not None:
                    wait = self.box.clock.real_delay(max(0.0, due))
                timeline.changed.wait(wait)
