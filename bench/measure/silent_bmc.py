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
"""BMCs that respond without HTTP, each with GPUs of its own."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
import dataclasses
import time
from typing import Any

from ironic_accel.conductor.node import operation
from ironic_accel.converge import ports
from ironic_accel.model.identity import Source
from ironic_accel.model.device import Inventory
from ironic_accel.model.plan import Transport
from ironic_accel.model.profile import Push
from tests.unit.conductor import sample

GPUS = 8


class SilentBmc(ports.Backend):
    """A BMC that is read and never written to.

    :param inventory: what it shows.
    :param seconds: that an inventory takes.
    """

    def __init__(self, inventory: Inventory, seconds: float) -> None:
        self._inventory = inventory
        self._seconds = seconds

    def sources(self) -> tuple[Source, ...]:
        """The inventory, some time later."""
        time.sleep(self._seconds)
        return sample.sources(self._inventory)

    def transports(self, inventory: Inventory,
                   pushes: Collection[Push] = ()) -> tuple[Transport, ...]:
        """What can be done with any such system."""
        return (sample.transport(inventory),)


def backend(seconds: float) -> Callable[..., Any]:
    """What stands for ``bmc_session.backend``.

    A node with an operation has devices that are still being discovered, so
    that its operation goes on.
    """
    gpus = [sample.gpu(n) for n in range(GPUS)]

    def made(node: Any, *_args: Any, **_options: Any) -> Any:
        return SilentBmc(sample.box(*(
            dataclasses.replace(gpu, serial=f'{node.id * GPUS + n}')
            for n, gpu in enumerate(gpus)),
            complete=operation.load(node) is None), seconds)
    return made
