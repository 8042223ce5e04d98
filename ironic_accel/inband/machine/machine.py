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


"""The machine: every access to it goes through here.

Tests and the emulator use another root and another PATH; nothing else differs.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from typing import IO

from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import ErrorClass

DEFAULT_PATH = ('/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:'
                '/bin:/opt/xilinx/xrt/bin')

#: Maximum output of a tool; one that prints more is ended.
MAX_OUTPUT = 8 << 20
_MAX_FILE = 1 << 20
_SLICE = 0.5
#: Tools that could not be ended (a system call of theirs does not return),
#: by what was asked.
_STUCK: dict[tuple[str, ...], subprocess.Popen[bytes]] = {}
#: The shell's status for a command that cannot be found or started.
NOT_STARTED = 127


@dataclasses.dataclass(frozen=True, slots=True)
class Ran:
    """The result of running a tool.

    :ivar rc: exit status, negative for a signal; None while it is still
        running. 127 if it could not be started; ``err`` has the reason.
    :ivar timed_out: it did not end in time, or printed too much. A tool that
        writes firmware is still running then; any other was ended.
    :ivar pid: its process id, None if it could not be started.
    """

    rc: int | None
    out: str = ''
    err: str = ''
    timed_out: bool = False
    pid: int | None = None

    @property
    def ok(self) -> bool:
        """Whether it ended in time with status 0, which proves nothing."""
        return self.rc == 0 and not self.timed_out


@dataclasses.dataclass(frozen=True, slots=True)
class FlashNote:
    """What is recorded of a tool that writes firmware, for other processes.

    :ivar pid: process id of the tool.
    :ivar started: its start time, in clock ticks since boot (proc(5)).
    """

    pid: int
    started: int | None
    argv: tuple[str, ...]


#: Called for every tool that starts to write firmware.
OnFlash = Callable[[FlashNote], None]


class Machine:
    """The machine on which this runs, or a directory tree that simulates it.

    :param root: prefix of /sys, /dev, /proc and /usr/share.
    :param path: PATH on which tools are searched.
    :param modules: other names for Python modules that a tool family needs,
        by their usual names; None for one that counts as not installed.
    :param env: additional environment for the tools.
    :param spool: a folder for the output of tools that write firmware.
    :param on_flash: called for each tool that starts to write firmware.
    """

    def __init__(self, root: str = '/', path: str = DEFAULT_PATH,
                 modules: Mapping[str, str | None] | None = None,
                 env: Mapping[str, str] | None = None,
                 spool: str | None = None,
                 on_flash: OnFlash | None = None) -> None:
        self.root = root
        self.path = path
        self._modules = dict(modules or {})
        self._env = dict(env or {})
        self._spool = spool
        self._on_flash = on_flash

    def watched(self, spool: str, on_flash: OnFlash,
                mark: Mapping[str, str] | None = None) -> Machine:
        """The same machine, for one write whose tools are recorded.

        :param mark: environment variables of these tools.
        """
        return Machine(self.root, self.path, self._modules,
                       {**self._env, **(mark or {})}, spool, on_flash)

    def module(self, name: str) -> str | None:
        """The Python module to import for a name; None if not installed."""
        found = self._modules.get(name, name)
        try:
            return found if found is not None and (
                importlib.util.find_spec(found) is not None) else None
        except ImportError:
            return None

    def run_module(self, module: str, timeout: float, *words: str) -> Ran:
        """Run a Python module in a separate process.

        :param timeout: seconds after which the process is ended.
        :param words: its arguments.
        """
        return self.run(
            (sys.executable, '-P', '-m', module, *words), timeout,
            env={'PYTHONPATH': os.pathsep.join(filter(None, sys.path))})

    def at(self, path: str) -> str:
        """The real path of an absolute path of the machine."""
        return os.path.join(self.root, path.lstrip('/'))

    def exists(self, path: str) -> bool:
        """Whether the file or folder exists."""
        return os.path.exists(self.at(path))

    def read(self, path: str) -> str | None:
        """The stripped text of a small file, or None."""
        raw = self.read_bytes(path)
        return None if raw is None else raw.decode(errors='replace').strip()

    def read_bytes(self, path: str, most: int = _MAX_FILE) -> bytes | None:
        """The first bytes of a file, or None if it cannot be read."""
        try:
            with open(self.at(path), 'rb') as file:
                return file.read(most)
        except OSError:
            return None

    def trouble(self, path: str) -> str | None:
        """Why an existing file cannot be read, or None."""
        try:
            with open(self.at(path), 'rb') as file:
                file.read(1)
        except FileNotFoundError:
            return None
        except OSError as exc:
            return exc.strerror or str(exc)
        return None

    def write(self, path: str, text: str) -> None:
        """Write to an existing file: a setting of sysfs.

        :raises: AccelError if it does not exist or the kernel refuses.
        """
        try:
            fd = os.open(self.at(path), os.O_WRONLY | os.O_TRUNC)
            with open(fd, 'w', encoding='utf-8') as file:
                file.write(text)
        except OSError as exc:
            raise AccelError(f'{path} does not accept {text.strip()!r}',
                             error_class=ErrorClass.PERMANENT,
                             seen=exc.strerror or str(exc)) from exc

    def names(self, path: str) -> tuple[str, ...]:
        """The sorted names in a folder; empty if it does not exist."""
        try:
            return tuple(sorted(os.listdir(self.at(path))))
        except OSError:
            return ()

    def listing(self, path: str) -> tuple[str, ...]:
        """As ``names``, of a folder that must exist.

        :raises: AccelError if it cannot be read: that is not an empty folder.
        """
        try:
            return tuple(sorted(os.listdir(self.at(path))))
        except OSError as exc:
            raise AccelError(f'{path} cannot be read',
                             error_class=ErrorClass.TRANSIENT,
                             seen=exc.strerror or str(exc)) from exc

    def link(self, path: str) -> str | None:
        """The last part of the target of a symbolic link, or None."""
        try:
            return os.path.basename(os.readlink(self.at(path)))
        except OSError:
            return None

    def which(self, tool: str) -> str | None:
        """The absolute path of a tool, or None."""
        return shutil.which(tool, path=self.path)

    def run(self, argv: Sequence[str], timeout: float, *,
            flash: bool = False, answer: str = '',
            env: Mapping[str, str] | None = None) -> Ran:
        """Run a tool to its end, never through a shell, in the C locale.

        :param argv: its name (searched on ``path``) or absolute path, and
            arguments.
        :param timeout: seconds. After them a tool is ended with all that it
            started; a tool that writes firmware keeps running without the
            agent.
        :param flash: it writes firmware: it gets its own session and writes
            its output to files, so that it survives the agent.
        :param answer: its standard input; empty by default.
        :param env: additional environment for this call.

        A call that could not be killed is not repeated while its process
        exists: the device would block the next one too.
        """
        program = self.which(argv[0])
        if program is None:
            return Ran(NOT_STARTED, err=f'{argv[0]}: not found')
        call = _call(argv)
        stuck = _STUCK.get(call)
        if stuck is not None:
            if stuck.poll() is None:
                return Ran(None, err=f'process {stuck.pid} of an earlier '
                           'call cannot be killed', timed_out=True,
                           pid=stuck.pid)
            del _STUCK[call]
        words = [program, *argv[1:]]
        if flash:
            words = [*self._scope(), *words]
        with contextlib.ExitStack() as stack:
            out = stack.enter_context(self._output(flash, 'out'))
            err = stack.enter_context(self._output(flash, 'err'))
            asked = stack.enter_context(tempfile.TemporaryFile())
            asked.write(answer.encode())
            asked.seek(0)
            try:
                process = subprocess.Popen(  # noqa: S603 - no shell
                    words, stdin=asked,
                    stdout=out, stderr=err, cwd='/', close_fds=True,
                    start_new_session=True,
                    env={**self._environment(), **(env or {})})
            except OSError as exc:
                return Ran(NOT_STARTED,
                           err=f'{program}: {exc.strerror or exc}')
            if flash and self._on_flash is not None:
                self._on_flash(FlashNote(
                    process.pid, start_time(process.pid), tuple(argv)))
            ended = _wait(process, timeout, (out, err), flash)
            if not ended and not flash and process.poll() is None:
                _STUCK[call] = process
            return Ran(process.returncode, _text(out), _text(err),
                       not ended, process.pid)

    def _scope(self) -> list[str]:
        """The words before a command that take it out of the agent's unit:
        systemd ends all that a unit started when the unit is stopped or
        restarted (systemd.kill(5), KillMode=control-group; systemd-run(1),
        --scope: systemd-run becomes the command, with its environment)."""
        if os.geteuid() != 0 or not self.exists('/run/systemd/system'):
            return []
        program = self.which('systemd-run')
        if program is None:
            return []
        words = [program, '--scope', '--quiet', '--collect', '--']
        return words if self.run([*words, 'true'], 10).ok else []

    def _environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items()
                if not k.startswith('LC_') and k not in ('LANG', 'LANGUAGE')}
        return {**kept, 'PATH': self.path, 'LC_ALL': 'C', **self._env}

    def _output(self, flash: bool, what: str) -> IO[bytes]:
        if flash and self._spool is not None:
            return tempfile.NamedTemporaryFile(
                prefix='flash-', suffix=f'.{what}', dir=self._spool,
                delete=False)
        return tempfile.TemporaryFile()


def _call(argv: Sequence[str]) -> tuple[str, ...]:
    """The words of a call without temporary files."""
    return tuple(w for w in argv
                 if not w.startswith(f'{tempfile.gettempdir()}/'))


def _wait(process: subprocess.Popen[bytes], timeout: float,
          outputs: Sequence[IO[bytes]], flash: bool) -> bool:
    """Whether it ended in time; if not it is ended, unless it writes firmware.
    """
    until = time.monotonic() + timeout
    while True:
        left = until - time.monotonic()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, min(left, _SLICE)))
            return True
        size = sum(os.fstat(f.fileno()).st_size for f in outputs)
        if flash and left > 0:
            continue
        if left <= 0 or size > MAX_OUTPUT:
            if not flash:
                _end(process)
            return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a tool and all that it started: it has its own process group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(2.0)
            if number is signal.SIGKILL:
                return


def _text(file: IO[bytes]) -> str:
    """What was written so far. The offset is shared with a tool that may still
    write: it is not moved."""
    return os.pread(file.fileno(), MAX_OUTPUT, 0).decode(errors='replace')


def start_time(pid: int) -> int | None:
    """The start time of a process in clock ticks since boot; None if it is
    gone or a zombie (proc(5), /proc/PID/stat, fields 3 and 22)."""
    try:
        with open(f'/proc/{pid}/stat', encoding='ascii',
                  errors='replace') as file:
            fields = file.read().rpartition(')')[2].split()
    except OSError:
        return None
    if len(fields) < 20 or fields[0] in ('Z', 'X'):
        return None
    return int(fields[19])
