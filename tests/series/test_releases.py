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

"""Records of a run, between an earlier release of ours and this one.

What the earlier one wrote is read and continued. What this one writes is left
alone by the earlier one, which says why; the power lock is in force all the
time.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conductors import pair as conductors
from tests.functional import stage
from tests.functional.harness.conductors import Conductor
from tests.functional.harness.machines import Machine
from tests.functional.harness import process
from tests.series import upgrade

#: What the earlier release says.
LATER = 'a later version works on it'
#: A line of the log for each call of a periodic of ours.
PASS = "Submitting periodic callback 'ironic_accel."
PASSES = 30
_STATUS = 'from ironic_accel.faces.cli.main import status; status()'


def passes(by: Conductor) -> int:
    """How often a conductor has called periodics of ours."""
    return by.running().log.read_text(errors='replace').count(PASS)


def said_before_an_upgrade(by: Conductor) -> str:
    """What the upgrade check of its release says."""
    told = subprocess.run(
        [sys.executable, '-c', _STATUS, '--config-file', str(by.config),
         'upgrade', 'check'], cwd=by.folder, env=process.environment(by.env),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        check=False)
    return ' '.join(told.stdout.replace('|', ' ').split())


def leaves_alone(one: Machine, dead: Conductor, by: Conductor) -> None:
    """Kill a conductor; the one with the earlier release does nothing."""
    dead.kill()
    one.ironic = by
    before = one.info
    conductors.until('the takeover', lambda: by.api.node(
        one.uuid)['conductor'] == by.address, 300)
    stage.forget(one)
    stage.finish(one)
    conductors.until('the flash to end', lambda: not stage.flashing(one))
    # It passes over the node several times.
    seen = passes(by)
    conductors.until('its passes', lambda: passes(by) > seen + PASSES)
    assert LATER in said_before_an_upgrade(by)
    after = one.info
    # It may save the digests of its profiles with any node.
    for name in ('accel_record', 'accel_guard', 'accel_operation'):
        assert after[name] == before[name], name
    told = stage.ledger(one)
    assert (told['pushes'], told['resets']) == ([], [])
    assert told['by_method'].keys() <= {'GET'}
    assert by.api.node(one.uuid)['provision_state'] == 'clean wait'


@pytest.mark.timeout(1500)
def test_earlier_records_are_continued_and_later_ones_left_alone(
        of_two_releases: upgrade.Pair) -> None:
    pair = of_two_releases
    older, newer = pair.older, pair.newer
    with pair.begun('released') as (profile, forth):
        assert forth.info['accel_record']['schema'] == 'record/1'
        newer.start()
        newer.wait_ready(180)
        pair.both_up()
        upgrade.goes_over(forth, older, newer)
        assert forth.info['accel_record']['schema'] == 'record/2'
        upgrade.ends(forth, profile)
        back = pair.flashing(newer, 'back', profile)
        older.restart(180)
        pair.both_up()
        leaves_alone(back, newer, older)
        newer.restart(180)
        pair.both_up()
        older.stop()
        back.ironic = newer
        newer.api.wait_state(back.uuid, 'manageable', 300)
        assert stage.result(back)['outcome'] == 'converged'
        told = stage.ledger(back)
        assert (told['pushes'], told['violations']) == ([], [])
        assert stage.running(back) == {stage.NEW['gpu']}
