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

"""The vendors' tables are consistent with the catalogue and the styles."""

from __future__ import annotations

import re

import pytest

from ironic_accel.model import catalog
from ironic_accel.model.device import KINDS
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.inventory import scope
from ironic_accel.redfish.inventory import update_methods
from ironic_accel.redfish.vendors.base import Quirks
from ironic_accel.redfish.vendors import dell
from ironic_accel.redfish.vendors import nvidia
from ironic_accel.redfish.vendors.push_rows import NO_PUSH
from ironic_accel.redfish.vendors import registry

KIND_OF = {'card': ('gpu', 'fpga', 'ai', 'crypto', 'nic', 'dpu'),
           'processor': ('gpu', 'fpga', 'ai'), 'adapter': ('nic', 'dpu'),
           'baseboard': ('baseboard',), 'system': ('dpu',), 'any': KINDS}


def silent(uri: str, message: str) -> None:
    raise AssertionError(f'{uri}: {message}')


@pytest.mark.parametrize(
    'quirks', [q for v in registry.vendors() for q in v.quirks],
    ids=lambda q: q.name)
def test_rows_refer_to_existing_names(quirks: Quirks) -> None:
    known = catalog.load()
    assert quirks.recognised_by
    for _, pattern in quirks.recognised_by:
        re.compile(pattern)
    for rule in quirks.firmware:
        groups = re.compile(rule.pattern).groups
        for number in re.findall(r'{(\d+)}', rule.at + rule.system):
            assert 1 <= int(number) <= groups, rule.pattern
        assert any(rule.component in known.components(kind)
                   for kind in KIND_OF[rule.owner]), rule.component
    for row in quirks.pushes:
        assert row.style in {*update_methods.by_name(), NO_PUSH}
        re.compile(row.covers)
    for oem in quirks.oem_firmware:
        assert oem.component in known.components('gpu')


def test_component_words_refer_to_existing_names() -> None:
    words = [w for v in registry.vendors() for w in v.component_words]
    assert len(words) >= 7
    for word in words:
        assert word.component in catalog.load().components(word.kind), word
        re.compile(word.pattern)


def test_names_of_styles_match_their_properties() -> None:
    assert all(s.name == name for name, s in update_methods.by_name().items())


SERVICE = {
    '@odata.id': '/redfish/v1/UpdateService', 'ServiceEnabled': True,
    'MultipartHttpPushUri': '/multipart', 'HttpPushUri': '/push',
    'MultipartHttpPushUri@Redfish.OperationApplyTimeSupport': {
        'SupportedValues': ['Immediate', 'OnReset']},
    'Actions': {'#UpdateService.SimpleUpdate': {
        'target': '/simple',
        'TransferProtocol@Redfish.AllowableValues': ['HTTP', 'HTTPS']}}}
FETCHED = BmcSettings(image_uri=lambda image, spec: 'https://x/y')
ENTRY = '/redfish/v1/UpdateService/FirmwareInventory'


def service(*without: str) -> Fields:
    return Fields({k: v for k, v in SERVICE.items() if k not in without},
                  silent)


def entries(*names: str) -> list[Fields]:
    return [Fields({'@odata.id': f'{ENTRY}/{n}'}, silent) for n in names]


@pytest.mark.parametrize(('without', 'settings', 'chosen'), [
    ((), BmcSettings(), 'multipart-targets'),
    (('MultipartHttpPushUri',), FETCHED, 'simple-targets'),
    (('MultipartHttpPushUri',), BmcSettings(), 'http-push'),
    (('MultipartHttpPushUri', 'HttpPushUri'), BmcSettings(), None),
    (('MultipartHttpPushUri', 'HttpPushUri'), FETCHED, 'simple-targets'),
])
def test_the_best_offered_style_is_chosen(
        without: tuple[str, ...], settings: BmcSettings,
        chosen: str | None) -> None:
    choice = update_methods.choose(service(*without), 'X', [], (), settings)
    assert (choice.style.name if choice else None) == chosen


def test_a_disabled_update_service_offers_no_style() -> None:
    off = Fields({**SERVICE, 'ServiceEnabled': False}, silent)
    assert update_methods.choose(off, 'X', [], (), FETCHED) is None


def test_the_gpu_tray_is_the_target_if_it_has_an_entry() -> None:
    quirks = (nvidia.QUIRKS,)
    tray = update_methods.choose(service(), 'HGX_FW_GPU_SXM_1',
                         entries('HGX_0', 'HGX_FW_GPU_SXM_1'), quirks,
                         BmcSettings())
    assert tray is not None
    assert tray.instead == (f'{ENTRY}/HGX_0',)
    assert tray.reach == 'covered'
    assert re.fullmatch(tray.covers, 'HGX_FW_FPGA_0')
    assert not re.fullmatch(tray.covers, 'CX8_0')
    bare = update_methods.choose(service(), 'HGX_FW_GPU_SXM_1',
                         entries('HGX_FW_GPU_SXM_1'), quirks, BmcSettings())
    assert bare is not None
    assert bare.reach == 'named'
    assert bare.lane('X') != tray.lane('X')
    assert bare.lane('X') == bare.lane('Y')


def test_quirks_of_a_gb_system_precede_those_of_its_board() -> None:
    choice = update_methods.choose(service(), 'HGX_FW_GPU_0', entries('HGX_0'),
                           (nvidia.STATION, nvidia.QUIRKS), BmcSettings())
    assert choice is not None
    assert (choice.style.targets, choice.reach) == ('empty', 'covered')


@pytest.mark.parametrize(('name', 'force', 'expected'), [
    ('multipart-targets', False, {'Targets': ['/a']}),
    ('multipart-targets', True, {'Targets': ['/a'], 'ForceUpdate': True}),
    ('multipart-all', False, {'Targets': []}),
    ('multipart-plain', False, {}),
    ('multipart-stage-only', False, {
        'Targets': ['/a'], 'Oem': {'Nvidia': {'UpdateOption': 'StageOnly'}}}),
])
def test_update_parameters(
        name: str, force: bool, expected: dict[str, object]) -> None:
    choice = update_methods.MethodChoice(update_methods.by_name()[name])
    assert update_methods.parameters(choice, ['/a'], force, service()) == {
        **expected, '@Redfish.OperationApplyTime': 'Immediate'}
    plain = service('MultipartHttpPushUri@Redfish.OperationApplyTimeSupport')
    assert update_methods.parameters(choice, ['/a'], force, plain) == expected


def test_simple_update_names_its_protocol() -> None:
    assert (
        update_methods.transfer_protocol(service(), 'https://x/y') == 'HTTPS')
    assert update_methods.transfer_protocol(service(), 'ftp://x/y') is None


def test_systems_match_their_quirks() -> None:
    def names(root: dict[str, str], *systems: dict[str, str]) -> set[str]:
        found = scope.recognise(
            Fields(root, silent), [Fields(s, silent) for s in systems])
        assert not found.refused
        return {q.name for q in found.quirks}

    assert names({'Vendor': 'Dell'}, {'Id': 'System.Embedded.1'}) == {'dell'}
    assert names({'Vendor': 'Supermicro', 'Product': 'GB NVL'},
                 {'Id': 'System_0'}, {'Id': 'HGX_Baseboard_0'}) == {
        'nvidia-bmc', 'nvidia-gb', 'nvidia-hgx', 'supermicro'}
    assert names({}, {'Id': '1', 'Manufacturer': 'Dell Inc.'},
                 {'Id': 'HGX_Baseboard_0'}) == {'dell', 'nvidia-hgx'}
    assert names({'Product': 'ProLiant DL380 Gen11'}, {'Id': '1'}) == {
        'hpe-ilo'}
    assert names({'Vendor': 'Contoso'}, {'Id': '1'}) == set()


@pytest.mark.parametrize(('name', 'fqdd'), [
    ('Installed-0-24.40.10.00__NIC.Slot.5-1', 'NIC.Slot.5-1'),
    ('Installed-0-20.31.10.14__InfiniBand.Slot.7-2', 'InfiniBand.Slot.7-2'),
    ('Current-108255-21.80.9__NIC.Embedded.1-1-1', None),
    ('Previous-25227-4.40.29.00__iDRAC.Embedded.1-1', None),
    ('Installed-25227-6.00.30.00__iDRAC.Embedded.1-1', None),
    ('Installed-159-1.8.2__BIOS.Setup.1-1', None)])
def test_dell_entries_of_running_firmware(name: str, fqdd: str | None) -> None:
    found = [m[1] for r in dell.QUIRKS.firmware
             if (m := re.fullmatch(r.pattern, name))]
    assert found == ([fqdd] if fqdd else [])
