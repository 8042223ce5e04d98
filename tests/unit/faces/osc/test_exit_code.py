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

"""The exit code of an apply on several nodes is that of the worst."""

from __future__ import annotations

from unittest import mock

import pytest

from ironic_accel.faces.osc.commands import apply
from ironic_accel.faces.osc.jobs import parallel
from ironic_accel.faces.osc.jobs import run_status


def run(outcome: str | None) -> parallel.NodeRun:
    """A run that has come to something; None for one not started."""
    job = mock.create_autospec(parallel.NodeJob, instance=True)
    if outcome is None:
        return parallel.NodeRun(job)
    status = mock.create_autospec(run_status.Status, instance=True)
    status.outcome = outcome
    return parallel.NodeRun(job, status)


@pytest.mark.parametrize('outcomes, code', [
    (['converged', 'done'], 0), (['converged', ''], 0),
    (['converged', 'refused'], 3), (['refused', None], 3),
    (['refused', 'failed'], 4), (['failed'], 4), ([None], 4)])
def test_the_exit_code_is_that_of_the_worst_outcome(
        outcomes: list[str | None], code: int) -> None:
    assert apply.status([run(o) for o in outcomes]) == code
