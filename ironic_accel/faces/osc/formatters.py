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

"""Table cells: text for people, data for JSON, YAML and value formats."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import datetime
from typing import Any

from cliff import columns

from ironic_accel.faces import sheet
from ironic_accel.faces import view

#: The text of a cell that the caller may not read.
NOT_PERMITTED = 'not permitted'


class Cell(columns.FormattableColumn[Any]):
    """A value with its text.

    The table format prints the text, JSON and YAML the value, and the other
    formats the value as one line.

    :param document: whether the value is a whole document, in the place of
        which the other formats print the text.
    """

    def __init__(self, value: Any, text: str | None = None,
                 document: bool = False) -> None:
        super().__init__(value)
        self._text = view.value(value) if text is None else text
        self._document = document

    def human_readable(self) -> str:
        """The text."""
        return self._text

    def single(self) -> Any:
        """What stands in the place of the value in a format without lists."""
        if self._document and self._value is not None:
            return self._text
        return sheet.flat(self._value)


def printed(rows: Iterable[Sequence[Any]], form: str,
            one_line: bool = True) -> list[Sequence[Any]]:
    """Rows as an output format prints them.

    ``csv``, ``value`` and ``shell`` have no lists and mappings; the client
    would print those as Python writes them.

    :param form: the name of the format (``-f``).
    :param one_line: whether a row has to be one line.
    """
    if form not in ('csv', 'value', 'shell'):
        return list(rows)
    found = []
    for row in rows:
        cells = [cell.single() if isinstance(cell, Cell) else cell
                 for cell in row]
        if form == 'csv':
            cells = [sheet.cell(value) for value in cells]
        elif one_line:
            cells = ['; '.join(value.splitlines())
                     if isinstance(value, str) else value for value in cells]
        found.append(cells)
    return [*found]


def row(*values: Any) -> tuple[Any, ...]:
    """A row of cells from values and cells."""
    return tuple(v if isinstance(v, columns.FormattableColumn) else Cell(v)
                 for v in values)


def firmware(components: Any) -> Cell:
    """The firmware of a device; as data, versions by component."""
    return Cell({c['name']: c['running'] if c['pending'] in (
        None, c['running']) else {'running': c['running'],
                                  'pending': c['pending']}
                 for c in components}, view.firmware(components))


def modes(found: Mapping[str, Any]) -> Cell:
    """The modes of a device; as data, values by mode."""
    return Cell({name: m['current'] if m['pending'] in (
        None, m['current']) else {'current': m['current'],
                                  'pending': m['pending']}
                 for name, m in found.items()}, view.modes(found))


def age(seconds: float) -> str:
    """Format a duration: ``34 s``, ``12 min``, ``5 h``, ``3 d``."""
    for size, unit in ((86400, 'd'), (3600, 'h'), (60, 'min')):
        if seconds >= 2 * size:
            return f'{seconds / size:.0f} {unit}'
    return f'{max(seconds, 0):.0f} s'


def moment(epoch: float | None) -> str | None:
    """Format epoch seconds as date and time in UTC."""
    if epoch is None:
        return None
    at = datetime.datetime.fromtimestamp(epoch, datetime.UTC)
    return f'{at:%Y-%m-%dT%H:%M:%SZ}'
