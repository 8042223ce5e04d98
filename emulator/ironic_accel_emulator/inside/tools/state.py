# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The state of the simulated tools: one JSON file.

``cards`` by PCI address, each with ``facts`` (its properties), ``parts`` (its
firmware) and ``settings`` (its modes, with the names of its tool)::

    {"facts": {"psid": "MT_0000000838"},
     "parts": {"nic": {"running": "28.39.1002", "pending": null,
                       "effect": "device-reset"}},
     "settings": {"SRIOV_EN": {"current": 0, "pending": null,
                               "effect": "device-reset", "lost_at": null,
                               "default": 0}}}

``faults`` by tool: ``hang`` (never ends), ``garble`` (prints garbage and
exits with 0), ``lie`` (reports success and changes nothing), ``fail`` (reports
an error and changes nothing); ``on`` limits one to calls with that argument.
``calls`` lists all calls, ``burns`` all updates. ``pace`` is the real
duration of an update in seconds: a reset or power cut meanwhile is a
violation, and the card is lost permanently (``bricked``).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import marshal
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ironic_accel_emulator.images import FirmwareImage
    from ironic_accel_emulator.parts import Activation

Document = dict[str, Any]

#: Contents of state files that are kept in this process.
_HELD: dict[Path, Document] = {}


@contextlib.contextmanager
def in_memory(path: Path) -> Iterator[None]:
    """Keep a state file in the memory of this process meanwhile.

    For tools that are called as functions: a file would be read and written
    completely at each call.
    """
    _HELD[path] = {}
    try:
        yield
    finally:
        del _HELD[path]


def _copy(document: Document) -> Document:
    """A copy, without a copy of ``calls``, which is only appended to."""
    calls = document.get('calls')
    found: Document = marshal.loads(  # noqa: S302 - our own
        marshal.dumps({**document, 'calls': None})
    )
    return {**found, 'calls': calls}


class State:
    """A state file; each change is atomic and made under a lock."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, cards: Document) -> None:
        """Create the file with some cards."""
        self._save(
            {
                'cards': cards,
                'faults': {},
                'calls': [],
                'burns': [],
                'pace': 0.0,
                'violations': [],
            }
        )

    def read(self) -> Document:
        """The whole current state."""
        if self.path in _HELD:
            return _copy(_HELD[self.path])
        found: Document = json.loads(self.path.read_text('utf-8'))
        return found

    @contextlib.contextmanager
    def change(self) -> Iterator[Document]:
        """The state to change; saved if the block ends without error."""
        if self.path in _HELD:
            document = self.read()
            yield document
            self._save(document)
            return
        with open(f'{self.path}.lock', 'a', encoding='utf-8') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            document = self.read()
            yield document
            self._save(document)

    def _save(self, document: Document) -> None:
        if self.path in _HELD:
            _HELD[self.path] = document
            return
        aside = self.path.with_name(f'{self.path.name}.{os.getpid()}')
        aside.write_text(json.dumps(document), 'utf-8')
        os.replace(aside, self.path)

    def card(self, address: str | None) -> Document | None:
        """The card at a PCI address, or None."""
        found = self.read()['cards'].get(address)
        if not isinstance(found, dict) or found.get('bricked'):
            return None
        return found

    def called(self, tool: str, argv: Sequence[str]) -> str | None:
        """Record a call; returns its fault, or None."""
        with self.change() as document:
            document['calls'].append([tool, *argv])
            fault = document['faults'].get(tool)
            if fault is None:
                return None
            words = ' '.join(argv)
            if fault.get('on') is not None and fault['on'] not in words:
                return None
            kind: str = fault['kind']
            return kind

    def fault(
        self, tool: str, kind: str | None, on: str | None = None
    ) -> None:
        """Activate a fault of a tool; None removes it."""
        with self.change() as document:
            document['faults'].pop(tool, None)
            if kind is not None:
                document['faults'][tool] = {'kind': kind, 'on': on}

    def hang(self) -> None:
        """Never return."""
        while True:
            time.sleep(60)

    def write_firmware(self, address: str, part: str, version: str) -> None:
        """Write firmware: running if it needs no activation, else pending.

        Takes ``pace`` seconds, and ends the tool if the card was lost
        meanwhile.
        """
        with self.change() as document:
            document['cards'][address]['parts'][part]['flashing'] = True
        time.sleep(self.read()['pace'])
        with self.change() as document:
            found = document['cards'][address]['parts'][part]
            if not found.pop('flashing', False):
                raise SystemExit(1)
            if not _activation(found['effect']):
                found['running'] = version
            else:
                found['pending'] = version
            document['burns'].append([address, part, version])

    def cut(self, why: str, address: str | None = None) -> None:
        """Power cut or reset: bricks a card with an incomplete update."""
        with self.change() as document:
            for at, card in document['cards'].items():
                if address is not None and at != address:
                    continue
                for name, part in card.get('parts', {}).items():
                    if part.pop('flashing', False):
                        card['bricked'] = True
                        document['violations'].append(
                            f'{why} during a flash of {name} of {at}'
                        )

    def put(self, address: str, values: Document) -> None:
        """Write settings of a card, by the names of the tool."""
        with self.change() as document:
            for name, value in values.items():
                found = document['cards'][address]['settings'][name]
                if not _activation(found['effect']):
                    found['current'] = value
                else:
                    found['pending'] = value

    def reset(self, activation: str, address: str | None = None) -> None:
        """Apply a reset of one card, or of the host."""
        level = _activation(activation)
        self.cut(activation, address)
        with self.change() as document:
            for at, card in document['cards'].items():
                if address is None or at == address:
                    _reset(card, level)


def _activation(text: str) -> Activation:
    """An activation by its name; ``none`` is false."""
    # A tool is started many times, and most calls read: they start in half
    # the time without this import and the next.
    from ironic_accel_emulator.parts import Activation

    return Activation.named(text)


def image_of(path: str | Path) -> FirmwareImage | None:
    """A firmware image, or None where the file is none."""
    from ironic_accel_emulator.images import BadPackage, parse_image

    try:
        return parse_image(Path(path))
    except (OSError, BadPackage):
        return None


def _reset(card: Document, level: Activation) -> None:
    for part in card.get('parts', {}).values():
        waits = part.get('pending')
        if waits is not None and level >= _activation(part['effect']):
            part['running'], part['pending'] = waits, None
    for setting in card.get('settings', {}).values():
        lost = setting.get('lost_at')
        waits = setting.get('pending')
        if lost is not None and level >= _activation(lost):
            setting['current'] = setting['default']
            setting['pending'] = None
        elif waits is not None and level >= _activation(
            setting['effect']):
            setting['current'], setting['pending'] = waits, None


def part(
    running: str, activation: str = 'power-cycle', **more: Any
) -> Document:
    """One firmware of a card."""
    return {'running': running, 'pending': None, 'effect': activation, **more}


def setting(
    current: Any,
    activation: str = 'none',
    lost_at: str | None = None,
    default: Any = None,
) -> Document:
    """One setting of a card; ``lost_at`` is the reset to its default."""
    return {
        'current': current,
        'pending': None,
        'effect': activation,
        'lost_at': lost_at,
        'default': default,
    }


def after(setting: Document) -> Any:
    """The value of a setting after its activation."""
    waits = setting['pending']
    return setting['current'] if waits is None else waits


def option(argv: Sequence[str], *names: str) -> str | None:
    """The value of an option, as ``-d X`` or ``--dev=X``; else None."""
    for at, word in enumerate(argv):
        if word in names and at + 1 < len(argv):
            return argv[at + 1]
        name, equals, value = word.partition('=')
        if equals and name in names:
            return value
    return None
