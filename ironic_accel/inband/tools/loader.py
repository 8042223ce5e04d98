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

"""The tool families that are installed: plug-ins of ``ironic_accel.tools``."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import logging
from typing import Any
from typing import get_args
from typing import NamedTuple

import stevedore

from ironic_accel.inband.machine import device_users
from ironic_accel.inband.tools import deprecated
from ironic_accel.inband.tools.family import Family
from ironic_accel.inband.tools.family import FirstBootMode
from ironic_accel.inband.tools.family import Flashers
from ironic_accel.inband.tools.family import HasFirstBoot
from ironic_accel.inband.tools.family import HasFlashers
from ironic_accel.model.device import Warned

LOG = logging.getLogger(__name__)

NAMESPACE = 'ironic_accel.tools'

#: What a family must have at least; ``update``, ``set`` and ``reset`` are
#: called only if the others allow it.
_METHODS = ('claims', 'read', 'updates', 'sets', 'resets')


class Loaded(NamedTuple):
    """The tool families of a machine.

    :ivar families: those that are used, in the order in which they are asked.
    :ivar warnings: why others are not.
    :ivar flashers: the programs that families which are not used declare:
        their firmware updates, started by others, are waited for all the
        same. Of a family that cannot be imported they are not known.
    """

    families: tuple[Family, ...]
    warnings: tuple[Warned, ...]
    flashers: Flashers


def load(names: Iterable[str] | None = None) -> Loaded:
    """The families, those of one vendor before the generic ones.

    One that cannot be loaded is left out, with a warning: the others work.

    :param names: of the plug-ins that are wanted; None for all.
    """
    failures: list[Warned] = []

    def failed(manager: object, entry_point: Any, exc: BaseException) -> None:
        LOG.error('Tool family %s cannot be loaded: %s', entry_point.name,
                  exc)
        failures.append(Warned(
            f'{NAMESPACE}:{entry_point.name}',
            f'cannot be loaded: {type(exc).__name__}: {exc}'))

    deprecated.install()
    manager: Any = stevedore.ExtensionManager(
        NAMESPACE, invoke_on_load=True, on_load_failure_callback=failed)
    wanted = None if names is None else set(names)
    found = accepted(
        e.obj for e in manager if wanted is None or e.name in wanted)
    return found._replace(warnings=(*failures, *found.warnings))


def accepted(families: Iterable[Family]) -> Loaded:
    """The families that can be used, in the order in which they are asked.

    A family that declares something invalid is left out as a whole: what it
    means is not guessed. Names of the release before are adapted.
    """
    used: list[Family] = []
    warnings: list[Warned] = []
    flashers: dict[str, frozenset[str]] = {}
    for family in families:
        name = str(getattr(family, 'name', type(family).__name__))
        try:
            changes = deprecated.adapt(family)
            mistakes = tuple(_mistakes(family))
        except Exception as exc:  # a third party's plug-in
            changes, mistakes = (), (f'{type(exc).__name__}: {exc}',)
        if mistakes:
            LOG.error('Tool family %s is not used: %s', name,
                      '; '.join(mistakes))
            warnings.append(Warned(f'{NAMESPACE}:{name}', (
                f'is not used: {"; ".join(mistakes)}')))
            for program, words in _flashers_of(family):
                known = flashers.get(program, words)
                flashers[program] = (
                    known | words if known and words else frozenset())
            continue
        if changes:
            LOG.warning('Tool family %s uses deprecated names: %s', name,
                        '; '.join(changes))
            warnings.append(Warned(f'{NAMESPACE}:{name}', (
                f'uses deprecated names: {"; ".join(changes)}')))
        used.append(family)
    return Loaded(ordered(used), tuple(warnings), flashers)


def _flashers_of(family: Family) -> Iterator[tuple[str, frozenset[str]]]:
    """The programs that a family which is not used declares.

    Where the arguments are not valid any run of the program counts, as it
    does for a program without arguments.
    """
    try:
        declared = getattr(family, 'flashers', None)
        rows = (list(declared.items()) if isinstance(declared, Mapping)
                else [])
    except Exception as exc:  # a third party's plug-in
        LOG.error('The programs of tool family %s that write firmware cannot '
                  'be read: %s', type(family).__name__, exc)
        return
    for program, words in rows:
        valid = isinstance(words, list | tuple | set | frozenset) and all(
            isinstance(word, str) for word in words)
        if isinstance(program, str):
            yield program, frozenset(words) if valid else frozenset()


def _mistakes(family: Family) -> Iterator[str]:
    """What a family declares that cannot be used."""
    yield from (f'{method} is missing' for method in _METHODS
                if not callable(getattr(family, method, None)))
    verbs = get_args(device_users.Verb)
    for verb, _ in getattr(family, 'beside', ()):
        if verb not in verbs:
            yield f'beside: {verb!r} is none of {", ".join(verbs)}'
    if isinstance(family, HasFlashers):
        flashers: Mapping[Any, Any] = family.flashers
        yield from (f'flashers: {program!r}: expected a set of arguments'
                    for program, words in flashers.items()
                    if not isinstance(words, frozenset | set))
    if isinstance(family, HasFirstBoot):
        for mode in family.first_boot:
            yield from _first_boot_mistakes(mode)


def _first_boot_mistakes(mode: FirstBootMode) -> Iterator[str]:
    expected: dict[str, Callable[[Any], bool]] = {
        'VALUE': lambda value: value in (str, int, list),
        'ORDER': lambda value: type(value) is int,
        'set_mode': callable}
    for name, fits in expected.items():
        if not fits(getattr(mode.setter, name, None)):
            yield (f'first_boot: {mode.mode}: {name} of '
                   f'{mode.setter.__name__} is missing or invalid')


def ordered(families: Iterable[Family]) -> tuple[Family, ...]:
    """Families in the order in which they are asked."""
    return tuple(sorted(families, key=lambda f: (f.generic, f.name)))
