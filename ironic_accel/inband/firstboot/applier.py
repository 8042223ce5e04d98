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


"""Sets accelerator modes inside an instance, at every boot.

This file is delivered with one file for each mode (its setter), in a folder
that has the name of this one and the suffix ``.d``. All of them need nothing
but the standard library of Python 3.7. What is set already is not changed;
what is changed is read back. The output goes to the journal.

A setter defines ``VALUE``, the type of a value; ``ORDER``, the place of the
mode among the others; and ``set_mode(card, wanted, patience)``, which returns
whether it changed the mode, and raises ``card.Failed`` if it is not set.
``card`` is a ``PciCard``; ``patience`` are seconds to wait for a driver.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from typing import Any

SCHEMA = 'first-boot/1'
DEVICES = 'sys/bus/pci/devices'
#: Seconds for drivers to come up, and between two readings.
PATIENCE = 60.0
PAUSE = 1.0
#: Seconds for one call of a program.
TIMEOUT = 120.0
ADDRESS = re.compile('[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}[.][0-7]$')


class SettingFailed(Exception):
    """A mode that could not be set, and why."""


class PciCard:
    """One PCI device below a root folder."""

    Failed = SettingFailed

    def __init__(self, root: str, address: str) -> None:
        self.root = root
        self.folder = os.path.join(root, DEVICES, address)
        self.address = address

    def read(self, name: str) -> str | None:
        """The text of a sysfs file of the device; None if it has none."""
        try:
            with open(os.path.join(self.folder, name),
                      encoding='ascii') as file:
                return file.read().strip()
        except OSError:
            return None

    def write(self, name: str, text: str) -> None:
        """Write to a sysfs file of the device.

        :raises: SettingFailed if the kernel refuses.
        """
        try:
            with open(os.path.join(self.folder, name), 'w',
                      encoding='ascii') as file:
                file.write(text)
        except OSError as exc:
            raise SettingFailed(f'{name} does not accept {text!r}: '
                                f'{exc.strerror}') from exc

    def check(self, name: str, wanted: str) -> None:
        """Read back what was written.

        :raises: SettingFailed if the file has another value.
        """
        seen = self.read(name)
        if seen != wanted:
            raise SettingFailed(
                f'{wanted!r} was set, but {seen!r} is read back')

    def await_file(self, name: str, patience: float) -> None:
        """Wait until the driver has created a file.

        :raises: SettingFailed if it has not in time.
        """
        until = time.monotonic() + patience
        while self.read(name) is None:
            if time.monotonic() >= until:
                raise SettingFailed(
                    f'{name} does not exist: is its driver loaded?')
            time.sleep(PAUSE)

    def ask(self, program: str, *words: str,
            timeout: float = TIMEOUT) -> str:
        """The output of a program of the instance; its exit status does not
        count.

        :raises: SettingFailed if it is not installed or does not end.
        """
        path = shutil.which(program)
        if path is None:
            raise SettingFailed(f'{program} is not installed')
        try:
            ran = subprocess.run(  # noqa: S603 - fixed words and an address
                [path, *words], timeout=timeout, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        except subprocess.TimeoutExpired as exc:
            raise SettingFailed(
                f'{program} did not answer in {timeout:.0f} s') from exc
        return ran.stdout.decode(errors='replace')

    def await_answer(self, what: str, read: Callable[[str], Any],
                     patience: float, program: str, *words: str) -> Any:
        """What a program answers once it answers at all: a driver may be long
        in coming.

        :param what: its name, for the message.
        :param read: the value in an output, or None.
        :raises: SettingFailed with the last output if none comes in time.
        """
        until = time.monotonic() + patience
        while True:
            said = self.ask(program, *words)
            found = read(said)
            if found is not None:
                return found
            if time.monotonic() >= until:
                raise SettingFailed(
                    f'{program} reports no {what}: {said.strip()[:200]!r}')
            time.sleep(PAUSE)

    def set_by(self, what: str, wanted: Any, read: Callable[[str], Any],
               query: tuple[str, ...], command: tuple[str, ...],
               patience: float, hint: str = '') -> bool:
        """Set a value with a program of the instance, and read it back in
        another call; whether it was changed.

        :param query: the program and its arguments that report the value.
        :param command: those that set it.
        :param hint: why the value may not be kept, for the message.
        :raises: SettingFailed if the value is not read back.
        """
        if self.await_answer(what, read, patience, *query) == wanted:
            return False
        answer = self.ask(*command)
        after = read(self.ask(*query))
        if after != wanted:
            raise SettingFailed(
                f'{wanted!r} was set, but {after!r} is read back{hint}; '
                f'{command[0]} printed: {answer.strip()[:200]!r}')
        return True

    @staticmethod
    def switch(said: str) -> str | None:
        """``enabled`` or ``disabled`` among the lines that a program printed,
        or None. Warnings are lines of their own before or after it."""
        words = {line.strip().lower() for line in said.splitlines()} & {
            'enabled', 'disabled'}
        return words.pop() if len(words) == 1 else None

    def functions(self) -> list[PciCard]:
        """All functions of the card except virtual ones."""
        folder, address = os.path.split(self.folder)
        slot = address.rpartition('.')[0]
        return [PciCard(self.root, n) for n in sorted(os.listdir(folder))
                if n.startswith(slot + '.')
                and not os.path.exists(os.path.join(folder, n, 'physfn'))]


def find(root: str, address: str, pci: str) -> PciCard:
    """The card at its address, or the only one with its PCI ids.

    :raises: SettingFailed if there is none, or it is ambiguous.
    """
    folder = os.path.join(root, DEVICES)
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    alike = [n for n in names if _ids(PciCard(root, n)) == pci
             and not os.path.exists(os.path.join(folder, n, 'physfn'))]
    if address in alike:
        return PciCard(root, address)
    if len(alike) == 1:
        return PciCard(root, alike[0])
    seen = ', '.join(alike) or 'none with these ids'
    raise SettingFailed(f'no device {pci} at {address}; found: {seen}')


def _ids(card: PciCard) -> str:
    return ':'.join((card.read(n) or '').replace('0x', '', 1).lower()
                    for n in ('vendor', 'device'))


def load_setters(folder: str) -> dict[str, Any]:
    """The setters that were delivered, by the names of their modes.

    :raises: SettingFailed for a file that cannot be loaded.
    """
    found = {}
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        mode, suffix = os.path.splitext(name)
        spec = importlib.util.spec_from_file_location(
            'first_boot_' + mode.replace('-', '_'),
            os.path.join(folder, name))
        if suffix != '.py' or spec is None or spec.loader is None:
            continue
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except Exception as exc:  # whatever is in the file
            raise SettingFailed(
                f'{folder}/{name} cannot be loaded: {exc}') from exc
        found[mode] = module
    return found


def _items(document: Any, setters: Mapping[str, Any]
           ) -> list[dict[str, Any]]:
    """The items of a document in the order in which they are set.

    :raises: SettingFailed for an invalid document.
    """
    if not isinstance(document, dict) or document.get('schema') != SCHEMA:
        seen = document.get('schema') if isinstance(
            document, dict) else document
        raise SettingFailed(f'schema: {str(seen)[:80]!r} instead of '
                            f'{SCHEMA!r}')
    items = document.get('items')
    if not isinstance(items, list):
        raise SettingFailed('items: not a list')
    for item in items:
        if not isinstance(item, dict) or not all(
                isinstance(item.get(n), str) for n in (
                    'mode', 'device', 'address', 'pci')):
            raise SettingFailed(
                'items: each needs a mode, device, address and pci')
        setter = setters.get(item['mode'])
        if setter is None or not ADDRESS.match(item['address']):
            raise SettingFailed(
                f"items: {item['mode'][:40]!r} at {item['address'][:40]!r}: "
                'unknown mode or invalid PCI address')
        value = item.get('wanted')
        if type(value) is not setter.VALUE or (
                isinstance(value, list) and not all(
                    isinstance(v, str) for v in value)):
            raise SettingFailed(
                f"items: {item['mode']}: invalid value {str(value)[:80]!r}")
    return sorted(items, key=lambda i: (setters[i['mode']].ORDER, i['mode']))


def apply(document: Any, root: str = '/', patience: float = PATIENCE,
          setters: Mapping[str, Any] | None = None) -> bool:
    """Set all items of a document; whether all of them are set now.

    If one fails, the others are tried all the same. ``<3>`` and ``<5>`` are
    the priorities of the journal (sd-daemon(3)).

    :param setters: by mode; those beside this file by default.
    """
    try:
        if setters is None:
            setters = load_setters(
                os.path.splitext(os.path.abspath(__file__))[0] + '.d')
        items = _items(document, setters)
    except SettingFailed as exc:
        print(f'<3>{exc}')
        return False
    well = True
    for item in items:
        name = f"{item['mode']} of {item['device']}"
        try:
            card = find(root, item['address'], item['pci'])
            changed = setters[item['mode']].set_mode(
                card, item['wanted'], patience)
        except SettingFailed as exc:
            well = False
            print(f'<3>{name}: not set: {exc}')
        except Exception as exc:
            # A setter may be a plug-in's: its defect costs its mode alone.
            well = False
            print(f'<3>{name}: not set: {type(exc).__name__}: '
                  f'{str(exc)[:200]}')
        else:
            became = 'set to' if changed else 'is already'
            print(f"<5>{name}: {became} {item['wanted']}")
    said = '<5>{}: all modes are set' if well else (
        '<3>{}: not all modes are set')
    print(said.format(f"profile {str(document.get('profile'))[:80]}"))
    return well


def main(argv: list[str]) -> int:
    """``first-boot.py DOCUMENT``: 0 if all modes are set, else 1."""
    # Nothing else is written into the instance.
    sys.dont_write_bytecode = True
    try:
        with open(argv[1], encoding='utf-8') as file:
            document = json.load(file)
    except (OSError, ValueError, RecursionError) as exc:
        print(f'<3>{argv[1]} cannot be read: {str(exc)[:200]}')
        return 1
    return 0 if apply(document) else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv))
