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

"""What a run sends is counted as its plan counted it."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest

from ironic_accel.converge.composite import CountingBackend
from ironic_accel.converge.ports import Backend
from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Result
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Change
from ironic_accel.model.plan import Item


def action(verb: Any, *devices: str) -> Action:
    """An action on a mode of each device."""
    return Action(verb, 'redfish', tuple(
        Change(Item(d, 'mig', 'mode', 'enabled'), 'disabled')
        for d in devices), Activation.DEVICE_RESET)


@pytest.fixture
def port() -> Any:
    """The backend behind the count."""
    return mock.create_autospec(Backend, instance=True)


def test_each_device_counts(port: Any) -> None:
    counting = CountingBackend(port)
    counting.start(action('set', 'a', 'b'))
    counting.start(action('update', 'a', 'b'))
    # Two items of a device are one reset of it.
    counting.start(action('reset', 'a', 'b', 'b'))
    assert (counting.writes, counting.device_resets) == (5, 2)


@pytest.mark.parametrize('error, counted', [
    (Rejected('busy', 5.0), 0), (Unreachable('gone'), 0),
    (OutcomeUnknown('lost'), 2)])
def test_a_write_that_was_not_sent_does_not_count(
        port: Any, error: Exception, counted: int) -> None:
    counting = CountingBackend(port)
    port.start.side_effect = error
    with pytest.raises(type(error)):
        counting.start(action('reset', 'a', 'b'))
    assert (counting.writes, counting.device_resets) == (counted, counted)


def test_the_rest_of_an_action_that_broke_off_does_not_count(port: Any
                                                             ) -> None:
    counting = CountingBackend(port)
    counting.start(action('set', 'a', 'b', 'c'))
    port.poll.return_value = Ended((
        Result(('a', 'mig'), True), Result(('b', 'mig'), False),
        Result(('c', 'mig'), False, None, 'not-sent')))
    counting.poll({})
    assert counting.writes == 2


@pytest.mark.parametrize('named, counted', [((), 0), (('/a', '/b'), 1)])
def test_a_copy_to_fallback_slots_counts_if_one_was_due(
        port: Any, named: tuple[str, ...], counted: int) -> None:
    counting = CountingBackend(port)
    port.commit.return_value = named
    counting.commit([('a', 'gpu')])
    assert counting.writes == counted
