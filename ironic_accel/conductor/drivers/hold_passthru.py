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

"""Passthru methods that hold a node, and that remove its power lock."""

from __future__ import annotations

from typing import Any

from ironic.common import exception
from ironic.drivers import base

from ironic_accel.conductor.drivers import policies
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.node.stored_values import StoredGuard

#: Characters of a reason: it is one line of a node's history.
LONGEST = 500

#: The methods, with the policy of each.
METHODS = {'accel_hold': policies.HOLD, 'accel_unhold': policies.HOLD,
           'accel_unlock': policies.UNLOCK}


class Holding:
    """The passthru methods that hold a node and end a guard."""

    def validate(self, task: Any, method: str | None = None,
                 **kwargs: Any) -> None:
        """Check who asks, and for what.

        :raises: HTTPForbidden, InvalidParameterValue, InvalidState.
        """
        if method not in METHODS:
            super().validate(task, method, **kwargs)  # type: ignore[misc]
            return
        policies.enforce(task, METHODS[method])
        unknown = set(kwargs) - {'reason', 'http_method'}
        if unknown:
            raise exception.InvalidParameterValue(
                f"{method}: {', '.join(sorted(unknown))}: unknown argument; "
                'supported arguments: reason')
        _check_reason(kwargs.get('reason'))
        if method == 'accel_unlock':
            check_unlock(task)

    @base.passthru(['POST'], async_call=False, require_exclusive_lock=True,
                   description='Hold the node: no new write to its '
                               'accelerators and no host reset begins. An '
                               'update in progress is monitored until it '
                               'ends. Argument: reason.')
    def accel_hold(self, task: Any, **kwargs: Any) -> dict[str, Any]:
        """Hold the node."""
        flash_guard.put_hold(
            task.node, str(kwargs['reason']).strip(),
            operation.asked_by(task.context))
        return {'hold': dict(flash_guard.hold_of(task.node) or {})}

    @base.passthru(['POST'], async_call=False, require_exclusive_lock=True,
                   description='Remove the hold of a node. Argument: reason.')
    def accel_unhold(self, task: Any, **kwargs: Any) -> dict[str, Any]:
        """Remove the hold."""
        before = flash_guard.hold_of(task.node)
        if before is not None:
            flash_guard.lift_hold(
                task.node, str(kwargs['reason']).strip(),
                operation.asked_by(task.context))
        return {'hold': None, 'was': dict(before or {}) or None}

    @base.passthru(['POST'], async_call=False, require_exclusive_lock=True,
                   description='Remove the power lock of the node. The '
                               'operator confirms that no update is in '
                               'progress any more. Argument: reason.')
    def accel_unlock(self, task: Any, **kwargs: Any) -> dict[str, Any]:
        """Remove the power lock; the record of the write is kept."""
        node = task.node
        standing = check_unlock(task)
        asked = operation.asked_by(task.context)
        saving.history(node, (
            f"power lock of {standing['what']} removed by an operator ("
            f"{standing.get('state')}, last progress: "
            f"{standing.get('last') or 'nothing'}): "
            f"{str(kwargs['reason']).strip()}"),
            user=asked.get('user'), project=asked.get('project'))
        flash_guard.drop(node)
        if operation.load(node) is not None:
            keys.OPERATION.drop(node)
        saving.save(node)
        return {'guard': None, 'was': standing}


def check_unlock(task: Any) -> StoredGuard:
    """The power lock that an operator may remove.

    :raises: InvalidState if the node has none, or an operation is in progress,
        which would only set it again.
    """
    node = task.node
    standing = flash_guard.lock_of(node)
    if standing is None:
        over = flash_guard.applicable(task)
        more = ('; it is covered by the power lock of its parent '
                f'{over[1].uuid}: unlock the parent' if over else '')
        raise exception.InvalidState(
            f'node {node.uuid} has no power lock{more}')
    current = operation.load(node)
    if current is not None and current.work != 'watch' \
            and operation.is_current(node, current):
        raise exception.InvalidState(
            f'node {node.uuid}: {current.step} is in progress ('
            f'{current.progress or current.phase}); hold the node, and unlock '
            'it after the step has ended')
    return standing


def _check_reason(reason: object) -> None:
    if not isinstance(reason, str) or not reason.strip() \
            or len(reason) > LONGEST or not reason.isprintable():
        raise exception.InvalidParameterValue(
            f'reason: {reason!r:.80}: expected one line of text of at most '
            f'{LONGEST} characters')
