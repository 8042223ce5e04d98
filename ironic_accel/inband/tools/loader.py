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

from collections.abc import Iterable
import logging
from typing import Any

import stevedore

from ironic_accel.inband.tools.family import Family
from ironic_accel.model.device import Warned

LOG = logging.getLogger(__name__)

NAMESPACE = 'ironic_accel.tools'


def load(names: Iterable[str] | None = None
         ) -> tuple[tuple[Family, ...], tuple[Warned, ...]]:
    """The families, those of one vendor before the generic ones.

    One that cannot be loaded is left out, with a warning: the others work.

    :param names: of the plug-ins that are wanted; None for all.
    """
    warnings: list[Warned] = []

    def failed(manager: object, entry_point: Any, exc: BaseException) -> None:
        LOG.warning('tool family %s cannot be loaded: %s',
                    entry_point.name, exc)
        warnings.append(Warned(
            f'{NAMESPACE}:{entry_point.name}',
            f'cannot be loaded: {type(exc).__name__}: {exc}'))

    manager: Any = stevedore.ExtensionManager(
        NAMESPACE, invoke_on_load=True, on_load_failure_callback=failed)
    wanted = None if names is None else set(names)
    families: list[Family] = [
        e.obj for e in manager if wanted is None or e.name in wanted]
    return ordered(families), tuple(warnings)


def ordered(families: Iterable[Family]) -> tuple[Family, ...]:
    """Families in the order in which they are asked."""
    return tuple(sorted(families, key=lambda f: (f.generic, f.name)))
