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

"""First boot: documents that are none, and images that are made to hurt."""

from __future__ import annotations

import os
import pathlib
import time
from typing import Any

import pytest

from ironic_accel.inband.firstboot import applier
from ironic_accel.inband.firstboot import items
from ironic_accel.inband.firstboot import target

_SETTERS = {m: s.setter for m, s in items.settable().items()}
_ITEM = {'mode': 'vfs', 'device': 'nic-1', 'address': '0000:17:00.0',
         'pci': '15b3:101d', 'wanted': 4}


_ITEMS: list[Any] = [
        None, {}, [7], [{}], [{**_ITEM, 'mode': 'ecc'}],
        [{**_ITEM, 'mode': {}}], [{**_ITEM, 'address': '../../etc'}],
        [{**_ITEM, 'wanted': '4'}], [{**_ITEM, 'wanted': True}],
        [{**_ITEM, 'mode': 'services', 'wanted': [1]}],
        [_ITEM, {**_ITEM, 'pci': None}]]


@pytest.mark.parametrize('document', [
    None, [], 7, 'x', {}, {'schema': 'first-boot/2'},
    *({'schema': 'first-boot/1', 'items': rows} for rows in _ITEMS)])
def test_invalid_document_sets_nothing(
        tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str],
        document: Any) -> None:
    where = tmp_path / 'sys/bus/pci/devices/0000:17:00.0'
    where.mkdir(parents=True)
    for name, text in (('vendor', '0x15b3'), ('device', '0x101d'),
                       ('sriov_numvfs', '0')):
        (where / name).write_text(text)
    assert applier.apply(
        document, str(tmp_path), 0.0, _SETTERS) is False
    said = capsys.readouterr().out
    assert said.startswith('<3>') and said.count('\n') == 1
    assert (where / 'sriov_numvfs').read_text() == '0'


@pytest.mark.parametrize('text', [None, '', '{', '[' * 99999, '7'])
def test_unreadable_document_fails_the_unit(
        tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str],
        text: str | None) -> None:
    path = tmp_path / 'first-boot.json'
    if text is not None:
        path.write_text(text)
    assert applier.main(['x', str(path)]) == 1
    assert capsys.readouterr().out.startswith('<3>')


@pytest.mark.parametrize('kind', ['fifo', 'zero', 'long', 'deep', 'loop'])
@pytest.mark.parametrize('name', [
    'etc/fstab', 'etc/crypttab', 'etc/cloud/cloud.cfg'])
def test_hostile_image_does_not_block_the_ramdisk(
        tmp_path: pathlib.Path, name: str, kind: str) -> None:
    """Nobody waits for it, nor reads it without an end."""
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    if kind == 'fifo':
        os.mkfifo(path)
    elif kind == 'zero':
        path.symlink_to('/dev/zero')
    elif kind == 'loop':
        path.symlink_to(path.name)
    else:
        path.write_text('[' * 200000 if kind == 'deep'
                        else 'a: b\n' * 2000000)
    (tmp_path / 'usr/bin').mkdir(parents=True)
    (tmp_path / 'usr/bin/cloud-init').write_text('')
    start = time.monotonic()
    found = target.examine(tmp_path)
    assert found.reasons and time.monotonic() - start < 10
