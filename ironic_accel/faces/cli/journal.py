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

"""The journal of a run without a conductor: one file for each system."""

from __future__ import annotations

from collections.abc import Generator
import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import re
import tempfile
from typing import Any

from ironic_accel.bounded import files
from ironic_accel.model import errors
from ironic_accel.model.profile import Profile
from ironic_accel.model import record as record_mod
from ironic_accel.model.record import Record
from ironic_accel.model import strict_json
from ironic_accel import uptime

SCHEMA = 'journal/1'
#: Bytes of a journal: a record has 8 KiB.
_MOST = 1 << 20


def default_folder() -> str:
    """The default directory of journals (XDG Base Directory, state)."""
    base = os.environ.get('XDG_STATE_HOME', '')
    if not os.path.isabs(base):
        base = os.path.expanduser('~/.local/state')
    return os.path.join(base, 'ironic-accel')


def default_path(bmc: str, system: str) -> str:
    """The default journal of one System of one BMC."""
    return os.path.join(default_folder(), f'{_key(bmc + system)}.json')


def _key(text: str) -> str:
    """A unique file name that contains the text."""
    words = re.sub('[^A-Za-z0-9.]+', '-', text.partition('//')[2]).strip('-')
    return f'{words[:60]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}'


@contextlib.contextmanager
def hold_bmc(bmc: str) -> Generator[None, None, None]:
    """Lock a BMC against other runs of this user on this host.

    :raises: AccelError if another run holds the lock.
    """
    os.makedirs(default_folder(), mode=0o700, exist_ok=True)
    path = os.path.join(default_folder(), f'{_key(bmc)}.lock')
    with open(path, 'a', encoding='ascii') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise errors.AccelError(
                f'another run of ironic-accel is using the BMC {bmc}',
                error_class=errors.ErrorClass.TRANSIENT,
                todo='wait until it ends, then run again') from None
        yield


@dataclasses.dataclass
class FileJournal:
    """A journal in a file; ports.Journal.

    :ivar time: the clock of the run, to which the deadlines in its record
        refer.
    :ivar found: the power state of the host before the run, ``on`` or
        ``off``, which is restored at its end; None before the first
        inventory. It is stored because a run that was killed in a reset
        leaves the host off too.
    """

    path: str
    bmc: str
    system: str
    found: str | None = None
    time: uptime.Elapsed = dataclasses.field(
        default_factory=uptime.Elapsed)

    def load(self) -> Record | None:
        """The record that the last run saved, or None.

        :raises: BadInput for a file that is not a journal of this system, or
            that a later version wrote.
        """
        try:
            with files.open_regular(self.path) as file:
                raw = strict_json.parse(file.read(_MOST + 1), _MOST)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as exc:
            raise errors.BadInput(
                f'--journal: cannot read {self.path}: {exc}') from exc
        if not isinstance(raw, dict) or raw.get('schema') != SCHEMA:
            raise errors.BadInput(f'--journal: {self.path} is not a '
                                  f'{SCHEMA} document')
        whose = raw.get('bmc'), raw.get('system')
        if whose != (self.bmc, self.system):
            raise errors.BadInput(
                f'--journal: {self.path} belongs to {whose[0]} {whose[1]}, '
                f'not to {self.bmc} {self.system}')
        try:
            # Journals of earlier versions have no time.
            self.time = uptime.Elapsed(raw.get('time'))
            self.found = raw['found']
            return record_mod.load(raw['record'])
        except (AttributeError, LookupError, TypeError,
                ValueError) as exc:
            raise errors.BadInput(
                f'--journal: {self.path} is not a {SCHEMA} document: '
                f'{exc!r}') from exc

    def save(self, record: Record) -> None:
        """Save a record; it is on disk when this returns.

        :raises: AccelError if that fails; nothing is written to the BMC
            then.
        """
        self._write({'schema': SCHEMA, 'bmc': self.bmc,
                     'system': self.system, 'found': self.found,
                     'time': self.time.mark(),
                     'record': record_mod.dump(record)})

    def _write(self, document: dict[str, Any]) -> None:
        folder = os.path.dirname(os.path.abspath(self.path))
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            fd, part = tempfile.mkstemp(dir=folder, suffix='.part')
            try:
                with os.fdopen(fd, 'w', encoding='utf-8') as file:
                    json.dump(document, file)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(part, self.path)
            except BaseException:
                # Also for KeyboardInterrupt: leave no partial file.
                with contextlib.suppress(OSError):
                    os.unlink(part)
                raise
            _sync(folder)
        except OSError as exc:
            raise errors.AccelError(
                f'cannot save the journal {self.path}: {exc.strerror}',
                error_class=errors.ErrorClass.NEEDS_OPERATOR) from exc


def of(bmc: str, system: str, path: str | None = None) -> FileJournal:
    """The journal of a system, at its default path or a given one."""
    return FileJournal(path or default_path(bmc, system), bmc, system)


def left_open(bmc: str, profile: Profile, path: str | None = None) -> bool:
    """Whether a run of a profile on a BMC was interrupted in a write.

    The BMC has not responded yet, so the journals of all its Systems are
    read.

    :param path: of the journal; None for all in the default directory.
    """
    folder = default_folder()
    paths = [path] if path else [
        os.path.join(folder, name) for name in (
            os.listdir(folder) if os.path.isdir(folder) else ())
        if name.endswith('.json')]
    for one in paths:
        try:
            with open(one, encoding='utf-8') as file:
                raw = json.load(file)
            record = record_mod.load(raw['record'])
        except (OSError, AttributeError, LookupError, TypeError,
                ValueError, errors.BadInput):
            # The run that uses this journal reports the error.
            continue
        if raw.get('bmc') == bmc and record is not None and (
                record.digest == profile.digest
                and record.intent is not None):
            return True
    return False


def _sync(folder: str) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
