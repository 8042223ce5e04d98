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

"""Traits: only what was proved, only ours, only as many as fit."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from ironic_accel.model import catalog as catalog_mod
from ironic_accel.model import traits
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Mode
from ironic_accel.model.device import PciIds
from ironic_accel.model.device import Value
from ironic_accel.model.profile import Count
from ironic_accel.model.profile import Group
from ironic_accel.model.reading_status import Unread

CATALOG = catalog_mod.load()
H100 = 'nvidia-h100-sxm'


def gpu(number: int, health: str | None = 'OK', product: str | None = H100,
        modes: tuple[Mode, ...] = ()) -> Device:
    return Device(f'gpu-{number}', 'gpu', product=product, health=health,
                  pci=PciIds('10de', '2330'), modes=modes)


def look(*devices: Device, complete: bool = True) -> Inventory:
    return Inventory('1', 'on', complete, devices=devices)


def names(found: list[traits.Trait]) -> set[str]:
    return {t.name.removeprefix('CUSTOM_ACCEL_') for t in found}


def group(number: int, **match: str) -> Group:
    return Group('g', {k: (v,) for k, v in match.items()}, Count(number))


def test_eight_gpus() -> None:
    found = traits.presence(look(*map(gpu, range(8))), CATALOG,
                            [group(8, kind='gpu')])
    assert names(found) == {'GPU', 'GPU_X8', 'GPU_NVIDIA_H100_SXM'}


def test_fewer_than_expected() -> None:
    inventory = look(*map(gpu, range(7)))
    found = traits.presence(inventory, CATALOG,
                            [group(8, kind='gpu', product=H100)])
    assert names(found) == {'GPU', 'GPU_NVIDIA_H100_SXM', 'DEGRADED'}
    assert found[0].name == traits.DEGRADED
    assert 'GPU_X7' in names(traits.presence(inventory, CATALOG))


def test_a_sick_device_does_not_count() -> None:
    found = traits.presence(
        look(gpu(0), gpu(1), gpu(2, 'Critical'), gpu(3, None)), CATALOG)
    assert names(found) == {'GPU', 'GPU_X3', 'GPU_NVIDIA_H100_SXM',
                            'DEGRADED'}
    alone = traits.presence(look(gpu(0, 'Warning')), CATALOG)
    assert names(alone) == {'DEGRADED'}


def test_none_where_some_are_expected() -> None:
    found = traits.presence(look(), CATALOG, [group(1, kind='fpga')])
    assert names(found) == {'DEGRADED'}
    assert traits.presence(look(), CATALOG, [group(0, kind='fpga')]) == []


def test_only_smart_adapters_count() -> None:
    found = traits.presence(look(
        Device('a', 'nic', product='nvidia-connectx-7'),
        Device('b', 'nic', product=None), Device('c', 'dpu', product=None),
        Device('d', 'baseboard'), Device('e', 'nic', health='Critical'),
        Device('f', 'dpu', product='nvidia-bluefield-3')), CATALOG)
    assert names(found) == {'DPU', 'DPU_X1', 'DPU_NVIDIA_BLUEFIELD_3'}


def test_unknown_product_has_no_trait() -> None:
    found = traits.presence(look(gpu(0, product=None)), CATALOG)
    assert names(found) == {'GPU', 'GPU_X1'}


@pytest.mark.parametrize('ask', [
    lambda i: traits.presence(i, CATALOG), lambda i: traits.modes(
        i, CATALOG)])
def test_host_that_is_off_gives_no_traits(ask: Any) -> None:
    with pytest.raises(ValueError, match='off'):
        ask(dataclasses.replace(look(gpu(0)), host='off'))


def mode(name: str, current: Value | None, **more: Any) -> Mode:
    return Mode(name, current, **{'persistent': True, **more})


@pytest.mark.parametrize(('kind', 'product', 'shown', 'expected'), [
    ('gpu', H100, mode('ecc', 'enabled'), {'GPU_ECC'}),
    ('gpu', H100, mode('ecc', 'disabled'), set()),
    ('gpu', H100, mode('cc', 'off'), set()),
    ('gpu', H100, mode('cc', 'devtools'), {'GPU_CC_DEVTOOLS'}),
    ('gpu', H100, mode('mig', 'enabled', persistent=False), set()),
    ('gpu', H100, mode('mig', 'enabled', persistent=None), set()),
    ('gpu', H100, mode('ecc', 'enabled', pending='disabled'), set()),
    ('gpu', H100, mode('ecc', 'enabled', pending='enabled'), {'GPU_ECC'}),
    ('gpu', H100, mode('ecc', None), set()),
    ('dpu', 'nvidia-bluefield-3', mode('mode', 'nic'), {'DPU_MODE_NIC'}),
    ('dpu', 'nvidia-bluefield-3', mode('vf-limit', 16), set()),
    ('dpu', 'nvidia-bluefield-3', mode('link-type', ('eth', 'eth')),
     {'DPU_LINK_TYPE_ETH'}),
    ('dpu', 'nvidia-bluefield-3', mode('link-type', ('ib', 'eth')), set()),
    ('crypto', None, mode('services', ('sym', 'asym'), unordered=True),
     {'CRYPTO_SERVICES_SYM', 'CRYPTO_SERVICES_ASYM'}),
    ('nic', 'nvidia-connectx-7', mode('sriov', 'enabled'), set())])
def test_modes(kind: str, product: str | None, shown: Mode,
               expected: set[str]) -> None:
    dev = Device('a', kind, product=product, modes=(shown,))
    twin = dataclasses.replace(dev, id='b')
    assert names(traits.modes(look(dev, twin), CATALOG)) == expected


def test_modes_need_all_healthy_devices_to_agree() -> None:
    on, off = (mode('ecc', v) for v in ('enabled', 'disabled'))
    agree = look(gpu(0, modes=(on,)), gpu(1, modes=(on,)),
                 gpu(2, 'Critical', modes=(off,)))
    assert names(traits.modes(agree, CATALOG)) == {'GPU_ECC'}
    for other in ((off,), ()):
        differ = look(gpu(0, modes=(on,)), gpu(1, modes=other))
        assert traits.modes(differ, CATALOG) == []


def test_pci_ids_only_where_configured() -> None:
    inventory = look(gpu(0), gpu(1))
    assert traits.pci(inventory, []) == []
    assert names(traits.pci(inventory, ['10de:2330', '10de:1'])) == {
        'PCI_10DE_2330'}
    assert traits.pci(look(gpu(0, 'Critical')), ['10de:2330']) == []


def test_traits_of_profiles() -> None:
    assert traits.is_trait('hgx-h100-secure') == (
        'CUSTOM_ACCEL_IS_HGX_H100_SECURE')
    assert traits.can_trait('u55c-tls') == 'CUSTOM_ACCEL_CAN_U55C_TLS'
    found = traits.profiles(['a'], ['b', 'a'])
    assert [t.name for t in found] == [
        'CUSTOM_ACCEL_IS_A', 'CUSTOM_ACCEL_CAN_A', 'CUSTOM_ACCEL_CAN_B']


def test_the_worthiest_come_first() -> None:
    inventory = look(gpu(0, modes=(mode('ecc', 'enabled'),)),
                     gpu(1, 'Critical'))
    ordered = traits.wanted(
        traits.pci(inventory, ['10de:2330']),
        traits.modes(inventory, CATALOG),
        traits.presence(inventory, CATALOG),
        traits.profiles(['p'], ['p', 'q']))
    assert [n.removeprefix('CUSTOM_ACCEL_') for n in ordered] == [
        'DEGRADED', 'IS_P', 'CAN_P', 'CAN_Q', 'GPU', 'GPU_NVIDIA_H100_SXM',
        'GPU_X1', 'GPU_ECC', 'PCI_10DE_2330']


def test_names_are_what_placement_takes() -> None:
    assert traits.trait_name('gpu', 'a.b-c d') == 'CUSTOM_ACCEL_GPU_A_B_C_D'
    with pytest.raises(ValueError, match='at most 255'):
        traits.trait_name('x' * 250)
    for product in CATALOG.products.values():
        name = traits.trait_name(product.kind, product.name)
        assert re.fullmatch('CUSTOM_[A-Z0-9_]+', name)
        assert len(name) <= 255


def test_reconcile_leaves_other_peoples_alone() -> None:
    change = traits.reconcile(
        ['HW_CPU_X86_AVX', 'CUSTOM_GOLD', 'CUSTOM_ACCEL_GPU',
         'CUSTOM_ACCEL_IS_OLD', 'HW_NIC_SRIOV', 'HW_GPU_API_VULKAN'],
        ['CUSTOM_ACCEL_IS_NEW', 'CUSTOM_ACCEL_GPU', 'HW_CPU_X86_AVX',
         'HW_NUMA_ROOT'],
        recorded=['HW_NIC_SRIOV'])
    assert change.add == ('CUSTOM_ACCEL_IS_NEW', 'HW_NUMA_ROOT')
    assert change.remove == ('CUSTOM_ACCEL_IS_OLD', 'HW_NIC_SRIOV')
    assert change.standard == ('HW_NUMA_ROOT',)
    assert change.dropped == ()


def test_a_standard_name_of_ours_stays_recorded() -> None:
    change = traits.reconcile(['HW_NIC_SRIOV'], ['HW_NIC_SRIOV'],
                              recorded=['HW_NIC_SRIOV'])
    assert change == traits.TraitChange(standard=('HW_NIC_SRIOV',))


def test_what_does_not_fit_is_named() -> None:
    foreign = [f'CUSTOM_T{i}' for i in range(48)]
    change = traits.reconcile(
        [*foreign, 'CUSTOM_ACCEL_PCI_10DE_2330'],
        ['CUSTOM_ACCEL_IS_A', 'CUSTOM_ACCEL_GPU',
         'CUSTOM_ACCEL_PCI_10DE_2330'])
    assert change.add == ('CUSTOM_ACCEL_IS_A', 'CUSTOM_ACCEL_GPU')
    assert change.remove == ('CUSTOM_ACCEL_PCI_10DE_2330',)
    assert change.dropped == ('CUSTOM_ACCEL_PCI_10DE_2330',)
    full = traits.reconcile([f'CUSTOM_T{i}' for i in range(60)],
                            ['CUSTOM_ACCEL_GPU'])
    assert full == traits.TraitChange(dropped=('CUSTOM_ACCEL_GPU',))


_NAMES = st.sets(st.sampled_from(
    [f'CUSTOM_T{i}' for i in range(6)] + ['HW_A', 'HW_B']
    + [f'CUSTOM_ACCEL_{i}' for i in range(6)]))


@given(_NAMES, st.lists(st.sampled_from(
    [f'CUSTOM_ACCEL_{i}' for i in range(6)] + ['HW_A', 'HW_B'])),
    st.sets(st.sampled_from(['HW_A', 'HW_B'])), st.integers(0, 12))
def test_reconcile_holds_its_promises(
        existing: set[str], ours: list[str], recorded: set[str],
        budget: int) -> None:
    change = traits.reconcile(existing, ours, recorded, budget)
    after = (existing - set(change.remove)) | set(change.add)
    mine = {t for t in existing if t.startswith(traits.PREFIX)
            or t in recorded}
    foreign = existing - mine
    assert foreign <= after
    assert set(change.remove) <= mine
    assert len(after) <= max(budget, len(foreign))
    assert set(ours) == (set(ours) & after) | set(change.dropped)
    assert not after - foreign - set(ours)
    again = traits.reconcile(after, ours, change.standard, budget)
    assert (again.add, again.remove) == ((), ())


@pytest.mark.parametrize(('healths', 'worst'), [
    ((), None), ((None, None), None), (('OK', None), 'OK'),
    (('OK', 'Warning'), 'Warning'),
    (('Warning', 'OK', 'Critical'), 'Critical'),
    # What is no value of Redfish's was not read.
    (('OK', 'Good'), traits.UNREAD), (('Good', 'Warning'), 'Warning')])
def test_worst_health_of_accelerators(
        healths: tuple[str | None, ...], worst: str | None) -> None:
    found = look(*(gpu(n, health) for n, health in enumerate(healths)))
    assert traits.worst_health(found, CATALOG) == worst


@pytest.mark.parametrize('facts', [('health',), ('presence',)])
@pytest.mark.parametrize('marked', [True, False])
def test_unread_device_makes_nothing_healthy_and_nothing_ill(
        facts: tuple[str, ...], marked: bool) -> None:
    def with_unread(*others: Device) -> Inventory:
        lost = dataclasses.replace(gpu(9, None), unread=facts * marked)
        return dataclasses.replace(look(lost, *others), unread=() if marked
                                   else (Unread('/x', 'no answer', 'gpu-9',
                                                facts=facts),))
    assert traits.worst_health(
        with_unread(gpu(1)), CATALOG) == traits.UNREAD
    assert traits.worst_health(
        with_unread(gpu(1), gpu(2, 'Warning')), CATALOG) == 'Warning'


def test_health_is_not_known_of_what_may_be_hidden() -> None:
    assert traits.worst_health(
        look(gpu(1), complete=False), CATALOG) == traits.UNREAD
    hiding = dataclasses.replace(look(gpu(1)), unread=(
        Unread('/x', 'no answer', kinds=('fpga',)),))
    assert traits.worst_health(hiding, CATALOG) == traits.UNREAD


def test_health_of_what_is_no_accelerator_does_not_count() -> None:
    board = Device('board', 'baseboard', health='Critical')
    nic = Device('nic', 'nic', product='some-nic', health='Critical')
    assert traits.worst_health(look(gpu(1), board, nic), CATALOG) == 'OK'
