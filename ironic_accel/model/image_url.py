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

"""What an image's URL may be: an address and nothing that is secret."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

SCHEMES = ('http', 'https', 'file')

_USER_INFO = re.compile(r'//[^/?#]*@')


def problem(url: str) -> str | None:
    """What is wrong with an image's URL, or None.

    A URL that may have a secret in it is not repeated in the answer.
    """
    if _USER_INFO.search(url):
        return 'user info is not allowed in an image URL'
    if '?' in url or '#' in url:
        return 'neither query nor fragment is allowed in an image URL'
    if not url.isascii() or re.search(r'[\s\x00-\x1f\x7f\\]', url):
        # Parsers disagree about what is the host of such a one.
        return (f'{url!r} has blanks, control characters, backslashes or '
                'letters in it that no URL has')
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as exc:
        return f'{url!r} is no URL: {exc}'
    if parts.scheme not in SCHEMES:
        return (f'{url!r} where a URL with one of the schemes '
                f"{', '.join(SCHEMES)} was expected")
    if parts.scheme == 'file':
        if parts.netloc not in ('', 'localhost') or (
                not parts.path.startswith('/')):
            return f'{url!r} where file:///absolute/path was expected'
    elif not host:
        return f'{url!r} has no host'
    if parts.path.endswith('/') or not parts.path:
        return f'{url!r} names no file'
    return None
