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

"""Following what a conductor does to a node, as a timeline."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
import time
from typing import Any

from tests.functional.harness.demo.show import Document
from tests.functional.harness.demo.show import NotAsTold
from tests.functional.harness.demo.show import Show
from tests.functional.harness.machines import Machine

#: Between two questions: each costs the conductor a little.
POLL_SECONDS = 0.5
#: A node in one of these does nothing of its own accord.
RESTING = frozenset({
    'manageable', 'available', 'active', 'clean failed', 'deploy failed',
    'service failed', 'error'})


def progress(machine: Machine) -> Document:
    """What the conductor says is under way, and what came of the last."""
    told = machine.ironic.api.passthru(machine.uuid, 'accel_progress')
    return dict(told)


def refresh(show: Show, crew: Collection[Machine], seconds: float = 90
            ) -> dict[str, Document]:
    """Have machines looked at, side by side.

    :returns: the result of each, by the node's UUID.
    :raises: NotAsTold where one is not done in time or fails.
    """
    for machine in crew:
        machine.ironic.api.passthru(
            machine.uuid, 'accel_refresh', 'POST', {})
    until = time.monotonic() + seconds
    done: dict[str, Document] = {}
    while len(done) < len(crew):
        for machine in crew:
            told = progress(machine)
            if (machine.uuid not in done and told['result']
                    and not told['operation']):
                done[machine.uuid] = told['result']
                show.moment(f"{machine.node['name']}: looked at")
        if time.monotonic() > until:
            raise NotAsTold(f'{len(done)} of {len(crew)} machines were '
                            f'looked at in {seconds:.0f} s')
        time.sleep(POLL_SECONDS)
    for machine in crew:
        if done[machine.uuid]['error']:
            raise NotAsTold(f"{machine.node['name']}: "
                            f"{done[machine.uuid]['error']}")
    return done


def follow(show: Show, *crew: Machine, seconds: float = 300,
           each: Callable[[], None] | None = None) -> list[dict[str, Any]]:
    """Print what happens to nodes, side by side, until all of them rest.

    :param each: called at every look, while something is under way.
    :returns: the nodes as they then are.
    :raises: NotAsTold where one does not rest in time.
    """
    until = time.monotonic() + seconds
    said = [''] * len(crew)
    while True:
        nodes = [m.ironic.api.node(m.uuid) for m in crew]
        said = [_tell(show, node, machine, last) for node, machine, last
                in zip(nodes, crew, said, strict=True)]
        if each is not None:
            each()
        if all(node['provision_state'] in RESTING
               and not node['reservation'] for node in nodes):
            return nodes
        if time.monotonic() > until:
            raise NotAsTold(f"after {seconds:.0f} s: {'; '.join(said)}")
        time.sleep(POLL_SECONDS)


def _tell(show: Show, node: Document, machine: Machine, said: str) -> str:
    """One line where something is new; what was said last."""
    text, percent = f"{node['name']}: {node['provision_state']}", None
    if node['provision_state'] not in RESTING:
        under_way = progress(machine)['operation']
        if under_way and under_way['progress']:
            text += f": {under_way['progress']}"
            percent = under_way['percent']
    line = f'{text} {percent}'
    if line != said:
        show.moment(text, percent)
    return line


def ledger(machine: Machine) -> Document:
    """What has reached the simulated machine, counted by itself."""
    return dict(machine.twin.control.get('/ledger'))


def forget(machine: Machine) -> None:
    """Count from here."""
    machine.twin.control.post('/ledger', {})
