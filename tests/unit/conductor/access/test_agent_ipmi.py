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

"""A node without Redfish: all is done by the agent, power by Ironic."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import pathlib
from typing import Any
from unittest import mock

from ironic.drivers.modules import ipmitool
from ironic.drivers.modules.redfish import power as redfish_power
import pytest

from ironic_accel.model.device import Activation
from tests.unit.conductor.access import test_ipmi_backend
from tests.unit.conductor.operation import test_runner
from tests.unit.conductor import ramdisk
from tests.unit.conductor.ramdisk import begin
from tests.unit.conductor.ramdisk import BOTH
from tests.unit.conductor.ramdisk import burn_by_agent
from tests.unit.conductor.ramdisk import Ramdisk
from tests.unit.conductor import sample
from tests.unit.conductor.stage import Stage

stage = test_runner.stage
asked = test_ipmi_backend.asked
Make = Callable[..., Any]


@pytest.fixture
def inside(stage: Stage, make_node: Make, profiles: pathlib.Path,
           asked: object) -> Iterator[Ramdisk]:
    """A box of which only the agent sees anything."""
    profiles.joinpath('site.yaml').write_text(sample.yaml_of(BOTH))
    burn_by_agent(stage)
    for modes in stage.box.modes.values():
        modes['ecc'].transport = 'agent'
    # The stage has put its power under Ironic's Redfish interface.
    power = redfish_power.RedfishPower
    with mock.patch.multiple(
            ipmitool.IPMIPower, get_power_state=power.get_power_state,
            set_power_state=power.set_power_state, reboot=power.reboot), \
        ramdisk.staged(
            stage, make_node, driver='accel-ipmi',
            driver_info=dict(test_ipmi_backend.INFO), boot_interface='ipxe',
            power_interface='accel-ipmi',
            management_interface='ipmitool',
            vendor_interface='accelerator-ipmi') as made:
        yield made


@pytest.mark.parametrize('kind', ['clean', 'service'])
def test_update_set_reset_and_verify_by_the_agent_alone(
        stage: Stage, inside: Ramdisk, kind: str) -> None:
    begin(stage, kind, **({'max_activation': 'power-cycle',
                           'allow_disruption': True}
                          if kind == 'service' else {}))
    told = stage.run()
    assert told['outcome'] == 'converged', told
    assert told['proved'] == 4
    assert stage.box.resets == [Activation.POWER_CYCLE]
    assert max(stage.box.pushes.values()) == 1
    assert stage.box.sins == []
    verbs = [r['request']['action']['verb'] for r in inside.asked('start')]
    assert set(verbs) == {'update', 'set'}
    assert (inside.prepared, inside.boots) == (1, 2)
    assert inside.redfish.looks == 0
