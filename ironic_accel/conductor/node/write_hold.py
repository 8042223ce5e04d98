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

"""The stop switch: nothing new is begun, what runs is watched to its end.

The option ``[accelerator]allow_writes`` stops all nodes of a conductor, and
is read again at SIGHUP; a hold stops one node, and those that are written to
in the same run: its children.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oslo_config import cfg
from oslo_log import log

from ironic_accel.conductor.config import clock
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import queries
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.node.stored_values import StoredHold
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import held

LOG = log.getLogger(__name__)


class Held(AccelError):
    """Nothing may be begun now; nothing was saved and nothing was begun."""


def of(node: Any) -> StoredHold | None:
    """The hold of a node, or None.

    :param node: a node, or anything with ``driver_internal_info``.
    """
    return keys.HOLD.of(node) or None


def writes_allowed() -> bool:
    """Whether this conductor may write.

    oslo.config reports a value that is not a boolean when it is read, not at
    SIGHUP. It counts as false: an exception here would end the runs that are
    to be monitored.
    """
    try:
        return bool(CONF.accelerator.allow_writes)
    except cfg.ConfigFileValueError as exc:
        LOG.error('Writes are disabled: %s', exc)
        return False


def why(task: Any) -> str | None:
    """Why nothing new may be begun on a node, or None.

    :param task: of the node; its children are asked too, because they are
        written to in its runs.
    """
    if not writes_allowed():
        return (f'writes are disabled on conductor {CONF.host}'
                ' ([accelerator]allow_writes is not true)')
    # Values of a child that Ironic overwrote are read from their copy; the
    # node itself is restored before anything is done to it.
    for kind, node in (('node', task.node), *(
            ('child node', child)
            for child in queries.with_copies_restored(
                queries.children(task.node.uuid)))):
        hold = of(node)
        if hold is not None:
            return f'{kind} {node.uuid} is {held(hold)}'
    return None


def check(task: Any) -> None:
    """Make sure that a write, a reset or a power on may begin.

    :raises: Held.
    """
    found = why(task)
    if found:
        raise Held('waiting, no write or reset begins: '
                   f'{found}', node=task.node.uuid,
                   error_class=ErrorClass.TRANSIENT,
                   todo='the operation continues when the hold is removed')


def put(node: Any, reason: str, asked: Mapping[str, str]) -> None:
    """Hold a node, and save it.

    :param asked: who asks (``operation.asked_by``).
    :raises: NotOurs.
    """
    keys.HOLD.put(node, {
        'reason': reason, 'by': asked.get('user'), 'at': clock.now()})
    saving.history(node, f'held, no write or reset begins: {reason}',
                   user=asked.get('user'), project=asked.get('project'))
    saving.save(node)


def lift(node: Any, reason: str, asked: Mapping[str, str]) -> None:
    """Remove the hold of a node, and save it.

    :raises: NotOurs.
    """
    keys.HOLD.drop(node)
    saving.history(node, f'no longer held: {reason}',
                   user=asked.get('user'), project=asked.get('project'))
    saving.save(node)
