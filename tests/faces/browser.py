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

"""Debian's Chromium without a window, driven by its own protocol.

Commands go through a pipe (``--remote-debugging-pipe``: JSON, each message
ended by a zero byte), so that no port is opened and no driver is needed.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import signal
import tempfile
import time
from typing import Any

FLAGS = ('--headless=new', '--no-sandbox', '--disable-gpu',
         '--disable-dev-shm-usage', '--no-first-run', '--hide-scrollbars',
         '--disable-background-networking', '--remote-debugging-pipe')


def find() -> str | None:
    """Where Chromium is, or None."""
    return shutil.which('chromium')


class Page:
    """One page of a browser."""

    def __init__(self, send: int, receive: int) -> None:
        self._send, self._receive = send, receive
        self._number = 0
        self._left = b''
        self._session: str | None = None
        self.problems: list[str] = []

    def _read(self) -> dict[str, Any]:
        while b'\0' not in self._left:
            piece = os.read(self._receive, 1 << 20)
            if not piece:
                raise AssertionError('the browser has ended')
            self._left += piece
        message, _, self._left = self._left.partition(b'\0')
        found: dict[str, Any] = json.loads(message)
        return found

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol, and its result."""
        self._number += 1
        message: dict[str, Any] = {
            'id': self._number, 'method': method, 'params': parameters}
        if self._session:
            message['sessionId'] = self._session
        os.write(self._send, json.dumps(message).encode() + b'\0')
        while (answer := self._read()).get('id') != self._number:
            self._hear(answer)
        if 'error' in answer:
            raise AssertionError(f'{method}: {answer["error"]}')
        result: dict[str, Any] = answer['result']
        return result

    def _hear(self, event: dict[str, Any]) -> None:
        """Remember exceptions, and what the page tried to fetch."""
        if event.get('method') == 'Runtime.exceptionThrown':
            self.problems.append(json.dumps(event['params']))
        elif event.get('method') == 'Network.requestWillBeSent':
            url = event['params']['request']['url']
            if not url.startswith(('file:', 'data:')):
                self.problems.append(url)

    def open(self, url: str, width: int, height: int,
             scripts: bool = True) -> None:
        """Open an address in a window of that many pixels.

        :param scripts: whether the page may run its scripts.
        """
        self._session = None
        made = self.call('Target.createTarget', url='about:blank')
        self._session = self.call(
            'Target.attachToTarget', targetId=made['targetId'],
            flatten=True)['sessionId']
        self.call('Runtime.enable')
        self.call('Network.enable')
        self.call('Page.enable')
        self.size(width, height)
        self.call('Emulation.setScriptExecutionDisabled', value=not scripts)
        self.call('Page.navigate', url=url)
        ready = 'document.body.dataset.ready' if scripts else (
            "document.readyState === 'complete'")
        while not self.run(f'Boolean(document.body && {ready})'):
            time.sleep(0.02)

    def size(self, width: int, height: int) -> None:
        """Change the window's size."""
        self.call('Emulation.setDeviceMetricsOverride', width=width,
                  height=height, deviceScaleFactor=1, mobile=width < 600)

    def run(self, script: str) -> Any:
        """The value of a script within the page."""
        answer = self.call('Runtime.evaluate', expression=script,
                           awaitPromise=True, returnByValue=True)
        if 'exceptionDetails' in answer:
            raise AssertionError(f'{script}: {answer["exceptionDetails"]}')
        return answer['result'].get('value')

    def press(self, key: str, text: str = '') -> None:
        """Press a key of the keyboard: Tab, Enter, or a letter."""
        codes = {'Tab': 9, 'Enter': 13}
        common: dict[str, Any] = {
            'key': key, 'windowsVirtualKeyCode': codes.get(key, 0)}
        self.call('Input.dispatchKeyEvent', type='keyDown',
                  text={'Enter': '\r'}.get(key, text), **common)
        self.call('Input.dispatchKeyEvent', type='keyUp', **common)

    def dark(self, on: bool) -> None:
        """Whether the user prefers a dark page."""
        self.call('Emulation.setEmulatedMedia', features=[{
            'name': 'prefers-color-scheme',
            'value': 'dark' if on else 'light'}])

    def picture(self, path: pathlib.Path) -> None:
        """Save what is seen as a PNG file."""
        shot = self.call('Page.captureScreenshot', format='png')
        path.write_bytes(base64.b64decode(shot['data']))


@contextlib.contextmanager
def browser() -> Iterator[Page]:
    """A browser with an empty profile; it ends with the context."""
    program = find()
    assert program, 'chromium is not installed'
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        # Out of the way of the two numbers that the protocol wants.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10)
                for end in (theirs_in, theirs_out)]
        os.close(theirs_in)
        os.close(theirs_out)
        pid = os.posix_spawn(
            program, [program, *FLAGS, f'--user-data-dir={folder}'],
            os.environ, file_actions=[
                (os.POSIX_SPAWN_DUP2, ends[0], 3),
                (os.POSIX_SPAWN_DUP2, ends[1], 4),
                *((os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0)
                  for number in (0, 1, 2))])
        for end in ends:
            os.close(end)
        try:
            yield Page(ours_out, ours_in)
        finally:
            os.close(ours_out)
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)
            os.close(ours_in)
