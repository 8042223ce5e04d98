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

"""Bounded in time and memory: a BMC that drips, floods or bombs."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
import tracemalloc

import pytest

from ironic_accel.bounded import web
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import NoAccess
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client.reader import Reader
from ironic_accel.redfish.client import retry_rules
from ironic_accel.redfish.client.writer import Writer
from tests.security.conftest import Serve
from tests.security import evil
from tests.security.test_origin import connected

THING = '/redfish/v1/Thing'
LENGTH = b'Content-Length: 2000000000\r\n'
CHUNKED = b'Transfer-Encoding: chunked\r\n'
#: Every request is over within a second.
QUICK = BmcSettings(connect_timeout=1, read_timeout=0.8, request_timeout=1,
                 write_timeout=1, push_timeout=1, body_limit=100_000)

OK, ERROR = b'HTTP/1.1 200 OK\r\n', b'HTTP/1.1 500 Error\r\n'
DRIPS = {
    'status line': (b'', b'H'),
    'status line, blank': (b'HTTP/1.1 ', b' '),
    'header name': (OK, b'X'),
    'header lines': (OK, b'X-A: b\r\n'),
    'folded header': (OK + b'X-A: b\r\n', b' c\r\n'),
    'interim answers': (b'', b'HTTP/1.1 100 Continue\r\n\r\n'),
    'body': (OK + LENGTH + b'\r\n', b' '),
    'error body': (ERROR + LENGTH + b'\r\n', b' '),
    'body without an end': (OK + b'\r\n', b' '),
    'chunks': (OK + CHUNKED + b'\r\n', b'1\r\n \r\n'),
    'chunk extension': (OK + CHUNKED + b'\r\n1', b';a=b'),
    'trailers': (OK + CHUNKED + b'\r\n1\r\n \r\n0\r\n', b'X-A: b\r\n'),
    'redirect body': (b'HTTP/1.1 302 Found\r\nLocation: /redfish/v1/Thing'
                      b'\r\n' + LENGTH + b'\r\n', b' '),
    'unauthorised': (b'HTTP/1.1 401 No\r\n' + LENGTH + b'\r\n', b' ')}


def expect_nothing(reader: Reader, unauthorised: bool) -> None:
    """Nothing is read, or the BMC lets nobody in."""
    if unauthorised:
        with pytest.raises(NoAccess):
            reader.get(THING)
    else:
        assert reader.get(THING) is None


@pytest.mark.parametrize('what', sorted(DRIPS))
def test_a_drip_ends(serve: Serve, what: str) -> None:
    head, piece = DRIPS[what]
    bmc = serve({THING: evil.forever(head, piece, 0.1)})
    reader = Reader(connected(bmc.url), QUICK)
    start = time.monotonic()
    assert reader.get(THING) is None
    assert time.monotonic() - start < 2.5
    assert reader.warnings


@pytest.mark.parametrize('what', sorted(DRIPS))
def test_a_flood_ends_and_takes_no_memory(serve: Serve, what: str) -> None:
    head, piece = DRIPS[what]
    bmc = serve({THING: evil.forever(head, piece * (65536 // len(piece)))})
    reader = Reader(connected(bmc.url), QUICK)
    tracemalloc.start()
    try:
        start = time.monotonic()
        expect_nothing(reader, what == 'unauthorised')
        assert time.monotonic() - start < 2.5
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize('status', [200, 400, 401, 404, 500, 503])
def test_a_large_body_of_any_status_is_not_kept(
        serve: Serve, status: int) -> None:
    bmc = serve({THING: evil.plain(status, b'"' + b'x' * 20_000_000 + b'"')})
    reader = Reader(connected(bmc.url), QUICK)
    tracemalloc.start()
    try:
        expect_nothing(reader, status == 401)
        # The answer itself is twenty megabytes of this process.
        assert tracemalloc.get_traced_memory()[1] < 25_000_000
    finally:
        tracemalloc.stop()
    if status != 401:
        assert reader.failures[THING].status == (
            0 if status == 200 else status)


@pytest.mark.parametrize('coding', ['gzip', 'deflate'])
def test_a_bomb_is_not_unpacked(serve: Serve, coding: str) -> None:
    import zlib
    bomb = b' ' * 50_000_000
    packed = gzip.compress(bomb) if coding == 'gzip' else zlib.compress(bomb)
    assert len(packed) < QUICK.body_limit
    del bomb
    bmc = serve({THING: evil.plain(200, packed, Content_Encoding=coding)})
    reader = Reader(connected(bmc.url), QUICK)
    tracemalloc.start()
    try:
        assert reader.get(THING) is None
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
    assert 'more than 100000 bytes' in reader.warnings[0].message


def test_what_comes_packed_unasked_is_read(serve: Serve) -> None:
    doc = json.dumps({'@odata.id': THING, 'Name': 'x' * 90_000}).encode()
    bmc = serve({THING: evil.plain(200, gzip.compress(doc),
                                   Content_Encoding='gzip')})
    assert Reader(connected(bmc.url), QUICK).get(THING)


@pytest.mark.parametrize(('coding', 'body'), [
    ('br', b'x'), ('zstd', b'x'), ('gzip', b'no gzip'),
    ('gzip', gzip.compress(b'{"Name": "x"}', mtime=0)[:-9]),
    ('gzip, br', gzip.compress(b'{}', mtime=0)), ('gzip\u00b2', b'{}'),
    ('gzip, gzip', gzip.compress(gzip.compress(b' ' * 50_000_000))),
    ('deflate', b'\xff' * 9)])
def test_an_encoding_that_is_none_is_a_warning(
        serve: Serve, coding: str, body: bytes) -> None:
    bmc = serve({THING: evil.plain(200, body, Content_Encoding=coding)})
    reader = Reader(connected(bmc.url), QUICK)
    assert reader.get(THING) is None
    assert reader.warnings


def test_a_look_frees_its_worker(serve: Serve) -> None:
    """Each answer is in time, and there is no end of them."""
    def slow(asked: evil.Asked, sock: socket.socket) -> None:
        time.sleep(0.2)
        number = int(asked.path.rsplit('/', 1)[1])
        evil.document({'@odata.id': asked.path, 'Members': [
            {'@odata.id': f'/redfish/v1/C/{number + 1}'}]})(asked, sock)

    bmc = serve({'*': slow})
    reader = Reader(connected(bmc.url), BmcSettings(
        connect_timeout=1, read_timeout=1, inventory_timeout=1.0))
    start, number = time.monotonic(), 0
    with pytest.raises(Unreachable, match='took longer') as caught:
        while time.monotonic() - start < 10:
            reader.get(f'/redfish/v1/C/{number}')
            number += 1
    assert caught.value.detail.error_class is ErrorClass.TRANSIENT
    assert time.monotonic() - start < 2
    reader.begin()
    assert reader.get('/redfish/v1/C/0') is not None


@pytest.mark.parametrize('what', sorted(DRIPS))
def test_a_write_answered_by_a_drip_ends(serve: Serve, what: str) -> None:
    """What became of it is unknown where no status came, and never done."""
    head, piece = DRIPS[what]
    bmc = serve({THING: evil.forever(head, piece, 0.1)})
    start = time.monotonic()
    if what in ('body', 'body without an end', 'chunks', 'trailers',
                'chunk extension'):
        answer = Writer(connected(bmc.url), QUICK).send('POST', THING, {})
        assert (answer.status, answer.doc) == (200, {})
    else:
        with pytest.raises((OutcomeUnknown, Rejected)):
            Writer(connected(bmc.url), QUICK).send('POST', THING, {})
    assert time.monotonic() - start < 4
    assert len(bmc.asked) == 1


def test_a_bmc_that_swallows_an_image_slowly_is_left(
        serve: Serve, tmp_path: object) -> None:
    """It takes a few bytes now and then: each is in time."""
    import hashlib
    import pathlib
    image = pathlib.Path(str(tmp_path)) / 'fw.bin'
    image.write_bytes(b'x' * 8_000_000)
    digest = hashlib.sha256(image.read_bytes()).hexdigest()
    listener = socket.create_server(('127.0.0.1', 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    done = threading.Event()

    def swallow() -> None:
        sock, _ = listener.accept()
        with sock:
            while not done.wait(0.05):
                sock.recv(2048)

    thread = threading.Thread(target=swallow, daemon=True)
    thread.start()
    port = listener.getsockname()[1]
    settings = BmcSettings(connect_timeout=1, push_timeout=1,
                        push_rate=8_000_000)
    start = time.monotonic()
    try:
        with pytest.raises(OutcomeUnknown):
            Writer(connected(f'http://127.0.0.1:{port}'), settings
                   ).push_plain('/push', str(image), 8_000_000, digest)
        assert time.monotonic() - start < 5
    finally:
        done.set()
        thread.join(5)
        listener.close()


@pytest.mark.parametrize('told', [
    'nan', 'inf', '1e309', '+5', '0x10', '1_000', '\uff15', '5, 9', '5;',
    ' 5', '0', '-0', 'Wed, 02 Jan', '2026-11-28T00:00:00Z', '\x00',
    'Mon, 30 Feb 2026 00:00:00 GMT', 'Sat, 28 Nov 2026 00:00:00 +9999',
    '5', '31536000', '9' * 400, '\u00b2', '\u0663', '-3', '1e9', 'soon', '',
    'Fri, 31 Dec 9999 23:59:59 GMT', 'Thu, 01 Jan 1970 00:00:00 GMT',
    'Fri, 99 Dec 2026 99:99:99 GMT'])
def test_a_wait_that_a_service_asks_for_is_bounded(told: str) -> None:
    seconds = retry_rules.seconds(told)
    assert seconds is None or 0 < seconds <= 600


def test_a_limit_over_several_answers_is_one() -> None:
    limit = web.Limit(60, size=10)
    limit.took(6)
    with pytest.raises(OSError, match='too many bytes'):
        limit.took(5)
    assert limit.spent


def test_a_pace_is_wanted_after_its_grace() -> None:
    limit = web.Limit(60, idle=5)
    limit.want(rate=1e6, grace=0.05)
    assert limit.patience() <= 5
    time.sleep(0.1)
    with pytest.raises(TimeoutError, match='slower'):
        limit.patience()
    limit.took(10_000_000)
    assert limit.patience() <= 5
