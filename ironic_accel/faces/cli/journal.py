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

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses
import hashlib
import json
import os
import posixpath
import re
import shlex
from typing import Any

from ironic_accel.bounded import files
from ironic_accel.model import errors
from ironic_accel.model import history
from ironic_accel.model.profile import Profile
from ironic_accel.model import record as record_mod
from ironic_accel.model.record import Record
from ironic_accel.model import strict_json
from ironic_accel.redfish.client import origin
from ironic_accel.redfish.inventory.bmc_identity import BmcIdentity
from ironic_accel import uptime

SCHEMA = 'journal/1'
#: Bytes of a journal: a record has 8 KiB.
_MOST = 1 << 20
#: URLs of a BMC that are remembered.
_MOST_NAMES = 8


def default_folder() -> str:
    """The default directory of journals (XDG Base Directory, state)."""
    base = os.environ.get('XDG_STATE_HOME', '')
    if not os.path.isabs(base):
        base = os.path.expanduser('~/.local/state')
    return os.path.join(base, 'ironic-accel')


def default_path(identity: BmcIdentity) -> str:
    """The default journal of a System.

    Its name is made from what identifies the BMC and the System, so that two
    host names of a BMC share it; from the URL only if there is no UUID.
    """
    known = [name for name in (identity.service, identity.uuid) if name] or [
        identity.url]
    return os.path.join(default_folder(), named(
        f"{known[0].rpartition('//')[2]} "
        f'{posixpath.basename(identity.system)}',
        ' '.join((*known, identity.serial or '', identity.system)), 'json'))


def named(shown: str, key: str, ending: str) -> str:
    """A unique file name that begins with a readable text."""
    words = re.sub('[^A-Za-z0-9.]+', '-', shown).strip('-')
    digest = hashlib.sha256(key.encode()).hexdigest()[:8]
    return f'{words[:60]}-{digest}.{ending}'


def same_url(one: str, other: str) -> bool:
    """Whether two URLs have the same scheme, host and port."""
    return one == other or (origin.of(one) is not None
                            and origin.of(one) == origin.of(other))


@dataclasses.dataclass
class FileJournal:
    """A journal in a file; ports.Journal.

    :ivar path: where it is saved.
    :ivar is_default: whether a journal at another default path is taken
        over: one of an earlier version, or of a run to which the BMC did not
        show one of its UUIDs.
    :ivar time: the clock of the run, to which the deadlines in its record
        refer.
    :ivar found: the power state of the host before the run, ``on`` or
        ``off``, which is restored at its end; None before the first
        inventory. It is stored because a run that was killed in a reset
        leaves the host off too.
    :ivar boot: the boot mark of that host once the run has powered it on;
        None while a reset changes it. Another one shows that somebody has
        restarted the host since.
    :ivar names: the URLs under which the BMC was reached.
    :ivar changes: what the run has begun to write, for its history.
    :ivar started: ``Record.started`` of that run, which is kept past its end
        until that is in the history; 0 if no end is missing there.
    """

    path: str
    identity: BmcIdentity
    is_default: bool = False
    found: str | None = None
    boot: str | None = None
    names: tuple[str, ...] = ()
    time: uptime.Elapsed = dataclasses.field(
        default_factory=uptime.Elapsed)
    changes: history.Changes = ()
    started: float = 0.0
    _loaded: str | None = None
    _saved: Record | None = None

    @property
    def history_command(self) -> str:
        """The command that prints the failures of this System."""
        return 'ironic-accel history --failed ' + (
            f'--bmc {shlex.quote(self.identity.url)}' if self.is_default
            else f'--journal {shlex.quote(self.path)}')

    def load(self) -> Record | None:
        """The record that the last run saved, or None.

        :raises: BadInput for a file that is not a journal of this system, or
            that a later version wrote.
        """
        self._loaded = None
        path, raw = self.path, _read(self.path)
        if raw is not None and not self._is_own(raw):
            raise errors.BadInput(
                f'--journal: {path} belongs to {raw.get("bmc")} '
                f'{raw.get("system")}, not to {self.identity.url} '
                f'{self.identity.system}')
        if raw is None and self.is_default:
            path, raw = next(
                ((other, doc) for other, doc in _journals()
                 if self._is_own(doc)), (path, None))
        if raw is None:
            return None
        record = self._take(path, raw)
        self._loaded = path
        return record

    def _is_own(self, raw: Mapping[str, Any]) -> bool:
        """Whether a document is the journal of this System.

        Journals of earlier versions have its URL alone.
        """
        known = raw.get('identity')
        if known is None:
            bmc, system = raw.get('bmc'), raw.get('system')
            return system == self.identity.system and same_url(
                str(bmc), self.identity.url)
        return self.identity.is_same(_identity(raw))

    def _take(self, path: str, raw: Mapping[str, Any]) -> Record | None:
        """Take the state from a document.

        :raises: BadInput if it is incomplete, or of a later version.
        """
        try:
            # Journals of earlier versions have no time.
            self.time = uptime.Elapsed(raw.get('time'))
            self.found, self.boot = raw['found'], raw.get('boot')
            self.names = tuple(map(str, raw.get('names') or [raw['bmc']]))
            self.changes = history.load(raw.get('changes') or ())
            self.started = float(raw.get('started') or 0)
            return record_mod.load(raw['record'])
        except (AttributeError, LookupError, OverflowError, TypeError,
                ValueError) as exc:
            raise errors.BadInput(
                f'--journal: {path} is not a {SCHEMA} document: '
                f'{exc!r}') from exc

    def save(self, record: Record) -> None:
        """Save a record; it is on disk when this returns.

        :raises: AccelError if that fails; nothing is written to the BMC
            then.
        """
        self.names = tuple(dict.fromkeys(
            (*self.names, self.identity.url)))[-_MOST_NAMES:]
        self._write({'schema': SCHEMA, 'bmc': self.identity.url,
                     'names': list(self.names),
                     'system': self.identity.system,
                     'identity': {
                         'service': self.identity.service,
                         'uuid': self.identity.uuid,
                         'serial': self.identity.serial},
                     'found': self.found, 'boot': self.boot,
                     'time': self.time.mark(),
                     'changes': history.dump(self.changes),
                     'started': self.started,
                     'record': record_mod.dump(record)})
        self._saved = record
        if self._loaded not in (None, self.path):
            # The one that was taken over must not be found again.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(str(self._loaded))
            self._loaded = self.path

    def keep(self, changes: history.Changes) -> None:
        """Take what is about to be written; it is saved with its intent."""
        self.changes = changes

    def forget_changes(self) -> None:
        """Forget what a run has written, once its end is in the history.

        :raises: AccelError if that cannot be saved.
        """
        self.changes, self.started = (), 0.0
        if self._saved is not None:
            self.save(self._saved)

    def _write(self, document: dict[str, Any]) -> None:
        try:
            files.replace(self.path, json.dumps(document))
        except OSError as exc:
            raise errors.AccelError(
                f'cannot save the journal {self.path}: {exc.strerror}',
                error_class=errors.ErrorClass.NEEDS_OPERATOR) from exc


def of(identity: BmcIdentity, path: str | None = None) -> FileJournal:
    """The journal of a system, at its default path or a given one."""
    return FileJournal(path or default_path(identity), identity,
                       is_default=path is None)


def left_open(bmc: str, profile: Profile, path: str | None = None
              ) -> Record | None:
    """The record of a run of a profile on a BMC that was interrupted in a
    write or a reset, or None.

    The BMC has not responded yet, so the journals of all its Systems are
    read.

    :param path: of the journal; None for all in the default directory.
    """
    for _, raw in _journals([path] if path else None):
        try:
            record = record_mod.load(raw['record'])
        except (AttributeError, LookupError, TypeError, ValueError,
                errors.BadInput):
            # The run that uses this journal reports the error.
            continue
        names = raw.get('names') or [raw.get('bmc')]
        if record is not None and record.digest == profile.digest and (
                record.intent is not None) and any(
                    same_url(bmc, str(name)) for name in names):
            return record
    return None


def _journals(paths: Iterable[str] | None = None
              ) -> Iterator[tuple[str, dict[str, Any]]]:
    """The journals that can be read, the last one that was saved first.

    A file that cannot be read, or is of a later version, belongs to another
    BMC; the run that uses it reports the error.

    :param paths: of the journals; None for all in the default directory.
    """
    if paths is None:
        folder = default_folder()
        paths = sorted((os.path.join(folder, name) for name in (
            os.listdir(folder) if os.path.isdir(folder) else ())
            if name.endswith('.json')), key=_saved_at, reverse=True)
    for path in paths:
        try:
            raw = _read(path)
        except errors.BadInput:
            continue
        if raw is not None:
            yield path, raw


def _saved_at(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except FileNotFoundError:
        # Another run has just taken it over.
        return 0.0


def _read(path: str) -> dict[str, Any] | None:
    """The document in a file; None if there is no file.

    :raises: BadInput for a file that is not a journal.
    """
    try:
        with files.open_regular(path) as file:
            raw = strict_json.parse(file.read(_MOST + 1), _MOST)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as exc:
        raise errors.BadInput(
            f'--journal: cannot read {path}: {exc}') from exc
    if not isinstance(raw, dict) or raw.get('schema') != SCHEMA:
        raise errors.BadInput(f'--journal: {path} is not a '
                              f'{SCHEMA} document')
    return raw


def _identity(raw: Mapping[str, Any]) -> BmcIdentity:
    """The identity in a journal; parts of wrong types are unknown."""
    known = raw.get('identity')
    service, uuid, serial = (
        str(found) if isinstance(known, dict) and (found := known.get(name))
        else None for name in ('service', 'uuid', 'serial'))
    return BmcIdentity(str(raw.get('bmc')), str(raw.get('system')), service,
                       uuid, serial)
