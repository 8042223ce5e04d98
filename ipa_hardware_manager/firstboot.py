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


"""Brings a first boot into the instance that was just written to disk."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import pathlib
from typing import Any

from ironic_python_agent import errors
from ironic_python_agent import hardware
from ironic_python_agent import inject_files
from ironic_python_agent import partition_utils

from ipa_hardware_manager import backend
from ironic_accel.inband.firstboot import deliver
from ironic_accel.inband.firstboot import target
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import BadInput

#: Seconds for lsblk.
_PATIENCE = 10.0


@contextlib.contextmanager
def _root(device: str) -> Iterator[pathlib.Path | None]:
    """The instance's root file system, or None where none can be mounted."""
    with contextlib.ExitStack() as stack:
        try:
            found = stack.enter_context(
                inject_files.find_partition_with_path('etc', device))
        except errors.DeviceNotFound:
            found = None
        yield None if found is None else pathlib.Path(found).parent


def _partitions(device: str) -> list[str]:
    """File system types on a disk (lsblk(8), FSTYPE)."""
    ran = backend.host().run(['lsblk', '-rno', 'FSTYPE', device], _PATIENCE)
    return ran.out.split() if ran.ok else []


def bring(document: Mapping[str, Any], look_only: bool = False,
          configdrive: str | None = None, node: str = '') -> dict[str, Any]:
    """Look at the instance, and deliver where nothing is against it.

    :param document: first-boot/1.
    :param look_only: change nothing.
    :param configdrive: a config drive that carries it already (base64 of a
        gzipped image), which takes the place of the one on the disk; without
        one, files are written.
    :param node: UUID of the node, for the config drive.
    :returns: ``reasons`` against (nothing was done then), the ``way`` that
        suits the instance, and what was ``delivered``, or None.
    :raises: AccelError where it cannot be written.
    """
    if document.get('schema') != 'first-boot/1':
        raise BadInput(f"schema: {document.get('schema')!r} where "
                       "'first-boot/1' was expected")
    device = hardware.dispatch_to_managers('get_os_install_device')
    with _root(device) as root:
        found = target.examine(root, _partitions(device))
        answer = {'reasons': list(found.reasons), 'way': found.way,
                  'delivered': None}
        if found.reasons or look_only or root is None:
            return answer
        if configdrive is None:
            deliver.inject(root, deliver.files(document), found.selinux)
            return {**answer, 'delivered': 'files'}
    if found.way != 'configdrive':
        raise AccelError('the instance reads no config drive')
    partition_utils.create_config_drive_partition(node, device, configdrive)
    return {**answer, 'delivered': 'configdrive'}
