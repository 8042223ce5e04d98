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

"""An image that was digested before is pushed in large pieces, and one that
changes meanwhile never arrives whole."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import email
import hashlib
import os
from pathlib import Path
import socket
import threading
import time
from typing import Any

import pytest

from ironic_accel.bounded import files
from ironic_accel.converge.ports import Ready
from ironic_accel.images.cache import Cache
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.redfish.client import image_body
from tests.security.conftest import Serve
from tests.security import evil
from tests.security.test_served import Body
from tests.security.test_served import CHANGES
from tests.security.test_served import push

#: More than sockets hold while nobody reads.
GOOD = os.urandom(16) * 1_000_000


@pytest.fixture
def digested(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The length of each piece that is digested."""
    pieces: list[int] = []
    monkeypatch.setattr(files, 'DIGESTS', files.Digests())

    class Counting:
        def __init__(self) -> None:
            self._inner = hashlib.sha256()

        def update(self, piece: bytes) -> None:
            pieces.append(len(piece))
            self._inner.update(piece)

        def hexdigest(self) -> str:
            return self._inner.hexdigest()

    class Module:
        sha256 = Counting

    monkeypatch.setattr(files, 'hashlib', Module)
    return pieces


def cached(folder: Path, content: bytes = GOOD) -> Ready:
    """An image that the cache has just fetched."""
    cache = Cache(str(folder / 'cache'), 1 << 40)
    with cache.part() as part:
        part.write(content)
        return part.keep(hashlib.sha256(content).hexdigest())


def is_settled(image: Ready) -> bool:
    return files.DIGESTS.is_settled(os.stat(image.path), image.sha256)


@pytest.fixture
def settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ready:
    """An image in the cache whose digest is known, and a change of which
    shows in its times, here after some ticks of the kernel."""
    monkeypatch.setattr(files, 'DIGESTS', files.Digests())
    monkeypatch.setattr(files, 'SETTLED', 0.1)
    image = cached(tmp_path)
    until = time.monotonic() + 30
    while not is_settled(image):
        assert time.monotonic() < until
        time.sleep(0.02)
        monkeypatch.setattr(files, 'DIGESTS', files.Digests())
        with open(image.path, 'rb') as file:
            assert files.Checked(file, image.size, image.sha256
                                 ).verify() is None
    return image


@contextlib.contextmanager
def writable(path: str) -> Iterator[None]:
    """What whoever changes an image of the cache has to do first."""
    os.chmod(path, 0o600)
    yield
    os.chmod(path, 0o400)


def by_root(change: Callable[[str], None], path: str) -> None:
    if os.geteuid() == 0:
        change(path)
    else:
        with writable(path):
            change(path)


@pytest.mark.parametrize('plain', [True, False])
@pytest.mark.parametrize('change', CHANGES, ids=lambda c: c.__name__)
def test_a_known_image_changed_during_a_push_never_arrives_whole(
        settled: Ready, plain: bool, change: Callable[[str], None]) -> None:
    with (Body(lambda: by_root(change, settled.path)) as bmc,
          pytest.raises((OutcomeUnknown, Unreachable), match='changed')):
        push(bmc.url, settled, plain)
    assert len(bmc.got) < len(GOOD)


@pytest.mark.parametrize('change', CHANGES, ids=lambda c: c.__name__)
def test_a_known_image_changed_before_a_push_is_not_sent(
        settled: Ready, serve: Serve, change: Callable[[str], None]) -> None:
    bmc = serve({'*': evil.plain(202)})
    by_root(change, settled.path)
    with pytest.raises(Rejected, match='changed'):
        push(bmc.url, settled, True)
    assert not bmc.asked


def new_mode(path: str) -> None:
    os.chmod(path, 0o440)


def used_now(path: str) -> None:
    os.utime(path, ns=(time.time_ns(), os.stat(path).st_mtime_ns))


@pytest.mark.parametrize('change', [new_mode, used_now],
                         ids=lambda c: c.__name__)
def test_an_image_whose_content_stays_arrives_whole(
        settled: Ready, change: Callable[[str], None]) -> None:
    with Body(lambda: change(settled.path)) as bmc:
        assert push(bmc.url, settled, False).status == 202
    assert GOOD in bmc.got
    assert not is_settled(settled)


def test_an_image_of_the_cache_is_digested_by_its_first_push_alone(
        tmp_path: Path, serve: Serve, digested: list[int],
        monkeypatch: pytest.MonkeyPatch) -> None:
    bmc = serve({'*': evil.plain(202)})
    monkeypatch.setattr(files, 'SETTLED', 0.1)
    image = cached(tmp_path)
    while time.time() - os.stat(image.path).st_ctime < 2 * files.SETTLED:
        time.sleep(0.02)
    for _ in range(3):
        push(bmc.url, image, True)
    assert sum(digested) == image.size
    assert [a.body for a in bmc.asked] == [GOOD] * 3


def test_an_image_that_was_just_written_is_digested_each_time(
        tmp_path: Path, serve: Serve, digested: list[int],
        monkeypatch: pytest.MonkeyPatch) -> None:
    """A change within the same tick would have the same times."""
    bmc = serve({'*': evil.plain(202)})
    monkeypatch.setattr(files, 'SETTLED', 3600.0)
    image = cached(tmp_path)
    for _ in range(2):
        push(bmc.url, image, True)
    assert sum(digested) == 2 * image.size


@pytest.mark.parametrize('mode', [0o600, 0o420, 0o402])
def test_an_image_that_may_be_written_to_is_digested_each_time(
        settled: Ready, serve: Serve, mode: int) -> None:
    os.chmod(settled.path, mode)
    bmc = serve({'*': evil.plain(202)})
    push(bmc.url, settled, True)
    assert not is_settled(settled)


def test_an_image_longer_than_it_should_be_is_not_read_to_its_end(
        settled: Ready) -> None:
    with open(settled.path, 'rb') as file:
        image = files.Checked(file, settled.size - 1, settled.sha256)
        with pytest.raises(files.Changed):
            while image.read():
                pass


def test_the_digests_of_many_files_are_bounded(tmp_path: Path) -> None:
    known = files.Digests()
    path = tmp_path / 'fw'
    path.write_bytes(b'x')
    first = os.stat(path)
    known.add(first, 'a', 0.0)
    for inode in range(5000):
        other = list(first)
        other[1] = first.st_ino + 1 + inode
        known.add(os.stat_result(other), 'b', 0.0)
    assert not known.has(first, 'a')


@contextlib.contextmanager
def early(then: Callable[[socket.socket], None]) -> Iterator[str]:
    """A BMC that answers as soon as it has the headers."""
    listener = socket.create_server(('127.0.0.1', 0))

    def answer() -> None:
        sock, _ = listener.accept()
        with sock:
            head = b''
            while b'\r\n\r\n' not in head:
                head += sock.recv(1000)
            sock.sendall(b'HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n'
                         b'Connection: close\r\n\r\n')
            then(sock)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    yield f'http://127.0.0.1:{listener.getsockname()[1]}'
    thread.join(10)
    listener.close()


def drain(sock: socket.socket) -> None:
    """Read what comes, and forget it."""
    with contextlib.suppress(OSError):
        while sock.recv(1 << 20):
            pass


def some_of_it(sock: socket.socket) -> None:
    """Read a part of it, and hang up."""
    left = 3_000_000
    while left > 0:
        left -= len(sock.recv(1 << 16))


def hang_up(sock: socket.socket) -> None:
    """Read none of it."""


@pytest.mark.parametrize('then', [drain, some_of_it, hang_up],
                         ids=lambda c: c.__name__)
def test_an_answer_before_the_whole_body_is_read(
        settled: Ready, then: Callable[[socket.socket], None]) -> None:
    with early(then) as url, pytest.raises(Rejected, match='Too Large'):
        push(url, settled, True)


@pytest.mark.parametrize('name', ['fw.bin', 'a "b".fwpkg', 'größe.bin'])
def test_a_multipart_body_has_both_parts_and_its_length(
        tmp_path: Path, name: str) -> None:
    content = b'\r\n--x' * 300_000
    image = cached(tmp_path, content)
    with open(image.path, 'rb') as file:
        body, kind = image_body.multipart(
            files.Checked(file, image.size, image.sha256),
            {'Targets': ['/redfish/v1/x'], 'Oem': {'ü': None}}, name)
        pieces = list(body)
    assert len(body) == body.gone == sum(map(len, pieces))
    # Its head, two mebibytes at most, and its tail.
    assert len(pieces) == 4
    message: Any = email.message_from_bytes(
        f'Content-Type: {kind}\r\n\r\n'.encode() + b''.join(pieces))
    parameters, update = message.get_payload()
    assert parameters['Content-Disposition'] == (
        'form-data; name="UpdateParameters"')
    assert parameters.get_content_type() == 'application/json'
    assert parameters.get_payload() == (
        '{"Targets": ["/redfish/v1/x"], "Oem": {"\\u00fc": null}}')
    assert update.get_param('name', header='Content-Disposition') == (
        'UpdateFile')
    assert update.get_content_type() == 'application/octet-stream'
    assert update.get_payload(decode=True) == content
