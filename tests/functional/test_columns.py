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

"""The largest profile that is accepted fits the columns of MariaDB.

SQLite does not mind how long a text is; there, ``driver_internal_info`` and
the step fields have 65,535 bytes each.
"""

from __future__ import annotations

from collections.abc import Iterator
import json
from typing import Any

import pytest

from tests.functional import stage
from tests.functional.harness import ironic as ironic_service
from tests.functional.harness import Lab
from tests.functional.harness import mariadb
from tests.functional.harness.lab import INTERFACES
from tests.functional.harness.machines import Machine

#: Bytes of compact JSON that an inline profile may have.
LIMIT = 8192


@pytest.fixture
def second(lab: Lab) -> Iterator[ironic_service.Ironic]:
    """One more Ironic, on MariaDB."""
    if mariadb.find_server() is None:
        pytest.skip("Debian's package mariadb-server is missing")
    database = lab.add(mariadb.MariaDB(lab.site))
    database.wait_ready()
    more = lab.ironic_on(database.create('ironic'), 'ironic-mariadb')
    try:
        yield more
    finally:
        more.stop()
        database.stop()


def largest() -> dict[str, Any]:
    """A profile for the HGX box that has the limit's size."""
    profile: dict[str, Any] = {
        'profile': 1, 'name': 'largest', **stage.modes(ecc='disabled')}
    places = [f'GPU_SXM_{n}' for n in range(1, 9)]
    profile['devices']['gpus']['match'] = {**stage.GPUS, 'location': places}
    profile['devices']['gpus']['count'] = {'min': 1}
    filler = 0
    while True:
        places.append(f'elsewhere-{filler:04d}')
        filler += 1
        # What it is stored as has its limits spelt out besides.
        if len(json.dumps(profile, separators=(',', ':'))) > LIMIT - 150:
            places.pop()
            return profile


def test_the_largest_profile_fits_mariadb(
        lab: Lab, second: ironic_service.Ironic) -> None:
    profile = largest()
    twin = lab.twin('--system', 'hgx-h100', '--power', 'on',
                    '--time-scale', '400')
    node = second.api.create_node(
        driver='accel-redfish', name='large',
        driver_info={'redfish_address': twin.url,
                     'redfish_auth_type': 'basic',
                     'redfish_system_id': stage.SYSTEM},
        **INTERFACES)
    one = Machine(second, twin, node)
    second.api.manage(one.uuid)
    second.api.set_provision(one.uuid, 'clean',
                             clean_steps=[stage.step(profile)])
    most = 0

    def measure(told: Any) -> bool:
        nonlocal most
        now = second.api.node(one.uuid)
        most = max(most, len(json.dumps(now['driver_internal_info'])))
        return bool(now['provision_state'] in ('manageable', 'clean failed')
                    and not now['reservation'])

    stage.wait(one, 'the clean to end', measure)
    assert second.api.why(one.uuid) == ''
    assert stage.result(one)['outcome'] == 'converged'
    assert stage.result(one)['writes'] > 0
    # The step in the list of steps, the profile, and the record.
    assert 2 * (LIMIT - 200) < most < 60000
