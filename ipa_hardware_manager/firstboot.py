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

from ironic_python_agent import disk_utils
from ironic_python_agent import errors
from ironic_python_agent import hardware
from ironic_python_agent import partition_utils
from ironic_python_agent import utils
from oslo_concurrency import processutils
from oslo_log import log

from ipa_hardware_manager import backend
from ipa_hardware_manager import conf
from ironic_accel.inband.firstboot import deliver
from ironic_accel.inband.firstboot import target
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import BadInput
from ironic_accel.model.errors import ErrorClass

LOG = log.getLogger(__name__)

#: Seconds for lsblk.
_PATIENCE = 10.0
#: What is on the root file system of any Linux.
_ROOT_HAS = ('etc', 'usr')


def bring(document: Mapping[str, Any], look_only: bool = False,
          configdrive: str | None = None, node: str = '') -> dict[str, Any]:
    """Examine the instance, and deliver the unit if nothing prevents it.

    :param document: first-boot/1.
    :param look_only: change nothing.
    :param configdrive: a config drive that contains it already (base64 of a
        gzipped image), which replaces the one on the disk; without one, files
        are written.
    :param node: UUID of the node, for the config drive.
    :returns: ``reasons`` that prevent it (nothing was done then), the
        ``method`` that suits the instance, and what was ``delivered``, or
        None.
    :raises: AccelError if it cannot be written.
    """
    schema = document.get('schema') if isinstance(
        document, Mapping) else None
    if schema != 'first-boot/1':
        raise BadInput(f'schema is {schema!r}, expected \'first-boot/1\'')
    try:
        return _bring(document, look_only, configdrive, node)
    except (errors.RESTError, processutils.ProcessExecutionError) as exc:
        LOG.exception('Failed to deliver the first-boot unit')
        raise AccelError(
            'the disk of the instance cannot be read or mounted',
            error_class=ErrorClass.NEEDS_OPERATOR,
            seen=type(exc).__name__, todo='check the log of the ramdisk'
            ) from exc


def _bring(document: Mapping[str, Any], look_only: bool,
           configdrive: str | None, node: str) -> dict[str, Any]:
    device = _device()
    found = _examine(device)
    # A conductor of the release before reads the method as ``way``.
    answer = {'reasons': list(found.reasons), 'method': found.method,
              'way': found.method, 'delivered': None}
    if found.reasons or look_only:
        return answer
    if configdrive is None:
        with _root(device) as root:
            if root is None:
                raise AccelError('the root file system of the instance is not '
                                 'writable')
            deliver.inject(root, deliver.files(document))
        return {**answer, 'delivered': 'files'}
    if found.method != 'configdrive':
        raise AccelError('the instance does not read a config drive')
    partition_utils.create_config_drive_partition(node, device, configdrive)
    return {**answer, 'delivered': 'configdrive'}


def _device() -> str:
    """The disk, or the directory that replaces its root file system."""
    folder = conf.register().instance_root
    return str(folder or hardware.dispatch_to_managers(
        'get_os_install_device'))


def _examine(device: str) -> target.InstanceTarget:
    """Examine the disk without a writable mount, which alone would break a
    root file system protected by dm-verity.
    """
    partitions = _partitions(device)
    if target.sealed(partitions):
        return target.examine(None, partitions)
    with _root(device, 'ro') as root:
        return target.examine(root, partitions)


@contextlib.contextmanager
def _root(device: str, *options: str) -> Iterator[pathlib.Path | None]:
    """The instance's root file system, mounted; None where there is none."""
    if conf.register().instance_root:
        yield pathlib.Path(device)
        return
    with contextlib.ExitStack() as stack:
        for part in disk_utils.list_partitions(device):
            path = disk_utils.partition_index_to_path(device, part['number'])
            try:
                folder = pathlib.Path(stack.enter_context(
                    utils.mounted(path, opts=list(options) or None)))
            except processutils.ProcessExecutionError:
                LOG.info('%s has no file system that can be mounted', path)
                continue
            if all((folder / name).is_dir() for name in _ROOT_HAS):
                yield folder
                return
            stack.close()
        yield None


def _partitions(device: str) -> list[str]:
    """File system types on a disk (lsblk(8), FSTYPE)."""
    ran = backend.host().run(['lsblk', '-rno', 'FSTYPE', device], _PATIENCE)
    return ran.out.split() if ran.ok else []
