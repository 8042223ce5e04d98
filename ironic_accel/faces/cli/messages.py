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

"""Messages on standard error; standard output is for data.

While something takes long, a terminal shows a status that is redrawn in
place, and any other stream gets its first line after two seconds and then each
minute. ``-q`` prints errors alone.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Generator
import contextlib
import contextvars
import dataclasses
import itertools
import logging
import sys
import threading
import time
from typing import TextIO

from ironic_accel.faces import terminal
from ironic_accel.model.errors import printable

#: Seconds after which a status line appears: nobody can read one that is
#: gone at once.
_APPEARS = 0.3
#: Seconds between two drawings of the status line.
_REDRAWN = 0.125
#: Seconds without a message until the first status is printed as a line, and
#: between that and the next one.
_FIRST, _NEXT = 2.0, 60.0
#: Returns seconds that are left, or None if that is not known.
Left = Callable[[], float | None]
_FRAMES = '|/-\\'



@dataclasses.dataclass
class Own:
    """The messages about one BMC of several.

    :ivar name: printed before each line.
    :ivar phases: whether each phase of a run is a line; a board of all BMCs
        shows them too.
    """

    name: str
    phases: bool = True
    _statuses: list[tuple[Callable[[], str], Left | None]] = (
        dataclasses.field(default_factory=list))

    @contextlib.contextmanager
    def status(self, describe: Callable[[], str], left: Left | None
               ) -> Generator[None, None, None]:
        """Keep a status for the board during the block."""
        self._statuses.append((describe, left))
        try:
            yield
        finally:
            self._statuses.pop()

    def text(self) -> str:
        """The innermost status; called in another thread."""
        statuses = [*self._statuses]
        return statuses[-1][0]() if statuses else ''

    def left(self) -> float | None:
        """Seconds that are left, or None if that is not known."""
        statuses = [*self._statuses]
        left = statuses[-1][1] if statuses else None
        return None if left is None else left()


#: The BMC that this thread works on, if the command works on several.
_OWN: contextvars.ContextVar[Own | None] = contextvars.ContextVar(
    '_OWN', default=None)


class Messages:
    """The messages of a command.

    :ivar quiet: whether errors alone are printed.
    :ivar verbose: whether each request is printed.
    """

    def __init__(self) -> None:
        self.quiet = False
        self.verbose = False
        self._lock = threading.RLock()
        self._statuses: list[Callable[[], str]] = []
        self._drawn = 0
        self._printed = 0.0

    def line(self, text: str) -> None:
        """Print a line above the status line."""
        if sys.stderr is None:
            # It was closed by the caller; print() would use standard output.
            return
        with self._lock:
            self.clear()
            own = _OWN.get()
            prefix = '' if own is None else f'{own.name}: '
            print('\n'.join(prefix + line for line in text.split('\n')),
                  file=sys.stderr, flush=True)
            self._printed = time.monotonic()

    def clear(self) -> None:
        """Remove the status until it is drawn again."""
        with self._lock:
            if self._drawn:
                print('\r\x1b[2K' + (self._drawn - 1) * '\x1b[1A\x1b[2K',
                      end='', file=sys.stderr, flush=True)
                self._drawn = 0

    @contextlib.contextmanager
    def hold(self) -> Generator[None, None, None]:
        """Draw nothing during the block, in which the user is asked."""
        with self._lock:
            self.clear()
            yield

    @contextlib.contextmanager
    def status(self, describe: Callable[[], str]
               ) -> Generator[None, None, None]:
        """Show a status during the block; an inner one replaces it."""
        self._statuses.append(describe)
        stop = threading.Event()
        ticker = None
        if len(self._statuses) == 1 and sys.stderr and not self.quiet:
            ticker = threading.Thread(
                target=self._tick, args=(stop, sys.stderr), daemon=True)
            ticker.start()
        try:
            yield
        finally:
            stop.set()
            if ticker is not None:
                ticker.join()
            self._statuses.remove(describe)
            self.clear()

    def _tick(self, stop: threading.Event, stream: TextIO) -> None:
        """Show the status until the block has ended."""
        live = terminal.is_live(stream)
        began = time.monotonic()
        frames = itertools.cycle(_FRAMES)
        while not stop.wait(_REDRAWN):
            with self._lock:
                if stop.is_set() or not self._statuses:
                    return
                now = time.monotonic()
                lines = [printable(line) for line in
                         self._statuses[-1]().split('\n')]
                try:
                    if not live:
                        silent = now - max(began, self._printed)
                        if silent >= (_FIRST if self._printed < began
                                      else _NEXT):
                            self.line(lines[0])
                    elif now - began >= _APPEARS:
                        self._draw([f'{next(frames)} {lines[0]}', *lines[1:]],
                                   stream)
                except (OSError, ValueError):
                    # Nobody reads standard error any more, or it is closed;
                    # the command itself goes on.
                    return

    def _draw(self, lines: list[str], stream: TextIO) -> None:
        most = terminal.width(stream) - 1
        before = max(self._drawn - 1, 0) * '\x1b[1A\x1b[2K'
        text = '\n'.join(line if len(line) <= most else
                         f'{line[:most - 3]}...' for line in lines)
        print(f'\r\x1b[2K{before}{text}', end='', file=stream, flush=True)
        self._drawn = len(lines)


_MESSAGES = Messages()


class _Warnings(logging.Handler):
    """Prints the warnings of libraries as messages."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        warn(self.format(record))


@contextlib.contextmanager
def configured(quiet: bool, verbose: bool) -> Generator[None, None, None]:
    """Print messages as the options of the command ask for."""
    handler = _Warnings(logging.WARNING)
    root = logging.getLogger()
    before = _MESSAGES.quiet, _MESSAGES.verbose
    _MESSAGES.quiet, _MESSAGES.verbose = quiet, verbose
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        _MESSAGES.quiet, _MESSAGES.verbose = before


@contextlib.contextmanager
def about(own: Own) -> Generator[None, None, None]:
    """Begin each line of this thread with the name of a BMC."""
    token = _OWN.set(own)
    try:
        yield
    finally:
        _OWN.reset(token)


def is_about_one() -> bool:
    """Whether this thread works on one BMC of several."""
    return _OWN.get() is not None


def say(text: str) -> None:
    """Print a message, unless ``-q`` is given."""
    if not _MESSAGES.quiet:
        _MESSAGES.line(text)


def phase(text: str) -> None:
    """Print a new phase of a run, unless a board of all BMCs shows it."""
    own = _OWN.get()
    if own is None or own.phases:
        say(text)


def warn(text: str) -> None:
    """Print a warning, unless ``-q`` is given."""
    say(text)


def error(text: object) -> None:
    """Print an error."""
    _MESSAGES.line(str(text))


def detail(text: str) -> None:
    """Print a message if ``-v`` is given."""
    if _MESSAGES.verbose:
        _MESSAGES.line(text)


def status(describe: Callable[[], str], left: Left | None = None
           ) -> contextlib.AbstractContextManager[None]:
    """Show a status during a block.

    That of a thread that works on one BMC of several is a line of the board
    that the command shows for all of them.

    :param describe: returns the text, of which a stream that is no terminal
        gets the first line; called in another thread.
    :param left: returns the seconds that are left, or None.
    """
    own = _OWN.get()
    if own is not None:
        return own.status(describe, left)
    return _MESSAGES.status(describe)


def hold() -> contextlib.AbstractContextManager[None]:
    """Draw nothing during a block, in which the user is asked."""
    return _MESSAGES.hold()
