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

"""All that a node remembers fits its column on MySQL, at every save."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from ironic.common import states
from ironic import objects
import pytest

from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import history as node_history
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.operation import completion
from ironic_accel.model import history
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from tests.unit.conductor.operation import test_runner
from tests.unit.conductor.stage import Stage

stage = test_runner.stage

#: Bytes of TEXT on MySQL.
COLUMN = 65535


def written(count: int) -> history.Changes:
    """Changes that all failed, each in its own long words."""
    return tuple(history.Written(
        f'nic-{n:04d}-0000:c1:00.0', f'MT2345X{n:05d}', 'firmware',
        'firmware', f'28.39.{n:04d}', '28.43.2026', f'{n:064x}',
        'Update.1.0.VerificationFailed', f'{n} ' + 'failed ' * 40)
        for n in range(count))


def fill(node: Any, free: int = 20) -> None:
    """Let others have what the record leaves of the column."""
    used = len(json.dumps(node.driver_internal_info).encode())
    node.set_driver_internal_info(
        'somebody', 'x' * (operation.MAX_INFO_BYTES - used - free))


@pytest.mark.parametrize('count', [0, 8, history.MOST_CHANGES])
def test_a_full_node_can_fail_restore_its_power_and_end(
        stage: Stage, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    sizes = []
    real = objects.Node.save

    def save(node: Any, *args: Any, **options: Any) -> Any:
        sizes.append(len(json.dumps(node.driver_internal_info).encode()))
        return real(node, *args, **options)

    monkeypatch.setattr(objects.Node, 'save', save)
    stage.begin(profile='h100-new')
    stage.tick()
    task = stage.acquire(stage.node)
    current = operation.load(task.node)
    assert current is not None
    stage.box.host = 'off'
    operation.store(task.node, current.but(
        restore=states.POWER_ON,
        changes=tuple(node_history.dump(written(count)))))
    record = operation.load_record(task.node)
    assert record is not None
    operation.store_record(
        task.node, dataclasses.replace(record, intent=None))
    flash_guard.drop(task.node)
    fill(task.node)
    task.node.save()
    completion.fail(task, operation.load(task.node) or current, Detail(
        'the update was rejected: ' + 'no ' * 300, ErrorClass.NEEDS_OPERATOR,
        expected='y' * 300, seen='z' * 300, todo='do it ' * 50))
    if task.node is not None:
        task.release_resources()
    stage.node.refresh()
    told = stage.run(100)
    assert told['outcome'] == 'failed'
    assert stage.box.host == 'on'
    assert keys.OPERATION.name not in stage.info
    assert max(sizes) > operation.MAX_INFO_BYTES - 2000
    assert max(sizes) <= COLUMN


@pytest.mark.parametrize(('free', 'least'), [(20, 0), (6000, 20)])
def test_the_changes_of_an_operation_give_way_where_there_is_no_space(
        stage: Stage, free: int, least: int) -> None:
    stage.begin(profile='h100-new')
    stage.tick()
    node = stage.node
    current = operation.load(node)
    assert current is not None
    operation.store(node, current.but(changes=()))
    fill(node, free)
    operation.store(node, current.but(
        changes=tuple(node_history.dump(written(history.MOST_CHANGES)))))
    size = len(json.dumps(node.driver_internal_info).encode())
    assert size <= operation.MAX_INFO_BYTES
    stored = operation.load(node)
    assert stored is not None
    assert least <= len(history.load(stored.changes)) < 100


def test_malformed_changes_take_no_space(stage: Stage) -> None:
    stage.begin(profile='h100-new')
    stage.tick()
    current = operation.load(stage.node)
    assert current is not None
    fill(stage.node)
    operation.store(stage.node, current.but(changes=(['x' * 500],)))
    stored = operation.load(stage.node)
    assert stored is not None
    assert stored.changes == ()
