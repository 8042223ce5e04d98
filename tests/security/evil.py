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

"""A server on loopback that answers whatever a test tells it to."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import dataclasses
import json
import socket
import threading
from typing import Any


@dataclasses.dataclass
class Asked:
    """One request as it came.

    :ivar headers: by lower-case name.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


#: Answers a request over a socket.
Answer = Callable[[Asked, socket.socket], None]


def plain(status: int = 200, body: bytes = b'{}',
          **headers: str) -> Answer:
    """An answer with a length, at once."""
    def answer(asked: Asked, sock: socket.socket) -> None:
        lines = [f'HTTP/1.1 {status} Said', f'Content-Length: {len(body)}',
                 'Connection: close']
        lines += [f'{k.replace("_", "-")}: {v}' for k, v in headers.items()]
        sock.sendall('\r\n'.join(lines).encode() + b'\r\n\r\n' + body)
    return answer


def document(doc: Any, status: int = 200, **headers: str) -> Answer:
    """A JSON answer."""
    return plain(status, json.dumps(doc).encode(), **headers)


def forever(head: bytes, piece: bytes, pause: float = 0.0) -> Answer:
    """A head, then one piece after the other until nobody listens."""
    def answer(asked: Asked, sock: socket.socket) -> None:
        sock.sendall(head)
        stop = threading.Event()
        while not stop.wait(pause):
            sock.sendall(piece)
    return answer


@dataclasses.dataclass
class Server:
    """Listens at a free port of loopback; knows what it was asked.

    :ivar answers: by path (without query); ``*`` for every other.
    """

    url: str
    asked: list[Asked]
    answers: dict[str, Answer]

    def paths(self, method: str = 'GET') -> list[str]:
        """The paths that were asked for."""
        return [a.path for a in self.asked if a.method == method]


@contextlib.contextmanager
def serve(answers: dict[str, Answer] | None = None) -> Iterator[Server]:
    """A server as long as it is entered; it answers 404 by default."""
    listener = socket.create_server(('127.0.0.1', 0))
    host, port = listener.getsockname()
    server = Server(f'http://{host}:{port}', [], dict(answers or {}))
    done = threading.Event()
    open_socks: list[socket.socket] = []

    def accept() -> None:
        while not done.is_set():
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            open_socks.append(sock)
            threading.Thread(target=_answer, args=(server, sock),
                             daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        done.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for sock in open_socks:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        thread.join(5)


def _answer(server: Server, sock: socket.socket) -> None:
    with sock, contextlib.suppress(OSError):
        asked = _read(sock)
        if asked is None:
            return
        server.asked.append(asked)
        path = asked.path.split('?', 1)[0]
        answer = server.answers.get(path) or server.answers.get('*')
        (answer or plain(404))(asked, sock)


def _read(sock: socket.socket) -> Asked | None:
    data = b''
    while b'\r\n\r\n' not in data:
        piece = sock.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b'\r\n\r\n')
    first, *lines = head.decode('latin-1').split('\r\n')
    method, path, _ = first.split(' ', 2)
    headers = {k.lower(): v.strip() for k, _, v in (
        line.partition(':') for line in lines)}
    wanted = int(headers.get('content-length', '0'))
    while len(body) < wanted:
        piece = sock.recv(65536)
        if not piece:
            break
        body += piece
    return Asked(method, path, headers, body)
