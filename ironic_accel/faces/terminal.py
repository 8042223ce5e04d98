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

"""What a terminal can show: its size and colours."""

from __future__ import annotations

import os
from typing import TextIO

#: The size that is assumed without a terminal.
WIDTH, HEIGHT = 80, 24
#: Select Graphic Rendition, ECMA-48: codes of the colours.
RED, YELLOW = '31', '33'


def size(stream: TextIO) -> tuple[int, int]:
    """Columns and lines of a stream; those of a small terminal if it is none.

    ``COLUMNS`` and ``LINES`` override them, as for other commands.
    """
    try:
        found = os.get_terminal_size(stream.fileno())
        known = found.columns or WIDTH, found.lines or HEIGHT
    except (OSError, ValueError):
        # Not a terminal, or closed, or without a file descriptor.
        known = WIDTH, HEIGHT
    return (_number('COLUMNS') or known[0], _number('LINES') or known[1])


def width(stream: TextIO) -> int:
    """The columns of a stream."""
    return size(stream)[0]


def _number(name: str) -> int | None:
    text = os.environ.get(name, '')
    return int(text) if text.isdecimal() and int(text) else None


def is_live(stream: TextIO) -> bool:
    """Whether lines of a stream can be redrawn in place."""
    return stream.isatty() and os.environ.get('TERM', 'dumb') != 'dumb'


def has_colours(stream: TextIO) -> bool:
    """Whether a stream shows colours, and the user wants them.

    https://no-color.org: any value of NO_COLOR but an empty one.
    """
    return is_live(stream) and not os.environ.get('NO_COLOR')


def painted(text: str, colour: str, stream: TextIO) -> str:
    """A text in a colour, if the stream has colours."""
    if not has_colours(stream):
        return text
    return f'\x1b[{colour}m{text}\x1b[0m'
