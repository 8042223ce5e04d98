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

"""Twins as processes of their own, so that what they cost is not counted."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses
from pathlib import Path
import ssl
import subprocess
import sys
import tempfile
from typing import Any
from urllib import parse

import certifi
import requests

ROOT = Path(__file__).resolve().parents[2]
CAPTURES = ROOT.parent / 'shared' / 'captures'


@dataclasses.dataclass(frozen=True)
class Source:
    """A box to read: a name for people, the twin's arguments, a System."""

    name: str
    arguments: tuple[str, str]
    system: str

    @property
    def missing(self) -> str | None:
        """Why it cannot be read here, or None."""
        option, path = self.arguments
        if option == '--capture' and not Path(path).is_file():
            return f'{Path(path).name} is not in ../shared/captures'
        return None


def _capture(name: str, system: str) -> Source:
    return Source(name, ('--capture', str(CAPTURES / f'{name}.tar.gz')),
                  f'/redfish/v1/Systems/{system}')


def _box(name: str, system: str) -> Source:
    return Source(name, ('--system', name), f'/redfish/v1/Systems/{system}')


SOURCES = (
    _capture('gb300-supermicro', 'System_0'),
    _capture('a100x4-cray-ex235n', 'Node0'),
    _capture('dell-r750-h100', 'System.Embedded.1'),
    _capture('dmtf-smartnic', '437XR1138R2'),
    _box('hgx-h100', 'System_0'),
    _box('pcie-a100', '1'),
    _box('two-nodes', 'Node0'),
    _box('bluefield-3', 'Bluefield'),
    _box('bluefield-2', 'Bluefield'),
    _box('plain', '1'),
)


@dataclasses.dataclass(frozen=True)
class Twin:
    """A running twin.

    :ivar verify: the authorities that clients trust: over TLS a file with
        those that requests ships and its own certificate, as a site has it.
    """

    url: str
    verify: str | bool = True

    def clear(self) -> None:
        """Count from here."""
        requests.post(f'{self.url}/_twin/ledger', json={}, timeout=10,
                      verify=self.verify).raise_for_status()

    def counted(self) -> tuple[int, float]:
        """Requests since then, and the seconds that they simulate."""
        answer = requests.get(f'{self.url}/_twin/ledger', timeout=10,
                              verify=self.verify)
        answer.raise_for_status()
        told: dict[str, Any] = answer.json()
        return told['requests'], told['cost_ms'] / 1000


@contextlib.contextmanager
def running(source: Source, *more: str) -> Iterator[Twin]:
    """A twin of a box, for as long as it is needed.

    :param more: arguments of the emulator.
    :raises: RuntimeError where it does not come up.
    """
    process = subprocess.Popen(
        [sys.executable, '-m', 'ironic_accel_emulator', *source.arguments,
         *more],
        stdout=subprocess.PIPE, text=True, cwd=ROOT / 'emulator')
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line.startswith('listening on '):
            raise RuntimeError(f'{source.name}: the twin says {line!r}')
        url = line.removeprefix('listening on ').strip()
        if not url.startswith('https:'):
            yield Twin(url)
        else:
            with tempfile.NamedTemporaryFile('w', suffix='.pem') as file:
                parts = parse.urlsplit(url)
                file.write(Path(certifi.where()).read_text('utf-8'))
                file.write(ssl.get_server_certificate(
                    (str(parts.hostname), int(parts.port or 443))))
                file.flush()
                yield Twin(url, file.name)
    finally:
        process.terminate()
        process.wait(timeout=30)
        process.stdout.close()
