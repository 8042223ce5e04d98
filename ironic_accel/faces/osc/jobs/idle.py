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

"""Wait until nothing is in progress on nodes."""

from __future__ import annotations

from collections.abc import Sequence

from osc_lib.exceptions import CommandError

from ironic_accel.conductor.node import keys
from ironic_accel.faces.osc import api
from ironic_accel.faces.osc.jobs import parallel
from ironic_accel.faces.osc.jobs.progress_display import ProgressDisplay
from ironic_accel.faces.osc.jobs import run_status
from ironic_accel.faces.osc.jobs.run_status import Status


class IdleJob:
    """Wait until a node is idle and unlocked; a ``parallel.NodeJob``."""

    devices: Sequence[str] = ()

    def __init__(self, ironic: api.Ironic, ref: str) -> None:
        self.ref = ref
        self._ironic = ironic

    def begin(self) -> None:
        """Begin nothing: what is waited for runs already."""

    def read(self) -> Status:
        """Read whether anything is in progress."""
        node = self._ironic.node(self.ref)
        state = str(node['provision_state'])
        current = keys.OPERATION.read(api.info(node))
        if node.get('maintenance') and state not in run_status.MOVING:
            # In maintenance no conductor continues an operation.
            return Status(state, 'in maintenance', outcome='done')
        if current is not None:
            return Status(state, f"{current['step']}: "
                          f"{current.get('progress') or 'starting'}",
                          current.get('percent'))
        if state in run_status.MOVING or api.readable(node, 'reservation'):
            return Status(state, state)
        return Status(state, 'idle', outcome='done')


def wait(ironic: api.Ironic, refs: Sequence[str], display: ProgressDisplay,
         limit: float | None = None) -> None:
    """Wait until all nodes are idle.

    :param limit: seconds; None for no limit.
    :raises: CommandError for those that are not idle then.
    """
    busy = [run for run in parallel.run(
        [IdleJob(ironic, ref) for ref in refs], display, keep_going=True,
        limit=limit) if run.outcome not in run_status.GOOD]
    if busy:
        raise CommandError('; '.join(
            f'node {run.job.ref}: '
            + str(run.status.error if run.status else run.outcome)
            for run in busy) + '; nothing was changed')
