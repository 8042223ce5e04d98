# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""IPMI against pyghmi's own BMC server, over the network."""

from __future__ import annotations

import dataclasses
import pathlib
import socket
import sys

import pytest

from ironic_accel import ipmi
from ironic_accel.model import carry_over
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.identity import Source
from ironic_accel.model import unite
from tests.contract.ipmi import fake_bmc
from tests.contract.ipmi.running import bmc_process

PATIENCE = 30.0


def test_fru_and_firmware_revision_are_read() -> None:
    with bmc_process('plain') as port:
        answer = ipmi.ask(_target(port), PATIENCE)
    assert answer['bmc'] == {
        'version': '3.47', 'manufacturer': 10876, 'product': 0}
    assert answer['uuid'] == str(fake_bmc.UUID)
    assert [(u['id'], u['name']) for u in answer['units']] == [
        (0, 'System'), (5, 'GPU_5')]
    assert answer['units'][1]['fields']['Product name'] == 'A100'
    assert answer['warnings'] == []
    seen = ipmi.inventory(answer)
    assert (seen.system, seen.host, seen.seen_via, seen.complete) == (
        str(fake_bmc.UUID), 'unknown', ('ipmi',), True)
    board, = seen.devices
    assert (board.kind, board.vendor, board.model, board.serial,
            board.part_number) == ('baseboard', 'Example Corp.',
                                   'Example 4029', 'BRD-0042', 'X11-P')
    part, = board.components
    assert (part.name, part.running, part.activation) == ('bmc', '3.47', None)


def test_a_garbled_fru_is_named_and_not_believed() -> None:
    with bmc_process('garbled') as port:
        answer = ipmi.ask(_target(port), PATIENCE)
    seen = ipmi.inventory(answer)
    assert [(w.uri, w.message) for w in seen.warnings] == [(
        'ipmi:fru/0', 'the FRU inventory of System is invalid: wrong checksum '
        'of the board area')]
    board, = seen.devices
    assert (board.serial, board.model) == (None, None)
    assert board.components[0].running == '3.47'
    assert [u['name'] for u in answer['units']] == ['GPU_5']


def test_bmc_without_fru_is_a_warning() -> None:
    with bmc_process('bare') as port:
        answer = ipmi.ask(_target(port), PATIENCE)
    assert answer['units'] == []
    assert [w['uri'] for w in answer['warnings']] == [
        'ipmi:fru/0', 'ipmi:sdr']
    assert ipmi.inventory(answer).devices[0].components[0].running == '3.47'


def test_a_wrong_password_is_the_operator_s() -> None:
    with bmc_process('plain') as port, pytest.raises(Unreachable) as caught:
        ipmi.ask(dataclasses.replace(_target(port), password='wrong'),
                 PATIENCE)
    detail = caught.value.detail
    assert detail.error_class is ErrorClass.NEEDS_OPERATOR
    assert f'127.0.0.1:{port}' in detail.summary
    assert 'the BMC rejects the credentials' in detail.summary
    assert 'ipmi_password' in str(detail.todo)


def test_a_bmc_that_fails_every_command_is_quoted() -> None:
    with bmc_process('mute') as port, pytest.raises(
            Unreachable, match='unexpected response: Node Busy'):
        ipmi.ask(_target(port), PATIENCE)


def test_a_bmc_that_is_not_there_costs_no_more_than_the_time() -> None:
    # A socket that nobody reads: no refusal comes back either.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(('127.0.0.1', 0))
        with pytest.raises(Unreachable) as caught:
            ipmi.ask(_target(silent.getsockname()[1]), 1.0)
    assert caught.value.detail.error_class is ErrorClass.TRANSIENT
    assert 'no answer within 1 s' in caught.value.detail.summary


def test_an_address_without_a_name_is_said() -> None:
    with pytest.raises(Unreachable, match=r'no\.such\.invalid'):
        ipmi.ask(ipmi.IpmiTarget('no.such.invalid', 'admin', 'password'),
                 PATIENCE)


def test_reader_that_crashes_is_an_error_with_its_output(
        monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    broken = tmp_path / 'python'
    broken.write_text('#!/bin/sh\n'
                      "echo \"No module named 'pyghmi'\" >&2; exit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, 'executable', str(broken))
    with pytest.raises(Unreachable) as caught:
        ipmi.ask(_target(1), PATIENCE)
    assert "exited with 1: No module named 'pyghmi'" in (
        caught.value.detail.summary)
    assert 'extra ipmi' in str(caught.value.detail.todo)


def test_no_password_is_shown() -> None:
    target = ipmi.IpmiTarget('a', 'admin', 'geheim', kg='abcd')
    assert 'geheim' not in repr(target)
    assert 'abcd' not in repr(target)


@pytest.mark.parametrize(('place', 'value', 'wrong'), [
    (0, 2, 'format 2, expected 1'),
    (7, 1, 'wrong checksum of the header'),
    (9, 255, 'the chassis area is truncated')])
def test_every_defect_of_a_fru_is_named(
        place: int, value: int, wrong: str) -> None:
    raw = bytearray(fake_bmc.BOARD)
    assert ipmi.defect(bytes(raw)) is None
    raw[place] = value
    assert ipmi.defect(bytes(raw)) == wrong


def test_a_short_fru_is_a_defect() -> None:
    assert ipmi.defect(b'\x01\x00') == (
        '2 bytes, expected at least 8')
    raw = fake_bmc.BOARD[:8]
    assert ipmi.defect(raw) == 'the chassis area starts beyond the end'


def test_fru_unit_is_matched_by_serial_number() -> None:
    with bmc_process('plain') as port:
        answer = ipmi.ask(_target(port), PATIENCE)
    inside = unite.inventory([Source(Inventory(
        system='s', host='on', complete=True, seen_via=('agent',),
        devices=(
            Device(id='a', kind='gpu', serial='1650000042', model='A100',
                   address='0000:17:00.0'),
            Device(id='b', kind='gpu', serial='1650000043',
                   address='0000:18:00.0'))))])
    seen = unite.inventory([Source(
        ipmi.inventory(answer, inside.devices))])
    whole = carry_over.carried(seen, inside, True)
    board, first, second = whole.devices
    assert board.kind == 'baseboard'
    assert (first.id, first.location, first.part_number, first.model,
            first.address, first.uri) == (
        'gpu-1650000042', 'GPU_5', '900-21001', 'A100', '0000:17:00.0', None)
    assert (second.location, second.part_number) == (None, None)
    assert (whole.host, whole.complete) == ('unknown', True)


def test_another_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="'ipmi/9', expected 'ipmi/1'"):
        ipmi.inventory({'schema': 'ipmi/9'})


def _target(port: int) -> ipmi.IpmiTarget:
    return ipmi.IpmiTarget('127.0.0.1', 'admin', 'password', port)
