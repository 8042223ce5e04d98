# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Redfish documents for systems that are described in YAML.

A description has ``service``, ``hosts`` and, each optional, ``hgx``,
``dpu`` and ``options``; hosts have ``gpus``, ``fpgas`` and ``adapters``.
The resources follow recorded ones of such systems.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ironic_accel_emulator.documents import Documents
from ironic_accel_emulator.templates import cards, hgx, host, service

_KEYS = {'summary', 'family', 'service', 'hosts', 'hgx', 'options', 'dpu'}


def build(spec: Mapping[str, Any], name: str) -> Documents:
    """Return the documents of a description.

    Raises ValueError for an unknown or missing key.
    """
    unknown = set(spec) - _KEYS
    if unknown or 'hosts' not in spec:
        raise ValueError(
            f'system {name}: {sorted(unknown)}: expected hosts and some of '
            f'{sorted(_KEYS)}'
        )
    documents = Documents()
    service.add(documents, spec.get('service') or {}, name)
    for item in spec['hosts']:
        host.add(documents, item)
        cards.add(documents, item)
    if 'hgx' in spec:
        hgx.add(documents, spec['hgx'], spec['hosts'][0]['id'])
    if 'dpu' in spec:
        host.add_dpu(documents, spec['dpu'])
    return documents
