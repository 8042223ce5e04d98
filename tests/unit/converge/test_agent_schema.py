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


"""Documents that travel between the loop and a backend elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import json
from typing import Any

import pytest

from ironic_accel.converge import agent_answers
from ironic_accel.converge import agent_schema
from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Poll
from ironic_accel.converge.ports import Result
from ironic_accel.converge.ports import Running
from ironic_accel.converge.ports import Unknown
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import BadInput
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import UpdateTarget
from ironic_accel.model.plan import Change
from ironic_accel.model.plan import Item
from ironic_accel.model.plan import Ref
from ironic_accel.model.plan import Transport
from ironic_accel.model.profile import Image
from ironic_accel.model.profile import Push

_DETAIL = Detail('it says no', ErrorClass.NEEDS_OPERATOR, device='gpu-1',
                 component='gpu', expected='2', seen='1', message_id='E7')
_ACTION = Action(
    'update', 'agent', (
        Change(Item('nic-1', 'nic', 'firmware', '22.43', True), '22.41'),
        Change(Item('nic-1', 'link-type', 'mode', ('ib', 'eth')),
               ('ib', 'ib'))),
    Activation.DEVICE_RESET, 'nic-fw', (('nic-2', 'nic'),), 'mellanox:17')
_IMAGE = Image('nic-fw', 'https://images.example.org/fw.bin', 'a' * 64,
               {'psid': ('MT_0000000884',), 'pci': ('15b3:a2dc',)},
               Push('multipart', ('/a', '/b')))


def _travelled(raw: dict[str, Any]) -> Any:
    return json.loads(json.dumps(raw))


def transport_from_dict(raw: Mapping[str, Any]) -> Transport:
    """Read a transport back."""
    return Transport(
        raw['name'],
        {(b['device'], b['name']): UpdateTarget(
            b['lane'], _refs(b['also_writes']), dict(map(
                _pushed_from_dict, b.get('pushes', ()))))
         for b in raw['updates']},
        frozenset((d, n) for d, n in raw['sets']),
        {k: Activation(v) for k, v in raw['resets'].items()},
        {(d, n): there for d, n, there in raw.get('commits', ())})


def _refs(raw: Iterable[Any]) -> tuple[Ref, ...]:
    return tuple((d, n) for d, n in raw)


def _pushed_from_dict(raw: Mapping[str, Any]
                      ) -> tuple[Push, tuple[Ref, ...] | None]:
    also = raw['also_writes']
    return agent_schema.push_from_dict(raw), (
        None if also is None else _refs(also))


def test_transport_survives_json() -> None:
    transport = Transport(
        'agent',
        {
            ('a', 'nic'): UpdateTarget('x:17', (('b', 'nic'),)),
            ('b', 'nic'): UpdateTarget(
                'y',
                (),
                {
                    Push('all', ()): (('a', 'nic'),),
                    Push('one', ('/x',)): (),
                    Push('odd'): None,
                },
            ),
        },
        frozenset({('a', 'sriov'), ('a', 'vf-limit')}),
        {'a': Activation.DEVICE_RESET, 'b': Activation.DRIVER_RELOAD},
    )
    assert (
        transport_from_dict(_travelled(agent_schema.transport_to_dict(transport)))
        == transport
    )


def test_an_action_comes_back() -> None:
    raw = _travelled(agent_schema.action_to_dict(_ACTION))
    assert agent_schema.action_from_dict(raw) == _ACTION


@pytest.mark.parametrize('poll', [
    Running('40 %', 40), Running('it goes on'), Unknown('gone'),
    Ended((Result(('a', 'nic'), True),
           Result(('a', 'sriov'), False, _DETAIL),
           Result(('b', 'sriov'), False, _DETAIL, 'refused'),
           Result(('c', 'sriov'), False, None, 'unknown'),
           Result(('d', 'sriov'), False, None, 'not-sent'))), Ended(())])
def test_a_poll_comes_back(poll: Poll) -> None:
    assert agent_answers.poll(
        _travelled(agent_schema.poll_to_dict(poll))) == poll


def test_a_result_of_before_was_answered() -> None:
    raw = agent_schema.result_to_dict(Result(('a', 'nic'), True))
    assert raw == {'ref': ['a', 'nic'], 'ok': True, 'detail': None}
    assert agent_schema.result_from_dict(raw).answer == 'told'
    with pytest.raises(ValueError, match='perhaps'):
        agent_schema.result_from_dict({**raw, 'answer': 'perhaps'})


def test_an_unknown_state_is_wrong() -> None:
    with pytest.raises(agent_answers.Wrong, match='done'):
        agent_answers.poll({'state': 'done'})


@pytest.mark.parametrize('image', [
    _IMAGE, Image('x', 'https://h/x', 'b' * 64, {'model': ('X',)}),
    Image('x', 'https://h/x', 'b' * 64, {'model': ('X',)}, Push('http'))])
def test_an_image_comes_back(image: Image) -> None:
    assert agent_schema.image_from_dict(
        _travelled(agent_schema.image_to_dict(image))) == image


@pytest.mark.parametrize('image', [_IMAGE, None])
def test_a_request_comes_back(image: Image | None) -> None:
    start = agent_schema.Start(
        _ACTION, (agent_schema.Whose('nic-1', 'nic', 'MT1', '0000:17:00.0'),),
        image, True, {'schemes': ['https'], 'max_bytes': 5})
    assert agent_schema.start_from_dict(_travelled(start.to_dict())) == start


@pytest.mark.parametrize(('change', 'words'), [
    ({'schema': 'accel-start/3'}, 'accel-start/3'),
    ({'action': {}}, 'verb'),
    ({'devices': [{'serial': 'x'}]}, 'id'),
    ({'action': {**agent_schema.action_to_dict(_ACTION),
                 'activation': 'prayer'}}, 'prayer'),
])
def test_a_wrong_request_names_what_is_wrong(
        change: dict[str, Any], words: str) -> None:
    raw = {**agent_schema.Start(_ACTION, ()).to_dict(), **change}
    with pytest.raises(BadInput, match=words):
        agent_schema.start_from_dict(raw)


@pytest.mark.parametrize('error', [
    Rejected(_DETAIL, retry_after=30.0), Rejected(_DETAIL),
    Unreachable(_DETAIL), OutcomeUnknown(_DETAIL), BadInput(_DETAIL),
    AccelError(_DETAIL)])
def test_an_error_comes_back(error: AccelError) -> None:
    back = agent_answers.error(
        _travelled(agent_schema.error_to_dict(error)))
    assert type(back) is type(error)
    assert back.detail == error.detail
    if isinstance(error, Rejected) and isinstance(back, Rejected):
        assert back.retry_after == error.retry_after
