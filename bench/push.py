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

"""Pushes of an image to BMCs, beside a plain client, one and eight at once.

Ours is ``redfish/client/writer.py`` with an image of the cache; the peer is
``http.client`` with blocks of a mebibyte, which verifies nothing. The BMC is
a server on loopback in a process of its own that forgets what it gets. The
first push of a process digests the image on its way, and is no bar: SHA-256
costs more than sending over loopback. Rounds of both alternate, and the best
one of each counts.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from concurrent import futures
import contextlib
import hashlib
from http import client as http_client
import os
from pathlib import Path
import shutil
import ssl
import sys
import tempfile
import time
from typing import BinaryIO
from urllib import parse

sys.path.insert(0, str(
    Path(__file__).resolve().parents[1] / 'emulator'))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ironic_accel_emulator.bmc.certificate import make_certificate
from sushy import connector as sushy_connector

from bench.measure import results
from bench.measure import sink

from ironic_accel.bounded import files
from ironic_accel.converge.ports import Ready
from ironic_accel.images.cache import Cache
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client.writer import Writer

MIB = 1024 * 1024
#: Mebibytes of the image, pushes at once, rounds.
SIZE, AT_ONCE, ROUNDS = 512, (1, 8), 4
QUICK_SIZE, QUICK_AT_ONCE, QUICK_ROUNDS = 8, (1, 2), 1
#: Of the rate of the plain client.
GOAL = results.ratio_at_least(0.8)

Push = Callable[[], None]


def image(folder: str, size: int) -> Ready:
    """An image in the cache, old enough for a change of it to show."""
    piece, digest = os.urandom(MIB), hashlib.sha256()
    with Cache(folder, 1 << 40).part() as part:
        for _ in range(size):
            part.write(piece)
            digest.update(piece)
        made = part.keep(digest.hexdigest())
    while time.time() - os.stat(made.path).st_ctime <= files.SETTLED:
        time.sleep(0.1)
    return made


def ours(url: str, ready: Ready, multipart: bool, certificate: str | bool
         ) -> Push:
    """Our client."""
    connector = sushy_connector.Connector(url, verify=certificate)
    connector.set_http_session_auth('token')
    writer = Writer(connector, BmcSettings())

    def push() -> None:
        if multipart:
            writer.push_multipart('/push', {'Targets': []}, ready.path,
                                  ready.size, ready.sha256)
        else:
            writer.push_plain('/push', ready.path, ready.size, ready.sha256)

    return push


def plain(url: str, ready: Ready, multipart: bool, certificate: str | bool
          ) -> Push:
    """A client that streams a file, and nothing else."""
    where = parse.urlsplit(url)
    assert where.hostname is not None

    def push() -> None:
        connection = http_client.HTTPConnection(
            where.hostname, where.port, blocksize=MIB)
        if where.scheme == 'https':
            connection = http_client.HTTPSConnection(
                where.hostname, where.port, blocksize=MIB,
                context=ssl.create_default_context(cafile=str(certificate)))
        head, tail = (b'h' * 400, b't' * 40) if multipart else (b'', b'')
        with open(ready.path, 'rb') as file:
            connection.request(
                'POST', '/push', body=_blocks(head, file, tail)
                if multipart else file,
                headers={'X-Auth-Token': 'token', 'Content-Length': str(
                    len(head) + ready.size + len(tail))})
            response = connection.getresponse()
            response.read()
        connection.close()
        assert response.status == 202

    return push


def _blocks(head: bytes, file: BinaryIO, tail: bytes) -> Iterator[bytes]:
    yield head
    while block := file.read(MIB):
        yield block
    yield tail


def timed(push: Push, at_once: int) -> tuple[float, float]:
    """Seconds, and seconds of CPU of each push."""
    with futures.ThreadPoolExecutor(at_once) as pool:
        wall, cpu = time.perf_counter(), time.process_time()
        for done in [pool.submit(push) for _ in range(at_once)]:
            done.result()
        return (time.perf_counter() - wall,
                (time.process_time() - cpu) / at_once)


def main() -> int:
    """Measure."""
    options = results.parser(__doc__).parse_args()
    size, counts, rounds = (
        (QUICK_SIZE, QUICK_AT_ONCE, QUICK_ROUNDS) if options.quick
        else (SIZE, AT_ONCE, ROUNDS))
    report = results.report(__file__, __doc__)
    certificate, key = make_certificate('127.0.0.1')
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as c:
        c.callback(shutil.rmtree, certificate.parent)
        ready = image(str(Path(folder) / 'cache'), size)
        for paths in ((), (str(certificate), str(key))):
            with sink.running(paths) as url:
                for multipart in (True, False):
                    for at_once in counts:
                        _compare(report, url, ready, multipart,
                                 paths[0] if paths else True, at_once,
                                 rounds)
    return report.end(options)


def _compare(report: results.Report, url: str, ready: Ready,
             multipart: bool, certificate: str | bool, at_once: int,
             rounds: int) -> None:
    name = (f'{parse.urlsplit(url).scheme}, '
            f'{"multipart" if multipart else "HttpPushUri"}, '
            f'{at_once} at once')
    mine = ours(url, ready, multipart, certificate)
    other = plain(url, ready, multipart, certificate)
    mebibytes = at_once * ready.size / MIB
    if not files.DIGESTS.is_settled(os.stat(ready.path), ready.sha256):
        wall, _ = timed(mine, 1)
        report.add('the first push of a process, which digests',
                   ready.size / MIB / wall, 'MiB/s')
    walls: dict[Push, list[tuple[float, float]]] = {mine: [], other: []}
    for _ in range(rounds):
        for push, taken in walls.items():
            taken.append(timed(push, at_once))
    (wall, cpu), (peer_wall, peer_cpu) = min(walls[mine]), min(walls[other])
    report.add(name, mebibytes / wall, 'MiB/s', GOAL,
               results.Peer('http.client', mebibytes / peer_wall))
    report.add(f'{name}: a push', cpu, 'CPU s', None,
               results.Peer('http.client', peer_cpu))


if __name__ == '__main__':
    sys.exit(main())
