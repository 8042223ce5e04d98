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
import stat
from typing import BinaryIO
from urllib import parse

import requests

from ironic_accel.images.policy import Credentials
from ironic_accel.images.policy import Policy
from ironic_accel.images.policy import Refused
from ironic_accel.images.policy import shown

_CHUNK = 1 << 20
_REDIRECTS = 5


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
def open_stream(url: str, policy: Policy,
                credentials: Credentials) -> Generator[Stream, None, None]:
    """Open an image for reading.

    :raises: Refused where the policy or the source says no;
        Interrupted where the connection fails.
    """
    policy.check(url)
    if url.startswith('file:'):
        with _open_file(policy.local_path(url)) as stream:
            yield stream
    else:
        with _open_http(url, policy, credentials) as stream:
            yield stream


@contextlib.contextmanager
def _open_file(path: str) -> Generator[Stream, None, None]:
    # NONBLOCK: opening a FIFO must not hang; NOFOLLOW: the path is resolved
    # already, whatever is a link now came there since.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(path, flags)
    except OSError as exc:
        raise Refused(f'{path} cannot be read: {exc.strerror}') from exc
    with os.fdopen(fd, 'rb') as file:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            raise Refused(f'{path} is not a regular file')
        yield Stream(_file_chunks(file), info.st_size)


def _file_chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk


@contextlib.contextmanager
def _open_http(url: str, policy: Policy,
               credentials: Credentials) -> Generator[Stream, None, None]:
    with requests.Session() as session:
        # No .netrc: credentials come from the caller or not at all.
        session.trust_env = False
        with _worded(url):
            response = _follow(session, url, policy, credentials)
        with response:
            _check_response(response, url)
            length = response.headers.get('Content-Length', '')
            size = int(length) if length.isdecimal() else None
            yield Stream(_http_chunks(response, url, size), size)


def _follow(session: requests.Session, url: str, policy: Policy,
            credentials: Credentials) -> requests.Response:
    """GET, each redirect checked before it is followed."""
    for _ in range(_REDIRECTS + 1):
        parts = parse.urlsplit(url)
        response = session.get(
            url, stream=True, allow_redirects=False, verify=policy.verify,
            timeout=(policy.connect_timeout, policy.read_timeout),
            auth=credentials(parts.hostname or ''),
            proxies=requests.utils.get_environ_proxies(url),
            headers={'Accept-Encoding': 'identity'})
        if not response.is_redirect:
            return response
        target = parse.urljoin(url, response.headers['Location'])
        response.close()
        policy.check(target, seen_before=url)
        url = target
    raise Refused(f'{shown(url)} is redirected too often',
                  f'at most {_REDIRECTS} redirects')


def _check_response(response: requests.Response, url: str) -> None:
    code = response.status_code
    if code >= 500 or code in (408, 429):
        raise Interrupted(f'{shown(url)} was answered with {code}')
    if code != 200:
        raise Refused(f'{shown(url)} was answered with {code} '
                      f'{response.reason or ""}'.rstrip(), '200', str(code))
    coding = response.headers.get('Content-Encoding', 'identity')
    if coding != 'identity':
        raise Refused(f'{shown(url)} came encoded', 'identity', coding)


def _http_chunks(response: requests.Response, url: str,
                 size: int | None) -> Iterator[bytes]:
    seen = 0
    with _worded(url):
        for chunk in response.iter_content(_CHUNK):
            seen += len(chunk)
            yield chunk
    if size is not None and seen != size:
        raise Interrupted(f'{shown(url)} broke off after {seen} of '
                          f'{size} bytes')


@contextlib.contextmanager
def _worded(url: str) -> Generator[None, None, None]:
    """Say a transport error without its text, which has the whole URL."""
    try:
        yield
    except requests.exceptions.SSLError as exc:
        raise Refused(f'{shown(url)}: TLS failed: the certificate is not '
                      'trusted or the protocol does not fit') from exc
    except requests.exceptions.Timeout as exc:
        raise Interrupted(f'{shown(url)} does not answer in time') from exc
    except requests.exceptions.ChunkedEncodingError as exc:
        raise Interrupted(f'{shown(url)} broke off before its end') from exc
    except requests.exceptions.RequestException as exc:
        raise Interrupted(f'{shown(url)} cannot be reached '
                          f'({type(exc).__name__})') from exc
