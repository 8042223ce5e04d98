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

"""The table of the page of roles and policies, as tests read it."""

from __future__ import annotations

import dataclasses
import re

from tests import consoles

PAGE = consoles.SOURCE / 'admin/roles.rst'
#: A role with those that it implies (``keystone-manage bootstrap``).
ROLES = {'admin': ('admin', 'manager', 'member', 'reader'),
         'manager': ('manager', 'member', 'reader'),
         'member': ('member', 'reader'), 'reader': ('reader',)}
#: Where a role may be held, in the order of the columns.
PLACES = ('system', 'owner', 'lessee')
_ROW = re.compile(r'^(.+?) +``(b:n[\w:]*|baremetal:[\w:]+)(?:``)? +'
                  r'(\w+|--) +(\w+|--) +(\w+|--)$')


@dataclasses.dataclass(frozen=True)
class Row:
    """One row: what, its policy, and the least role of each place.

    :ivar least: None where no role is enough.
    """

    what: str
    policy: str
    least: dict[str, str | None]

    def allows(self, role: str, place: str) -> bool:
        """Whether a user with one role in one place may do it."""
        least = self.least.get(place)
        return least is not None and least in ROLES[role]


def rows() -> list[Row]:
    """Return the rows in the order of the page."""
    lines = PAGE.read_text('utf-8').splitlines()
    found = []
    for number, line in enumerate(lines):
        if match := _ROW.match(line):
            name = match[2]
            if name.endswith(':'):
                name += lines[number + 1].strip().rstrip('`')
            found.append(Row(
                match[1].strip(),
                re.sub(r'^b:n', 'baremetal:node', name),
                {place: None if role == '--' else role for place, role
                 in zip(PLACES, match.groups()[2:], strict=True)}))
    return found
