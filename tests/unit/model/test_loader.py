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

"""Profiles: what is good is read, what is not is named."""

from __future__ import annotations

import copy
import json
import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import jsonschema
import pytest

from ironic_accel.model import catalog as catalog_mod
from ironic_accel.model import loader
from ironic_accel.model import profile_reader
from ironic_accel.model import schema_reader
from ironic_accel.model.device import Activation
from ironic_accel.model.device import KINDS
from ironic_accel.model.errors import BadInput
from ironic_accel.model.profile import Count
from ironic_accel.model.profile import Firmware
from ironic_accel.model.profile import FORMATS
from ironic_accel.model.profile import Limits

SHA = '0123456789abcdef' * 4

THREE = f"""
profile: 1
name: hgx-secure
offered: true
images:
  bundle:
    url: https://images.example.org/nvfw_HGX-H100x8.fwpkg
    sha256: {SHA}
    fits: {{board: HGX-H100-8}}
devices:
  gpus:
    match: {{kind: gpu, product: nvidia-h100-sxm}}
    count: 8
    firmware: {{gpu: {{version: "96.00.A6.00.01", image: bundle}}}}
    modes: {{ecc: enabled, cc: on}}
  tray:
    match: {{kind: baseboard}}
    count: {{max: 1}}
    firmware: {{fpga: {{version: 3.11, image: bundle}}}}
limits: {{reset: aux-cycle, minutes: 90}}
---
profile: 1
name: bf3-nic
summary: BlueField-3 as a plain adapter
images:
  fw:
    url: file:///var/lib/ironic/accel/fw.bin
    sha256: {SHA.upper()}
    fits: {{psid: [MT_0000000884, MT_0000000965]}}
    push: {{style: multipart, targets: []}}
devices:
  dpus:
    match: {{kind: dpu, vendor: Mellanox, pci: "0x15B3:A2DC"}}
    health: any
    firmware: {{nic: {{version: "32.43.1014", at_least: true, image: fw}}}}
    modes: {{mode: nic, sriov: enabled, vf-limit: 16, link-type: [eth, ib]}}
limits: {{reset: power-cycle, attempts: 5, resets: 0}}
---
profile: 1
name: u55c-tls
images:
  shell: {{url: "https://images.example.org/u55c.xsabin", sha256: {SHA},
          fits: {{board: u55c}}}}
devices:
  fpgas:
    match: {{kind: fpga, product: amd-alveo-u55c}}
    count: {{min: 0, max: 2}}
    firmware:
      shell: {{version: xilinx_u55c_gen3x16_xdma_base_3, image: shell}}
      sc: {{version: "7.1.22"}}
  crypto:
    match: {{kind: crypto, pci: ["8086:4940", "8086:4942"]}}
    modes: {{services: [sym, asym]}}
order: [shell, sc]
allow: [downgrade, collateral]
"""


def _data() -> dict[str, Any]:
    """A small good profile as plain data."""
    return {
        'profile': 1, 'name': 'small',
        'images': {'fw': {'url': 'https://h.example.org/a.bin',
                          'sha256': SHA, 'fits': {'psid': 'MT_1'}}},
        'devices': {'nics': {
            'match': {'kind': 'nic'}, 'count': 2,
            'firmware': {'nic': {'version': '1.2', 'image': 'fw'}},
            'modes': {'sriov': 'enabled'}}}}


def _set(data: Any, path: str, value: Any) -> None:
    *inner, last = path.split('/')
    for key in inner:
        data = data[key]
    data[last] = value


def test_three_profiles_of_one_text() -> None:
    hgx, bf3, u55c = loader.load_text(THREE, 'site.yaml')
    assert [p.name for p in (hgx, bf3, u55c)] == [
        'hgx-secure', 'bf3-nic', 'u55c-tls']
    gpus, tray = hgx.groups
    assert gpus.match == {'kind': ('gpu',), 'product': ('nvidia-h100-sxm',)}
    assert gpus.count == Count(8, 8) and gpus.health == 'ok'
    assert gpus.firmware == {'gpu': Firmware('96.00.A6.00.01', False,
                                             'bundle')}
    assert gpus.modes == {'ecc': 'enabled', 'cc': 'on'}
    assert tray.firmware == {'fpga': Firmware('3.11', False, 'bundle')}
    assert tray.count == Count(1, 1)
    assert hgx.offered and not bf3.offered
    assert hgx.limits == Limits(minutes=90)


def test_values_are_normalised() -> None:
    _, bf3, u55c = loader.load_text(THREE)
    dpus = bf3.groups[0]
    assert dpus.match['vendor'] == ('nvidia',)
    assert dpus.match['pci'] == ('15b3:a2dc',)
    assert dpus.modes['link-type'] == ('eth', 'ib')
    assert dpus.modes['vf-limit'] == 16
    assert dpus.health == 'any'
    image = bf3.images['fw']
    assert image.sha256 == SHA
    assert image.push is not None and image.push.targets == ()
    assert bf3.limits == Limits(5, 0, Activation.POWER_CYCLE)
    assert u55c.groups[1].modes['services'] == ('asym', 'sym')
    assert u55c.groups[0].count == Count(0, 2)
    assert u55c.allow == {'downgrade', 'collateral'}


def test_back_and_forth() -> None:
    for profile in loader.load_text(THREE):
        assert loader.load_data(loader.normalise(profile)) == profile
        assert loader.load_text(loader.to_yaml(profile)) == [profile]


def test_the_digest_is_of_the_meaning() -> None:
    first = loader.load_text(THREE)[2]
    other = THREE.replace('[sym, asym]', '[asym, sym]').replace(
        '["8086:4940", "8086:4942"]', '["8086:4942", 0x8086:0x4940]')
    assert loader.load_text(other)[2].digest == first.digest
    changed = THREE.replace('7.1.22', '7.1.23')
    assert loader.load_text(changed)[2].digest != first.digest
    assert first.digest == loader.digest(first)


def test_inline_data_are_not_changed() -> None:
    data = _data()
    before = copy.deepcopy(data)
    assert loader.load_data(data).name == 'small'
    assert data == before


@pytest.mark.parametrize(('path', 'value', 'said'), [
    ('profile', 3, 'profile: 3, expected 1 or 2, the formats that this '
     'release of ironic-accel reads'),
    ('profile', 0, 'profile: 0, expected 1 or 2'),
    ('profile', '1', "profile: '1', expected 1 or 2 (the format)"),
    ('profile', True, 'profile: true, expected 1 or 2'),
    ('name', 'Big', "name: 'Big', expected a name"),
    ('name', 'a' * 49, 'at most 48'),
    ('name', 'a--b', 'name: '),
    ('offered', 'true', "offered: 'true', expected true or false"),
    ('extra', 1, 'extra: unknown key'),
    ('device', {}, 'device: unknown key (did you mean devices?)'),
    ('devices', {}, 'devices: {}, expected at least one group'),
    ('devices', [], 'devices: [], expected a mapping'),
    ('devices/nics/match', {}, 'devices.nics.match.kind: is missing'),
    ('devices/nics/match/kind', 'gpus', "devices.nics.match.kind: 'gpus'"),
    ('devices/nics/match/pci', '15b3', 'PCI ids such as'),
    ('devices/nics/match/pci', '15b3:zzzz', 'PCI ids such as'),
    ('devices/nics/match/product', 'nvidia-connectx-77', 'did you mean '
                                                         'nvidia-connectx-'),
    ('devices/nics/match/product', 'nvidia-h100-sxm',
     'product nvidia-h100-sxm is of kind gpu, not nic'),
    ('devices/nics/match/serial', 'x', 'match.serial: unknown key'),
    ('devices/nics/match/psid', [], 'at least one value'),
    ('devices/nics/match/psid', ['a', 'a'], 'duplicate value'),
    ('devices/nics/match/part_number', 900, 'write "900"'),
    ('devices/nics/count', -1, 'count: -1, expected'),
    ('devices/nics/count', True, 'count: true, expected'),
    ('devices/nics/count', {'min': 3, 'max': 2}, 'max not less than min (3)'),
    ('devices/nics/count', {'least': 3}, 'count.least: unknown key'),
    ('devices/nics/count', {}, 'at least one of min, max'),
    ('devices/nics/health', 'good',
     "health: 'good', expected one of ok, proved, any"),
    ('devices/nics/firmware/nik', {'version': '1'},
     "firmware.nik: 'nik' is not a component of kind nic (did you mean nic?)"),
    ('devices/nics/firmware/nic/version', '', 'nic.version: '),
    ('devices/nics/firmware/nic/version', 'N/A', 'expected a version'),
    ('devices/nics/firmware/nic/version', 33, 'write "33"'),
    ('devices/nics/firmware/nic/version', 1.5, 'version: 1.5, expected text'),
    ('devices/nics/firmware/nic/image', 'fv',
     "image: 'fv', expected one of fw"),
    ('devices/nics/firmware/nic', '1.2', "nic: '1.2', expected a mapping"),
    ('devices/nics/modes/sriov', True,
     'sriov: true is a boolean, expected one of enabled, disabled: '
     'write enabled, not true'),
    ('devices/nics/modes/sriov', 'on', "'on', expected one of enabled, "),
    ('devices/nics/modes/vf-limit', '16', "vf-limit: '16', expected a whole"),
    ('devices/nics/modes/vf-limit', True, 'vf-limit: true, expected a whole'),
    ('devices/nics/modes/link-type', 'ib', 'a list of words (ib, eth)'),
    ('devices/nics/modes/link-type', [], 'at least one of ib, eth'),
    ('devices/nics/modes/link-type', ['usb'], 'link-type[0]: '),
    ('devices/nics/modes/mig', 'enabled', "'mig' is not a mode of kind nic"),
    ('devices/9 nics', {}, 'is not a valid name'),
    ('images/fw/sha256', 'abc', 'a SHA-256 digest'),
    ('images/fw/md5', 'abc', 'images.fw.md5: unknown key'),
    ('images/fw/fits', {}, 'at least one of psid, board'),
    ('images/fw/fits', {'serial': 'x'}, 'fits.serial: unknown key'),
    ('images/fw/push', {'targets': ['/a']}, 'push.style: is missing'),
    ('images/other', {'url': 'https://h/x', 'sha256': SHA,
                      'fits': {'psid': 'x'}}, 'no firmware uses this'),
    ('order', ['nic', 'nik'], "order[1]: 'nik'"),
    ('order', 'nic', "order: 'nic', expected a list"),
    ('order', ['nic', 'nic'], 'order: duplicate value'),
    ('allow', ['everything'], "allow[0]: 'everything', expected one of "
                              'downgrade'),
    ('limits', {'attempts': 6}, 'limits.attempts: 6, expected a whole number '
                                'from 1 to 5'),
    ('limits', {'resets': -1}, 'from 0 to 10'),
    ('limits', {'minutes': 1441}, 'from 1 to 1440'),
    ('limits', {'reset': 'reboot'}, "limits.reset: 'reboot', expected one of "
                                    'none, driver-reload'),
])
def test_a_mistake_is_named(path: str, value: Any, said: str) -> None:
    data = _data()
    loader.load_data(data)
    _set(data, path, value)
    with pytest.raises(BadInput) as caught:
        loader.load_data(data)
    assert said in str(caught.value)


@pytest.mark.parametrize(('url', 'said'), [
    ('https://user:s3cret@h.example.org/a', 'user info is not allowed'),
    ('https://s3cret@h.example.org/a', 'user info is not allowed'),
    ('https://h.example.org/a?token=s3cret', 'neither query nor'),
    ('https://h.example.org/a#s3cret', 'neither query nor'),
    (' https://u:s3cret@h.example.org/a', 'user info'),
    ('ftp://h.example.org/a', 'schemes http, https, file'),
    ('h.example.org/a', 'schemes'), ('https:///a', 'has no host'),
    ('https://h.example.org/', 'has no file name'),
    ('https://h.example.org', 'has no file name'),
    ('file://other/a', 'file:///absolute/path'),
    ('file:a', 'file:///absolute/path'),
    ('https://h:99999/a', 'is not a URL'), ('https://[::1/a', 'is not a URL'),
    ('https://h/a b', 'blanks'), ('https://h/a\nb', 'blanks')])
def test_urls_of_images(url: str, said: str) -> None:
    data = _data()
    data['images']['fw']['url'] = url
    with pytest.raises(BadInput) as caught:
        loader.load_data(data)
    assert said in str(caught.value)
    assert 's3cret' not in str(caught.value)


@pytest.mark.parametrize('url', [
    'http://h/a.bin', 'https://[::1]:8443/a@2.bin', 'file:///a/b',
    'file://localhost/a/b'])
def test_good_urls(url: str) -> None:
    data = _data()
    data['images']['fw']['url'] = url
    assert loader.load_data(data).images['fw'].url == url


def test_all_mistakes_are_found_with_their_lines() -> None:
    text = THREE.replace('kind: gpu', 'kind: gpus').replace(
        'minutes: 90', 'minutes: 0').replace('mode: nic', 'mode: true')
    with pytest.raises(BadInput) as caught:
        loader.load_text(text, 'site.yaml')
    said = str(caught.value)
    assert said.startswith('site.yaml: line 12: devices.gpus.match.kind')
    assert 'line 20: limits.minutes: 0' in said
    assert 'devices.dpus.modes.mode: true is a boolean' in said


def test_a_name_may_not_be_there_twice() -> None:
    with pytest.raises(BadInput, match="name: 'u55c-tls' is defined twice"):
        loader.load_text(THREE.replace('name: bf3-nic', 'name: u55c-tls'))


def test_a_text_without_profiles() -> None:
    with pytest.raises(BadInput, match=r'p\.yaml: it contains no profile'):
        loader.load_text('# nothing\n', 'p.yaml')


@pytest.mark.parametrize('data', [None, [], 'x', 1, True, {}])
def test_what_is_no_profile_at_all(data: Any) -> None:
    with pytest.raises(BadInput, match='profile: '):
        loader.load_data(data)


def test_the_inline_limit_counts_what_is_normalised() -> None:
    data = _data()
    size = len(loader.canonical(loader.normalise(loader.load_data(data))))
    data['summary'] = 'x' * (loader.MAX_INLINE_BYTES - size
                             - len(',"summary":""'))
    profile = loader.load_data(data)
    assert len(loader.canonical(loader.normalise(profile))) == 8192
    data['summary'] += 'x'
    with pytest.raises(BadInput, match='8193 bytes, expected at most 8192'):
        loader.load_data(data)
    assert loader.load_data(data, inline=False).name == 'small'


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8)
    | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=8)
_PLACES = ['profile', 'name', 'images', 'images/fw', 'images/fw/url',
           'images/fw/fits', 'images/fw/push', 'devices', 'devices/nics',
           'devices/nics/match', 'devices/nics/match/kind',
           'devices/nics/count', 'devices/nics/firmware',
           'devices/nics/firmware/nic', 'devices/nics/modes',
           'devices/nics/modes/sriov', 'devices/nics/modes/link-type',
           'order', 'allow', 'limits', 'offered', 'summary']


@given(place=st.sampled_from(_PLACES), value=_JSON)
def test_any_data_are_read_or_refused(place: str, value: Any) -> None:
    data = _data()
    _set(data, place, value)
    try:
        profile = loader.load_data(data)
    except BadInput as exc:
        assert str(exc).startswith('profile: ')
    else:
        assert loader.load_data(loader.normalise(profile)) == profile
        assert loader.load_text(loader.to_yaml(profile)) == [profile]


_WORDS = st.text('abcABC012.:-_ %', min_size=1, max_size=12).filter(
    lambda t: t == t.strip())


@given(version=_WORDS, psids=st.lists(_WORDS, min_size=1, max_size=3,
                                      unique=True))
def test_texts_survive_yaml(version: str, psids: list[str]) -> None:
    data = _data()
    _set(data, 'devices/nics/firmware/nic/version', version)
    _set(data, 'devices/nics/match/psid', psids)
    try:
        profile = loader.load_data(data)
    except BadInput:
        assert version.lower() in ('-', '--')
        return
    again = loader.load_text(loader.to_yaml(profile))[0]
    assert again.groups[0].firmware == {
        'nic': Firmware(version, False, 'fw')}
    assert set(again.groups[0].match['psid']) == set(psids)


def test_every_mode_of_the_catalogue_can_be_declared() -> None:
    catalog = catalog_mod.load()
    for kind in catalog.kinds:
        for name in catalog.modes(kind):
            facts = catalog.mode(kind, name)
            assert facts is not None
            value: Any = {'integer': 3, 'word': facts.values[-1:],
                          'words': list(facts.values)}[facts.type]
            value = value[0] if isinstance(value, tuple) else value
            profile = loader.load_data(
                {'profile': facts.since, 'name': 'p', 'devices': {'g': {
                    'match': {'kind': kind}, 'modes': {name: value}}}})
            assert facts.accepts(profile.groups[0].modes[name])


def test_a_profile_is_plain_json() -> None:
    for profile in loader.load_text(THREE):
        data = loader.normalise(profile)
        assert json.loads(loader.canonical(data)) == data


_SCHEMA = profile_reader.schema()
_EDITOR = jsonschema.Draft202012Validator(_SCHEMA)
#: Plain data of the kinds that editors and our reader take for the same: to
#: an editor 2.0 is a whole number too.
_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([
        'gpu', 'nic', '10de:2330', 'enabled', 'update', 'none', 'staged',
        SHA, 'a', 'a b', ' a', 'a ', '', 'Big', 'a-b', 'http://h/x'])
    | st.text('ab-_ 0:', max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(['kind', 'pci', 'min', 'max', 'version', 'image',
                         'style', 'targets', 'url', 'a', '9']),
        inner, max_size=3), max_leaves=6)


@given(place=st.sampled_from(_PLACES), value=_PLAIN)
def test_the_schema_and_the_reader_agree(place: str, value: Any) -> None:
    """What an editor accepts by the schema has the form that we accept, and
    the other way round; what more is refused, no schema could know."""
    data = _data()
    _set(data, place, value)
    problems = schema_reader.Problems()
    left = schema_reader.conforming(data, _SCHEMA, problems)
    if _EDITOR.is_valid(data):
        assert not problems.found
        assert left == data
    else:
        assert problems.found
        with pytest.raises(BadInput):
            loader.load_data(data)


@given(place=st.sampled_from(_PLACES), value=_PLAIN)
def test_what_is_normalised_fits_the_schema(place: str, value: Any) -> None:
    data = _data()
    _set(data, place, value)
    try:
        profile = loader.load_data(data)
    except BadInput:
        return
    assert _EDITOR.is_valid(loader.normalise(profile))


def test_the_schema_is_one_and_has_our_words() -> None:
    jsonschema.Draft202012Validator.check_schema(_SCHEMA)
    defs, top = _SCHEMA['$defs'], _SCHEMA['properties']
    assert tuple(defs['kind']['enum']) == KINDS
    assert defs['limits']['properties']['reset']['enum'] == list(Activation)
    limits = {k: v['default']
              for k, v in defs['limits']['properties'].items()}
    assert Limits(**limits) == Limits()
    assert tuple(top['profile']['enum']) == FORMATS
    described = [*top.values(), *(
        one for part in ('image', 'group', 'firmware', 'limits')
        for one in defs[part]['properties'].values())]
    for one in described:
        inner = defs.get(one.get('$ref', '').rpartition('/')[2], {})
        assert one.get('title') or inner.get('title')


@pytest.mark.parametrize('url', [
    ['https://u:s3cret@h/a'], {'a': 'https://u:s3cret@h/a'}, 7, None])
def test_a_url_of_another_type_is_not_repeated(url: Any) -> None:
    data = _data()
    data['images']['fw']['url'] = url
    with pytest.raises(BadInput, match=r'images\.fw\.url: invalid value, '
                       'expected a URL') as caught:
        loader.load_data(data)
    assert 's3cret' not in str(caught.value)


def test_one_mistake_is_reported_once_and_hides_no_other() -> None:
    data = _data()
    data |= {'profile': True, 'nme': 1, 'order': [1, {}, 'nik'],
             'limits': {'minutes': 0, 'attempts': '2'}}
    del data['name']
    data['devices']['nics']['match'] = {'kind': ['nic', 'gpus'],
                                        'pci': '15b3'}
    data['devices']['nics']['firmware']['nic'] = {'image': 'fv'}
    with pytest.raises(BadInput) as caught:
        loader.load_data(data)
    said = str(caught.value).removeprefix('profile: ').split('; ')
    assert sorted(s.partition(':')[0] for s in said) == [
        'devices.nics.firmware.nic.image', 'devices.nics.firmware.nic.version',
        'devices.nics.match.kind[1]', 'devices.nics.match.pci', 'images.fw',
        'limits.attempts', 'limits.minutes', 'name', 'nme', 'order[0]',
        'order[1]', 'profile']


@pytest.mark.parametrize('bad', [
    {'order': ['nic', *range(30_000)]},
    {'allow': [{'a': n} for n in range(20_000)]},
    {f'k{n}': n for n in range(20_000)}])
def test_many_mistakes_are_reported_quickly(bad: dict[str, Any]) -> None:
    began = time.monotonic()
    with pytest.raises(BadInput, match='more'):
        loader.load_data(_data() | bad, inline=False)
    assert time.monotonic() - began < 20
