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

"""Cells that people read as text and programs as data."""

from __future__ import annotations

from collections.abc import Mapping
import datetime
from typing import Any

from cliff import columns

from ironic_accel.faces import view

#: What stands where the caller may not look.
NOT_PERMITTED = 'not permitted'


class Cell(columns.FormattableColumn[Any]):
    """A value with its text; JSON, YAML and value formats get the value."""

    def __init__(self, value: Any, text: str | None = None) -> None:
        super().__init__(value)
        self._text = view.value(value) if text is None else text

    def human_readable(self) -> str:
        """The text."""
        return self._text


def row(*values: Any) -> tuple[Any, ...]:
    """A row of cells; what is a cell already stays as it is."""
    return tuple(v if isinstance(v, columns.FormattableColumn) else Cell(v)
                 for v in values)


def firmware(components: Any) -> Cell:
    """Components of a device: text for people, name to version for others."""
    return Cell({c['name']: c['running'] if c['pending'] in (
        None, c['running']) else {'running': c['running'],
                                  'pending': c['pending']}
                 for c in components}, view.firmware(components))


def modes(found: Mapping[str, Any]) -> Cell:
    """Modes of a device."""
    return Cell({name: m['current'] if m['pending'] in (
        None, m['current']) else {'current': m['current'],
                                  'pending': m['pending']}
                 for name, m in found.items()}, view.modes(found))


def age(seconds: float) -> str:
    """``34 s``, ``12 min``, ``5 h``, ``3 d``."""
    for size, unit in ((86400, 'd'), (3600, 'h'), (60, 'min')):
        if seconds >= 2 * size:
            return f'{seconds / size:.0f} {unit}'
    return f'{max(seconds, 0):.0f} s'


def moment(epoch: float | None) -> str | None:
    """Epoch seconds as a time of day in UTC."""
    if epoch is None:
        return None
    at = datetime.datetime.fromtimestamp(epoch, datetime.UTC)
    return f'{at:%Y-%m-%dT%H:%M:%SZ}'
