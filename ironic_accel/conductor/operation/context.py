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

"""What a tick works with."""

from __future__ import annotations

import dataclasses
from typing import Any

from ironic_accel.conductor.access import images
from ironic_accel.conductor.config import catalogue
from ironic_accel.conductor.config import clock
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.config import profiles
from ironic_accel.conductor.node import elapsed_time
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node.operation import Operation
from ironic_accel.conductor.node import profile_snapshot
from ironic_accel.conductor.operation import backends
from ironic_accel.conductor.operation.guarded_backend import GuardedBackend
from ironic_accel.conductor.operation.node_journal import NodeJournal
from ironic_accel.converge.ports import Images
from ironic_accel.converge.ports import Pace
from ironic_accel.model import catalog
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import BadInput
from ironic_accel.model.profile import Profile


@dataclasses.dataclass
class Context:
    """One tick: the node, the operation as it changes, and the ports.

    :ivar operation: the operation; ``change`` replaces it.
    :ivar now: the time of the node (``elapsed``), for all that is waited
        for.
    :ivar wall: epoch seconds at the beginning of the tick, by the clock that
        all conductors share, for what is stored and compared later.
    """

    task: Any
    operation: Operation
    now: float
    backend: GuardedBackend
    journal: NodeJournal
    images: Images
    facts: catalog.Catalog
    pace: Pace
    wall: float

    @property
    def node(self) -> Any:
        """The node."""
        return self.task.node

    def change(self, **changes: Any) -> None:
        """Change the operation; it is saved with the node.

        However long it is to rest, Ironic hears of it in between.
        """
        if 'due' in changes:
            changes['due'] = elapsed_time.pause(
                self.now, changes['due'], self.operation.kind)
        self.operation = self.operation.but(**changes)
        operation.store(self.node, self.operation)


def pace(current: Operation) -> Pace:
    """The timeouts of an operation, from the options."""
    options = CONF.accelerator
    step = float(options.poll_interval)
    return Pace(poll=step, look=step, fetch=step,
                incomplete=options.stable_timeout,
                appear=options.appear_timeout,
                unreachable=(options.agent_timeout if current.in_band
                             else options.bmc_timeout),
                lost=options.lost_task_timeout,
                gone=options.lost_update_timeout,
                busy=options.busy_timeout, action=options.write_timeout,
                reset=options.reset_timeout)


def make(task: Any, current: Operation, now: float | None = None) -> Context:
    """The context of a tick.

    :raises: Unreachable where the BMC does not answer.
    """
    updates = True
    if current.kind == 'deploy' and current.work == 'apply':
        updates = 'burn_at_deploy' in profile_of(task.node, current).allow
    return Context(
        task,
        current,
        elapsed_time.now(task.node) if now is None else now,
        GuardedBackend(
            task, current, backends.backend(task, current), updates),
        NodeJournal(task, current),
        images.ON_DEMAND,
        catalogue.catalogue(),
        pace(current),
        clock.shared() if now is None else now,
    )


def profile_of(node: Any, current: Operation) -> Profile:
    """The profile of an operation, limited to what its step may do.

    :raises: BadInput if it was removed or is no longer valid.
    """
    found = profile_snapshot.load(node)
    if found is not None:
        return found
    if current.inline:
        raise BadInput('the inline profile of the step was removed from the '
                       'node')
    return profiles.site_profiles().get(current.profile)


def limited(profile: Profile, current: Operation) -> Profile:
    """The profile with its strongest reset cut to what the step allows."""
    if current.activation is None:
        return profile
    strongest = Activation(current.activation)
    if profile.limits.reset.rank <= strongest.rank:
        return profile
    limits = dataclasses.replace(profile.limits, reset=strongest)
    return dataclasses.replace(profile, limits=limits)
