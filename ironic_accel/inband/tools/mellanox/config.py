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
of 4.36 writeParamToJson and WriteSingleParam for the JSON; of 4.21, which is
Debian 12's and has no ``-j``, printConfHeader, printSingleParam and
queryDevCfg for the table, the columns that a firmware cannot read, and what
it says where it could not query some of the parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import os
import re
import tempfile
from typing import Any

from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine.machine import Ran
from ironic_accel.inband.tools import common

TOOL = 'mstconfig'

_HEADER = re.compile(r'^Configurations:\s+(?P<columns>.*\S)\s*$',
                     re.MULTILINE)
#: By title, the key that the JSON has for a column.
_COLUMNS = {'Default': 'default_value', 'Current': 'current_value',
            'Next Boot': 'next_value'}
_TITLE = re.compile('|'.join(_COLUMNS))
#: A line of the table: a mark, the name, and a value for each column.
_ROW = re.compile(r'^[ \t]*(?:\*|RO)?[ \t]+(?P<name>[A-Z][A-Z0-9_]*'
                  r'(?:\[[0-9.]+\])?)[ \t]+(?P<values>\S.*?)[ \t]*$',
                  re.MULTILINE)
_NO_JSON = re.compile(r'^-E-.*-j\b', re.MULTILINE)


@dataclasses.dataclass(frozen=True, slots=True)
class Config:
    """The answer to a query.

    :ivar parameters: by name; each has ``current_value`` and ``next_value``,
        as far as the firmware can read them.
    :ivar lacking: why some or all are missing, or None.
    """

    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    lacking: str | None = None

    def next_value(self, name: str) -> object:
        """What a parameter will be after the next boot."""
        return common.table(self.parameters.get(name)).get('next_value')


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


def parse_table(text: str) -> Mapping[str, Mapping[str, str]]:
    """The parameters in the table that the tool prints without ``-j``.

    A line with another number of values than the table has columns is left
    out: its values cannot be assigned.
    """
    header = _HEADER.search(text)
    if header is None:
        return {}
    keys = [_COLUMNS[title] for title in _TITLE.findall(header['columns'])]
    found: dict[str, Mapping[str, str]] = {}
    for match in _ROW.finditer(text, header.end()):
        values = match['values'].split()
        if keys and len(values) == len(keys):
            found.setdefault(match['name'],
                             dict(zip(keys, values, strict=True)))
    return found
