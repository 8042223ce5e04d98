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

"""Supervised child processes: started, watched and ended by their own id."""

from __future__ import annotations

import contextlib
import os
import pathlib
import pwd
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

REAPER = pathlib.Path(__file__).with_name("reaper.py")
#: The checkout: the harness is in no distribution, so the processes that it
#: starts find it, the emulator and the product by this path.
CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
PROBE_SECONDS = 0.05


class LabError(Exception):
    """The lab could not do what was asked; the text says why."""


class ProcessDied(LabError):
    """A process ended that should be running; carries its last lines."""


class Reaper:
    """Ends every process of a lab that was itself killed with SIGKILL.

    One small process per lab whose standard input is a pipe from here: the
    kernel closes the pipe when we die, and the reaper kills what is left.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child = subprocess.Popen(
            [sys.executable, "-S", "-E", str(REAPER)], text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            start_new_session=True)

    def watch(self, group: int) -> None:
        """Kill this process group should the lab die."""
        self._tell(f"+{group}\n")

    def release(self, group: int) -> None:
        """Forget a process group that has ended."""
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """End the reaper, and whatever is still under watch."""
        with self._lock:
            if self._child.stdin is not None:
                self._child.stdin.close()
            self._child.wait()

    def _tell(self, line: str) -> None:
        with self._lock:
            if self._child.stdin is not None:
                self._child.stdin.write(line)
                self._child.stdin.flush()


class Process:
    """One child in a session of its own, with a log file.

    :param name: what messages call it; also the name of the log file.
    :param command: program and arguments.
    :param folder: where the log goes and what the child's current folder is.
    :param env: variables on top of ours; ``None`` as a value removes one.
    :param user: account to run as, for a caller who is root.
    """

    def __init__(self, name: str, command: Sequence[str], *,
                 folder: pathlib.Path, reaper: Reaper | None = None,
                 env: Mapping[str, str | None] | None = None,
                 user: pwd.struct_passwd | None = None) -> None:
        self.name = name
        self.command = list(command)
        self.folder = folder
        self.log = folder / f"{name}.log"
        self._reaper = reaper
        self._env = environment(env or {})
        self._user = user
        self._child: subprocess.Popen[bytes] | None = None
        self._gone = False

    @property
    def pid(self) -> int:
        """Process id; LabError where it was never started."""
        if self._child is None:
            raise LabError(f"{self.name} was not started")
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether the child is there and has not ended."""
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        """Start the child; the log of an earlier life is kept and added to.

        :raises: LabError where it runs already or cannot be executed.
        """
        if self.running:
            raise LabError(f"{self.name} is running already")
        with open(self.log, "ab") as log:
            try:
                self._child = subprocess.Popen(
                    self.command, stdin=subprocess.DEVNULL, stdout=log,
                    stderr=subprocess.STDOUT, cwd=self.folder, env=self._env,
                    start_new_session=True, **become(self._user))
            except OSError as error:
                raise LabError(f"{self.name}: {error}") from error
        self._gone = False
        if self._reaper is not None:
            self._reaper.watch(self._child.pid)

    def wait_ready(self, probe: Callable[[], object], seconds: float = 60,
                   ) -> None:
        """Call ``probe`` until it is true; OSError and LabError mean not yet.

        :raises: ProcessDied as soon as the child ends, LabError with the
            last lines of its log where ``seconds`` pass.
        """
        end = time.monotonic() + seconds
        last: object = None
        while True:
            self.check()
            try:
                last = probe()
                if last:
                    return
            except ProcessDied:
                raise
            except (OSError, LabError) as error:
                last = error
            if time.monotonic() > end:
                raise LabError(
                    f"{self.name} is not ready after {seconds:.0f} s "
                    f"(last answer: {last}); its log ends:\n{self.tail()}")
            time.sleep(PROBE_SECONDS)

    def check(self) -> None:
        """Raise ProcessDied where the child has ended."""
        if self._child is not None and self._child.poll() is not None:
            raise ProcessDied(
                f"{self.name} ended with status {self._child.returncode}; "
                f"its log ({self.log}) ends:\n{self.tail()}")

    def tail(self, lines: int = 30) -> str:
        """Return the last lines of the log."""
        try:
            text = self.log.read_text(errors="replace")
        except OSError:
            return "(no log)"
        return "\n".join(text.splitlines()[-lines:])

    def stop(self, seconds: float = 10) -> None:
        """Ask the child to end (SIGTERM), and kill it where it does not."""
        if self.running and self._child is not None:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(seconds)
        self.kill()

    def kill(self) -> None:
        """SIGKILL the child and everything in its session; wait for it."""
        if self._child is None or self._gone:
            return
        self._signal(signal.SIGKILL)
        self._child.wait()
        self._gone = True
        if self._reaper is not None:
            self._reaper.release(self._child.pid)

    def _signal(self, number: signal.Signals) -> None:
        # The group outlives a leader that left children behind.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)


def become(user: pwd.struct_passwd | None) -> dict[str, Any]:
    """Return what makes subprocess run as another account, if any."""
    if user is None:
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    """Return our variables with changes; a value of None removes one.

    ``PYTHONPATH`` begins with this checkout's product and emulator.
    """
    # Byte code is written: services start twice as fast the second time.
    merged: dict[str, str | None] = {
        **os.environ, "PYTHONDONTWRITEBYTECODE": None,
        "PYTHONUNBUFFERED": "1", "PYTHONPATH": os.pathsep.join(filter(None, (
            str(CHECKOUT), str(CHECKOUT / "emulator"),
            os.environ.get("PYTHONPATH")))), **changes}
    return {key: value for key, value in merged.items() if value is not None}
