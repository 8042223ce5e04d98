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


"""Whether an instance supports first-boot modes, and how they are delivered.

Checks a mounted root file system (a directory tree) and the file systems on
its disk; all reasons against are reported, not only the first.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator
import dataclasses
import pathlib
import re
from typing import Any, Literal

from ironic_accel.bounded import files

#: What blkid calls what cannot be written into.
_SEALED = {'crypto_LUKS': 'the disk is encrypted with LUKS',
           'DM_verity_hash': 'the root file system is protected by dm-verity',
           'squashfs': 'the root file system is read-only (squashfs)',
           'erofs': 'the root file system is read-only (erofs)'}
#: Kernel parameters of a verity root (systemd-veritysetup-generator(8);
#: Linux Documentation/admin-guide/device-mapper/dm-init.rst).
_VERITY = re.compile(
    r'\b(?:roothash=|systemd\.verity(?:_root_[a-z]+)?=|dm-mod\.create=[^\n]*'
    r'verity)')
_CMDLINES = ('etc/kernel/cmdline', 'etc/default/grub', 'boot/grub/grub.cfg',
             'boot/grub2/grub.cfg', 'boot/loader/entries/*.conf',
             'boot/cmdline.txt')
_SYSTEMD = ('usr/lib/systemd/systemd', 'lib/systemd/systemd')
_INIT = ('sbin/init', 'usr/sbin/init')
#: Maximum bytes of a file, and levels of brackets in it, that are read.
_MOST, _DEEPEST = 64 << 10, 24
_OLDEST = 7


@dataclasses.dataclass(frozen=True, slots=True)
class InstanceTarget:
    """What was found out about a root file system.

    :ivar reasons: why nothing can be delivered; empty if it can.
    :ivar method: ``configdrive`` if cloud-init reads one, otherwise ``files``.
    """

    reasons: tuple[str, ...] = ()
    method: Literal['configdrive', 'files'] = 'files'


def node_reasons(deploy_interface: str, boots_from_volume: bool
                 ) -> tuple[str, ...]:
    """Reasons against that are known from the node alone."""
    out = []
    if deploy_interface == 'ramdisk':
        out.append('the deploy interface ramdisk writes no disk')
    if boots_from_volume:
        out.append('the instance boots from a volume')
    return tuple(out)


def sealed(partitions: Collection[str]) -> bool:
    """Whether a disk must not even be mounted: with a hash tree, dm-verity
    checks every block of the root file system."""
    return 'DM_verity_hash' in partitions


def examine(root: pathlib.Path | None, partitions: Collection[str] = ()
            ) -> InstanceTarget:
    """Check the root file system of an instance.

    :param root: where it is mounted, None if none could be mounted.
    :param partitions: file system types of the disk's partitions, by blkid.
    """
    if root is None:
        sealed = [_SEALED[p] for p in partitions if p in _SEALED]
        return InstanceTarget(tuple(sealed) or (
            'no root file system was found on the disk',))
    reasons = [*(_SEALED[p] for p in partitions if p == 'DM_verity_hash'),
               *_sealed(root), *_init(root), *_python(root)]
    return InstanceTarget(tuple(dict.fromkeys(reasons)),
                  'configdrive' if _cloud_init(root) else 'files')


def _text(path: pathlib.Path) -> str:
    """The beginning of a text file; empty for anything but a regular file.

    The image is not trusted: reading a FIFO would block, and a link may point
    to a device of the ramdisk.
    """
    try:
        with files.open_regular(str(path)) as file:
            return file.read(_MOST).decode('utf-8', errors='replace')
    except OSError:
        return ''


def _sealed(root: pathlib.Path) -> Iterator[str]:
    for line in _text(root / 'etc/fstab').splitlines():
        words = line.split('#')[0].split()
        if len(words) >= 4 and words[1] == '/' and (
                'ro' in words[3].split(',')):
            yield 'the root file system is mounted read-only (etc/fstab)'
    if any(_VERITY.search(_text(p)) for pattern in _CMDLINES
           for p in root.glob(pattern)):
        yield 'the root file system is protected by dm-verity'
    if (root / 'ostree').is_dir() or (root / 'sysroot/ostree').exists():
        yield 'the root file system is an ostree deployment'
    if re.search(r'^\s*(?!#)\S+\s+\S+', _text(
            root / 'etc/crypttab'), re.MULTILINE) and _mapped(root):
        yield 'the disk is encrypted with LUKS'


def _mapped(root: pathlib.Path) -> bool:
    """Whether the root file system is on a mapping of crypttab."""
    names = {line.split()[0] for line in _text(
        root / 'etc/crypttab').splitlines()
        if line.strip() and not line.lstrip().startswith('#')}
    return any(
        words[0] == f'/dev/mapper/{name}' for line in _text(
            root / 'etc/fstab').splitlines()
        if len(words := line.split()) > 1 and words[1] == '/'
        for name in names)


def _init(root: pathlib.Path) -> Iterator[str]:
    """Whether systemd is installed, and is what the kernel starts."""
    there = any((root / p).is_file() for p in _SYSTEMD)
    starts = [p for p in _INIT if (root / p).is_symlink()
              and (root / p).readlink().name == 'systemd']
    if not there or not starts:
        yield 'the instance does not use systemd'


def _python(root: pathlib.Path) -> Iterator[str]:
    minors = [int(p.name[len('python3.'):])
              for lib in ('usr/lib', 'usr/lib64')
              for p in (root / lib).glob('python3.*')
              if p.name[len('python3.'):].isdecimal()]
    python = root / 'usr/bin/python3'
    if not (python.is_symlink() or python.is_file()) or max(
            minors, default=0) < _OLDEST:
        yield f'the instance has no Python 3.{_OLDEST} or later'


def _cloud_init(root: pathlib.Path) -> bool:
    """Whether cloud-init is installed, enabled, and reads config drives."""
    if not (root / 'usr/bin/cloud-init').exists() or (
            root / 'etc/cloud/cloud-init.disabled').exists():
        return False
    sources, vendor = None, True
    for path in (root / 'etc/cloud/cloud.cfg',
                 *sorted((root / 'etc/cloud/cloud.cfg.d').glob('*.cfg'))):
        told = _mapping(path)
        if isinstance(told.get('datasource_list'), list):
            sources = told['datasource_list']
        part = told.get('vendor_data2')
        if isinstance(part, dict):
            vendor = part.get('enabled') not in (False, 'false', 'no', 'off')
    return vendor and (sources is None or 'ConfigDrive' in sources)


def _mapping(path: pathlib.Path) -> dict[str, Any]:
    import yaml

    text = _text(path)
    if _depth(text) > _DEEPEST:
        return {}
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}



def _depth(text: str) -> int:
    """The maximum nesting of brackets: PyYAML takes long for many."""
    most = depth = 0
    for char in text:
        depth += (char in '[{') - (char in ']}')
        most = max(most, depth)
    return most
