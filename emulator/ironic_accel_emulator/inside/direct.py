# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Run the tools inside a host in this process and in simulated time.

The output of a tool is captured. A tool that exceeds its caller's timeout is
ended, like the process would be.
"""

from __future__ import annotations

import contextlib
import io
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from unittest import mock

from ironic_accel_emulator.box import Box


@dataclass(frozen=True)
class Played:
    """The result of a tool; ``status`` is None after a timeout."""

    status: int | None
    out: str
    err: str


class _Ended(BaseException):
    """The timeout of a tool, which no tool can catch."""


def play(
    box: Box,
    tool: Callable[[Sequence[str]], int],
    argv: Sequence[str],
    patience: float,
) -> Played:
    """Run a tool in the simulated time of the system."""
    out, err = io.StringIO(), io.StringIO()
    until = box.timeline.now + patience

    def sleep(seconds: float) -> None:
        left = until - box.timeline.now
        box.advance(max(0.0, min(seconds, left)))
        if seconds > left:
            raise _Ended

    def leave(number: int) -> None:
        raise SystemExit(number)

    status: int | None = None
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(time, 'sleep', new=sleep),
        # A tool that crashes would end its process, which is this one.
        mock.patch.object(os, '_exit', new=leave),
    ):
        try:
            status = tool(argv)
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        except _Ended:
            status = None
    return Played(status, out.getvalue(), err.getvalue())
