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

"""The failed state that Ironic's error handlers do not set if power off fails.

With ``[conductor]poweroff_in_cleanfail`` and ``poweroff_in_servicefail`` the
handlers power a node off before they fail it, and catch no exception (ironic
39, conductor/utils.py cleaning_error_handler and servicing_error_handler).
Whatever exception the power interface raises, the node would stay in a
transient state without an operation.
"""

from __future__ import annotations

from typing import Any

from ironic.common import states
from ironic import objects
from oslo_log import log

from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import db_retry
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import saving

LOG = log.getLogger(__name__)

#: By the state in which a handler of Ironic's acts: what the operation is,
#: and whether it has failed by then.
_STATES = {
    states.CLEANING: ('clean', False), states.CLEANWAIT: ('clean', False),
    states.CLEANFAIL: ('clean', True),
    states.SERVICING: ('service', False),
    states.SERVICEWAIT: ('service', False),
    states.SERVICEFAIL: ('service', True)}
_OPTIONS = {'clean': 'poweroff_in_cleanfail',
            'service': 'poweroff_in_servicefail'}
#: The types of the rows that those handlers write to a node's history.
_EVENTS = {'clean': states.CLEANING, 'service': states.SERVICING}


def fail(task: Any, power_state: str) -> str | None:
    """Fail the node of a handler whose power off is about to be refused.

    A handler has taken the step away by then. So has Ironic where it powers
    a node off before the first step and after the last one, with a handler
    around it that finds the node failed.

    :param task: holds the node exclusively.
    :param power_state: what is asked for.
    :returns: why the operation failed, or None where no handler asks.
    """
    node = task.node
    kind, failed = _STATES.get(node.provision_state, (None, False))
    if kind is None or power_state != states.POWER_OFF \
            or not CONF.conductor[_OPTIONS[kind]] \
            or getattr(node, operation.STEP_FIELDS[kind]):
        return None
    why = _why(node, _EVENTS[kind])
    if not failed:
        manual = (kind == 'clean'
                  and node.target_provision_state == states.MANAGEABLE)
        try:
            saving.process_event(
                task, 'fail', states.MANAGEABLE if manual else None)
        except saving.NotOurs as exc:
            LOG.warning('Not moving node %(node)s to a failed state: %(why)s',
                        {'node': node.uuid, 'why': exc})
    return why


def _why(node: Any, event_type: str) -> str | None:
    """The reason that a handler recorded last; ``last_error`` may be empty."""
    there = db_retry.call(
        lambda: objects.NodeHistory.list_by_node_id(None, node.id))
    rows = [row for row in there if row.event_type == event_type]
    return str(max(rows, key=lambda row: row.id).event) if rows else None
