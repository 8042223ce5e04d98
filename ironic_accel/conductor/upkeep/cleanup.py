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

"""Removal of what a kill, a delete or a tenant left behind.

A conductor that is killed in a step leaves the step, its flags and our
operation on the node; a delete out of a wait state leaves them too. Ironic's
next clean would be mistaken for the old one, and succeed without running.
"""

from __future__ import annotations

from collections.abc import Collection
import math
from typing import Any

from ironic.common import async_steps
from ironic.common import states
from oslo_log import log

from ironic_accel.conductor.config import declared_steps
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.config import profiles
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import history
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node.node_cache import ScanCache
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import profile_agreement
from ironic_accel.conductor.node import queries
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.node import verification
from ironic_accel.conductor.operation import completion
from ironic_accel.conductor.publication import traits
from ironic_accel.conductor.publication import withdraw

LOG = log.getLogger(__name__)

#: Provision states in which no step of ours can be running.
SETTLED = frozenset({
    states.ENROLL, states.MANAGEABLE, states.AVAILABLE, states.ACTIVE,
    states.CLEANFAIL, states.DEPLOYFAIL, states.SERVICEFAIL, states.ERROR,
    states.INSPECTFAIL, states.ADOPTFAIL, states.RESCUE, states.RESCUEFAIL})


#: The columns that ``wanted`` reads.
_COLUMNS = ('uuid', 'driver_internal_info', 'provision_state',
            'instance_uuid', 'maintenance', *operation.STEP_FIELDS.values())

#: Seconds after which Ironic is told again that a step has ended: by then it
#: has gone on, if it was told.
TELL_AGAIN = 300.0


def found(provision_states: Collection[str]) -> list[str]:
    """The unreserved nodes with something to remove.

    :param provision_states: only nodes in these states.
    """
    scan, now = queries.scanned(), clock.shared()
    basis = (profile_agreement.own(), dict(profile_agreement.differing()),
             CONF.accelerator.verification_max_age)
    states_ = frozenset(provision_states)
    late = [i for i, until in _clean.values(scan, basis).items()
            if until < now and i in scan.nodes
            and scan.nodes[i][2] in states_ and not scan.nodes[i][3]]
    return [row.uuid for row in queries.by_id(late, _COLUMNS) if wanted(row)]


def _holds_until(ids: list[int]) -> dict[int, float]:
    """Until when there is nothing to remove on nodes that do not change."""
    return {row.id: -math.inf if wanted(row) else min(
                verification.holds_until(row), _told_again_at(row))
            for row in queries.by_id(ids, _COLUMNS)}


_clean: ScanCache[float] = ScanCache(_holds_until)


def wanted(node: Any) -> bool:
    """Whether there is anything to clear away on a node.

    :param node: a node, or a row with ``_COLUMNS``.
    """
    if operation.later_version(node) is not None:
        return False
    if _stale_operation(node) or _unwatched(node) or (
            clock.shared() > _told_again_at(node)):
        return True
    if node.provision_state not in SETTLED:
        return False
    if any(_is_ours(getattr(node, f))
           for f in operation.STEP_FIELDS.values()):
        return True
    if _differs(node) or _agrees_again(node) or _unnoted(node):
        return True
    return verification.had_tenant(node) or bool(
        verification.of(node)
        and verification.void(node, profiles.site_profiles().all()))


def reap(task: Any) -> None:
    """Clear away; the node is locked. It may be released then."""
    node = task.node
    saving.restore_overwritten(node)
    if clock.shared() > _told_again_at(node):
        completion.tell_again(task)
        return
    if _stale_operation(node):
        _drop_stale(node)
    if _unwatched(node):
        completion.keep_monitoring(task)
    if node.provision_state in SETTLED:
        _drop_steps(node)
        if _unnoted(node):
            withdraw.note_tenant(node)
        _withdraw_void(task)
        if _agrees_again(node):
            # Nothing is powered on for it.
            keys.DIFFERING.drop(node)
            operation.begin_refresh(node, keys.FOLLOW_UP_STEP,
                                    power_on=False)
    saving.save(node)


def _stale_operation(node: Any) -> bool:
    """Whether there is an operation whose step has ended.

    While Ironic begins or ends a step the flags may be missing for a moment:
    only settled states count, and those of a delete.
    """
    current = operation.load(node)
    if current is None or operation.is_current(node, current):
        return False
    return current.kind == 'idle' or node.provision_state in SETTLED or (
        node.provision_state in operation.OPERATIONS
        and operation.OPERATIONS[node.provision_state] != current.kind)


def _unwatched(node: Any) -> bool:
    """Whether there is a power lock without an operation that could release
    it.
    """
    return (flash_guard.lock_of(node) is not None
            and operation.load(node) is None
            and operation.kind_of(node) in ('idle', None))


def _told_again_at(node: Any) -> float:
    """When Ironic is to be told again that a step has ended (epoch seconds).

    Our operation ends before Ironic is told, and nothing would be in progress
    any more on a node that waits. Each step drops the result of the one
    before, and Ironic removes its polling flag when it goes on.

    :returns: infinite for any other node.
    """
    result, kind = keys.RESULT.of(node) or {}, operation.kind_of(node)
    told = result.get('told')
    if kind not in operation.POLLING or not isinstance(told, int | float):
        return math.inf
    step = getattr(node, operation.STEP_FIELDS[kind]) or {}
    waits = (node.provision_state == operation.WAIT_STATES[kind]
             and node.driver_internal_info.get(operation.POLLING[kind])
             and not node.maintenance
             and not keys.OPERATION.is_there(node)
             and _is_ours(step)
             and (result.get('operation'), result.get('step'))
             == (kind, step.get('step')))
    return told + TELL_AGAIN if waits else math.inf


def _is_ours(step: Any) -> bool:
    return declared_steps.get(step) is not None


def _drop_stale(node: Any) -> None:
    """Drop an operation whose step has ended, and keep it in the history."""
    current = operation.load(node)
    LOG.warning('Node %(node)s: %(step)s was aborted in state %(state)s; '
                'removing its operation', {
        'node': node.uuid, 'state': node.provision_state,
        'step': current.step if current else 'an operation'})
    if current is not None:
        history.stopped(node, current, 'the node is '
                        f'{node.provision_state}, and its step has ended')
        if current.phase == 'restore':
            operation.note_left_off(node, current)
    completion.drop_operation(node)


def _drop_steps(node: Any) -> None:
    stale = [f for f in operation.STEP_FIELDS.values()
             if _is_ours(getattr(node, f))]
    for field in stale:
        setattr(node, field, {})
    if stale:
        async_steps.remove_node_flags(node)
        LOG.warning('Node %(node)s: removed stale %(fields)s',
                    {'node': node.uuid, 'fields': ', '.join(stale)})


def _differs(node: Any) -> dict[str, str]:
    """The published profiles that another conductor has differently."""
    names = {meaning.profile
             for meaning in traits.published(node).values()
             if meaning.profile is not None} - set(_held(node))
    found = profile_agreement.differing() if names else {}
    return {n: found[n] for n in names if n in found}


def _held(node: Any) -> list[str]:
    """What is not published because conductors differ about it."""
    return list(keys.DIFFERING.of(node) or ())


def _agrees_again(node: Any) -> bool:
    """Whether withheld profiles may be published again after a refresh."""
    held = _held(node)
    return (bool(held) and operation.can_refresh(node)
            and not set(held) & set(profile_agreement.differing()))


def _unnoted(node: Any) -> bool:
    """Whether a tenant has a node with verifications and it is not noted.

    A site may have disallowed the deploy step that does.
    """
    return (node.provision_state in traits.HAS_INSTANCE
            and not keys.TENANT.of(node) and bool(verification.of(node)))


def _withdraw_void(task: Any) -> None:
    node = task.node
    void = verification.void(node, profiles.site_profiles().all())
    differs = _differs(node)
    gone = verification.had_tenant(node)
    if not void and not gone and not differs:
        return
    scope = withdraw.void_proofs(void)
    if differs:
        scope |= withdraw.disagreed(differs)
        keys.DIFFERING.put(node, sorted({*_held(node), *differs}))
    if gone:
        scope |= withdraw.tenant_left()
    names = withdraw.withdraw(task, scope)
    LOG.info('Node %(node)s: withdrew traits %(names)s (%(why)s)', {
        'node': node.uuid, 'names': ', '.join(names) or 'nothing',
        'why': '; '.join(f'{k}: {v}' for k, v in {
            **{n: f'conductor {h} has a different profile of this name'
               for n, h in differs.items()}, **void}.items())
        or 'a tenant had the node'})
