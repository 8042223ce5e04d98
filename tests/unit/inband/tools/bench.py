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

"""Executables that print a recorded document, and devices to try."""

from __future__ import annotations

from pathlib import Path

from ironic_accel.inband.machine.machine import Machine
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Mode

DOCUMENTS = Path(__file__).parent / 'documents'


def document(name: str) -> str:
    """The text of a recorded document."""
    return (DOCUMENTS / name).read_text('utf-8')


def host(folder: Path) -> Machine:
    """A host whose root and PATH are in a folder."""
    (folder / 'root').mkdir(exist_ok=True)
    (folder / 'bin').mkdir(exist_ok=True)
    return Machine(str(folder / 'root'), str(folder / 'bin'),
                modules={'pynvml': None})


def prints(folder: Path, tool: str, name: str, status: int = 0,
           to: str = '1') -> None:
    """Make a tool that prints a document, to standard error for ``to`` 2."""
    path = folder / 'bin' / tool
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'#!/bin/sh\n/bin/cat {DOCUMENTS / name} >&{to}\n'
                    f'exit {status}\n')
    path.chmod(0o755)


def files(folder: Path, below: str, **content: str) -> Path:
    """Make files below the root of a host."""
    where = folder / 'root' / below
    where.mkdir(parents=True, exist_ok=True)
    for name, text in content.items():
        (where / name).write_text(text)
    return where


def device(kind: str, address: str, *modes: Mode,
           components: tuple[Component, ...] = ()) -> Device:
    """A device at an address."""
    return Device('card', kind, address=address, modes=modes,
                  components=components)


def quiet(summary: str, percent: int | None) -> None:
    """Progress that nobody listens to."""
