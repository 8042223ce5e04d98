# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Simulated systems with accelerators, behind a Redfish service.

The emulator is independent of the product: it imports none of its readers.

    box = load_box('hgx-h100', clock=FakeClock())
    with TwinServer(box) as url:
        ...
    assert box.ledger.pushes == []
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ironic_accel_emulator.bmc.server import TwinServer
    from ironic_accel_emulator.box import Box
    from ironic_accel_emulator.clock import Clock, FakeClock, ScaledClock
    from ironic_accel_emulator.load import load_box, shipped
    from ironic_accel_emulator.options import Options, Timing
else:
    # Imported at their first use: the simulated tools and NVML are processes
    # that are started many times, and need none of them.
    _MODULES = {
        'Box': 'box',
        'Clock': 'clock',
        'FakeClock': 'clock',
        'Options': 'options',
        'ScaledClock': 'clock',
        'Timing': 'options',
        'TwinServer': 'bmc.server',
        'load_box': 'load',
        'shipped': 'load',
    }

    def __getattr__(name):
        """Return what this package offers, from its module."""
        if name not in _MODULES:
            raise AttributeError(
                f'module {__name__!r} has no attribute {name!r}')
        module = importlib.import_module(f'{__name__}.{_MODULES[name]}')
        return getattr(module, name)

__all__ = [
    'Box',
    'Clock',
    'FakeClock',
    'Options',
    'ScaledClock',
    'Timing',
    'TwinServer',
    'load_box',
    'shipped',
]
