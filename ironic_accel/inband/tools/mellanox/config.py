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

"""The configuration of NVIDIA's (Mellanox) adapters, as mstconfig tells it.

Sources: mstflint (github.com/Mellanox/mstflint), ``mlxconfig/mlxcfg_ui.cpp``:
of 4.36 writeParamToJson and WriteSingleParam for the JSON (``read_only``, and
N/A of a value that the card did not tell); of 4.21, which is Debian 12's and
has no ``-j``, printConfHeader, printSingleParam and queryDevCfg for the table
(RO, the columns that a firmware cannot read), and what it says where it could
not query some of the parameters. ``mlxcfg_tlv.cpp``: a parameter of class 3
(Per_Host_Per_Function) is that of the function which is asked, so NVIDIA's
nic-configuration-operator asks and sets each physical function.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import os
import re
import tempfile
from typing import Any

from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine.machine import Ran
from ironic_accel.inband.tools import common
from ironic_accel.model.nv_parameters import MIXED

TOOL = 'mstconfig'
#: What it prints of a value that the card did not tell.
NONE = 'N/A'

_HEADER = re.compile(r'^Configurations:\s+(?P<columns>.*\S)\s*$',
                     re.MULTILINE)
#: By title, the key that the JSON has for a column.
_COLUMNS = {'Default': 'default_value', 'Current': 'current_value',
            'Next Boot': 'next_value'}
_TITLE = re.compile('|'.join(_COLUMNS))
#: A line of the table: a mark, the name, and a value for each column.
_ROW = re.compile(r'^[ \t]*\*?(?P<mark>RO)?[ \t]+'
                  r'(?P<name>[A-Z][A-Za-z0-9_]*(?:\[[0-9.]+\])?)'
                  r'[ \t]+(?P<values>\S.*?)[ \t]*$', re.MULTILINE)
_NO_JSON = re.compile(r'^-E-.*-j\b', re.MULTILINE)


@dataclasses.dataclass(frozen=True, slots=True)
class Config:
    """The answer to a query.

    :ivar parameters: by name; each has ``current_value`` and ``next_value``,
        as far as the firmware can read them.
    :ivar lacking: why some or all are missing, or None.
    :ivar unread: why single ones have no value that counts, by name.
    :ivar functions: by name, the addresses of the other functions that have
        a parameter too, each for itself.
    """

    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    lacking: str | None = None
    unread: Mapping[str, str] = dataclasses.field(default_factory=dict)
    functions: Mapping[str, tuple[str, ...]] = dataclasses.field(
        default_factory=dict)

    def next_value(self, name: str) -> object:
        """What a parameter will be after the next boot."""
        return common.table(self.parameters.get(name)).get('next_value')

    def is_read_only(self, name: str) -> bool:
        """Whether the card does not let this host write a parameter."""
        return common.table(self.parameters.get(name)).get('read_only') is True


def joined(first: Config, others: Mapping[str, Config], names: Iterable[str]
           ) -> Config:
    """The configuration of a card, from those of its physical functions.

    A function that does not have a parameter does not count for it.

    :param others: by address, of the functions besides the first.
    :param names: of the parameters that each function has for itself: where
        they differ, the value is ``mixed``; where one was not read, none is.
    """
    found, unread = dict(first.parameters), dict(first.unread)
    functions: dict[str, tuple[str, ...]] = {}
    for name in names:
        mine = common.table(found.get(name))
        for address, other in others.items() if mine else ():
            if name in other.parameters:
                functions[name] = (*functions.get(name, ()), address)
                mine = _both(mine, common.table(other.parameters[name]))
            elif other.lacking:
                unread[name] = f'{address}: {other.lacking}'
            found[name] = mine
    return Config(found, first.lacking, unread, functions)


def _both(mine: Mapping[str, Any], theirs: Mapping[str, Any]
          ) -> dict[str, Any]:
    """One parameter of two functions; the table has ``read_only`` of those
    alone that are."""
    no = {key: True for key in ('read_only',)
          if mine.get(key) is True or theirs.get(key) is True}
    return {**{key: _same(value, theirs.get(key))
               for key, value in mine.items()}, **no}


def _same(mine: object, theirs: object) -> object:
    """One value of two functions: the value itself, ``mixed``, or none."""
    if theirs is None or mine is None:
        return None
    if isinstance(mine, bool):
        return mine or theirs is True
    if NONE in (mine, theirs):
        return NONE
    return mine if mine == theirs else MIXED


def query(host: Machine, address: str) -> Config:
    """Query the whole configuration of a card.

    A query that could not read some parameters ends with an error, but prints
    the others.
    """
    with tempfile.TemporaryDirectory(prefix='mstconfig-') as folder:
        path = os.path.join(folder, 'query.json')
        ran = host.run((TOOL, '-d', address, '-j', path, '-e', 'query'),
                       common.ASK)
        raw = common.json_file(path)
    if not ran.ok and raw is None and _NO_JSON.search(ran.out + ran.err):
        ran = host.run((TOOL, '-d', address, '-e', 'query'), common.ASK)
        return _config(parse_table(ran.out), ran, 'its output has no table '
                       'of configurations')
    for entry in common.table(raw).values():
        found = common.table(entry).get('tlv_configuration')
        if isinstance(found, dict):
            return _config(found, ran, 'its JSON has no tlv_configuration')
    return _config({}, ran, 'its JSON has no tlv_configuration')


def _config(found: Mapping[str, Any], ran: Ran, empty: str) -> Config:
    if ran.timed_out or not ran.ok:
        return Config({} if ran.timed_out else found,
                      common.said(TOOL, ran))
    return Config(found, None if found else empty)


def parse_table(text: str) -> Mapping[str, Mapping[str, Any]]:
    """The parameters in the table that the tool prints without ``-j``.

    A line with another number of values than the table has columns is left
    out: its values cannot be assigned.
    """
    header = _HEADER.search(text)
    if header is None:
        return {}
    keys = [_COLUMNS[title] for title in _TITLE.findall(header['columns'])]
    found: dict[str, Mapping[str, Any]] = {}
    for match in _ROW.finditer(text, header.end()):
        values = match['values'].split()
        if keys and len(values) == len(keys):
            row: dict[str, Any] = dict(zip(keys, values, strict=True))
            found.setdefault(match['name'], row if match['mark'] is None
                             else {**row, 'read_only': True})
    return found
