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

"""Messages of a ramdisk or a conductor of an earlier version are read."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest

from ironic_accel.converge import agent_answers
from ironic_accel.converge import agent_schema
from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Poll
from ironic_accel.converge.ports import Result
from ironic_accel.converge.ports import Running
from ironic_accel.converge.ports import Unknown
from ironic_accel.model import catalog
from ironic_accel.model.device import Activation
from ironic_accel.model import earlier_documents
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Change
from ironic_accel.model.plan import Item
from ironic_accel.model.profile import Image
from ironic_accel.model.profile import Push
from tests.unit.converge.test_agent_schema import transport_from_dict
from tests.unit.model import stored

FOLDER = pathlib.Path(__file__).with_name('documents')
UPDATE = Action(
    'update', 'agent', (Change(Item('nic-1', 'nic', 'firmware', '22.43', True),
                             '22.41'),),
    Activation.DEVICE_RESET, 'nic-fw', (('nic-2', 'nic'),), 'mellanox:17')
SET = Action(
    'set', 'agent', (
        Change(Item('nic-1', 'link-type', 'mode', ('ib', 'eth')),
               ('ib', 'ib')),
        Change(Item('nic-1', 'vf-limit', 'mode', 8), None)),
    Activation.WARM_REBOOT)
IMAGE = Image('nic-fw', 'https://images.example.org/fw.bin', 'a' * 64,
              {'psid': ('MT_0000000884',), 'pci': ('15b3:a2dc',)},
              Push('multipart', ('/a', '/b')))
WHOSE = (agent_schema.Whose('nic-1', 'nic', 'MT1', '0000:17:00.0'),)
REFUSED = Detail(
    'it says no', ErrorClass.NEEDS_OPERATOR, device='gpu-1', component='gpu',
    expected='2', seen='1', message_id='E7')


def recorded(name: str) -> Any:
    """What was sent by an earlier version."""
    return json.loads((FOLDER / f'{name}.json').read_text(encoding='utf-8'))


def test_an_inventory_and_what_the_agent_can_do_are_read() -> None:
    answer = recorded('observe-answer')
    seen = agent_answers.inventory(
        answer['inventory'], 'agent', catalog.load())
    (nic,) = seen.devices
    assert nic.id == stored.NIC[0] and seen.boot == 'b7a1'
    assert seen.busy == stored.INVENTORIES['inside'].busy
    component = nic.component('nic')
    assert component is not None
    assert (component.running, component.pending) == (
        '28.39.1002', '28.43.1014')
    assert agent_answers.transports(
        earlier_documents.transports(answer), 'agent', seen) == (
        stored.NIC_INSIDE,)


@pytest.mark.parametrize(('name', 'start'), [
    ('start-update', agent_schema.Start(
        UPDATE, WHOSE, IMAGE, True,
        {'schemes': ['https'], 'hosts': None, 'max_bytes': 5})),
    ('start-set', agent_schema.Start(SET, WHOSE))])
def test_a_request_is_read_and_written_as_before(
        name: str, start: agent_schema.Start) -> None:
    assert agent_schema.start_from_dict(recorded(name)) == start
    written = earlier_documents.start_before(start.to_dict())
    assert json.loads(json.dumps(written)) == recorded(name)


@pytest.mark.parametrize(('name', 'poll'), [
    ('poll-running', Running('40 %', 40)),
    ('poll-unknown', Unknown('gone', False)),
    ('poll-ended', Ended((
        Result(('a', 'nic'), True),
        Result(('b', 'sriov'), False, REFUSED))))])
def test_what_became_of_a_write_is_read(name: str, poll: Poll) -> None:
    assert agent_answers.poll(recorded(name)) == poll


def test_what_can_be_done_is_read_to_the_same_value() -> None:
    found = earlier_documents.transports({'ways': recorded('ways')})
    assert tuple(map(transport_from_dict, found)) == (
        stored.INSIDE, stored.PUSHES)


@pytest.mark.parametrize('spoilt', [
    {'devices': 'x'}, {'devices': [7, None]},
    {'devices': [{'components': 7, 'modes': [[]]}]},
    {'busy': {'ticket': 7}}, {'busy': [[]]},
    {'schema': ['inventory/2']}, {'schema': 'inventory/4'}])
def test_invalid_inventory_of_a_ramdisk_is_an_error_with_its_path(
        spoilt: dict[str, Any]) -> None:
    raw = {**recorded('observe-answer')['inventory'], **spoilt}
    with pytest.raises(agent_answers.Wrong, match='inventory'):
        agent_answers.inventory(raw, 'agent', catalog.load())


@pytest.mark.parametrize('spoilt', [
    {'ways': 7}, {'ways': [7]}, {'ways': [{'burns': 7}]},
    {'ways': {'a': []}}, {'transports': 'x'}])
def test_invalid_transports_of_a_ramdisk_are_an_error_with_their_path(
        spoilt: dict[str, Any]) -> None:
    seen = agent_answers.inventory(
        recorded('observe-answer')['inventory'], 'agent', catalog.load())
    with pytest.raises(agent_answers.Wrong, match='transports'):
        agent_answers.transports(
            earlier_documents.transports(spoilt), 'agent', seen)
