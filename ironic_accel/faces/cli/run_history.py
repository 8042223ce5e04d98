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

"""The history of one run of ``ironic-accel apply``, from begin to end."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import getpass
import hashlib
import time
from typing import Any

from ironic_accel.faces.cli import history as history_file
from ironic_accel.faces.cli.journal import FileJournal
from ironic_accel.faces.cli.session import Opened
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model import history
from ironic_accel.model.record import Record


@dataclasses.dataclass(frozen=True, slots=True)
class RunHistory:
    """Writes the end of a run into the history of its System.

    :ivar started: ``Record.started``, which a run keeps when it continues
        after an interruption: both ends are of the same run then.
    :ivar began: epoch seconds.
    """

    opened: Opened
    journal: FileJournal
    profile: str
    started: float
    began: float

    @classmethod
    def begin(cls, opened: Opened, journal: FileJournal,
              earlier: Record | None, record: Record) -> RunHistory:
        """Take over what an interrupted run has begun to write.

        The end of a run that is not continued is written first.
        """
        made = cls(opened, journal, record.profile, record.started,
                   time.time())
        if earlier is not None and earlier.started and (
                earlier.started != record.started):
            dataclasses.replace(
                made, profile=earlier.profile, started=earlier.started)._add(
                    'stopped', Detail(
                        'stopped: interrupted, and another run was started',
                        ErrorClass.NEEDS_OPERATOR), earlier, ())
        if record is not earlier:
            journal.changes = ()
        opened.backend.changes = journal.changes
        opened.backend.keep = journal.keep
        return made

    def end(self, document: Mapping[str, Any], record: Record,
            is_interrupted: bool) -> None:
        """Write the end of the run.

        :param document: of the run, for its caller.
        :param is_interrupted: whether the user stopped it: what it has begun
            is kept for the run that continues.
        """
        raw = document['error']
        self._add('stopped' if is_interrupted else str(document['outcome']),
                  Detail.from_dict(raw) if raw else None, record,
                  document['refused'], document)
        if not is_interrupted:
            self.journal.forget_changes()

    def _add(self, outcome: str, error: Detail | None, record: Record,
             refused: Any, counts: Mapping[str, Any] | None = None) -> None:
        identity, backend = self.journal.identity, self.opened.backend
        mine = counts is not None
        changes = history.changed(
            backend.changes if mine else self.journal.changes,
            history.OperationEnd(outcome, error, record, backend.shown if mine
                        else None, refused), self.opened.catalog)
        now = time.time()
        doc = history.document({
            'id': hashlib.sha256(
                f'{self.journal.path} {self.started}'.encode()
            ).hexdigest()[:32],
            'bmc': identity.url,
            'system': f'{identity.url} {identity.system}',
            'operation': 'command', 'step': 'apply', 'profile': self.profile,
            'outcome': outcome, 'started': self.began if mine else None,
            'finished': now,
            'seconds': round(now - self.began, 1) if mine else None,
            'writes': (counts or {}).get('writes'),
            'resets': (counts or {}).get('resets'),
            'user': _user(), 'project': None, 'request': None},
            changes, error)
        history_file.append(history_file.path_of(self.journal.path), doc)


def _user() -> str | None:
    """The name of the user of the command, or None if it has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None
