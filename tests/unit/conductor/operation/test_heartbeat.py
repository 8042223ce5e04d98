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

"""Ironic takes a node that stands still in a wait state for a dead agent."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from tests.unit.conductor.operation import test_runner
from tests.unit.conductor.stage import Stage

stage = test_runner.stage


@pytest.mark.parametrize(('kind', 'more'), [
    ('clean', {}),
    ('service', {'max_activation': 'power-cycle', 'allow_disruption': True})])
def test_a_node_that_is_worked_on_is_no_node_that_waits(
        stage: Stage, kind: str, more: dict[str, Any]) -> None:
    """Every tick renews ``provision_updated_at``, which the timeouts count
    from, while firmware is written for longer than they allow."""
    stage.begin(kind, profile='h100-new', **more)
    old = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    renewed = 0
    stage.seconds = 1.0
    while not stage.box.flashing():
        assert stage.tick() is not None
    for _ in range(3):
        stage.node.provision_updated_at = old
        stage.node.save()
        assert stage.tick() is not None
        assert stage.node.provision_updated_at > old
        renewed += 1
    assert renewed == 3
