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

"""Stand-ins for Glance and Neutron: what Nova reads of them, and no more.

Every image exists, as one that is booted and written nowhere (Ironic's deploy
interface ``ramdisk`` takes ``boot_iso_id`` from the image), and there are no
networks: the lab's servers ask for none.
"""

from __future__ import annotations

import functools
import http.server
import json
import threading
from typing import Any
from urllib import parse

_TIME = "2026-01-01T00:00:00Z"


class StandIns:
    """One server for both, in a thread of ours.

    :param iso: URL of the image that every image of Glance's stands for.
    """

    def __init__(self, iso: str) -> None:
        self._server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(_Handler, iso=iso))
        self._thread = threading.Thread(
            target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def glance(self) -> str:
        """Endpoint of the image service."""
        return f"{self._url}/image"

    @property
    def neutron(self) -> str:
        """Endpoint of the network service."""
        return f"{self._url}/network"

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, *args: Any, iso: str) -> None:
        self._iso = iso
        super().__init__(*args)

    def do_GET(self) -> None:
        """Answer what is asked."""
        path = parse.urlsplit(self.path).path.strip("/").split("/")
        base = f"http://{self.headers['Host']}/{path[0]}"
        body = json.dumps(_answer(path, base, self._iso)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


def _answer(path: list[str], base: str, iso: str) -> dict[str, Any]:
    service, *rest = path
    if not rest or rest == ["v2.0"]:
        version = "v2.0" if service == "network" else "v2.17"
        return {"versions": [{
            "id": version, "status": "CURRENT", "links": [{
                "rel": "self", "href": f"{base}/{version[:2]}/"}]}]}
    if service == "network":
        return {rest[-1].removesuffix(".json").replace("-", "_"): []}
    if "schemas" in rest:
        # glanceclient makes its class of an image from this.
        return {"name": rest[-1], "properties": {
            name: {} for name in _image("", iso)}}
    if rest[:-1] == ["v2", "images"]:
        return _image(rest[-1], iso)
    return {"images": []}


def _image(uuid: str, iso: str) -> dict[str, Any]:
    return {
        "id": uuid, "name": "lab", "status": "active", "size": 1024,
        "visibility": "public", "owner": "lab", "disk_format": "raw",
        "container_format": "bare", "min_disk": 0, "min_ram": 0,
        "protected": False, "tags": [], "checksum": None,
        "boot_iso_id": iso,
        "virtual_size": None, "created_at": _TIME, "updated_at": _TIME}
