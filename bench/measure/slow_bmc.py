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

"""A BMC that takes its time: a proxy that waits before each response.

Each request waits on its own, as requests at a BMC do that asks others: what
is read at the same time takes no longer.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
from http import server
import threading
import time
from urllib import parse

import requests

#: Headers that belong to one connection, or are written anew.
_OWN = frozenset({'connection', 'content-length', 'transfer-encoding',
                  'content-encoding', 'date', 'server', 'host'})


@contextlib.contextmanager
def proxy(url: str, seconds: float) -> Iterator[str]:
    """The address of a proxy for a BMC, as long as it is needed."""
    class Handler(server.BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get(
                'Content-Length') or 0))
            time.sleep(seconds)
            answer = requests.request(
                self.command, parse.urljoin(url, self.path), data=body,
                timeout=60, headers={k: v for k, v in self.headers.items()
                                     if k.lower() not in _OWN})
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name.lower() not in _OWN:
                    self.send_header(name, value)
            self.send_header('Content-Length', str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_POST = do_DELETE = do_GET

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    with server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as made:
        made.daemon_threads = True
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        try:
            yield f'http://127.0.0.1:{made.server_address[1]}'
        finally:
            made.shutdown()
            thread.join()
