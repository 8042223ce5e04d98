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

"""The status of an operation, read from the fields of its node.

An operation has ended when the conductor has stored its result. The
provision state alone is not enough: Ironic may end a clean although its
step never ran.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any

from ironic_accel.conductor.node import keys
from ironic_accel.faces.osc import api
from ironic_accel.model import errors
from ironic_accel.model import record as record_mod
from ironic_accel.model.record import Record

Document = Mapping[str, Any]

#: Transient provision states.
MOVING = frozenset({
    'adopting', 'clean wait', 'cleaning', 'deleting', 'deploying',
    'inspect wait', 'inspecting', 'rescue wait', 'rescuing', 'service wait',
    'servicing', 'unrescuing', 'verifying', 'wait call-back'})

#: Outcomes that are a success.
GOOD = frozenset({'converged', 'done', 'does-not-apply'})


@dataclasses.dataclass(frozen=True, slots=True)
class Begun:
    """What of a plan was begun.

    :ivar written: the (device, component or mode) pairs of begun writes.
    :ivar resets: resets of the host.
    :ivar device_resets: resets of devices.
    :ivar copies: whether the copies to fallback slots were requested.
    """

    written: frozenset[tuple[str, str]] = frozenset()
    resets: int = 0
    device_resets: int = 0
    copies: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Status:
    """A node at one moment of an operation.

    :ivar state: its provision state.
    :ivar text: the progress, for people.
    :ivar percent: how much of it is done, or None.
    :ivar devices: the progress of single devices, by device id.
    :ivar outcome: ``converged``, ``done``, ``does-not-apply``, ``refused``
        or ``failed`` once the operation has ended, else None.
    :ivar result: the result stored by the conductor, if the operation has
        ended and the caller may read it.
    :ivar error: why it failed, or what is not known of a success.
    :ivar begun: what was begun; None if it is not known.
    :ivar step: ``step 2/3``, if the steps are known.
    """

    state: str
    text: str
    percent: int | None = None
    devices: Document = dataclasses.field(default_factory=dict)
    outcome: str | None = None
    result: Document | None = None
    error: str | None = None
    begun: Begun | None = None
    step: str = ''


def read(ironic: api.Ironic, uuid: str, before: str | None,
         wanted: str | None = None) -> Status:
    """Read the status of an operation.

    :param before: the id of the result stored before the operation began.
    :param wanted: the id of the operation, if it is known.
    """
    node = ironic.node(uuid)
    info = api.info(node)
    state = str(node['provision_state'])
    if info is None:
        return _by_state(node, state)
    current = keys.OPERATION.read(info)
    result = keys.RESULT.read(info)
    fresh = result is not None and (
        result.get('id') == wanted if wanted else result.get('id') != before)
    if current is not None and (current.get('work') == 'watch'
                                or keys.has_ended(current, state)):
        # It monitors a write of a step that has failed already, or Ironic
        # has ended it.
        current = None
    if current is not None or state in MOVING or (
            api.readable(node, 'reservation') and not fresh):
        progress = None if current is None else current.get('progress')
        record = _record(keys.RECORD.read(info))
        return Status(state, progress or state,
                      None if current is None else current.get('percent'),
                      _devices(record), begun=_begun(record, current))
    if fresh and result is not None:
        return _ended(state, result, _devices(
            _record(keys.RECORD.read(info)), True))
    return Status(state, 'ended', outcome='failed', error=(
        api.readable(node, 'last_error') or 'the operation ended without a '
        'result: it did not run, or another operation replaced it'))


def result_id(node: Document) -> str | None:
    """The id of the result that a node has, or None."""
    result = keys.RESULT.read(api.info(node))
    found: str | None = None if result is None else result.get('id')
    return found


def _by_state(node: Document, state: str) -> Status:
    """The status for a caller who may read the provision state alone."""
    if state in MOVING or api.readable(node, 'reservation'):
        return Status(state, f'{state} (progress: not permitted)')
    error = api.readable(node, 'last_error')
    if state.endswith('failed') or error:
        return Status(state, 'ended', outcome='failed', error=error or state)
    return Status(state, 'ended', outcome='done', error=(
        'not permitted to read the result; verified values are published '
        'as traits: baremetal accelerator traits'))


def _ended(state: str, result: Document, devices: Document) -> Status:
    raw = result.get('error')
    error = errors.word(errors.Detail.from_dict(raw)) if raw else None
    done = str(result['outcome'])
    return Status(state, done, devices=devices, outcome=done, result=result,
                  error=error)


def _record(raw: Document | None) -> Record | None:
    """The record of a run, or None."""
    try:
        return record_mod.load(raw)
    except errors.AccelError:
        # Written by a later version: only the progress text can be shown.
        return None


def _begun(record: Record | None, current: Document | None) -> Begun | None:
    """What was begun, from the record and the operation."""
    if record is None or current is None:
        return None
    return Begun(frozenset(item.ref for item in record.attempts),
                 record.resets, current.get('device_resets') or 0,
                 record.committed is not None)


def _devices(record: Record | None, ended: bool = False) -> dict[str, str]:
    """The progress of single devices, from the record.

    :param ended: whether the operation has ended; what it left is staged, or
        may still be written.
    """
    if record is None:
        return {}
    found = {x.item.device: f'{x.item.name} staged, active after '
                            f'{x.activation}' for x in record.staged}
    if record.intent is not None:
        for item in record.intent.items:
            found[item.device] = f'{item.name}: ' + (
                'may still be written' if ended else 'writing')
    return found
