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

"""The journal of a run without a conductor."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import stat
from typing import Any
from unittest import mock

import pytest

from ironic_accel.faces.cli import bmc_lock
from ironic_accel.faces.cli import journal
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import BadInput
from ironic_accel.model.plan import Item
from ironic_accel.model.profile import Profile
from ironic_accel.model import record as record_mod
from ironic_accel.model.record import Intent
from ironic_accel.model.record import Staged
from ironic_accel.model.record import Record
from ironic_accel.redfish.inventory.bmc_identity import BmcIdentity

BMC, SYSTEM = 'http://127.0.0.1:8000', '/redfish/v1/Systems/1'
UUID = '4c4c4544-0035-3410-8050-c6c04f314733'
OTHER = '5f1cf000-643d-11f0-8000-7cc25590513a'
NODE = BmcIdentity(BMC, SYSTEM, UUID, OTHER, 'S1', (OTHER,))
RECORD = Record(profile='p', digest='d', started=1.0, deadline=2.0, staged=(
    Staged(Item('gpu-1', 'gpu', 'firmware', '2.0'), Activation.AUX_CYCLE),))


@pytest.fixture(autouse=True)
def state(tmp_path: pathlib.Path,
          monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setenv('XDG_STATE_HOME', str(tmp_path / 'state'))
    return tmp_path / 'state' / 'ironic-accel'


def test_a_saved_record_is_loaded_unchanged(state: pathlib.Path) -> None:
    one = journal.of(NODE)
    one.found = 'off'
    one.save(RECORD)
    two = journal.of(NODE)
    assert two.load() == RECORD
    assert two.found == 'off'
    [file] = state.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_a_killed_process_left_of_a_save_is_gone_after_the_next(
        state: pathlib.Path, tmp_path: pathlib.Path) -> None:
    one = journal.of(NODE)
    state.mkdir(parents=True)
    part = pathlib.Path(one.path + '.part')
    part.write_text('{"schema": ')
    another = state / 'other.json.part'
    another.write_text('{')
    one.save(RECORD)
    assert sorted(state.iterdir()) == sorted(
        [pathlib.Path(one.path), another])
    outside = tmp_path / 'outside'
    outside.write_text('as it was')
    part.symlink_to(outside)
    one.save(RECORD)
    assert outside.read_text() == 'as it was'
    assert journal.of(NODE).load() == RECORD


def test_without_a_file_there_is_no_record() -> None:
    assert journal.of(NODE).load() is None


def test_each_system_has_its_own_journal() -> None:
    paths = {journal.default_path(BmcIdentity(bmc, system, service))
             for bmc, system, service in (
                 (BMC, SYSTEM, UUID), (BMC, SYSTEM + '0', UUID),
                 (BMC, SYSTEM, OTHER), (BMC, SYSTEM, None),
                 (BMC + '0', SYSTEM, None))}
    assert len(paths) == 5


@pytest.mark.parametrize('content, words', [
    ('{"schema": "other"}', 'not a journal/1'),
    ('[]', 'not a journal/1'),
    ('{"sch', 'cannot read'),
    (json.dumps({'schema': 'journal/1', 'bmc': 'http://other',
                 'system': SYSTEM, 'found': None, 'record': None}),
     'belongs to http://other'),
    *((json.dumps({'schema': 'journal/1', 'bmc': BMC, 'system': SYSTEM,
                   'found': None, 'started': started, 'record': None}),
       'is not a journal/1') for started in ('soon', [1], 10 ** 400)),
])
def test_a_file_that_is_not_this_journal_is_refused(
        tmp_path: pathlib.Path, content: str, words: str) -> None:
    file = tmp_path / 'j.json'
    file.write_text(content)
    with pytest.raises(BadInput, match=words):
        journal.of(NODE, str(file)).load()
    assert file.read_text() == content


def test_a_journal_that_cannot_be_saved_is_an_error(
        tmp_path: pathlib.Path) -> None:
    (tmp_path / 'file').write_text('')
    kept = journal.of(NODE, str(tmp_path / 'file' / 'j.json'))
    with pytest.raises(AccelError, match='cannot save the journal'):
        kept.save(RECORD)


def test_a_failed_save_keeps_the_last_journal(tmp_path: pathlib.Path) -> None:
    kept = journal.of(NODE, str(tmp_path / 'j.json'))
    kept.save(RECORD)
    with pytest.raises(AccelError, match='too large'):
        kept.save(Record(progress='x' * 9000))
    assert kept.load() == RECORD
    assert [p.name for p in tmp_path.iterdir()] == ['j.json']


def test_one_run_at_a_time_writes_to_a_url() -> None:
    with bmc_lock.hold_url('https://bmc'):
        for url in ('https://bmc', 'https://bmc:443'):
            with (pytest.raises(AccelError, match='another run'),
                  bmc_lock.hold_url(url)):
                raise AssertionError('held twice')
        with bmc_lock.hold_url('https://bmc:8443'):
            pass
    with bmc_lock.hold_url('https://bmc'):
        pass


@pytest.mark.parametrize('other', [
    BmcIdentity('https://192.0.2.1', SYSTEM, UUID, OTHER, 'S1', (OTHER,)),
    BmcIdentity('https://192.0.2.1', SYSTEM + '0', UUID, None, None, ())])
def test_one_run_at_a_time_writes_to_a_bmc_whatever_its_name(
        other: BmcIdentity) -> None:
    with (bmc_lock.hold_bmc(NODE),
          pytest.raises(AccelError, match=r'another run.*UUID'),
          bmc_lock.hold_bmc(other)):
        raise AssertionError('held twice')
    with bmc_lock.hold_bmc(other):
        pass


def test_systems_of_a_bmc_without_its_own_uuid_share_a_lock() -> None:
    one = BmcIdentity('http://a', SYSTEM, None, OTHER, None, (OTHER, UUID))
    two = BmcIdentity('http://b', SYSTEM + '0', None, UUID, None,
                      (OTHER, UUID))
    with (bmc_lock.hold_bmc(one), pytest.raises(AccelError),
          bmc_lock.hold_bmc(two)):
        raise AssertionError('held twice')


def test_bmcs_whose_boards_have_the_same_uuid_are_locked_apart() -> None:
    other = dataclasses.replace(NODE, service=OTHER)
    with bmc_lock.hold_bmc(NODE), bmc_lock.hold_bmc(other):
        pass


def test_bmcs_without_a_uuid_are_locked_by_url_alone() -> None:
    with (bmc_lock.hold_bmc(BmcIdentity('http://a', SYSTEM)),
          bmc_lock.hold_bmc(BmcIdentity('http://b', SYSTEM))):
        pass


def test_two_names_of_a_bmc_share_a_journal(state: pathlib.Path) -> None:
    journal.of(NODE).save(RECORD)
    named = dataclasses.replace(NODE, url='https://bmc.example')
    again = journal.of(named)
    assert again.load() == RECORD
    again.save(Record(progress='later'))
    assert journal.of(NODE).load() == Record(progress='later')
    [file] = state.iterdir()
    document = json.loads(file.read_text())
    assert document['names'] == [BMC, 'https://bmc.example']


@pytest.mark.parametrize('known', [
    {'service': None}, {'uuid': None, 'others': ()}, {'serial': None}])
def test_a_uuid_that_is_not_shown_this_time_does_not_lose_the_journal(
        known: dict[str, Any], state: pathlib.Path) -> None:
    journal.of(NODE).save(RECORD)
    less = journal.of(dataclasses.replace(NODE, url='https://x', **known))
    assert less.load() == RECORD
    less.save(RECORD)
    assert len([*state.iterdir()]) == 1
    assert journal.of(NODE).load() == RECORD


@pytest.mark.parametrize('known', [
    {'service': OTHER}, {'uuid': UUID}, {'serial': 'S2'},
    {'system': SYSTEM + '0'}])
def test_another_machine_at_the_same_url_has_another_journal(
        known: dict[str, Any]) -> None:
    journal.of(NODE).save(RECORD)
    assert journal.of(dataclasses.replace(NODE, **known)).load() is None


def earlier(url: str) -> str:
    """A journal as an earlier version has written it."""
    folder = pathlib.Path(journal.default_folder())
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f'earlier-{len([*folder.iterdir()])}.json'
    file.write_text(json.dumps({
        'schema': 'journal/1', 'bmc': url, 'system': SYSTEM, 'found': 'on',
        'record': record_mod.dump(RECORD)}))
    return str(file)


@pytest.mark.parametrize('written, used', [
    (BMC, BMC), ('https://bmc', 'https://bmc:443'),
    ('https://bmc:443', 'https://BMC')])
def test_a_journal_of_an_earlier_version_is_taken_over(
        state: pathlib.Path, written: str, used: str) -> None:
    old = earlier(written)
    taken = journal.of(dataclasses.replace(NODE, url=used))
    assert (taken.load(), taken.found) == (RECORD, 'on')
    assert os.path.exists(old)
    taken.save(RECORD)
    assert [str(p) for p in state.iterdir()] == [taken.path]
    assert json.loads(pathlib.Path(taken.path).read_text())[
        'identity']['service'] == UUID


def test_a_journal_of_an_earlier_version_for_another_url_is_kept(
        state: pathlib.Path) -> None:
    old = earlier('http://127.0.0.1:8001')
    mine = journal.of(NODE)
    assert mine.load() is None
    mine.save(RECORD)
    assert os.path.exists(old)


def test_a_broken_file_of_another_bmc_does_not_stop_a_run(
        state: pathlib.Path) -> None:
    state.mkdir(parents=True)
    (state / 'broken.json').write_text('{"sch')
    (state / 'list.json').write_text('[]')
    assert journal.of(NODE).load() is None


def test_an_interrupted_run_is_found_by_each_name_of_the_bmc() -> None:
    profile = mock.create_autospec(Profile, instance=True, digest='d')
    for url in (BMC, 'https://bmc.example'):
        one = journal.of(dataclasses.replace(NODE, url=url))
        one.load()
        one.save(dataclasses.replace(RECORD, intent=Intent(
            'action', Activation.NONE, 1.0, 2.0)))
    for url in (BMC, 'https://bmc.example', 'https://bmc.example:443'):
        assert journal.left_open(url, profile)
    assert not journal.left_open('https://other', profile)
