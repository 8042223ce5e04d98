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

"""Names of the release before that tool families of other packages use.

A family that was written for that release still works, with a warning for
each name that it has to change. All of this will be removed in the release
after this one.
"""

from __future__ import annotations

from collections.abc import Callable
import importlib
import logging
import sys
from types import ModuleType
from typing import Any
import warnings

from ironic_accel.inband.tools import common
from ironic_accel.inband.tools.family import Family

LOG = logging.getLogger(__name__)

#: Modules by their earlier paths.
MODULES = {'ironic_accel.inband.family': 'ironic_accel.inband.tools.family',
           'ironic_accel.inband.host': 'ironic_accel.inband.machine.machine',
           'ironic_accel.model.facts': 'ironic_accel.model.catalog_types',
           'ironic_accel.model.join': 'ironic_accel.model.device_marks',
           'ironic_accel.model.standing': 'ironic_accel.model.reading_status'}
#: Names in those modules by their earlier names.
NAMES = {'Seen': 'ToolReading', 'Told': 'DeviceReading',
         'Besides': 'HasCollateral', 'Host': 'Machine'}
#: Methods of a family, and verbs of ``beside``, by their earlier names.
HOOKS = {'look': 'read', 'burns': 'updates', 'burn': 'update'}
VERBS = {'burn': 'update'}


def install() -> None:
    """Make the modules importable by their earlier paths."""
    for old, new in MODULES.items():
        if old not in sys.modules:
            module = ModuleType(old, f'Deprecated: use {new}.')
            module.__getattr__ = _names(old, new)  # type: ignore[method-assign]
            sys.modules[old] = module


def _names(old: str, new: str) -> Callable[[str], Any]:
    """What looks a name up in the module where it is now."""
    def look_up(name: str) -> Any:
        now = NAMES.get(name, name)
        if name.startswith('__'):
            raise AttributeError(name)
        try:
            found = getattr(importlib.import_module(new), now)
        except AttributeError:
            raise AttributeError(
                f'module {old!r} has no attribute {name!r}') from None
        message = f'{old}.{name} is deprecated: use {new}.{now}'
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        LOG.warning(message)
        return found

    return look_up


def adapt(family: Family) -> tuple[str, ...]:
    """Let a family with earlier names be called by the present ones.

    :returns: what it has to change, in words.
    :raises: AttributeError if the family does not allow it.
    """
    changes = []
    for old, new in HOOKS.items():
        method = getattr(family, old, None)
        own = getattr(type(family), new, None)
        if method is not None and own in (
                None, getattr(common.BaseFamily, new)) and (
                    method != getattr(family, new, None)):
            setattr(family, new, method)
            changes.append(f'method {old} is named {new}')
    beside = getattr(family, 'beside', ())
    if any(verb in VERBS for verb, _ in beside):
        family.beside = tuple(dict.fromkeys(
            (VERBS.get(verb, verb), driver) for verb, driver in beside))
        changes += [f'verb {old} in beside is named {new}'
                    for old, new in VERBS.items()
                    if any(verb == old for verb, _ in beside)]
    return tuple(changes)
