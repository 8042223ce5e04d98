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

"""Uploads that a second request starts (UpdateService v1.7, StartUpdate).

The first task only verifies the image. When it has ended or is pending, the
action is posted once. The response names the task of the update, or the
first task continues.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ironic_accel.converge.ports import Continues
from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import GO
from ironic_accel.converge.ports import Poll
from ironic_accel.redfish.actions import tasks
from ironic_accel.redfish.client import origin
from ironic_accel.redfish.client import session
from ironic_accel.redfish.client.writer import Writer

#: Ticket key: URI of the action that starts the upload.
START = 'start_at'


def ticket(made: dict[str, Any], uri: str | None) -> dict[str, Any]:
    """The ticket of an upload, with the action to post after its check."""
    if uri is None or made['kind'] != 'task':
        return made
    return {**made, START: str(uri)}


def poll(connector: session.Connector, writer: Writer,
         told: Mapping[str, Any]) -> Poll:
    """Poll the check; with ``GO`` in the ticket, start the upload.

    :raises: Unreachable; also Rejected, OutcomeUnknown when it starts the
        upload.
    """
    if told.get(GO):
        return Continues(_start(writer, told))
    polled = tasks.poll(connector, told)
    if isinstance(polled, Ended) and all(r.ok for r in polled.results):
        return Continues({**told, GO: True})
    return polled


def _start(writer: Writer, told: Mapping[str, Any]) -> dict[str, Any]:
    """Start an upload; returns the ticket of the update."""
    answer = writer.send('POST', origin.ResolvedUri(
        str(told[START]), '#UpdateService.StartUpdate target'))
    parts = [tuple(p) for p in told.get('parts', ())]
    made = tasks.ticket(answer, parts)
    if made['kind'] == 'task':
        return made
    # No other task in the response: the task of the check continues.
    return {k: v for k, v in told.items() if k in (
        'kind', 'task', 'monitor', 'parts')}
