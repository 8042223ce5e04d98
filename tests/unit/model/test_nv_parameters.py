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

"""The allow list of NV configuration parameters, and their spellings."""

from __future__ import annotations

from typing import Any

import pytest

from ironic_accel.model import catalog
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import BadInput
from ironic_accel.model import nv_parameters

CX7, BF3 = 'nvidia-connectx-7', 'nvidia-bluefield-3'


@pytest.mark.parametrize(('name', 'raw', 'value'), [
    # mlxcfg_param.cpp, mlxcfg_ui.cpp: True(1), ALL(2), plain numbers.
    ('ATS_ENABLED', 'True(1)', 'true'), ('ATS_ENABLED', 'False(0)', 'false'),
    ('ATS_ENABLED', True, 'true'), ('ATS_ENABLED', 0, 'false'),
    ('ATS_ENABLED', 'enabled', 'true'), ('ATS_ENABLED', 'FALSE', 'false'),
    ('ATS_ENABLED', 'True(0)', None), ('ATS_ENABLED', 2, None),
    ('ATS_ENABLED', 'maybe', None),
    ('LLDP_NB_RX_MODE_P2', 'ALL(2)', 'ALL'),
    ('LLDP_NB_RX_MODE_P2', 'all', 'ALL'), ('LLDP_NB_RX_MODE_P2', 2, 'ALL'),
    ('LLDP_NB_RX_MODE_P2', 'ALL(1)', None), ('LLDP_NB_RX_MODE_P2', 3, None),
    ('LLDP_NB_RX_MODE_P2', True, None),
    ('MEMIC_SIZE_LIMIT', '_256KB(1)', '_256KB'),
    ('CNP_DSCP_P1', 63, 63), ('CNP_DSCP_P1', 64, None),
    ('CNP_DSCP_P1', -1, None), ('CNP_DSCP_P1', '63', None),
    ('CNP_DSCP_P1', True, None), ('CNP_DSCP_P1', [1], None),
    ('CNP_DSCP_P1', 'Array[0..7]', None), ('NO_SUCH', 1, None)])
def test_values_as_the_tool_prints_them(name: str, raw: Any,
                                        value: Any) -> None:
    assert nv_parameters.value_of(name, raw) == value


@pytest.mark.parametrize(('name', 'kinds', 'products', 'reason'), [
    ('ATS_ENABLED', ['nic'], [], None),
    ('ATS_ENABLED', ['nic', 'dpu'], [CX7, BF3], None),
    ('CNP_DSCP_P8', ['dpu'], [], None),
    ('ATS_ENABLED', ['gpu'], [], 'for gpu'),
    ('ATS_ENABLED', ['nic'], ['nvidia-connectx-4'], 'nvidia-connectx-4'),
    ('ATS_ENABLED', ['nic'], ['site-nic'], 'for site-nic'),
    ('CNP_DSCP', ['nic'], [], 'CNP_DSCP_P1, CNP_DSCP_P2'),
    ('CNP_DSCP_P9', ['nic'], [], 'not in the allow list'),
    ('ATS_ENABLED_P1', ['nic'], [], 'one value for all ports'),
    ('PCI_WR_ORDERING', ['nic'], [], 'mode relaxed-ordering'),
    ('LINK_TYPE_P1', ['nic'], [], 'mode link-type'),
    ('EXP_ROM_UEFI_x86_ENABLE', ['nic'], [], 'mode option-rom-uefi-x86'),
    ('HOST_CHAINING_DESCRIPTORS[0]', ['nic'], [], 'is an array'),
    ('FORCE_ETH_PCI_SUBCLASS', ['nic'], [], 'ADVANCED_PCI_SETTINGS')])
def test_what_a_profile_may_not_set(
        name: str, kinds: list[str], products: list[str],
        reason: str | None) -> None:
    said = nv_parameters.problem(name, kinds, products)
    assert said is None if reason is None else reason in (said or '')


def test_each_parameter_is_a_mode_of_its_families_alone() -> None:
    known = catalog.load()
    for name in nv_parameters.names(CX7):
        full = name if nv_parameters.find(name) else f'{name}_P1'
        facts = known.mode('nic', full, CX7)
        assert facts is not None and facts.persistent is True
        assert facts.activation in (
            Activation.DEVICE_RESET, Activation.WARM_REBOOT)
        assert 'mlxconfig_host.db' in facts.source
        assert known.mode('nic', full, 'nvidia-connectx-4') is None
        assert known.mode('nic', full) is None
        assert known.mode('dpu', full, CX7) is None
        dpu = known.mode('dpu', full, BF3)
        assert dpu is not None and dpu.activation is Activation.POWER_CYCLE
        assert full not in known.modes('nic')


def test_products_of_the_list_are_those_of_the_catalogue() -> None:
    known = catalog.load()
    found = {name for name in known.products if nv_parameters.names(name)}
    assert {known.products[n].kind for n in found} == {'nic', 'dpu'}
    assert len(found) == 11
    assert all(known.products[n].vendor == 'nvidia' for n in found)


SITE = '''
sources: {me: mine}
defaults: {kind: nic, vendor: nvidia}
products:
  - {name: site-connectx, pci: ["15b3:1021:15b3:ffee"], source: [me]}
'''


def test_site_catalogue_adds_nothing_to_the_list() -> None:
    known = catalog.extended({'site.yaml': SITE})
    assert known.mode('nic', 'ATS_ENABLED', CX7) is not None
    assert known.mode('nic', 'ATS_ENABLED', 'site-connectx') is None
    with pytest.raises(BadInput, match='FORCE_ETH_PCI_SUBCLASS'):
        catalog.extended({'site.yaml': SITE + '''
modes:
  - {kinds: [nic], name: FORCE_ETH_PCI_SUBCLASS, type: integer,
     activation: none, persistent: true, source: [me]}
'''})
    with pytest.raises(BadInput, match='nvidia-connectx-7 is defined twice'):
        catalog.extended({'site.yaml': SITE.replace(
            'site-connectx', CX7)})


@pytest.mark.parametrize(('kind', 'name', 'hint'), [
    ('gpu', 'nps', 'memory-partition'), ('nic', 'nps', 'BIOS'),
    ('gpu', 'resizable-bar', 'BIOS'), ('nic', 'bar-size', 'pf-log-bar-size'),
    ('nic', 'pfc', 'mlnx_qos'), ('dpu', 'max-read-request', 'not'),
    ('nic', 'trust', 'qos-trust'), ('nic', 'option-rom', 'option-rom-pxe'),
    ('gpu', 'secure-boot', 'capability secure_boot')])
def test_modes_that_operators_ask_for_are_refused_by_name(
        kind: str, name: str, hint: str) -> None:
    known = catalog.load()
    reason = known.refused_mode(kind, name)
    assert reason is not None and hint in reason
    # It names its source, and is no mode of that kind.
    assert reason.endswith(')') and name not in known.modes(kind)


def test_name_that_nobody_knows_is_not_refused_by_name() -> None:
    assert catalog.load().refused_mode('gpu', 'warp') is None
