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

"""What is under way on a node, read off the node itself.

What counts as done is the result that the conductor wrote, never the
provision state alone: Ironic may call a clean done whose step never ran.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any

from ironic_accel.conductor.node import keys
from ironic_accel.faces.osc import api
from ironic_accel.model import errors
from ironic_accel.model import record as record_mod

Document = Mapping[str, Any]

#: Provision states that Ironic leaves by itself.
MOVING = frozenset({
    'adopting', 'clean wait', 'cleaning', 'deleting', 'deploying',
    'inspect wait', 'inspecting', 'rescue wait', 'rescuing', 'service wait',
    'servicing', 'unrescuing', 'verifying', 'wait call-back'})

#: Outcomes of a result that are as they should be.
GOOD = frozenset({'converged', 'done'})


@dataclasses.dataclass(frozen=True, slots=True)
class Status:
    """A node at one moment of a run.

    :ivar state: its provision state.
    :ivar text: what is going on, for people.
    :ivar percent: how far that is, or None.
    :ivar devices: what is going on with single devices.
    :ivar outcome: ``converged``, ``done``, ``refused`` or ``failed`` where
        the run is over, else None.
    :ivar result: the conductor's result, where the run is over and it can
        be seen.
    :ivar error: why it failed, in words; or what of a good end is not known.
    """

    state: str
    text: str
    percent: int | None = None
    devices: Document = dataclasses.field(default_factory=dict)
    outcome: str | None = None
    result: Document | None = None
    error: str | None = None


def look(ironic: api.Ironic, uuid: str, before: str | None,
         wanted: str | None = None) -> Status:
    """See how a run goes.

    :param before: the id of the result that was there before the run.
    :param wanted: the id of the run, where it is known.
    """
    node = ironic.node(uuid)
    info = api.info(node)
    state = str(node['provision_state'])
    if info is None:
        return _blind(node, state)
    current = keys.OPERATION.read(info)
    result = keys.RESULT.read(info)
    fresh = result is not None and (
        result.get('id') == wanted if wanted else result.get('id') != before)
    if current is not None and current.get('work') == 'watch':
        # What is watched after a step has failed is no part of the run.
        current = None
    if current is not None or state in MOVING or (node.get('reservation')
                                                  and not fresh):
        progress = None if current is None else current.get('progress')
        return Status(state, progress or state,
                      None if current is None else current.get('percent'),
                      _devices(keys.RECORD.read(info)))
    if fresh and result is not None:
        return _over(state, result)
    return Status(state, 'over', outcome='failed', error=(
        node.get('last_error') or 'it ended without a result: it did not '
        'run, or something else came between'))


def result_id(node: Document) -> str | None:
    """The id of the result that a node has, or None."""
    result = keys.RESULT.read(api.info(node))
    found: str | None = None if result is None else result.get('id')
    return found


def _blind(node: Document, state: str) -> Status:
    """How it goes, where only the provision state may be seen."""
    if state in MOVING or node.get('reservation'):
        return Status(state, f'{state} (progress: not permitted)')
    if state.endswith('failed') or node.get('last_error'):
        return Status(state, 'over', outcome='failed',
                      error=str(node.get('last_error') or state))
    return Status(state, 'over', outcome='done', error=(
        'Ironic calls it done; what came of it is not permitted to be read: '
        'baremetal accelerator traits tells what was proved'))


def _over(state: str, result: Document) -> Status:
    raw = result.get('error')
    error = errors.word(errors.Detail.from_dict(raw)) if raw else None
    done = str(result['outcome'])
    return Status(state, done, outcome=done, result=result, error=error)


def _devices(raw: Document | None) -> dict[str, str]:
    """What the record says of single devices."""
    try:
        record = record_mod.load(raw)
    except errors.AccelError:
        # A later version's: its progress is shown, its insides are not.
        return {}
    if record is None:
        return {}
    found = {x.item.device: f'{x.item.name} written, active after '
                            f'{x.activation}' for x in record.staged}
    if record.intent is not None:
        for item in record.intent.items:
            found[item.device] = f'{item.name}: writing'
    return found
