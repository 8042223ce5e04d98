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

"""A host and the card in it, simulated, for tests of child nodes."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import pathlib
from typing import Any
from unittest import mock

from ironic.common import exception
from ironic.common import states
from ironic.conductor import utils as manager_utils
from ironic.drivers.modules.redfish import power as redfish_power
from ironic import objects

from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.access import images
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node.operation import Operation
from ironic_accel.conductor.operation import runner
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import Unreachable
from tests.unit.conductor import clocks
from tests.unit.conductor import sample
from tests.unit.converge.box import Box
from tests.unit.converge.box import Part

Make = Callable[..., Any]
TRANSPORT = 'redfish-dpu'


class Family:
    """A host and the card in it: two nodes, two BMCs, one power."""

    def __init__(self, make_node: Make, acquire: Make) -> None:
        self.acquire = acquire
        self.parent = make_node()
        self.child = make_node(
            name='dpu', parent_node=self.parent.uuid, driver_info={
                'redfish_address': 'http://192.0.2.2',
                'redfish_system_id': '/redfish/v1/Systems/Bluefield'})
        self.host = Box({'d0': {}}, {}, [])
        self.card = Box({'d0': {}}, {'d0': {'ecc': Part(
            'disabled', claimed=Activation.POWER_CYCLE,
            real=Activation.POWER_CYCLE, transport=TRANSPORT)}}, [])
        self.boxes = {self.parent.uuid: self.host,
                      self.child.uuid: self.card}
        self.powered: list[tuple[str, str]] = []
        #: Whether the host's system goes down when it is asked to.
        self.goes_down = True
        self.asked: list[str] = []
        #: What is called before each write, by the name of the way.
        self.fences: dict[str, Callable[[], None]] = {}
        self.silent = False
        self.error: Exception | None = None

    def backend(self, node: Any, name: str = 'redfish',
                before_write: Callable[[], None] | None = None) -> Box:
        """What stands for the BMC of a node."""
        self.asked.append(name)
        if before_write is not None:
            self.fences[name] = before_write
        if self.silent and node.uuid == self.child.uuid:
            raise Unreachable('no route to the DPU')
        if self.error is not None:
            raise self.error
        return self.boxes[node.uuid]

    def power_state(self, _self: Any, task: Any) -> str:
        """The power of a node's box."""
        on = self.boxes[task.node.uuid].host == 'on'
        return str(states.POWER_ON if on else states.POWER_OFF)

    def set_power(self, _self: Any, task: Any, state: str,
                  timeout: int | None = None) -> None:
        """The power of the card is the host's too."""
        uuid = task.node.uuid
        self.powered.append((
            'child' if uuid == self.child.uuid else 'parent', state))
        if state == states.SOFT_POWER_OFF and not self.goes_down:
            raise exception.PowerStateFailure(pstate=state)
        box = self.boxes[uuid]
        if state != states.POWER_ON:
            box.host = 'off'
        elif uuid == self.parent.uuid:
            self.host.host_reset(Activation.POWER_CYCLE)
            self.card.resets.append(Activation.POWER_CYCLE)
            self.card._activate('d0', Activation.POWER_CYCLE)
        else:
            self.card.power_on()

    def begin(self, node: Any, step: str, **args: Any) -> None:
        """Run a clean step's body, as Ironic does."""
        node.refresh()
        node.provision_state = states.CLEANING
        node.target_provision_state = states.MANAGEABLE
        node.save()
        task = self.acquire(node)
        try:
            state = task.driver.vendor.execute_clean_step(
                task, {'step': step, 'args': args})
            task.node.provision_state = state
            task.node.clean_step = {'step': step, 'interface': 'vendor'}
            task.node.save()
        finally:
            task.release_resources()

    def refresh(self, node: Any) -> None:
        """Begin a refresh."""
        task = self.acquire(node)
        task.driver.vendor.accel_refresh(task, http_method='POST')
        task.release_resources()

    def tick(self, node: Any) -> Operation | None:
        """One tick; gives the operation that is left."""
        task = self.acquire(node)
        runner.tick(task)
        if task.node is not None:
            task.release_resources()
        node.refresh()
        for box in (self.host, self.card):
            box.now += 40
        return operation.load(node)

    def run(self, node: Any, most: int = 40) -> dict[str, Any]:
        """Tick until it is over; gives the result."""
        for _ in range(most):
            if self.tick(node) is None:
                return dict(node.driver_internal_info[keys.RESULT.name])
        raise AssertionError(f'not over: {operation.load(node)}')

    def traits(self, node: Any) -> set[str]:
        """A node's traits."""
        return set(objects.TraitList.get_by_node_id(
            None, node.id).get_trait_names())

    def state(self, node: Any, state: str) -> None:
        """Put a node into a provision state."""
        node.refresh()
        node.provision_state = state
        node.save()


@contextlib.contextmanager
def staged(make_node: Make, acquire: Make, profiles: pathlib.Path
           ) -> Iterator[Family]:
    """A host and a card behind the ports: BMCs and Ironic's power."""
    profiles.joinpath('site.yaml').write_text(sample.yaml_of({
        'profile': 1, 'name': 'card-ecc', 'offered': True, 'devices': {
            'cards': {'match': {'kind': 'gpu'},
                      'modes': {'ecc': 'enabled'}}}}))
    made = Family(make_node, acquire)

    def power_state(this: Any, task: Any) -> str:
        return made.power_state(this, task)

    def set_power(this: Any, task: Any, state: str,
                  timeout: int | None = None) -> None:
        made.set_power(this, task, state, timeout)

    def resume(task: Any, kind: str) -> None:
        task.node.provision_state = states.MANAGEABLE
        task.node.save()
        task.release_resources()

    with clocks.told(lambda: made.host.now), \
        mock.patch.multiple(
            redfish_power.RedfishPower, get_power_state=power_state,
            set_power_state=set_power), \
        mock.patch.object(bmc_session, 'backend', autospec=True,
                          side_effect=made.backend), \
        mock.patch.object(bmc_session, 'host', autospec=True), \
        mock.patch.object(images, 'store', autospec=True), \
        mock.patch.object(manager_utils,
                          'notify_conductor_resume_operation',
                          autospec=True, side_effect=resume):
        yield made
