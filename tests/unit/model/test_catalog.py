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

"""The catalogue: its data, its look-ups, its own mistakes named."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
import re
import tarfile
from typing import Any

import pytest

from ironic_accel.model import catalog as catalog_mod
from ironic_accel.model import catalog_source
from ironic_accel.model import traits
from ironic_accel.model.catalog import Catalog
from ironic_accel.model.device import Activation
from ironic_accel.model.device import KINDS
from ironic_accel.model.device import PciIds
from ironic_accel.model.errors import BadInput
from ironic_accel.model.version import FORMS

CAPTURES = Path(__file__).parents[4] / 'shared' / 'captures'


@pytest.fixture(scope='module')
def catalog() -> Catalog:
    return catalog_mod.load()


def test_it_is_read_once() -> None:
    assert catalog_mod.load() is catalog_mod.load()


def test_it_knows_enough_devices_of_all_vendors(catalog: Catalog) -> None:
    ids = {pci for p in catalog.products.values() for pci in p.pci}
    assert len(ids) >= 60
    by_vendor = {v: [p for p in catalog.products.values() if p.vendor == v]
                 for v in ('nvidia', 'amd', 'intel')}
    assert all(len(found) >= 20 for found in by_vendor.values())
    assert {'gpu', 'fpga', 'nic', 'dpu', 'ai', 'crypto'} <= {
        p.kind for p in catalog.products.values()}


def test_every_fact_has_a_source(catalog: Catalog) -> None:
    for product in catalog.products.values():
        assert product.source, product.name
    for kind in catalog.kinds:
        for name in catalog.components(kind):
            facts = catalog.component(kind, name)
            assert facts is not None and facts.source
            assert facts.form in FORMS
        for name in catalog.modes(kind):
            mode = catalog.mode(kind, name)
            assert mode is not None and mode.source
            assert mode.values or mode.type == 'integer'


def test_equal_facts_can_be_grouped(catalog: Catalog) -> None:
    """The tables of the documentation have one row for each set of facts."""
    for kind in catalog.kinds:
        for name in catalog.modes(kind):
            assert len({catalog.mode(kind, name),
                        catalog.mode(kind, name)}) == 1


def test_components_and_modes_of_a_kind_have_names_of_their_own(
        catalog: Catalog) -> None:
    for kind in KINDS:
        assert not set(catalog.components(kind)) & set(catalog.modes(kind))


def collisions(catalog: Catalog) -> list[str]:
    """Names of the catalogue that would make one trait say two things."""
    meanings: dict[str, str] = {
        traits.trait_name(word): f'reserved word {word}'
        for word in traits.RESERVED}
    bad = []
    for kind in catalog.kinds:
        names = [(traits.trait_name(kind), f'kind {kind}')]
        names += [(traits.trait_name(kind, p.name), f'product {p.name}')
                  for p in catalog.products.values() if p.kind == kind]
        for mode in catalog.modes(kind):
            facts = catalog.mode(kind, mode)
            words = facts.values if facts else ()
            names.append((traits.trait_name(kind, mode),
                          f'mode {kind} {mode}'))
            names += [(traits.trait_name(kind, mode, w),
                       f'mode {kind} {mode} {w}') for w in words]
        for name, meaning in names:
            known = meanings.setdefault(name, meaning)
            reserved = name.removeprefix(
                traits.PREFIX).split('_')[0] in traits.RESERVED
            if known != meaning or reserved or re.fullmatch(
                    rf'{traits.PREFIX}[A-Z]+_X[0-9]+', name):
                bad.append(f'{name}: {known}, {meaning}')
    return bad


def test_no_trait_has_two_meanings(catalog: Catalog) -> None:
    assert collisions(catalog) == []


def test_a_name_of_the_catalogue_that_collides_is_found(
        catalog: Catalog) -> None:
    products = [dataclasses.replace(
        catalog.products['nvidia-h100-sxm'], name=name)
        for name in ('x8', 'mig')]
    modes = [{'kinds': ['gpu'], 'name': 'mig', 'type': 'word',
              'values': ['enabled'], 'activation': None, 'persistent': None,
              'source': 'a test'}]
    bad = collisions(Catalog(products, {}, [], modes))
    assert any(b.startswith('CUSTOM_ACCEL_GPU_X8') for b in bad)
    assert any(b.startswith('CUSTOM_ACCEL_GPU_MIG') for b in bad)


@pytest.mark.parametrize(('text', 'word'), [
    ('NVIDIA Corporation', 'nvidia'), ('Nvidia', 'nvidia'),
    ('Mellanox Technologies', 'nvidia'), ('10de', 'nvidia'),
    ('0x15B3', 'nvidia'), (0x10de, 'nvidia'),
    ('Advanced Micro Devices, Inc. [AMD/ATI]', 'amd'), ('Xilinx', 'amd'),
    ('Intel(R) Corporation', 'intel'), ('Habana Labs Ltd.', 'intel'),
    ('1da3', 'intel'), ('NVIDIA\0', 'nvidia'), ('Contoso', None),
    ('AMDocs', None), ('8086x', None), ('', None), (None, None)])
def test_vendor(catalog: Catalog, text: Any, word: str | None) -> None:
    assert catalog.vendor(text) == word


@pytest.mark.parametrize('device', ['0x31C2', '31c2', '0x000031C2', 0x31c2])
def test_pci_ids_in_every_spelling(catalog: Catalog, device: Any) -> None:
    product = catalog.by_pci('10DE', device)
    assert product is not None and product.name == 'nvidia-gb300'


@pytest.mark.parametrize('raw', [
    '0xFFFF', 'ffff', '', 'xyz', None, True, -1, '0x123456789'])
def test_what_is_no_pci_id(raw: Any) -> None:
    assert catalog_mod.pci_id(raw) is None


def test_subsystem_ids_tell_products_apart(catalog: Catalog) -> None:
    names = []
    for subsystem in ('14A9', '157E', '0000'):
        product = catalog.by_pci('10de', '25b6', '10de', subsystem)
        names.append(product and product.name)
    assert names == ['nvidia-a16', 'nvidia-a2', None]
    assert catalog.by_pci('10de', '25b6') is None


@pytest.mark.parametrize(('vendor', 'model', 'name'), [
    ('NVIDIA', 'NVIDIA H100 80GB HBM3', 'nvidia-h100-sxm'),
    ('NVIDIA Corporation', 'NVIDIA H100 PCIe', 'nvidia-h100-pcie'),
    ('NVIDIA', 'NVIDIA_A100-SXM4-40GB', 'nvidia-a100-sxm4-40gb'),
    ('Nvidia', 'BlueField-3 DPU', 'nvidia-bluefield-3'),
    ('Mellanox Technologies', 'BlueField-2 SmartNIC Main Card',
     'nvidia-bluefield-2'),
    ('Nvidia', 'ConnectX-8 800GE 2P NIC', 'nvidia-connectx-8'),
    (None, 'NVIDIA GB300', 'nvidia-gb300'),
    ('NVIDIA', 'NVIDIA H100 80GB', None),
    ('NVIDIA', 'NVIDIA H100 80GB HBM3e', None),
    ('Intel', 'NVIDIA H100 PCIe', None),
    ('NVIDIA', None, None)])
def test_models_are_whole_names(catalog: Catalog, vendor: str | None,
                                model: str | None,
                                name: str | None) -> None:
    product = catalog.by_model(vendor, model)
    assert (product.name if product else None) == name


def test_pci_ids_beat_a_contradicting_model(catalog: Catalog) -> None:
    product = catalog.identify(
        'gpu', 'NVIDIA', 'NVIDIA H100 80GB HBM3', PciIds('10de', '2331'))
    assert product is not None and product.name == 'nvidia-h100-pcie'


def test_a_variant_beats_its_family(catalog: Catalog) -> None:
    ids = PciIds('15b3', 'a2dc')
    family = catalog.identify('nic', 'Nvidia', None, ids)
    variant = catalog.identify('nic', 'Nvidia', 'BlueField-3 DPU', ids,
                               '900-9D3D4-00EN-HA0')
    assert family is not None and family.name == 'nvidia-bluefield-3'
    assert variant is not None
    assert variant.name == 'nvidia-bluefield-3-supernic'


def test_kind_of_another_family_is_not_matched(catalog: Catalog) -> None:
    assert catalog.identify('fpga', pci=PciIds('15b3', 'a2dc')) is None
    assert catalog.identify('dpu', pci=PciIds('10de', '2330')) is None


def test_plain_adapters_are_not_smart(catalog: Catalog) -> None:
    plain = {p.name for p in catalog.products.values()
             if p.kind in ('nic', 'dpu') and not p.smart}
    assert {'nvidia-connectx-7', 'nvidia-connectx-8'} <= plain
    assert 'nvidia-bluefield-3' not in plain


def test_mig_by_architecture(catalog: Catalog) -> None:
    ampere = catalog.mode('gpu', 'mig', 'nvidia-a100-sxm4-40gb')
    hopper = catalog.mode('gpu', 'mig', 'nvidia-h100-sxm')
    unknown = catalog.mode('gpu', 'mig')
    assert ampere is not None and hopper is not None and unknown is not None
    assert (ampere.activation, ampere.persistent) == (
        Activation.DEVICE_RESET,
        True,
    )
    assert (hopper.activation, hopper.persistent) == (Activation.NONE, False)
    assert (unknown.activation, unknown.persistent) == (None, None)


@pytest.mark.parametrize(('kind', 'name', 'product', 'activation', 'alone'), [
    ('gpu', 'gpu', 'nvidia-h100-sxm', Activation.AUX_CYCLE, False),
    ('gpu', 'gpu', 'nvidia-h100-pcie', None, False),
    ('gpu', 'gpu', None, None, False),
    ('fpga', 'shell', 'amd-alveo-u55c', Activation.POWER_CYCLE, False),
    ('fpga', 'sc', 'amd-alveo-u55c', Activation.WARM_REBOOT, False),
    ('fpga', 'sc', 'amd-alveo-v80', Activation.POWER_CYCLE, True),
    ('fpga', 'shell', 'intel-n6001', None, False),
    ('nic', 'nic', 'nvidia-connectx-7', Activation.DEVICE_RESET, False),
    ('dpu', 'nic', 'nvidia-bluefield-3', Activation.POWER_CYCLE, False)])
def test_what_activates_a_component(
        catalog: Catalog, kind: str, name: str, product: str | None,
        activation: Activation | None, alone: bool) -> None:
    facts = catalog.component(kind, name, product)
    assert facts is not None
    assert (facts.activation, facts.alone) == (activation, alone)


def test_facts_of_a_vendor_hold_without_a_product(catalog: Catalog) -> None:
    facts = catalog.component('baseboard', 'fpga-1', vendor='nvidia')
    general = catalog.component('baseboard', 'fpga', vendor='contoso')
    assert facts is not None and general is not None
    assert (facts.name, facts.activation) == ('fpga-1', Activation.AUX_CYCLE)
    assert general.activation is None


def test_board_without_a_known_activation_is_refused(catalog: Catalog) -> None:
    board = catalog.identify('baseboard', 'NVIDIA', 'NVIDIA.HGX.A100.4.GPU')
    assert board is not None and board.name == 'nvidia-hgx-a100-4gpu'
    facts = catalog.component('baseboard', 'fpga', board)
    assert facts is not None and facts.activation is None
    grace = catalog.identify('baseboard', 'NVIDIA', 'GB200 NVL')
    facts = catalog.component('baseboard', 'fpga', grace)
    assert facts is not None and facts.activation is Activation.AUX_CYCLE


def test_the_order_is_bmc_baseboard_gpu_nic(catalog: Catalog) -> None:
    order = []
    for kind, name in (('baseboard', 'bmc'), ('baseboard', 'fpga'),
                       ('gpu', 'gpu'), ('nic', 'nic'), ('dpu', 'nic')):
        facts = catalog.component(kind, name)
        assert facts is not None
        order.append(facts.order)
    assert order == sorted(order) and len(set(order)) == len(order)


def test_unknown_names(catalog: Catalog) -> None:
    assert catalog.component('gpu', 'vgpu') is None
    assert catalog.component('gpu', 'gpu-x') is None
    assert catalog.mode('nic', 'mig') is None
    assert catalog.product('nvidia-h1000') is None
    assert catalog.base_name('baseboard', 'nvswitch-3') == 'nvswitch'


@pytest.mark.parametrize(('kind', 'name', 'value', 'good'), [
    ('gpu', 'ecc', 'enabled', True), ('gpu', 'ecc', 'on', False),
    ('gpu', 'cc', 'on', True), ('gpu', 'ecc', ('enabled',), False),
    ('nic', 'vf-limit', 16, True), ('nic', 'vf-limit', -1, False),
    ('nic', 'vf-limit', True, False), ('nic', 'vf-limit', '16', False),
    ('nic', 'link-type', ('ib', 'ib'), True),
    ('crypto', 'services', ('sym', 'sym'), False),
    ('crypto', 'services', ('asym', 'sym'), True),
    ('crypto', 'services', (), False)])
def test_values_of_modes(catalog: Catalog, kind: str, name: str, value: Any,
                         good: bool) -> None:
    facts = catalog.mode(kind, name)
    assert facts is not None and facts.accepts(value) is good


def _schema() -> Any:
    path = Path(catalog_source.__file__).parent / 'catalog_data/schema.json'
    return json.loads(path.read_text())


_PRODUCT = """
sources: {here: a document}
vendors: {acme: {names: [Acme], pci: ["abcd"]}}
components:
  - {kind: gpu, name: gpu, activation: null, order: 1, source: [here]}
products:
  - {name: acme-one, kind: gpu, vendor: acme, pci: ["abcd:0001"],
     components: [gpu], source: [here]}
"""


@pytest.mark.parametrize(('old', 'new', 'said'), [
    ('abcd:0001', '0xABCD:1', 'products[0].pci[0]'),
    ('components: [gpu]', 'components: [vbios]',
     "acme-one: 'vbios' is not a component of kind gpu"),
    ('vendor: acme, pci', 'vendor: acne, pci', "vendor: 'acne' is unknown"),
    ('kind: gpu, vendor', 'kind: toaster, vendor', 'products[0].kind'),
    ('source: [here]}\n', 'source: [there]}\n', "'there' is not among"),
    ('order: 1, ', '', "'order' is a required property"),
    ('name: acme-one', 'names: acme-one', "'names' was unexpected"),
])
def test_a_mistake_in_the_data_is_named(old: str, new: str,
                                        said: str) -> None:
    good = catalog_source.parse({'a.yaml': _PRODUCT}, _schema())
    assert [p.name for p in good.products] == ['acme-one']
    assert old in _PRODUCT
    with pytest.raises(BadInput) as caught:
        catalog_source.parse(
            {'a.yaml': _PRODUCT.replace(old, new)}, _schema())
    assert said in str(caught.value)
    assert 'a.yaml' in str(caught.value) or 'acme-one' in str(caught.value)


def test_the_shipped_files_are_valid_and_libyaml_reads_the_same() -> None:
    folder = Path(catalog_source.__file__).parent / 'catalog_data'
    files = {path.name: path.read_text()
             for path in sorted(folder.glob('*.yaml'))}
    assert files
    assert catalog_source.parse(files, _schema()) == catalog_source.read()


def test_the_files_of_a_site_are_compared_with_the_schema() -> None:
    for name in ('site.yaml', 'nvidia.yaml'):
        with pytest.raises(BadInput, match=r'products\[0\]'):
            catalog_source.read({name: 'products: [{name: acme-one}]\n'})


def test_two_products_may_not_claim_one_pci_id() -> None:
    row = ('  - {name: acme-two, kind: gpu, vendor: acme, '
           'pci: ["abcd:0001"], source: [here]}\n')
    with pytest.raises(BadInput, match='pci abcd:0001 is claimed by'):
        catalog_source.parse({'a.yaml': _PRODUCT + row}, _schema())


def test_a_product_may_not_be_there_twice() -> None:
    row = ('  - {name: acme-one, kind: gpu, vendor: acme, '
           'source: [here]}\n')
    with pytest.raises(BadInput, match='name acme-one is defined twice'):
        catalog_source.parse({'a.yaml': _PRODUCT + row}, _schema())


def _resources(capture: str, kind: str) -> list[dict[str, Any]]:
    path = CAPTURES / f'{capture}.tar.gz'
    if not path.exists():
        pytest.skip(f'no capture {path.name} beside the repository')
    found = []
    with tarfile.open(path) as tar:
        for member in tar:
            stream = (tar.extractfile(member)
                      if member.name.endswith('index.json') else None)
            if stream is None:
                continue
            try:
                data = json.loads(stream.read())
            except ValueError:
                continue
            if str(data.get('@odata.type', '')).startswith(f'#{kind}.v'):
                found.append(data)
    return found


@pytest.mark.parametrize(('capture', 'kind', 'expected'), [
    ('gb300-supermicro', 'Processor', {'nvidia-gb300': 4}),
    ('gb300-supermicro', 'NetworkAdapter',
     {'nvidia-connectx-8': 4, 'nvidia-bluefield-3': 1}),
    ('a100x4-cray-ex235n', 'Processor', {'nvidia-a100-sxm4-40gb': 8}),
    ('dell-r750-h100', 'Processor', {'nvidia-h100-pcie': 1}),
    ('dell-r750-h100', 'NetworkAdapter', {'nvidia-bluefield-2': 1})])
def test_recorded_models_are_known(
        catalog: Catalog, capture: str, kind: str,
        expected: dict[str, int]) -> None:
    names = [catalog.by_model(r.get('Manufacturer'), r.get('Model'))
             for r in _resources(capture, kind)]
    known = [p.name for p in names if p]
    assert {name: known.count(name) for name in known} == expected
