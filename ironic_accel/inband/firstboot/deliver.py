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


"""What is delivered to an instance: as files, or as vendor data."""

from __future__ import annotations

import base64
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses
from email.mime import nonmultipart
import errno
from importlib import resources
import inspect
import json
import os
import pathlib
from typing import Any

from ironic_accel.inband.firstboot import items
from ironic_accel.inband.tools.family import FirstBootMode
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import BadInput
from ironic_accel.model.errors import ErrorClass

UNIT = 'ironic-accel-first-boot.service'
APPLIER = 'usr/local/lib/ironic-accel/first-boot.py'
#: The folder of the setters: the applier's name with the suffix ``.d``.
SETTERS = 'usr/local/lib/ironic-accel/first-boot.d'
DOCUMENT = 'etc/ironic-accel/first-boot.json'
UNIT_FILE = f'etc/systemd/system/{UNIT}'
#: The name of the script for cloud-init.
SCRIPT = 'ironic-accel-first-boot'
WANTS = f'etc/systemd/system/multi-user.target.wants/{UNIT}'

#: Before the services that use the devices.
_UNIT_TEXT = f"""\
[Unit]
Description=Accelerator modes that are set at each boot
After=systemd-modules-load.service systemd-udev-trigger.service{{after}}
Before=containerd.service docker.service kubelet.service slurmd.service
ConditionPathExists=/{DOCUMENT}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/python3 /{APPLIER} /{DOCUMENT}
TimeoutStartSec=15min
SyslogIdentifier=ironic-accel

[Install]
WantedBy=multi-user.target
"""

#: Labels a file that is in its folder already.
Label = Callable[[pathlib.Path], None]


@dataclasses.dataclass(frozen=True, slots=True)
class InstanceFile:
    """A file, or a symbolic link if ``target`` is given."""

    path: str
    content: str = ''
    target: str | None = None
    mode: int = 0o644


def files(document: Mapping[str, Any]) -> tuple[InstanceFile, ...]:
    """All that is delivered, for a document ``first-boot/1``.

    :raises: AccelError if no tool family here sets one of its modes.
    """
    applier = resources.files(__package__) / 'applier.py'
    modes = _modes(document)
    units = dict.fromkeys(u for one in modes for u in one.after)
    return (InstanceFile(DOCUMENT, json.dumps(document, indent=1) + '\n'),
            InstanceFile(APPLIER, applier.read_text('utf-8'), mode=0o755),
            *(InstanceFile(f'{SETTERS}/{one.mode}.py',
                           inspect.getsource(one.setter)) for one in modes),
            InstanceFile(UNIT_FILE, _UNIT_TEXT.format(
                after=''.join(f' {u}' for u in units))),
            InstanceFile(WANTS, target=f'/{UNIT_FILE}'))


def _modes(document: Mapping[str, Any]) -> list[FirstBootMode]:
    """The declarations of the modes of a document."""
    try:
        names = sorted({str(item['mode']) for item in document['items']})
    except (KeyError, TypeError) as exc:
        raise BadInput('items: not a list of modes') from exc
    known = items.settable()
    for name in names:
        if name not in known:
            raise AccelError(
                f'mode {name}: no tool family here sets it at first boot',
                error_class=ErrorClass.NEEDS_OPERATOR, component=name,
                todo='install the tool family in the ramdisk and on the '
                'conductor', expected=', '.join(sorted(known)))
    return [known[name] for name in names]


def vendor_part(delivered: Iterable[InstanceFile]) -> str:
    """The same as a script for cloud-init: a part of vendor data.

    A script, because a tenant's own ``write_files`` or ``runcmd`` would
    replace a vendor's; with a name, because parts of both files of vendor
    data otherwise have the same name and overwrite each other
    (cloud-init 26.2, cloudinit/stages.py, cloudinit/user_data.py,
    config/cc_scripts_vendor.py). It runs once for an instance; from then on
    the unit is enabled.
    """
    lines = ['#!/bin/sh', 'set -e', 'umask 022']
    paths = []
    for file in delivered:
        if file.target is not None:
            continue
        path = f'/{file.path}'
        paths.append(path)
        content = base64.encodebytes(file.content.encode()).decode()
        lines += [f'mkdir -p {os.path.dirname(path)}',
                  f"base64 -d > {path} << 'END'", content + 'END',
                  f'chmod {file.mode:o} {path}']
    lines += ['if command -v restorecon > /dev/null; then',
              f"  restorecon -F {' '.join(paths)} || true", 'fi',
              'systemctl daemon-reload',
              f'systemctl enable --now --no-block {UNIT}', '']
    part = nonmultipart.MIMENonMultipart('text', 'x-shellscript',
                                         charset='us-ascii')
    part.add_header('Content-Disposition', 'attachment',
                    filename=SCRIPT)
    part.set_payload('\n'.join(lines))
    return part.as_string()


def copy_label(path: pathlib.Path,
               name: str = 'security.selinux') -> None:
    """Give a file the SELinux label of its folder (xattr(7)).

    The kernel would give it the same one; a file without a label could not
    be read at boot. The type depends on the policy of the image, so none is
    named here. If the folder has no label, the image is not labelled, or
    will be as a whole.
    """
    try:
        label = os.getxattr(path.parent, name, follow_symlinks=False)
    except OSError as exc:
        if exc.errno in (errno.ENODATA, errno.ENOTSUP):
            return
        raise
    os.setxattr(path, name, label, follow_symlinks=False)


def inject(root: pathlib.Path, delivered: Iterable[InstanceFile],
           label: Label = copy_label) -> None:
    """Write the files into a mounted root file system; may be repeated.

    :raises: AccelError if a folder of a path is a symbolic link, which could
        point out of the tree, or nothing can be written.
    """
    for file in delivered:
        try:
            folder = pathlib.PurePosixPath(file.path).parent
            for made in _folder(root, folder):
                label(made)
            _put(root / file.path, file, label)
        except OSError as exc:
            raise AccelError(
                f'/{file.path} cannot be written into the instance',
                seen=exc.strerror or str(exc)) from exc


def _folder(root: pathlib.Path, path: pathlib.PurePosixPath
            ) -> Iterator[pathlib.Path]:
    """Create the folders of a path one by one; those that were missing."""
    here = root
    for part in path.parts:
        here = here / part
        if here.is_symlink():
            raise AccelError(
                f'/{here.relative_to(root)} of the instance is a symbolic '
                'link: not followed, nothing was written')
        if not here.exists():
            here.mkdir(mode=0o755)
            here.chmod(0o755)
            yield here


def _put(path: pathlib.Path, file: InstanceFile, label: Label) -> None:
    """Replace a file as a whole."""
    part = path.with_name(f'.{path.name}.{os.getpid()}')
    try:
        if file.target is not None:
            part.symlink_to(file.target)
        else:
            part.write_text(file.content, 'utf-8')
            part.chmod(file.mode)
        label(part)
        os.replace(part, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()
