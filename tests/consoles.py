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

"""The console blocks of the pages, and a shell that runs them.

Each block of commands is ``.. code-block:: console``, a command after ``$``
and its output, if the page shows any, below it. A block that no test can run
has the comment ``.. not run: REASON`` right above it.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from collections.abc import Mapping

ROOT = pathlib.Path(__file__).resolve().parents[1]
SOURCE = ROOT / 'doc' / 'source'
PAGES = tuple(sorted(SOURCE.rglob('*.rst')))
#: How a page shows that something was left out of an output.
LEFT_OUT = '...'

_START = re.compile(r'^( *)(?:\.\. code-block:: *(\S*)|(?!\.\. ).*::) *$')
_MARKER = re.compile(r'^ *\.\. not run: (.+)$')


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """A literal block of a page.

    :ivar line: where it starts, counted from one.
    :ivar language: of ``code-block``; empty after a bare ``::``.
    :ivar caption: the name of the file that the block is, if it has one.
    :ivar text: without the indentation.
    :ivar reason: why no test runs it; None if one has to.
    """

    page: pathlib.Path
    line: int
    language: str
    text: str
    reason: str | None
    caption: str | None = None

    @property
    def name(self) -> str:
        """The page and the line, for a message."""
        return f'{self.page.relative_to(SOURCE)}:{self.line}'

    def commands(self) -> list[tuple[str, str]]:
        """Each command with the output that the page shows below it."""
        found: list[tuple[str, str]] = []
        for part in re.split(r'^\$ ', self.text, flags=re.MULTILINE)[1:]:
            lines = part.rstrip().split('\n')
            size = 1
            while size < len(lines) and not _whole('\n'.join(lines[:size])):
                size += 1
            found.append(('\n'.join(lines[:size]), '\n'.join(lines[size:])))
        return found


def _whole(command: str) -> bool:
    """Whether bash needs no further line for a command."""
    if command.endswith('\\'):
        return False
    read = subprocess.run(['bash', '-n'], input=f'{command}\n', text=True,
                          capture_output=True, check=False)
    # A here-document without its end is a warning only.
    return read.returncode == 0 and 'here-document' not in read.stderr


def blocks(page: pathlib.Path) -> Iterator[Block]:
    """The literal blocks of a page, in their order."""
    lines = page.read_text('utf-8').splitlines()
    for number, line in enumerate(lines, 1):
        start = _START.match(line)
        if start is None:
            continue
        indent = len(start[1])
        text = []
        for below in lines[number:]:
            if below.strip() and len(below) - len(below.lstrip()) <= indent:
                break
            text.append(below)
        options = ''
        while text and (not text[0].strip() or text[0].strip()[0] == ':'):
            options += text.pop(0) + '\n'
        caption = re.search(r':caption: *(.+)', options)
        deep = min((len(t) - len(t.lstrip()) for t in text if t.strip()),
                   default=0)
        yield Block(page, number, start[2] or '',
                    '\n'.join(t[deep:] for t in text).strip('\n'),
                    _reason(lines[:number - 1]),
                    caption[1] if caption else None)


def _reason(above: list[str]) -> str | None:
    while above and not above[-1].strip():
        above = above[:-1]
    found = above and _MARKER.match(above[-1])
    return found[1] if found else None


def consoles(page: pathlib.Path) -> list[Block]:
    """The blocks of commands of a page."""
    return [b for b in blocks(page) if b.language == 'console']


def shown(expected: str, output: str) -> bool:
    """Whether an output is what a page shows of it.

    What differs from run to run (ids, times, digests) does not count, nor
    does what the page has left out.
    """
    parts = [re.escape(_steady(part)).replace(r'\ ', r'\s+')
             for part in expected.split(LEFT_OUT)]
    return re.fullmatch(r'\s*' + '.*?'.join(parts) + r'\s*',
                        _steady(output), re.DOTALL) is not None


def _steady(text: str) -> str:
    for pattern, word in (
            (r'[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22,}', 'UUID'),
            (r'\d{4}-\d\d-\d\dT[\d:.+Z]+', 'TIME'),
            (r'127\.0\.0\.1:\d+', 'HOST'),
            (r'\b\d+ (s|min) ago', 'AGE'), (r'\b\d+\.\d s\b', 'SECONDS'),
            (r'\b\d+ requests?\b', 'REQUESTS')):
        text = re.sub(pattern, word, text)
    return re.sub(r'\s+', ' ', text)


class Shell:
    """A shell that runs one command after another.

    :param folder: where it starts.
    :param env: what is added to the environment of the tests.
    """

    def __init__(self, folder: pathlib.Path,
                 env: Mapping[str, str] | None = None) -> None:
        path = f'{pathlib.Path(sys.executable).parent}:{os.environ["PATH"]}'
        self.process = subprocess.Popen(
            ['bash', '-m'], cwd=folder, text=True, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, 'PATH': path, **(env or {})})
        self.run('true')  # what bash notes about having no terminal

    def run(self, command: str) -> tuple[int, str]:
        """The status of a command, and what it printed."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f'{command}\necho "=== $?"\n')
        self.process.stdin.flush()
        printed: list[str] = []
        for line in self.process.stdout:
            if match := re.fullmatch(r'=== (\d+)\n', line):
                return int(match[1]), ''.join(printed)
            printed.append(line)
        raise AssertionError(f'the shell has ended at {command!r}')

    def end(self) -> None:
        """End the shell with what it has started."""
        assert self.process.stdin and self.process.stdout
        if self.process.poll() is None:
            self.process.stdin.write('kill $(jobs -p) 2>/dev/null\n')
        self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process.stdout.close()
