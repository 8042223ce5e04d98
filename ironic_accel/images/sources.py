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

"""Where the bytes of an image come from: http, https, a local file."""

from __future__ import annotations

from collections.abc import Generator
from collections.abc import Iterator
import contextlib
import dataclasses
import os
import re
from typing import BinaryIO
from urllib import parse

import requests

from ironic_accel.bounded import files
from ironic_accel.bounded import web
from ironic_accel.images.policy import Credentials
from ironic_accel.images.policy import ImageNotAllowed
from ironic_accel.images.policy import Policy
from ironic_accel.images.policy import shown

_CHUNK = 1 << 20
_REDIRECTS = 5
#: Seconds after which a pace is asked for.
_GRACE = 30.0


class Interrupted(Exception):
    """The transfer broke: trying again may help.

    :ivar reason: worded for people; holds no secrets.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclasses.dataclass(frozen=True, slots=True)
class Stream:
    """An image's bytes as they come.

    :ivar size: bytes, as far as the source told beforehand.
    """

    chunks: Iterator[bytes]
    size: int | None


@contextlib.contextmanager
def open_stream(url: str, policy: Policy, credentials: Credentials,
                limit: web.Limit | None = None
                ) -> Generator[Stream, None, None]:
    """Open an image for reading.

    :param limit: what several transfers may take together; one transfer of
        the policy's by default.
    :raises: Refused where the policy or the source says no;
        Interrupted where the connection fails.
    """
    policy.check(url)
    if url.startswith('file:'):
        with _open_file(url, policy) as stream:
            yield stream
    else:
        limit = limit or limit_of(policy)
        with web.under(limit), _open_http(
                url, policy, credentials, limit) as stream:
            yield stream


def limit_of(policy: Policy) -> web.Limit:
    """What a transfer may take: seconds, bytes, silence; and its pace."""
    limit = web.Limit(policy.total_timeout,
                      policy.max_bytes + _REDIRECTS * web.OVERHEAD,
                      policy.read_timeout)
    limit.want(policy.min_rate, _GRACE)
    return limit


@contextlib.contextmanager
def _open_file(url: str, policy: Policy) -> Generator[Stream, None, None]:
    path = policy.local_path(url)
    try:
        # The path is resolved already: a link there came since.
        file = files.open_regular(path, follow=False)
    except OSError as exc:
        raise ImageNotAllowed(f'cannot read {path}: {exc.strerror}') from exc
    with file:
        # Which file it is, whatever became of the folders on the way to it.
        opened = os.path.realpath(f'/proc/self/fd/{file.fileno()}')
        if os.path.exists('/proc/self/fd') and opened != path:
            raise ImageNotAllowed(f'{path} is no longer in an allowed folder')
        yield Stream(_file_chunks(file), os.fstat(file.fileno()).st_size)


def _file_chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk


@contextlib.contextmanager
def _open_http(url: str, policy: Policy, credentials: Credentials,
               limit: web.Limit) -> Generator[Stream, None, None]:
    with web.Session() as session:
        # No .netrc: credentials come from the caller or not at all.
        session.trust_env = False
        with _worded(url):
            response = _follow(session, url, policy, credentials)
        with response:
            _check_response(response, url)
            length = response.headers.get('Content-Length', '')
            size = int(length) if re.fullmatch('[0-9]{1,18}', length) else (
                None)
            # Counted from here: what came before was no image.
            limit.want(policy.min_rate, _GRACE)
            yield Stream(_http_chunks(response, url, size,
                                      policy.max_bytes), size)


def _follow(session: requests.Session, url: str, policy: Policy,
            credentials: Credentials) -> requests.Response:
    """GET, each redirect checked before it is followed."""
    for _ in range(_REDIRECTS + 1):
        parts = parse.urlsplit(url)
        response = session.get(
            url, stream=True, verify=policy.verify,
            timeout=(policy.connect_timeout, policy.read_timeout),
            auth=credentials(parts.hostname or ''),
            proxies=requests.utils.get_environ_proxies(url),
            headers={'Accept-Encoding': 'identity'})
        if not response.is_redirect:
            return response
        response.close()
        try:
            target = parse.urljoin(url, response.headers['Location'])
        except ValueError:
            raise ImageNotAllowed(f'{shown(url)} redirects to an invalid URL'
                          ) from None
        policy.check(target, seen_before=url)
        url = target
    raise ImageNotAllowed(f'{shown(url)} has too many redirects',
                  f'at most {_REDIRECTS} redirects')


def _check_response(response: requests.Response, url: str) -> None:
    code = response.status_code
    if code >= 500 or code in (408, 429):
        raise Interrupted(f'{shown(url)} returned HTTP {code}')
    if code != 200:
        raise ImageNotAllowed(f'{shown(url)} returned HTTP {code} '
                      f'{response.reason or ""}'.rstrip(), '200', str(code))
    coding = response.headers.get('Content-Encoding', 'identity')
    if coding != 'identity':
        raise ImageNotAllowed(
            f'{shown(url)} has a content encoding', 'identity', coding[:40])


def _http_chunks(response: requests.Response, url: str,
                 size: int | None, most: int) -> Iterator[bytes]:
    seen = 0
    with _worded(url):
        for chunk in web.pieces(response, most):
            seen += len(chunk)
            yield chunk
    if size is not None and seen != size:
        raise Interrupted(f'the transfer of {shown(url)} ended after {seen} '
                          f'of {size} bytes')


@contextlib.contextmanager
def _worded(url: str) -> Generator[None, None, None]:
    """Say a transport error without its text, which has the whole URL."""
    try:
        yield
    except requests.exceptions.SSLError as exc:
        raise ImageNotAllowed(
            f'{shown(url)}: TLS failed: the certificate is not '
            'trusted or the protocol version is not supported'
        ) from exc
    except requests.exceptions.Timeout as exc:
        raise Interrupted(f'{shown(url)} did not respond in time') from exc
    except web.TooMuch as exc:
        raise ImageNotAllowed(f'{shown(url)} is too large',
                      str(exc).replace('more than', 'at most'),
                      str(exc)) from exc
    except requests.exceptions.ChunkedEncodingError as exc:
        raise Interrupted(
            f'the transfer of {shown(url)} was interrupted') from exc
    except requests.exceptions.RequestException as exc:
        raise Interrupted(f'cannot connect to {shown(url)} '
                          f'({type(exc).__name__})') from exc
