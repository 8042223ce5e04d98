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

"""First boot as the agent brings it; run as ``agent_cases`` is."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import json
import pathlib
from typing import Any
from unittest import mock

from ironic_python_agent import disk_utils
from ironic_python_agent import errors
from ironic_python_agent import hardware
from ironic_python_agent import partition_utils
from ironic_python_agent import utils
from oslo_concurrency import processutils

from ipa_hardware_manager import conf
from ironic_accel.converge import agent_answers
from ironic_accel.inband.firstboot import deliver
from ironic_accel_emulator.inside.tree import Tree
from tests.contract.inband.agent_cases import agent_tree  # noqa: F401
from tests.contract.inband.agent_cases import run
from tests.unit.inband import sample


class Disk:
    """Stands for the disk of the instance behind the agent's own functions.

    :ivar mounts: the options of each mount.
    """

    def __init__(self, *roots: pathlib.Path | None) -> None:
        self.roots = roots
        self.mounts: list[Any] = []

    def partitions(self, device: str) -> list[dict[str, Any]]:
        return [{'number': n} for n in range(len(self.roots))]

    @contextlib.contextmanager
    def mounted(self, path: str, dest: Any = None, opts: Any = None,
                **more: Any) -> Iterator[str]:
        root = self.roots[int(path[-1])]
        if root is None:
            raise processutils.ProcessExecutionError('no file system')
        self.mounts.append(opts)
        yield str(root)


def _instance(tmp_path: pathlib.Path, **more: str) -> pathlib.Path:
    """A small Debian, where ``get_os_install_device`` says that it is."""
    root = tmp_path / 'instance'
    for name, text in {'usr/lib/systemd/systemd': '', 'etc/hostname': '',
                       'usr/bin/python3': '', 'sbin/.keep': '',
                       'usr/lib/python3.11/os.py': '', **more}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / 'sbin/init').symlink_to('/lib/systemd/systemd')
    return root


def _bring(*roots: pathlib.Path | None, disk: Disk | None = None,
           **args: Any) -> Any:
    disk = disk or Disk(None, *roots)
    with (mock.patch.object(hardware, 'dispatch_to_managers', autospec=True,
                            return_value='/dev/sda'),
          mock.patch.object(disk_utils, 'list_partitions', autospec=True,
                            side_effect=disk.partitions),
          mock.patch.object(utils, 'mounted', autospec=True,
                            side_effect=disk.mounted),
          mock.patch.object(partition_utils, 'create_config_drive_partition',
                            autospec=True) as drive):
        answer = run('accel_first_boot', **{
            'document': {'schema': 'first-boot/1', 'items': []}, **args})
    return answer, drive


def test_first_boot_is_delivered_as_files(
        tree: Tree, tmp_path: pathlib.Path) -> None:
    root = _instance(tmp_path)
    looked, _ = _bring(root, look_only=True)
    assert looked['first_boot'] == {
        'reasons': [], 'method': 'files', 'way': 'files',
        'delivered': None}
    assert not (root / deliver.DOCUMENT).exists()
    brought, drive = _bring(root)
    assert brought['first_boot']['delivered'] == 'files'
    assert json.loads((root / deliver.DOCUMENT).read_text())['items'] == []
    drive.assert_not_called()


def test_first_boot_is_delivered_by_config_drive(
        tree: Tree, tmp_path: pathlib.Path) -> None:
    root = _instance(tmp_path, **{'usr/bin/cloud-init': ''})
    brought, drive = _bring(root, configdrive='H4sI', node='u')
    assert brought['first_boot']['delivered'] == 'configdrive'
    drive.assert_called_once_with('u', '/dev/sda', 'H4sI')
    assert not (root / deliver.DOCUMENT).exists()


def test_instance_without_config_drive_support_gets_none(
        tree: Tree, tmp_path: pathlib.Path) -> None:
    answer, drive = _bring(_instance(tmp_path), configdrive='H4sI')
    assert 'does not read a config drive' in str(
        agent_answers.error(answer['error']))
    drive.assert_not_called()


def test_an_encrypted_disk_is_refused(
        tree: Tree, tmp_path: pathlib.Path) -> None:
    sample.tool(tmp_path, 'lsblk', 'printf "vfat\\ncrypto_LUKS\\n"')
    answer, _ = _bring()
    assert answer['first_boot'] == {
        'reasons': ['the disk is encrypted with LUKS'], 'method': 'files',
        'way': 'files', 'delivered': None}


def test_a_root_under_dm_verity_is_not_even_mounted(
        tree: Tree, tmp_path: pathlib.Path) -> None:
    sample.tool(tmp_path, 'lsblk', 'printf "ext4\\nDM_verity_hash\\n"')
    disk = Disk(_instance(tmp_path))
    answer, _ = _bring(disk=disk)
    assert answer['first_boot']['reasons'] == [
        'the root file system is protected by dm-verity']
    assert disk.mounts == []


def test_check_mounts_read_only(
        tree: Tree, tmp_path: pathlib.Path) -> None:
    (tmp_path / 'boot/etc').mkdir(parents=True)
    disk = Disk(tmp_path / 'boot', _instance(tmp_path))
    _bring(disk=disk, look_only=True)
    assert disk.mounts == [['ro'], ['ro']]
    answer, _ = _bring(disk=disk)
    assert answer['first_boot']['delivered'] == 'files'
    assert disk.mounts[2:] == [['ro'], ['ro'], None, None]


def test_disk_failure_is_reported(tree: Tree) -> None:
    with mock.patch.object(
            hardware, 'dispatch_to_managers', autospec=True,
            side_effect=errors.DeviceNotFound('no disk')):
        answer = run('accel_first_boot', document={
            'schema': 'first-boot/1', 'items': []})
    error = agent_answers.error(answer['error'])
    assert error.detail.seen == 'DeviceNotFound'


def test_folder_can_replace_the_disk(
        tree: Tree, tmp_path: pathlib.Path) -> None:
    """The lab's machines have no disks."""
    root = _instance(tmp_path)
    conf.CONF.set_override('instance_root', str(root), group='accelerator')
    try:
        answer = run('accel_first_boot', document={
            'schema': 'first-boot/1', 'items': []})
    finally:
        conf.CONF.clear_override('instance_root', group='accelerator')
    assert answer['first_boot']['delivered'] == 'files'
    assert (root / deliver.UNIT_FILE).exists()


def test_another_first_boot_document_is_refused(tree: Tree) -> None:
    answer, _ = _bring(document={'schema': 'x'})
    assert "'x'" in str(agent_answers.error(answer['error']))
