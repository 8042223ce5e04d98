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

"""Fuzzing of files of the site, and of who fetches images from us."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses
import hashlib
import io
import json
from pathlib import Path
import random
import socket
import tempfile

from ironic_accel.bounded import serve_http
from ironic_accel.faces.cli import journal
from ironic_accel.faces import profile_file
from ironic_accel.model import catalog
from ironic_accel.model.device import Activation
from ironic_accel.model import loader
from ironic_accel.model.plan import Item
from ironic_accel.model.record import Staged
from ironic_accel.model.record import Record
from ironic_accel.redfish.inventory.bmc_identity import BmcIdentity
from tests.security import fuzz
from tests.security import mutate

PROFILE = {
    'profile': 1, 'name': 'good', 'summary': 'x', 'offered': True,
    'limits': {'reset': 'power-cycle', 'minutes': 90, 'attempts': 2},
    'images': {'bundle': {
        'url': 'https://images.example.org/fw.pldm', 'sha256': 'a' * 64,
        'fits': {'model': 'H100*'}}},
    'devices': {'gpus': {
        'match': {'kind': 'gpu', 'product': 'nvidia-h100-sxm'}, 'count': 8,
        'firmware': {'gpu': {'version': '96.00.74.00.01',
                             'image': 'bundle'}},
        'modes': {'ecc': 'enabled', 'mig': 'disabled'}}}}
ROWS = {
    'sources': {'bench': 'measured by the operator'},
    'products': [{'name': 'acme-gpu', 'kind': 'gpu', 'vendor': 'nvidia',
                  'pci': ['10de:fff1'], 'components': ['gpu'],
                  'source': ['bench']}],
    'components': [{'kind': 'gpu', 'name': 'gpu',
                    'for': {'product': ['acme-gpu']},
                    'activation': 'aux-cycle',
                    'source': ['bench']}]}
RECORD = Record(profile='p', digest='d', started=1.0, deadline=2.0, staged=(
    Staged(Item('gpu-1', 'gpu', 'firmware', '2.0'), Activation.AUX_CYCLE),))
IMAGE = b'firmware' * 500
REQUEST = ('GET {path} HTTP/1.1\r\nHost: images\r\nUser-Agent: bmc\r\n'
           'Accept: */*\r\nRange: bytes=0-\r\nConnection: close\r\n\r\n')
PATH = '/c2VjcmV0/fw.bin'


@dataclasses.dataclass
class Desk:
    """Where files lie, and a server that listens to nobody."""

    folder: Path
    journal: bytes
    server: serve_http.Server


@contextlib.contextmanager
def desks() -> Iterator[Desk]:
    """A desk of its own."""
    served = serve_http.ServedFile(lambda: io.BytesIO(IMAGE),
                             len(IMAGE), hashlib.sha256(IMAGE).hexdigest())
    with (tempfile.TemporaryDirectory(prefix='accel-fuzz-') as name,
          serve_http.listening(
              '127.0.0.1', 0, {PATH: served}.get) as server_):
        folder = Path(name)
        made = journal.FileJournal(
            str(folder / 'j.json'), BmcIdentity('http://b', '/s'))
        made.save(RECORD)
        yield Desk(folder, (folder / 'j.json').read_bytes(), server_)


def read(rng: random.Random, desk: Desk, seed: str,
         tally: fuzz.Tally) -> None:
    """One bad file of the site, or one bad profile of a step."""
    # Rows are laid over all that ships with the package, which takes time.
    which = rng.choice(('profile', 'data', 'journal') * 6 + ('rows',))
    good = PROFILE if which in ('profile', 'data') else ROWS
    bad = mutate.document(rng, good)
    text = mutate.encoded(bad)
    if rng.randrange(2):
        text = mutate.text(rng, mutate.encoded(good))
    tally.mutated += 1
    with tally.attempt(seed):
        if which == 'data':
            loader.load_data(bad, 'args.profile')
        elif which == 'profile':
            path = desk.folder / 'site.yaml'
            path.write_bytes(text)
            profile_file.read(str(path))
        elif which == 'rows':
            catalog.extended({'site.yaml': text.decode(errors='replace')})
        else:
            path = desk.folder / 'bad.json'
            path.write_bytes(mutate.text(rng, desk.journal)
                             if rng.randrange(2) else mutate.encoded(
                mutate.document(rng, json.loads(desk.journal))))
            journal.FileJournal(
                str(path), BmcIdentity('http://b', '/s')).load()


def fetch(rng: random.Random, desk: Desk, seed: str,
          tally: fuzz.Tally) -> None:
    """One bad request for an image."""
    good = REQUEST.format(path=PATH).encode()
    bad = mutate.text(rng, good * rng.randint(1, 3))
    tally.mutated += 1
    ours, theirs = socket.socketpair()
    with ours, theirs, tally.attempt(seed):
        theirs.settimeout(fuzz.DEADLINE)
        theirs.sendall(bad)
        theirs.shutdown(socket.SHUT_WR)
        # No thread, and whatever it raises is seen here.
        desk.server.finish_request(ours, ('192.0.2.7', 7))
        ours.shutdown(socket.SHUT_RDWR)
        got = b''
        while piece := theirs.recv(1 << 20):
            got += piece
        if got and b'HTTP/1' not in got[:8] and b'<!DOCTYPE' not in got \
                and IMAGE not in got:
            tally.wrong.append(f'{seed}: answered {got[:60]!r}')
