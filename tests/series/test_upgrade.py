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

"""A run begins on a conductor of one series and ends on that of another.

Both ways, on one database that is brought to the newer series in between, by
the death of the conductor that has the node (SIGKILL).
"""

from __future__ import annotations

import pytest

from tests.functional import stage
from tests.functional.harness.conductors import Conductor
from tests.functional.harness.machines import Machine
from tests.functional.test_story import trait
from tests.series import upgrade


def readable(one: Machine, by: Conductor) -> None:
    """What one series has stored of a node is read by the other."""
    copies = [e for e in by.api.history(one.uuid)
              if 'generation' in str(e['event'])]
    assert len(copies) == 1
    rows = by.api.firmware(one.uuid)
    assert [r for r in rows if r['component'].endswith('/gpu')]
    told = by.api.passthru(one.uuid, 'accel_progress')
    assert isinstance(told, dict) and told['guard']


@pytest.mark.timeout(1500)
def test_runs_go_over_to_the_newer_series_and_back(
        of_two_series: upgrade.Pair) -> None:
    pair = of_two_series
    older, newer = pair.older, pair.newer
    with pair.begun('upgraded') as (profile, forth):
        pair.enter()
        newer.start()
        newer.wait_ready(180)
        pair.both_up()
        readable(forth, newer)
        upgrade.goes_over(forth, older, newer)
        # A second one begins on the newer conductor, which is alone now.
        back = pair.flashing(newer, 'back', profile)
        older.restart(180)
        pair.both_up()
        readable(back, older)
        readable(forth, older)
        upgrade.ends(forth, profile)
        upgrade.goes_over(back, newer, older)
        upgrade.ends(back, profile)
        # The rest of the way: no conductor of the older series is left.
        newer.restart(180)
        pair.both_up()
        older.stop()
        pair.leave()
        for one in (forth, back):
            one.ironic = newer
            newer.api.wait_node(one.uuid, 'it to be of the newer one',
                                lambda node: node['conductor']
                                == newer.address, 120)
            stage.forget(one)
            newer.api.clean(one.uuid, [stage.step(profile)], 300)
            told = stage.ledger(one)
            assert (told['pushes'], told['writes']) == ([], [])
            assert stage.result(one)['outcome'] == 'converged'
            assert trait('IS', profile) in newer.api.traits(one.uuid)
