# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""What an inspection found, as our record, traits and firmware rows.

The collector in the ramdisk sends what it sees (``plugin_data``), and the
BMC is looked at besides where there is a way to it, so that one inspection
has what both ways see. Data that were stored are taken as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import json
from typing import Any

from oslo_log import log

from ironic_accel.conductor.access.agent_backend import AgentBackend
from ironic_accel.conductor.access.agent_client import AgentCalls
from ironic_accel.conductor.access import image_store
from ironic_accel.conductor.config import catalogue
from ironic_accel.conductor.config import clock
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import inventory_store
from ironic_accel.conductor.node.inventory_store import Stored
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node.operation import Operation
from ironic_accel.conductor.node import verification
from ironic_accel.conductor.operation.context import Context
from ironic_accel.conductor.operation.context import pace
from ironic_accel.conductor.operation.guarded_backend import GuardedBackend
from ironic_accel.conductor.operation.node_journal import NodeJournal
from ironic_accel.conductor.operation import verify
from ironic_accel.conductor.publication import publish
from ironic_accel.converge.ports import Poll
from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Ticket
from ironic_accel.converge.ports import Unknown
from ironic_accel.model import carry_over
from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import Rejected
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Ref
from ironic_accel.model.plan import Way
from ironic_accel.model.profile import Image
from ironic_accel.model.profile import Push

LOG = log.getLogger(__name__)

STEP = 'accelerator-traits'
ERROR_KEY = 'accelerators_error'

Ways = Callable[[Inventory], Sequence[Way]]


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """What is to be published.

    :ivar seen: complete, with nothing under way.
    :ivar ways: what can be done, by the ids of the inventory given.
    :ivar at: epoch seconds of the look.
    :ivar looks: when each way looked, where it is not one look.
    """

    seen: Inventory
    ways: Ways
    at: float
    looks: Mapping[str, float] | None = None


class Given:
    """What was seen by somebody, as a backend: nothing is written by it."""

    def __init__(self, found: Found) -> None:
        self._found = found

    def observe(self) -> Inventory:
        """What was seen."""
        return self._found.seen

    def ways(self, inventory: Inventory, pushes: Collection[Push] = ()
             ) -> tuple[Way, ...]:
        """What can be done."""
        return tuple(self._found.ways(inventory))

    def start(self, action: Action, image: Ready | None = None,
              spec: Image | None = None, force: bool = False) -> Ticket:
        """Begin nothing.

        :raises: Rejected.
        """
        raise Rejected('an inspection writes nothing')

    def commit(self, refs: Sequence[Ref]) -> tuple[str, ...]:
        """Commit nothing."""
        return ()

    def poll(self, ticket: Ticket) -> Poll:
        """Nothing was ever begun here."""
        return Unknown('an inspection writes nothing')


class Sent(AgentCalls):
    """What the collector sent, in the place of an agent that is asked."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._told = told

    def ask(self, command: str, **params: Any) -> dict[str, Any]:
        """The inventory and the ways, whatever is asked."""
        return {'inventory': self._told['inventory'],
                'ways': self._told.get('ways') or ()}


def sent(plugin_data: Mapping[str, Any]) -> Inventory | None:
    """The inventory that an inspection has, from the ramdisk or stored.

    :raises: Unreachable where it is garbled.
    """
    raw = plugin_data.get(inventory_store.PLUGIN_KEY)
    if not isinstance(raw, Mapping) or 'inventory' not in raw:
        return None
    return AgentBackend(Sent(raw)).observe()


def take(task: Any, plugin_data: dict[str, Any]) -> Inventory | None:
    """Publish what an inspection found; the caller saves the node.

    What is stored goes into ``plugin_data`` too: whoever runs the hooks
    writes that over what the database has.

    :returns: what is known of the node now, or None where nothing is.
    """
    raw = plugin_data.get(inventory_store.PLUGIN_KEY)
    before = inventory_store.load(task)
    if isinstance(raw, Mapping) and _is_stored(raw, before):
        found, note = _stored(task.node, inventory_store.read(raw), before)
    else:
        found, note = _looked(task, plugin_data)
    facts: dict[str, Any] = {}
    if found is not None and flash_guard.over(task) is not None:
        found, note = None, 'something is being written: not published'
    if found is not None:
        facts = publish.take(_context(task, found), found.seen,
                             looks=found.looks)
        after = inventory_store.load(task) or Stored(
            found.seen, found.at, tuple(found.ways(found.seen)))
        plugin_data[inventory_store.PLUGIN_KEY] = inventory_store.written(
            after)
        _note(task.node, note, facts)
        return after.inventory
    _note(task.node, note, facts)
    if before is None:
        return sent(plugin_data)
    plugin_data[inventory_store.PLUGIN_KEY] = inventory_store.written(before)
    return before.inventory


def failed(node: Any, why: str) -> None:
    """Say in the result that nothing was taken; Ironic saves the node."""
    _note(node, f'not inspected: {why}', {})


def _is_stored(raw: Mapping[str, Any], before: Stored | None) -> bool:
    """Whether data are what we stored ourselves, now or earlier.

    A ramdisk that sends data in that form is not believed for it: what is
    not in the database is what somebody saw in a ramdisk.
    """
    if 'at' not in raw or before is None:
        return False
    at = raw['at']
    return (type(at) in (int, float) and at < before.at) or json.dumps(
        inventory_store.written(before), sort_keys=True) == json.dumps(
            raw, sort_keys=True)


def _stored(node: Any, given: Stored, before: Stored | None
            ) -> tuple[Found | None, str]:
    """Data that were stored, unless they are of another time."""
    if before is not None and before.at > given.at:
        return None, 'later data are stored: these are not published'
    gone = (node.driver_internal_info or {}).get(inventory_store.INSIDE_KEY)
    if verification.had_tenant(node) or (gone and gone >= given.at):
        return None, 'a tenant had the node since these data were stored'
    return Found(given.inventory, lambda _seen: given.ways, given.at,
                 given.looks), 'taken from stored data'


def _looked(task: Any, plugin_data: Mapping[str, Any]
            ) -> tuple[Found | None, str]:
    """What was seen from inside, and by the BMC."""
    failed = plugin_data.get(ERROR_KEY)
    if failed:
        return None, f'the ramdisk could not look: {failed}'
    at = clock.shared()
    inside = sent(plugin_data)
    if inside is not None and (inside.busy or not inside.complete):
        return None, 'not everything was seen in the ramdisk'
    outside, note = _outside(task)
    if inside is None:
        if outside is None:
            return None, note
        return Found(outside.seen, outside.ways, at), note
    agent = AgentBackend(Sent(plugin_data[inventory_store.PLUGIN_KEY]))
    agent.observe()
    if outside is None:
        return Found(inside, agent.ways, at), f'seen in the ramdisk; {note}'
    bmc = outside.ways
    return Found(
        carry_over.joined(outside.seen, inside),
        lambda seen: (*bmc(seen), *agent.ways(seen)), at), (
            'seen in the ramdisk and by the BMC')


def _outside(task: Any) -> tuple[Found | None, str]:
    """What the BMC shows, for a bounded time; or why nothing."""
    seconds = CONF.accelerator.verify_timeout
    try:
        looked = verify.bounded(task, _operation(), seconds)
    except AccelError as exc:
        return None, f'not seen by the BMC: {exc}'
    if looked is None:
        return None, f'the BMC did not answer within {seconds} s'
    ctx, seen = looked
    if seen.host == 'off':
        return None, 'the BMC shows the host as off'
    if seen.busy or not seen.complete:
        return None, 'the BMC does not show everything yet'
    return Found(seen, ctx.backend.all_ways, ctx.wall), 'seen by the BMC'


def _operation() -> Operation:
    return Operation(kind='inspect', step=STEP, work='look')


def _context(task: Any, found: Found) -> Context:
    current = _operation()
    return Context(
        task,
        current,
        found.at,
        GuardedBackend(task, current, Given(found)),
        NodeJournal(task, current),
        image_store.images(),
        catalogue.catalogue(),
        pace(current),
        found.at,
    )


def _note(node: Any, note: str, facts: Mapping[str, Any]) -> None:
    LOG.info('Inspection of node %(node)s, accelerators: %(note)s',
             {'node': node.uuid, 'note': note})
    node.set_driver_internal_info(operation.RESULT_KEY, {
        'operation': 'inspect', 'step': STEP, 'outcome': 'done',
        'note': note, 'error': None, **facts})
