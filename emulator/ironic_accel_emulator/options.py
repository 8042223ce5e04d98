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

"""The options of a simulated system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any


@dataclass(frozen=True)
class Timing:
    """Durations, in simulated seconds."""

    power_on: float = 2.0
    power_off: float = 2.0
    graceful_off: float = 15.0
    restart: float = 2.0
    boot: float = 60.0
    cycle_gap: float = 5.0
    bmc_away: float = 90.0
    aux_away: float = 120.0
    verify: float = 10.0
    flash: float = 1200.0
    background_copy: float = 180.0
    gpu_ready: float = 45.0
    adapter_ready: float = 30.0
    device_reset: float = 5.0
    task_kept: float = 86400.0
    retry_after: float = 30.0

    def changed(self, given: Mapping[str, Any], where: str) -> Timing:
        """Return a copy with some values replaced.

        Raises ValueError for an unknown key or a value that is not a number.
        """
        known = {item.name for item in fields(self)}
        for name, value in given.items():
            number = isinstance(value, int | float)
            if name not in known or not number or value < 0:
                raise ValueError(
                    f'{where}.{name}: {value!r}: expected seconds for one '
                    f'of {sorted(known)}'
                )
        return replace(self, **{n: float(v) for n, v in given.items()})


@dataclass(frozen=True)
class Options:
    """The options of a simulated system.

    Costs are simulated milliseconds: ``cost_per_request`` for each request
    and ``cost_per_expanded`` for each resource included by ``$expand``. They
    are counted in the ledger and cause no delay. ``extended_reset`` adds the
    action of iDRAC 7.00.60 and later. ``slot_powered`` is a card whose own
    resets only reset its processor: a change that needs a power cut waits for
    one of its host.
    """

    timing: Timing = field(default_factory=Timing)
    power: str | None = None
    user: str | None = None
    password: str | None = None
    cost_per_request: float = 20.0
    cost_per_expanded: float = 10.0
    activations: Mapping[str, str] = field(default_factory=dict)
    boot_mark: bool | None = None
    max_image_size: int | None = None
    extended_reset: bool = False
    slot_powered: bool = False
