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

"""Pushes to real services: the planned request is the one that is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ironic_accel.converge import outcome
from ironic_accel.converge.ports import Ready
from ironic_accel.model.errors import Rejected
from ironic_accel.model.profile import Image
from ironic_accel.model.profile import Push
import ironic_accel_emulator as emulator
from ironic_accel_emulator import images
from tests.contract.machine import Machine
from tests.contract.machine import machine
from tests.contract.redfish.actions.test_device_reset import box_with
from tests.contract.redfish.conftest import Start
from tests.contract.redfish.inventory.test_systems import nic_image
from tests.contract.redfish import lookup
from tests.contract.redfish import plans

NEW = '96.00.A6.00.01'
SERVICE = '/redfish/v1/UpdateService'


def profile(digest: str, more: str = '', match: str = 'kind: gpu',
            push: str = '', url: str = 'file:///i/bundle') -> str:
    """GPU firmware of the simulated HGX H100."""
    return f"""
profile: 1
name: gpus
images:
  bundle:
    url: {url}
    sha256: {digest}
    fits: {{board: "HGX H100 8-GPU"}}
    {push}
devices:
  gpus:
    match: {{{match}}}
    firmware: {{gpu: {{version: "{NEW}", image: bundle}}}}
{more}"""


def harmless(box: Machine, updates: int = 1) -> None:
    """No violation, and every component was written ``updates`` times."""
    assert not box.box.ledger.violations
    assert set(box.box.ledger.updates().values()) == {updates}


@pytest.mark.parametrize('fault', [
    ('success', None), ('bare', '200'), ('bare', '202'), ('bare', '204'),
    ('monitor-error', None), ('task-purged', None), ('jobs', None),
    ('task-forgotten', '120')])
def test_one_push_whatever_the_response(
        tmp_path: Path, fault: tuple[str, str | None]) -> None:
    """No task, no Location, a job, a monitor with an error: nothing is reset
    or sent again until the device has the version."""
    with machine('hgx-h100', tmp_path) as box:
        box.box.faults.add(*fault)
        out = box.run(profile(box.image({'gpu': NEW})))
        assert isinstance(out, outcome.Converged), out
        assert len(box.box.ledger.pushes) == 1
        harmless(box)


def _two_cards(folder: Path) -> Path:
    """The shipped PCIe system with two ConnectX-7."""
    shipped = Path(emulator.__file__).parent / 'boxes' / 'pcie-a100.yaml'
    spec = yaml.safe_load(shipped.read_text())
    cards = spec['hosts'][0]['adapters']
    cards.append({**cards[-1], 'id': 'NIC7', 'serial': 'MT2245X00003',
                  'firmware': 'NIC7_ConnectX-7',
                  'part_number': 'MCX755106AC-HEAT',
                  'macs': ['a0:88:c2:00:00:30']})
    path = folder / 'box.yaml'
    path.write_text(yaml.safe_dump(spec))
    return path


def cards(digest: str, match: str, count: int) -> str:
    """A profile with firmware of some cards."""
    return f"""
profile: 1
name: cards
images:
  fw:
    url: file:///i/fw
    sha256: {digest}
    fits: {{psid: MT_0000000834}}
devices:
  cards:
    match: {{{match}}}
    count: {count}
    firmware: {{nic: {{version: "28.43.1014", image: fw}}}}
"""


def test_a_service_with_one_target_per_push_gets_one(tmp_path: Path) -> None:
    """bmcweb: one push after another, each with its component, and one reset
    of the host activates all of them."""
    with machine(_two_cards(tmp_path), tmp_path) as box:
        box.box.faults.add('one-target')
        digest = images.mlnx_image(tmp_path / 'fw', '28.43.1014',
                                   'MT_0000000834')
        out = box.run(cards(digest, 'kind: nic', 2))
        assert isinstance(out, outcome.Converged), out
        pushes = box.box.ledger.pushes
        assert [len(p.targets or ()) for p in pushes] == [1, 1]
        assert len({p.targets for p in pushes}) == 2
        assert len(box.box.ledger.resets) == 1
        harmless(box)


def test_an_update_that_waits_for_a_reset_is_staged(
        tmp_path: Path) -> None:
    """UserIntervention, 100 %, until our host reset."""
    with machine('hgx-h100', tmp_path) as box:
        box.box.faults.add('task-waits')
        out = box.run(profile(box.image({'gpu': NEW})))
        assert isinstance(out, outcome.Converged), out
        assert len(box.box.ledger.pushes) == 1
        assert box.clock.now() < 7200
        harmless(box)


def test_a_service_that_ignores_targets_requires_consent(
        tmp_path: Path) -> None:
    with machine(_two_cards(tmp_path), tmp_path) as box:
        strange(box)
        box.box.faults.add('targets-ignored')
        digest = images.mlnx_image(tmp_path / 'fw', '28.43.1014',
                                   'MT_0000000834')
        asked = cards(digest, 'kind: nic, part_number: MCX755106AC-HEAT', 1)
        refused = box.run(asked)
        assert isinstance(refused, outcome.Refused), refused
        assert 'collateral' in refused.plan.refused[0].reason
        assert box.box.ledger.pushes == []
        # All of them get the same image: no consent is required.
        out = box.run(cards(digest, 'kind: nic', 2))
        assert isinstance(out, outcome.Converged), out
        assert len(box.box.ledger.pushes) == 1
        harmless(box)


def test_two_targets_are_never_sent_to_a_service_with_one_per_push(
        rig: Start, tmp_path: Path) -> None:
    at = rig(box_with(tmp_path, 'action'))
    gpus = plans.gpus(at.backend.observe())
    image = plans.bundle(tmp_path, gpu=NEW)
    with pytest.raises(Rejected, match='limits the number of targets'):
        at.backend.start(plans.planned(
            at.backend, {(g, 'gpu'): NEW for g in gpus}), image)
    assert at.box.ledger.pushes == []


STYLES = ['multipart-all', 'multipart-plain', 'http-push']


@pytest.mark.parametrize('style', STYLES)
def test_the_push_style_of_a_profile_is_planned_with_its_collateral(
        tmp_path: Path, style: str) -> None:
    """It names no target: cards outside the groups are written too."""
    push = f'push: {{style: {style}}}'
    with machine('hgx-h100', tmp_path) as box:
        digest = box.image({'gpu': NEW})
        place = next(d.location for d in box.backend.observe().devices
                     if d.kind == 'gpu')
        one = f'kind: gpu, location: "{place}"'
        refused = box.run(profile(digest, match=one, push=push))
        assert isinstance(refused, outcome.Refused), refused
        reason = refused.plan.refused[0].reason
        assert 'add collateral to allow' in reason
        assert box.box.ledger.pushes == []
        out = box.run(profile(digest, 'allow: [collateral]', one, push))
        assert isinstance(out, outcome.Converged), out
        assert len(box.box.ledger.pushes) == 1
        assert len(box.box.ledger.updates()) == 8


@pytest.mark.parametrize(('push', 'also'), [
    (None, 0), (Push('multipart-targets'), 0),
    (Push('multipart-targets-forced'), 0), (Push('multipart-all'), None),
    (Push('multipart-plain'), None), (Push('http-push'), None),
    (Push('multipart-targets', (f'{SERVICE}/FirmwareInventory/'
                                'HGX_FW_GPU_SXM_2',)), 1),
    (Push('multipart-targets', ('/redfish/v1/Chassis/HGX_Chassis_0',)),
     None),
    (Push('multipart-targets', ()), 0),
    (Push('pigeon'), 'refused'), (Push('simple-targets'), 'refused')])
def test_the_collateral_of_a_push(
        rig: Start, push: Push | None, also: Any) -> None:
    """0: nothing; None: everything that can be written."""
    at = rig('hgx-h100', 'System_0')
    inventory = at.backend.observe()
    gpu = plans.gpus(inventory)[0]
    transport, = at.backend.transports(inventory, (push,) if push else ())
    target = transport.updates[gpu, 'gpu']
    told = target.also_writes if push is None else target.pushes[push]
    if also == 'refused':
        assert told is None
        return
    assert told is not None
    everything = {r for r in transport.updates if r != (gpu, 'gpu')}
    if also is None:
        assert everything <= set(told)
    else:
        assert len(told) == also
    assert (gpu, 'gpu') not in told


@pytest.mark.parametrize('also', [True, False])
def test_a_push_with_more_collateral_than_planned_is_not_sent(
        rig: Start, tmp_path: Path, also: bool) -> None:
    at = rig('pcie-a100')
    dpu = lookup.one(at.backend.observe(), 'dpu')
    image = nic_image(tmp_path, '32.43.1014', 'MT_0000000884')
    spec = Image('fw', 'file:///fw', image.sha256, {}, Push('multipart-all'))
    action = plans.planned(at.backend, {(dpu.id, 'nic'): '32.43.1014'},
                             spec.push if also else None)
    if also:
        at.backend.start(action, image, spec)
        assert len(at.box.ledger.pushes) == 1
        return
    with pytest.raises(Rejected, match='not in the plan'):
        at.backend.start(action, image, spec)
    assert [r for r in at.box.ledger.requests if r.method == 'POST'] == []


def strange(at: Any, **more: Any) -> None:
    """Change the UpdateService to one without a row in any table."""
    doc = lookup.document(at.box, SERVICE)
    doc['MultipartHttpPushUri'] = '/redfish/v1/UpdateService/put-it-here'
    doc.pop('HttpPushUri', None)
    doc |= more
    at.box.documents.put(SERVICE, doc)


def test_an_unknown_service_is_not_trusted_to_respect_targets(
        rig: Start, tmp_path: Path) -> None:
    """All similar devices may be written: both GPUs, no other card."""
    at = rig(box_with(tmp_path, 'action'))
    strange(at)
    inventory = at.backend.observe()
    one, two = plans.gpus(inventory)
    transport, = at.backend.transports(inventory)
    assert transport.updates[one, 'gpu'].also_writes == ((two, 'gpu'),)
    assert transport.updates[two, 'gpu'].also_writes == ((one, 'gpu'),)
    dpu = lookup.one(inventory, 'dpu')
    assert transport.updates[dpu.id, 'nic'].also_writes == ()


@pytest.mark.parametrize(('times', 'transport'), [
    (['Immediate', 'OnReset'], 'Immediate'), (['OnReset'], 'OnReset'),
    (['OnStartUpdateRequest'], None),
    (['AtMaintenanceWindowStart', 'OnStartUpdateRequest'], None), ([], '')])
def test_an_upload_is_not_sent_without_start_update(
        rig: Start, tmp_path: Path, times: list[str], transport: str | None
        ) -> None:
    """An upload alone has no effect, and StartUpdate does not exist."""
    at = rig(box_with(tmp_path, 'action'))
    note = 'MultipartHttpPushUri@Redfish.OperationApplyTimeSupport'
    strange(at, Actions={}, **{note: {
        '@odata.type': '#Settings.v1_3_3.OperationApplyTimeSupport',
        'SupportedValues': times}})
    inventory = at.backend.observe()
    found, = at.backend.transports(inventory)
    assert bool(found.updates) is (transport is not None)


def test_dell_updates_all_similar_devices_at_the_next_reset(
        rig: Start, captures: Path) -> None:
    at = rig(captures / 'dell-r750-h100.tar.gz')
    inventory = at.backend.observe()
    transport, = at.backend.transports(inventory)
    dpu = lookup.one(inventory, 'dpu')
    target = transport.updates[dpu.id, 'nic']
    assert '/multipart-all' in target.lane
    # The other port of a card is not another device.
    assert all(
        'InfiniBand.Slot.7' not in name
        for b in transport.updates.values()
        for _, name in b.also_writes
    )


@pytest.mark.parametrize(('url', 'fine'), [
    ('file:///i/Network_Firmware_N3K9W_WN64_24.43.EXE', True),
    ('https://x.example/a/fw.d9', True), ('file:///i/fw.bin', False),
    ('file:///i/fw', False)])
def test_dell_requires_a_suffix_of_the_file_name(
        rig: Start, captures: Path, tmp_path: Path, url: str, fine: bool
        ) -> None:
    at = rig(captures / 'dell-r750-h100.tar.gz')
    dpu = lookup.one(at.backend.observe(), 'dpu')
    # A cached image is named by its digest.
    path = tmp_path / ('0' * 64)
    digest = images.plain_image(path, 'nic', '24.43.2026',
                                {'pci': '15b3:a2d6'})
    ready = Ready(str(path), path.stat().st_size, digest)
    action = plans.planned(at.backend, {(dpu.id, 'nic'): '24.43.2026'})
    spec = Image('fw', url, digest, {})
    if fine:
        at.backend.start(action, ready, spec)
        assert len(at.box.ledger.pushes) == 1
        return
    with pytest.raises(Rejected, match='requires a suffix'):
        at.backend.start(action, ready, spec)
    assert at.box.ledger.pushes == []


def test_a_rejected_push_names_the_running_task(
        rig: Start, tmp_path: Path) -> None:
    at = rig('hgx-h100', 'System_0')
    gpu = plans.gpus(at.backend.observe())[0]
    at.box.faults.add('foreign-task', '3600')
    at.box.updates.start_foreign(3600)
    at.box.faults.add('busy', '30', '/update-multipart', 'POST')
    with pytest.raises(Rejected) as error:
        at.backend.start(plans.planned(at.backend, {(gpu, 'gpu'): NEW}),
                         plans.bundle(tmp_path, gpu=NEW))
    assert 'Update Running' in (error.value.detail.running or '')
    assert error.value.retry_after == 30


@pytest.mark.parametrize('where', ['action', 'info'])
def test_simple_update_takes_the_protocol_from_the_action_info(
        rig: Start, tmp_path: Path, where: str) -> None:
    """Cray's ActionInfo requires it."""
    at = rig('pcie-a100', image_uri=lambda image, spec:
             f'file://{image.path}')
    info = f'{SERVICE}/SimpleUpdateActionInfo'
    doc = lookup.document(at.box, SERVICE)
    action = doc['Actions']['#UpdateService.SimpleUpdate']
    action.pop('TransferProtocol@Redfish.AllowableValues', None)
    if where == 'action':
        action['TransferProtocol@Redfish.AllowableValues'] = ['FILE']
    else:
        action['@Redfish.ActionInfo'] = info
        at.box.documents.put(info, {
            '@odata.id': info, '@odata.type': '#ActionInfo.v1_0_1.ActionInfo',
            'Id': 'x', 'Name': 'x', 'Parameters': [
                {'Name': 'TransferProtocol', 'Required': True,
                 'AllowableValues': ['HTTP', 'FILE']}]})
    at.box.documents.put(SERVICE, doc)
    dpu = lookup.one(at.backend.observe(), 'dpu')
    image = nic_image(tmp_path, '32.43.1014', 'MT_0000000884')
    spec = Image('fw', 'file:///fw', image.sha256, {}, Push('simple-targets'))
    bodies: list[Any] = []
    send = type(at.backend._writer).send

    def sees(writer: Any, method: str, uri: str, body: Any = None) -> Any:
        bodies.append(body)
        return send(writer, method, uri, body)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(at.backend._writer), 'send', sees)
        at.backend.start(plans.planned(
            at.backend, {(dpu.id, 'nic'): '32.43.1014'}, spec.push),
            image, spec)
    assert bodies[0]['TransferProtocol'] == 'FILE'


def test_a_bmc_that_downloads_images_needs_a_place_to_get_them_from(
        rig: Start) -> None:
    """Without one a plan refuses the update, and says what is missing."""
    alone = rig('two-nodes', 'Node0')
    inventory = alone.backend.observe()
    transport, = alone.backend.transports(inventory)
    assert not transport.updates
    assert {'the BMC downloads its images, and no URI for the download is '
            'configured'} == {*transport.bars.values()}
    served = rig('two-nodes', 'Node0',
                 image_uri=lambda image, spec: 'http://192.0.2.1/x')
    transport, = served.backend.transports(served.backend.observe())
    assert transport.updates and not transport.bars
