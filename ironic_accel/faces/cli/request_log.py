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

"""The requests of a command to one BMC: counted, and printed with ``-v``."""

from __future__ import annotations

import threading
import time

from ironic_accel.faces.cli import messages
from ironic_accel.faces import view
from ironic_accel.model.errors import printable

#: The segments of a path that are shown: a collection and its member.
_SEGMENTS = 2


class RequestLog:
    """Counts the requests to a BMC; a ``web.Observer``.

    Methods, paths and Redfish's own query parameters are shown; headers and
    bodies, which have credentials, never are.

    :ivar count: requests that were sent.
    """

    def __init__(self, bmc: str) -> None:
        self.count = 0
        self._bmc = bmc
        self._last = ''
        self._began = time.monotonic()
        # Some BMCs are read with several requests at a time.
        self._lock = threading.Lock()

    def sent(self, method: str, path: str) -> None:
        """Count a request."""
        with self._lock:
            self.count += 1
            self._last = f'{method} {_short(path)}'

    def answered(self, method: str, path: str, answer: str, seconds: float
                 ) -> None:
        """Print a request and its response, with ``-v``."""
        with self._lock:
            messages.detail(f'{method} {printable(_public(path))}: '
                            f'{printable(answer)}, {seconds:.2f} s')

    def text(self) -> str:
        """The requests so far, for the status line."""
        seconds = time.monotonic() - self._began
        if not self.count:
            return f'connecting to {self._bmc}, {seconds:.0f} s'
        return (f"reading the BMC, {view.count(self.count, 'request')}, "
                f'{seconds:.0f} s: {self._last}')


def _public(path: str) -> str:
    """A path with the query parameters of Redfish alone (DSP0266, "Query
    parameters"): one of a vendor's own may be a secret."""
    where, _, query = path.partition('?')
    shown = [part if part.startswith('$') or part == 'only' else '...'
             for part in query.split('&') if part]
    return where + (f"?{'&'.join(shown)}" if shown else '')


def _short(path: str) -> str:
    """The end of a path: the kind of the resource and its Id."""
    segments = [s for s in path.partition('?')[0].split('/') if s]
    return '/'.join(segments[-_SEGMENTS:])
