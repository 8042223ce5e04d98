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

"""A static file server on loopback: where images come from."""

from __future__ import annotations

import functools
import http.server
import pathlib
import threading


class FileServer:
    """Serves one folder, in a thread of ours, on a free port."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        #: Paths that were asked for, in order.
        self.requests: list[str] = []
        self._server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(
                _Handler, directory=str(folder), seen=self.requests))
        self._thread = threading.Thread(
            target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Address of the folder, without a slash at its end."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, *args: object, directory: str,
                 seen: list[str]) -> None:
        self._seen = seen
        super().__init__(*args, directory=directory)  # type: ignore[arg-type]

    def log_request(self, code: int | str = "-",
                    size: int | str = "-") -> None:
        """Keep the path; nothing is printed."""
        self._seen.append(self.path)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""
