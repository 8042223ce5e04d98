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

"""What is written to a terminal."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import os
import pty
import termios
import threading
from typing import TextIO

import pytest


def shown(write: Callable[[TextIO], None], columns: int = 80,
          lines: int = 24) -> str:
    """All that a function writes to a terminal of this size.

    A thread reads it, since a terminal keeps only some KiB. The end, which
    Linux reports as an error (EIO) once the writer has closed its side,
    shows that everything was read.
    """
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (lines, columns))
    chunks: list[bytes] = []

    def drain() -> None:
        with contextlib.suppress(OSError):
            while chunk := os.read(ours, 1 << 16):
                chunks.append(chunk)

    reader = threading.Thread(target=drain)
    reader.start()
    try:
        with (os.fdopen(theirs, 'w', encoding='utf-8') as stream,
              pytest.MonkeyPatch.context() as patch):
            patch.setenv('TERM', 'xterm')
            for name in ('COLUMNS', 'LINES'):
                patch.delenv(name, raising=False)
            write(stream)
    finally:
        reader.join(timeout=30)
        os.close(ours)
    return b''.join(chunks).decode()
