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

"""Modes and NV configuration parameters in a profile."""

from __future__ import annotations

from typing import Any

import pytest

from ironic_accel.model.errors import BadInput
from ironic_accel.model import loader
from ironic_accel.model.profile import Profile


def _profile(kind: str = 'nic', format_: int = 2, **more: Any) -> Profile:
    match = {'kind': kind, **more.pop('match', {})}
    return loader.load_data({
        'profile': format_, 'name': 'p',
        'devices': {'g': {'match': match, **more}}})


def test_parameters_are_read_by_their_names_and_spellings() -> None:
    profile = _profile(raw={
        'ATS_ENABLED': True, 'cnp_dscp_p1': 26,
        'LLDP_NB_RX_MODE_P1': 'ALL(2)'}, modes={'sriov': 'on'})
    assert profile.groups[0].modes == {
        'sriov': 'enabled', 'ATS_ENABLED': 'true', 'CNP_DSCP_P1': 26,
        'LLDP_NB_RX_MODE_P1': 'ALL'}
    said = ' '.join(profile.notes)
    for text in ('cnp_dscp_p1', 'ALL(2)', 'sriov'):
        assert text in said
    plain = loader.normalise(profile)
    assert plain['profile'] == 2
    assert plain['devices']['g']['raw'] == {
        'ATS_ENABLED': 'true', 'CNP_DSCP_P1': 26, 'LLDP_NB_RX_MODE_P1': 'ALL'}
    assert plain['devices']['g']['modes'] == {'sriov': 'enabled'}
    assert loader.load_data(plain) == _without_notes(profile)


def _without_notes(profile: Profile) -> Profile:
    return loader.load_data(loader.normalise(profile))


def test_digest_follows_the_parameters() -> None:
    one, two, same = (_profile(raw={'ATS_ENABLED': v}).digest
                      for v in (True, False, 'True(1)'))
    assert one == same and one != two


#: A group, and what its error says.
WRONG: list[tuple[dict[str, Any], str]] = [
    ({'raw': {}}, 'at least one parameter'),
    ({'raw': {'ATS_ENABLED': 'maybe'}}, 'one of true, false'),
    ({'raw': {'CNP_DSCP_P1': 64}}, '64, expected a whole number from 0 to 63'),
    ({'raw': {'CNP_DSCP': 1}}, 'CNP_DSCP_P1, CNP_DSCP_P2'),
    ({'raw': {'LLDP_NB_RX_MODE_P1': 'SOME'}}, 'OFF, MANDATORY, ALL'),
    ({'raw': {'FORCE_ETH_PCI_SUBCLASS': True}}, 'not in the allow list'),
    ({'raw': {'HOST_CHAINING_DESCRIPTORS[0..7]': 1}}, 'is an array'),
    ({'raw': {'PCI_WR_ORDERING': 1}}, 'set by the mode relaxed-ordering'),
    ({'raw': {'SRIOV_EN': True}}, 'set by the mode sriov'),
    ({'raw': {'ATS_ENABLED': True, 'ats_enabled': False}}, 'the same name'),
    ({'raw': {'ATS_ENABLED': True}, 'match': {
        'product': 'nvidia-connectx-4'}}, 'for nvidia-connectx-4'),
    ({'raw': {'ATS_ENABLED': True}, 'kind': 'gpu'}, 'for gpu'),
    ({'raw': {'ATS_ENABLED': True}, 'format_': 1}, 'needs "profile: 2"'),
    ({'modes': {'ATS_ENABLED': True}}, 'written below raw'),
    ({'modes': {'relaxed-ordering': 'forced'}, 'format_': 1},
     'needs "profile: 2"'),
    ({'modes': {'relaxed-ordering': 'mixed'}}, 'per-mkey, forced'),
    ({'modes': {'pf-log-bar-size': 64}}, 'from 0 to 63'),
    ({'modes': {'nps': 4}, 'kind': 'gpu'}, 'memory-partition'),
    ({'modes': {'nps': 4}, 'kind': 'gpu', 'format_': 1}, 'memory-partition'),
    ({'modes': {'pfc': '3'}}, 'mlnx_qos'),
    ({'modes': {'Resizable BAR': 'on'}, 'kind': 'gpu'}, 'Re-Size BAR'),
    ({'modes': {'MAX_READ_REQUEST': 4096}}, 'max-outstanding-read'),
    ({'modes': {'ats_enabled': True}}, 'written below raw'),
    ({'modes': {'max-read-request': 4096}}, 'max-outstanding-read'),
    ({'modes': {'resizable-bar': 'enabled'}, 'kind': 'gpu'},
     'apply_configuration'),
    ({'modes': {'warp': 9}, 'kind': 'gpu'}, "'warp' is not a mode of kind")]


@pytest.mark.parametrize(('group', 'said'), WRONG)
def test_what_cannot_be_asked_for_is_said_by_name(
        group: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput) as caught:
        _profile(**group)
    assert said in str(caught.value)


@pytest.mark.parametrize(('kind', 'modes'), [
    ('gpu', {'power-limit': 500, 'persistence': True}),
    ('nic', {'relaxed-ordering': 'forced', 'max-outstanding-read': 0,
             'roce': 'enabled', 'qos-trust': ['dscp', 'dscp'],
             'pf-log-bar-size': 6, 'vf-log-bar-size': 1,
             'option-rom-pxe': 'off', 'option-rom-uefi-x86': 'on',
             'option-rom-uefi-arm': False}),
    ('dpu', {'secure-boot': 'enabled', 'host-privilege': 'restricted',
             'qos-trust': 'dscp'})])
def test_new_modes_are_those_of_format_2(kind: str,
                                         modes: dict[str, Any]) -> None:
    assert set(_profile(kind, modes=modes).groups[0].modes) == set(modes)
    for name, value in modes.items():
        with pytest.raises(BadInput, match='needs "profile: 2"'):
            _profile(kind, 1, modes={name: value})
