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

"""The image store of this conductor, made from its options."""

from __future__ import annotations

import threading

from ironic_accel.conductor.config.options import CONF
from ironic_accel.images import ImageStore
from ironic_accel.images import Policy

_MIB = 1024 * 1024
_instance: ImageStore | None = None
_lock = threading.Lock()


def policy() -> Policy:
    """Where images may come from, as the options say."""
    options = CONF.accelerator
    hosts = tuple(options.image_hosts)
    return Policy(
        schemes=frozenset(options.image_schemes),
        hosts=None if '*' in hosts else hosts,
        folders=tuple(options.image_dirs),
        max_bytes=options.image_max_mib * _MIB,
        cache_bytes=options.image_cache_mib * _MIB,
        verify=options.image_ca or True)


def images() -> ImageStore:
    """The one store of this process."""
    global _instance
    with _lock:
        if _instance is None:
            _instance = ImageStore(
                CONF.accelerator.image_cache_dir, policy(),
                workers=CONF.accelerator.image_workers)
        return _instance
