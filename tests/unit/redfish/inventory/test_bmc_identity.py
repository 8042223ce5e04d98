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

"""By what a BMC is known whatever its host name is."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import pytest

from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.client.reader import Reader
from ironic_accel.redfish.client import session
from ironic_accel.redfish.inventory import bmc_identity
from ironic_accel.redfish.inventory.bmc_identity import BmcIdentity
from ironic_accel_emulator import load_box
from ironic_accel_emulator import TwinServer

CAPTURES = (pathlib.Path(__file__).resolve().parents[5] / 'shared'
            / 'captures')


def read(name: str, system: str | None = None, *faults: str) -> BmcIdentity:
    box = load_box(name)
    for fault in faults:
        box.misbehave(fault)
    with TwinServer(box) as url:
        connector = session.connect(url)
        try:
            return bmc_identity.read(
                Reader(connector, BmcSettings()), 'http://bmc', system)
        finally:
            session.disconnect(connector)


def test_a_bmc_is_known_by_its_service_and_its_systems() -> None:
    found = read('hgx-h100')
    assert found.system == '/redfish/v1/Systems/System_0'
    assert None not in (found.service, found.uuid, found.serial)
    assert found.uuid in found.others
    assert len(found.others) == 2
    assert found.names == (found.service,)
    assert dataclasses.replace(found, service=None).names == found.others


def test_two_systems_of_a_bmc_share_its_names() -> None:
    one, two = (read('two-nodes', node) for node in ('Node0', 'Node1'))
    assert one.names == two.names
    assert not one.is_same(two)


@pytest.mark.parametrize('value', [
    '00000000-0000-0000-0000-000000000000',
    'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF',
    '03000200-0400-0500-0006-000700080009',
    '03000200-0400-0500-0006-000700080009'.upper(),
    '85775665-c110-4b85-8989-e6162170b3ec', '', 'Not Specified'])
def test_a_uuid_that_many_machines_share_identifies_nothing(
        value: str) -> None:
    found = read('plain', None, f'says=/UUID:"{value}"')
    assert (found.service, found.uuid, found.names) == (None, None, ())
    assert found.serial is not None


def test_missing_values_identify_nothing() -> None:
    found = read('plain', None, 'absent=/UUID', 'says=/SerialNumber:"0000"')
    assert (found.names, found.serial) == ((), None)


@pytest.mark.parametrize('capture, system, service, uuid', [
    ('gb300-supermicro', 'System_0',
     'e4378fd3-bafa-473b-b2a2-32db529a1952',
     '5f1cf000-643d-11f0-8000-7cc25590513a'),
    ('dell-r750-h100', None, None,
     '4c4c4544-0035-3410-8050-c6c04f314733'),
    ('a100x4-cray-ex235n', 'Node0', None, None),
    # The UUID of its service is that of all mockups of DMTF.
    ('dmtf-smartnic', None, None, '38947555-7742-3448-3784-823347823834')])
def test_captures_of_real_machines(capture: str, system: str | None,
                                   service: str | None, uuid: str | None
                                   ) -> None:
    path = CAPTURES / f'{capture}.tar.gz'
    if not path.is_file():
        pytest.skip(f'{path} is not there')
    found = read(str(path), system)
    assert (found.service, found.uuid) == (service, uuid)


SAME: dict[str, Any] = {'url': 'https://a', 'system': '/s', 'service': 'A',
                        'uuid': 'B', 'serial': 'C'}


@pytest.mark.parametrize('one, other, same', [
    ({}, {}, True),
    ({}, {'url': 'https://b'}, True),
    ({}, {'url': 'https://b', 'service': None}, True),
    ({}, {'url': 'https://b', 'uuid': None, 'serial': None}, True),
    ({}, {'service': 'X'}, False),
    ({}, {'uuid': 'X'}, False),
    ({}, {'serial': 'X'}, False),
    ({}, {'system': '/t'}, False),
    ({'service': None, 'uuid': None}, {'url': 'https://A:443'}, True),
    ({'service': None, 'uuid': None}, {'url': 'https://b'}, False),
    ({'service': None, 'uuid': None, 'serial': None},
     {'service': None, 'uuid': None, 'serial': None}, True)])
def test_identities_are_the_same_unless_a_value_contradicts(
        one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    first, second = (BmcIdentity(**{**SAME, **x}) for x in (one, other))
    assert first.is_same(second) is same
    assert second.is_same(first) is same
