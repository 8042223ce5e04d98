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

"""Profiles out of YAML or plain data, checked; and back.

A profile is normalised to the lowest format that can say what it says: one of
format 2 without a key of format 2 has the digest of the same profile in
format 1, and is read by a release that knows format 1 only.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import hashlib
import json
from typing import Any

import yaml

from ironic_accel.model import catalog as catalog_mod
from ironic_accel.model.catalog import Catalog
from ironic_accel.model.errors import BadInput
from ironic_accel.model import nv_parameters
from ironic_accel.model.plan import plain
from ironic_accel.model.profile import Count
from ironic_accel.model.profile import Firmware
from ironic_accel.model.profile import FirmwareByProduct
from ironic_accel.model.profile import Group
from ironic_accel.model.profile import Image
from ironic_accel.model.profile import Profile
from ironic_accel.model import profile_reader
from ironic_accel.model.schema_reader import listed
from ironic_accel.model.schema_reader import Problems
from ironic_accel.model.schema_reader import shown
from ironic_accel.model import strict_json
from ironic_accel.model import strict_yaml

#: Bytes of compact JSON, normalised, that an inline profile may have.
MAX_INLINE_BYTES = 8192


def load_text(text: str, source: str = '<text>',
              catalog: Catalog | None = None) -> list[Profile]:
    """The profiles of a YAML text, one per document.

    :param source: what the messages call the text.
    :raises: BadInput with every problem of the text: line, path, value and
        what was expected.
    """
    known = catalog or catalog_mod.load()
    profiles: list[Profile] = []
    found: list[str] = []
    first: dict[str, str] = {}
    for doc in strict_yaml.documents(text, source):
        problems = Problems(doc.lines)
        profile = profile_reader.read(doc.data, problems, known)
        if profile.name and any(p.name == profile.name for p in profiles):
            problems.add(('name',), f'{shown(profile.name)} is defined twice')
        found += problems.found
        first = first or problems.first
        profiles.append(_with_digest(profile))
    if not profiles:
        raise BadInput(f'{source}: it contains no profile')
    if found:
        raise BadInput(f'{source}: {listed(found)}', **first)
    return profiles


def load_data(data: Any, source: str = 'profile', inline: bool = True,
              catalog: Catalog | None = None) -> Profile:
    """The profile of plain data, as a step's args have it.

    The data are not changed.

    :param inline: whether the limit of inline profiles holds.
    :raises: BadInput with every problem: path, value, what was expected.
    """
    problems = Problems()
    profile = profile_reader.read(_plain(data, source), problems,
                                  catalog or catalog_mod.load())
    problems.raise_if_any(source)
    size = len(canonical(normalise(profile)))
    if inline and size > MAX_INLINE_BYTES:
        raise BadInput(
            f'{source}: {size} bytes, expected at most {MAX_INLINE_BYTES} for '
            'an inline profile; store it in profile_path')
    return _with_digest(profile)


def _plain(data: Any, source: str) -> Any:
    """A copy of plain data, by way of JSON: bounded, and of its types alone.

    :raises: BadInput for what is no such data, or too much of it.
    """
    try:
        return strict_json.parse(json.dumps(data, allow_nan=False).encode(),
                                 strict_yaml.MAX_LENGTH, strict_yaml.MAX_DEPTH)
    except (TypeError, ValueError, RecursionError) as exc:
        raise BadInput(f'{source}: expected JSON data: '
                       f'{str(exc)[:300]}') from exc


def normalise(profile: Profile) -> dict[str, Any]:
    """The profile as plain data, the same for the same meaning.

    ``load_data`` of it gives an equal profile.
    """
    limits = dataclasses.asdict(profile.limits)
    out: dict[str, Any] = {
        'profile': profile.format, 'name': profile.name,
        'devices': {g.name: _group(g) for g in profile.groups},
        'limits': {**limits, 'reset': str(profile.limits.reset)}}
    if profile.summary:
        out['summary'] = profile.summary
    if profile.offered:
        out['offered'] = True
    if profile.images:
        out['images'] = {k: _image(v) for k, v in profile.images.items()}
    if profile.order:
        out['order'] = list(profile.order)
    if profile.allow:
        out['allow'] = sorted(profile.allow)
    if profile.fallback != 'update':
        out['fallback'] = profile.fallback
    return out


def canonical(data: Mapping[str, Any]) -> bytes:
    """Plain data as canonical JSON: compact, keys sorted, UTF-8."""
    return json.dumps(data, sort_keys=True, separators=(',', ':'),
                      ensure_ascii=False).encode()


def digest(profile: Profile) -> str:
    """SHA-256 of the normalised profile, hexadecimal."""
    return hashlib.sha256(canonical(normalise(profile))).hexdigest()


def to_yaml(profile: Profile) -> str:
    """The profile as YAML that ``load_text`` reads back."""
    return str(yaml.dump(normalise(profile), Dumper=_Dumper,
                         sort_keys=False, allow_unicode=True))


class _Dumper(yaml.SafeDumper):
    """Writes no aliases: our own loader refuses them."""

    def ignore_aliases(self, data: Any) -> bool:
        """Never refer back to an earlier value."""
        return True


def _with_digest(profile: Profile) -> Profile:
    return dataclasses.replace(profile, digest=digest(profile))


def _one_or_more(values: tuple[str, ...]) -> str | list[str]:
    return values[0] if len(values) == 1 else sorted(values)


def _image(image: Image) -> dict[str, Any]:
    out: dict[str, Any] = {
        'url': image.url, 'sha256': image.sha256,
        'fits': {k: _one_or_more(v) for k, v in image.fits.items()}}
    if image.push:
        out['push'] = {'style': image.push.style}
        if image.push.targets is not None:
            out['push']['targets'] = list(image.push.targets)
    return out


def _group(group: Group) -> dict[str, Any]:
    out: dict[str, Any] = {
        'match': {k: _one_or_more(v) for k, v in group.match.items()}}
    if group.count != Count():
        out['count'] = _count(group.count)
    if group.firmware:
        out['firmware'] = {
            name: {product: _firmware(row)
                   for product, row in wanted.rows.items()}
            if isinstance(wanted, FirmwareByProduct) else _firmware(wanted)
            for name, wanted in group.firmware.items()}
    for key, named in (('modes', False), ('raw', True)):
        found = {k: plain(v) for k, v in group.modes.items()
                 if nv_parameters.is_name(k) is named}
        if found:
            out[key] = found
    if group.health != 'ok':
        out['health'] = group.health
    return out


def _firmware(wanted: Firmware) -> dict[str, Any]:
    row: dict[str, Any] = {'version': wanted.version}
    if wanted.at_least:
        row['at_least'] = True
    if wanted.image:
        row['image'] = wanted.image
    return row


def _count(count: Count) -> int | dict[str, int]:
    if count.maximum == count.minimum:
        return count.minimum
    out = {'min': count.minimum}
    if count.maximum is not None:
        out['max'] = count.maximum
    return out
