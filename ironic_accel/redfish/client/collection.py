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

"""The members of a collection, over all its pages.

DSP0266: ``Members``, ``Members@odata.count`` (of the whole collection, on
each page) and ``Members@odata.nextLink``.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses

from ironic_accel.redfish.client import documents
from ironic_accel.redfish.client.getter import Doc
from ironic_accel.redfish.client.getter import Failure
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client import origin


@dataclasses.dataclass(slots=True)
class Listed:
    """The members of one collection.

    :ivar links: their paths, each once, in the order of the pages.
    :ivar failures: why the list may be incomplete: a page that was not read,
        a member without a link, or another number of members than
        ``Members@odata.count``. ``links`` has the other members.
    :ivar warnings: other findings.
    """

    links: list[str]
    failures: list[Failure]
    warnings: list[str]


def members(doc: Doc, ask: Callable[[str], Doc | Failure],
            fields: Callable[[Doc], Fields], limit: int, counted: bool
            ) -> Listed:
    """The members that a collection lists.

    :param doc: its first page.
    :param ask: reads another page by its link.
    :param fields: gives typed access to a page.
    :param limit: maximum number of members.
    :param counted: whether their number must equal ``Members@odata.count``.
    :raises: Unreachable if the BMC does not respond any more.
    """
    out = Listed([], [], [])
    seen: dict[str, None] = {}
    pages: set[str] = set()
    number, told = 0, None
    page: Doc | None = doc
    while page is not None:
        wrong = documents.wrong_collection(page)
        if wrong:
            out.failures.append(Failure(200, f'HTTP 200 with {wrong}'))
        links = fields(page).links('Members')
        number += len(links)
        seen.update(dict.fromkeys(links))
        count = page.get('Members@odata.count')
        told = count if type(count) is int else told
        if len(seen) > limit:
            out.failures.append(Failure(200, f'more than {limit} members: '
                                        'the others are not read'))
            out.links = list(seen)[:limit]
            return out
        page = _next(page, ask, pages, out)
    if counted and told is not None and told != number and not out.failures:
        out.failures.append(Failure(
            200, f'{number} of {told} members (Members@odata.count)'))
    out.links = list(seen)
    return out


def _next(page: Doc, ask: Callable[[str], Doc | Failure], pages: set[str],
          out: Listed) -> Doc | None:
    """The next page; None if there is none, or if it cannot be read."""
    following = page.get('Members@odata.nextLink')
    if following is None:
        return None
    if not isinstance(following, str) or not following or (
            following in pages):
        out.failures.append(Failure(200, 'invalid Members@odata.nextLink: '
                                    f'{str(following)[:120]}'))
        return None
    pages.add(following)
    said = origin.warning(following)
    if said is not None:
        out.warnings.append(f'Members@odata.nextLink: {said}')
    found = ask(following)
    if isinstance(found, Failure):
        out.failures.append(Failure(
            found.status,
            f'cannot read all pages of its members: {found.answer}'))
        return None
    return found
