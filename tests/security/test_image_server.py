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

"""The image server: nobody who drips, floods or hangs costs another's image.

Loopback has many addresses: each test's clients come from their own.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import hashlib
import os
from pathlib import Path
import random
import socket
import threading
import time
from urllib import parse

import pytest

from ironic_accel.bounded import serve_http
from ironic_accel.converge.ports import Ready
from ironic_accel.redfish.image_server import ImageServer

BAD, GOOD = '127.0.0.66', '127.0.0.77'
IMAGE = random.Random(7).randbytes(3_000_000)  # noqa: S311 - no secret


@pytest.fixture
def image(tmp_path: Path) -> Ready:
    path = tmp_path / 'fw.bin'
    path.write_bytes(IMAGE)
    return Ready(str(path), len(IMAGE), hashlib.sha256(IMAGE).hexdigest())


class Place:
    """A served image, and clients that come to it."""

    def __init__(self, server: ImageServer, uri: str) -> None:
        self.server, where = server, parse.urlsplit(uri)
        self.path = where.path
        self.address = (str(where.hostname), int(where.port or 0))
        self.socks: list[socket.socket] = []

    def connect(self, source: str = BAD) -> socket.socket:
        """A connection from one of this machine's addresses."""
        sock = socket.create_connection(
            self.address, 10, source_address=(source, 0))
        self.socks.append(sock)
        return sock

    def asking(self, source: str = BAD, buffer: int | None = None
               ) -> socket.socket:
        """A connection that asked for the image, and reads nothing yet."""
        sock = self.connect(source)
        if buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock.sendall(f'GET {self.path} HTTP/1.1\r\nHost: x\r\n\r\n'
                     .encode())
        return sock

    def fetch(self, source: str = GOOD) -> bytes:
        """The image, as a BMC in good health has it."""
        with self.connect(source) as sock:
            sock.sendall(f'GET {self.path} HTTP/1.1\r\nHost: x\r\n'
                         'Connection: close\r\n\r\n'.encode())
            return rest(sock).partition(b'\r\n\r\n')[2]


def rest(sock: socket.socket) -> bytes:
    """What still comes."""
    sock.settimeout(10)
    got = b''
    with contextlib.suppress(ConnectionError):
        while piece := sock.recv(1 << 20):
            got += piece
    return got


@pytest.fixture
def place(image: Ready) -> Iterator[Place]:
    with ImageServer('http://127.0.0.1:1') as server:
        made = Place(server, str(server.uri(image)))
        yield made
        for sock in made.socks:
            sock.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that a test can wait for."""
    for name, value in (('ASKING', 0.6), ('IDLE', 0.6), ('GRACE', 0.6)):
        monkeypatch.setattr(serve_http, name, value)


def closed(sock: socket.socket, within: float) -> bool:
    """Whether a connection is ended in time."""
    sock.settimeout(within)
    try:
        while sock.recv(65536):
            continue
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


DRIPS: dict[str, bytes] = {
    'nothing': b'', 'request line': b'G', 'blank lines': b'\r\n',
    'path': b'GET /', 'header': b'GET / HTTP/1.1\r\nX: ',
    'header lines': b'GET / HTTP/1.1\r\n'}
PIECES = {'path': b'x', 'header': b'x', 'header lines': b'X: y\r\n',
          'blank lines': b'\r\n', 'request line': b'E'}


@pytest.mark.parametrize('what', sorted(DRIPS))
def test_a_request_that_drips_ends(
        place: Place, quick: None, what: str) -> None:
    sock = place.connect()
    start = time.monotonic()
    with contextlib.suppress(ConnectionError):
        sock.sendall(DRIPS[what])
        while time.monotonic() - start < 0.4:
            sock.sendall(PIECES.get(what, b''))
            time.sleep(0.05)
        while time.monotonic() - start < 3 and not closed(sock, 0.05):
            sock.sendall(PIECES.get(what, b''))
    assert time.monotonic() - start < 2
    assert place.fetch() == IMAGE


@pytest.mark.parametrize('what', sorted(PIECES))
def test_a_request_that_floods_ends(place: Place, what: str) -> None:
    sock = place.connect()
    sock.settimeout(5)
    sent = 0
    with contextlib.suppress(ConnectionError):
        sock.sendall(DRIPS[what])
        while sent < 20_000_000:
            sent += sock.send(PIECES[what] * 5000)
    assert sent < 20_000_000
    assert place.fetch() == IMAGE


@pytest.mark.parametrize('how', ['silent', 'asking'])
def test_one_client_takes_the_place_of_no_other(
        place: Place, how: str) -> None:
    """It opens whatever it can; what is too much is closed at once."""
    open_ = []
    for _ in range(serve_http.EACH * 4):
        sock = (place.connect() if how == 'silent'
                else place.asking(buffer=4096))
        open_.append(sock)
    start = time.monotonic()
    assert place.fetch() == IMAGE
    assert time.monotonic() - start < 5
    assert sum(closed(s, 0.2) for s in open_[serve_http.EACH:]) == (
        serve_http.EACH * 3)
    # Once it lets go it is served like anybody.
    for sock in open_:
        sock.close()
    until = time.monotonic() + 5
    while time.monotonic() < until:
        with contextlib.suppress(ConnectionError):
            if place.fetch(BAD) == IMAGE:
                return
        time.sleep(0.05)
    raise AssertionError('its places are never free again')


def test_there_is_an_end_of_all_connections(
        place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_http, 'MOST', 6)
    before = threading.active_count()
    for number in range(12):
        place.connect(f'127.0.1.{number + 1}')
    time.sleep(0.3)
    assert threading.active_count() - before <= 6


def test_a_reader_that_is_too_slow_is_left(
        place: Place, quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes some bytes now and then: each is in time."""
    monkeypatch.setattr(serve_http, 'RATE', 3_000_000)
    before = threading.active_count()
    sock = place.asking(buffer=4096)
    start = time.monotonic()
    assert sock.recv(2048)
    assert threading.active_count() > before
    while threading.active_count() > before:
        assert time.monotonic() - start < 8
        sock.recv(2048)
        time.sleep(0.05)
    sock.close()


def test_a_reader_that_stops_is_left(place: Place, quick: None) -> None:
    before = threading.active_count()
    place.asking(buffer=4096)
    until = time.monotonic() + 5
    time.sleep(0.1)
    while threading.active_count() > before and time.monotonic() < until:
        time.sleep(0.05)
    assert threading.active_count() <= before


def test_a_connection_that_is_kept_has_an_end(
        place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_http, 'REQUESTS', 3)
    sock = place.connect()
    answers = 0
    with contextlib.suppress(ConnectionError):
        for _ in range(9):
            sock.sendall(f'HEAD {place.path} HTTP/1.1\r\nHost: x\r\n\r\n'
                         .encode())
            answers += sock.recv(65536).startswith(b'HTTP/1.1 200')
    assert answers == 3


def test_what_is_under_way_ends_with_the_server(image: Ready) -> None:
    """And the file under a number that is another one's by now is not
    read."""
    with ImageServer('http://127.0.0.1:1') as server:
        made = Place(server, str(server.uri(image)))
        sock = made.asking(buffer=65536)
        assert sock.recv(15).startswith(b'HTTP/1.1 200')
    secret = os.urandom(4_000_000)
    other = Path(image.path).with_name('secret')
    other.write_bytes(secret)
    with other.open('rb'):
        got = rest(sock)
    assert len(got) < len(IMAGE)
    assert secret[:1000] not in got
    sock.close()


@pytest.mark.parametrize(('one', 'other', 'same'), [
    ('192.0.2.1', '192.0.2.1', True), ('192.0.2.1', '192.0.2.2', False),
    ('::ffff:192.0.2.1', '192.0.2.1', True),
    ('2001:db8::1', '2001:db8::ffff:1', True),
    ('2001:db8::1', '2001:db8:0:1::1', False),
    ('fe80::1%eth0', 'fe80::2%eth0', True), ('odd', 'odd', True)])
def test_who_is_one_client(one: str, other: str, same: bool) -> None:
    assert (serve_http._client(one) == serve_http._client(other)) is same


REQUESTS: dict[str, Callable[[str], str]] = {
    'http 0.9': lambda p: f'GET {p}\r\n',
    'no version': lambda p: f'GET {p} \r\n\r\n',
    'absolute': lambda p: f'GET http://evil{p} HTTP/1.1\r\n\r\n',
    'two slashes': lambda p: f'GET /{p} HTTP/1.1\r\n\r\n',
    'dots': lambda p: f'GET /../../etc/passwd{p} HTTP/1.1\r\n\r\n',
    'nul': lambda p: f'GET {p}\x00 HTTP/1.1\r\n\r\n',
    'post': lambda p: f'POST {p} HTTP/1.1\r\nContent-Length: 9\r\n\r\n',
    'connect': lambda p: 'CONNECT evil:80 HTTP/1.1\r\n\r\n',
    'odd method': lambda p: f'__class__ {p} HTTP/1.1\r\n\r\n',
    'version': lambda p: f'GET {p} HTTP/\u0661.1\r\n\r\n',
    'huge version': lambda p: f'GET {p} HTTP/{"9" * 4000}.1\r\n\r\n',
    'folded': lambda p: f'GET {p} HTTP/1.1\r\nA: b\r\n c\r\n\r\n',
    'many headers': lambda p: (f'GET {p} HTTP/1.1\r\n' + 'A: b\r\n' * 300
                               + '\r\n'),
    'chunked': lambda p: (f'GET {p} HTTP/1.1\r\nTransfer-Encoding: chunked'
                          '\r\n\r\nzz\r\n'),
    'range': lambda p: f'GET {p} HTTP/1.1\r\nRange: bytes=9-1\r\n\r\n',
    'expect': lambda p: (f'GET {p} HTTP/1.1\r\nExpect: 100-continue'
                         '\r\n\r\n')}


@pytest.mark.parametrize('what', sorted(REQUESTS))
def test_an_odd_request_gets_the_image_or_an_error(
        place: Place, caplog: pytest.LogCaptureFixture, what: str) -> None:
    sock = place.connect()
    sock.sendall(REQUESTS[what](place.path).encode())
    sock.shutdown(socket.SHUT_WR)
    got = rest(sock)
    assert not got or IMAGE in got or any(
        f'Error code: {code}'.encode() in got
        for code in (400, 404, 414, 431, 501, 505))
    assert b'root:' not in got
    assert 'Traceback' not in caplog.text
    assert place.fetch() == IMAGE
