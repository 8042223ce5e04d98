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

"""Run a subcommand on one BMC, or on those of a file, several at a time."""

from __future__ import annotations

import argparse
import collections
from collections.abc import Callable
from collections.abc import Generator
import contextlib
import dataclasses
import functools
import json
import sys
import threading
import time
from typing import Any

from ironic_accel.faces import board
from ironic_accel.faces.cli import bmc_file
from ironic_accel.faces.cli import messages
from ironic_accel.faces.cli import workers
from ironic_accel.faces import failure
from ironic_accel.faces import terminal
from ironic_accel.faces import view
from ironic_accel.model import errors
from ironic_accel.redfish.client import origin

SCHEMA = 'bmcs/1'
#: Exit codes of a BMC on which a command fails (``faces.cli.main``).
_BAD_INPUT, _REFUSED, _FAILED = 2, 3, 4

#: BMCs of which each phase is a line, without a terminal; of more BMCs the
#: end alone is.
_FEW = 8

#: Seconds after which a thread that waits for a BMC checks whether the command
#: was interrupted.
_WAKES = 0.5

Document = dict[str, Any]
#: Works on one BMC; returns the document and the exit code.
Work = Callable[[argparse.Namespace], tuple[Document, int]]
#: Prints a document for people.
Show = Callable[[Document, argparse.Namespace], None]


@dataclasses.dataclass
class _Run:
    """The work on one System.

    :ivar bmc: held while its BMC is worked on: a BMC gets one write at a
        time, and reads in parallel slow it down.
    :ivar began: monotonic seconds of its start, or None.
    :ivar changes: False once it has ended without a write: the others may
        take longer.
    :ivar error: why it failed, or empty.
    """

    args: argparse.Namespace
    name: str
    bmc: threading.Lock
    began: float | None = None
    ended: float | None = None
    code: int | None = None
    changes: bool = True
    error: str = ''

    def __post_init__(self) -> None:
        self.messages = messages.Own(self.name)

    def progress(self) -> board.NodeProgress:
        """Its progress, for the board."""
        if self.began is None and self.code is None:
            # It takes as long as one that is worked on.
            return board.NodeProgress(self.name, 'waiting', '', changes=True)
        seconds = 0.0 if self.began is None else (
            self.ended or time.monotonic()) - self.began
        state: board.State = 'running' if self.code is None else (
            'done' if self.code < _BAD_INPUT else
            'refused' if self.code == _REFUSED else 'failed')
        return board.NodeProgress(
            self.name, state, self.error if self.code else
            self.messages.text(), seconds=seconds, changes=self.changes,
            run_left=self.messages.left() if self.code is None else None)


def run(args: argparse.Namespace, work: Work, show: Show) -> int:
    """Run a subcommand on the BMCs of the options.

    :returns: the exit code: of several BMCs the highest one.
    :raises: BadInput; of a single BMC also AccelError.
    """
    if args.bmc_file is None:
        document, code = work(args)
        if args.json:
            print(json.dumps(document))
        else:
            show(document, args)
        return code
    return _run_all(args, work, show)


def _run_all(args: argparse.Namespace, work: Work, show: Show) -> int:
    found = bmc_file.read(args)
    many = len({one.bmc for one in found}) < len(found)
    locks: dict[object, threading.Lock] = collections.defaultdict(
        threading.Lock)
    runs = [_Run(one, f'{one.bmc} {one.system}' if many else one.bmc,
                 locks[origin.of(one.bmc)]) for one in found]
    keep_going = getattr(args, 'keep_going', True)
    pool = workers.Pool(
        [functools.partial(_one, one, work, args.verb) for one in runs],
        args.max_in_flight,
        lambda result: keep_going or result[1] < _BAD_INPUT)
    began = time.monotonic()
    documents = []
    live = sys.stderr is not None and terminal.is_live(sys.stderr)
    for one in runs:
        one.messages.phases = not live and len(runs) <= _FEW
    with messages.status(lambda: _board(runs, began)):
        for number, (document, code) in pool.results():
            one = runs[number]
            if args.json:
                documents.append(_entry(one, document, code))
            else:
                _print(one, document, show)
    codes = [one.code for one in runs]
    worst = max((_FAILED if pool.interrupted else 0,
                 *(code for code in codes if code is not None)))
    left = [one for one in runs if one.code is None]
    if args.json:
        documents += [_entry(one, None, None) for one in left]
        print(json.dumps({'schema': SCHEMA, 'command': args.verb,
                          'exit_code': worst, 'bmcs': documents}))
    if left:
        messages.error('not started: '
                       + ', '.join(one.name for one in left))
    messages.say(_totals(runs, began))
    return worst


def _entry(one: _Run, document: Document | None, code: int | None
           ) -> Document:
    """The entry of a BMC; without code and document it was not started."""
    return {'bmc': one.args.bmc, 'system': one.args.system,
            'exit_code': code, 'document': document}


def _print(one: _Run, document: Document, show: Show) -> None:
    """Print the result of a BMC; an error was printed when it occurred."""
    if document.get('schema') == failure.SCHEMA:
        return
    with messages.hold():
        print(f'\n{one.name}', flush=True)
        show(document, one.args)


def _one(one: _Run, work: Work, verb: str) -> tuple[Document, int]:
    """Work on one BMC of several; an error is a document too."""
    document: Document
    with messages.about(one.messages):
        try:
            with _held(one.bmc):
                one.began = time.monotonic()
                document, code = work(one.args)
        except errors.AccelError as exc:
            code = (_BAD_INPUT if isinstance(exc, errors.BadInput)
                    else _FAILED)
            one.error = exc.detail.summary
            messages.error(exc)
            document = failure.document(exc, verb, code)
        except KeyboardInterrupt:
            code = _FAILED
            messages.error(failure.INTERRUPTED.summary)
            document = failure.document(failure.INTERRUPTED, verb, code)
        one.ended, one.code = time.monotonic(), code
        _ended(one, document, verb)
    return document, code


def _ended(one: _Run, document: Document, verb: str) -> None:
    """Print how a run on a BMC has ended, in the order of their ends."""
    one.changes = document.get('writes') != 0
    one.error = one.error or (document.get('error') or {}).get('summary', '')
    ended = one.progress()
    if verb == 'apply':
        messages.say(f"{document.get('outcome', ended.state)}, "
                     f'{view.duration(ended.seconds or 0.0)}')


@contextlib.contextmanager
def _held(bmc: threading.Lock) -> Generator[None, None, None]:
    """Hold a BMC during the block.

    :raises: KeyboardInterrupt if the command is interrupted meanwhile.
    """
    while not bmc.acquire(timeout=_WAKES):
        workers.sleep(0)
    try:
        yield
    finally:
        bmc.release()


def _board(runs: list[_Run], began: float) -> str:
    """The totals and, for a terminal, the BMCs that matter first."""
    high = terminal.size(sys.stderr)[1] - 2
    return board.text([one.progress() for one in runs],
                      time.monotonic() - began, 'BMC', max(high, 2))


def _totals(runs: list[_Run], began: float) -> str:
    return board.totals([one.progress() for one in runs],
                        time.monotonic() - began, 'BMC')
