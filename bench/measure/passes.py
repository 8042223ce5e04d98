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
"""Passes of the periodics of all vendor interfaces, as Ironic makes them."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from ironic.common import driver_factory
from ironic.conductor import periodics

from ironic_accel.conductor.config import ironic_series
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import queries

#: The options that space the periodics: those of each pass, and those of
#: some.
OFTEN: tuple[str, ...] = ('poll_interval',)
ALL: tuple[str, ...] = ('poll_interval', 'cleanup_interval')


def run(context: Any, manager: Any, options: tuple[str, ...],
        entire: bool = False, compare: bool = False) -> None:
    """Call the periodics that these options space.

    :param entire: and ``compare``: as for ``age``.
    """
    age(entire, compare)
    for method in collect(options):
        method(manager, context)


@functools.cache
def collect(options: tuple[str, ...]) -> list[Any]:
    """The periodics that these options space; Ironic too has them once."""
    spacings = {getattr(CONF.accelerator, option) for option in options}
    found = [method for interface in
             driver_factory.interfaces('vendor').values()
             for _name, method in inspect.getmembers(
                 interface, lambda m: hasattr(m, '_periodic_spacing'))]
    # Where a spacing cannot be a function, the interface has read its values.
    if ironic_series.CALLABLE_SPACING.present:
        for method in found:
            periodics.refresh_periodic_attributes(method)
    return [m for m in found if m._periodic_spacing in spacings]


def age(entire: bool = False, compare: bool = False) -> None:
    """End the time for which a scan of the nodes is shared.

    :param entire: the next one is about all nodes, as one is in each
        ``node_cache.ENTIRE`` seconds.
    :param compare: and compares contents, as one does in each
        ``node_cache.LONGEST`` seconds.
    """
    queries._scan._at = float('-inf')
    if entire:
        queries._scan._entire_at = float('-inf')
    if compare:
        queries._scan._compared_at = float('-inf')
