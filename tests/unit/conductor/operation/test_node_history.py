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

"""What the history of a node keeps of a write that is about to go out."""

from __future__ import annotations

import types
from unittest import mock

import pytest

from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.node import history as node_history
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Value
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Change
from ironic_accel.model.plan import Item


def _noted(action: Action) -> str:
    current = operation.Operation(
        'clean', 'apply_profile', profile='roce', asked={'user': 'u1'})
    with mock.patch.object(saving, 'history', autospec=True) as history:
        node_history.note_write(
            types.SimpleNamespace(uuid='n1'), current, action, None)
    (call,) = history.call_args_list
    assert call.kwargs['user'] == 'u1'
    text: str = call.args[1]
    return text


def _set(*changes: tuple[str, str, Value | None, Value]) -> Action:
    return Action('set', 'agent', tuple(
        Change(Item(device, name, 'mode', wanted), seen)
        for device, name, seen, wanted in changes), Activation.DEVICE_RESET)


def test_old_value_of_a_parameter_is_kept_for_every_device() -> None:
    """It is what the parameters are put back from."""
    names = [f'nic-{n}' for n in range(20)]
    text = _noted(_set(*(
        (name, 'CNP_DSCP_P1', 48 if name != 'nic-7' else 26, 4)
        for name in names)))
    left = [n for n in names if n != 'nic-7']
    assert f"CNP_DSCP_P1 48 > 4 on {', '.join(left)}; " in text
    assert 'CNP_DSCP_P1 26 > 4 on nic-7 ' in text
    assert text.endswith('(apply_profile roce, clean)')


@pytest.mark.parametrize(('seen', 'wanted', 'said'), [
    ('false', 'true', 'ATS_ENABLED false > true on nic-1'),
    ('mixed', 'true', 'ATS_ENABLED mixed > true on nic-1'),
    (None, 'true', 'ATS_ENABLED unknown > true on nic-1')])
def test_old_value_is_what_was_read(seen: Value | None, wanted: Value,
                                    said: str) -> None:
    assert said in _noted(_set(('nic-1', 'ATS_ENABLED', seen, wanted)))


def test_many_devices_of_one_image_are_counted() -> None:
    text = _noted(Action('update', 'agent', tuple(
        Change(Item(f'nic-{n}', 'nic', 'firmware', '28.43'), '28.39')
        for n in range(20)), Activation.DEVICE_RESET, image='fw'))
    assert 'nic-7 and 12 more' in text
