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

"""Runs commands of the tests in a virtual machine, as root.

A request is one line of JSON on a serial port: ``argv``, and optionally
``env``, ``input``, ``user`` and ``timeout`` in seconds. So is the answer:
``rc``, ``out`` and ``err``. ``{"hello": ...}`` at the begin says that the
machine is up. A request with ``call`` goes to ``inband.py``, which is started
for the first of them, and ended by ``{"call": null}``. Only the standard
library is used.
"""

from __future__ import annotations

from collections.abc import Mapping
import json
import os
import subprocess
import sys
from typing import Any

PORT = '/dev/virtio-ports/ironic-accel.vm'
INBAND = '/opt/guest/inband.py'
ENVIRONMENT = {'PYTHONPATH': '/opt:/opt/site', 'PYTHONDONTWRITEBYTECODE': '1'}


class InBand:
    """The process that has the local backend."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def call(self, line: bytes) -> bytes:
        """Its answer to a request, as it came.

        :raises: OSError if it has ended.
        """
        if json.loads(line)['call'] is None:
            self.end()
            return b'{"result": null}\n'
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, INBAND], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, env={**os.environ, **ENVIRONMENT})
        asked, told = self._process.stdin, self._process.stdout
        answer = b''
        if asked is not None and told is not None:
            asked.write(line)
            asked.flush()
            answer = told.readline()
        if not answer:
            self.end()
            raise OSError(f'{INBAND} has ended')
        return answer

    def end(self) -> None:
        """Kill it: what it has started goes on."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def run(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Run one command to its end."""
    try:
        done = subprocess.run(
            asked['argv'], input=asked.get('input'), capture_output=True,
            text=True, errors='replace', timeout=asked.get('timeout'),
            user=asked.get('user'), cwd='/', check=False,
            env={**os.environ, **(asked.get('env') or {})})
    except subprocess.TimeoutExpired:
        return {'rc': None, 'out': '', 'err': 'timed out'}
    except (OSError, ValueError, KeyError) as exc:
        return {'rc': 127, 'out': '', 'err': str(exc)}
    return {'rc': done.returncode, 'out': done.stdout, 'err': done.stderr}


def main() -> None:
    """Serve until the machine ends."""
    with open(PORT, 'r+b', buffering=0) as port:
        def write(data: bytes) -> None:
            while data:
                data = data[port.write(data) or 0:]

        def say(word: Mapping[str, Any]) -> None:
            write(json.dumps(word).encode() + b'\n')

        with open('/proc/uptime', encoding='ascii') as file:
            say({'hello': os.uname().release, 'uptime': file.read().split()[0],
                 'python': sys.version.split()[0]})
        inband = InBand()
        while line := port.readline():
            if b'"call"' not in line[:10]:
                say(run(json.loads(line)))
                continue
            try:
                write(inband.call(line))
            except OSError as exc:
                say({'error': str(exc), 'class': 'OSError'})


if __name__ == '__main__':
    main()
