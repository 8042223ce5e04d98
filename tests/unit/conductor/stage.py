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

"""A node, its box and the world between them, simulated for ticks."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import pathlib
from typing import Any
from unittest import mock

from ironic.common import states
from ironic.conductor import utils as manager_utils
from ironic.drivers.modules.redfish import power as redfish_power
from ironic import objects

from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.access import images
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.operation import runner
from ironic_accel.converge import ports
from ironic_accel.model.device import Activation
from ironic_accel.redfish.actions.system_power import SystemPower
from tests.unit.conductor import clocks
from tests.unit.conductor import sample
from tests.unit.converge.box import Box
from tests.unit.converge.box import Part

Make = Callable[..., Any]


class Images:
    """Every image is here."""

    def get(self, image: Any) -> ports.Ready:
        """At once."""
        return ports.Ready('/nowhere', 10, image.sha256)


class Stage:
    """A node, its box, and the world between them."""

    def __init__(self, make_node: Make, acquire: Make, box: Box) -> None:
        self.make_node = make_node
        self.acquire = acquire
        self.box = box
        self.resumed: list[str] = []
        self.seconds = 40.0
        self.aux: Any = None
        self.node: Any = None

    def begin(self, kind: str = 'clean', step: str = 'apply_profile',
              node: Any = None, **args: Any) -> None:
        """Run a step body, as Ironic does."""
        self.node = node or self.make_node()
        self.node.provision_state = {
            'clean': states.CLEANING, 'deploy': states.DEPLOYING,
            'service': states.SERVICING}[kind]
        self.node.target_provision_state = states.MANAGEABLE
        self.node.save()
        task = self.acquire(self.node)
        state = getattr(task.driver.vendor, f'execute_{kind}_step')(
            task, {'step': step, 'args': args})
        task.node.provision_state = state
        setattr(task.node, f'{kind}_step', {'step': step,
                                            'interface': 'vendor'})
        task.node.save()
        task.release_resources()

    def tick(self) -> Any:
        """One tick; gives the operation that is left."""
        task = self.acquire(self.node)
        runner.tick(task)
        if task.node is not None:
            task.release_resources()
        self.node.refresh()
        self.box.now += self.seconds
        return operation.load(self.node)

    def run(self, most: int = 60) -> dict[str, Any]:
        """Tick until it is over; gives the result."""
        for _ in range(most):
            if self.tick() is None:
                return dict(self.result)
        raise AssertionError(f'not over after {most} ticks: {self.info}')

    @property
    def info(self) -> dict[str, Any]:
        """What the node remembers."""
        return dict(self.node.driver_internal_info)

    @property
    def result(self) -> dict[str, Any]:
        """The result record."""
        return dict(self.info[keys.RESULT.name])

    @property
    def traits(self) -> set[str]:
        """The node's traits."""
        return set(objects.TraitList.get_by_node_id(
            None, self.node.id).get_trait_names())


def make_box(**fields: Any) -> Box:
    """Two GPUs with old firmware, activated by a power cycle."""
    return Box(
        {f'gpu-{n}': {'gpu': Part(sample.OLD, claimed=Activation.POWER_CYCLE,
                                  real=Activation.POWER_CYCLE)}
         for n in range(2)},
        {f'gpu-{n}': {'ecc': Part('disabled', claimed=Activation.WARM_REBOOT,
                                  real=Activation.WARM_REBOOT)}
         for n in range(2)}, [], **fields)


@contextlib.contextmanager
def staged(make_node: Make, acquire: Make, profiles: pathlib.Path
           ) -> Iterator[Stage]:
    """A box behind the ports: BMC, Ironic's power, images, the RPC."""
    profiles.joinpath('site.yaml').write_text(sample.yaml_of(
        site_profile('h100-new', allow=['burn_at_deploy']),
        site_profile('h100-strict')))
    made = Stage(make_node, acquire, make_box())

    def power_state(_self: Any, _task: Any) -> str:
        return str(states.POWER_ON if made.box.host == 'on'
                   else states.POWER_OFF)

    def set_power(_self: Any, _task: Any, state: str,
                  timeout: int | None = None) -> None:
        if state == states.POWER_ON and made.box.host == 'off':
            made.box.host_reset(Activation.POWER_CYCLE)
        elif state != states.POWER_ON:
            made.box.host = 'off'

    def reboot(_self: Any, _task: Any, timeout: int | None = None) -> None:
        made.box.host_reset(Activation.WARM_REBOOT)

    def resume(task: Any, kind: str) -> None:
        made.resumed.append(kind)
        task.release_resources()

    host = mock.create_autospec(SystemPower, instance=True)
    host.aux_cycle.side_effect = lambda: made.box.host_reset(
        Activation.AUX_CYCLE)
    made.aux = host
    with clocks.told(lambda: made.box.now), \
        mock.patch.multiple(
            redfish_power.RedfishPower, get_power_state=power_state,
            set_power_state=set_power, reboot=reboot), \
        mock.patch.object(bmc_session, 'backend', autospec=True,
                          side_effect=lambda _node, **_: made.box), \
        mock.patch.object(bmc_session, 'host', autospec=True,
                          return_value=host), \
        mock.patch.object(images, 'store', autospec=True,
                          return_value=Images()), \
        mock.patch.object(manager_utils,
                          'notify_conductor_resume_operation',
                          autospec=True, side_effect=resume):
        yield made


def site_profile(name: str, **fields: Any) -> dict[str, Any]:
    """A profile that fits the simulated box."""
    data = sample.profile_data(name, **fields)
    data['images']['bundle']['fits'] = {'model': '*'}
    return data


