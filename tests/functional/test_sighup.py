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

"""The stop switch by a signal to a conductor as upstream starts it.

The lab's own command runs the service without the process that handles
signals (``tests.functional.harness.run_ironic``); this is Ironic's
``ironic``, as an operator starts it. At SIGHUP its worker reads the
configuration, ends and is started anew (cotyledon, Service.reload).
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from tests.functional import stage
from tests.functional.harness import ironic as ironic_service
from tests.functional.harness import Lab
from tests.functional.harness import process
from tests.functional.harness import services
from tests.functional.harness.machines import Machine

#: Seconds for which a changed file is seen not to count by itself.
STILL = 3.0


class Upstream(ironic_service.Ironic):
    """Ironic's own command, in the processes that it makes of itself."""

    def __init__(self, lab: Lab) -> None:
        self.settings = {**lab._accelerator()}
        super().__init__(lab.site, self.settings, name='ironic-upstream')

    def start(self) -> None:
        """Make the tables and start it."""
        self.configure()
        scripts = pathlib.Path(sys.executable).parent
        told = ['--config-file', str(self.config)]
        subprocess.run([scripts / 'ironic-dbsync', *told, 'create_schema'],
                       check=True, capture_output=True, timeout=120)
        self.spawn([str(scripts / 'ironic'), *told])

    def allow(self, writes: bool) -> None:
        """Set the switch in the configuration's file."""
        services.write_settings(self.config, self._base(), self.settings, {
            'accelerator': {'allow_writes': writes}})

    def hang_up(self) -> None:
        """Have it read its configuration again."""
        os.kill(self.running().pid, signal.SIGHUP)


@pytest.fixture
def upstream(lab: Lab) -> Iterator[Upstream]:
    """One more Ironic."""
    more = lab.add(Upstream(lab))
    more.wait_ready(120)
    try:
        yield more
    finally:
        more.stop()


def writes(one: Machine) -> bool:
    """Whether the conductor says that writes may begin."""
    told = one.ironic.api.passthru(one.uuid, 'accel_profiles')
    assert isinstance(told, dict)
    return bool(told['writes'])


def wait_writes(one: Machine, allowed: bool, seconds: float = 90) -> None:
    """Wait until the conductor says so; it is away for a moment."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(process.LabError):
            if writes(one) is allowed:
                return
        assert time.monotonic() < end, f'the switch is not {allowed}'
        time.sleep(stage.POLL)


def test_a_signal_stops_writes_and_lets_them_begin_again(
        lab: Lab, upstream: Upstream) -> None:
    one = lab.machine('--system', 'hgx-h100', '--power', 'on', '--time-scale',
                      str(stage.SCALE), system=stage.SYSTEM, into=upstream)
    api = upstream.api
    api.manage(one.uuid)
    with stage.site_profile(lab, 'switched', **stage.modes(ecc='disabled')
                            ) as profile:
        asked = [stage.step(profile)]
        stage.forget(one)
        upstream.allow(False)
        time.sleep(STILL)
        assert writes(one)
        upstream.hang_up()
        wait_writes(one, False)
        status, text = stage.refused(lambda: api.clean(one.uuid, asked))
        assert (status, 'allow_writes' in text) == (409, True), text
        assert api.node(one.uuid)['provision_state'] == 'manageable'
        told = stage.ledger(one)
        assert (told['writes'], told['resets']) == ([], [])
        upstream.allow(True)
        upstream.hang_up()
        wait_writes(one, True)
        api.clean(one.uuid, asked)
    assert stage.result(one)['outcome'] == 'converged'
    assert stage.ledger(one)['violations'] == []
