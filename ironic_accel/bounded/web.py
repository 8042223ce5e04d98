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

"""HTTP exchanges of ``requests`` that end: in time, in bytes, at one host.

A timeout of requests is one of silence: a server that sends a byte before
each ends it never. Here a limit holds for an exchange as a whole, status
line, headers and body together; it is applied where bytes come off the
socket, below whatever reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Iterator
import contextlib
import contextvars
import functools
from http import client as http_client
from http import cookiejar
import io
import os
import ssl
import time
from typing import Any, Protocol
import zlib

import requests
from requests import adapters
from urllib3 import connection
from urllib3 import connectionpool
from urllib3 import exceptions as urllib3_errors
from urllib3.util import ssl_ as urllib3_tls

#: Bytes that status line, headers and framing may take besides a body.
OVERHEAD = 256 * 1024
_PIECE = 64 * 1024


class TooMuch(requests.RequestException):
    """An answer has more bytes than it may have."""


class Limit:
    """What an exchange, or several in a row, may still take.

    :param seconds: for all of it.
    :param size: bytes that may come in, all told; None is no bound.
    :param idle: seconds of silence; None is no bound of its own.
    """

    def __init__(self, seconds: float, size: int | None = None,
                 idle: float | None = None) -> None:
        self.seconds = seconds
        self._until = time.monotonic() + seconds
        self._left = size
        self._idle = idle
        self._pace: tuple[float, float, int] | None = None
        self._came = 0

    def want(self, rate: float, grace: float) -> None:
        """Want bytes to come at a rate from now on.

        :param rate: bytes a second, on average.
        :param grace: seconds after which that is asked for.
        """
        self._pace = (rate, time.monotonic() + grace, self._came)

    @property
    def left(self) -> float:
        """Seconds; zero where there are none."""
        return max(0.0, self._until - time.monotonic())

    def patience(self) -> float:
        """Seconds for which the next byte may be waited for.

        :raises: TimeoutError where the time is over.
        """
        left = self.left
        if not left:
            raise TimeoutError(
                f'not complete within {self.seconds:.0f} seconds')
        if self._pace is not None:
            rate, since, base = self._pace
            late = time.monotonic() - since
            if late > 0 and self._came - base < rate * late:
                raise TimeoutError(f'slower than {rate:.0f} bytes a second')
        return left if self._idle is None else min(left, self._idle)

    def took(self, count: int) -> None:
        """Count bytes that came in.

        :raises: OSError where they are too many.
        """
        self._came += count
        if self._left is not None:
            self._left -= count
            if self._left < 0:
                raise OSError('too many bytes')

    @property
    def spent(self) -> bool:
        """Whether more bytes came than were allowed."""
        return self._left is not None and self._left < 0


_current: contextvars.ContextVar[Limit | None] = contextvars.ContextVar(
    'limit', default=None)


@contextlib.contextmanager
def under(limit: Limit) -> Generator[Limit, None, None]:
    """Whatever is asked within is under this limit, answers included."""
    token = _current.set(limit)
    try:
        yield limit
    finally:
        _current.reset(token)


class _Raw(io.RawIOBase):
    """A socket's bytes, each piece within the limit."""

    def __init__(self, raw: Any, sock: Any, limit: Limit) -> None:
        self._raw, self._sock, self._limit = raw, sock, limit

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, see RawIOBase.

        :raises: TimeoutError, OSError where the limit is reached.
        """
        self._sock.settimeout(self._limit.patience())
        count: int = self._raw.readinto(buffer) or 0
        self._limit.took(count)
        return count

    def close(self) -> None:
        """Close the socket's file too."""
        if not self.closed:
            self._raw.close()
        super().close()


class _Response(http_client.HTTPResponse):
    """A response that reads from its socket within the limit."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        limit = _current.get()
        if limit is not None:
            raw: Any = self.fp.detach()
            self.fp = io.BufferedReader(_Raw(raw, sock, limit))


class _Sends:
    """Sends within the limit: urllib3 gives each piece the time that a
    connection may take to be made."""

    def send(self, data: Any) -> None:
        """Send a piece of a request."""
        limit, sock = _current.get(), getattr(self, 'sock', None)
        if limit is not None and sock is not None:
            sock.settimeout(limit.patience())
        super().send(data)  # type: ignore[misc]


class _Http(_Sends, connection.HTTPConnection):
    response_class = _Response


class _Https(_Sends, connection.HTTPSConnection):
    response_class = _Response


class _HttpPool(connectionpool.HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(connectionpool.HTTPSConnectionPool):
    ConnectionCls = _Https


def _context(tls: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """Make a TLS context.

    urllib3 1.26 gives OpenSSL no host name that is an address, which fails if
    OpenSSL has to check one. It compares names and addresses itself otherwise
    (urllib3/connection.py, HTTPSConnection.connect).
    """
    context = tls()
    if hasattr(urllib3_tls, 'IS_SECURETRANSPORT'):  # 1.26 alone has it
        context.check_hostname = False
    return context


@functools.lru_cache(maxsize=64)
def _trusting(tls: Callable[[], ssl.SSLContext] | None, bundle: str,
              *version: int) -> ssl.SSLContext:
    """A TLS context with the authorities of a file, made once a process.

    Loading the usual 140 authorities takes 30 ms of CPU, which urllib3 does
    for each connection.

    :param version: what changes with the file.
    :raises: OSError for a file without certificates.
    """
    context = _context(tls) if tls else urllib3_tls.create_urllib3_context(
        cert_reqs=ssl.CERT_REQUIRED)
    context.load_verify_locations(bundle)
    context.set_alpn_protocols(urllib3_tls.ALPN_PROTOCOLS)
    # urllib3 sets the same ones for each connection. OpenSSL frees the old
    # ones while another thread may be copying them (SSL_new).
    setattr(context, 'set_alpn_protocols', lambda _: None)  # noqa: B010
    return context


class Adapter(adapters.HTTPAdapter):
    """Carries requests of a session over bounded connections.

    :param tls: makes the TLS context, where not the default one is wanted.
        Equal ones (``==``) make equal contexts.
    """

    def __init__(self, tls: Callable[[], Any] | None = None) -> None:
        self._tls = tls
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Have the pools use our connections."""
        if self._tls is not None:
            kwargs['ssl_context'] = _context(self._tls)
        super().init_poolmanager(*args, **kwargs)
        _bind(self.poolmanager)

    def send(self, *args: Any, **options: Any) -> requests.Response:
        """Send it; urllib3 1.26 has to be told to refuse a short body."""
        response = super().send(*args, **options)
        response.raw.enforce_content_length = True
        return response

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any
                    ) -> None:
        """Use a context that has the authorities; see requests.

        A file that cannot be loaded is left to urllib3, for its error.
        """
        super().cert_verify(  # type: ignore[no-untyped-call]
            conn, url, verify, cert)
        bundle = conn.ca_certs
        if not bundle or cert:
            return
        with contextlib.suppress(OSError):
            told = os.stat(bundle)
            conn.conn_kw['ssl_context'] = _trusting(
                self._tls, bundle, told.st_mtime_ns, told.st_size,
                told.st_ino, told.st_dev)
            conn.ca_certs = None

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Have a proxy's pools use our connections too."""
        return _bind(super().proxy_manager_for(*args, **kwargs))


def _bind(manager: Any) -> Any:
    manager.pool_classes_by_scheme = {'http': _HttpPool, 'https': _HttpsPool}
    return manager


class Observer(Protocol):
    """Is called for each request, in the thread that sends it."""

    def sent(self, method: str, path: str) -> None:
        """A request is about to be sent."""
        ...

    def answered(self, method: str, path: str, answer: str, seconds: float
                 ) -> None:
        """The headers of its response were read, or it failed.

        :param answer: ``HTTP 200``, or the class of the error.
        """
        ...


class Session(requests.Session):
    """A session that follows no redirect, reads no body by itself and keeps
    no cookies.

    Requests reads the body of a redirect to its end even where it is told
    not to follow it.

    :ivar observer: is called for each request, or None.
    """

    observer: Observer | None = None

    def __init__(self, adapter: adapters.BaseAdapter | None = None) -> None:
        super().__init__()
        self.cookies.set_policy(cookiejar.DefaultCookiePolicy(
            allowed_domains=[]))
        for scheme in ('http://', 'https://'):
            self.mount(scheme, adapter or Adapter())

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: a redirect is an answer like any other."""

    def send(self, request: requests.PreparedRequest, **options: Any
             ) -> requests.Response:
        """Send a request, and tell the observer of it."""
        if self.observer is None:
            return super().send(request, **options)
        method, path = str(request.method), request.path_url
        began, answer = time.monotonic(), ''
        self.observer.sent(method, path)
        try:
            response = super().send(request, **options)
            answer = f'HTTP {response.status_code}'
            return response
        except BaseException as error:
            answer = type(error).__name__
            raise
        finally:
            self.observer.answered(method, path, answer,
                                   time.monotonic() - began)


def pieces(response: requests.Response, size: int) -> Iterator[bytes]:
    """The body of a response that was not read yet, decoded, in pieces.

    Servers send gzip to those who did not ask for it (HPE iLO).

    :param size: bytes that it may have when it is decoded.
    :raises: requests.RequestException: TooMuch; where it breaks off, takes
        too long, or has an encoding that is not known.
    """
    decode = _decoder(response.headers.get('Content-Encoding', ''))
    if response.raw is None:  # an adapter that carries no socket's answer
        yield response.content
        return
    seen = 0
    while True:
        try:
            raw = response.raw.read(_PIECE, decode_content=False)
        except (urllib3_errors.ReadTimeoutError, TimeoutError) as error:
            raise requests.ReadTimeout(f'too slow: {error}') from error
        except (urllib3_errors.HTTPError, OSError) as error:
            raise requests.exceptions.ChunkedEncodingError(
                f'connection lost: {error}') from error
        for piece in decode(raw):
            seen += len(piece)
            if seen > size:
                raise TooMuch(f'more than {size} bytes')
            yield piece
        if not raw:
            return


def body(response: requests.Response, size: int) -> bytes:
    """The whole body of a response, see ``pieces``."""
    return b''.join(pieces(response, size))


def _decoder(coding: str) -> Callable[[bytes], Iterator[bytes]]:
    coding = coding.strip().lower()
    if coding in ('', 'identity'):
        return lambda raw: iter((raw,) if raw else ())
    if coding not in ('gzip', 'x-gzip', 'deflate'):
        raise requests.exceptions.ContentDecodingError(
            f'unsupported content encoding {coding[:40]!r}')
    engine = zlib.decompressobj(zlib.MAX_WBITS | 32)

    def inflate(raw: bytes) -> Iterator[bytes]:
        try:
            while True:
                piece = engine.decompress(raw, _PIECE)
                if piece:
                    yield piece
                raw = engine.unconsumed_tail
                if engine.eof or not (raw or len(piece) == _PIECE):
                    return
        except zlib.error as error:
            raise requests.exceptions.ContentDecodingError(
                f'invalid {coding} data: {error}') from error

    return inflate
