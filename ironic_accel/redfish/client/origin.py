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

"""Resolve the URIs from a BMC: no request leaves the origin of the BMC.

A URI in a document, a header or a ticket is used as a path of the same BMC
only (RFC 3986 defines scheme, user information, host and port; RFC 6454 the
origin). A BMC behind a host name, NAT or a forwarded port may report its
internal address. For reads, such an authority is dropped and the path is
read from the configured origin. Writes go to the configured origin or are
refused. ``PinnedAdapter`` carries everything that a session sends, redirects
included, so that a session with only this adapter sends nothing elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
import functools
import ipaddress
import logging
import re
from typing import Any
from urllib import parse

import requests
from requests import adapters

from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Rejected

LOG = logging.getLogger(__name__)

_PORTS = {'http': 80, 'https': 443}
_SCHEME = re.compile(r'[a-zA-Z][a-zA-Z0-9+.-]*:')
#: Characters that are not allowed in a URI and that parsers treat
#: differently: control characters end a header line, browsers and some
#: libraries treat a backslash as a slash. Spaces are allowed, because some
#: services do not escape them.
_BAD = re.compile(r'[\x00-\x1f\x7f-\x9f\\\ud800-\udfff]')
_LONGEST = 2048
#: Result of ``problem`` for a relative reference.
NO_PATH = 'has no path'

#: (scheme, host, port)
Origin = tuple[str, str, int]


class ResolvedUri(str):
    """A URI that will be written to, with the property that contains it.

    :ivar property: the name of the property, for refusals.
    """

    __slots__ = ('property',)
    property: str

    def __new__(cls, uri: str, named: str) -> ResolvedUri:
        """Create a string with a property name."""
        self = super().__new__(cls, uri)
        self.property = named
        return self


@functools.lru_cache(maxsize=64)
def of(url: str) -> Origin | None:
    """The origin of an absolute http or https URL, or None."""
    if _BAD.search(url):
        return None
    try:
        parts = parse.urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    if scheme not in _PORTS or not parts.hostname or '@' in parts.netloc:
        return None
    return scheme, _host(parts.hostname), port or _PORTS[scheme]


def _host(text: str) -> str:
    """A host name or an address in normal form."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text.lower()


def problem(uri: str) -> str | None:
    """Why a string is not the URI of a resource, or None."""
    if len(uri) > _LONGEST:
        return f'longer than {_LONGEST} characters'
    return _problem(uri)


# One inventory checks the same few hundred paths many times. The cache is
# bounded, as the BMC provides the keys.
@functools.lru_cache(maxsize=4096)
def _problem(uri: str) -> str | None:
    if _BAD.search(uri):
        return 'has characters that are not allowed in a URI'
    rest, _, _ = _split(uri)
    if not rest.startswith('/'):
        return NO_PATH
    if rest.startswith('//'):
        return 'begins with an empty path segment'
    where = rest.split('?', 1)[0]
    if ('.' in where or '%' in where) and any(
            parse.unquote(p) in ('.', '..') for p in where.split('/')):
        return 'has dot segments'
    return None


def _split(uri: str) -> tuple[str, str | None, str | None]:
    """(path with query, authority or None, scheme or None)."""
    scheme = None
    found = _SCHEME.match(uri)
    if found:
        scheme, uri = found.group()[:-1].lower(), uri[found.end():]
    uri = uri.split('#', 1)[0]
    if not uri.startswith('//'):
        return uri, None, scheme
    authority = re.split('[/?]', uri[2:], maxsplit=1)[0]
    return uri[2 + len(authority):] or '/', authority, scheme


def path(uri: str) -> str | None:
    """The path and query of a URI of any origin; None if it is invalid."""
    return None if problem(uri) else _split(uri)[0]


def warning(uri: str) -> str | None:
    """The warning for a link that names a host, or None."""
    _, authority, scheme = _split(uri)
    if authority is None and scheme is None:
        return None
    # Without user and password, which must not be logged.
    host = (authority or '').rpartition('@')[2] or f'{scheme}:'
    return (f'names another host, {shown(host)}: only the path is used, at '
            'the address of this BMC')


def is_foreign(uri: str, origin: Origin | None) -> bool:
    """Whether a URI has another scheme, host or port, or a user."""
    _, authority, scheme = _split(uri)
    if authority is None and scheme is None:
        return False
    if authority is None or origin is None:
        return True
    return of(f'{scheme or origin[0]}://{authority}/') != origin


def to_read(uri: str, origin: Origin | None, named: str) -> str | None:
    """The path to read from the BMC, or None for an invalid URI.

    A foreign authority is dropped with a warning in the log.

    :param named: the property or header that contains the URI.
    """
    found = path(uri)
    if found is not None and is_foreign(uri, origin):
        LOG.warning('%s: %s has another origin than the BMC: reading %s from '
                    'the BMC instead', named, shown(uri), found)
    return found


def to_write(uri: str, origin: Origin | None) -> str:
    """The path to write to at the BMC.

    :raises: Rejected for an invalid URI or another origin; nothing has been
        sent.
    """
    named = uri.property if isinstance(uri, ResolvedUri) else 'write target'
    wrong = problem(uri)
    if wrong is None and is_foreign(uri, origin):
        wrong = 'names another scheme, host or port than those of the BMC'
    if wrong is not None:
        expected = (f'a path, or a URI at {origin[0]}://{origin[1]}:'
                    f'{origin[2]}' if origin else 'a path')
        raise Rejected(f'{named}: {shown(uri)}: {wrong}: nothing was sent',
                       error_class=ErrorClass.NEEDS_OPERATOR,
                       expected=expected,
                       todo='check the address of the BMC in driver_info '
                            'and the BMC itself')
    return _split(uri)[0]


def shown(uri: str) -> str:
    """A URI for messages: short, printable, without user or query."""
    text = re.sub(r'(//)[^/?#]*@', r'\1', uri).split('?', 1)[0]
    text = text.encode('ascii', 'backslashreplace').decode()
    return repr(text if len(text) <= 120 else f'{text[:117]}...')


class ForeignOrigin(requests.exceptions.InvalidURL):
    """A request would have left the BMC's origin; nothing was sent.

    Sushy converts it into a ConnectionError, and does not retry.
    """


class PinnedAdapter(adapters.BaseAdapter):
    """Passes requests for one origin on, and refuses all others.

    :param inner: the adapters that carry them, by scheme.
    """

    def __init__(self, only: Origin | None,
                 inner: Mapping[str, adapters.BaseAdapter]) -> None:
        super().__init__()
        self.only = only
        self.inner = dict(inner)

    def send(self, request: requests.PreparedRequest, *args: Any,
             **kwargs: Any) -> requests.Response:
        """Send a request; see requests.

        :raises: ForeignOrigin.
        """
        url = str(request.url)
        if self.only is None or of(url) != self.only:
            raise ForeignOrigin(
                f'{shown(url)}: this is not the scheme, host and port '
                'of the BMC: nothing was sent',
                request=request)
        return self.inner[self.only[0]].send(request, *args, **kwargs)

    def close(self) -> None:
        """Close what carries the requests."""
        for adapter in self.inner.values():
            adapter.close()
