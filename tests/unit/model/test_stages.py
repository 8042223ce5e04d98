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

"""Which changes share an action."""

from __future__ import annotations

from typing import Any

from ironic_accel.model import stages
from ironic_accel.model.device import Activation
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Item
from ironic_accel.model.profile import Profile
from ironic_accel.model.stages import Todo

PROFILE = Profile('p', ())


def mode(
    device: str,
    name: str = 'ecc',
    value: Any = 'enabled',
    transport: str = 'redfish',
    activation: Activation = Activation.WARM_REBOOT,
    real: Activation | None = None,
    **more: Any,
) -> Todo:
    """A mode that may be set."""
    return Todo(Item(device, name, 'mode', value), None, transport, activation,
                real or activation, **more)


def actions(*todo: Todo) -> list[Action]:
    """The actions of all stages, in order."""
    made, refused = stages.build(todo, (), PROFILE, ())
    assert not refused
    return [a for s in made for a in s.actions]


def devices(*todo: Todo) -> list[list[str]]:
    """The devices of each action."""
    return [[i.device for i in a.items] for a in actions(*todo)]


def test_one_value_on_several_devices_is_one_action() -> None:
    one, = actions(mode('a'), mode('b'), mode('c'))
    assert (one.verb, one.transport, one.activation) == (
        'set', 'redfish', Activation.WARM_REBOOT)
    assert [i.device for i in one.items] == ['a', 'b', 'c']


def test_what_differs_stands_apart() -> None:
    for other in (mode('b', value='disabled'), mode('b', name='mig'),
                  mode('b', transport='agent'),
                  mode('b', activation=Activation.DEVICE_RESET),
                  mode('b', activation=Activation.DEVICE_RESET,
                       real=Activation.WARM_REBOOT),
                  mode('b', late=True)):
        assert devices(mode('a'), other) == [['a'], ['b']]


def test_number_does_not_equal_the_same_word() -> None:
    assert devices(mode('a', value=4), mode('b', value='4')) == [
        ['a'], ['b']]


def test_an_action_has_eight_devices_at_most() -> None:
    made = devices(*(mode(f'd{n:02}') for n in range(20)))
    assert [len(m) for m in made] == [8, 8, 4]
    assert [d for m in made for d in m] == [f'd{n:02}' for n in range(20)]


def test_the_changes_of_a_device_keep_their_order() -> None:
    made = actions(mode('a', 'cc'), mode('a', 'ecc'), mode('b', 'cc'),
                   mode('b', 'ecc'), mode('c', 'ecc'), mode('c', 'cc'))
    for device, wanted in (('a', ['cc', 'ecc']), ('b', ['cc', 'ecc']),
                           ('c', ['ecc', 'cc'])):
        assert [i.name for a in made for i in a.items
                if i.device == device] == wanted
    assert len(made) == 3
