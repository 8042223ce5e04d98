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

"""The image store against a real server on loopback."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import hashlib
from http import server
import os
import pathlib
import threading
import time
from typing import Any

import pytest

from ironic_accel.converge.ports import Bad
from ironic_accel.converge.ports import Fetching
from ironic_accel.converge.ports import Ready
from ironic_accel.images import cache
from ironic_accel.images import ImageStore
from ironic_accel.images import Policy
from ironic_accel.model.profile import Image

CONTENT = b'firmware' * 50_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class _Handler(server.BaseHTTPRequestHandler):
    """Answers by path, in ways that file servers do."""

    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Be quiet."""

    def do_GET(self) -> None:
        self.server.seen.append(
            (self.path, self.headers.get('Authorization')))
        name = self.path.strip('/').replace('-', '_').partition('?')[0]
        getattr(self, f'_{name}', self._missing)()

    def _send(self, body: bytes, length: int | None = None,
              code: int = 200, **headers: str) -> None:
        self.send_response(code)
        for key, value in headers.items():
            self.send_header(key.replace('_', '-'), value)
        if length != -1:
            self.send_header('Content-Length', str(length or len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _good(self) -> None:
        self._send(CONTENT)

    def _no_length(self) -> None:
        self._send(CONTENT, length=-1)

    def _wrong(self) -> None:
        self._send(b'x' + CONTENT[1:])

    def _truncated(self) -> None:
        self._send(CONTENT[:1000], length=len(CONTENT))

    def _once_truncated(self) -> None:
        if len(self.server.seen) == 1:
            self._truncated()
        else:
            self._good()

    def _gzip(self) -> None:
        self._send(CONTENT, Content_Encoding='gzip')

    def _slow(self) -> None:
        self.server.release.wait(20)
        self._good()

    def _to_good(self) -> None:
        self._send(b'', code=302, Location='/good?token=secret')

    def _to_file(self) -> None:
        self._send(b'', code=302, Location='file:///etc/passwd')

    def _to_other_host(self) -> None:
        self._send(b'', code=302, Location='http://localhost:1/good')

    def _to_itself(self) -> None:
        self._send(b'', code=302, Location='/to-itself')

    def _to_missing(self) -> None:
        self._send(b'', code=302, Location='/missing?token=secret')

    def _missing(self) -> None:
        self.send_error(404)


class _Server(server.ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(('127.0.0.1', 0), _Handler)
        self.seen: list[tuple[str, str | None]] = []
        self.release = threading.Event()
        self.url = f'http://127.0.0.1:{self.server_port}'


@pytest.fixture
def web() -> Iterator[_Server]:
    with _Server() as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.05,))
        thread.start()
        yield httpd
        httpd.release.set()
        httpd.shutdown()
        thread.join()


@dataclasses.dataclass
class Stores:
    """Makes stores over one folder, and ends them."""

    folder: pathlib.Path
    made: list[ImageStore] = dataclasses.field(default_factory=list)

    def __call__(self, *, credentials: Any = None, attempts: int = 1,
                 remember: float = 60.0, **policy: Any) -> ImageStore:
        policy.setdefault('schemes', frozenset({'http', 'file'}))
        more = {'credentials': credentials} if credentials else {}
        store = ImageStore(str(self.folder), Policy(**policy),
                           attempts=attempts, remember=remember, **more)
        self.made.append(store)
        return store

    def files(self) -> list[str]:
        """Names of all files in the cache."""
        return sorted(p.name for p in self.folder.rglob('*') if p.is_file())


@pytest.fixture
def stores(tmp_path: pathlib.Path) -> Iterator[Stores]:
    made = Stores(tmp_path / 'cache')
    yield made
    for store in made.made:
        store.close()


def image(url: str, digest: str = DIGEST) -> Image:
    return Image('fw', url, digest, {'board': ('b',)})


def settle(store: ImageStore, wanted: Image) -> Ready | Bad:
    """Ask until there is an answer, as the loop does."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        answer = store.get(wanted)
        if not isinstance(answer, Fetching):
            return answer
        time.sleep(0.002)
    raise AssertionError('still fetching after 20 s')


@pytest.mark.parametrize('path', ['good', 'no-length', 'to-good'])
def test_an_image_is_fetched_into_the_cache(
        web: _Server, stores: Stores, path: str) -> None:
    answer = settle(stores(), image(f'{web.url}/{path}'))
    assert answer == Ready(
        str(stores.folder / DIGEST[:2] / DIGEST), len(CONTENT), DIGEST)
    assert pathlib.Path(answer.path).read_bytes() == CONTENT
    assert stores.files() == [DIGEST]


def test_get_returns_before_the_bytes_are_here(
        web: _Server, stores: Stores) -> None:
    store, wanted = stores(), image(f'{web.url}/slow')
    first = store.get(wanted)
    assert isinstance(first, Fetching)
    assert first.summary
    web.release.set()
    assert isinstance(settle(store, wanted), Ready)


def test_a_cached_image_is_not_asked_for_again(
        web: _Server, stores: Stores) -> None:
    store, wanted = stores(), image(f'{web.url}/good')
    settle(store, wanted)
    assert isinstance(store.get(wanted), Ready)
    assert isinstance(settle(stores(), wanted), Ready)
    assert len(web.seen) == 1


def test_a_cached_file_that_has_changed_is_fetched_again(
        web: _Server, stores: Stores) -> None:
    wanted = image(f'{web.url}/good')
    answer = settle(stores(), wanted)
    assert isinstance(answer, Ready)
    with open(answer.path, 'r+b') as file:
        file.write(b'rotten')
    answer = settle(stores(), wanted)
    assert isinstance(answer, Ready)
    assert pathlib.Path(answer.path).read_bytes() == CONTENT
    assert len(web.seen) == 2


def test_a_file_that_vanished_is_fetched_again_by_the_same_store(
        web: _Server, stores: Stores) -> None:
    store, wanted = stores(), image(f'{web.url}/good')
    answer = settle(store, wanted)
    assert isinstance(answer, Ready)
    os.unlink(answer.path)
    assert isinstance(settle(store, wanted), Ready)
    assert len(web.seen) == 2


def test_wrong_digest_is_reported_with_both_and_leaves_no_file(
        web: _Server, stores: Stores) -> None:
    answer = settle(stores(), image(f'{web.url}/wrong'))
    assert isinstance(answer, Bad)
    assert answer.expected == DIGEST
    assert answer.seen == hashlib.sha256(b'x' + CONTENT[1:]).hexdigest()
    assert 'SHA-256' in answer.reason
    assert stores.files() == []


@pytest.mark.parametrize('path, words', [
    ('truncated', 'was interrupted'),
    ('missing', '404'),
    ('gzip', 'content encoding'),
    ('to-file', 'redirects to a local file'),
    ('to-itself', 'too many redirects'),
])
def test_what_cannot_be_had_is_bad(
        web: _Server, stores: Stores, path: str, words: str) -> None:
    answer = settle(stores(), image(f'{web.url}/{path}'))
    assert isinstance(answer, Bad)
    assert words in answer.reason
    assert stores.files() == []


def test_a_server_that_is_gone_is_bad(
        web: _Server, stores: Stores) -> None:
    answer = settle(stores(), image('http://127.0.0.1:1/fw'))
    assert isinstance(answer, Bad)
    assert 'cannot connect to' in answer.reason


def test_a_transfer_that_broke_is_tried_again(
        web: _Server, stores: Stores) -> None:
    wanted = image(f'{web.url}/once-truncated')
    assert isinstance(settle(stores(attempts=2), wanted), Ready)
    assert len(web.seen) == 2


def test_a_redirect_must_be_allowed_too(
        web: _Server, stores: Stores) -> None:
    store = stores(hosts=('127.0.0.1',))
    answer = settle(store, image(f'{web.url}/to-other-host'))
    assert isinstance(answer, Bad)
    assert (answer.expected, answer.seen) == ('127.0.0.1', 'localhost')


def test_no_secret_of_a_redirect_is_in_the_error(
        web: _Server, stores: Stores) -> None:
    answer = settle(stores(), image(f'{web.url}/to-missing'))
    assert isinstance(answer, Bad)
    assert 'secret' not in repr(answer)
    assert '404' in answer.reason


@pytest.mark.parametrize('url, expected', [
    ('ftp://127.0.0.1/fw', 'http'),
    ('https://127.0.0.1/fw', 'http'),
    ('http://other.example.org/fw', '127.0.0.1, *.test.example.org'),
    ('http://test.example.org/fw', '127.0.0.1, *.test.example.org'),
])
def test_what_the_policy_refuses_is_bad_at_once(
        stores: Stores, url: str, expected: str) -> None:
    store = stores(schemes=frozenset({'http'}),
                   hosts=('127.0.0.1', '*.test.example.org'))
    answer = store.get(image(url))
    assert isinstance(answer, Bad)
    assert answer.expected == expected


@pytest.mark.parametrize('url', [
    'http://user:secret@127.0.0.1/fw', 'http://127.0.0.1/fw?key=secret'])
def test_secrets_in_a_url_are_refused_and_not_repeated(
        stores: Stores, url: str) -> None:
    answer = stores().get(image(url))
    assert isinstance(answer, Bad)
    assert 'secret' not in repr(answer)


@pytest.mark.parametrize('path, calls', [
    ('good', 1), ('no-length', 1)])
def test_an_image_past_the_limit_is_bad(
        web: _Server, stores: Stores, path: str, calls: int) -> None:
    store = stores(max_bytes=1000)
    answer = settle(store, image(f'{web.url}/{path}'))
    assert isinstance(answer, Bad)
    assert answer.expected == 'at most 1000 bytes'
    assert stores.files() == []
    assert len(web.seen) == calls


def test_a_failure_is_remembered_for_a_while(
        web: _Server, stores: Stores) -> None:
    wanted = image(f'{web.url}/missing')
    store = stores(remember=60.0)
    assert settle(store, wanted) == store.get(wanted)
    assert len(web.seen) == 1
    store = stores(remember=0.0)
    settle(store, wanted)
    assert isinstance(store.get(wanted), Fetching)


def test_local_file_is_read_from_an_allowed_folder(
        stores: Stores, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / 'with space'
    folder.mkdir()
    (folder / 'fw.bin').write_bytes(CONTENT)
    store = stores(folders=(str(folder),))
    answer = settle(store, image((folder / 'fw.bin').as_uri()))
    assert isinstance(answer, Ready)
    assert pathlib.Path(answer.path).read_bytes() == CONTENT


@pytest.mark.parametrize('name', [
    '../secret', 'link', '', 'folder/../../secret'])
def test_a_file_url_cannot_leave_its_folder(
        stores: Stores, tmp_path: pathlib.Path, name: str) -> None:
    (tmp_path / 'secret').write_bytes(CONTENT)
    allowed = tmp_path / 'allowed'
    allowed.mkdir()
    (allowed / 'link').symlink_to(tmp_path / 'secret')
    store = stores(folders=(str(allowed),))
    answer = store.get(image(f'file://{allowed}/{name}'))
    assert isinstance(answer, Bad)
    assert 'allowed folder' in answer.reason


def test_a_fifo_does_not_hang_a_worker(
        stores: Stores, tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / 'fifo')
    answer = settle(stores(folders=(str(tmp_path),)),
                    image(f'file://{tmp_path}/fifo'))
    assert isinstance(answer, Bad)
    assert 'regular' in answer.reason


def test_credentials_go_to_the_host_that_they_are_for(
        web: _Server, stores: Stores) -> None:
    known = {'127.0.0.1': ('operator', 'word')}
    store = stores(credentials=known.get)
    settle(store, image(f'{web.url}/good'))
    assert web.seen[0][1] == 'Basic b3BlcmF0b3I6d29yZA=='


def test_netrc_is_not_read(
        web: _Server, stores: Stores, tmp_path: pathlib.Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'netrc').write_text(
        'machine 127.0.0.1 login somebody password secret\n')
    monkeypatch.setenv('NETRC', str(tmp_path / 'netrc'))
    settle(stores(), image(f'{web.url}/good'))
    assert web.seen == [('/good', None)]


def test_two_stores_share_a_folder(
        web: _Server, stores: Stores) -> None:
    wanted = image(f'{web.url}/slow')
    one, two = stores(), stores()
    one.get(wanted)
    two.get(wanted)
    web.release.set()
    assert settle(one, wanted) == settle(two, wanted)
    # The later one has the file of the other before it removes its own.
    until = time.monotonic() + 30
    while stores.files() != [DIGEST] and time.monotonic() < until:
        time.sleep(0.01)
    assert stores.files() == [DIGEST]


def _files(folder: pathlib.Path, contents: list[bytes]) -> list[Image]:
    folder.mkdir()
    wanted = []
    for number, content in enumerate(contents):
        (folder / str(number)).write_bytes(content)
        wanted.append(image(f'file://{folder}/{number}',
                            hashlib.sha256(content).hexdigest()))
    return wanted


def test_the_least_recently_used_goes_where_room_is_needed(
        stores: Stores, tmp_path: pathlib.Path) -> None:
    wanted = _files(tmp_path / 'src', [b'a' * 400, b'b' * 400, b'c' * 400])
    store = stores(folders=(str(tmp_path / 'src'),), cache_bytes=1000)
    paths = []
    for age, each in ((3.0, wanted[0]), (2.0, wanted[1])):
        answer = settle(store, each)
        assert isinstance(answer, Ready)
        paths.append(answer.path)
        used = time.time() - age * cache.HOLD
        os.utime(answer.path, (used, os.stat(answer.path).st_mtime))
    # A process that has used none of them goes by the times of the files.
    other = stores(folders=(str(tmp_path / 'src'),), cache_bytes=1000)
    assert isinstance(settle(other, wanted[2]), Ready)
    assert [os.path.exists(p) for p in paths] == [False, True]


@pytest.mark.parametrize('jump', [2 * cache.HOLD, 1e9, -1e9])
def test_a_clock_that_is_set_makes_no_image_unused(
        stores: Stores, tmp_path: pathlib.Path, jump: float) -> None:
    """It may be on its way to a device."""
    wanted = _files(tmp_path / 'src', [b'a' * 600, b'b' * 600])
    store = stores(folders=(str(tmp_path / 'src'),), cache_bytes=1000)
    answer = settle(store, wanted[0])
    assert isinstance(answer, Ready)
    used = time.time() - jump
    os.utime(answer.path, (used, os.stat(answer.path).st_mtime))
    assert isinstance(settle(store, wanted[1]), Bad)
    assert os.path.exists(answer.path)


def test_images_in_use_are_never_evicted(
        stores: Stores, tmp_path: pathlib.Path) -> None:
    wanted = _files(tmp_path / 'src', [b'a' * 600, b'b' * 600])
    store = stores(folders=(str(tmp_path / 'src'),), cache_bytes=1000)
    assert isinstance(settle(store, wanted[0]), Ready)
    answer = settle(store, wanted[1])
    assert answer == Bad('the image cache is full, and all images are in use',
                         'at most 1000 bytes', '1200 bytes')
    assert isinstance(store.get(wanted[0]), Ready)


def test_what_a_dead_process_left_behind_goes(
        stores: Stores, tmp_path: pathlib.Path) -> None:
    wanted = _files(tmp_path / 'src', [b'a'])
    store = stores(folders=(str(tmp_path / 'src'),))
    left = stores.folder / 'tmpabc.part'
    left.write_bytes(b'half')
    old = time.time() - 2 * cache.ABANDONED
    os.utime(left, (old, old))
    settle(store, wanted[0])
    assert stores.files() == [wanted[0].sha256]


def test_close_aborts_transfers_in_progress(
        web: _Server, stores: Stores) -> None:
    store, wanted = stores(), image(f'{web.url}/slow')
    store.get(wanted)
    closing = threading.Thread(target=store.close)
    closing.start()
    web.release.set()
    closing.join(10)
    assert not closing.is_alive()
    assert stores.files() in ([], [DIGEST])
