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

import inspect
from typing import Any

from ironic.common import driver_factory
from ironic.conductor import periodics

from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import queries

#: The options that space the periodics: those of each pass, and those of
#: some.
OFTEN: tuple[str, ...] = ('poll_interval',)
ALL: tuple[str, ...] = ('poll_interval', 'cleanup_interval')


def run(context: Any, manager: Any, options: tuple[str, ...],
        entire: bool = False) -> None:
    """Call the periodics that these options space.

    :param entire: as for ``age``.
    """
    age(entire)
    spacings = {getattr(CONF.accelerator, option) for option in options}
    for interface in driver_factory.interfaces('vendor').values():
        for _name, method in inspect.getmembers(
                interface, lambda m: hasattr(m, '_periodic_spacing')):
            periodics.refresh_periodic_attributes(method)
            if method._periodic_spacing in spacings:
                method(manager, context)


def age(entire: bool = False) -> None:
    """End the time for which a scan of the nodes is shared.

    :param entire: the next one reads all nodes, as one does in each
        ``node_cache.ENTIRE`` seconds.
    """
    queries._scan._at = float('-inf')
    if entire:
        queries._scan._entire_at = float('-inf')
