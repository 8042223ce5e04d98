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

"""The address of a node's BMC: the same text for the same BMC.

Several nodes may stand behind one BMC, and each may write its address in
another way. ``of`` says which BMC it is; ``may_match`` is the condition by
which a database finds the nodes that may stand behind it.
"""

from __future__ import annotations

from collections.abc import Iterable
import ipaddress
from typing import Any
from urllib import parse

import sqlalchemy


def of(node: Any) -> str | None:
    """The BMC's address as ``HOST:PORT``, or None without one.

    Scheme, path, case, a trailing slash or dot and the way in which an IP
    address is written do not make another BMC of it; a port does, as several
    may stand behind one gateway. What is no address at all is nobody's: no
    session is made with it either.

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

    It misses none, in whatever way it is written, and finds more than those:
    ``of`` tells. JSON has a backslash in whatever is not plain ASCII and in
    control characters, which are left out of an address when it is read; so
    what has a backslash anywhere is found, too.

    :param column: the JSON text of ``driver_info``.
    :param addresses: as ``of`` gives them.
    :param database: the name of SQLAlchemy's dialect.
    """
    # SQLite's LIKE does not tell the case of ASCII apart, and is a third
    # faster without two calls of lower() for each row.
    holds = column.contains if database == 'sqlite' else column.icontains
    texts = {t for a in addresses for t in _texts(a.rpartition(':')[0])}
    return sqlalchemy.or_(*(holds(t, autoescape=True)
                            for t in ('\\', *sorted(texts))))


def _texts(host: str) -> tuple[str, ...]:
    """What stands in an address that is the same as this one, any of them.

    An IPv6 address ends with the last of its eight groups, or with four
    decimals (RFC 4291, 2.2), before its bracket or its zone. The group may
    have leading zeros or, where it is zero, be left out.
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
