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

"""Check that a response is the requested resource (DSP0266).

A service that is busy, starting or broken may return any body with HTTP 200.
A Redfish resource has its own ``@odata.id``. An object with ``error`` in it
is an error, whatever the HTTP status.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ironic_accel.redfish.client.json_document import last
from ironic_accel.redfish.client.json_document import normal
from ironic_accel.redfish.client.json_document import stem

#: The annotation that names the settings object of a resource (DSP0266).
SETTINGS = '@Redfish.Settings'


def wrong(uri: str, doc: Any, moved: str = '') -> str | None:
    """What is wrong with the response to a read of a resource, or None.

    The same resource may have two paths (some services list PCIeDevices
    below Systems and below Chassis), and the body may have the other one.
    Therefore only the last segments are compared.

    :param moved: the final path after redirects.
    """
    if not isinstance(doc, Mapping):
        return f'a JSON {_name(doc)} instead of a resource'
    if not doc:
        return 'an empty object instead of a resource'
    own = doc.get('@odata.id')
    if own is None and isinstance(doc.get('@odata.type'), str):
        # Its type is known, although its path is not.
        return None
    if 'error' in doc and not (isinstance(own, str) and isinstance(
            doc.get('@odata.type'), str)):
        return f'an error: {_error(doc["error"])}'
    if not isinstance(own, str):
        return 'an object without @odata.id instead of a resource'
    if last(own).lower() not in (last(uri).lower(), last(moved).lower()):
        return f'another resource: {own[:120]}'
    return None


def wrong_collection(doc: Mapping[str, Any]) -> str | None:
    """What is wrong with one page of a collection, or None."""
    members = doc.get('Members')
    if not isinstance(members, list):
        return 'a collection without Members'
    for member in members:
        uri = member.get('@odata.id') if isinstance(member, Mapping) else None
        if not isinstance(uri, str) or not uri:
            return 'a collection with a member without @odata.id'
    return None


def wrong_member(collection: Mapping[str, Any], member: Mapping[str, Any]
                 ) -> str | None:
    """What is wrong with a member's type, or None (DSP0266, collections).

    The name of a vendor's own type ends with that of the standard type (jobs
    of a vendor's type among Jobs).
    """
    wanted = _type(collection).removesuffix('Collection')
    told = _type(member)
    if wanted and told and not told.endswith(wanted):
        return f'a resource of type {told} where {wanted} was expected'
    return None


def _type(doc: Mapping[str, Any]) -> str:
    told = doc.get('@odata.type')
    return told.split('.')[0].lstrip('#') if isinstance(told, str) else ''


def _name(value: Any) -> str:
    if isinstance(value, list):
        return 'array'
    return 'value' if value is not None else 'null'


def _error(value: Any) -> str:
    """The message or code of an error object, shortened."""
    text = value
    if isinstance(value, Mapping):
        text = value.get('message') or value.get('code')
    return str(text)[:120]


def shape(doc: Mapping[str, Any]) -> frozenset[str]:
    """The names of a resource's properties, without most annotations."""
    return frozenset(filter(_counts, doc))


def _counts(name: str) -> bool:
    """Whether a property has to be in an expanded member too.

    Of the annotations ``@Redfish.Settings`` alone: a value is written to the
    resource that it names, and would be written elsewhere without it.
    """
    return '@' not in name or name == SETTINGS


def samples(members: Mapping[str, Mapping[str, Any]], most: int,
            enough: float, one_kind: bool = False) -> list[str]:
    """The members that stand for all in a test of an expanded collection.

    A member stands for those with the same form of Id and the same
    properties: resources of another kind may have properties that
    ``$expand`` omits, and look alike without them. Where all are of one
    kind, whatever their Ids are, a member also stands for those with a part
    of its properties. Those that stand for most come first.

    :param members: as expanded, by path.
    :param most: the maximum number.
    :param enough: the share of the members for which those in front stand,
        from which on no more are needed.
    """
    alike: dict[tuple[str, frozenset[str]], list[str]] = {}
    for uri, doc in members.items():
        alike.setdefault(('' if one_kind else stem(uri), shape(doc)),
                         []).append(uri)
    richest = [one for one in alike if not one_kind or not any(
        one[1] < o[1] for o in alike)]
    of = {one: [u for other, uris in alike.items() if other == one
                or (one_kind and other[1] < one[1]) for u in uris]
          for one in richest}
    out: list[str] = []
    stood: set[str] = set()
    for one in sorted(richest, key=lambda k: -len(of[k]))[:most]:
        if stood and len(stood) >= enough * len(members):
            break
        out.append(alike[one][0])
        stood.update(of[one])
    return out


def dropped(whole: Mapping[str, Any], member: Mapping[str, Any]
            ) -> str | None:
    """The first property that a member of an expanded collection lacks.

    :param whole: the same resource, read directly.
    """
    for key, value in whole.items():
        if not _counts(key):
            continue
        if key not in member:
            return key
        inner = member[key]
        if isinstance(value, Mapping) and isinstance(inner, Mapping) and (
                more := dropped(value, inner)) is not None:
            return f'{key}.{more}'
    return None


def wrong_expansion(uri: str, doc: Mapping[str, Any]) -> str | None:
    """What is wrong with the response to ``$expand``, or None.

    Services that advertise ``$expand`` were seen to return another resource,
    fewer members, or bare links.
    """
    own = doc.get('@odata.id')
    if not isinstance(own, str) or normal(own) != uri:
        return f'the response is for {own!r}'
    if 'Members' not in doc:
        return None
    members = doc['Members']
    if not isinstance(members, list):
        return 'Members is not an array'
    count = doc.get('Members@odata.count')
    paged = 'Members@odata.nextLink' in doc
    if type(count) is int and count != len(members) and not paged:
        return f'{len(members)} of {count} members'
    wanted = str(doc.get('@odata.type', '')).split('.')[0]
    wanted = wanted.removeprefix('#').removesuffix('Collection')
    for member in members:
        if not isinstance(member, Mapping) or not isinstance(
                member.get('@odata.id'), str):
            return 'a member without @odata.id'
        if len(member) == 1:
            return f'{member["@odata.id"]} is not expanded'
        kind = str(member.get('@odata.type', '')).split('.')[0]
        if wanted and kind.removeprefix('#') != wanted:
            return f'{member["@odata.id"]} is of type {kind!r}'
    return None
