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

"""The profile of a run, kept with the node as it was when the run began.

A site profile may change while a run is under way, and a run that went on
with another one would spend attempts and resets on what nobody planned.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
import json
from typing import Any
import zlib

from ironic_accel.conductor.config import catalogue
from ironic_accel.conductor.node import operation
from ironic_accel.model.errors import BadInput
from ironic_accel.model import loader
from ironic_accel.model.profile import Profile

#: Bytes of a profile that is kept as it is; a larger one is compressed.
PLAIN = 8192
_PACKED = 'zlib'


def keep(node: Any, profile: Profile) -> None:
    """Keep a profile; the caller saves the node, if it is not too full.

    :raises: AccelError where the node has no room for it.
    """
    raw: Mapping[str, Any] = loader.normalise(profile)
    text = json.dumps(raw, separators=(',', ':')).encode()
    if len(text) > PLAIN:
        raw = {_PACKED: base64.b64encode(zlib.compress(text, 9)).decode()}
    operation.check_size({**node.driver_internal_info,
                          operation.PROFILE_KEY: raw})
    node.set_driver_internal_info(operation.PROFILE_KEY, raw)


def load(node: Any) -> Profile | None:
    """The profile that is kept, or None.

    :raises: BadInput where it is no longer valid.
    """
    raw = (node.driver_internal_info or {}).get(operation.PROFILE_KEY)
    if raw is None:
        return None
    if _PACKED in raw:
        try:
            raw = json.loads(zlib.decompress(base64.b64decode(raw[_PACKED])))
        except (ValueError, zlib.error) as exc:
            raise BadInput(f'the kept profile of the run: {exc}') from exc
    return loader.load_data(raw, inline=False, catalog=catalogue.catalogue())


def drop(node: Any) -> None:
    """Forget it; the caller saves the node."""
    node.del_driver_internal_info(operation.PROFILE_KEY)
