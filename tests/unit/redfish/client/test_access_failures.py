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

"""Why a BMC cannot be used, asked of real sockets and real certificates."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import datetime
import http.client
import ipaddress
from pathlib import Path
import socket
import ssl
import threading

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography import x509
from cryptography.x509.oid import NameOID
import pytest

from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import NoAccess
from ironic_accel.model.errors import Unreachable
from ironic_accel.redfish.client import access_failures
from ironic_accel.redfish.client.access_failures import OptionNames
from ironic_accel.redfish.client import session

NAMES = OptionNames('ADDRESS', 'BUNDLE', 'TRUST', 'SKIP', 'CREDENTIALS')
OK = b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}'
DAY = datetime.timedelta(days=1)


def certificate(folder: Path, host: str = '127.0.0.1', first: int = -1,
                last: int = 2) -> ssl.SSLContext:
    """A server context; its self-signed certificate is in ``folder``.

    :param first: the day on which it becomes valid, counted from today.
    :param last: the day on which it expires.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    made = (x509.CertificateBuilder()
            .subject_name(name).issuer_name(name)
            .public_key(key.public_key()).serial_number(1)
            .not_valid_before(now + first * DAY)
            .not_valid_after(now + last * DAY)
            .add_extension(x509.SubjectAlternativeName(
                [x509.IPAddress(ipaddress.ip_address(host))]), False)
            .sign(key, hashes.SHA256()))
    (folder / 'bmc.crt').write_bytes(
        made.public_bytes(serialization.Encoding.PEM))
    (folder / 'bmc.key').write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / 'bmc.crt', folder / 'bmc.key')
    return context


Serve = Callable[..., str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """``serve(context, answer)``: a service; returns its host and port."""
    with contextlib.ExitStack() as stack:
        def start(context: ssl.SSLContext | None = None,
                  answer: bytes = OK) -> str:
            listener = socket.create_server(('127.0.0.1', 0))
            over = threading.Event()

            def one(client: socket.socket) -> None:
                with contextlib.suppress(OSError), client:
                    talk = (client if context is None else
                            context.wrap_socket(client, server_side=True))
                    with talk:
                        talk.recv(4096)
                        talk.sendall(answer)

            def loop() -> None:
                while not over.is_set():
                    with contextlib.suppress(OSError):
                        one(listener.accept()[0])

            thread = threading.Thread(target=loop)
            thread.start()
            port = listener.getsockname()[1]
            stack.callback(thread.join)
            stack.callback(_wake, port)
            stack.callback(over.set)
            stack.callback(listener.close)
            return f'127.0.0.1:{port}'
        yield start


def _wake(port: int) -> None:
    """Let ``accept`` return, if it has not."""
    with contextlib.suppress(OSError):
        socket.create_connection(('127.0.0.1', port), 1).close()


def failure(url: str, verify: bool | str = True) -> Unreachable:
    """The error of a connection that has to fail."""
    with pytest.raises(Unreachable) as error:
        session.connect(url, 'admin', 'secret', verify, options=NAMES)
    return error.value


def lasting(error: Unreachable, words: str, todo: str) -> None:
    """Check a failure that an operator has to remove."""
    assert isinstance(error, NoAccess)
    assert error.detail.error_class is ErrorClass.NEEDS_OPERATOR
    assert words in error.detail.summary
    assert todo in str(error.detail.todo)


def test_a_self_signed_certificate_names_the_bundle(
        serve: Serve, tmp_path: Path) -> None:
    where = serve(certificate(tmp_path))
    lasting(failure(f'https://{where}'), 'self-signed and not trusted',
            'set TRUST')


def test_a_certificate_for_another_name_is_told_from_an_untrusted_one(
        serve: Serve, tmp_path: Path) -> None:
    where = serve(certificate(tmp_path, '192.0.2.7'))
    error = failure(f'https://{where}', str(tmp_path / 'bmc.crt'))
    lasting(error, 'for another name: ', 'certificate in ADDRESS, or set SKIP')
    assert "'127.0.0.1'" in error.detail.summary


@pytest.mark.parametrize(('first', 'last', 'words', 'todo'), [
    (-9, -1, 'has expired', 'renew the certificate of the BMC, or set SKIP'),
    (1, 9, 'is not valid yet', 'check the clocks')])
def test_a_certificate_outside_its_time_is_told_from_an_untrusted_one(
        serve: Serve, tmp_path: Path, first: int, last: int, words: str,
        todo: str) -> None:
    where = serve(certificate(tmp_path, first=first, last=last))
    lasting(failure(f'https://{where}', str(tmp_path / 'bmc.crt')), words,
            todo)


def test_https_to_a_port_of_http_names_the_address(serve: Serve) -> None:
    lasting(failure(f'https://{serve()}'), 'speaks HTTP on this port',
            'scheme and port in ADDRESS')


def test_http_to_a_port_of_https_that_sends_an_alert_names_the_address(
        serve: Serve) -> None:
    where = serve(None, b'\x15\x03\x01\x00\x02\x02\x46\r\n')
    lasting(failure(f'http://{where}'), 'speaks HTTPS on this port',
            'use https:// in ADDRESS')


def test_http_to_a_port_that_closes_it_may_be_a_port_of_https(
        serve: Serve, tmp_path: Path) -> None:
    """A BMC that restarts does the same: it may answer later."""
    error = failure(f'http://{serve(certificate(tmp_path))}')
    assert not isinstance(error, NoAccess)
    assert 'closed without a response' in error.detail.summary
    assert 'use https:// in ADDRESS' in str(error.detail.todo)


def test_a_port_of_another_protocol_names_the_address(serve: Serve) -> None:
    lasting(failure(f'http://{serve(None, b"SSH-2.0-OpenSSH_9.2")}'),
            'is not HTTP', 'host and port in ADDRESS')


@pytest.mark.parametrize(('content', 'words'), [
    (None, 'the CA bundle cannot be read'),
    ('no certificate', 'contains no certificate')])
def test_a_wrong_bundle_is_no_fault_of_the_bmc(
        serve: Serve, tmp_path: Path, content: str | None, words: str
        ) -> None:
    bundle = tmp_path / 'ca.pem'
    if content is not None:
        bundle.write_text(content)
    where = serve(certificate(tmp_path))
    lasting(failure(f'https://{where}', str(bundle)), words, 'check BUNDLE')


def test_a_refused_connection_and_an_unknown_name_may_pass() -> None:
    with socket.create_server(('127.0.0.1', 0)) as free:
        port = free.getsockname()[1]
    for url, words in ((f'https://127.0.0.1:{port}', 'connection refused'),
                       ('https://bmc.invalid', 'cannot resolve its host')):
        error = failure(url)
        assert not isinstance(error, NoAccess)
        assert error.detail.error_class is ErrorClass.TRANSIENT
        assert words in error.detail.summary
        assert 'ADDRESS' in str(error.detail.todo)


def test_a_connection_lost_in_the_handshake_may_pass(serve: Serve) -> None:
    """A BMC that restarts closes what it has just accepted."""
    error = failure(f'https://{serve(None, b"")}')
    assert not isinstance(error, NoAccess)
    assert 'closed without a response' in error.detail.summary


@pytest.mark.parametrize(('status', 'sent', 'words', 'todo'), [
    (401, True, 'rejected the credentials', 'set CREDENTIALS'),
    (401, False, 'requires credentials', 'set CREDENTIALS'),
    (403, True, 'lacks the privilege', 'or check CREDENTIALS')])
def test_rejected_credentials_name_their_options(
        status: int, sent: bool, words: str, todo: str) -> None:
    lasting(access_failures.rejected('the BMC', NAMES, status, sent=sent),
            words, todo)


def test_an_unknown_error_is_quoted_and_may_pass() -> None:
    cause = access_failures.cause(
        http.client.IncompleteRead(b'x'), False, 30)
    assert (cause.words, cause.lasting) == (
        'the response is incomplete', False)
    cause = access_failures.cause(OSError('odd'), False, 30)
    assert (cause.words, cause.lasting) == (
        'no complete response: odd', False)
