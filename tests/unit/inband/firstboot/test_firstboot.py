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


"""First boot: what is refused, what is brought, and what it then does."""

from __future__ import annotations

import ast
import email
import json
import os
import pathlib
import runpy
import shutil
import subprocess
import sys
import types
from typing import Any

import pytest

from ironic_accel.inband.firstboot import applier
from ironic_accel.inband.firstboot import deliver
from ironic_accel.inband.firstboot import items
from ironic_accel.inband.firstboot import target
from ironic_accel.inband.tools import common
from ironic_accel.inband.tools.family import FirstBootMode
from ironic_accel.inband.tools import loader as tools
from ironic_accel.model import catalog
from ironic_accel.model import loader
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Mode
from ironic_accel.model.device import PciIds
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import BadInput
from ironic_accel.model.plan import Item
from ironic_accel.model.profile import Profile
from ironic_accel_emulator.inside.tree import Card
from ironic_accel_emulator.inside.tree import Tree
from tests.unit.inband import sample

GPU, QAT = sample.GPU, sample.QAT


def _document(*wanted: tuple[str, str, Any]) -> dict[str, Any]:
    pci = {GPU: '10de:20b0', QAT: '8086:4940'}
    return {'schema': 'first-boot/1', 'profile': 'p', 'digest': 'd',
            'items': [{'device': f'at-{a}', 'address': a, 'pci': pci[a],
                       'mode': m, 'wanted': w} for a, m, w in wanted]}


# Layouts: what matters of the root file systems of released images.

_MERGED = {'bin': 'usr/bin', 'sbin': 'usr/sbin', 'lib': 'usr/lib'}
_SYSTEMD = {'usr/lib/systemd/systemd': '', 'usr/bin/python3.11': '',
            'usr/lib/python3.11/os.py': ''}
_CLOUD = {'usr/bin/cloud-init': '', 'etc/cloud/cloud.cfg': 'users: []\n'}


def _layout(root: pathlib.Path, files: dict[str, str],
            links: dict[str, str]) -> pathlib.Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name, to in links.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(to)
    return root


def _debian(root: pathlib.Path, **more: str) -> pathlib.Path:
    """Debian 12: merged /usr, the real layout of its genericcloud image."""
    return _layout(root, {
        **_SYSTEMD, 'etc/fstab': 'PARTUUID=1 / ext4 rw,discard 0 1\n',
        'etc/default/grub': 'GRUB_CMDLINE_LINUX="console=ttyS0"\n',
        'etc/systemd/system/.keep': '', **more}, {
        **_MERGED, 'usr/sbin/init': '/lib/systemd/systemd',
        'usr/bin/python3': 'python3.11'})


def test_debian_gets_files(tmp_path: pathlib.Path) -> None:
    assert target.examine(_debian(tmp_path)) == target.InstanceTarget()


def test_image_with_cloud_init_gets_a_config_drive(
        tmp_path: pathlib.Path) -> None:
    found = target.examine(_debian(tmp_path, **_CLOUD))
    assert (found.reasons, found.method) == ((), 'configdrive')


@pytest.mark.parametrize('more', [
    {'etc/cloud/cloud-init.disabled': ''},
    {'etc/cloud/cloud.cfg.d/90.cfg': 'vendor_data2: {enabled: false}\n'},
    {'etc/cloud/cloud.cfg.d/90.cfg': 'datasource_list: [Ec2, None]\n'},
    {'etc/cloud/cloud.cfg.d/90.cfg': 'datasource_list:\n  - NoCloud\n',
     'etc/cloud/cloud.cfg.d/10.cfg': 'datasource_list: [ConfigDrive]\n'},
])
def test_cloud_init_without_config_drive_gets_files(
        tmp_path: pathlib.Path, more: dict[str, str]) -> None:
    assert target.examine(
        _debian(tmp_path, **_CLOUD, **more)).method == 'files'


def test_rhel_gets_files(tmp_path: pathlib.Path) -> None:
    root = _layout(tmp_path, {
        'usr/lib/systemd/systemd': '', 'usr/bin/python3.9': '',
        'usr/lib64/python3.9/os.py': '',
        'etc/selinux/config': '# x\nSELINUX=enforcing\n',
        'boot/loader/entries/a.conf': 'options root=UUID=1 ro\n',
        'etc/fstab': 'UUID=1 / xfs defaults 0 0\n'},
        {**_MERGED, 'usr/sbin/init': '../lib/systemd/systemd',
         'usr/bin/python3': 'python3.9'})
    assert target.examine(root) == target.InstanceTarget()


_REFUSED: dict[str, tuple[dict[str, str], dict[str, str], str]] = {
    'alpine': ({'sbin/openrc': '', 'usr/lib/python3.11/os.py': '',
                'usr/bin/python3': ''},
               {'sbin/init': '/bin/busybox'}, 'systemd'),
    'devuan': ({**_SYSTEMD, 'sbin/init': 'ELF', 'usr/bin/python3': ''}, {},
               'systemd'),
    'no-python': ({'usr/lib/systemd/systemd': ''},
                  {'usr/sbin/init': '../lib/systemd/systemd'}, 'Python'),
    'rhel-8': ({'usr/lib/systemd/systemd': '', 'usr/bin/python3': '',
                'usr/lib64/python3.6/os.py': ''},
               {'usr/sbin/init': '../lib/systemd/systemd'}, 'Python 3.7'),
    'silverblue': ({'ostree/repo/config': ''}, {}, 'ostree'),
    'verity-entry': ({'boot/loader/entries/a.conf':
                      'options roothash=ab systemd.verity=1\n'}, {},
                     'dm-verity'),
    'verity-grub': ({'boot/grub/grub.cfg': 'linux /k dm-mod.create="root,,'
                     ',ro,0 9 verity 1"\n'}, {}, 'dm-verity'),
    'read-only': ({'etc/fstab': '/dev/sda1 / ext4 ro,noatime 0 1\n'}, {},
                  'read-only'),
    'luks': ({'etc/crypttab': 'root UUID=1 none luks\n',
              'etc/fstab': '/dev/mapper/root / ext4 rw 0 1\n'}, {}, 'LUKS'),
}


@pytest.mark.parametrize('name', _REFUSED)
def test_unsuitable_image_is_refused_with_its_reason(
        tmp_path: pathlib.Path, name: str) -> None:
    files, links, words = _REFUSED[name]
    reasons = target.examine(_layout(tmp_path, files, links)).reasons
    assert any(words in r for r in reasons), reasons


def test_an_encrypted_data_disk_is_no_reason(tmp_path: pathlib.Path) -> None:
    root = _debian(tmp_path, **{
        'etc/crypttab': '# <name> <device>\ndata UUID=1 none luks\n'})
    assert target.examine(root).reasons == ()


@pytest.mark.parametrize(('partitions', 'words'), [
    (['vfat', 'crypto_LUKS'], 'LUKS'), (['erofs'], 'erofs'),
    (['vfat'], 'no root file system')])
def test_disk_without_a_root_file_system_is_refused(
        partitions: list[str], words: str) -> None:
    (reason,) = target.examine(None, partitions).reasons
    assert words in reason


def test_node_alone_can_be_a_reason_to_refuse() -> None:
    assert target.node_reasons('direct', False) == ()
    assert len(target.node_reasons('ramdisk', True)) == 2


def test_files_are_injected_repeatedly(tmp_path: pathlib.Path) -> None:
    root = _debian(tmp_path)
    for vfs in (4, 8):
        deliver.inject(root, deliver.files(_document((QAT, 'vfs', vfs))))
    document = json.loads((root / deliver.DOCUMENT).read_text())
    assert document['items'][0]['wanted'] == 8
    assert f'ExecStart=/usr/bin/python3 /{deliver.APPLIER} ' in (
        root / deliver.UNIT_FILE).read_text()
    assert os.readlink(root / deliver.WANTS) == f'/{deliver.UNIT_FILE}'
    assert (root / deliver.APPLIER).stat().st_mode & 0o777 == 0o755
    assert not list(root.glob('**/.accel-*'))


def test_nothing_is_written_through_a_link(tmp_path: pathlib.Path) -> None:
    outside = tmp_path / 'outside'
    outside.mkdir()
    root = _layout(tmp_path / 'root', {}, {'etc': str(outside)})
    with pytest.raises(AccelError, match='symbolic link'):
        deliver.inject(root, deliver.files(_document()))
    assert not list(outside.iterdir())


def test_written_files_are_labelled(tmp_path: pathlib.Path) -> None:
    """A file has its label before it has its name."""
    labels: list[str] = []
    root = _debian(tmp_path)
    deliver.inject(root, deliver.files(_document((QAT, 'vfs', 4))),
                   lambda path: labels.append(str(path.relative_to(root))))
    pid = os.getpid()
    assert labels == [
        'etc/ironic-accel', f'etc/ironic-accel/.first-boot.json.{pid}',
        'usr/local', 'usr/local/lib', 'usr/local/lib/ironic-accel',
        f'usr/local/lib/ironic-accel/.first-boot.py.{pid}',
        'usr/local/lib/ironic-accel/first-boot.d',
        f'usr/local/lib/ironic-accel/first-boot.d/.vfs.py.{pid}',
        f'etc/systemd/system/.{deliver.UNIT}.{pid}',
        'etc/systemd/system/multi-user.target.wants',
        f'etc/systemd/system/multi-user.target.wants/.{deliver.UNIT}.{pid}']


def test_a_label_is_that_of_the_folder(tmp_path: pathlib.Path) -> None:
    file = tmp_path / 'file'
    file.touch()
    try:
        os.setxattr(tmp_path, 'user.label', b'a')
    except OSError as exc:
        pytest.skip(f'no extended attributes here: {exc.strerror}')
    deliver.copy_label(file, 'user.label')
    assert os.getxattr(file, 'user.label') == b'a'
    deliver.copy_label(file, 'user.other')
    assert os.listxattr(file) == ['user.label']


def test_vendor_data_script_writes_the_same_files(
        tmp_path: pathlib.Path) -> None:
    """The part is what cloud-init takes for a script with a name, and the
    script makes the same files."""
    delivered = deliver.files(_document((QAT, 'vfs', 4)))
    message = email.message_from_string(deliver.vendor_part(delivered))
    assert message.get_content_type() == 'text/x-shellscript'
    assert message.get_filename() == 'ironic-accel-first-boot'
    script = str(message.get_payload())
    root = tmp_path / 'root'
    (tmp_path / 'bin').mkdir()
    sample.tool(tmp_path, 'systemctl', f'echo "$*" >> {tmp_path}/said')
    sample.tool(tmp_path, 'restorecon', f'echo "$*" >> {tmp_path}/labels')
    # Below a folder, as no test may write to /etc.
    script = script.replace(' /etc/', f' {root}/etc/').replace(
        ' /usr/', f' {root}/usr/')
    for _ in range(2):
        subprocess.run(['/bin/sh', '-c', script], check=True, timeout=60,
                       env={'PATH': f'{tmp_path}/bin:/usr/bin:/bin'})
    made = {str(p.relative_to(root)): p.read_text()
            for p in root.rglob('*') if p.is_file()}
    assert made == {f.path: f.content for f in delivered
                    if f.target is None}
    assert (root / deliver.APPLIER).stat().st_mode & 0o777 == 0o755
    assert (tmp_path / 'said').read_text().splitlines() == 2 * [
        'daemon-reload', f'enable --now --no-block {deliver.UNIT}']
    assert (tmp_path / 'labels').read_text().count(deliver.UNIT) == 2


@pytest.mark.parametrize(('item', 'after'), [
    ((GPU, 'mig', 'enabled'),
     ' nvidia-persistenced.service nvidia-fabricmanager.service'),
    ((QAT, 'vfs', 4), '')])
def test_unit_starts_after_the_units_that_the_family_declares(
        item: tuple[str, str, Any], after: str) -> None:
    (text,) = [f.content for f in deliver.files(_document(item))
               if f.path == deliver.UNIT_FILE]
    assert ('After=systemd-modules-load.service systemd-udev-trigger.service'
            f'{after}\nBefore=') in text


@pytest.mark.skipif(shutil.which('systemd-analyze') is None
                    or not os.path.exists('/usr/bin/python3'),
                    reason='no systemd-analyze or /usr/bin/python3 here')
def test_systemd_takes_the_unit(tmp_path: pathlib.Path) -> None:
    unit = tmp_path / deliver.UNIT
    (text,) = [f.content for f in deliver.files(
        _document((GPU, 'mig', 'enabled'))) if f.path == deliver.UNIT_FILE]
    unit.write_text(text)
    ran = subprocess.run(
        ['systemd-analyze', 'verify', '--man=no', str(unit)],
        capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, '')


# The document.

def _inventory(**known: Any) -> Inventory:
    device = Device(**{
        'id': 'crypto-1', 'kind': 'crypto', 'vendor': 'intel',
        'address': QAT, 'pci': PciIds('8086', '4940'), **known})
    return Inventory('s', 'on', True, devices=(device,))


def _profile(*allow: str) -> Profile:
    return Profile('p', (), allow=frozenset(allow), digest='d')


SERVICES = Item('crypto-1', 'services', 'mode', ('sym', 'asym'))


def test_the_document_names_devices_and_modes() -> None:
    document = items.build(_profile('first_boot'), [SERVICES], _inventory())
    assert document == {
        'schema': 'first-boot/1', 'profile': 'p', 'digest': 'd', 'items': [{
            'device': 'crypto-1', 'address': QAT, 'pci': '8086:4940',
            'mode': 'services', 'wanted': ['sym', 'asym']}]}


def _wanted(kind: str, product: str, **modes: Any) -> Profile:
    return loader.load_data({
        'profile': 1, 'name': 'p', 'allow': ['first_boot'], 'devices': {
            'd': {'match': {'kind': kind, 'product': product},
                  'modes': modes}}})


@pytest.mark.parametrize(('device', 'modes', 'names'), [
    (Device('gpu-1', 'gpu', 'nvidia', product='nvidia-h100-sxm', modes=(
        Mode('ecc', 'enabled', persistent=True),
        Mode('mig', 'disabled', persistent=False))),
     {'ecc': 'enabled', 'mig': 'enabled'}, ['mig']),
    # No driver in the ramdisk: the catalogue knows.
    (Device('gpu-1', 'gpu', 'nvidia', product='nvidia-h100-sxm'),
     {'ecc': 'enabled', 'mig': 'enabled'}, ['mig']),
    (Device('gpu-1', 'gpu', 'nvidia', product='nvidia-a100-sxm4-40gb'),
     {'mig': 'enabled'}, []),
    (Device('crypto-1', 'crypto', 'intel', product='intel-qat-4xxx'),
     {'services': ['sym', 'dc'], 'vfs': 4}, ['services', 'vfs']),
])
def test_only_modes_that_are_not_persistent_are_delivered(
        device: Device, modes: dict[str, Any], names: list[str]) -> None:
    assert device.product in catalog.load().products
    found, refused = items.volatile(
        _wanted(device.kind, str(device.product), **modes),
        Inventory('s', 'on', True, devices=(device,)), catalog.load())
    assert [i.name for i in found] == names
    assert refused == ()


def test_mode_that_the_product_does_not_have_is_refused() -> None:
    device = Device('crypto-1', 'crypto', 'intel', product='intel-qat-c62x')
    _, refused = items.volatile(
        _wanted('crypto', 'intel-qat-c62x', services=['sym']),
        Inventory('s', 'on', True, devices=(device,)), catalog.load())
    assert [(r.item.ref, r.reason) for r in refused] == [(
        ('crypto-1', 'services'),
        'the device does not report this mode, and the catalogue does not '
        'list it for the product')]


def test_a_missing_device_is_refused() -> None:
    found, refused = items.volatile(
        _wanted('crypto', 'intel-qat-4xxx', services=['sym']),
        Inventory('s', 'on', True), catalog.load())
    assert found == ()
    assert refused[0].expected is not None


@pytest.mark.parametrize(('allow', 'item', 'known', 'words'), [
    ((), SERVICES, {}, 'first_boot'),
    (('first_boot',), SERVICES, {'address': None}, 'PCI address'),
    (('first_boot',), SERVICES, {'vendor': 'amd'}, 'services'),
    (('first_boot',), Item('crypto-1', 'ecc', 'mode', 'enabled'), {},
     'ecc'),
])
def test_mode_that_cannot_be_delivered_is_refused_by_name(
        allow: tuple[str, ...], item: Item, known: dict[str, Any],
        words: str) -> None:
    with pytest.raises(BadInput, match=words):
        items.build(_profile(*allow), [item], _inventory(**known))


# The applier, inside the instance.

_SETTERS = {m: s.setter for m, s in items.settable().items()}


@pytest.fixture(name='tree')
def _tree(tmp_path: pathlib.Path) -> Tree:
    tree, _ = sample.machine(tmp_path)
    for name, text in (('state', 'up'), ('cfg_services', 'dc')):
        tree.put(f'/sys/bus/pci/devices/{QAT}/qat/{name}', text)
    return tree


def _apply(tree: Tree, document: dict[str, Any]) -> bool:
    return applier.apply(document, str(tree.root), 0.0, _SETTERS)


def test_modes_are_set_once(
        tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    document = _document((QAT, 'vfs', 4),
                         (QAT, 'services', ['sym', 'asym']))
    assert _apply(tree, document)
    folder = f'/sys/bus/pci/devices/{QAT}'
    assert tree.get(f'{folder}/qat/cfg_services') == 'asym;sym'
    assert tree.get(f'{folder}/qat/state') == 'up'
    assert tree.get(f'{folder}/sriov_numvfs') == '4'
    said = capsys.readouterr().out.splitlines()
    assert said[0] == (
        f"<5>services of at-{QAT}: set to ['sym', 'asym']")
    assert said[-1] == '<5>profile p: all modes are set'
    # Order of services is nothing; again changes nothing.
    tree.put(f'{folder}/qat/cfg_services', 'sym;asym')
    assert _apply(tree, document)
    assert tree.get(f'{folder}/qat/cfg_services') == 'sym;asym'
    assert capsys.readouterr().out.count('is already') == 2


def test_device_at_another_address_is_found_by_its_ids(tree: Tree) -> None:
    document = _document((QAT, 'vfs', 4))
    document['items'][0]['address'] = '0000:ff:00.0'
    assert _apply(tree, document)
    assert tree.get(f'/sys/bus/pci/devices/{QAT}/sriov_numvfs') == '4'


def test_failed_item_is_reported_and_the_others_are_set(
        tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    tree.add(Card('0000:6c:00.0', ('8086', '4940', '8086', '0')))
    document = _document((QAT, 'vfs', 4), (GPU, 'vfs', 2))
    document['items'].append({
        **document['items'][0], 'address': '0000:ff:00.0'})
    assert not _apply(tree, document)
    assert tree.get(f'/sys/bus/pci/devices/{QAT}/sriov_numvfs') == '4'
    said = capsys.readouterr().out
    assert f'<3>vfs of at-{GPU}: not set: sriov_numvfs does not exist' in said
    assert 'no device 8086:4940 at 0000:ff:00.0' in said
    assert said.endswith('<3>profile p: not all modes are set\n')


def test_mig_is_set_by_the_drivers_own_tool(
        tree: Tree, tmp_path: pathlib.Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    # Output as in NVIDIA's nvidia-smi documentation, csv,noheader.
    sample.tool(tmp_path, 'nvidia-smi', f'''
        test "$2" = {GPU} || exit 6
        case "$3" in
        -mig) test $4 = 1 && echo Enabled > {tmp_path}/mig
              echo "Enabled MIG Mode for GPU 00000000:CA:00.0";;
        *) cat {tmp_path}/mig;;
        esac''')
    monkeypatch.setenv('PATH', f'{tmp_path}/bin:/usr/bin:/bin')
    (tmp_path / 'mig').write_text('Disabled\n')
    document = _document((GPU, 'mig', 'enabled'))
    assert _apply(tree, document)
    assert (tmp_path / 'mig').read_text() == 'Enabled\n'
    # A tool that says that all is well is not believed.
    document = _document((GPU, 'mig', 'disabled'))
    assert not _apply(tree, document)


@pytest.mark.parametrize(('persistence', 'well'), [
    (True, True), (False, False)])
def test_power_limit_is_kept_by_persistence_alone(
        tree: Tree, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str], persistence: bool,
        well: bool) -> None:
    # Output as in NVIDIA's nvidia-smi documentation, csv,noheader and
    # nounits; without persistence the driver forgets the limit at once.
    sample.tool(tmp_path, 'nvidia-smi', f'''
        test "$2" = {GPU} || exit 6
        case "$3" in
        -pm) echo Enabled > {tmp_path}/pm
             echo "Enabled persistence mode for GPU 00000000:CA:00.0.";;
        -pl) echo "Power limit for GPU 00000000:CA:00.0 was set to $4.00 W"
             test $(cat {tmp_path}/pm) = Enabled || exit 0
             echo $4.00 > {tmp_path}/pl;;
        *persistence_mode*) cat {tmp_path}/pm;;
        *) cat {tmp_path}/pl;;
        esac''')
    monkeypatch.setenv('PATH', f'{tmp_path}/bin:/usr/bin:/bin')
    (tmp_path / 'pm').write_text('Disabled\n')
    (tmp_path / 'pl').write_text('700.00\n')
    modes: list[tuple[str, str, Any]] = [(GPU, 'power-limit', 500)]
    if persistence:
        modes.append((GPU, 'persistence', 'enabled'))
    assert _apply(tree, _document(*modes)) is well
    assert (tmp_path / 'pl').read_text() == ('500.00\n' if well
                                             else '700.00\n')
    said = capsys.readouterr().out
    assert ('700 is read back (without persistence mode' in said) is (
        not well)
    # What is set already is not set again.
    (tmp_path / 'pl').write_text('500.00\n')
    assert _apply(tree, _document(*modes))
    assert f'<5>power-limit of at-{GPU}: is already 500' in (
        capsys.readouterr().out)


@pytest.mark.parametrize('said', [
    'No devices were found', '[N/A]', '500.00\n600.00', '500', ''])
def test_power_limit_that_cannot_be_read_is_not_set(
        tree: Tree, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch,
        said: str, capsys: pytest.CaptureFixture[str]) -> None:
    sample.tool(tmp_path, 'nvidia-smi', f"""
        echo "$@" >> {tmp_path}/calls
        printf '%s\n' '{said}'""")
    monkeypatch.setenv('PATH', f'{tmp_path}/bin:/usr/bin:/bin')
    assert not _apply(tree, _document((GPU, 'power-limit', 500)))
    assert '-pl' not in (tmp_path / 'calls').read_text()
    assert 'nvidia-smi reports no power limit' in capsys.readouterr().out


_WARNING = 'WARNING: infoROM is corrupted at gpu 0000:ca:00.0'


@pytest.mark.parametrize(('before', 'behind'), [
    ('', _WARNING), (_WARNING, ''), (_WARNING, _WARNING),
    ('', 'Enabled persistence mode is off'), ('\n\n', '')])
def test_warning_of_nvidia_smi_is_not_the_mode(
        tree: Tree, tmp_path: pathlib.Path,
        monkeypatch: pytest.MonkeyPatch, before: str, behind: str) -> None:
    sample.tool(tmp_path, 'nvidia-smi', f"""
        echo "$@" >> {tmp_path}/calls
        printf '%s\n' '{before}' Enabled
        printf '%s\n' '{behind}' >&2
        exit 14""")
    monkeypatch.setenv('PATH', f'{tmp_path}/bin:/usr/bin:/bin')
    assert _apply(tree, _document((GPU, 'mig', 'enabled')))
    # It was so already: nothing was set.
    assert '-mig' not in (tmp_path / 'calls').read_text()


@pytest.mark.parametrize('said', [
    'No devices were found', 'Enabled\nDisabled', '[N/A]', ''])
def test_mode_that_cannot_be_read_is_not_set(
        tree: Tree, tmp_path: pathlib.Path,
        monkeypatch: pytest.MonkeyPatch, said: str,
        capsys: pytest.CaptureFixture[str]) -> None:
    sample.tool(tmp_path, 'nvidia-smi', f"""
        echo "$@" >> {tmp_path}/calls
        printf '%s\n' '{said}'""")
    monkeypatch.setenv('PATH', f'{tmp_path}/bin:/usr/bin:/bin')
    assert not _apply(tree, _document((GPU, 'mig', 'enabled')))
    assert '-mig' not in (tmp_path / 'calls').read_text()
    assert 'reports no MIG mode' in capsys.readouterr().out


def test_both_ports_get_their_virtual_functions(tree: Tree) -> None:
    document = {**_document(), 'items': [{
        'device': 'nic', 'address': sample.NIC[0], 'pci': '15b3:101d',
        'mode': 'vfs', 'wanted': 4}]}
    assert _apply(tree, document)
    for port in sample.NIC:
        assert tree.get(f'/sys/bus/pci/devices/{port}/sriov_numvfs') == '4'


@pytest.mark.parametrize('refused', [*sample.NIC])
def test_a_refused_number_is_put_back(
        tree: Tree, monkeypatch: pytest.MonkeyPatch, refused: str,
        capsys: pytest.CaptureFixture[str]) -> None:
    for number, port in enumerate(sample.NIC):
        tree.put(f'/sys/bus/pci/devices/{port}/sriov_numvfs', f'{number}')
    write = applier.PciCard.write

    def kernel(card: applier.PciCard, name: str, text: str) -> None:
        if card.address == refused and text == '8':
            raise applier.SettingFailed(f'{name} does not accept 8')
        write(card, name, text)

    monkeypatch.setattr(applier.PciCard, 'write', kernel)
    document = {**_document(), 'items': [{
        'device': 'nic', 'address': sample.NIC[0], 'pci': '15b3:101d',
        'mode': 'vfs', 'wanted': 8}]}
    assert not _apply(tree, document)
    assert [tree.get(f'/sys/bus/pci/devices/{p}/sriov_numvfs')
            for p in sample.NIC] == ['0', '1']
    assert 'does not accept 8' in capsys.readouterr().out


def test_mig_without_the_driver_is_a_failure(
        tree: Tree, tmp_path: pathlib.Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv('PATH', str(tmp_path / 'bin'))
    assert not _apply(tree, _document((GPU, 'mig', 'enabled')))
    assert 'nvidia-smi is not installed' in capsys.readouterr().out


def test_defect_of_one_setter_does_not_stop_the_others(
        tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    def set_mode(card: Any, wanted: str, patience: float) -> bool:
        return bool(card.no_such_attribute)

    broken = types.SimpleNamespace(VALUE=str, ORDER=-1, set_mode=set_mode)
    document = _document((GPU, 'mig', 'enabled'), (QAT, 'vfs', 4))
    assert not applier.apply(document, str(tree.root), 0.0,
                             {**_SETTERS, 'mig': broken})
    told = capsys.readouterr().out
    assert 'mig of at-' in told and 'not set: AttributeError' in told
    assert f'vfs of at-{QAT}: set to 4' in told


def test_another_schema_is_refused(
        tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    assert not _apply(tree, {**_document(), 'schema': 'first-boot/2'})
    assert 'first-boot/2' in capsys.readouterr().out


def _deliver(root: pathlib.Path, document: dict[str, Any]) -> pathlib.Path:
    """Inject a document with all that belongs to it; where the applier is."""
    root.mkdir(exist_ok=True)
    deliver.inject(root, deliver.files(document), lambda path: None)
    return root / deliver.APPLIER


def test_delivered_files_need_only_the_standard_library(
        tmp_path: pathlib.Path) -> None:
    """They run without ironic-accel, with the Python of old releases."""
    document = _document((GPU, 'mig', 'enabled'), (QAT, 'services', ['dc']),
                         (QAT, 'vfs', 4))
    texts = [f.content for f in deliver.files(document)
             if f.path.endswith('.py')]
    assert len(texts) == 4
    for text in texts:
        tree = ast.parse(text, feature_version=(3, 7))
        names = {n.module if isinstance(n, ast.ImportFrom)
                 else n.names[0].name for n in ast.walk(tree)
                 if isinstance(n, ast.Import | ast.ImportFrom)}
        assert {str(n).split('.')[0]
                for n in names} <= sys.stdlib_module_names
    path = _deliver(tmp_path, {**document, 'items': []})
    ran = subprocess.run(
        [sys.executable, '-I', '-S', str(path),
         str(tmp_path / deliver.DOCUMENT)], capture_output=True, text=True,
        timeout=60)
    assert (ran.returncode, ran.stderr) == (0, '')
    assert ran.stdout == '<5>profile p: all modes are set\n'


def test_delivered_applier_uses_the_delivered_setters(
        tree: Tree, tmp_path: pathlib.Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    document = _document((QAT, 'vfs', 4))
    delivered = runpy.run_path(str(_deliver(tmp_path / 'instance', document)))
    assert delivered['apply'](document, str(tree.root), 0.0)
    assert tree.get(f'/sys/bus/pci/devices/{QAT}/sriov_numvfs') == '4'
    # The setter of a mode that the document does not have is not there.
    other = _document((QAT, 'services', ['dc']))
    assert not delivered['apply'](other, str(tree.root), 0.0)
    assert "'services'" in capsys.readouterr().out


def test_setter_that_cannot_be_loaded_sets_nothing(
        tree: Tree, tmp_path: pathlib.Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    document = _document((QAT, 'vfs', 4))
    applier_path = _deliver(tmp_path / 'instance', document)
    (applier_path.with_suffix('.d') / 'mig.py').write_text('import nothing_')
    delivered = runpy.run_path(str(applier_path))
    assert not delivered['apply'](document, str(tree.root), 0.0)
    assert 'mig.py cannot be loaded: No module' in capsys.readouterr().out
    assert tree.get(f'/sys/bus/pci/devices/{QAT}/sriov_numvfs') == '0'


def test_mode_without_a_tool_family_is_not_delivered() -> None:
    with pytest.raises(AccelError, match='mode ecc: no tool family'):
        deliver.files(_document((GPU, 'ecc', 'enabled')))


def test_first_family_that_declares_a_mode_counts() -> None:
    families = [f for f in tools.load()[0] if f.name in ('sriov', 'qat')]

    class Other(common.BaseFamily):
        name = 'other'
        first_boot = (FirstBootMode('vfs', applier, vendor='acme'),)

    found = items.settable([*families, Other()])
    assert {m: s.vendor for m, s in found.items()} == {
        'services': 'intel', 'vfs': None}
    assert found['vfs'].setter is _SETTERS['vfs']
