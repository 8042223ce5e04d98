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

"""The profile of a run, stored with the node as it was when the run began.

A site profile may change during a run, and a run that continued with another
profile would spend attempts and resets on values that nobody planned.

Every tick needs the profile and reads what is stored. The conductor that
began the run has parsed it and remembers it; another conductor that continues
the run parses it once.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from collections import OrderedDict
import hashlib
import json
import threading
from typing import Any
import zlib

from ironic_accel.conductor.config import catalogue
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.model.catalog import Catalog
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import BadInput
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model import loader
from ironic_accel.model.profile import FORMATS
from ironic_accel.model.profile import Profile

#: Bytes of a profile that is kept as it is; a larger one is compressed.
PLAIN = 8192
_PACKED = 'zlib'

#: Most profiles that are remembered as parsed; nodes with the same one share
#: it.
MOST = 128


class LaterFormat(AccelError):
    """The profile of a run has a format of a later release.

    A conductor of that release began the run, and can continue it.
    """


class ParsedProfiles:
    """Profiles by the digest of what is stored of them, used last at the end.

    Nothing changes a profile once it is parsed, so that threads share it.

    :param most: how many are remembered.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._found: OrderedDict[str, tuple[Catalog, Profile]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, raw: Any, catalog: Catalog) -> Profile:
        """The profile that is stored as this.

        One that was parsed by another catalogue is parsed again.

        :raises: LaterFormat; BadInput where it is not valid. It is not
            remembered then.
        """
        key = _key(raw)
        with self._lock:
            known_by, profile = self._found.get(key, (None, None))
            if profile is not None and known_by is catalog:
                self._found.move_to_end(key)
                return profile
        data = _unpacked(raw)
        given = data.get('profile') if isinstance(data, Mapping) else None
        if type(given) is int and given > FORMATS[-1]:
            raise LaterFormat(Detail(
                f'the profile of the run has format {given}, and this '
                f'conductor reads {FORMATS[0]} to {FORMATS[-1]}: waiting for '
                'a conductor of a later release', ErrorClass.TRANSIENT,
                todo='upgrade all conductors of the conductor group'))
        profile = loader.load_data(data, inline=False, catalog=catalog)
        self._remember(key, catalog, profile)
        return profile

    def put(self, raw: Any, catalog: Catalog, profile: Profile) -> None:
        """Remember the profile that is stored as this."""
        self._remember(_key(raw), catalog, profile)

    def _remember(self, key: str, catalog: Catalog, profile: Profile) -> None:
        with self._lock:
            self._found[key] = catalog, profile
            self._found.move_to_end(key)
            while len(self._found) > self._most:
                self._found.popitem(last=False)


def _key(raw: Any) -> str:
    return hashlib.sha256(
        json.dumps(raw, sort_keys=True).encode()).hexdigest()


_parsed = ParsedProfiles()


def keep(node: Any, profile: Profile) -> None:
    """Keep a profile; the caller saves the node, if it is not too full.

    :param profile: as the loader gave it, with its digest.
    :raises: AccelError where the node has no room for it.
    """
    raw: Mapping[str, Any] = loader.normalise(profile)
    text = json.dumps(raw, separators=(',', ':')).encode()
    if len(text) > PLAIN:
        raw = {_PACKED: base64.b64encode(zlib.compress(text, 9)).decode()}
    operation.check_size({**node.driver_internal_info,
                          keys.PROFILE.name: raw})
    keys.PROFILE.put(node, raw)
    _parsed.put(raw, catalogue.catalogue(), profile)


def load(node: Any) -> Profile | None:
    """The profile that is kept, or None.

    :raises: LaterFormat; BadInput where it is no longer valid.
    """
    raw = keys.PROFILE.of(node)
    return None if raw is None else _parsed.get(raw, catalogue.catalogue())


def _unpacked(raw: Any) -> Any:
    """The plain data of a profile that is stored compressed, or plain.

    :raises: BadInput.
    """
    if not isinstance(raw, Mapping) or _PACKED not in raw:
        return raw
    try:
        return json.loads(zlib.decompress(base64.b64decode(raw[_PACKED])))
    except (TypeError, ValueError, zlib.error) as exc:
        raise BadInput(f'the stored profile of the run: {exc}') from exc


def drop(node: Any) -> None:
    """Forget it; the caller saves the node."""
    keys.PROFILE.drop(node)
