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
"""The releases of the conductors that are online.

Ironic's table of conductors has no release: its column ``version`` is that
of the object, 1.6 from 2025.2 to 2026.2 alike. So each conductor of ours
stores its releases with the digests of its profiles (``profile_agreement``).
"""

from __future__ import annotations

from collections.abc import Sequence
import re
from typing import Any

from ironic.common import release_mappings
import ironic.conf
from oslo_upgradecheck import upgradecheck

from ironic_accel.conductor.config.options import HARDWARE_TYPES
from ironic_accel.conductor.node import profile_agreement
from ironic_accel.conductor.node.profile_agreement import OnlineConductor

CONF = ironic.conf.CONF
Code = upgradecheck.Code
Result = upgradecheck.Result

_SERIES = re.compile(r'20\d\d\.\d')


def series(version: str) -> str | None:
    """The series of a version of Ironic: 2026.2 for 39.0.0.

    None for a version between two series, and for a later one than the Ironic
    that is installed.
    """
    major = version.split('.')[0]
    known = release_mappings.RELEASE_MAPPING
    return next((name for name, mapping in known.items()
                 if _SERIES.fullmatch(name)
                 and mapping is known.get(f'{major}.0')), None)


def release(version: str) -> str:
    """A version of Ironic in words: ironic 39.0.0 (2026.2)."""
    name = series(version)
    return f'ironic {version}' + (f' ({name})' if name else '')


def check() -> Any:
    """Whether all conductors are of one series and of one release of ours."""
    found = profile_agreement.conductors()
    ours = [c for c in found if set(c.drivers) & set(HARDWARE_TYPES)]
    words = '; '.join(map(_words, ours or found)) or 'no conductor is online'
    to_do = _to_do(ours) if len(ours) > 1 else []
    if to_do:
        return Result(Code.WARNING, f"{words}: {'; '.join(to_do)}")
    return Result(Code.SUCCESS, words)


def _words(conductor: OnlineConductor) -> str:
    group = f' (group {conductor.group})' if conductor.group else ''
    return f'{conductor.host}{group}: ' + (
        f'{release(conductor.ironic)}, ironic-accel {conductor.accel}'
        if conductor.ironic else 'release not known')


def _to_do(ours: Sequence[OnlineConductor]) -> list[str]:
    """What to do about conductors that differ, or may."""
    versions = sorted((c.ironic for c in ours if c.ironic), key=_order)
    to_do = []
    if len(versions) < len(ours):
        to_do.append('upgrade the ones that have stored no release')
    names = {series(v) or v for v in versions}
    if len(names) > 1 or len({c.accel for c in ours if c.accel}) > 1:
        to_do.append('upgrade the older ones')
    oldest, pinned = series(versions[0]) if versions else None, (
        CONF.pin_release_version)
    known = release_mappings.RELEASE_MAPPING
    if oldest and known.get(pinned) is not known[oldest]:
        if len(names) > 1:
            to_do.append(f'set [DEFAULT]pin_release_version to {oldest} '
                         f'until then (it is {pinned or "not set"})')
        elif pinned and len(versions) == len(ours):
            to_do.append(f'remove [DEFAULT]pin_release_version ({pinned})')
    return to_do


def _order(version: str) -> list[int]:
    return [int(n) for n in re.findall(r'\d+', version)]

