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

"""A write that outlived its step, and of which nobody tells any more."""

from __future__ import annotations

import dataclasses
from typing import Any
from unittest import mock

from ironic import objects
import pytest

from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.converge import ports
from ironic_accel.model.identity import Source
from ironic_accel.model.reading_status import Unread
from ironic_accel.model import record as record_mod
from tests.unit.conductor.node.test_clock import burning
from tests.unit.conductor.node.test_clock import failed
from tests.unit.conductor.node.test_clock import refused
from tests.unit.conductor.operation import test_runner
from tests.unit.conductor import sample
from tests.unit.conductor.stage import Make
from tests.unit.conductor.stage import site_profile
from tests.unit.conductor.stage import Stage

stage = test_runner.stage


def _held(inventory: Any) -> Any:
    return dataclasses.replace(inventory, busy=(), unread=(Unread(
        '/redfish/v1/TaskService', 'HTTP 503', holds=True),))


def _begun_by_a_reset(stage: Stage) -> None:
    """The write is over as far as anybody tells; a reset begins it anew."""
    record = operation.load_record(stage.node)
    assert record is not None and record.intent is not None
    intent = record.intent
    staged = tuple(record_mod.Staged(
        i, intent.activation, sure=False, at_reset=True, begun=stage.box.now)
        for i in intent.items)
    operation.store_record(stage.node, dataclasses.replace(
        record, intent=None, staged=staged))
    stage.node.save()


@pytest.mark.parametrize(('trouble', 'words'), [
    ('held', 'cannot read /redfish/v1/TaskService: HTTP 503'),
    ('silent', 'no task reports the update'),
    ('reset', 'the host was reset, which may have started')])
def test_unreported_write_keeps_its_power_lock(
        stage: Stage, acquire: Make, trouble: str, words: str) -> None:
    """The guard stands, says so, and ends when the longest time is over."""
    stage.begin(profile=site_profile('brief', limits={'minutes': 1}))
    burning(stage)
    failed(stage)
    if trouble == 'reset':
        _begun_by_a_reset(stage)
    real = stage.box.sources

    def sources() -> Any:
        seen = dataclasses.replace(real()[0].inventory, busy=())
        return (Source(_held(seen) if trouble == 'held' else seen,
                       stable=True),)

    begun = stage.info[keys.GUARD.name]['since']
    with mock.patch.multiple(
            stage.box, sources=sources, poll=lambda _ticket: ports.Unknown(
                'no such task', hidden=True)):
        assert stage.tick() is not None
        current = operation.load(stage.node)
        assert current is not None and words in current.progress
        standing = flash_guard.lock_of(stage.node)
        assert standing is not None and standing['state'] == 'unknown'
        while stage.tick() is not None:
            refused(stage, acquire)
    assert flash_guard.lock_of(stage.node) is None
    assert stage.box.now - begun >= CONF.accelerator.lost_update_timeout
    events = [e.event for e in objects.NodeHistory.list_by_node_id(
        None, stage.node.id)]
    told = [e for e in events if 'removed the power lock of' in e]
    assert trouble == 'reset' or told == [] or words in told[0]


def test_an_upload_that_is_not_started_is_left_alone(stage: Stage) -> None:
    """Nothing is begun once a step is over; nothing is written, either."""
    stage.begin(profile=site_profile('brief', limits={'minutes': 1}))
    burning(stage)
    failed(stage)
    sent: list[Any] = []

    def poll(ticket: Any) -> ports.Poll:
        sent.append(ticket)
        return ports.Continues({**ticket, ports.GO: True})

    real = stage.box.sources
    with mock.patch.multiple(
            stage.box, poll=poll, sources=lambda: sample.sources(
                dataclasses.replace(real()[0].inventory, busy=()))):
        while stage.tick() is not None:
            pass
    assert flash_guard.lock_of(stage.node) is None
    assert sent and not any(t.get(ports.GO) for t in sent)
    record = operation.load_record(stage.node)
    assert record is None or record.intent is None
