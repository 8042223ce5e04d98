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

"""The installed vendor plug-ins and their order of precedence.

The rows of a board's vendor come before those of the server's vendor, and
these before those of the BMC software (``Layer``). Within one layer the
vendors of this package come before those of a site, each in the order of
their entry point names. Several may apply to one service; if only one row can
be used, it is the first one.

An invalid plug-in is ignored, with an error in the log. As its rows are
missing then, no firmware is written to services without a known server
vendor: they may be those of the plug-in.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import functools
import importlib
import logging
import pkgutil
from typing import Any

import stevedore

from ironic_accel.redfish.vendors.base import Vendor
from ironic_accel.redfish.vendors import check

LOG = logging.getLogger(__name__)

NAMESPACE = 'ironic_accel.redfish_vendors'

#: Package with the vendors of ironic-accel.
_PACKAGE = __name__.rpartition('.')[0]


@dataclasses.dataclass(frozen=True, slots=True)
class Installed:
    """The plug-ins of this installation.

    :ivar vendors: by entry point name, in their order of precedence.
    :ivar left_out: why others are not used, by entry point name.
    :ivar unlisted: vendors of this package that the installed metadata does
        not list; they are also in ``vendors``.
    """

    vendors: Mapping[str, Vendor]
    left_out: Mapping[str, str]
    unlisted: tuple[str, ...] = ()


@functools.lru_cache(maxsize=1)
def installed() -> Installed:
    """The plug-ins, loaded once per process."""
    left_out: dict[str, str] = {}

    def failed(manager: object, entry_point: Any, exc: BaseException) -> None:
        left_out[entry_point.name] = (
            f'cannot be loaded: {type(exc).__name__}: {exc}')

    manager: Any = stevedore.ExtensionManager(
        NAMESPACE, on_load_failure_callback=failed)
    found = [(e.name, e.entry_point_target.startswith(f'{_PACKAGE}.'),
              e.plugin) for e in manager]
    unlisted = _unlisted([made for _, _, made in found])
    taken = _take([*found, *unlisted], left_out)
    for name, why in left_out.items():
        LOG.error('Redfish vendor plug-in %s is not used: %s', name, why)
    return Installed(taken, left_out, tuple(n for n, _, _ in unlisted))


def _unlisted(listed: list[object]) -> list[tuple[str, bool, object]]:
    """Vendors of this package that the installed metadata does not list.

    The metadata is outdated if a source tree was updated and not installed
    again. The vendors are used anyway: without their rows, a push may write
    more than the plan lists.
    """
    package = importlib.import_module(_PACKAGE)
    out: list[tuple[str, bool, object]] = []
    for module in pkgutil.iter_modules(package.__path__):
        made = getattr(importlib.import_module(
            f'{_PACKAGE}.{module.name}'), 'VENDOR', None)
        if made is not None and all(made is not known for known in listed):
            out.append((module.name, True, made))
    if out:
        LOG.warning(
            'The installed metadata of ironic-accel does not list the '
            'Redfish vendors %s: they are used anyway; reinstall '
            'ironic-accel',
            ', '.join(name for name, _, _ in out))
    return out


def _take(found: Iterable[tuple[str, bool, object]],
          left_out: dict[str, str]) -> dict[str, Vendor]:
    """The valid plug-ins by name, in their order of precedence."""
    taken: dict[str, Vendor] = {}
    ours: set[str] = set()
    for name, ships, made in sorted(found, key=lambda f: (not f[1], f[0])):
        wrong = check.problems(made, taken.values())
        if name in taken:
            wrong.insert(0, 'another plug-in has the same name')
        if wrong:
            left_out[name] = '; '.join(wrong)
            continue
        assert isinstance(made, Vendor)  # noqa: S101
        taken[name] = made
        if ships:
            ours.add(name)
    return {name: taken[name] for name in sorted(taken, key=lambda n: (
        taken[n].layer, n not in ours, n))}


def vendors() -> tuple[Vendor, ...]:
    """The vendors in use, in their order of precedence."""
    return tuple(installed().vendors.values())
