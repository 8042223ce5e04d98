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

"""What is served is what was checked, and it is fetched from where allowed."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import hashlib
import http.client
import os
from pathlib import Path
import socket
import time
from typing import Any
from urllib import parse

from ironic.conf import CONF
import pytest

from ironic_accel.bounded import files
from ironic_accel.conductor.access import images
from ironic_accel.conductor.config import options as accel_conf
from ironic_accel.converge.ports import Bad
from ironic_accel.converge.ports import Fetching
from ironic_accel.converge.ports import Ready
from ironic_accel.images import ImageStore
from ironic_accel.images import Policy
from ironic_accel.images.policy import ImageNotAllowed
from ironic_accel.model.errors import BadInput
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.profile import Image
from ironic_accel.model import profile_reader
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client.writer import Writer
from ironic_accel.redfish.image_server import ImageServer
from tests.security.conftest import Serve
from tests.security import evil
from tests.security.test_origin import connected

GOOD = b'good firmware' * 200_000
EVIL = b'evil firmware' * 200_000
DIGEST = hashlib.sha256(GOOD).hexdigest()
HTTP = Policy(schemes=frozenset({'http'}), connect_timeout=1,
              read_timeout=1, total_timeout=2)


@pytest.fixture
def image(tmp_path: Path) -> Ready:
    path = tmp_path / 'fw.bin'
    path.write_bytes(GOOD)
    return Ready(str(path), len(GOOD), DIGEST)


def in_place(path: str) -> None:
    """Another content of equal length in the same file, at its end: what
    was sent already was good."""
    with open(path, 'r+b') as file:
        file.seek(-100, os.SEEK_END)
        file.write(EVIL[:100])


def replaced(path: str) -> None:
    """Another file under the same name."""
    os.unlink(path)
    Path(path).write_bytes(EVIL)


def cut(path: str) -> None:
    """The same file, shorter."""
    os.truncate(path, 1000)


def grown(path: str) -> None:
    """The same file, longer."""
    with open(path, 'ab') as file:
        file.write(b'more')


def by_another_name(path: str) -> None:
    """The same file, through a hard link."""
    os.link(path, path + '.link')
    in_place(path + '.link')


def with_its_old_time(path: str) -> None:
    """Another content, and the time of the old one."""
    before = os.stat(path)
    in_place(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def with_a_hole(path: str) -> None:
    """A sparse file of the same length."""
    size = os.stat(path).st_size
    os.truncate(path, size - 100)
    os.truncate(path, size)


CHANGES = [in_place, cut, grown, by_another_name, with_its_old_time,
           with_a_hole]


class Body:
    """What a BMC got of a push, and what happens while it gets it."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self.meanwhile = meanwhile
        self.got = b''

    def __enter__(self) -> Body:
        self.listener = socket.create_server(('127.0.0.1', 0))
        import threading
        self.thread = threading.Thread(target=self._take, daemon=True)
        self.thread.start()
        return self

    @property
    def url(self) -> str:
        return f'http://127.0.0.1:{self.listener.getsockname()[1]}'

    def _take(self) -> None:
        sock, _ = self.listener.accept()
        with sock:
            self.got = sock.recv(65536)
            self.meanwhile()
            sock.settimeout(5)
            while piece := sock.recv(1 << 20):
                self.got += piece
                if self.got.endswith(GOOD[-100:]) or (
                        b'--\r\n' in self.got[-10:]):
                    break
            sock.sendall(b'HTTP/1.1 202 OK\r\nContent-Length: 0\r\n\r\n')

    def __exit__(self, *args: object) -> None:
        self.thread.join(10)
        self.listener.close()


@pytest.mark.parametrize('plain', [True, False])
@pytest.mark.parametrize('change', [*CHANGES, replaced],
                         ids=lambda c: c.__name__)
def test_an_image_changed_before_a_push_is_not_sent(
        image: Ready, serve: Serve, plain: bool,
        change: Callable[[str], None]) -> None:
    bmc = serve({'*': evil.plain(202)})
    change(image.path)
    with pytest.raises(Rejected):
        push(bmc.url, image, plain)
    assert not bmc.asked


def push(url: str, image: Ready, plain: bool) -> Any:
    writer = Writer(connected(url), BmcSettings(
        connect_timeout=2, push_timeout=5))
    if plain:
        return writer.push_plain('/push', image.path, image.size,
                                 image.sha256)
    return writer.push_multipart('/push', {}, image.path, image.size,
                                 image.sha256)


@pytest.mark.parametrize('plain', [True, False])
@pytest.mark.parametrize('change', CHANGES, ids=lambda c: c.__name__)
def test_an_image_changed_during_a_push_never_arrives_whole(
        tmp_path: Path, plain: bool, change: Callable[[str], None]) -> None:
    """Sixteen megabytes: more than sockets hold while nobody reads."""
    good = os.urandom(16) * 1_000_000
    path = tmp_path / 'fw.bin'
    path.write_bytes(good)
    image = Ready(str(path), len(good), hashlib.sha256(good).hexdigest())
    with (Body(lambda: change(str(path))) as bmc,
          pytest.raises((OutcomeUnknown, Unreachable), match='changed')):
        push(bmc.url, image, plain)
    assert len(bmc.got) < len(good)


def test_an_image_that_stays_as_it_is_arrives_whole(
        image: Ready, serve: Serve) -> None:
    bmc = serve({'*': evil.plain(202)})
    assert push(bmc.url, image, plain=True).status == 202
    assert bmc.asked[0].body == GOOD
    push(bmc.url, image, plain=False)
    assert GOOD in bmc.asked[1].body


@pytest.mark.parametrize('kind', ['link', 'fifo', 'folder', 'missing'])
def test_what_is_no_file_is_not_pushed(
        image: Ready, tmp_path: Path, kind: str) -> None:
    path = tmp_path / 'other'
    if kind == 'link':
        path.symlink_to(image.path)
    elif kind == 'fifo':
        os.mkfifo(path)
    elif kind == 'folder':
        path.mkdir()
    with pytest.raises(Rejected):
        push('http://127.0.0.1:1', Ready(str(path), 3, DIGEST), True)


def fetch(uri: str) -> tuple[int, bytes]:
    where = parse.urlsplit(uri)
    connection = http.client.HTTPConnection(where.netloc, timeout=5)
    try:
        connection.request('GET', where.path)
        response = connection.getresponse()
        try:
            return response.status, response.read()
        except http.client.IncompleteRead as error:
            return response.status, error.partial
    finally:
        connection.close()


def test_a_bmc_fetches_the_file_that_was_opened(image: Ready) -> None:
    with ImageServer('http://127.0.0.1:1') as server:
        uri = server.uri(image)
        assert uri is not None
        replaced(image.path)
        assert fetch(uri) == (200, GOOD)
        assert fetch(uri) == (200, GOOD)


@pytest.mark.parametrize('change', CHANGES, ids=lambda c: c.__name__)
def test_a_bmc_fetches_nothing_that_was_changed(
        image: Ready, change: Callable[[str], None]) -> None:
    with ImageServer('http://127.0.0.1:1') as server:
        uri = server.uri(image)
        assert uri is not None
        change(image.path)
        assert fetch(uri)[0] == 410


def test_a_bmc_never_fetches_the_whole_of_what_changes(
        tmp_path: Path) -> None:
    good = os.urandom(16) * 1_000_000
    path = tmp_path / 'fw.bin'
    path.write_bytes(good)
    image = Ready(str(path), len(good), hashlib.sha256(good).hexdigest())
    with ImageServer('http://127.0.0.1:1') as server:
        uri = server.uri(image)
        assert uri is not None
        where = parse.urlsplit(uri)
        sock = socket.create_connection((where.hostname, where.port), 5)
        with sock:
            sock.sendall(f'GET {where.path} HTTP/1.1\r\nHost: x\r\n\r\n'
                         .encode())
            got = sock.recv(1000)
            in_place(image.path)
            while piece := sock.recv(1 << 20):
                got += piece
    assert got.startswith(b'HTTP/1.1 200')
    assert len(got) < len(good)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Path]:
    assert accel_conf.CONF is CONF
    CONF.set_override('image_serve_dir', str(tmp_path / 'www'),
                      group='accelerator')
    CONF.set_override('image_serve_url', 'http://192.0.2.3/fw',
                      group='accelerator')
    yield tmp_path / 'www' / images.FOLDER
    for name in ('image_serve_dir', 'image_serve_url'):
        CONF.clear_override(name, group='accelerator')


@pytest.mark.parametrize('change', [*CHANGES, replaced],
                         ids=lambda c: c.__name__)
def test_what_a_web_server_has_is_checked_again(
        web: Path, image: Ready, change: Callable[[str], None]) -> None:
    images.serve(image, None)
    served, = web.iterdir()
    change(str(served))
    images.serve(image, None)
    assert served.read_bytes() == GOOD
    assert not served.stat().st_mode & 0o222


def test_an_image_changed_in_the_cache_is_not_served(
        web: Path, image: Ready) -> None:
    in_place(image.path)
    with pytest.raises(Rejected, match='changed'):
        images.serve(image, None)
    assert list(web.iterdir()) == []


@pytest.mark.parametrize('mode', [0o777, 0o775, 0o757])
def test_a_folder_that_others_may_write_is_refused(
        web: Path, image: Ready, tmp_path: Path, mode: int) -> None:
    web.mkdir(parents=True)
    web.chmod(mode)
    with pytest.raises(Rejected, match='writable by others'):
        images.serve(image, None)
    cache = tmp_path / 'cache'
    cache.mkdir()
    cache.chmod(mode)
    with pytest.raises(BadInput, match='writable by others'):
        ImageStore(str(cache), HTTP)


@pytest.mark.parametrize('kind', ['link', 'fifo', 'evil'])
def test_what_somebody_put_into_the_cache_is_no_image(
        tmp_path: Path, serve: Serve, kind: str) -> None:
    source = serve({'/fw.bin': evil.plain(200, GOOD)})
    cache = tmp_path / 'cache' / DIGEST[:2]
    cache.mkdir(parents=True, mode=0o700)
    there = cache / DIGEST
    if kind == 'link':
        other = tmp_path / 'other'
        other.write_bytes(GOOD)
        there.symlink_to(other)
    elif kind == 'fifo':
        os.mkfifo(there)
    else:
        there.write_bytes(EVIL)
    found = wait(ImageStore(str(tmp_path / 'cache'), HTTP), source.url)
    assert isinstance(found, Ready)
    assert there.is_file()
    assert not there.is_symlink()
    assert there.read_bytes() == GOOD


def wait(store: ImageStore, url: str) -> Ready | Bad:
    image = Image('fw', f'{url}/fw.bin', DIGEST, {'psid': ('X',)})
    until = time.monotonic() + 20
    try:
        while time.monotonic() < until:
            found = store.get(image)
            if not isinstance(found, Fetching):
                return found
            time.sleep(0.02)
    finally:
        store.close()
    raise AssertionError('it never ends')


DRIPS = {
    'headers': (b'HTTP/1.1 200 OK\r\n', b'X: y\r\n'),
    'body': (b'HTTP/1.1 200 OK\r\nContent-Length: 2600000\r\n\r\n', b'g'),
    'chunks': (b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
               b'1\r\ng\r\n'),
    'redirect': (b'HTTP/1.1 302 OK\r\nLocation: /fw.bin\r\n'
                 b'Content-Length: 99999999\r\n\r\n', b'g'),
    'error': (b'HTTP/1.1 503 Busy\r\nContent-Length: 99999\r\n\r\n', b'g')}


@pytest.mark.parametrize('what', sorted(DRIPS))
@pytest.mark.parametrize('many', [1, 65536])
def test_a_server_that_drips_or_floods_frees_its_worker(
        tmp_path: Path, serve: Serve, what: str, many: int) -> None:
    head, piece = DRIPS[what]
    source = serve({'/fw.bin': evil.forever(
        head, piece * many, 0.1 if many == 1 else 0)})
    policy = Policy(schemes=frozenset({'http'}), connect_timeout=1,
                    read_timeout=1, total_timeout=1.5, max_bytes=5_000_000)
    start = time.monotonic()
    found = wait(ImageStore(str(tmp_path / 'cache'), policy), source.url)
    assert isinstance(found, Bad)
    assert time.monotonic() - start < 8


TWO_WAYS = [
    'http://127.0.0.2:{0}\\@127.0.0.1/fw.bin',
    'http://127.0.0.1\\@evil.example.org/fw.bin',
    'http://evil.example.org#@127.0.0.1/fw.bin',
    'http://user:pw@127.0.0.1/fw.bin', 'http://127.0.0.1@evil/fw.bin',
    'http:\\\\127.0.0.1/fw.bin', 'http://127.0.0.1\t/fw.bin',
    'http://127.0.0.1\r\nHost: evil/fw.bin', 'http://127.0.0.1 /fw.bin',
    'http://127.0.0.1:80:90/fw.bin', 'http://[::1/fw.bin',
    'http://127.0.0.1:\u0663/fw.bin', 'http://\u24db\u24de.example/fw.bin',
    'http:///127.0.0.1/fw.bin', 'http:127.0.0.1/fw.bin']


@pytest.mark.parametrize('url', TWO_WAYS)
def test_a_url_that_two_parsers_read_differently_is_refused(
        url: str) -> None:
    url = url.format(80)
    with pytest.raises(ImageNotAllowed):
        HTTP.check(url)
    with pytest.raises(ImageNotAllowed):
        HTTP.check(url, seen_before='http://127.0.0.1/')
    assert profile_reader.url_problem(url) is not None


@pytest.mark.parametrize('location', [
    'http://127.0.0.2:{port}\\@127.0.0.1/fw.bin', '//user@127.0.0.1/x',
    'file:///etc/passwd', '\\\\127.0.0.1\\x', 'http://[::1/fw.bin',
    'ftp://127.0.0.1/fw.bin', 'http://127.0.0.2:{port}/fw.bin'])
def test_a_redirect_is_checked_by_who_follows_it(
        tmp_path: Path, serve: Serve, location: str) -> None:
    other = serve()
    port = other.url.rsplit(':', 1)[1]
    source = serve({'/fw.bin': evil.plain(
        302, Location=location.format(port=port))})
    policy = Policy(schemes=frozenset({'http'}), hosts=('127.0.0.1',),
                    read_timeout=1, total_timeout=3)
    found = wait(ImageStore(str(tmp_path / 'cache'), policy), source.url)
    assert isinstance(found, Bad)
    assert not other.asked


def test_a_folder_swapped_for_a_link_leads_nowhere(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the check of a path and its opening."""
    allowed, secret = tmp_path / 'allowed', tmp_path / 'secret'
    for folder in (allowed / 'sub', secret):
        folder.mkdir(parents=True)
        (folder / 'fw.bin').write_bytes(GOOD)
    policy = Policy(schemes=frozenset({'file'}), folders=(str(allowed),))
    opened = files.open_regular

    def swapped(path: str, follow: bool = True) -> Any:
        (allowed / 'sub').rename(allowed / 'old')
        (allowed / 'sub').symlink_to(secret)
        return opened(path, follow)

    monkeypatch.setattr(files, 'open_regular', swapped)
    from ironic_accel.images import sources
    with pytest.raises(ImageNotAllowed, match='no longer in an allowed'), \
            sources.open_stream(f'file://{allowed}/sub/fw.bin', policy,
                                lambda host: None):
        pass
