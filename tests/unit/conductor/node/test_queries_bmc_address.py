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

"""The address of a BMC, in whatever way it is written."""

from __future__ import annotations

from collections.abc import Callable
import json
import types
from typing import Any

import pytest

from ironic_accel.conductor.node import queries

Make = Callable[..., Any]

#: Texts that name one and the same BMC, by its address.
SPELLINGS = {
    'bmc-7.example.org:443': (
        'bmc-7.example.org', 'https://bmc-7.example.org/',
        'HTTPS://BMC-7.Example.ORG:443/redfish/v1', 'bmc-7.example.org:443',
        '  https://bmc-7.example.org. ', 'https://admin@bmc-7.example.org',
        'https://bmc-7.exam\nple.org', 'https://bmc-7.exa\tmple.org',
        'https://bmc-7.example.org:port'),
    # The sign for kelvin is a k, once it is in lower case.
    'kbmc:443': ('https://kbmc', 'https://\u212aBMC', 'kbmc?x', 'KBMC#y'),
    'b\u00e4mc:443': ('https://b\u00e4mc', 'https://B\u00c4MC/'),
    '192.0.2.7:80': ('http://192.0.2.7', 'http://192.0.2.7:80/',
                     'https://192.0.2.7:80', 'http://192.0.2.7./'),
    '192.0.2.7:8443': ('https://192.0.2.7:8443', '192.0.2.7:8443'),
    '2001:db8::a5:443': (
        'https://[2001:db8::a5]', 'https://[2001:DB8:0:0:0:0:0:A5]:443/',
        '[2001:0db8::00a5]', 'https://[2001:db8::0.0.0.165]'),
    '2001:db8:::443': (
        'https://[2001:db8::]', '[2001:db8::0]', '[2001:db8::0000]',
        'https://[2001:db8:0:0:0:0:0.0.0.0]'),
    'fe80::5%eth0:443': ('https://[fe80::5%eth0]', '[FE80::0005%eth0]'),
}
SPELLED = [(address, text) for address, texts in SPELLINGS.items()
           for text in texts]


def of(value: object) -> str | None:
    return queries.bmc_address(types.SimpleNamespace(
        driver_info={'redfish_address': value}))


@pytest.mark.parametrize(('address', 'text'), SPELLED)
def test_one_bmc_has_one_address(address: str, text: str) -> None:
    assert of(text) == address


@pytest.mark.parametrize('value', [
    None, '', '  ', 7, ['https://bmc'], 'https://', 'https://[::1',
    'https://[not-an-address]', 'https://b\u2100mc'])
def test_invalid_address_is_no_bmc(value: object) -> None:
    """And no error: one such node would end the questions of all others."""
    assert of(value) is None


@pytest.fixture
def cloud(make_node: Make) -> dict[str, str]:
    """A node for each spelling, and the text of its address by its uuid."""
    return {make_node(driver_info={
        'redfish_address': text, 'redfish_password': 'p'}).uuid: text
        for _address, text in SPELLED}


def test_the_database_finds_every_spelling_and_no_other_bmc(
        cloud: dict[str, str]) -> None:
    assert len(cloud) == len(SPELLED) > 25
    for address, texts in SPELLINGS.items():
        found = [cloud[n.uuid] for n in queries.behind_bmc({address})
                 if n.uuid in cloud]
        assert sorted(found) == sorted(texts), address
    two = ['192.0.2.7:80', 'kbmc:443']
    found = [cloud[n.uuid] for n in queries.behind_bmc(two)
             if n.uuid in cloud]
    assert sorted(found) == sorted(t for a in two for t in SPELLINGS[a])


@pytest.mark.parametrize('database', ['mysql', 'postgresql', 'sqlite'])
@pytest.mark.parametrize(('address', 'text'), SPELLED)
def test_the_condition_misses_no_spelling(
        address: str, text: str, database: str) -> None:
    """As its LIKEs read: in what order, the database does not matter."""
    from ironic.db.sqlalchemy import models
    import sqlalchemy
    made = queries.may_have_bmc(
        sqlalchemy.type_coerce(models.Node.driver_info, sqlalchemy.Text),
        [address], database)
    stored = json.dumps({'redfish_address': text}).lower()
    parts = made.compile().params.values()
    assert any(str(p).replace('//', '\0').replace('/', '').replace('\0', '/')
               .lower() in stored for p in parts)
