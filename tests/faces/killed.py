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

"""The command in a process that is killed at a moment of its run.

Moments are numbered by their kind: the third ``GET sent``, the first ``save
done``. They are before each request and after its response, before and after
each save of the journal, and before and after the end of the run is written
into the history.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import multiprocessing
import os
import pathlib
import signal
import sys
from typing import Any
from unittest import mock

from ironic_accel.faces.cli import history
from ironic_accel.faces.cli import journal
from ironic_accel.faces.cli import main as command
from ironic_accel.faces.cli import request_log
from ironic_accel.faces.cli import run as _preloaded  # noqa: F401
from ironic_accel.model import catalog
from ironic_accel.model.record import Record

Moment = tuple[str, int]

#: Where the state of the command is; a process of its own is told.
_FOLDERS = ('XDG_STATE_HOME', 'XDG_CACHE_HOME')
#: Seconds after which a process is taken for one that hangs.
_PATIENCE = 120


@contextlib.contextmanager
def watched(reach: Callable[[str], None]) -> Iterator[None]:
    """Call something at each moment of the commands in this process."""
    class Requests(request_log.RequestLog):
        """Tells of the requests of a command."""

        def sent(self, method: str, path: str) -> None:
            """Take note of a request that is about to be sent."""
            reach(f'{method} sent')
            super().sent(method, path)

        def answered(self, method: str, path: str, answer: str,
                     seconds: float) -> None:
            """Take note of a response."""
            reach(f'{method} answered')
            super().answered(method, path, answer, seconds)

    save, append = journal.FileJournal.save, history.append

    def saved(self: journal.FileJournal, record: Record) -> None:
        reach('save begun')
        save(self, record)
        reach('save done')

    def appended(path: str, document: Mapping[str, Any]) -> bool:
        reach('history begun')
        done = append(path, document)
        reach('history done')
        return done

    with mock.patch.object(request_log, 'RequestLog', Requests), \
            mock.patch.object(journal.FileJournal, 'save', autospec=True,
                              side_effect=saved), \
            mock.patch.object(history, 'append', autospec=True,
                              side_effect=appended):
        yield


def recorded(words: Sequence[str]) -> tuple[int, dict[str, int]]:
    """Run the command to its end.

    :returns: its exit status, and how many moments of each kind it had.
    """
    found: collections.Counter[str] = collections.Counter()
    with watched(lambda kind: found.update((kind,))):
        code = command.main([*words])
    return code, dict(found)


def killed(words: Sequence[str], moment: Moment, output: pathlib.Path
           ) -> bool:
    """Run the command in a process of its own that is killed at a moment.

    The process is a copy of one without threads: a copy of a test's would
    wait for locks that its threads hold.

    :param output: a file for what the command prints.
    :returns: whether it was killed; otherwise it has ended before.
    :raises: AssertionError if it did neither.
    """
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload([__name__])
    child = context.Process(target=_run, args=(
        [*words], moment, str(output),
        {name: os.environ[name] for name in _FOLDERS}))
    child.start()
    child.join(_PATIENCE)
    if child.is_alive():
        child.kill()
        child.join()
        raise AssertionError(f'the command hangs: {output.read_text()}')
    assert child.exitcode in (0, -signal.SIGKILL), output.read_text()
    return child.exitcode != 0


def _run(words: list[str], moment: Moment, output: str,
         folders: Mapping[str, str]) -> None:
    """Run the command in this process, which ends with it."""
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.environ.update(folders)
    found: collections.Counter[str] = collections.Counter()

    def reach(kind: str) -> None:
        found[kind] += 1
        if (kind, found[kind]) == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    with watched(reach):
        sys.exit(command.main(words))


# Before this process is copied.
catalog.load()
