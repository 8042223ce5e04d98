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

"""One place that resolves every URI a BMC gives: nothing leaves its origin.

A URI out of a document, a header or a ticket is a path of the BMC that is
talked to and nothing else (RFC 3986 names scheme, user information, host and
port; RFC 6454 the origin). A BMC behind a name, an address translation or a
forwarded port tells the address that it has inside: where something is only
read, such an authority is dropped and the path asked of the pinned origin.
What is written goes where the operator said, or nowhere.
"""

from __future__ import annotations

import functools
import ipaddress
import logging
import re
from urllib import parse

from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Rejected

LOG = logging.getLogger(__name__)

_PORTS = {'http': 80, 'https': 443}
_SCHEME = re.compile(r'[a-zA-Z][a-zA-Z0-9+.-]*:')
#: What no URI has and parsers disagree about: control characters end a
#: header line, browsers and some libraries take a backslash for a slash.
#: Blanks are let through: services are seen that do not escape them.
_BAD = re.compile(r'[\x00-\x1f\x7f-\x9f\\\ud800-\udfff]')
_LONGEST = 2048
#: What ``problem`` says of a relative reference.
NO_PATH = 'has no path'

#: (scheme, host, port)
Origin = tuple[str, str, int]


class ResolvedUri(str):
    """A URI that something will be written to, with the property it is of.

    :ivar property: where the BMC gave it, for the refusal.
    """

    __slots__ = ('property',)
    property: str

    def __new__(cls, uri: str, named: str) -> ResolvedUri:
        """Make one: a text like any other, with a name."""
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
    """A name or an address, written in one way."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text.lower()


def problem(uri: str) -> str | None:
    """Why a text is no URI of a resource at all, or None."""
    if len(uri) > _LONGEST:
        return f'longer than {_LONGEST} characters'
    return _problem(uri)


# A look asks this of the same few hundred paths a thousand times; what a BMC
# can fill it with is bounded.
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
    """The path with its query, whatever origin is named; None of no URI."""
    return None if problem(uri) else _split(uri)[0]


def warning(uri: str) -> str | None:
    """What to say of a link that names a host besides a path, or None."""
    _, authority, scheme = _split(uri)
    if authority is None and scheme is None:
        return None
    # Without user and password, which are the BMC's to give and nobody's to
    # read.
    host = (authority or '').rpartition('@')[2] or f'{scheme}:'
    return (f'names another host, {shown(host)}: only the path is used, at '
            'the address of this BMC')


def is_foreign(uri: str, origin: Origin | None) -> bool:
    """Whether a URI names another scheme, host or port, or a user."""
    _, authority, scheme = _split(uri)
    if authority is None and scheme is None:
        return False
    if authority is None or origin is None:
        return True
    return of(f'{scheme or origin[0]}://{authority}/') != origin


def to_read(uri: str, origin: Origin | None, named: str) -> str | None:
    """The path to ask the pinned origin for, or None of no URI.

    A foreign authority is dropped with a warning in the log.

    :param named: the property or header that the BMC gave it in.
    """
    found = path(uri)
    if found is not None and is_foreign(uri, origin):
        LOG.warning('%s: %s has another origin than the BMC: reading %s from '
                    'the BMC instead', named, shown(uri), found)
    return found


def to_write(uri: str, origin: Origin | None) -> str:
    """The path to write to at the pinned origin.

    :raises: Rejected for what is no URI or names another origin; nothing
        has been sent.
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
    """A URI as messages have it: short, printable, without user or query."""
    text = re.sub(r'(//)[^/?#]*@', r'\1', uri).split('?', 1)[0]
    text = text.encode('ascii', 'backslashreplace').decode()
    return repr(text if len(text) <= 120 else f'{text[:117]}...')
