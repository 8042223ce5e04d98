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


"""The one local backend of an agent's process."""

from __future__ import annotations

from collections.abc import Mapping
import functools
import os
from typing import Any

from ironic_accel.converge.ports import Images
from ironic_accel.inband.machine.machine import DEFAULT_PATH
from ironic_accel.inband.machine.machine import Machine

from ipa_hardware_manager import conf

NAME = 'agent'


def host() -> Machine:
    """The machine, as configured."""
    options = conf.register()
    return Machine(options.root, options.tool_path or DEFAULT_PATH,
                   {'pynvml': options.nvml})


@functools.cache
def site_rows() -> dict[str, str]:
    """The texts of the site's catalogue in this ramdisk, by path.

    :raises: BadInput if they cannot be read.
    """
    folder = conf.register().catalogue_path
    if folder == conf.CATALOGUE and not os.path.lexists(folder):
        return {}
    from ironic_accel.bounded import files
    from ironic_accel.model import strict_yaml
    from ironic_accel.model.errors import BadInput

    try:
        return {path: files.read_text(path, strict_yaml.MAX_LENGTH)
                for name in sorted(os.listdir(folder))
                if (path := os.path.join(folder, name)).endswith('.yaml')}
    except (OSError, UnicodeDecodeError) as exc:
        raise BadInput(
            f'[accelerator]catalogue_path: {folder}: {exc}') from exc


def site_ids() -> frozenset[str] | None:
    """The PCI ids of the catalogue with the site's rows; None without rows:
    then the catalogue need not be read to find out whether there is a device.

    :raises: BadInput if the site's catalogue is not valid.
    """
    rows = site_rows()
    if not rows:
        return None
    from ironic_accel.model import catalog

    return frozenset(key for product in catalog.extended(rows)
                     .products.values() for key in product.pci)


@functools.cache
def get() -> Any:
    """The backend, made when it is first needed: the catalogue and the
    tool families are none of the agent's start.

    :raises: BadInput if the site's catalogue is not valid.
    """
    from ironic_accel.inband.backend import LocalBackend
    from ironic_accel.model import catalog

    return LocalBackend(host(), name=NAME,
                        catalog=catalog.extended(site_rows()),
                        folder=f'{conf.register().run_dir}/jobs')


def images(sources: Mapping[str, Any]) -> Images:
    """Where images come from: what the conductor allows, and no more than
    the agent's own options do.

    :param sources: ``schemes``, ``hosts`` and ``max_bytes`` of the
        conductor's policy; what is missing is the strictest default.
    """
    from ironic_accel.inband import agent_rpc

    return _store(*agent_rpc.sources(sources))


@functools.cache
def _store(schemes: frozenset[str], hosts: tuple[str, ...] | None,
           max_bytes: int) -> Images:
    from ironic_accel.images import ImageStore
    from ironic_accel.images import Policy

    options = conf.register()
    allowed = {'http', 'https'} | ({'file'} if options.image_dirs else set())
    agent = conf.CONF
    trusted = getattr(agent, 'cafile', None)
    return ImageStore(options.image_cache_dir, Policy(
        schemes=schemes & allowed, hosts=hosts,
        folders=tuple(options.image_dirs), max_bytes=max_bytes,
        cache_bytes=options.image_cache_mib << 20,
        verify=trusted or not getattr(agent, 'insecure', False)))
