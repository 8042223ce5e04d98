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

"""What families do beyond their common contract."""

from __future__ import annotations

import dataclasses
import inspect
import json
from pathlib import Path
import struct
from typing import Any

import hypothesis
from hypothesis import strategies as st
import pytest

from ironic_accel.converge.ports import Ready
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.machine.machine import Ran
from ironic_accel.inband.machine.pci_functions import Function
from ironic_accel.inband.tools.alveo import tool as alveo
from ironic_accel.inband.tools.amd_gpu import tool as amd_gpu
from ironic_accel.inband.tools import common
from ironic_accel.inband.tools.fwupd import tool as fwupd
from ironic_accel.inband.tools.intel_gpu import tool as intel_gpu
from ironic_accel.inband.tools.mellanox import config as mellanox_config
from ironic_accel.inband.tools.mellanox import modes as mellanox_modes
from ironic_accel.inband.tools.mellanox import tool as mellanox
from ironic_accel.inband.tools.nvidia_gpu import nvml as nvidia_nvml
from ironic_accel.inband.tools.nvidia_gpu import nvml_process as nvml_child
from ironic_accel.inband.tools.nvidia_gpu import tool as nvidia_gpu
from ironic_accel.inband.tools.opae import tool as opae
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Component
from ironic_accel.model.device import Value
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.plan import Item
from ironic_accel.model.reading_status import Standing
from ironic_accel_emulator import images
from ironic_accel_emulator.inside import nvml
from ironic_accel_emulator.inside import tools
from ironic_accel_emulator.inside.tools import generic
from ironic_accel_emulator.inside.tools.state import part
from ironic_accel_emulator.inside.tools.state import setting
from ironic_accel_emulator.inside.tools.state import State
from tests.unit.inband.tools import bench

A100 = '0000:31:00.0'


def _config(**values: object) -> dict[str, Any]:
    return {name: {'current_value': value, 'next_value': value}
            for name, value in values.items()}


@pytest.mark.parametrize(('value', 'number'), [
    (16, 16), ('16', 16), ('True(1)', 1), ('SEPARATED_HOST(0)', 0),
    ('N/A', None), (True, None), (None, None), ('Array[0..7]', None)])
def test_numbers_of_mlxconfig(value: object, number: int | None) -> None:
    assert mellanox_modes.number(value) == number


@pytest.mark.parametrize(('config', 'mode'), [
    ({'INTERNAL_CPU_MODEL': 'EMBEDDED_CPU(1)',
      'INTERNAL_CPU_OFFLOAD_ENGINE': 'ENABLED(0)'}, 'dpu'),
    ({'INTERNAL_CPU_MODEL': 'EMBEDDED_CPU(1)',
      'INTERNAL_CPU_OFFLOAD_ENGINE': 'DISABLED(1)'}, 'nic'),
    ({'INTERNAL_CPU_MODEL': 'SEPARATED_HOST(0)',
      'INTERNAL_CPU_OFFLOAD_ENGINE': 'ENABLED(0)'}, 'separated-host')])
def test_modes_of_bluefield(config: dict[str, str], mode: str) -> None:
    found, unread = mellanox_modes.read(_config(**config), None)
    assert unread == ()
    assert [(m.name, m.current) for m in found] == [('mode', mode)]


def test_nic_mode_of_bluefield_2_sets_the_owners_too() -> None:
    config = _config(
        INTERNAL_CPU_MODEL='EMBEDDED_CPU(1)',
        INTERNAL_CPU_OFFLOAD_ENGINE='ENABLED(0)',
        INTERNAL_CPU_PAGE_SUPPLIER='ECPF(0)',
        INTERNAL_CPU_ESWITCH_MANAGER='ECPF(0)',
        INTERNAL_CPU_IB_VPORT0='ECPF(0)')
    assert mellanox_modes.parameters('mode', 'nic', config) == {
        'INTERNAL_CPU_OFFLOAD_ENGINE': 1, 'INTERNAL_CPU_PAGE_SUPPLIER': 1,
        'INTERNAL_CPU_ESWITCH_MANAGER': 1, 'INTERNAL_CPU_IB_VPORT0': 1}


@pytest.mark.parametrize(('name', 'value', 'names'), [
    ('link-type', ('eth',), '2 ports'), ('link-type', ('eth', 'vpi'), 'vpi'),
    ('sriov', 'maybe', 'maybe'), ('unheard', 1, 'unheard')])
def test_values_that_a_card_cannot_have(name: str, value: Value,
                                        names: str) -> None:
    config = _config(LINK_TYPE_P1='ETH(2)', LINK_TYPE_P2='ETH(2)')
    with pytest.raises(ValueError, match=names):
        mellanox_modes.parameters(name, value, config)


def test_port_with_an_unknown_link_type_is_unread() -> None:
    found, (unread,) = mellanox_modes.read(
        _config(LINK_TYPE_P1='VPI(3)'), None)
    assert [(m.name, m.current, m.standing) for m in found] == [
        ('link-type', None, Standing.UNREAD)]
    assert 'VPI(3)' in unread.answer
    assert unread.facts == ('mode:link-type',)


def test_bluefield_is_not_reset_from_its_host(tmp_path: Path) -> None:
    host = bench.host(tmp_path)
    tools.install(tmp_path / 'bin', tmp_path / 'state', ['mstfwreset'])
    card = bench.device('dpu', '0000:ca:00.0')
    assert mellanox.Mellanox().resets(host, card) is Activation.NONE


def _gpu(folder: Path, monkeypatch: pytest.MonkeyPatch,
         **facts: object) -> tuple[Machine, State]:
    bench.host(folder)
    state = State(folder / 'state.json')
    state.create({A100: {
        'facts': {'name': 'NVIDIA A100-SXM4-40GB', **facts},
        'parts': {'gpu': part('92.00.45.00.03')},
        'settings': {'mig': setting(0, 'device-reset', default=0)}}})
    monkeypatch.setenv('TWIN_INSIDE_STATE', str(state.path))
    where = bench.files(folder, f'sys/bus/pci/devices/{A100}')
    (where / 'driver').symlink_to('../../../bus/pci/drivers/nvidia')
    tools.install(folder / 'bin', state.path, ['nvidia-smi'])
    return Machine(str(folder / 'root'), str(folder / 'bin'),
                {'pynvml': nvml.__name__}), state


FUNCTION = Function(A100, '10de', '20b0', '10de', '134f', '030200')


@pytest.mark.parametrize(('facts', 'health'), [
    ({}, None),
    ({'remapped': [0, 0, 0, 0]}, 'OK'),
    ({'remapped': [3, 0, 0, 0], 'recovery': 0}, 'OK'),
    ({'remapped': [0, 1, 1, 0], 'recovery': 0}, 'Warning'),
    ({'remapped': [0, 0, 0, 1]}, 'Critical'),
    ({'recovery': 2}, 'Warning'), ({'retired_pending': 1}, 'Warning'),
    ({'retired_pending': 0, 'uncorrected': 0}, 'OK'),
    ({'remapped': [0, 0, 0, 0], 'uncorrected': 3}, 'Warning')])
def test_health_of_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                         facts: dict[str, Any], health: str | None) -> None:
    host, _ = _gpu(tmp_path, monkeypatch, **facts)
    seen = nvidia_gpu.NvidiaGpu().read(host, [FUNCTION])
    assert seen.devices[A100].health == health
    assert (seen.warnings, seen.devices[A100].unread) == ((), ())
    # No source that counts anything: told absent, not unread.
    assert ('health' in seen.devices[A100].absent) is (health is None)


def test_a_gpu_in_use_may_be_set_later(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host, state = _gpu(tmp_path, monkeypatch)
    state.fault('nvml', 'fail', on='set')
    results = nvidia_gpu.NvidiaGpu().set(
        host, bench.device('gpu', A100),
        [Item('card', 'mig', 'mode', 'enabled')], bench.quiet)
    assert results[0].detail is not None
    assert results[0].detail.error_class is ErrorClass.TRANSIENT


def test_reset_with_mig_still_pending_is_a_failure(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host, state = _gpu(tmp_path, monkeypatch)
    family, card = nvidia_gpu.NvidiaGpu(), bench.device('gpu', A100)
    state.put(A100, {'mig': 1})
    state.fault('nvidia-smi', 'lie')
    results = family.reset(host, card, Activation.DEVICE_RESET, bench.quiet)
    assert results[0].detail is not None
    assert results[0].detail.expected == 'enabled'
    state.fault('nvidia-smi', None)
    assert family.reset(host, card, Activation.DEVICE_RESET, bench.quiet) == ()


def test_cc_is_not_set_while_the_driver_is_bound(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host, _ = _gpu(tmp_path, monkeypatch)
    results = nvidia_gpu.NvidiaGpu().set(
        host, bench.device('gpu', A100), [Item('card', 'cc', 'mode', 'on')],
        bench.quiet)
    assert results[0].detail is not None
    assert 'driver' in results[0].detail.summary


def test_card_with_two_gpus_is_not_written(
        tmp_path: Path) -> None:
    host = bench.host(tmp_path)
    tools.install(tmp_path / 'bin', tmp_path / 'state', ['xpu-smi'])
    card = dataclasses.replace(
        bench.device('gpu', '0000:4d:00.0',
                     components=(Component('gpu', 'GFX', 'DG02_1.3170'),)),
        product='intel-flex-140')
    family = intel_gpu.IntelGpu()
    assert family.updates(host, card) == frozenset()
    results = family.update(
        host, card, [Item('card', 'gpu', 'firmware', 'DG02_1.3260')],
        Ready('/none', 0, ''), None, True, bench.quiet)
    assert [r.ok for r in results] == [False]
    one = dataclasses.replace(card, product='intel-flex-170')
    assert family.updates(host, one) == {'gpu'}


@pytest.mark.parametrize('name', [n for n in vars(nvml)
                                  if n.startswith(('nvml', 'NVML_'))])
def test_the_simulated_nvml_is_like_the_real_binding(name: str) -> None:
    real = pytest.importorskip('pynvml')
    if name.startswith('NVML_'):
        assert getattr(nvml, name) == getattr(real, name)
    else:
        mine, its = (inspect.signature(getattr(module, name)).parameters
                     for module in (nvml, real))
        assert len(mine) == len(its)


@pytest.mark.parametrize('wrap', [False, True])
def test_amd_smi_before_and_from_rocm_7(tmp_path: Path, wrap: bool) -> None:
    host = bench.host(tmp_path)
    gpus = [{'gpu': n, 'bus': {'bdf': f'0000:05:00.{n}'},
             'asic': {'market_name': 'AMD Instinct MI300X'},
             'ifwi' if wrap else 'vbios': {'version': f'022.{n}'},
             'partition': {'compute_partition': 'N/A' if n else 'DPX',
                           'memory_partition': 'NPS1'}} for n in (0, 1)]
    text = json.dumps({'gpu_data': gpus} if wrap else gpus)
    (tmp_path / 'static.json').write_text(text)
    bench.prints(tmp_path, 'amd-smi', str(tmp_path / 'static.json'))
    function = Function('0000:05:00.0', '1002', '74a1', '1002', '74a1',
                        '120000')
    told = amd_gpu.AmdGpu().read(host, [function]).devices['0000:05:00.0']
    assert {m.name: m.current for m in told.modes} == {
        'compute-partition': 'dpx', 'memory-partition': 'nps1'}
    assert [c.running for c in told.components] == ['022.0']
    assert told.serial is None


def test_platform_of_an_xsabin(tmp_path: Path) -> None:
    path = tmp_path / 'image'
    images.xsabin_image(path, 'xilinx_u55c_gen3x16_xdma_base_3')
    platform = alveo.platform_of(str(path))
    assert platform == 'xilinx_u55c_gen3x16_xdma_base_3'
    assert alveo.board_of(platform) == 'u55c'
    path.write_bytes(b'something else')
    assert alveo.platform_of(str(path)) is None
    assert alveo.platform_of(str(tmp_path / 'missing')) is None


@pytest.mark.parametrize(('head', 'kind'), [
    (struct.pack('<III', 0xb6eafd19, 0, 0), 'fim'),
    (struct.pack('<III', 0xb6eafd19, 0, 1), 'bmc'),
    # Key cancellation and root hashes cannot be undone.
    (struct.pack('<III', 0xb6eafd19, 0, 0x0100), None),
    (struct.pack('<III', 0xb6eafd19, 0, 0x0301), None),
    (struct.pack('<III', 0xb6eafd18, 0, 0), None), (b'short', None)])
def test_kinds_of_signed_updates(tmp_path: Path, head: bytes,
                                 kind: str | None) -> None:
    (tmp_path / 'image').write_bytes(head)
    assert opae.kind_of(str(tmp_path / 'image')) == kind


def test_a_key_cancellation_is_never_written(tmp_path: Path) -> None:
    host = bench.host(tmp_path)
    state = State(tmp_path / 'state.json')
    state.create({'0000:3b:00.0': {'facts': {'board': 'd5005'}, 'parts': {
        'fim': part('1.0.0')}, 'settings': {}}})
    tools.install(tmp_path / 'bin', state.path, ['fpgasupdate'])
    path = tmp_path / 'image'
    digest = generic.signed(path, 0, '2.0.0', 'd5005', subtype=1)
    card = bench.device('fpga', '0000:3b:00.0',
                        components=(Component('fim', 'x', '1.0.0'),))
    results = opae.Opae().update(
        host, card, [Item('card', 'fim', 'firmware', '2.0.0')],
        Ready(str(path), path.stat().st_size, digest), None, True,
        bench.quiet)
    assert [r.ok for r in results] == [False]
    assert state.read()['calls'] == []


def test_fwupd_does_not_guess_between_two_cards(tmp_path: Path) -> None:
    host = bench.host(tmp_path)
    card = {'facts': {'name': 'x', 'serial': 'y', 'vendor': 'z',
                      'instance': 'PCI\\VEN_15B3&DEV_1021'},
            'parts': {'nic': part('28.39.1002')}, 'settings': {}}
    state = State(tmp_path / 'state.json')
    state.create({'0000:17:00.0': card})
    tools.install(tmp_path / 'bin', state.path, ['fwupdmgr'])
    cards = [Function(f'0000:{bus}:00.0', '15b3', '1021', '15b3', '0001',
                      '020000') for bus in ('17', '18')]
    assert set(fwupd.Fwupd().read(host, cards[:1]).devices) == {'0000:17:00.0'}
    assert fwupd.Fwupd().read(host, cards).devices == {}


@pytest.mark.parametrize(('text', 'address'), [
    ('0000:17:00.0', '0000:17:00.0'), ('17:00.0', '0000:17:00.0'),
    ('00000000:CA:00.1', '0000:ca:00.1'), ('0000:B1:00.0', '0000:b1:00.0'),
    ('N/A', None), ('', None), (None, None), ('x:y:z.0', None), (17, None)])
def test_addresses(text: object, address: str | None) -> None:
    assert common.bdf(text) == address


_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from([
            'gpu_data', 'gpu', 'bus', 'bdf', 'asic', 'board', 'ifwi',
            'version', 'partition', 'compute_partition', 'ecc', 'memory',
            'status', 'total_uncorrectable_count', 'un_res', 'pending',
            'value', 'error', 'name', 'text', 'SRIOV_EN', 'LINK_TYPE_P1',
            'NUM_OF_VFS', 'current_value', 'next_value', 'devices',
            'platform', 'Devices', 'Guid', 'Flags']), inner, max_size=6),
    max_leaves=12)


@hypothesis.given(_JSON)
def test_reader_does_not_raise_for_any_json(value: Any) -> None:
    """Whatever types a tool puts where; nothing but values comes out."""
    text = json.dumps(value)
    table = common.table(value)
    amd_gpu._reading(table)
    amd_gpu._gpus(Ran(0, text))
    mellanox_modes.read(table, None)
    mellanox_modes.read(table, 'why')
    alveo._reading(table)
    intel_gpu._memory_word(text)
    intel_gpu._modes(table, table)
    for answers in ({'init': table, 'handle': table}, {
            'init': {'value': 1}, 'handle': {'value': 1},
            **{q: table for q in (*nvml_child.QUERIES, 'recovery', 'sram',
                                  'fabric', 'cc', 'protected', 'multi_gpu',
                                  'processes')}}):
        told = nvidia_nvml.told(answers, 'said', ['cc', 'ppcie'])
        nvidia_nvml.users(Machine(modules={'pynvml': None}), answers)
        assert told.health in (None, 'OK', 'Warning', 'Critical')


@pytest.mark.parametrize('text', [
    '[' * 100000, '{"a":' * 100000, '{"a": ' + '9' * 6000 + '}',
    '{"a": "\\ud800"}', '{"a": 1e999}', '\u0661\u0662'])
def test_reader_does_not_raise_for_unusual_json(text: str) -> None:
    value = common.json_in(text)
    json.dumps(value, allow_nan=False).encode()
    for one in (value, common.table(value).get('a')):
        found = common.text_of(one)
        assert found is None or len(found) <= 256
        mellanox_modes.number(one)
    mellanox_modes.number(f'X({"9" * 6000})')
    mellanox_config.parse_table(text * 10)


@hypothesis.given(st.text())
def test_parser_does_not_raise_for_any_output(text: str) -> None:
    mellanox.firmware(mellanox.parse_query(text))
    opae.parse_fme(text)
    common.json_in(text)
    common.bdf(text)
    mellanox_modes.number(text)
    mellanox_config.parse_table(text)
    nvidia_nvml.answers(Ran(0, text))


@pytest.mark.parametrize(('text', 'value'), [
    ('warning: old\n{"a": 1}\n', {'a': 1}), ('[1, {"a": 2}] x', [1, {'a': 2}]),
    ('{broken [1]', [1]), ('nothing', None), ('', None)])
def test_json_after_other_lines(text: str, value: object) -> None:
    assert common.json_in(text) == value
