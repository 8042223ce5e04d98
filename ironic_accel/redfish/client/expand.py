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

"""Whether an answer to ``$expand`` is what was asked for (DSP0266)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ironic_accel.redfish.client.json_document import normal


def dropped(whole: Mapping[str, Any], member: Mapping[str, Any]
            ) -> str | None:
    """A property that a member lacks and the same resource by itself has.

    :param whole: the resource, read by itself.
    """
    for key, value in whole.items():
        if key.startswith('@') or '@' in key:
            continue
        if key not in member:
            return key
        inner = member[key]
        if isinstance(value, Mapping) and isinstance(inner, Mapping) and (
                more := dropped(value, inner)) is not None:
            return f'{key}.{more}'
    return None


def wrong(uri: str, doc: Mapping[str, Any]) -> str | None:
    """What is wrong with an expanded answer, or None.

    A service may advertise ``$expand`` and answer with something else, with
    less, or with bare links: all of that was seen.
    """
    own = doc.get('@odata.id')
    if not isinstance(own, str) or normal(own) != uri:
        return f'answered for {own!r}'
    if 'Members' not in doc:
        return None
    members = doc['Members']
    if not isinstance(members, list):
        return 'Members is no array'
    count = doc.get('Members@odata.count')
    paged = 'Members@odata.nextLink' in doc
    if type(count) is int and count != len(members) and not paged:
        return f'{len(members)} members of {count}'
    wanted = str(doc.get('@odata.type', '')).split('.')[0]
    wanted = wanted.removeprefix('#').removesuffix('Collection')
    for member in members:
        if not isinstance(member, Mapping) or not isinstance(
                member.get('@odata.id'), str):
            return 'a member without an @odata.id'
        if len(member) == 1:
            return f'{member["@odata.id"]} is not expanded'
        kind = str(member.get('@odata.type', '')).split('.')[0]
        if wanted and kind.removeprefix('#') != wanted:
            return f'{member["@odata.id"]} is of type {kind!r}'
    return None
