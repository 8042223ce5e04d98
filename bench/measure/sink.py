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

"""An HTTP server that reads bodies and forgets them, in a process of its own.

It costs as little as a server can, so that a client is measured against it
and not against the server.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import socket
import ssl
import subprocess
import sys
import threading
from typing import Any

_PIECE = 1024 * 1024
_ANSWER = b'HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n'


@contextlib.contextmanager
def running(certificate: Sequence[str] = ()) -> Iterator[str]:
    """A server in another process; its URL.

    :param certificate: paths of a certificate and its key, for https.
    :raises: RuntimeError if it does not start.
    """
    process = subprocess.Popen(
        [sys.executable, __file__, *certificate],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        port = process.stdout.readline().strip()
        if not port:
            raise RuntimeError('the server does not start')
        yield f'http{"s" if certificate else ""}://127.0.0.1:{port}'
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


def _serve(sock: Any) -> None:
    """Read requests until the client closes."""
    piece = bytearray(_PIECE)
    with sock:
        head = b''
        while True:
            while b'\r\n\r\n' not in head:
                got = sock.recv(65536)
                if not got:
                    return
                head += got
            head, _, rest = head.partition(b'\r\n\r\n')
            length = next(int(line.partition(b':')[2])
                          for line in head.split(b'\r\n')
                          if line.lower().startswith(b'content-length:'))
            left = length - len(rest)
            while left > 0:
                count = sock.recv_into(piece)
                if not count:
                    return
                left -= count
            sock.sendall(_ANSWER)
            head = b''


def _accept(listener: socket.socket, context: Any) -> None:
    def one(sock: Any) -> None:
        with contextlib.suppress(OSError):
            _serve(context.wrap_socket(sock, server_side=True)
                   if context else sock)

    while True:
        sock, _ = listener.accept()
        threading.Thread(target=one, args=(sock,), daemon=True).start()


def main() -> None:
    """Serve until standard input is closed."""
    context = None
    if sys.argv[1:]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*sys.argv[1:])
    listener = socket.create_server(('127.0.0.1', 0), backlog=64)
    threading.Thread(target=_accept, args=(listener, context), daemon=True
                     ).start()
    print(listener.getsockname()[1], flush=True)
    sys.stdin.read()


if __name__ == '__main__':
    main()
