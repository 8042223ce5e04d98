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

It is delivered as this one file: nothing but the standard library of Python
3.7. It reads what is there, changes only what differs, reads it back, and
says so on its output, which the unit sends to the journal.

Sources: Linux Documentation/ABI/testing/sysfs-driver-qat (state,
cfg_services) and sysfs-bus-pci (sriov_numvfs); NVIDIA System Management
Interface documentation (``--query-gpu=mig.mode.current``, ``-mig``).
"""

from __future__ import annotations

from collections.abc import Callable
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
#: Seconds for drivers to come up, and between two looks.
PATIENCE = 60.0
PAUSE = 1.0
#: Seconds for one call of nvidia-smi.
TOOL = 120.0
#: Services come before virtual functions: a device that goes down and up
#: loses those.
ORDER = ('mig', 'services', 'vfs')
#: By mode, the type of a value.
WANTED = {'mig': str, 'services': list, 'vfs': int}
ADDRESS = re.compile('[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}[.][0-7]$')


class SettingFailed(Exception):
    """A mode that could not be set, and why."""


class PciCard:
    """One PCI device below a root folder."""

    def __init__(self, root: str, address: str) -> None:
        self.root = root
        self.folder = os.path.join(root, DEVICES, address)
        self.address = address

    def read(self, name: str) -> str | None:
        try:
            with open(os.path.join(self.folder, name),
                      encoding='ascii') as file:
                return file.read().strip()
        except OSError:
            return None

    def write(self, name: str, text: str) -> None:
        try:
            with open(os.path.join(self.folder, name), 'w',
                      encoding='ascii') as file:
                file.write(text)
        except OSError as exc:
            raise SettingFailed(f'{name} does not take {text!r}: '
                         f'{exc.strerror}') from exc

    def await_file(self, name: str, patience: float) -> None:
        """Wait until the driver has put a file there."""
        until = time.monotonic() + patience
        while self.read(name) is None:
            if time.monotonic() >= until:
                raise SettingFailed(
                    f'{name} is not there: is its driver loaded?')
            time.sleep(PAUSE)


def find(root: str, address: str, pci: str) -> PciCard:
    """The card at its address, or the only one of its PCI ids."""
    folder = os.path.join(root, DEVICES)
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    alike = [n for n in names if _ids(PciCard(root, n)) == pci
             and not os.path.exists(os.path.join(folder, n, 'physfn'))]
    if address in alike:
        return PciCard(root, address)
    if len(alike) == 1:
        return PciCard(root, alike[0])
    seen = ', '.join(alike) or 'none of these ids'
    raise SettingFailed(f'no device {pci} at {address}, but {seen}')


def _ids(card: PciCard) -> str:
    return ':'.join((card.read(n) or '').replace('0x', '', 1).lower()
                    for n in ('vendor', 'device'))


def ports(card: PciCard) -> list[PciCard]:
    """All functions of a card that have virtual functions."""
    folder, address = os.path.split(card.folder)
    slot = address.rpartition('.')[0]
    found = [PciCard(card.root, n) for n in sorted(os.listdir(folder))
             if n.startswith(slot + '.')
             and not os.path.exists(os.path.join(folder, n, 'physfn'))]
    return [c for c in found if c.read('sriov_numvfs') is not None]


def vfs(card: PciCard, wanted: int, patience: float) -> bool:
    """The number of virtual functions of all ports of a card; whether it
    was changed. Where the kernel refuses, they get back what they had."""
    card.await_file('sriov_numvfs', patience)
    before = {c: c.read('sriov_numvfs') for c in ports(card)}
    if set(before.values()) == {str(wanted)}:
        return False
    try:
        for port in before:
            _number(port, str(wanted))
    except SettingFailed as exc:
        raise SettingFailed(str(exc) + _put_back(before)) from exc
    for port in before:
        _check(port.read('sriov_numvfs'), str(wanted))
    return True


def _put_back(before: dict[PciCard, str | None]) -> str:
    """Give the ports back what they had; in words what could not be."""
    left = []
    for port, number in before.items():
        try:
            _number(port, number or '0')
        except SettingFailed:
            left.append(port.address)
    return f"; {', '.join(left)} lost what was there" if left else ''


def _number(port: PciCard, wanted: str) -> None:
    """It can only be changed from zero and to zero."""
    now = port.read('sriov_numvfs')
    if now == wanted:
        return
    if now != '0':
        port.write('sriov_numvfs', '0')
    if wanted != '0':
        port.write('sriov_numvfs', wanted)


def services(card: PciCard, wanted: list[str], patience: float) -> bool:
    """The services of an Intel QAT device: a set; down, write, up."""
    card.await_file('qat/cfg_services', patience)
    card.await_file('qat/state', patience)
    up = card.read('qat/state') == 'up'
    before = card.read('qat/cfg_services') or ''
    same = _set(before) == set(wanted)
    if same and up:
        return False
    if up:
        card.write('qat/state', 'down')
    try:
        if not same:
            card.write('qat/cfg_services', ';'.join(sorted(wanted)))
        card.write('qat/state', 'up')
    except SettingFailed:
        if up:
            if card.read('qat/cfg_services') != before:
                card.write('qat/cfg_services', before)
            card.write('qat/state', 'up')
        raise
    if _set(card.read('qat/cfg_services')) != set(wanted):
        _check(card.read('qat/cfg_services'), ';'.join(sorted(wanted)))
    _check(card.read('qat/state'), 'up')
    return True


def _set(text: str | None) -> set[str]:
    return {part for part in (text or '').split(';') if part}


def mig(card: PciCard, wanted: str, patience: float) -> bool:
    """The MIG mode of an NVIDIA GPU, by its driver's own tool."""
    until = time.monotonic() + patience
    query = ('--query-gpu=mig.mode.current', '--format=csv,noheader')
    while True:
        said = _smi(card, *query)
        now = _word(said)
        if now is not None or time.monotonic() >= until:
            break
        time.sleep(PAUSE)
    if now is None:
        raise SettingFailed(f'nvidia-smi does not tell it, but: {said!r}')
    if now == wanted:
        return False
    told = _smi(card, '-mig', '1' if wanted == 'enabled' else '0')
    after = _word(_smi(card, *query))
    if after != wanted:
        raise SettingFailed(f'{wanted!r} was set, and {after!r} is read back; '
                     f'nvidia-smi said: {told!r}')
    return True


def _word(said: str) -> str | None:
    """The mode among what was printed: warnings stand in lines of their own
    before or behind it (nvidia-smi(1): a corrupted InfoROM is a warning).
    """
    words = {line.strip() for line in said.splitlines()} & {
        'enabled', 'disabled'}
    return words.pop() if len(words) == 1 else None


def _smi(card: PciCard, *words: str) -> str:
    """What nvidia-smi says of one GPU; its exit status is no proof: it is
    14 where it also warns of a corrupted InfoROM."""
    program = shutil.which('nvidia-smi')
    if program is None:
        raise SettingFailed('nvidia-smi is not installed')
    try:
        ran = subprocess.run(  # noqa: S603 - fixed words and an address
            [program, '-i', card.address, *words], timeout=TOOL,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, check=False)
    except subprocess.TimeoutExpired as exc:
        raise SettingFailed(
            f'nvidia-smi did not answer in {TOOL:.0f} s'
        ) from exc
    return ran.stdout.decode(errors='replace').strip().lower()


def _check(seen: str | None, wanted: str) -> None:
    if seen != wanted:
        raise SettingFailed(f'{wanted!r} was set, and {seen!r} is read back')


SETTERS: dict[str, Callable[[PciCard, Any, float], bool]] = {
    'mig': mig, 'services': services, 'vfs': vfs}


def _items(document: Any) -> list[dict[str, Any]]:
    """The items of a document in the order in which they are set.

    :raises: Failed for what is no such document.
    """
    if not isinstance(document, dict) or document.get('schema') != SCHEMA:
        seen = document.get('schema') if isinstance(
            document, dict) else document
        raise SettingFailed(f'schema: {str(seen)[:80]!r} where {SCHEMA!r} was '
                     'expected')
    items = document.get('items')
    if not isinstance(items, list):
        raise SettingFailed('items: a list was expected')
    for item in items:
        if not isinstance(item, dict) or not all(
                isinstance(item.get(n), str) for n in (
                    'mode', 'device', 'address', 'pci')):
            raise SettingFailed(
                'items: each has a mode, device, address and pci')
        kind = WANTED.get(item['mode'])
        if kind is None or not ADDRESS.match(item['address']):
            raise SettingFailed(f"items: {item['mode'][:40]!r} at "
                         f"{item['address'][:40]!r} is no mode of a device")
        value = item.get('wanted')
        if type(value) is not kind or (isinstance(value, list) and not all(
                isinstance(v, str) for v in value)):
            raise SettingFailed(
                f"items: {item['mode']}: {str(value)[:80]!r} is no value of it"
            )
    return sorted(items, key=lambda i: ORDER.index(i['mode']))


def apply(document: Any, root: str = '/',
          patience: float = PATIENCE) -> bool:
    """Set all items of a document; whether all hold now.

    Each is tried whatever became of the others. ``<3>`` and ``<5>`` are the
    priorities that the journal reads (sd-daemon(3)).
    """
    try:
        items = _items(document)
    except SettingFailed as exc:
        print(f'<3>{exc}')
        return False
    well = True
    for item in items:
        name = f"{item['mode']} of {item['device']}"
        try:
            card = find(root, item['address'], item['pci'])
            done = SETTERS[item['mode']](card, item['wanted'], patience)
        except SettingFailed as exc:
            well = False
            print(f'<3>{name}: not set: {exc}')
        else:
            became = 'set to' if done else 'is already'
            print(f"<5>{name}: {became} {item['wanted']}")
    said = '<5>{}: all modes hold' if well else '<3>{}: not all modes hold'
    print(said.format(f"profile {str(document.get('profile'))[:80]}"))
    return well


def main(argv: list[str]) -> int:
    """``first-boot.py DOCUMENT``: 0 where all modes hold, else 1."""
    try:
        with open(argv[1], encoding='utf-8') as file:
            document = json.load(file)
    except (OSError, ValueError, RecursionError) as exc:
        print(f'<3>{argv[1]} cannot be read: {str(exc)[:200]}')
        return 1
    return 0 if apply(document) else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv))
