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
def get() -> Any:
    """The backend, made when it is first needed: the catalogue and the
    tool families are none of the agent's start."""
    from ironic_accel.inband.backend import LocalBackend

    return LocalBackend(host(), name=NAME,
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
