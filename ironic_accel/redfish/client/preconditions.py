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

"""The forms in which services want an ETag back as If-Match: a table.

RFC 9110 has the whole tag in quotes, compared strongly, so that one with
``W/`` before it never matches; services are otherwise. Sources of the rows:
DSP0266 (the ETag header, the property ``@odata.etag``); sushy 5.14
``connector.py``, ``_etag_handler`` (weak turned into strong, then none at
all); ansible-collections/community.general 3268 and 3296 (a header that
quotes the tag once more than the property does; the bare tag), 6434 (one is
wanted, and not in the weak form) and 11261 (any is turned down).
"""

from __future__ import annotations

import re

#: Statuses that say that a precondition is wanted, or was not met: nothing
#: was changed (RFC 9110, RFC 6585).
REFUSED = frozenset({412, 428})

#: How many forms are tried at most; each costs a read and a write.
MOST = 7

_TAG = re.compile(r'[\x21-\x7e]{1,512}')


def forms(header: str | None, body: str | None) -> list[str]:
    """What to send as If-Match, in the order in which it is tried.

    :param header: the ETag header of the resource, just read.
    :param body: its ``@odata.etag``.
    :returns: each value once; not more than ``MOST``.
    """
    told = [t.strip() for t in (header, body) if t and _TAG.fullmatch(
        t.strip())]
    out = list(told)
    out += [t.removeprefix('W/') for t in told if t.startswith('W/')]
    bare = [t.removeprefix('W/').strip('"') for t in told]
    # Quoted once, whatever number of quotes it came in.
    out += [f'"{b}"' for b in bare if b]
    out += [b for b in bare if b]
    if told:
        out.append('*')
    return list(dict.fromkeys(out))[:MOST]
