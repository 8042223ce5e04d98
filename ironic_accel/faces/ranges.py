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

"""Many names in few words: ranges of names that count up without a gap.

A range names two devices and means all between them, so it may stand only
where each of those is in it: ``gpu-1 .. gpu-4`` for four, and ``gpu-1,
gpu-2, gpu-4`` where the third differs.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
import itertools
import re

from ironic_accel.model.errors import printable

_NUMBER = re.compile(r'([0-9]+)')

#: Names from which on they are counted and put into ranges.
_SEVERAL = 3


def of(names: Iterable[str]) -> list[str]:
    """The names in their order, those that count up as one range.

    Numbers in names are compared as numbers; a name that occurs twice is
    one.
    """
    ordered = sorted(dict.fromkeys(names), key=_key)
    found: list[str] = []
    while ordered:
        many = _run(ordered)
        run, ordered = ordered[:many], ordered[many:]
        shown = [printable(name) for name in run]
        found += ([f'{shown[0]} .. {shown[-1]}'] if many >= _SEVERAL
                  else shown)
    return found


def words(names: Sequence[str], most: int | None = None) -> str:
    """``a``, ``a, b``, ``8: gpu-1 .. gpu-8`` or ``4: a .. c, x``.

    :param most: the ranges and names that are listed; None for all.
    """
    unique = list(dict.fromkeys(names))
    if len(unique) < _SEVERAL:
        return ', '.join(printable(name) for name in unique)
    parts = of(unique)
    if most is not None and len(parts) > most:
        parts = [*parts[:most], f'and {len(parts) - most} more']
    return f"{len(unique)}: {', '.join(parts)}"


def _key(name: str) -> list[tuple[int, int, str]]:
    """Names with numbers in the order of the numbers."""
    return [(int(part), len(part), '') if part.isdecimal() else (-1, 0, part)
            for part in _NUMBER.split(name)]


def _run(names: Sequence[str]) -> int:
    """How many names from the first on count up by one, in one place."""
    split = [_NUMBER.split(name) for name in names]
    place = None
    for many, (one, two) in enumerate(itertools.pairwise(split), 1):
        at = _step(one, two)
        if at is None or place not in (None, at):
            return many
        place = at
    return len(names)


def _step(one: Sequence[str], two: Sequence[str]) -> int | None:
    """Which number of two names counts up by one; None if that is not all
    in which they differ."""
    if len(one) != len(two):
        return None
    differ = [n for n, (a, b) in enumerate(zip(one, two, strict=True))
              if a != b]
    if len(differ) != 1 or differ[0] % 2 == 0:
        return None
    a, b = one[differ[0]], two[differ[0]]
    padded = (a.startswith('0') and a != '0') or b.startswith('0')
    if int(b) != int(a) + 1 or (padded and len(a) != len(b)):
        return None
    return differ[0]
