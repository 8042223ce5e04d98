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

import json
import pathlib
import stat

import pytest

from ironic_accel.faces.cli import journal
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import BadInput
from ironic_accel.model.plan import Item
from ironic_accel.model.record import Staged
from ironic_accel.model.record import Record

BMC, SYSTEM = 'http://127.0.0.1:8000', '/redfish/v1/Systems/1'
RECORD = Record(profile='p', digest='d', started=1.0, deadline=2.0, staged=(
    Staged(Item('gpu-1', 'gpu', 'firmware', '2.0'), Activation.AUX_CYCLE),))


@pytest.fixture(autouse=True)
def state(tmp_path: pathlib.Path,
          monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setenv('XDG_STATE_HOME', str(tmp_path / 'state'))
    return tmp_path / 'state' / 'ironic-accel'


def test_a_saved_record_is_loaded_unchanged(state: pathlib.Path) -> None:
    one = journal.of(BMC, SYSTEM)
    one.found = 'off'
    one.save(RECORD)
    two = journal.of(BMC, SYSTEM)
    assert two.load() == RECORD
    assert two.found == 'off'
    [file] = state.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_without_a_file_there_is_no_record() -> None:
    assert journal.of(BMC, SYSTEM).load() is None


def test_each_system_has_its_own_journal() -> None:
    paths = {journal.default_path(bmc, system) for bmc, system in (
        (BMC, SYSTEM), (BMC, SYSTEM + '0'), (BMC + '0', SYSTEM))}
    assert len(paths) == 3


@pytest.mark.parametrize('content, words', [
    ('{"schema": "other"}', 'not a journal/1'),
    ('[]', 'not a journal/1'),
    ('{"sch', 'cannot read'),
    (json.dumps({'schema': 'journal/1', 'bmc': 'http://other',
                 'system': SYSTEM, 'found': None, 'record': None}),
     'belongs to http://other'),
])
def test_a_file_that_is_not_this_journal_is_refused(
        tmp_path: pathlib.Path, content: str, words: str) -> None:
    file = tmp_path / 'j.json'
    file.write_text(content)
    with pytest.raises(BadInput, match=words):
        journal.of(BMC, SYSTEM, str(file)).load()
    assert file.read_text() == content


def test_a_journal_that_cannot_be_saved_is_an_error(
        tmp_path: pathlib.Path) -> None:
    (tmp_path / 'file').write_text('')
    kept = journal.of(BMC, SYSTEM, str(tmp_path / 'file' / 'j.json'))
    with pytest.raises(AccelError, match='cannot save the journal'):
        kept.save(RECORD)


def test_a_failed_save_keeps_the_last_journal(tmp_path: pathlib.Path) -> None:
    kept = journal.of(BMC, SYSTEM, str(tmp_path / 'j.json'))
    kept.save(RECORD)
    with pytest.raises(AccelError, match='too large'):
        kept.save(Record(progress='x' * 9000))
    assert kept.load() == RECORD
    assert [p.name for p in tmp_path.iterdir()] == ['j.json']


def test_one_run_at_a_time_writes_to_a_bmc() -> None:
    with journal.hold_bmc(BMC):
        with (pytest.raises(AccelError, match='another run'),
              journal.hold_bmc(BMC)):
            raise AssertionError('held twice')
        with journal.hold_bmc(BMC + '1'):
            pass
    with journal.hold_bmc(BMC):
        pass
