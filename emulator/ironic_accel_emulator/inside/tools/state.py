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

"""The state that simulated tools share with a box: one JSON file.

``cards`` by PCI address, each with ``facts`` (what it is), ``parts`` (its
firmware) and ``settings`` (its modes, as its tool names them)::

    {"facts": {"psid": "MT_0000000838"},
     "parts": {"nic": {"running": "28.39.1002", "pending": null,
                       "effect": "device-reset"}},
     "settings": {"SRIOV_EN": {"current": 0, "pending": null,
                               "effect": "device-reset", "lost_at": null,
                               "default": 0}}}

``faults`` by tool: ``hang`` (it never ends), ``garble`` (nonsense and a
status of 0), ``lie`` (says that all is well and changes nothing), ``fail``
(changes nothing and says so); ``on`` limits one to calls that have a word
among their arguments. ``calls`` is what was called, ``burns`` what was
written. ``pace`` is how many real seconds a burn takes: a reset or power cut
meanwhile is a violation, and the card is gone for good (``bricked``).
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
from typing import Any

from ironic_accel_emulator.parts import Activation

Document = dict[str, Any]

#: Files that are none: what they would have in them, in this process.
_HELD: dict[Path, Document] = {}


@contextlib.contextmanager
def in_memory(path: Path) -> Iterator[None]:
    """Keep what belongs into a state file in this process meanwhile.

    For tools that are functions here: a file is read and written whole at
    each call, with all the calls before it.
    """
    _HELD[path] = {}
    try:
        yield
    finally:
        del _HELD[path]


def _copy(document: Document) -> Document:
    """A copy, but for what was called: that is added to and never read."""
    calls = document.get('calls')
    found: Document = marshal.loads(  # noqa: S302 - our own
        marshal.dumps({**document, 'calls': None})
    )
    return {**found, 'calls': calls}


class State:
    """A state file; every change is made under a lock and is whole."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, cards: Document) -> None:
        """Begin with some cards."""
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
        """The whole state, as it is now."""
        if self.path in _HELD:
            return _copy(_HELD[self.path])
        found: Document = json.loads(self.path.read_text('utf-8'))
        return found

    @contextlib.contextmanager
    def change(self) -> Iterator[Document]:
        """The state to be changed; kept when the block ends well."""
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
        """Note a call; the fault that it meets, or None."""
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
        """Let a tool misbehave from now on; None ends it."""
        with self.change() as document:
            document['faults'].pop(tool, None)
            if kind is not None:
                document['faults'][tool] = {'kind': kind, 'on': on}

    def hang(self) -> None:
        """Never end of oneself."""
        while True:
            time.sleep(60)

    def land(self, address: str, part: str, version: str) -> None:
        """Write firmware: at once where nothing activates it, else pending.

        Takes ``pace`` seconds, and ends the tool where the card went
        meanwhile.
        """
        with self.change() as document:
            document['cards'][address]['parts'][part]['flashing'] = True
        time.sleep(self.read()['pace'])
        with self.change() as document:
            found = document['cards'][address]['parts'][part]
            if not found.pop('flashing', False):
                raise SystemExit(1)
            if Activation.named(found['effect']) is Activation.NONE:
                found['running'] = version
            else:
                found['pending'] = version
            document['burns'].append([address, part, version])

    def cut(self, why: str, address: str | None = None) -> None:
        """Power or clock goes away: what is half written bricks its card."""
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
        """Write settings of a card, by the tool's names."""
        with self.change() as document:
            for name, value in values.items():
                found = document['cards'][address]['settings'][name]
                if Activation.named(found['effect']) is Activation.NONE:
                    found['current'] = value
                else:
                    found['pending'] = value

    def reset(self, activation: str, address: str | None = None) -> None:
        """Let a reset of one card, or of the host, do what it does."""
        level = Activation.named(activation)
        self.cut(activation, address)
        with self.change() as document:
            for at, card in document['cards'].items():
                if address is None or at == address:
                    _reset(card, level)


def _reset(card: Document, level: Activation) -> None:
    for part in card.get('parts', {}).values():
        waits = part.get('pending')
        if waits is not None and level >= Activation.named(part['effect']):
            part['running'], part['pending'] = waits, None
    for setting in card.get('settings', {}).values():
        lost = setting.get('lost_at')
        waits = setting.get('pending')
        if lost is not None and level >= Activation.named(lost):
            setting['current'] = setting['default']
            setting['pending'] = None
        elif waits is not None and level >= Activation.named(
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
    """One setting of a card; ``lost_at`` is what puts it to its default."""
    return {
        'current': current,
        'pending': None,
        'effect': activation,
        'lost_at': lost_at,
        'default': default,
    }


def after(setting: Document) -> Any:
    """What a setting will be after the reset that it waits for."""
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
