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

"""Request a new inventory of a node and wait for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from osc_lib.exceptions import CommandError

from ironic_accel.conductor.node import keys
from ironic_accel.faces.osc import api
from ironic_accel.faces.osc.errors import NodeBusy
from ironic_accel.faces.osc.jobs import run_status
from ironic_accel.faces.osc.jobs.run_status import Status


class RefreshJob:
    """Refresh one node; a ``parallel.NodeJob``.

    :param power_on: whether to power on a host that is off; None leaves it
        to the conductor, which does so for nodes without an instance.
    """

    devices: Sequence[str] = ()

    def __init__(self, ironic: api.Ironic, ref: str,
                 power_on: bool | None = None) -> None:
        self.ref = ref
        self._ironic = ironic
        self._power_on = power_on
        self._id: str | None = None

    def begin(self) -> None:
        """Request the refresh.

        :raises: CommandError if the state of the node does not allow it.
        """
        node = self._ironic.managed(self.ref)
        check_idle(node, self.ref)
        if node['provision_state'] not in keys.REFRESH_STATES:
            raise CommandError(
                f"cannot refresh node {self.ref} in provision state "
                f"{node['provision_state']}; allowed: "
                f"{', '.join(keys.REFRESH_STATES)}")
        args: dict[str, Any] = {}
        if self._power_on is not None:
            args['power_on'] = self._power_on
        self._id = str(self._ironic.post(
            self.ref, 'accel_refresh', **args)['id'])

    def read(self) -> Status:
        """Read the status of the refresh."""
        return run_status.read(self._ironic, self.ref, None, self._id)


def check_idle(node: api.Document, ref: str) -> None:
    """Check that no accelerator operation is in progress on a node.

    One that Ironic has ended, for example by an abort, is none.

    :raises: NodeBusy with the operation.
    """
    current = keys.OPERATION.read(api.info(node))
    if current and keys.has_ended(current, str(node['provision_state'])):
        return
    unasked = current and current['kind'] == 'idle' \
        and current['step'] in keys.UNASKED_STEPS \
        and not current.get('restore')
    if current and not unasked and current.get('work') != 'watch':
        raise NodeBusy(
            f"node {ref}: {current['step']} is in progress "
            f"({current.get('progress') or 'starting'}); wait until it has "
            'ended')


def check_writable(node: api.Document, ref: str) -> None:
    """Check that an operation that writes may be started on a node.

    :raises: as ``check_idle``; CommandError in maintenance.
    """
    check_idle(node, ref)
    if node.get('maintenance'):
        raise CommandError(
            f"node {ref} is in maintenance "
            f"({node.get('maintenance_reason') or 'no reason given'}): "
            'no operation is started; next: baremetal node maintenance '
            f'unset {ref}')
