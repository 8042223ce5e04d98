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

"""The types of the values that are stored with a node, and their check.

A stored value may have been written by another version, by an operator or by
other code. ``misfit`` compares it with a type hint before it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import functools
import types
from typing import Any
from typing import get_args
from typing import get_origin
from typing import get_type_hints
from typing import is_typeddict
from typing import NotRequired
from typing import TypedDict
from typing import Union


class StoredOperation(TypedDict):
    """What everybody reads of an operation (``operation.Operation``)."""

    kind: str
    step: str
    id: NotRequired[str]
    work: NotRequired[str]
    state: NotRequired[str | None]
    profile: NotRequired[str]
    progress: NotRequired[str]
    percent: NotRequired[int | None]
    started: NotRequired[float]
    restore: NotRequired[str | None]


class StoredRecord(TypedDict, total=False):
    """What is read of a record without ``model.record``."""

    schema: str
    intent: dict[str, Any] | None


class StoredGuard(TypedDict):
    """A power lock.

    ``what`` it protects; ``kind``: ``action``, ``reset`` of the host, or
    ``busy`` for an update that continues without us; ``since``, ``longest``
    and ``moved`` (the last progress) in seconds of the node's time; ``state``:
    ``begun``, ``running``, ``unknown`` or ``quiet``; ``quiet``: consecutive
    inventories that found the node idle; ``last``: the last reported progress;
    ``told``: whether it was reported as stuck; ``until``: epoch seconds, for
    people; ``over``: whether a host reset is in progress in addition to
    another lock.
    """

    what: str
    kind: NotRequired[str]
    since: NotRequired[float]
    longest: NotRequired[float]
    state: NotRequired[str]
    quiet: NotRequired[int]
    moved: NotRequired[float]
    last: NotRequired[str]
    told: NotRequired[bool]
    until: NotRequired[float]
    over: NotRequired[bool]


class StoredHold(TypedDict):
    """Why a node is held, by which user, and since when (epoch seconds)."""

    reason: str
    by: NotRequired[str | None]
    at: NotRequired[float]


class StoredClock(TypedDict):
    """The time of a node and when it was counted.

    ``at``: seconds of the node's time; ``boot``: the boot of the machine
    that counted; ``steady``: its seconds since then; ``database``: epoch
    seconds by the database.
    """

    at: float
    boot: str
    steady: float
    database: float


class StoredProof(TypedDict):
    """A site profile that was proved: digest, devices, epoch seconds."""

    digest: str
    at: float
    devices: list[str]


class StoredSummary(TypedDict):
    """An inventory in short; ``devices`` is how many of each kind.

    ``health``: the worst of the accelerators (``traits.worst_health``).
    """

    at: float
    host: NotRequired[str | None]
    complete: NotRequired[bool]
    devices: NotRequired[dict[str, int]]
    warnings: NotRequired[int]
    health: NotRequired[str | None]


class StoredClaims(TypedDict):
    """The devices that a node claims: digests of their serial numbers.

    ``at``: epoch seconds of the inventory; ``system``: the Redfish System.
    """

    at: float
    system: NotRequired[str | None]
    of: list[str]


class StoredWait(TypedDict):
    """A device that is withheld: the node that claims it, since when."""

    node: str
    device: str
    since: float


class StoredLooks(TypedDict):
    """How often a node was refreshed for one reason.

    ``since``: when the reason arose; ``at``: the last time; both epoch
    seconds.
    """

    since: float
    at: float
    times: int


class StoredSite(TypedDict):
    """The digests of a conductor's site profiles, by name.

    ``number`` is higher in the later of two (the first version wrote none);
    ``at``: epoch seconds, for people; ``ironic`` and ``accel``: the releases
    that it runs.
    """

    host: str
    number: NotRequired[int]
    at: NotRequired[float]
    profiles: dict[str, str]
    ironic: NotRequired[str]
    accel: NotRequired[str]


#: Tells why a value is not what is expected, or None where it is.
_Check = Callable[[object], str | None]


def misfit(value: object, hint: Any) -> str | None:
    """Why a stored value is not what is expected, or None where it is.

    What a later version added to a document is no misfit.

    :param hint: a type hint: a TypedDict or a dataclass, a mapping, a list
        or a tuple, a union, or a plain type.
    """
    return _check(hint)(value)


@functools.cache
def _check(hint: Any) -> _Check:
    """The check of a type hint.

    Each pass of the periodics loads every operation in progress: to look at
    the hints once makes it several times as fast.
    """
    if hint is Any or hint is object:
        return lambda _value: None
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _any_of(tuple(map(_check, args)))
    if is_typeddict(hint) or dataclasses.is_dataclass(hint):
        return _document(hint)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _members(Mapping, args[1], 'an object')
    if origin in (list, tuple):
        return _members((list, tuple), args[0], 'a list')
    # JSON has one kind of number, and truth is none.
    kind: Any = (int, float) if hint in (int, float) else hint
    but: Any = bool if hint in (int, float) else ()

    def check(value: object) -> str | None:
        if isinstance(value, kind) and not isinstance(value, but):
            return None
        return f'expected {hint.__name__}, found {type(value).__name__}'

    return check


def _any_of(checks: tuple[_Check, ...]) -> _Check:
    def check(value: object) -> str | None:
        found = [one(value) for one in checks]
        return None if None in found else found[0]

    return check


def _document(hint: Any) -> _Check:
    hints, required = _fields(hint)
    order = sorted(required)

    @functools.cache
    def checks() -> Mapping[str, _Check]:
        # Not before a value is checked: a document may contain its own kind.
        return {name: _check(expected) for name, expected in hints.items()}

    def check(value: object) -> str | None:
        if not isinstance(value, Mapping):
            return f'expected an object, found {type(value).__name__}'
        for name in order:
            if name not in value:
                return f'{name} is missing'
        for name, one in checks().items():
            if name in value and (why := one(value[name])):
                return f'{name}: {why}'
        return None

    return check


def _members(kind: Any, hint: Any, word: str) -> _Check:
    member = _check(hint)

    def check(value: object) -> str | None:
        if not isinstance(value, kind):
            return f'expected {word}, found {type(value).__name__}'
        named = (value.items() if isinstance(value, Mapping)
                 else enumerate(value))
        for name, one in named:
            if why := member(one):
                return f'{name}: {why}'
        return None

    return check


@functools.cache
def _fields(hint: Any) -> tuple[Mapping[str, Any], frozenset[str]]:
    """Hints by field, and the fields that have to be there."""
    if is_typeddict(hint):
        # __required_keys__ does not see NotRequired in a module whose
        # annotations are strings.
        extras = get_type_hints(hint, include_extras=True)
        return get_type_hints(hint), frozenset(
            name for name, h in extras.items()
            if hint.__total__ and get_origin(h) is not NotRequired)
    return get_type_hints(hint), frozenset(
        f.name for f in dataclasses.fields(hint)
        if f.default is dataclasses.MISSING
        and f.default_factory is dataclasses.MISSING)
