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

"""Uploads that a second request starts: verified first, started once."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from ironic_accel.converge import outcome
from ironic_accel_emulator import images
from tests.contract.machine import Machine
from tests.contract.machine import machine
from tests.contract.redfish.actions.test_device_reset import box_with
from tests.contract.redfish.actions.test_updates import cards
from tests.contract.redfish.actions.test_updates import SERVICE
from tests.contract.redfish.actions.test_updates import strange
from tests.contract.redfish.conftest import Start
from tests.contract.redfish.inventory.test_systems import nic_image
from tests.contract.redfish import lookup
from tests.contract.redfish import plans

START = f'{SERVICE}/Actions/UpdateService.StartUpdate'
TIMES = {'MultipartHttpPushUri@Redfish.OperationApplyTimeSupport': {
    '@odata.type': '#Settings.v1_3_3.OperationApplyTimeSupport',
    'SupportedValues': ['OnStartUpdateRequest']}}


def upload(at: Any, how: str | None, listed: bool = False) -> None:
    """Let a service require that uploads are started.

    :param how: value of the fault.
    :param listed: the service is of an unknown vendor and lists its apply
        times; else it is that of Supermicro, which lists none.
    """
    actions = {'#UpdateService.StartUpdate': {'target': START}}
    strange(at, Actions=actions, **(TIMES if listed else {
        'MultipartHttpPushUri': f'{SERVICE}/upload'}))
    if not listed:
        for host in at.box.hosts.values():
            doc = lookup.document(at.box, host.uri)
            at.box.documents.put(host.uri, {
                **doc, 'Manufacturer': 'Supermicro'})
    at.box.faults.add('upload-waits', how)


def posts(box: Machine, path: str) -> int:
    """The number of accepted POST requests."""
    return len([r for r in box.box.ledger.requests
                if r.method == 'POST' and r.path.endswith(path)])


@contextlib.contextmanager
def asked(folder: Path, how: str | None, listed: bool = False
          ) -> Iterator[tuple[Machine, str]]:
    """A system that requires the start of uploads, and a profile."""
    with machine('pcie-a100', folder) as box:
        upload(box, how, listed)
        box.look_rarely()
        digest = images.mlnx_image(folder / 'fw', '28.43.1014',
                                   'MT_0000000834')
        yield box, cards(digest, 'kind: nic', 1)


@pytest.mark.parametrize('how', [None, 'new'])
@pytest.mark.parametrize('listed', [True, False])
def test_an_upload_is_checked_and_started_once(
        tmp_path: Path, how: str | None, listed: bool) -> None:
    with asked(tmp_path, how, listed) as (box, wanted):
        out = box.run(wanted)
        assert isinstance(out, outcome.Converged), out
        assert len(box.box.ledger.pushes) == 1
        assert posts(box, '.StartUpdate') == 1
        assert box.box.ledger.violations == []


@pytest.mark.parametrize('how', [None, 'new'])
@pytest.mark.parametrize('fault', [
    ('busy', '3', 1), ('drop', None, 1), ('refuse', None, 1),
    ('status', '500', 1), ('status', '400', 1),
    ('body', '405:' + json.dumps({'error': {'@Message.ExtendedInfo': [{
        'MessageId': 'SMC.1.0.OemFirmwareAlreadyInUpdateMode'}]}}), 1)])
def test_a_failed_start_update_is_repeated_only_if_it_was_rejected(
        tmp_path: Path, how: str | None, fault: tuple[str, Any, int]
        ) -> None:
    """A rejected one is sent again; a lost one is resolved by reading."""
    name, value, times = fault
    with asked(tmp_path, how) as (box, wanted):
        box.box.faults.add(name, value, '.StartUpdate', 'POST', count=times)
        out = box.run(wanted)
        ledger = box.box.ledger
        assert ledger.violations == []
        assert len(ledger.writes) <= 1
        assert len(ledger.pushes) == 1
        if name in ('status', 'refuse'):
            # Nothing was started, or that is unknown; and while an upload is
            # waiting the service accepts no other.
            assert isinstance(out, outcome.Failed), out
            assert ledger.writes == []
        else:
            assert isinstance(out, outcome.Converged), out


@pytest.mark.parametrize('how', [None, 'new'])
def test_start_update_is_not_repeated_by_a_new_process(
        tmp_path: Path, how: str | None) -> None:
    """The record of the request is saved, so it may have been sent."""
    with asked(tmp_path, how) as (box, wanted):
        save = box.journal.save
        died: list[int] = []

        def dies(record: Any) -> None:
            save(record)
            ticket = record.intent.ticket if record.intent else None
            if (ticket or {}).get('gone') and not died:
                died.append(1)
                raise SystemExit

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(box.journal, 'save', dies)
            with pytest.raises(SystemExit):
                box.run(wanted)
        assert posts(box, '.StartUpdate') == 0
        out = box.run(wanted)
        assert not isinstance(out, outcome.Converged)
        assert box.box.ledger.writes == []
        assert len(box.box.ledger.pushes) == 1


@pytest.mark.parametrize('how', [None, 'new'])
def test_a_failed_image_verification_is_reported(
        tmp_path: Path, how: str | None) -> None:
    with asked(tmp_path, how) as (box, wanted):
        def unfit() -> None:
            for task in box.box.tasks.running:
                box.box.tasks.end(task, 'Exception', 'Critical')

        box.box.timeline.after(1.0, unfit, 'not verified')
        out = box.run(wanted + 'limits: {attempts: 1}\n')
        assert isinstance(out, outcome.Failed), out
        assert 'ended in state Exception' in str(out.error)
        assert posts(box, '.StartUpdate') == 0


def test_a_board_without_start_update_gets_immediate(
        rig: Start, tmp_path: Path) -> None:
    """Supermicro's SYS-420GP-TNR."""
    at = rig(box_with(tmp_path, 'action'))
    upload(at, None)
    at.box.faults.clear('upload-waits')
    doc = lookup.document(at.box, SERVICE)
    at.box.documents.put(SERVICE, {**doc, 'Actions': {}})
    at.box.faults.add('one-target')
    inventory = at.backend.observe()
    dpu = lookup.one(inventory, 'dpu')
    transport, = at.backend.transports(inventory)
    assert (
        transport.updates[dpu.id, 'nic'].lane.split('/')[1]
        == 'multipart-targets'
    )
    image = nic_image(tmp_path, '32.43.1014', 'MT_0000000884')
    at.backend.start(plans.planned(
        at.backend, {(dpu.id, 'nic'): '32.43.1014'}), image)
    push, = at.box.ledger.pushes
    assert len(push.targets or ()) == 1


@pytest.mark.parametrize(('times', 'words'), [
    (['OnStartUpdateRequest'], 'OnStartUpdateRequest'),
    (['AtMaintenanceWindowStart'], 'AtMaintenanceWindowStart')])
def test_an_unsupported_apply_time_is_named_in_the_refusal(
        tmp_path: Path, times: list[str], words: str) -> None:
    """Without StartUpdate: refused with one sentence, nothing is sent."""
    with machine('pcie-a100', tmp_path) as box:
        strange(box, Actions={}, **{
            'MultipartHttpPushUri@Redfish.OperationApplyTimeSupport': {
                'SupportedValues': times}})
        digest = images.mlnx_image(tmp_path / 'fw', '28.43.1014',
                                   'MT_0000000834')
        out = box.run(cards(digest, 'kind: nic', 1))
        assert isinstance(out, outcome.Refused), out
        reason = out.plan.refused[0].reason
        assert (f'this BMC applies an upload only at OperationApplyTime '
                f'{words}') in reason
        assert box.box.ledger.pushes == []


@pytest.mark.parametrize(('vendor', 'words'), [
    ('Dell', 'only stores an image that is sent to HttpPushUri'),
    ('Lenovo', 'only after HttpPushUriTargets was reserved'),
    ('HPE', 'only as a form that contains the session key')])
def test_an_unsupported_vendor_upload_is_named_in_the_refusal(
        tmp_path: Path, vendor: str, words: str) -> None:
    with machine('pcie-a100', tmp_path) as box:
        strange(box, HttpPushUri='/redfish/v1/UpdateService/update',
                Actions={})
        doc = lookup.document(box.box, SERVICE)
        del doc['MultipartHttpPushUri']
        box.box.documents.put(SERVICE, doc)
        root = lookup.document(box.box, '/redfish/v1')
        box.box.documents.put('/redfish/v1', {
            **root, 'Vendor': vendor, 'Product': 'ProLiant DL380' if (
                vendor == 'HPE') else 'x'})
        digest = images.mlnx_image(tmp_path / 'fw', '28.43.1014',
                                   'MT_0000000834')
        out = box.run(cards(digest, 'kind: nic', 1))
        assert isinstance(out, outcome.Refused), out
        assert words in ' '.join(r.reason for r in out.plan.refused)
        assert box.box.ledger.pushes == []
