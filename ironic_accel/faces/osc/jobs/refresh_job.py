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

"""A look at the accelerators of a node, asked for and waited for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from osc_lib.exceptions import CommandError

from ironic_accel.conductor.node import keys
from ironic_accel.faces.osc import api
from ironic_accel.faces.osc.errors import NodeBusy
from ironic_accel.faces.osc.jobs import run_status
from ironic_accel.faces.osc.jobs.run_status import Status

#: Provision states in which the conductor looks on request.
STATES = ('enroll', 'manageable', 'available', 'active')


class Refresh:
    """Look at one node; a job of ``fleet``.

    :param power_on: whether a host that is off is powered on for it; None
        leaves that to the conductor, which does so on free nodes.
    """

    devices: Sequence[str] = ()

    def __init__(self, ironic: api.Ironic, ref: str,
                 power_on: bool | None = None) -> None:
        self.ref = ref
        self._ironic = ironic
        self._power_on = power_on
        self._id: str | None = None

    def begin(self) -> None:
        """Ask for it.

        :raises: CommandError where the node is in no state for it.
        """
        node = self._ironic.node(self.ref)
        api.check_ours(node, self.ref)
        check_idle(node, self.ref)
        if node['provision_state'] not in STATES:
            raise CommandError(
                f"node {self.ref} is {node['provision_state']}: a look on "
                f"request wants it {', '.join(STATES)}")
        args: dict[str, Any] = {}
        if self._power_on is not None:
            args['power_on'] = self._power_on
        self._id = str(self._ironic.post(
            self.ref, 'accel_refresh', **args)['id'])

    def look(self) -> Status:
        """See how it goes."""
        return run_status.look(self._ironic, self.ref, None, self._id)


def check_idle(node: api.Document, ref: str) -> None:
    """Make sure that nothing of ours is under way on a node.

    :raises: Busy that says what is; CommandError in maintenance, where
        nothing of ours is taken up.
    """
    current = keys.OPERATION.read(api.info(node))
    unasked = current and current['kind'] == 'idle' \
        and current['step'] in keys.UNASKED_STEPS \
        and not current.get('restore')
    if current and not unasked and current.get('work') != 'watch':
        raise NodeBusy(
            f"node {ref}: {current['step']} is under way "
            f"({current.get('progress') or 'just begun'}); wait for its end")
    if node.get('maintenance'):
        raise CommandError(
            f"node {ref} is in maintenance "
            f"({node.get('maintenance_reason') or 'no reason given'}): "
            'nothing is taken up there; next: baremetal node maintenance '
            f'unset {ref}')
