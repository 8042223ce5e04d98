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

"""The policy for image sources, which the caller provides."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import os
import re
from urllib import parse

from urllib3 import exceptions as urllib3_errors
from urllib3.util import url as urllib3_url

#: Gives (user, password) for a host, or None where there are none. The
#: caller resolves them from its own options: no URL and no profile has any.
Credentials = Callable[[str], tuple[str, str] | None]


def no_credentials(host: str) -> None:
    """The resolver of a caller that has no credentials."""
    del host


class ImageNotAllowed(Exception):
    """An image that cannot be used; the text never contains secrets.

    :ivar expected: what was expected, or None.
    :ivar seen: what was seen instead, or None.
    """

    def __init__(self, reason: str, expected: str | None = None,
                 seen: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.expected = expected
        self.seen = seen


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """Where images may come from and how large they may be.

    :ivar schemes: any of http, https, file.
    :ivar hosts: host names; ``*.example.org`` stands for every name below
        it. None allows every host, an empty tuple none.
    :ivar folders: folders below which a ``file`` URL may point, with
        symbolic links resolved on both sides.
    :ivar max_bytes: the largest image.
    :ivar cache_bytes: the disk that the cache may take.
    :ivar verify: TLS verification: True for the system's authorities, or the
        path of a bundle of authorities.
    :ivar connect_timeout: seconds for a connection to be made.
    :ivar read_timeout: seconds without a single byte.
    :ivar total_timeout: seconds for a whole image, redirects included.
    :ivar min_rate: bytes a second that a server has to send on average, once
        half a minute has passed: a slow one would block those that wait.
    """

    schemes: frozenset[str] = frozenset({'https'})
    hosts: tuple[str, ...] | None = None
    folders: tuple[str, ...] = ()
    max_bytes: int = 4 << 30
    cache_bytes: int = 32 << 30
    verify: bool | str = True
    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    total_timeout: float = 3600.0
    min_rate: int = 16 * 1024

    def check(self, url: str, seen_before: str | None = None) -> None:
        """Refuse a URL that is not allowed.

        :param seen_before: the URL that redirected to this one.
        :raises: Refused, naming what is allowed.
        """
        parts = _split(url)
        if parts.scheme not in self.schemes:
            raise ImageNotAllowed(f'the scheme of {shown(url)} is not allowed',
                          ', '.join(sorted(self.schemes)) or 'none',
                          parts.scheme or 'none')
        if parts.scheme == 'file':
            if seen_before is not None:
                raise ImageNotAllowed(
                    f'{shown(seen_before)} redirects to a local file')
            self.local_path(url)
            return
        if '@' in parts.netloc:
            raise ImageNotAllowed(f'{shown(url)} contains user information')
        if seen_before is not None:
            self._check_redirect(parts, seen_before)
        elif parts.query:
            raise ImageNotAllowed(f'{shown(url)} contains a query')
        self._check_host(parts, url)

    def _check_host(self, parts: parse.SplitResult, url: str) -> None:
        host = (parts.hostname or '').lower()
        if not host:
            raise ImageNotAllowed(f'{shown(url)} has no host')
        if self.hosts is not None and not any(
                _host_matches(host, allowed) for allowed in self.hosts):
            raise ImageNotAllowed(f'the host of {shown(url)} is not allowed',
                          ', '.join(self.hosts) or 'none', host)

    @staticmethod
    def _check_redirect(parts: parse.SplitResult, before: str) -> None:
        if parse.urlsplit(before).scheme == 'https' != parts.scheme:
            raise ImageNotAllowed(
                f'{shown(before)} redirects to a URL without TLS', 'https',
                parts.scheme)

    def local_path(self, url: str) -> str:
        """The real path that a ``file`` URL names.

        :raises: Refused where it is not below an allowed folder.
        """
        parts = _split(url)
        if parts.netloc not in ('', 'localhost') or parts.query:
            raise ImageNotAllowed(
                f'{shown(url)} is not the URL of a local file',
                'file:///absolute/path')
        path = os.path.realpath(parse.unquote(parts.path))
        for folder in self.folders:
            root = os.path.realpath(folder)
            if os.path.commonpath([root, path]) == root and path != root:
                return path
        raise ImageNotAllowed(f'{path} is not in an allowed folder',
                      ', '.join(self.folders) or 'none', path)


def _split(url: str) -> parse.SplitResult:
    """The parts of a URL, if all parsers agree on them.

    A URL is checked by one parser and opened by another (urllib, and urllib3
    within requests): a URL that they may parse differently is refused.

    :raises: Refused.
    """
    if not url.isascii() or re.search(r'[\x00-\x20\x7f\\#]', url):
        raise ImageNotAllowed(
            'the image URL has characters that are not allowed in a URL')
    try:
        parts = parse.urlsplit(url)
        port = parts.port
        theirs = None if parts.scheme == 'file' else (
            urllib3_url.parse_url(url))
    except (ValueError, urllib3_errors.LocationParseError):
        raise ImageNotAllowed(
            'the image URL has an invalid host or port'
        ) from None
    if theirs is not None and (parts.scheme, parts.hostname or None, port) != (
            theirs.scheme, (theirs.host or '').strip('[]').lower() or None,
            theirs.port):
        raise ImageNotAllowed(f'the host of {shown(url)} is ambiguous')
    return parts


def _host_matches(host: str, allowed: str) -> bool:
    allowed = allowed.lower()
    if allowed.startswith('*.'):
        return host.endswith(allowed[1:])
    return host == allowed


def shown(url: str) -> str:
    """A URL without what may be secret: user information and query."""
    try:
        parts = parse.urlsplit(url)
    except ValueError:
        return '(invalid image URL)'
    netloc = parts.netloc.rpartition('@')[2]
    return parse.urlunsplit((parts.scheme, netloc, parts.path, '', ''))
