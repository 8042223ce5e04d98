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


"""Format 2 of the profile, and what an upgrade must not change of format 1."""

from __future__ import annotations

from importlib import resources
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import jsonschema
import pytest

from ironic_accel.model import catalog as catalog_mod
from ironic_accel.model import loader
from ironic_accel.model import profile_reader
from ironic_accel.model import schema_reader
from ironic_accel.model.errors import BadInput
from ironic_accel.model.profile import Firmware
from ironic_accel.model.profile import FirmwareByProduct
from ironic_accel.model.profile import Profile
from ironic_accel.model import strict_yaml
from tests.unit.model import stored

SHA = '0123456789abcdef' * 4
#: Every shipped sample and 120 generated profiles, each with the digest that
#: the last release without format 2 gave it. They never change.
RECORDED = json.loads((stored.FOLDER / 'profile-digests.json').read_text())
#: Profiles of format 2, with the digests of the first release that had it.
RECORDED_2 = json.loads(
    (stored.FOLDER / 'profile-digests-2.json').read_text())
SAMPLES = [path for path in (
    resources.files('ironic_accel') / 'samples').iterdir()
    if path.name.endswith('.yaml')]
_SCHEMA = profile_reader.schema()
_EDITOR = jsonschema.Draft202012Validator(_SCHEMA)


def _data(format_: int = 2, **group: Any) -> dict[str, Any]:
    """A profile of one group; GPUs unless a match is given."""
    return {'profile': format_, 'name': 'one', 'devices': {
        'all': {'match': {'kind': 'gpu'}, **group}}}


def _load(format_: int = 2, **group: Any) -> Profile:
    return loader.load_data(_data(format_, **group))


def _refusal(format_: int = 2, **group: Any) -> str:
    with pytest.raises(BadInput) as caught:
        _load(format_, **group)
    return str(caught.value)


@pytest.mark.parametrize('row', RECORDED, ids=lambda r: r['name'])
def test_an_upgrade_voids_no_proof_of_a_profile_of_format_1(
        row: dict[str, Any]) -> None:
    """A proof, and so an IS trait, is void where the digest differs."""
    if 'text' in row:
        [profile] = loader.load_text(row['text'])
    else:
        profile = loader.load_data(row['data'], inline=False)
    assert profile.digest == row['digest']
    assert loader.normalise(profile)['profile'] == 1
    assert loader.load_data(
        loader.normalise(profile), inline=False) == profile


@pytest.mark.parametrize('row', RECORDED, ids=lambda r: r['name'])
def test_the_same_profile_in_format_2_has_the_same_digest(
        row: dict[str, Any]) -> None:
    """So a change of the format alone voids no proof either. What format 2
    spells in one case only is the exception."""
    if 'text' in row:
        [profile] = loader.load_text(
            row['text'].replace('profile: 1', 'profile: 2', 1))
    else:
        profile = loader.load_data({**row['data'], 'profile': 2},
                                   inline=False)
    respelled = [n for n in profile.notes if '.version: ' in n]
    assert (profile.digest == row['digest']) is not bool(respelled)
    assert profile.format == 1


@pytest.mark.parametrize('row', RECORDED_2, ids=lambda r: r['name'])
def test_an_upgrade_voids_no_proof_of_a_profile_of_format_2(
        row: dict[str, Any]) -> None:
    [profile] = loader.load_text(row['text'])
    assert profile.digest == row['digest']
    assert loader.normalise(profile)['profile'] == 2
    assert loader.load_data(loader.normalise(profile)) == profile


@pytest.mark.parametrize('path', SAMPLES, ids=lambda p: p.name)
def test_an_editor_accepts_every_sample(path: Any) -> None:
    [document] = strict_yaml.documents(path.read_text())
    assert list(_EDITOR.iter_errors(document.data)) == []


@pytest.mark.parametrize(('group', 'said'), [
    ({'match': {'kind': 'gpu', 'arch': 'hopper'}},
     'devices.all.match.arch: needs "profile: 2"'),
    ({'match': {'kind': 'gpu', 'product': 'nvidia-h100-*'}},
     "devices.all.match.product: 'nvidia-h100-*': a pattern needs "
     '"profile: 2"'),
    ({'firmware': {'gpu': {'nvidia-h100-sxm': {'version': '1'}}}},
     'devices.all.firmware.gpu: needs "profile: 2"'),
    ({'match': {'kind': 'nic'}, 'modes': {'link-type': 'eth'}},
     'one word for every port needs "profile: 2"'),
    ({'modes': {'mig': 'on'}}, '("profile: 2" accepts this spelling)'),
    ({'modes': {'mig': 'Enabled'}}, '("profile: 2" accepts this spelling)'),
    ({'modes': {'mig': True}}, 'mig: true is a boolean'),
    ({'modes': {'MIG': 'enabled'}}, "'MIG' is not a mode of kind gpu"),
    ({'match': {'kind': 'GPU'}}, "match.kind: 'GPU', expected one of gpu")])
def test_format_1_names_what_needs_format_2(
        group: dict[str, Any], said: str) -> None:
    assert said in _refusal(1, **group)


@pytest.mark.parametrize('format_', [0, 3, 99, -1])
def test_an_unknown_format_is_the_one_thing_said(format_: int) -> None:
    """What else such a profile has, this release cannot judge."""
    data = {'profile': format_, 'name': 'Not/a name', 'future': {'key': 1}}
    with pytest.raises(BadInput) as caught:
        loader.load_data(data)
    assert str(caught.value).startswith(
        f'profile: profile: {format_}, expected 1 or 2, the formats that this '
        'release of ironic-accel reads')
    assert ';' not in str(caught.value)


def test_an_architecture_selects_its_products() -> None:
    [group] = _load(match={'kind': 'gpu', 'arch': 'hopper'}).groups
    assert group.match == {'kind': ('gpu',), 'arch': ('hopper',)}
    assert group.products is not None
    assert {'nvidia-h100-sxm', 'nvidia-h200-nvl', 'nvidia-gh200'} <= {
        *group.products}
    assert 'nvidia-a30' not in group.products
    known = catalog_mod.load()
    assert {known.products[p].arch for p in group.products} == {'hopper'}


def test_every_architecture_of_a_product_is_defined_with_a_source() -> None:
    known = catalog_mod.load()
    for product in known.products.values():
        if product.arch is not None:
            defined = known.defined_architectures[product.arch]
            assert defined.vendor == product.vendor
            assert defined.source


def test_a_pattern_selects_products_by_name() -> None:
    [group] = _load(match={'kind': 'gpu', 'product': 'nvidia-a100-*'}).groups
    assert group.products == (
        'nvidia-a100-pcie-40gb', 'nvidia-a100-pcie-80gb',
        'nvidia-a100-sxm-64gb', 'nvidia-a100-sxm4-40gb',
        'nvidia-a100-sxm4-80gb')
    [both] = _load(match={'kind': 'gpu', 'arch': 'hopper',
                          'product': ['nvidia-h100-*', 'nvidia-*-nvl']}).groups
    assert both.products is not None
    assert {'nvidia-h200-nvl', 'nvidia-h100-pcie'} <= {*both.products}
    assert 'nvidia-h200-sxm' not in both.products


@pytest.mark.parametrize(('match', 'said'), [
    ({'kind': 'gpu', 'arch': 'hoper'}, "'hoper', expected one of ada, ampere"),
    ({'kind': 'gpu', 'arch': 'hoper'}, '(did you mean hopper?)'),
    ({'kind': 'gpu', 'arch': []}, 'arch: [], expected at least one value'),
    ({'kind': 'gpu', 'arch': 9}, 'arch: 9 is a number'),
    ({'kind': 'nic', 'arch': 'hopper'},
     "'hopper': the catalogue has no architecture of kind nic; use product"),
    ({'kind': 'gpu', 'product': 'nvidia-h1000-*'},
     'expected a pattern of known products (did you mean nvidia-h100-'),
    ({'kind': 'nic', 'product': 'nvidia-h100-*'},
     'expected a pattern of known products'),
    ({'kind': 'gpu', 'product': 'nvidia-h100-?xm'}, 'expected a known name'),
    ({'kind': 'gpu', 'product': 'nvidia-l4-0'}, '(did you mean nvidia-l40'),
    ({'kind': 'gpu', 'arch': 'CDNA 3'}, '(did you mean cdna3?)'),
    ({'kind': 'gpu', 'product': 'nvidia-[ha]100-*'},
     'expected a pattern of known products'),
    ({'kind': 'gpu', 'arch': 'hopper', 'product': 'nvidia-a100-*'},
     'no product is of kind gpu, product nvidia-a100-*, arch hopper'),
    ({'kind': 'gpu', 'arch': 'hopper', 'vendor': 'amd'},
     'no product is of kind gpu, vendor amd, arch hopper')])
def test_a_match_that_selects_nothing_is_an_error(
        match: dict[str, Any], said: str) -> None:
    assert said in _refusal(match=match)


def test_a_pattern_that_yaml_takes_for_an_alias_is_to_be_quoted() -> None:
    text = ('profile: 2\nname: a\ndevices:\n  g:\n'
            '    match: {kind: gpu, product: *}\n')
    with pytest.raises(BadInput, match='quote a text that begins with'):
        loader.load_text(text)
    assert loader.load_text(text.replace('*', '"*-pcie"'))


def test_versions_by_product() -> None:
    rows = {'nvidia-h100-sxm': {'version': '96.00.A6.00.01', 'image': 'a'},
            'nvidia-h100-*': {'version': '96.00.A7.00.01', 'at_least': True},
            'any': {'version': '96.00.A8.00.01'}}
    data = _data(match={'kind': 'gpu', 'arch': ['hopper', 'ampere']},
                 firmware={'gpu': rows})
    data['images'] = {'a': {'url': 'https://h/x', 'sha256': SHA,
                            'fits': {'board': 'x'}}}
    profile = loader.load_data(data)
    wanted = profile.groups[0].firmware['gpu']
    assert isinstance(wanted, FirmwareByProduct)
    assert wanted.of('nvidia-h100-sxm') == Firmware(
        '96.00.A6.00.01', False, 'a')
    assert wanted.of('nvidia-h100-pcie') == Firmware('96.00.A7.00.01', True)
    assert wanted.of('nvidia-a30') == Firmware('96.00.A8.00.01')
    assert wanted.of(None) == Firmware('96.00.A8.00.01')
    assert profile.format == 2
    assert loader.load_data(loader.normalise(profile)) == profile


def test_a_product_without_a_version_has_none() -> None:
    wanted = FirmwareByProduct({
        'nvidia-h100-*': Firmware('1'), '*-sxm': Firmware('2')})
    assert wanted.of('nvidia-a30') is None
    assert wanted.of(None) is None
    assert wanted.of('nvidia-h200-sxm') == Firmware('2')
    # Two patterns match: neither of them is the one.
    assert wanted.of('nvidia-h100-sxm') is None


def test_an_image_has_the_name_that_it_was_given() -> None:
    data = _data(firmware={'gpu': {'version': '1', 'image': 'Bundle'}})
    data['images'] = {'bundle': {'url': 'https://h/x', 'sha256': SHA,
                                 'fits': {'board': 'x'}}}
    with pytest.raises(BadInput, match=r"image: 'Bundle', expected one of "
                       r'bundle \(did you mean bundle\?\)'):
        loader.load_data(data)
    data['devices']['all']['firmware']['gpu']['image'] = 'bundle'
    assert loader.load_data(data).images.keys() == {'bundle'}


def test_one_version_for_any_product_is_just_that_version() -> None:
    plain = _load(firmware={'gpu': {'version': '1.2'}})
    assert _load(firmware={'gpu': {'any': {'version': '1.2'}}}) == plain
    assert plain.format == 1


@pytest.mark.parametrize(('rows', 'said'), [
    ({'nvidia-h100-sxn': {'version': '1'}},
     'gpu.nvidia-h100-sxn: match of the group selects no such product (did '
     'you mean nvidia-h100-sxm'),
    ({'nvidia-a30': {'version': '1'}}, 'selects no such product'),
    ({'nvidia-b*': {'version': '1'}}, 'selects no such product'),
    ({'nvidia-h100-*': {'version': '1'}, '*-sxm': {'version': '2'}},
     'nvidia-h100-* and *-sxm both match nvidia-h100-sxm: add '
     'nvidia-h100-sxm'),
    ({'nvidia-h100-sxm': {'version': 'N/A'}},
     'gpu.nvidia-h100-sxm.version: '),
    ({'nvidia-h100-sxm': {'version': '1', 'image': 'x'}}, "image: 'x'"),
    ({'nvidia-h100-sxm': {}}, 'gpu.nvidia-h100-sxm.version: is missing'),
    ({'nvidia-h100-sxm': {'version': '1'}, 'NVIDIA-H100-SXM': {
        'version': '2'}}, 'are the same name'),
    ({'nvidia-h100-sxm': '1'}, 'gpu.version: is missing'),
    ({'versionn': '1'}, 'versionn: unknown key (did you mean version?)'),
    ({}, 'gpu.version: is missing')])
def test_a_mistake_in_versions_by_product_is_named(
        rows: dict[str, Any], said: str) -> None:
    assert said in _refusal(match={'kind': 'gpu', 'arch': 'hopper'},
                            firmware={'gpu': rows})


#: A mode as it is written, and what it is read as.
SPELLINGS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ('gpu', {'mig': 'on'}, {'mig': 'enabled'}),
    ('gpu', {'MIG': 'on'}, {'mig': 'enabled'}),
    ('gpu', {'mig': 'OFF'}, {'mig': 'disabled'}),
    ('gpu', {'mig': 'true'}, {'mig': 'enabled'}),
    ('gpu', {'mig': True}, {'mig': 'enabled'}),
    ('gpu', {'mig': False}, {'mig': 'disabled'}),
    ('gpu', {'mig': 'enable'}, {'mig': 'enabled'}),
    ('gpu', {'ECC': 'Enabled'}, {'ecc': 'enabled'}),
    ('gpu', {'cc': 'ON'}, {'cc': 'on'}),
    ('gpu', {'compute_partition': 'CPX'}, {'compute-partition': 'cpx'}),
    ('gpu', {'Memory Partition': 'NPS4'}, {'memory-partition': 'nps4'}),
    ('dpu', {'mode': 'NIC'}, {'mode': 'nic'}),
    ('nic', {'sriov': 'True(1)'}, {'sriov': 'enabled'}),
    ('nic', {'SRIOV': 'disable'}, {'sriov': 'disabled'}),
    ('nic', {'link-type': ['ETH', 'InfiniBand']},
     {'link-type': ('eth', 'ib')}),
    ('nic', {'link-type': ['ETH(2)', 'IB(1)']}, {'link-type': ('eth', 'ib')}),
    ('nic', {'link-type': 'Ethernet'}, {'link-type': 'eth'}),
    ('nic', {'link-type': 'eth'}, {'link-type': 'eth'}),
    ('crypto', {'services': 'sym'}, {'services': ('sym',)}),
    ('crypto', {'services': 'sym;asym'}, {'services': ('asym', 'sym')}),
]


@pytest.mark.parametrize(('kind', 'written', 'read'), SPELLINGS, ids=str)
def test_usual_spellings_of_modes(kind: str, written: dict[str, Any],
                                  read: dict[str, Any]) -> None:
    profile = _load(match={'kind': kind}, modes=written)
    assert profile.groups[0].modes == read
    same = _load(match={'kind': kind}, modes={
        k: list(v) if isinstance(v, tuple) else v for k, v in read.items()})
    assert same == profile
    assert same.digest == profile.digest
    assert bool(profile.notes) is (written != read)
    assert not same.notes


def test_a_mode_of_every_port_is_no_list_of_one() -> None:
    every = _load(match={'kind': 'nic'}, modes={'link-type': 'eth'})
    first = _load(match={'kind': 'nic'}, modes={'link-type': ['eth']})
    assert (every.format, first.format) == (2, 1)
    assert every.digest != first.digest


@pytest.mark.parametrize(('kind', 'modes', 'said'), [
    ('gpu', {'mig': 'yes'}, '(did you mean enabled?)'),
    ('gpu', {'mig': 1}, '(did you mean enabled?)'),
    ('gpu', {'mig': 0}, '(did you mean disabled?)'),
    ('gpu', {'mig': None}, 'mig: null, expected one of enabled'),
    ('gpu', {'mig': ['on']}, "mig: ['on'], expected one of enabled"),
    ('gpu', {'cc': True}, 'cc: true is a boolean, expected one of off, on, '
                          'devtools: write on, not true'),
    ('gpu', {'cc': False}, 'write off, not false'),
    ('gpu', {'cc': 'enabled'}, '(did you mean on?)'),
    ('dpu', {'mode': True}, 'mode: true is a boolean, expected one of dpu, '
                            'nic'),
    ('gpu', {'compute-partition': 'cpu'}, '(did you mean cpx?)'),
    ('nic', {'link-type': True}, 'link-type: true is a boolean'),
    ('nic', {'link-type': 'vpi'}, "'vpi', expected one of ib, eth"),
    ('nic', {'link-type': 'eth;ib'}, "'eth;ib', expected one of ib, eth"),
    ('nic', {'link-type': ['eth', True]}, 'link-type[1]: true, expected'),
    ('nic', {'link-type': []}, 'link-type: [], expected at least one of'),
    ('crypto', {'services': 'sym;dcc'}, "services[1]: 'dcc'"),
    ('crypto', {'services': 'sym;sym'}, 'duplicate value'),
    ('nic', {'sriov': 'on', 'SRIOV': 'off'}, 'are the same name'),
    ('nic', {'vf-limit': True}, 'vf-limit: true, expected a whole number')])
def test_what_may_mean_two_things_is_an_error(
        kind: str, modes: dict[str, Any], said: str) -> None:
    assert said in _refusal(match={'kind': kind}, modes=modes)


def test_every_other_word_of_format_2_may_be_spelled_as_usual() -> None:
    text = """
profile: 2
name: spelled
offered: True
devices:
  cards:
    match: {kind: GPU, arch: Hopper, product: "NVIDIA-H100-*",
            vendor: NVIDIA Corporation, pci: 0x10DE:0x2330}
    health: OK
    firmware: {InfoROM: {version: g548.0301.00.3a, at_least: True}}
allow: [burn-at-deploy]
limits: {reset: Power Cycle}
"""
    [profile] = loader.load_text(text, 'site.yaml')
    [group] = profile.groups
    assert group.match == {
        'kind': ('gpu',), 'arch': ('hopper',), 'product': ('nvidia-h100-*',),
        'vendor': ('nvidia',), 'pci': ('10de:2330',)}
    assert group.firmware == {'inforom': Firmware('G548.0301.00.3A', True)}
    assert profile.offered and profile.allow == {'burn_at_deploy'}
    assert profile.limits.reset == 'power-cycle'
    assert [n.partition(': ')[2] for n in profile.notes] == [
        "offered: 'True' is read as true",
        "devices.cards.match.kind: 'GPU' is read as 'gpu'",
        "devices.cards.match.arch: 'Hopper' is read as 'hopper'",
        "devices.cards.match.product: 'NVIDIA-H100-*' is read as "
        "'nvidia-h100-*'",
        "devices.cards.match.vendor: 'NVIDIA Corporation' is read as "
        "'nvidia'",
        "devices.cards.match.pci: '0x10DE:0x2330' is read as '10de:2330'",
        "devices.cards.health: 'OK' is read as 'ok'",
        "devices.cards.firmware.InfoROM.at_least: 'True' is read as true",
        "devices.cards.firmware.InfoROM: 'InfoROM' is read as 'inforom'",
        "devices.cards.firmware.InfoROM.version: 'g548.0301.00.3a' is read "
        "as 'G548.0301.00.3A'",
        "allow[0]: 'burn-at-deploy' is read as 'burn_at_deploy'",
        "limits.reset: 'Power Cycle' is read as 'power-cycle'"]
    assert all(n.startswith('line ') for n in profile.notes)
    assert loader.load_text(loader.to_yaml(profile)) == [profile]
    assert not loader.load_text(loader.to_yaml(profile))[0].notes


@pytest.mark.parametrize(('kind', 'component', 'written', 'read'), [
    ('gpu', 'gpu', '96.00.a6.00.0b', '96.00.A6.00.0B'),
    ('gpu', 'inforom', 'g548.0301.00.0c', 'G548.0301.00.0C'),
    ('nic', 'nic', '28.39.1002 (MT_0000000834)', '28.39.1002'),
    ('nic', 'nic', '28.39.1002 (DEL0000000027)', '28.39.1002'),
    ('dpu', 'nic', '32.43.1014', '32.43.1014'),
    ('nic', 'nic', '28.39.1002 (test build)', '28.39.1002 (test build)'),
    ('fpga', 'shell', 'xilinx_U55C', 'xilinx_U55C')])
def test_versions_as_tools_print_them(kind: str, component: str, written: str,
                                      read: str) -> None:
    profile = _load(match={'kind': kind},
                    firmware={component: {'version': written}})
    assert profile.groups[0].firmware == {component: Firmware(read)}
    assert bool(profile.notes) is (written != read)
    old = _load(1, match={'kind': kind},
                firmware={component: {'version': written}})
    assert old.groups[0].firmware == {component: Firmware(written)}


def test_the_products_of_another_catalogue_can_be_selected() -> None:
    """A conductor may know products of the site that a command does not."""
    profile = _load(match={'kind': 'gpu', 'arch': 'hopper'})
    told = profile.selecting({'all': ['nvidia-h100-acme'], 'other': []})
    assert told.groups[0].products == ('nvidia-h100-acme',)
    assert told == profile
    assert loader.digest(told) == profile.digest


def test_no_two_words_of_a_list_differ_by_their_spelling_alone() -> None:
    """Otherwise neither is accepted in another spelling."""
    known = catalog_mod.load()
    lists = [tuple(known.products)]
    for kind in known.kinds:
        lists += [known.architectures([kind]), known.components(kind),
                  known.modes(kind)]
    for words in lists:
        bare = [w.replace('_', '-') for w in words]
        assert len({*bare}) == len(bare)
        assert bare == [b.lower() for b in bare]


_PLACES = ['profile', 'devices', 'devices/all', 'devices/all/match',
           'devices/all/match/arch', 'devices/all/match/product',
           'devices/all/match/kind', 'devices/all/firmware',
           'devices/all/firmware/gpu',
           'devices/all/firmware/gpu/nvidia-h100-sxm',
           'devices/all/firmware/gpu/any', 'devices/all/modes',
           'devices/all/modes/mig', 'devices/all/health', 'limits']
_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([
        'gpu', 'hopper', 'nvidia-h100-*', 'nvidia-h100-sxm', '1.2', 'a ', '',
        'any', 'on', 'ok', 'enabled', '*']) | st.text('ab* -', max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(['kind', 'arch', 'product', 'version', 'at_least',
                         'image', 'any', 'nvidia-h100-sxm', 'gpu', 'mig',
                         'nvidia-h100-*', '9']),
        inner, max_size=3), max_leaves=8)


def _changed(place: str, value: Any, format_: int) -> dict[str, Any]:
    data = _data(format_, match={'kind': 'gpu', 'arch': 'hopper'},
                 firmware={'gpu': {'nvidia-h100-sxm': {'version': '1'},
                                   'any': {'version': '2'}}},
                 modes={'mig': 'on'}, health='ok')
    *inner, last = place.split('/')
    at: Any = data
    for key in inner:
        at = at[key]
    at[last] = value
    return data


@given(place=st.sampled_from(_PLACES), value=_PLAIN,
       format_=st.sampled_from([1, 2]))
def test_the_schema_and_the_reader_agree(place: str, value: Any,
                                         format_: int) -> None:
    """An editor shows by the schema what the loader refuses by its form."""
    data = _changed(place, value, format_)
    problems = schema_reader.Problems()
    left = schema_reader.conforming(data, _SCHEMA, problems)
    assert bool(problems.found) is not _EDITOR.is_valid(data)
    assert problems.found or left == data


@given(place=st.sampled_from(_PLACES), value=_PLAIN)
def test_any_data_of_format_2_are_read_or_refused(
        place: str, value: Any) -> None:
    data = _changed(place, value, 2)
    try:
        profile = loader.load_data(data)
    except BadInput as exc:
        assert str(exc).startswith('profile: ')
        return
    again = loader.load_data(loader.normalise(profile))
    assert again == profile
    assert again.digest == profile.digest
    assert not again.notes
    assert loader.load_text(loader.to_yaml(profile)) == [profile]
    assert _EDITOR.is_valid(loader.normalise(profile))
