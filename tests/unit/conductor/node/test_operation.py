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

"""Refreshes that are begun: one way for whoever begins one."""

from __future__ import annotations

import ast
from collections.abc import Callable
import pathlib
from typing import Any

from ironic.common import states
import pytest

from ironic_accel import conductor
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation

Make = Callable[..., Any]


def test_a_refresh_is_due_at_once_and_ends(make_node: Make) -> None:
    node = make_node(provision_state=states.AVAILABLE)
    CONF.set_override('stable_timeout', 700, 'accelerator')
    begun = operation.begin_refresh(node, power_on=True,
                                    asked={'user': 'ops'})
    assert operation.load(node) == begun
    assert (begun.kind, begun.step, begun.work, begun.state) == (
        'idle', 'accel_refresh', 'look', states.AVAILABLE)
    assert (begun.power_on, begun.in_band, begun.asked) == (
        True, False, {'user': 'ops'})
    assert begun.due == begun.started
    assert begun.deadline == begun.started + 700
    # By the time of the node, which other conductors count on.
    assert keys.CLOCK.of(node) is not None
    assert 0 <= clock.elapsed(node) - begun.started < 60
    assert operation.is_current(node, begun)


def test_a_refresh_may_begin_with_the_next_state(make_node: Make) -> None:
    node = make_node(provision_state=states.VERIFYING)
    begun = operation.begin_refresh(
        node, keys.VERIFY_STEP, power_on=False, state=states.MANAGEABLE)
    assert not operation.is_current(node, begun)
    node.provision_state = states.MANAGEABLE
    assert operation.is_current(node, begun)
    # Nobody asked for it: it is in nobody's way.
    operation.check_free(node)


@pytest.mark.parametrize(('state', 'info', 'expected'), [
    (states.AVAILABLE, {}, True),
    (states.ACTIVE, {}, True),
    (states.CLEANWAIT, {}, False),
    (states.DELETING, {}, False),
    (states.AVAILABLE, {'accel_operation': {
        'kind': 'idle', 'step': 'look_for_moved'}}, False),
    (states.AVAILABLE, {'accel_record': {'schema': 'record/1'}}, True),
    (states.AVAILABLE, {'accel_record': {'schema': 'record/9'}}, False)])
def test_when_a_refresh_may_begin_unasked(
        make_node: Make, state: str, info: dict[str, Any],
        expected: bool) -> None:
    node = make_node(provision_state=state, driver_internal_info=info)
    assert operation.can_refresh(node) is expected


def test_refreshes_are_made_in_one_place() -> None:
    found = set()
    for path in pathlib.Path(conductor.__file__).parent.rglob('*.py'):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and ast.unparse(
                    call.func).rpartition('.')[2] == 'Operation' and any(
                    k.arg == 'work' and ast.unparse(k.value).rpartition(
                        '.')[2] in ("'look'", 'REFRESH_WORK')
                    for k in call.keywords):
                found.add(path.name)
    assert found == {'operation.py'}
