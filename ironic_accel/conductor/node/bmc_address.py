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

"""The address of a node's BMC, in the same form for the same BMC.

Several nodes may share one BMC, and each may have its address in another
notation. ``of`` gives the normalized address; ``may_match`` is the SQL
condition that finds the nodes that may have it.
"""

from __future__ import annotations

from collections.abc import Iterable
import ipaddress
from typing import Any
from urllib import parse

import sqlalchemy


def of(node: Any) -> str | None:
    """The address of the BMC as ``HOST:PORT``, or None without one.

    Scheme, path, case, a trailing slash or dot and the notation of an IP
    address make no difference; a port does, because several BMCs may share one
    gateway. An invalid address gives None: no session is made with it either.

    :param node: a node, or anything with ``driver_info``.
    """
    raw = (node.driver_info or {}).get('redfish_address')
    if not isinstance(raw, str) or not raw.strip():
        return None
    text = raw.strip()
    try:
        parts = parse.urlsplit(text if '//' in text else f'//{text}',
                               scheme='https')
    except ValueError:
        return None
    host = _host(parts.hostname or '')
    try:
        port = parts.port
    except ValueError:
        port = None
    if port is None:
        port = 80 if parts.scheme == 'http' else 443
    return f'{host}:{port}' if host else None


def _host(text: str) -> str:
    """A name or an IP address, written in one way."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        # A name with its root at the end (RFC 1034) is the same name.
        return text.lower().removesuffix('.')


def may_match(column: Any, addresses: Iterable[str], database: str) -> Any:
    """The SQL condition that a ``driver_info`` may have such an address.

    It misses no notation and finds more nodes than those with the address, so
    ``of`` must be compared too. JSON escapes non-ASCII and control characters,
    which are removed from an address when it is read; so every value with a
    backslash matches, too.

    :param column: the JSON text of ``driver_info``.
    :param addresses: as ``of`` gives them.
    :param database: the name of SQLAlchemy's dialect.
    """
    # LIKE of SQLite ignores the case of ASCII, and is a third faster without
    # two calls of lower() for each row.
    holds = column.contains if database == 'sqlite' else column.icontains
    texts = {t for a in addresses for t in _texts(a.rpartition(':')[0])}
    return sqlalchemy.or_(*(holds(t, autoescape=True)
                            for t in ('\\', *sorted(texts))))


def _texts(host: str) -> tuple[str, ...]:
    """Texts of which every notation of an address contains at least one.

    An IPv6 address ends with the last of its eight groups, or with four
    decimals (RFC 4291, 2.2), before its bracket or its zone. The group may
    have leading zeros or, if it is zero, be left out.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return (host,)
    if isinstance(address, ipaddress.IPv4Address):
        return (host,)
    last = address.packed[-2:].hex().lstrip('0')
    ends = (last,) if last else (':', '0')
    decimals = str(ipaddress.IPv4Address(address.packed[-4:]))
    return tuple(end + close for end in (*ends, decimals)
                 for close in (']', '%'))
