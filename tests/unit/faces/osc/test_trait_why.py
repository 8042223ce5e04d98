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

"""``baremetal accelerator traits --why``: each reason for or against one."""

from __future__ import annotations

from collections.abc import Callable
import csv
import dataclasses
import functools
import io
import math
import time
import types
from typing import Any

import pytest

from ironic_accel.conductor.publication import compliance as publication
from ironic_accel.conductor.publication import device_ownership
from ironic_accel.faces.osc.report import compliance
from ironic_accel.faces.osc.report.fleet_profiles import FleetProfiles
from ironic_accel.faces.osc.report.node_access import VisibleNode
from ironic_accel.faces.osc.report import trait_devices
from ironic_accel.faces.osc.report import trait_profiles
from ironic_accel.faces.osc.report import trait_reason
from ironic_accel.model import catalog
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import PciIds
from ironic_accel.model.reading_status import Unread
from ironic_accel.model.serialization import inventory_to_dict
from ironic_accel.model import traits
from ironic_accel.model import transport_document
from tests.unit.conductor import sample
from tests.unit.faces.osc.cloud import Cloud
from tests.unit.faces.osc.operations import result
from tests.unit.faces.osc.operations import run

MakeCloud = Callable[..., Cloud]

IS, CAN = 'CUSTOM_ACCEL_IS_ECC_ON', 'CUSTOM_ACCEL_CAN_ECC_ON'
GPU, X2 = 'CUSTOM_ACCEL_GPU', 'CUSTOM_ACCEL_GPU_X2'
ECC = 'CUSTOM_ACCEL_GPU_ECC'
PRODUCT = 'CUSTOM_ACCEL_GPU_NVIDIA_H100_SXM'
PCI = 'CUSTOM_ACCEL_PCI_10DE_2330'
DEGRADED = 'CUSTOM_ACCEL_DEGRADED'
PROFILE = sample.mode_profile('ecc-on', ecc='enabled')
DIGEST = sample.profile(PROFILE).digest
MEANINGS = {IS: 'is ecc-on', CAN: 'can ecc-on', GPU: 'here', X2: 'here',
            PRODUCT: 'here', ECC: 'mode gpu', DEGRADED: 'degraded'}
ON = tuple(sample.with_mode(sample.gpu(n), 'ecc', 'enabled') for n in (0, 1))
UNREAD_GPU = Unread('/redfish/v1/Systems/1/Processors', 'HTTP 500',
                    kinds=('gpu',))


def stored(seen: Inventory, age: float = 60) -> dict[str, Any]:
    """The inspection data of a node."""
    return {'inventory': {}, 'plugin_data': {'accelerators': {
        'inventory': inventory_to_dict(seen), 'at': time.time() - age,
        'transports': [transport_document.to_dict(sample.transport(seen))],
        'plan': None}}}


class Site:
    """One node of a conductor with one site profile, and what changes."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.node = cloud.add('gpu-a', _inventory=stored(sample.box(*ON)))
        self.profiles: list[dict[str, Any]] = [PROFILE]
        self.options: dict[str, Any] = {
            'pci': [], 'verification_max_age': 0, 'baseline_profile': None}
        cloud.passthru['accel_profiles'] = self._answer

    def _answer(self, node: dict[str, Any], body: Any) -> Any:
        return 200, {
            'conductor': node['conductor'], 'traits': self.options,
            'profiles': [{'digest': sample.profile(p).digest, 'profile': p}
                         for p in self.profiles]}

    @property
    def info(self) -> dict[str, Any]:
        """What the conductor keeps with the node."""
        found: dict[str, Any] = self.node['driver_internal_info']
        return found

    def has(self, *names: str) -> None:
        """Publish traits on the node."""
        self.node['_traits'] = list(names)
        self.info['accel_traits'] = {t: MEANINGS[t] for t in names}

    def sees(self, *devices: Any, age: float = 60, **fields: Any) -> None:
        """Store another inventory."""
        self.node['_inventory'] = stored(sample.box(*devices, **fields), age)

    def why(self, trait: str) -> dict[str, Any]:
        """The document of the node."""
        told = run(self.cloud, 'traits', 'gpu-a', '--why', trait, '-f',
                   'json')
        assert told.status == 0, told
        [doc] = told.data
        assert doc['schema'] == 'trait-why/1'
        assert doc['trait'] == trait
        for one in doc['reasons']:
            assert one['text'] and one['reason']
        table = run(self.cloud, 'traits', 'gpu-a', '--why', trait)
        assert table.status == 0 and doc['status'] in table.out
        found: dict[str, Any] = doc
        return found

    def reasons(self, trait: str) -> dict[str, dict[str, Any]]:
        """The reasons of a trait that is missing, by their words."""
        doc = self.why(trait)
        assert doc['status'] == 'missing'
        return {one['reason']: one for one in doc['reasons']}


@pytest.fixture
def site(make_cloud: MakeCloud) -> Site:
    """A node that complies, without any trait yet."""
    return Site(make_cloud())


def test_a_verified_profile_names_group_devices_and_time(
        site: Site) -> None:
    site.has(IS, GPU)
    site.info['accel_proofs'] = {'ecc-on': {
        'digest': DIGEST, 'at': 86400.0, 'devices': ['gpu-0', 'gpu-1']}}
    doc = site.why(IS)
    assert (doc['status'], doc['profile'], doc['digest']) == (
        'published', 'ecc-on', DIGEST)
    assert doc['verified_at'] == '1970-01-02T00:00:00Z'
    [reason] = doc['reasons']
    assert (reason['reason'], reason['group'], reason['devices'],
            reason['item']) == (
        'verified', 'gpus', ['gpu-0', 'gpu-1'], 'ecc')


def test_a_published_trait_that_the_inventory_contradicts_says_so(
        site: Site) -> None:
    site.has(IS)
    site.info['accel_proofs'] = {'ecc-on': {
        'digest': 'other', 'at': 86400.0, 'devices': ['gpu-0', 'gpu-1']}}
    site.sees(ON[0], sample.gpu(1))
    doc = site.why(IS)
    assert {r['reason'] for r in doc['reasons']} == {
        'verified', 'differs', 'profile-changed'}
    [differs] = [r for r in doc['reasons'] if r['reason'] == 'differs']
    assert (differs['devices'], differs['seen'], differs['expected']) == (
        ['gpu-1'], 'disabled', 'enabled')


def test_a_possible_profile_tells_what_would_be_done(site: Site) -> None:
    site.has(CAN)
    site.sees()
    [reason] = site.why(CAN)['reasons']
    assert reason['reason'] == 'possible'
    assert '2 writes' in reason['text']
    assert reason['devices'] == ['gpu-0', 'gpu-1']


@pytest.mark.parametrize('trait', [GPU, X2, PRODUCT, ECC])
def test_a_trait_of_devices_names_them(site: Site, trait: str) -> None:
    site.has(trait)
    [reason] = site.why(trait)['reasons']
    assert (reason['reason'], reason['devices']) == (
        'present', ['gpu-0', 'gpu-1'])


def test_a_void_trait_is_kept_for_the_instance(site: Site) -> None:
    site.has(IS)
    site.info['accel_void'] = [IS]
    site.sees()
    doc = site.why(IS)
    assert doc['status'] == 'void'
    first, *others = doc['reasons']
    assert (first['reason'], {r['reason'] for r in others}) == (
        'void', {'differs'})


def test_a_trait_that_somebody_else_set_is_named(site: Site) -> None:
    site.node['_traits'] = [IS, 'CUSTOM_ACCEL_GPU_X7']
    doc = site.why(IS)
    assert doc['status'] == 'not recorded'
    assert 'the next publication records it' in doc['reasons'][0]['text']
    doc = site.why('CUSTOM_ACCEL_GPU_X7')
    assert doc['reasons'][0]['reason'] == 'not-recorded'
    assert 'removes it' in doc['reasons'][0]['text']
    assert doc['next'] == 'baremetal accelerator refresh gpu-a'


@pytest.mark.parametrize(('there', 'text'), [
    (['CUSTOM_RACK_7'], 'the node has this one'),
    ([], 'the node does not have this one')])
def test_a_trait_of_others_is_not_ours(site: Site, there: list[str],
                                       text: str) -> None:
    site.node['_traits'] = there
    doc = site.why('CUSTOM_RACK_7')
    assert doc['status'] == 'not managed'
    assert text in doc['reasons'][0]['text']


def test_a_meaning_of_another_release_is_named(site: Site) -> None:
    site.has(GPU)
    site.info['accel_traits'][GPU] = 'new-word gpu'
    assert [r['reason'] for r in site.why(GPU)['reasons']] == [
        'unknown-meaning', 'present']


@pytest.mark.parametrize('trait', [
    'CUSTOM_ACCEL_TPU', 'CUSTOM_ACCEL_GPU_NO_SUCH', 'CUSTOM_ACCEL_BASEBOARD',
    'CUSTOM_ACCEL_GPU_ECC_DISABLED', 'CUSTOM_ACCEL_GPU_ECC_ENABLED'])
def test_a_name_that_is_never_published_is_unknown(site: Site,
                                                   trait: str) -> None:
    assert set(site.reasons(trait)) == {'unknown-trait'}


def test_a_profile_that_nobody_has_is_unknown(site: Site) -> None:
    found = site.reasons('CUSTOM_ACCEL_IS_NO_SUCH')
    assert set(found) == {'unknown-profile'}
    assert 'ecc-on' in found['unknown-profile']['text']


def test_a_conductor_without_the_profile_is_named(site: Site) -> None:
    def answer(node: dict[str, Any], body: Any) -> Any:
        found = site._answer(node, body)
        if node['conductor'] == 'one':
            found[1]['profiles'] = []
        return found
    site.cloud.add('other', conductor='two')
    site.cloud.passthru['accel_profiles'] = answer
    told = run(site.cloud, 'traits', '--all', '--why', IS, '-f', 'json')
    assert told.data[0]['reasons'][0]['reason'] == 'unknown-profile'
    assert 'conductor one' in told.data[0]['reasons'][0]['text']


def test_conductors_that_differ_are_named(site: Site) -> None:
    site.info['accel_differing'] = ['ecc-on']
    assert 'conductors-differ' in site.reasons(IS)
    assert 'conductors-differ' in site.reasons(CAN)


def test_profiles_that_may_not_be_read_leave_what_is_stored(
        site: Site) -> None:
    site.cloud.may.discard('passthru')
    site.info['accel_result'] = result(no_is='ecc is not known to survive a '
                                             'reboot')
    found = site.reasons(IS)
    assert set(found) == {'profiles-not-read', 'last-result'}
    assert 'survive' in found['last-result']['text']


def test_a_profile_that_is_not_offered_has_no_can_trait(site: Site) -> None:
    site.profiles = [{**PROFILE, 'offered': False}]
    assert 'not-offered' in site.reasons(CAN)


def test_a_profile_without_a_matching_device_does_not_apply(
        site: Site) -> None:
    site.sees(sample.gpu(0).__class__(id='nic-0', kind='nic', health='OK'))
    assert set(site.reasons(IS)) == {'does-not-apply'}
    assert set(site.reasons(CAN)) == {'does-not-apply'}


def test_values_that_differ_are_named_with_their_devices(site: Site) -> None:
    site.sees(ON[0], sample.gpu(1))
    found = site.reasons(IS)
    assert set(found) == {'differs'}
    assert (found['differs']['devices'], found['differs']['next']) == (
        ['gpu-1'], 'baremetal accelerator apply gpu-a --profile ecc-on')


def with_ecc(number: int, **fields: Any) -> Any:
    """A GPU whose ECC mode has other fields."""
    return dataclasses.replace(ON[number], modes=tuple(
        dataclasses.replace(m, **fields) if m.name == 'ecc' else m
        for m in ON[number].modes))


@pytest.mark.parametrize(('devices', 'trait', 'reason'), [
    ((ON[0], with_ecc(1, current=None)), IS, 'refused'),
    ((ON[0], dataclasses.replace(ON[1], unread=('mode:ecc',))), IS,
     'unread'),
    ((ON[0], with_ecc(1, persistent=False)), IS, 'not-persistent'),
    ((ON[0],), IS, 'refused'),
    ((ON[0], dataclasses.replace(ON[1], health='Critical')), CAN,
     'refused'),
    ((ON[0], with_ecc(1, current=None)), ECC, 'not-reported'),
    ((ON[0], dataclasses.replace(ON[1], unread=('mode:ecc',))), ECC,
     'unread'),
    ((ON[0], with_ecc(1, current=None, conflicts=(
        'redfish: enabled', 'agent: disabled'))),
     ECC, 'conflict'),
    ((ON[0], with_ecc(1, current='disabled')), ECC, 'differs'),
    ((ON[0], with_ecc(1, pending='disabled')), ECC, 'staged'),
    ((ON[0], with_ecc(1, persistent=False)), ECC, 'not-persistent'),
    ((ON[0],), X2, 'count'),
    ((ON[0], dataclasses.replace(ON[1], health='Critical')), X2,
     'unhealthy'),
    ((ON[0], dataclasses.replace(ON[1], unread=('presence',))), X2,
     'unread'),
    (tuple(dataclasses.replace(d, health='Critical') for d in ON), GPU,
     'unhealthy'),
    (tuple(dataclasses.replace(d, state='Absent') for d in ON), PRODUCT,
     'unhealthy'),
    (ON, 'CUSTOM_ACCEL_FPGA', 'no-device'),
    (ON, 'CUSTOM_ACCEL_GPU_NVIDIA_A100_PCIE_80GB', 'no-device'),
    ((dataclasses.replace(ON[0], id='nic-0', kind='nic', product=None),),
     'CUSTOM_ACCEL_NIC', 'not-counted'),
    (ON, PCI, 'no-device')])
def test_a_device_that_keeps_a_trait_away_is_named(
        site: Site, devices: tuple[Any, ...], trait: str,
        reason: str) -> None:
    site.sees(*devices)
    found = site.reasons(trait)
    assert reason in found, found
    if reason not in ('no-device', 'count') and len(devices) > 1 \
            and trait not in (GPU, PRODUCT):
        assert found[reason]['devices'] in (
            ['gpu-1'], [])
        assert found[reason]['group'] in ('gpus', None)


#: Systems on which different traits are true.
BOXES = {
    'whole': sample.box(*ON), 'plain': sample.box(),
    'one': sample.box(ON[0]),
    'mixed': sample.box(ON[0], with_ecc(1, current='disabled')),
    'volatile': sample.box(ON[0], with_ecc(1, persistent=False)),
    'pending': sample.box(ON[0], with_ecc(1, pending='disabled')),
    'same': sample.box(ON[0], with_ecc(1, pending='enabled')),
    'silent': sample.box(ON[0], with_ecc(1, current=None)),
    'sick': sample.box(ON[0], dataclasses.replace(ON[1], health='Critical')),
    'dead': sample.box(*(dataclasses.replace(d, health='Critical')
                         for d in ON)),
    'gone': sample.box(ON[0], dataclasses.replace(
        ON[1], unread=('presence',))),
    'asked': sample.box(ON[0], dataclasses.replace(
        ON[1], unread=('mode:ecc',))),
    'noted': sample.box(*ON, unread=(Unread(
        '/x', 'HTTP 500', about='gpu-1', facts=('health',)),)),
    'hidden': sample.box(*ON, unread=(UNREAD_GPU,)),
    'uncounted': sample.box(*ON, uncounted=('gpu',)),
    'other': sample.box(ON[0], dataclasses.replace(
        ON[1], kind='fpga', product=None)),
    'nameless': sample.box(ON[0], dataclasses.replace(
        ON[1], kind='ai', product=None, unread=('presence',))),
    'nic': sample.box(dataclasses.replace(ON[0], kind='nic', product=None)),
    'dpu': sample.box(dataclasses.replace(
        ON[0], kind='dpu', product='nvidia-bluefield-3')),
}


def true_traits(seen: Inventory) -> set[str]:
    """The traits that the conductor publishes of the devices."""
    known = catalog.load()
    return {t.name for t in (*traits.presence(seen, known),
                             *traits.modes(seen, known))}


@pytest.mark.parametrize('name', BOXES)
def test_reasons_agree_with_what_the_conductor_publishes(
        site: Site, name: str) -> None:
    seen = BOXES[name]
    every = set().union(*map(true_traits, BOXES.values()))
    assert len(every) > 8
    asked = functools.partial(
        trait_reason.Inquiry, VisibleNode(site.node), site=FleetProfiles(),
        on=compliance.Basis(seen))
    for trait in sorted(every):
        pro, con = trait_devices.reasons(asked(trait))
        assert bool(pro) is (trait in true_traits(seen)), (trait, pro, con)
        assert bool(con) is not bool(pro), (trait, pro, con)


@pytest.mark.parametrize('name', BOXES)
@pytest.mark.parametrize('data', [
    PROFILE, sample.profile_data('ecc-on'),
    {**sample.profile_data('ecc-on'), 'allow': ['burn_at_deploy']},
    sample.mode_profile('ecc-on', mig='disabled')])
def test_reasons_agree_with_the_profiles_that_the_conductor_publishes(
        site: Site, name: str, data: dict[str, Any]) -> None:
    seen, profile = BOXES[name], sample.profile(data)
    found = publication.evaluate(
        types.SimpleNamespace(disable_power_off=False), seen,
        (sample.transport(seen),), {profile.name: profile}, ()).certain(
            seen, device_ownership.Doubt())
    names = {t.name for t in traits.profiles(found.are, found.can)}
    known = FleetProfiles(((profile, ('one',)),), frozenset({'one'}))
    on = compliance.Basis(seen, (sample.transport(seen),))
    for trait in (IS, CAN):
        _, con = trait_profiles.reasons(trait_reason.Inquiry(
            VisibleNode(site.node), trait, known, on))
        assert bool(con) is (trait not in names), (trait, con)


def test_what_is_written_and_not_active_yet_is_staged(site: Site) -> None:
    site.sees(ON[0], with_ecc(1, current='disabled', pending='enabled'))
    found = site.reasons(IS)
    assert found['staged']['devices'] == ['gpu-1']
    assert 'warm-reboot' in found['staged']['text']


def test_an_update_that_a_deployment_may_not_do_is_named(
        site: Site) -> None:
    site.profiles = [sample.profile_data('ecc-on')]
    found = site.reasons(CAN)
    assert set(found) == {'update-at-deploy'}
    assert (found['update-at-deploy']['seen'],
            found['update-at-deploy']['expected']) == (
        sample.OLD, sample.NEW)


def test_a_power_cut_by_hand_is_nothing_for_a_deployment(
        site: Site) -> None:
    """Both what the conductor publishes and the reason for it."""
    data = sample.profile_data('ecc-on', allow=['burn_at_deploy',
                                                'manual_ac_cycle'])
    seen = sample.box(*(dataclasses.replace(d, components=tuple(
        dataclasses.replace(c, activation=Activation.AUX_CYCLE)
        for c in d.components)) for d in ON))
    profile = sample.profile(data)
    for offers, reasons in ((True, 0), (None, 0), (False, 1)):
        can = dataclasses.replace(
            sample.transport(seen),
            offers_aux_cycle=functools.partial({0: offers}.get, 0))
        found = publication.evaluate(
            types.SimpleNamespace(disable_power_off=False), seen, (can,),
            {profile.name: profile}, ())
        assert len(found.can) == 1 - reasons
        _, con = trait_profiles.reasons(trait_reason.Inquiry(
            VisibleNode(site.node), CAN, FleetProfiles(
                ((profile, ('one',)),), frozenset({'one'})),
            compliance.Basis(seen, (can,))))
        assert [c.code for c in con] == ['refused'] * reasons
        assert all('AC power' in c.text for c in con)


def test_kinds_that_may_have_more_devices_have_no_number(
        site: Site) -> None:
    site.sees(*ON, unread=(UNREAD_GPU,))
    found = site.reasons(X2)
    assert 'HTTP 500' in found['unread']['text']
    site.sees(*ON, uncounted=('gpu',))
    assert 'uncounted' in site.reasons(X2)
    assert 'uncounted' in site.reasons(IS)
    assert 'uncounted' in site.reasons(CAN)


def test_an_update_that_may_be_in_progress_keeps_profiles_away(
        site: Site) -> None:
    site.sees(*ON, unread=(Unread('/redfish/v1/TaskService/Tasks',
                                  'timeout', holds=True),))
    assert 'timeout' in site.reasons(CAN)['unread']['text']


def test_fewer_devices_than_a_profile_declares_are_named(
        site: Site) -> None:
    site.sees(ON[0])
    site.info['accel_applied'] = 'ecc-on'
    site.profiles = [{**PROFILE, 'devices': {'gpus': {
        **PROFILE['devices']['gpus'], 'count': 2}}}]
    short = site.reasons('CUSTOM_ACCEL_GPU_X1')['short']
    assert (short['group'], short['expected'], short['seen']) == (
        'gpus', 2, 1)
    site.has(DEGRADED)
    assert 'short' in [r['reason'] for r in site.why(DEGRADED)['reasons']]


@pytest.mark.parametrize('trait', [IS, CAN, GPU, X2, ECC, PRODUCT])
def test_devices_that_another_node_reports_are_named(site: Site,
                                                     trait: str) -> None:
    site.info['accel_waits'] = {f'k{n}': {
        'node': 'other', 'device': f'gpu-{n}', 'since': 1.0} for n in (0, 1)}
    found = site.reasons(trait)['disputed']
    assert found['devices'] == ['gpu-0', 'gpu-1']
    assert found['next'] == 'baremetal accelerator refresh other'


def test_an_expired_verification_is_named(site: Site) -> None:
    site.options['verification_max_age'] = 3600
    site.sees(*ON, age=7200)
    found = site.reasons(IS)
    assert set(found) == {'expired'}
    assert 'verification_max_age = 3600' in found['expired']['text']


@pytest.mark.parametrize(('gone', 'text'), [
    (4e9, 'may have changed it'), (math.inf, 'may have changed it')])
@pytest.mark.parametrize(('trait', 'expected'), [
    (IS, True), (ECC, True), (CAN, False), (GPU, False), (X2, False)])
def test_a_tenant_voids_profiles_and_modes(
        site: Site, gone: float, text: str, trait: str,
        expected: bool) -> None:
    site.info['accel_inside_void'] = gone if math.isfinite(gone) else 'soon'
    found = site.reasons(trait)
    assert ('tenant' in found) is expected
    if expected:
        assert text in found['tenant']['text']


def test_what_the_ramdisk_has_not_read_since_a_tenant_is_named(
        site: Site) -> None:
    site.info['accel_inside_void'] = 1000.0
    assert 'tenant' not in site.reasons(IS)
    site.sees(ON[0], with_ecc(1, current=None))
    assert 'only the ramdisk' in site.reasons(IS)['tenant']['text']


def test_pci_ids_have_to_be_configured(site: Site) -> None:
    assert 'pci-not-configured' in site.reasons(PCI)
    configured = site.options.pop('pci')
    assert configured == [] and 'not-permitted' in site.reasons(PCI)
    site.options['pci'] = ['10de:2330']
    assert set(site.reasons(PCI)) == {'no-device'}
    site.sees(dataclasses.replace(ON[0], pci=PciIds(
        vendor_id='10de', device_id='2330')))
    assert set(site.reasons(PCI)) == {'due'}


def test_the_limit_of_traits_is_named(site: Site) -> None:
    site.info['accel_result'] = result(dropped_traits=[ECC])
    site.node['_traits'] = [f'CUSTOM_{n}' for n in range(9)]
    found = site.reasons(ECC)
    assert set(found) == {'limit'}
    assert '9, of which 9 are not managed' in found['limit']['text']
    assert set(site.reasons(GPU)) == {'due'}
    site.info['accel_result']['dropped_traits'] = 7
    assert set(site.reasons(ECC)) == {'due'}
    # Others added theirs since.
    site.node['_traits'] = [f'CUSTOM_{n}' for n in range(50)]
    assert set(site.reasons(GPU)) == {'limit'}


def test_a_degraded_node_tells_its_causes(site: Site) -> None:
    site.has(DEGRADED)
    site.info['accel_void'] = [IS]
    site.sees(ON[0], dataclasses.replace(ON[1], health='Critical'),
              unread=(UNREAD_GPU,))
    found = {r['reason']: r for r in site.why(DEGRADED)['reasons']}
    assert set(found) == {'degraded', 'unhealthy', 'unread', 'void'}
    assert found['unhealthy']['devices'] == ['gpu-1']


def test_a_node_that_is_not_degraded_tells_so(site: Site) -> None:
    assert set(site.reasons(DEGRADED)) == {'not-degraded'}
    site.sees(ON[0], dataclasses.replace(ON[1], health='Critical'))
    assert set(site.reasons(DEGRADED)) == {'due'}


@pytest.mark.parametrize('trait', [IS, CAN, GPU, X2, ECC, PCI, DEGRADED])
def test_a_node_without_an_inventory_has_no_traits(site: Site,
                                                   trait: str) -> None:
    site.node['_inventory'] = None
    found = site.reasons(trait)
    assert found['no-inventory']['next'] == (
        'baremetal accelerator refresh gpu-a')


@pytest.mark.parametrize(('fields', 'reason'), [
    ({'host': 'off', 'complete': False}, 'host-off'),
    ({'complete': False, 'lacking': ('GPUs appear',)}, 'incomplete')])
def test_an_inventory_that_is_not_complete_publishes_nothing(
        site: Site, fields: dict[str, Any], reason: str) -> None:
    site.sees(*ON, **fields)
    for trait in (IS, GPU, ECC):
        assert reason in site.reasons(trait)


def test_a_state_without_refreshes_is_named(site: Site) -> None:
    site.node['provision_state'] = 'deploying'
    assert 'deploying' in site.reasons(GPU)['state']['text']


@pytest.mark.parametrize(('state', 'reasons'), [
    ('clean wait', {'operation', 'state'}), ('manageable', {'due'})])
def test_an_operation_in_progress_withdraws_traits(
        site: Site, state: str, reasons: set[str]) -> None:
    site.node['provision_state'] = state
    site.info['accel_operation'] = {
        'kind': 'clean', 'step': 'apply_profile', 'profile': 'ecc-on'}
    assert set(site.reasons(IS)) == reasons


def test_a_failed_operation_is_named_until_the_next_inventory(
        site: Site) -> None:
    site.info['accel_result'] = result(
        outcome='failed', finished=time.time(),
        error={'summary': 'BMC gone', 'class': 'transient'})
    assert 'BMC gone' in site.reasons(IS)['failed']['text']
    site.info['accel_result']['finished'] = time.time() - 3600
    assert set(site.reasons(IS)) == {'due'}


@pytest.mark.parametrize('trait', [IS, CAN, GPU, X2, ECC, PRODUCT])
def test_nothing_against_a_trait_means_the_next_inventory_publishes_it(
        site: Site, trait: str) -> None:
    doc = site.why(trait)
    assert [r['reason'] for r in doc['reasons']] == ['due']
    assert doc['reasons'][0]['devices'] == ['gpu-0', 'gpu-1']
    assert doc['next'] == 'baremetal accelerator refresh gpu-a'


def test_a_reader_gets_the_reasons_of_what_is_stored(
        make_cloud: MakeCloud) -> None:
    site = Site(make_cloud('reader'))
    site.sees(ON[0], sample.gpu(1))
    assert set(site.reasons(ECC)) == {'differs'}
    assert set(site.reasons(IS)) == {'profiles-not-read'}


def test_a_lessee_is_told_what_may_not_be_read(
        make_cloud: MakeCloud) -> None:
    site = Site(make_cloud('lessee'))
    site.has(GPU)
    doc = site.why(GPU)
    assert (doc['status'], {r['reason'] for r in doc['reasons']}) == (
        'published', {'not-permitted'})
    assert set(site.reasons(X2)) == {'not-permitted'}


@pytest.mark.parametrize('text', ['gpu', '', 'CUSTOM ACCEL', 'A' * 256])
def test_a_text_that_is_no_trait_is_an_error(site: Site, text: str) -> None:
    told = run(site.cloud, 'traits', 'gpu-a', '--why', text)
    assert told.status == 2
    assert 'expected the name of a trait' in told.err


def test_the_reasons_of_several_nodes_have_the_node_in_front(
        site: Site) -> None:
    site.cloud.add('gpu-b', _inventory=stored(sample.box()))
    told = run(site.cloud, 'traits', '--all', '--why', ECC, '-f', 'csv')
    assert told.status == 0, told
    rows = list(csv.DictReader(io.StringIO(told.out)))
    assert [(r['Node'], r['Reason'], r['Devices']) for r in rows] == [
        ('gpu-a', rows[0]['Reason'], 'gpu-0;gpu-1'),
        ('gpu-b', 'ecc has another value', 'gpu-0;gpu-1')]
