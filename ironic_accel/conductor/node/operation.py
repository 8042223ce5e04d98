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

"""What the conductor remembers of a step that it works on.

The loop's own memory is the record (``model.record``); this is the
conductor's: which of Ironic's operations the record belongs to, when it is
due, and what has to be restored at the end. Both live in
``driver_internal_info``, under keys of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import json
from typing import Any
from typing import cast
import uuid

from ironic.common import async_steps
from ironic.common import exception
from ironic.common import states

from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.node.stored_values import misfit
from ironic_accel.conductor.node.stored_values import StoredOperation
from ironic_accel.conductor.node.stored_values import StoredRecord
from ironic_accel.model import earlier_documents
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model import history
from ironic_accel.model import record as record_mod
from ironic_accel.model.record import Record

#: The step of a refresh that an operator, or a run on a parent, asks for.
REFRESH_STEP = 'accel_refresh'

#: The work (``Operation.work``) of every refresh, as it is stored with nodes
#: since the first release.
REFRESH_WORK = 'look'

#: ``driver_internal_info`` is 65,535 bytes of TEXT on MySQL, and others
#: write to it too (ironic/db/sqlalchemy/models.py, Node).
MAX_INFO_BYTES = 60000

#: The operation of Ironic by provision state. The step fields are no
#: indication: a stale one is often left behind.
OPERATIONS = {
    states.CLEANING: 'clean', states.CLEANWAIT: 'clean',
    states.DEPLOYING: 'deploy', states.DEPLOYWAIT: 'deploy',
    states.SERVICING: 'service', states.SERVICEWAIT: 'service',
    states.ENROLL: 'idle', states.MANAGEABLE: 'idle',
    states.AVAILABLE: 'idle', states.ACTIVE: 'idle'}
WAIT_STATES = {
    'clean': states.CLEANWAIT, 'deploy': states.DEPLOYWAIT,
    'service': states.SERVICEWAIT}
POLLING = {
    'clean': async_steps.CLEANING_POLLING,
    'deploy': async_steps.DEPLOYMENT_POLLING,
    'service': async_steps.SERVICING_POLLING}
STEP_FIELDS = {'clean': 'clean_step', 'deploy': 'deploy_step',
               'service': 'service_step'}


@dataclasses.dataclass(frozen=True, slots=True)
class Operation:
    """One step, or one refresh, in progress on a node.

    :ivar kind: ``clean``, ``deploy``, ``service``, or ``idle`` for a refresh
        that is not a step of Ironic.
    :ivar work: the name of the work (``operation.work``): ``apply``, ``look``
        for an inventory, ``reset``, ``refuse`` for a step that ends as refused
        (``why`` has the reason), or ``watch`` for a write that outlived its
        step.
    :ivar state: the provision state of an ``idle`` one: it ends if that
        changes.
    :ivar phase: ``run``, or ``restore`` once the outcome is known.
    :ivar profile: the name of the profile.
    :ivar inline: whether the profile is stored in the node, not on the
        conductor.
    :ivar activation: the strongest reset that the step and the node allow, or
        None to leave that to the profile.
    :ivar why: why it is no stronger, or empty.
    :ivar disruption: whether an instance may be interrupted.
    :ivar power_on: whether a host that is off may be powered on.
    :ivar in_band: whether the agent is one of the transports.
    :ivar ramdisk: whether an agent ran when it began: one must be running
        again after each host reset.
    :ivar awaits: epoch seconds until which it waits for an agent, or None.
    :ivar due: epoch seconds of the next tick.
    :ivar started: epoch seconds.
    :ivar deadline: epoch seconds at which a ``look`` or ``reset`` fails.
    :ivar restore: the power state to restore at the end, or None.
    :ivar failures: consecutive failed inventories.
    :ivar writes: writes sent, without host resets (``model.plan.Counts``).
    :ivar device_resets: those of the writes that reset a device.
    :ivar resets: host resets performed.
    :ivar requests: requests of the inventories.
    :ivar ticket: a device reset in progress (``reset``).
    :ivar outcome: the result, once ``phase`` is ``restore``.
    :ivar changed_before: whether an earlier step of the same service may have
        changed something.
    :ivar changes: what it began to write (``history.dump``).
    :ivar asked: who requested it, as far as Ironic knows: ``user`` and
        ``project`` (ids), ``request`` (the id in the log of its API).
    """

    kind: str
    step: str
    work: str = 'apply'
    id: str = dataclasses.field(default_factory=lambda: uuid.uuid4().hex)
    state: str | None = None
    phase: str = 'run'
    profile: str = ''
    inline: bool = False
    activation: str | None = None
    why: str = ''
    disruption: bool = False
    power_on: bool = True
    in_band: bool = False
    ramdisk: bool = False
    awaits: float | None = None
    due: float = 0.0
    started: float = 0.0
    deadline: float = 0.0
    restore: str | None = None
    failures: int = 0
    writes: int = 0
    resets: int = 0
    requests: int = 0
    progress: str = ''
    percent: int | None = None
    ticket: Mapping[str, Any] | None = None
    devices: tuple[str, ...] = ()
    outcome: Mapping[str, Any] | None = None
    changed_before: bool = False
    asked: Mapping[str, str] = dataclasses.field(default_factory=dict)
    device_resets: int = 0

    @property
    def needs_agent(self) -> bool:
        """Whether it goes on with a ramdisk, or waits for one."""
        return self.ramdisk or self.awaits is not None
    changes: tuple[Any, ...] = ()

    def but(self, **changes: Any) -> Operation:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)


_FIELDS = frozenset(f.name for f in dataclasses.fields(Operation))


def asked_by(context: Any) -> dict[str, str]:
    """Who asks for what is done under a request's context.

    Ironic goes on with the second and further steps of a run on its own
    account, and so it does with a step that it begins by itself: those name
    no user.
    """
    user = getattr(context, 'user_id', None)
    if not user:
        return {}
    found = {'user': user, 'project': getattr(context, 'project_id', None),
             'request': getattr(context, 'request_id', None)}
    return {name: str(value) for name, value in found.items() if value}


def kind_of(node: Any) -> str | None:
    """The operation that a node is in, or None."""
    return OPERATIONS.get(node.provision_state)


#: The name of ``activation`` in the release before. It is written besides,
#: since a conductor of that release would know of no limit without it.
_BEFORE = 'effect'


def load(node: Any) -> Operation | None:
    """The operation of a node, or None.

    Whatever a later version added is left out, so that a conductor that was
    downgraded goes on.
    """
    raw = keys.OPERATION.of(node)
    if not raw:
        return None
    values: dict[str, Any] = {k: v for k, v in raw.items() if k in _FIELDS}
    values.setdefault('activation', dict(raw).get(_BEFORE))
    why = misfit(values, Operation)
    if why is not None:
        keys.tell(keys.OPERATION.name, getattr(node, 'uuid', None), why)
        return None
    values['devices'] = tuple(values.get('devices', ()))
    values['changes'] = tuple(values.get('changes', ()))
    if values.get('ticket') is not None:
        values['ticket'] = earlier_documents.ticket(values['ticket'])
    return Operation(**values)


def store(node: Any, operation: Operation) -> None:
    """Put the operation onto the node; the caller saves.

    Its changes give way where the node has no space for all of them.
    """
    raw: Any = dataclasses.asdict(operation)
    raw[_BEFORE] = operation.activation
    if operation.ticket is not None:
        raw['ticket'] = earlier_documents.ticket_before(operation.ticket)
    if operation.changes:
        over = _size({**node.driver_internal_info, keys.OPERATION.name: raw}
                     ) - MAX_INFO_BYTES
        if over > 0:
            raw['changes'] = history.shortened(
                operation.changes, _size(operation.changes) - over)
    keys.OPERATION.put(node, cast(StoredOperation, raw))


def refresh(kind: str, step: str, *, power_on: bool,
            in_band: bool = False) -> Operation:
    """An operation that reads a node's devices and publishes them.

    It is not stored: a step stores its own (``steps.begin``), and an audit,
    a verification or an inspection ends within the call that began it.

    :param kind: the operation of Ironic, or ``idle``.
    :param step: what asks for it.
    :param power_on: whether a host that is off may be powered on.
    :param in_band: whether the agent is read too.
    """
    return Operation(kind=kind, step=step, work=REFRESH_WORK,
                     power_on=power_on, in_band=in_band)


def can_refresh(node: Any) -> bool:
    """Whether a refresh of an idle node may be begun without being asked for.

    :param node: a node, or a row with what is read of it.
    """
    return (kind_of(node) == 'idle' and load(node) is None
            and later_version(node) is None)


def begin_refresh(node: Any, step: str = REFRESH_STEP, *, power_on: bool,
                  state: str | None = None,
                  asked: Mapping[str, str] | None = None) -> Operation:
    """Begin a refresh that is not a step of Ironic; the caller saves.

    The periodic continues it, and it fails after ``stable_timeout``.

    :param node: a locked node; an operation in progress on it is replaced.
    :param step: its name; those of ``keys.UNASKED_STEPS`` give way to any
        request.
    :param power_on: whether a host that is off may be powered on.
    :param state: the provision state that the refresh ends with, if that is
        not the present one.
    :param asked: who requested it (``asked_by``).
    :raises: an error of the database.
    """
    now = clock.mark(node)
    found = refresh('idle', step, power_on=power_on).but(
        state=node.provision_state if state is None else state,
        due=now, started=now, asked=asked or {},
        deadline=now + CONF.accelerator.stable_timeout)
    store(node, found)
    return found


def check_free(node: Any) -> None:
    """Make sure that no operation of ours is in progress on a node.

    A refresh that was not requested gives way, unless it powered the host on
    and has to restore its power state.

    :raises: InvalidState, also if a later version manages the node.
    """
    current = load(node)
    if current is not None and is_current(node, current) and not (
            current.kind == 'idle' and current.step in keys.UNASKED_STEPS
            and current.restore is None):
        raise exception.InvalidState(
            f'node {node.uuid}: {current.step} is in progress')
    if why := later_version(node):
        raise exception.InvalidState(f'node {node.uuid}: {why}')


def later_version(node: Any) -> str | None:
    """Why this conductor must not change a node, or None.

    During an upgrade it may get a node that a later version has worked on.

    :param node: a node, or anything with ``driver_internal_info``.
    """
    raw, current = keys.RECORD.of(node), keys.OPERATION.of(node)
    if raw and raw.get('schema') not in record_mod.READ:
        what = (f"record has schema {raw.get('schema')!r}, but this conductor "
                f'supports {record_mod.SCHEMA!r}')
    elif current and current['kind'] not in OPERATIONS.values():
        what = f"operation is of the unknown kind {current['kind']!r}"
    else:
        return None
    return (f'its {what}: a later version of ironic-accel manages it. Upgrade '
            'this conductor')


def note_left_off(node: Any, current: Operation) -> None:
    """Note that a reset of ours left the host off; the caller saves.

    :param current: an operation that ends, or is dropped, before the power
        state was restored.
    """
    if current.restore == states.POWER_ON:
        keys.LEFT_OFF.put(node, current.id)
        if current.kind == 'service' and node.instance_uuid:
            node.power_state = None  # Shown as on; Ironic reads an unknown.


def load_record(node: Any) -> Record | None:
    """The record of a node, or None.

    :raises: BadInput where a later version wrote it.
    """
    return record_mod.load(keys.RECORD.of(node))


def store_record(node: Any, record: Record) -> None:
    """Put the record onto the node; the caller saves.

    One that takes no more space than the stored one is never too large: a
    run can always end.

    :raises: AccelError where it, or all that the node remembers, is too
        large to be saved.
    """
    raw = record_mod.dump(record)
    if _size(raw) > _size(keys.RECORD.of(node)):
        check_size({**node.driver_internal_info, keys.RECORD.name: raw})
    keys.RECORD.put(node, cast(StoredRecord, raw))


def check_size(info: Mapping[str, Any]) -> None:
    """Make sure that ``driver_internal_info`` fits its column.

    :raises: AccelError where it does not: nothing is done then.
    """
    size = _size(info)
    if size > MAX_INFO_BYTES:
        raise AccelError(
            'driver_internal_info of the node has no space for the record',
            expected=f'at most {MAX_INFO_BYTES} bytes', seen=f'{size} bytes',
            todo='split the profile and apply the parts one after another')


def _size(value: Any) -> int:
    return len(json.dumps(value, default=str).encode())


def is_current(node: Any, operation: Operation) -> bool:
    """Whether the node is still in the operation that this belongs to.

    A record that survived a delete must not be continued by the next deploy:
    it is ticked only while Ironic's own polling flag is set.
    """
    if operation.work == 'watch':
        return OPERATIONS.get(node.provision_state, 'idle') == 'idle'
    if operation.kind == 'idle':
        return bool(node.provision_state == operation.state)
    return bool(
        node.provision_state == WAIT_STATES.get(operation.kind, '')
        and node.driver_internal_info.get(POLLING[operation.kind]))


def check_held(node: Any, operation: Operation) -> None:
    """Make sure that this conductor still holds a node for an operation.

    A conductor that lost its connection to the database for a long time may
    have lost its reservation to another one.

    :raises: NotOurs.
    """
    saving.check(node)
    there = load(node)
    if there is None or there.id != operation.id:
        raise saving.NotOurs(
            'another operation is in progress on the node', node=node.uuid,
            error_class=ErrorClass.TRANSIENT, expected=operation.step,
            seen=there.step if there else 'none')
