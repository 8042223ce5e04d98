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

"""The periodics: they pick what is due and hand it to workers."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

from ironic.common import driver_factory
from ironic.common import states
from oslo_log import log

from ironic_accel.conductor.access import ramdisk
from ironic_accel.conductor.config import declared_steps
from ironic_accel.conductor.config import ironic_series
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.config import workers
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import db_retry
from ironic_accel.conductor.node import guard_copy
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import profile_agreement
from ironic_accel.conductor.node import queries
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.operation import ownership_followup
from ironic_accel.conductor.operation import runner
from ironic_accel.conductor.publication import properties
from ironic_accel.conductor.upkeep import audit
from ironic_accel.conductor.upkeep import cleanup
from ironic_accel.conductor.upkeep import unreserved_poll

LOG = log.getLogger(__name__)

#: What is guarded is watched in whatever state the node comes to.
WORK_STATES = sorted(ironic_series.PROVISION_STATES - {
    states.CLEANING, states.DEPLOYING, states.SERVICING})

#: Every state but available.
OTHER_STATES = sorted(ironic_series.PROVISION_STATES - {states.AVAILABLE})


def due(node: Any) -> bool:
    """Whether a node has an operation that is due.

    An operation that writes waits while the node is in maintenance. An
    inventory does not: it changes nothing, and in maintenance it powers no
    host on. A write in progress is monitored, because Ironic puts a node whose
    step failed into maintenance. It
    does the same with one whose BMC does not respond to its power sync, in
    SERVICEWAIT too: inventories count for how long the BMC does not respond,
    and without them the node would wait until the BMC is back.

    Of two passes the nearer one counts: an operation that is due one interval
    after a pass would just miss the next pass, and run half as often as
    configured. If another machine counted its time last, it is due so that the
    time advances.
    """
    return overdue(node) is not None


def overdue(node: Any) -> float | None:
    """Seconds for which an operation is due, or None if it is not.

    Below zero if it will be soon.
    """
    current = operation.load(node)
    if current is None or operation.later_version(node) is not None:
        return None
    late = clock.elapsed(node) - unreserved_poll.due(node, current)
    found = ((late >= -CONF.accelerator.poll_interval / 2
              or clock.is_uncounted(node)
              or ramdisk.has_returned(node, current))
             and operation.is_current(node, current)
             and (current.work == 'watch'
                  or (current.work == operation.REFRESH_WORK
                      and current.restore is None)
                  or not audit.in_maintenance(node)))
    return late if found else None


def leads(interface: Any) -> bool:
    """Whether an interface runs the periodics of this conductor.

    Ironic calls the periodics of each enabled interface. One of ours runs
    them for the nodes of all, so that each query is made once.
    """
    first = next((found for name in declared_steps.TYPES
                  if ironic_series.has_interface_type(name)
                  for _name, found in sorted(
                      driver_factory.interfaces(name).items())
                  if isinstance(found, Periodics)), None)
    return type(first) is type(interface)


class Periodics:
    """The periodics of the vendor interfaces.

    One pass goes over all nodes, one after another, so a pass only reads
    the database; whatever asks a BMC is done by a worker.
    """

    def __init__(self) -> None:
        """Read the intervals of the periodics."""
        super().__init__()
        ironic_series.read_spacings(self)

    @ironic_series.periodic(
        spacing=lambda: CONF.accelerator.poll_interval,
        enabled=lambda: CONF.accelerator.audit_interval > 0)
    def audit_accelerators(self, manager: Any, context: Any) -> None:
        """Hand the nodes whose audit is due to workers."""
        if leads(self):
            audit.begin(manager, context, Periodics)

    @ironic_series.periodic(spacing=lambda: CONF.accelerator.cleanup_interval)
    def announce_profiles(self, manager: Any, context: Any) -> None:
        """Publish the digests of the site profiles to other conductors."""
        if leads(self):
            profile_agreement.announce(manager, context, Periodics)

    @ironic_series.periodic(spacing=lambda: CONF.accelerator.poll_interval)
    def pick_due_operations(self, manager: Any, context: Any) -> None:
        """Hand nodes with a due operation to workers."""
        if leads(self):
            pick(manager, context)

    @ironic_series.periodic(spacing=lambda: CONF.accelerator.poll_interval)
    def refresh_moved_devices(self, manager: Any, context: Any) -> None:
        """Begin inventories of nodes whose devices moved to another node."""
        if leads(self):
            ownership_followup.begin_refreshes(manager, context, Periodics)

    @ironic_series.periodic(spacing=lambda: CONF.accelerator.cleanup_interval)
    def restore_overwritten(self, manager: Any, context: Any) -> None:
        """Restore power locks and intents that Ironic overwrote."""
        if leads(self):
            restore_all_overwritten(manager, context)

    @ironic_series.periodic(spacing=lambda: CONF.accelerator.cleanup_interval)
    def clear_available(self, manager: Any, context: Any) -> None:
        """Withdraw void verifications of available nodes.

        A pass of its own: after a change of a profile every node of a cloud
        may have traits to withdraw, and available nodes are scheduled by
        them.
        """
        if leads(self):
            _visit(manager, context,
                   'withdrawing void verifications of available nodes',
                   cleanup.found((states.AVAILABLE,)), _clear)

    @ironic_series.periodic(spacing=lambda: CONF.accelerator.cleanup_interval)
    def clear_leftovers(self, manager: Any, context: Any) -> None:
        """Remove leftovers and void verifications of other nodes."""
        if leads(self):
            _visit(manager, context,
                   'removing leftovers of aborted accelerator operations',
                   cleanup.found(OTHER_STATES), _clear)

    @ironic_series.periodic(spacing=lambda: CONF.accelerator.cleanup_interval)
    def set_accelerator_property(self, manager: Any, context: Any) -> None:
        """Set the property that a later inspection hook overwrote."""
        if leads(self):
            _visit(manager, context,
                   'setting the accelerators property after an inspection',
                   (node.uuid for node in queries.with_key(
                       keys.PROPERTIES.name, ('provision_state',),
                       unreserved=True)
                    if properties.wanted(node)), _set_property)


def pick(manager: Any, context: Any) -> None:
    """Queue the nodes that are due, and start workers for them.

    :param manager: Ironic's conductor manager.
    """
    there = queries.with_key(
        keys.OPERATION.name, (*queries.FIELDS, 'fault'),
        unreserved=True, provision_states=WORK_STATES)
    unreserved_poll.keep(node.uuid for node in there)
    found = {node.uuid: late for node in there
             if (late := overdue(node)) is not None}
    served = [uuid for uuid, _driver in queries.served(manager, found)]
    unreserved_poll.set_found(
        queries.other(node) for node in there if node.uuid in found)
    workers.OPERATIONS.fill(sorted(
        served, key=lambda uuid: found[uuid], reverse=True))
    workers.OPERATIONS.start(
        manager, lambda uuid: _tick(context, uuid))


def _tick(context: Any, uuid: str) -> None:
    """Continue the operation of a node by one tick, in a worker."""
    if unreserved_poll.nothing_new(uuid):
        return
    db_retry.visit(context, uuid, 'continuing an accelerator operation',
                   _go_on, interface=Periodics, also=guard_copy.read_along)


def _go_on(task: Any) -> None:
    # It may have ended, or been deferred, since it was queued.
    if due(task.node):
        runner.tick(task)


def _visit(manager: Any, context: Any, purpose: str,
           uuids: Iterable[str], work: Callable[[Any], None]) -> None:
    """Call a function with each node of this conductor, one after another.

    As Ironic's own node_periodic does, but for nodes that were found
    already: that one lists all with their internal info.

    :param work: takes a task with a shared lock on the node.
    """
    for uuid, _driver in queries.served(manager, uuids):
        db_retry.visit(context, uuid, purpose, work, interface=Periodics,
                       shared=True)


def _clear(task: Any) -> None:
    db_retry.reserve(task)
    saving.restore_overwritten(task.node)
    if cleanup.wanted(task.node):
        cleanup.reap(task)


def _set_property(task: Any) -> None:
    db_retry.reserve(task)
    if properties.wanted(task.node):
        properties.restore(task.node)


def restore_all_overwritten(manager: Any, context: Any) -> None:
    """Restore overwritten values of nodes of this conductor."""
    for uuid in queries.managed(
            manager, guard_copy.all_overwritten(), reserved=False):
        db_retry.visit(
            context, uuid, 'restoring overwritten values',
            lambda task: saving.restore_overwritten(task.node),
            load_driver=False)
