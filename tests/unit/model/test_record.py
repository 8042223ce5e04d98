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

"""The record: read back as written, small, and honest about its size."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
import pytest

from ironic_accel.model import errors
from ironic_accel.model import record as record_mod
from ironic_accel.model.device import Activation
from ironic_accel.model.plan import Item
from ironic_accel.model.record import Intent
from ironic_accel.model.record import Staged
from ironic_accel.model.record import Record

items = st.builds(
    Item, st.sampled_from(['gpu-1', 'gpu-2@A/B']),
    st.sampled_from(['gpu', 'ecc']), st.sampled_from(['firmware', 'mode']),
    st.one_of(st.text(max_size=8), st.integers(0, 9),
              st.tuples(st.just('ib'), st.just('eth'))), st.booleans())
activations = st.sampled_from(list(Activation))
intents = st.builds(
    Intent, st.sampled_from(['action', 'reset']), activations,
    st.floats(0, 1e10), st.floats(0, 1e10), st.just('key'), st.just('update'),
    st.just('redfish'), st.lists(items, unique=True, max_size=4).map(tuple),
    st.none() | st.text(max_size=5),
    st.none() | st.dictionaries(st.just('job'), st.text(max_size=3)),
    st.none() | st.just('d' * 64))
staged = st.builds(Staged, items, activations, st.integers(0, 5),
                   st.none() | activations, st.none() | st.just('d' * 64),
                   st.booleans())


def _key(record: Record) -> object:
    return (record.intent and (
        sorted(map(repr, record.intent.items)),), sorted(
            map(repr, record.staged)))


@given(st.builds(
    Record, st.just('p'), st.just('d'), st.floats(0, 1e10),
    st.floats(0, 1e10), st.dictionaries(items, st.integers(1, 5), max_size=3),
    st.integers(0, 9), st.none() | intents,
    st.lists(staged, max_size=5).map(tuple)))
def test_it_reads_back_as_it_was_written(record: Record) -> None:
    again = record_mod.load(json.loads(json.dumps(
        record_mod.to_dict(record))))
    assert again is not None
    assert _key(again) == _key(record)
    assert again.attempts == record.attempts
    assert (again.resets, again.started, again.deadline) == (
        record.resets, record.started, record.deadline)


def _big(devices: int) -> Record:
    names = [f'gpu-16530{n:08d}@HGX_Chassis_0/Module_{n}'
             for n in range(devices)]
    wrote = [Item(d, c, 'firmware', '96.00.A6.00.01')
             for d in names for c in ('gpu', 'inforom', 'erot')]
    wrote += [Item(d, 'ecc', 'mode', 'enabled') for d in names]
    return Record(
        'hgx',
        'd' * 64,
        1.7e9,
        1.8e9,
        dict.fromkeys(wrote, 2),
        3,
        Intent(
            'action',
            Activation.AUX_CYCLE,
            1.7e9,
            1.8e9,
            'k' * 12,
            'update',
            'redfish',
            tuple(wrote[:devices]),
            'boot',
            {'transport': 'redfish', 'task': '/redfish/v1/TaskService/7'},
            'e' * 64,
        ),
        tuple(
            Staged(
                i,
                Activation.AUX_CYCLE,
                1,
                Activation.AUX_CYCLE,
                'e' * 64,
                False,
                True,
                'boot',
                1.75e9,
            )
            for i in wrote
        ),
        identities={
            d: ('gpu', '1653000000000', 'HGX_Chassis_0/Module') for d in names
        },
    )


def test_sixteen_devices_with_four_staged_items_each_are_saved() -> None:
    big = _big(16)
    again = record_mod.load(record_mod.dump(big))
    assert again is not None
    assert {x.item.ref: x for x in again.staged} == {
        x.item.ref: x for x in big.staged}


def test_staged_items_of_an_earlier_version_are_read() -> None:
    raw = record_mod.dump(_big(1))
    raw['staged'] = [[*row[:5], row[-1]] for row in raw['staged']]
    again = record_mod.load(raw)
    assert again is not None
    assert {(x.at_reset, x.boot, x.begun) for x in again.staged} == {
        (False, None, None)}


def test_too_large_a_record_is_refused_with_its_size() -> None:
    with pytest.raises(errors.AccelError, match=r'at most 8192 bytes'):
        record_mod.dump(_big(100))


def test_an_unknown_schema_means_hands_off() -> None:
    with pytest.raises(errors.BadInput,
                       match="'record/9', expected 'record/2'"):
        record_mod.load({'schema': 'record/9'})
    assert record_mod.load(None) is None


def test_after_the_end_only_intent_and_staged_items_remain() -> None:
    left = _big(2).finished()
    assert left.intent is not None and len(left.staged) == 8
    assert not left.attempts and not left.resets and not left.started
    assert set(left.identities) == {
        x.item.device for x in left.staged}
