# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Plain exchanges of ``requests`` in process, without its preparations.

A hundred thousand runs make a hundred million requests. Nearly all of them
have a URL of plain characters, a few headers and perhaps a JSON body. All
others are processed by ``requests`` itself.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.auth import _basic_auth_str
from requests.structures import CaseInsensitiveDict

from ironic_accel_emulator.bmc.messages import Reply, Request

#: URLs that need no quoting, unquoting or truncation.
_HARMLESS = re.compile(r'https?://[A-Za-z0-9.:-]+(/[A-Za-z0-9._:()/-]*)'
                       r'(?:\?([A-Za-z0-9._=&$()/-]*))?')
_WORDS = frozenset({'json', 'headers', 'stream', 'verify', 'timeout'})


def is_plain(
    session: requests.Session, url: str, words: Mapping[str, Any]
) -> bool:
    """Whether an exchange can be answered by this module."""
    follows = type(session).get_redirect_target
    return (
        follows is not requests.Session.get_redirect_target
        and not words.keys() - _WORDS
        and isinstance(session.auth, tuple | None)
        and not session.hooks.get('response')
        and not session.params
        and '/../' not in url
        and '/./' not in url
        and _HARMLESS.fullmatch(url) is not None
    )


def request_of(
    session: requests.Session,
    method: str,
    url: str,
    words: Mapping[str, Any],
    patience: float,
) -> Request:
    """The request as ``requests`` would have sent it."""
    headers = {k.lower(): _text(v) for k, v in session.headers.items()}
    for name, value in (words.get('headers') or {}).items():
        headers[name.lower()] = _text(value)
    headers = {k: v for k, v in headers.items() if v is not None}
    if isinstance(session.auth, tuple):
        headers['authorization'] = _basic_auth_str(*session.auth)
    body = None
    if words.get('json') is not None:
        text = json.dumps(words['json'], allow_nan=False).encode()
        headers.setdefault('content-type', 'application/json')
        headers['content-length'] = str(len(text))
        body = io.BytesIO(text)
    elif method not in ('GET', 'HEAD'):
        headers['content-length'] = '0'
    parts = urlsplit(url)
    length = headers.get('content-length')
    return Request(
        method=method.upper(),
        path=parts.path or '/',
        query=parts.query,
        headers=headers,
        body=body,
        length=int(length) if length and length != '0' else None,
        patience=patience,
    )


def _text(value: Any) -> Any:
    return value.decode('latin-1') if isinstance(value, bytes) else value


def sent(method: str, url: str) -> requests.PreparedRequest:
    """A request for the attributes of a response or an error."""
    made = requests.PreparedRequest()
    made.method, made.url = method, url
    made.headers = CaseInsensitiveDict()
    return made


class _Body(io.BytesIO):
    """A body with the interface of ``urllib3.HTTPResponse``."""

    def read(self, amt: int | None = -1, *_: Any, **__: Any) -> bytes:
        """Up to ``amt`` bytes."""
        return super().read(amt)

    def release_conn(self) -> None:
        """Do nothing: there is no connection."""


def response_of(method: str, url: str, reply: Reply) -> requests.Response:
    """A reply as a response of requests."""
    out = requests.Response()
    data = reply.encoded()
    shown = {'Content-Type': 'application/json; charset=utf-8',
             **reply.headers}  # fmt: skip
    if reply.status not in (204, 304):
        length = len(data) * (2 if reply.truncate else 1)
        shown['Content-Length'] = str(length)
    out.status_code = reply.status
    out.headers = CaseInsensitiveDict(shown)
    out.encoding = 'utf-8'
    out.url = url
    out.request = sent(method, url)
    body = b'' if method == 'HEAD' else data
    if reply.truncate or 'Content-Encoding' in out.headers:
        # Only the real class detects a truncated body.
        out.raw = urllib3.HTTPResponse(
            body=io.BytesIO(body), headers=shown, status=reply.status,
            preload_content=False, request_method=method,
            enforce_content_length=method != 'HEAD')  # fmt: skip
    else:
        out.raw = _Body(body)
    return out
