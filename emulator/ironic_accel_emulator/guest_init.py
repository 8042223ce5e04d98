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

"""The first process of a simulated host; ends all its descendants.

Runs as a script without imports of this package, with the command of the
guest as arguments. While standard input is open the host is on: the command
runs, and its orphans become children of this process. When the other end
closes for any reason, the power is cut: every descendant of this process is
killed, and no other process.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading

# <linux/prctl.h>: orphans below become children of this process.
_PR_SET_CHILD_SUBREAPER = 36


def below(pid: int) -> list[int]:
    """All living descendants of a process (proc(5), /proc/PID/stat)."""
    parents: dict[int, list[int]] = {}
    for name in os.listdir('/proc'):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError):
            with open(f'/proc/{name}/stat', encoding='ascii',
                      errors='replace') as file:
                fields = file.read().rpartition(')')[2].split()
            if fields[0] not in 'ZX':
                parents.setdefault(int(fields[1]), []).append(int(name))
    found = list(parents.get(pid, ()))
    for one in found:
        found += parents.get(one, ())
    return found


def power_off() -> None:
    """Kill all descendants, repeatedly, as they may have forked."""
    while found := below(os.getpid()):
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _reap() -> None:
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def main() -> None:
    """Run the command until standard input is closed."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), 'prctl')
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    subprocess.Popen(  # noqa: S603 - the given command
        sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)
    threading.Thread(target=_reap, daemon=True).start()
    while sys.stdin.buffer.read(1):
        pass
    power_off()
    os._exit(0)


if __name__ == '__main__':
    main()
