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

"""The session of bounded exchanges: cookies, and contexts of TLS."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import http.server
from pathlib import Path
import ssl
import threading
from typing import ClassVar

import pytest
import requests

from ironic_accel.bounded import web
from ironic_accel_emulator import FakeClock
from ironic_accel_emulator import load_box
from ironic_accel_emulator import TwinServer


class _Cookies(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    seen: ClassVar[list[str | None]]

    def do_GET(self) -> None:
        self.seen.append(self.headers.get('Cookie'))
        self.send_response(200)
        self.send_header('Set-Cookie', 'SESSION=1; Path=/')
        self.send_header('Content-Length', '0')
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def serving(handler: type[http.server.BaseHTTPRequestHandler]
            ) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(
            ('127.0.0.1', 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f'http://127.0.0.1:{server.server_port}/'
        finally:
            server.shutdown()
            thread.join()


def test_a_session_sends_no_cookie_back() -> None:
    class Handler(_Cookies):
        seen: ClassVar[list[str | None]] = []

    with serving(Handler) as url, web.Session() as session:
        for _ in range(2):
            assert session.get(url).status_code == 200
    assert Handler.seen == [None, None]


def test_the_authorities_of_a_file_are_loaded_once() -> None:
    made = []

    def context() -> ssl.SSLContext:
        made.append(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        return made[-1]

    server = TwinServer(load_box('plain', clock=FakeClock()), tls=True)
    with server as url:
        for _ in range(3):
            with web.Session(web.Adapter(context)) as session:
                assert session.get(f'{url}/redfish/v1', verify=str(
                    server.certificate)).status_code == 200
    # One that verifies nothing for each adapter, and one for the file.
    assert [len(c.get_ca_certs()) for c in made].count(1) == 1
    assert len(made) == 4


@pytest.mark.parametrize('verify', [True, 'other'])
def test_a_server_whose_authority_is_not_in_the_file_is_refused(
        verify: bool | str, tmp_path: Path) -> None:
    servers = [TwinServer(load_box('plain', clock=FakeClock()), tls=True)
               for _ in range(2)]
    with servers[0] as url, servers[1]:
        wanted = str(servers[1].certificate) if verify == 'other' else True
        with web.Session() as session:
            assert session.get(f'{url}/redfish/v1', verify=str(
                servers[0].certificate)).status_code == 200
        with web.Session() as session, pytest.raises(
                requests.exceptions.SSLError):
            session.get(f'{url}/redfish/v1', verify=wanted)
        # What is not verified does not weaken what is.
        with web.Session() as session:
            assert session.get(f'{url}/redfish/v1', verify=False
                               ).status_code == 200
        with web.Session() as session, pytest.raises(
                requests.exceptions.SSLError):
            session.get(f'{url}/redfish/v1', verify=wanted)


def test_a_folder_of_authorities_and_a_file_without_any(
        tmp_path: Path) -> None:
    server = TwinServer(load_box('plain', clock=FakeClock()), tls=True)
    with server as url:
        (tmp_path / 'empty.pem').write_text('no certificate')
        for verify in (tmp_path, tmp_path / 'empty.pem'):
            with web.Session() as session, pytest.raises(
                    requests.exceptions.SSLError):
                session.get(f'{url}/redfish/v1', verify=str(verify))
        with web.Session() as session, pytest.raises(
                OSError, match=r'missing\.pem'):
            session.get(f'{url}/redfish/v1',
                        verify=str(tmp_path / 'missing.pem'))
