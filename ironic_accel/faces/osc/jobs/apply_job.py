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

"""Apply a profile to one node, from its present provision state."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
from typing import Any

from osc_lib.exceptions import CommandError

from ironic_accel.conductor.node import keys
from ironic_accel.faces.osc import api
from ironic_accel.faces.osc.jobs import run_status
from ironic_accel.faces.osc.jobs.run_status import Begun
from ironic_accel.faces.osc.jobs.run_status import Status
from ironic_accel.model.device import Activation
from ironic_accel.model import earlier_documents

#: The step of each transport.
STEPS = {'redfish': 'apply_profile', 'agent': 'apply_profile_in_band'}
#: The operation of Ironic by the provision state that it starts in.
OPERATIONS = {'manageable': 'clean', 'active': 'service',
              'service failed': 'service'}
_NEXT = {
    'available': 'use --wait to manage, clean and provide it, or baremetal '
                 'node manage {ref}',
    'enroll': 'baremetal node manage {ref}',
    'clean failed': 'baremetal node history list --long {ref}, then '
                    'baremetal node maintenance unset {ref} and '
                    'baremetal node manage {ref}'}


@dataclasses.dataclass(frozen=True, slots=True)
class _Step:
    """A step of a plan, as the operation in progress shows it.

    :ivar written: what a write writes; of other steps nothing.
    :ivar resets: the host resets up to this one, if it is one.
    :ivar device_resets: device resets before this step, if it resets devices.
    """

    written: frozenset[tuple[str, str]] = frozenset()
    resets: int | None = None
    device_resets: int | None = None

    @property
    def is_host_reset(self) -> bool:
        """Whether it resets the host."""
        return self.resets is not None

    def is_begun(self, begun: Begun) -> bool:
        """Whether it is in progress, or over."""
        if self.resets is not None:
            return begun.resets >= self.resets
        if self.device_resets is not None:
            return begun.device_resets > self.device_resets
        return bool(self.written & begun.written) if self.written else (
            begun.copies)


def _steps(plan: api.Document) -> Iterator[_Step]:
    """The steps of a plan, in their order (``converge.forecast.steps``)."""
    resets = device_resets = 0
    for stage in plan['stages']:
        for action in stage['actions']:
            yield _Step(frozenset((i['device'], i['name'])
                                  for i in action['items']))
        if stage.get('manual'):
            return
        if Activation(stage['reset']).is_host_reset:
            resets += 1
            yield _Step(resets=resets)
        elif devices := earlier_documents.device_resets(stage):
            yield _Step(device_resets=device_resets)
            device_resets += devices
    if plan.get('fallback'):
        yield _Step()


class ApplyJob:
    """Apply a profile to one node; a ``parallel.NodeJob``.

    :param kind: ``clean`` or ``service``.
    :param fetched: whether the node is available: it is managed first, and
        provided after a success.
    :param attached: the id of an operation in progress: its status is read,
        and no other is started.
    :ivar refused: the items that the plan refuses, or None.
    :ivar outdated: whether the plan refuses them because of an inventory from
        before the last operation, which failed.
    """

    def __init__(self, ironic: api.Ironic, ref: str, kind: str,
                 step: dict[str, Any], fetched: bool = False,
                 attached: str | None = None) -> None:
        self.ref = ref
        self.kind = kind
        self.devices: Sequence[str] = ()
        self.refused: Sequence[Any] | None = None
        self.outdated = False
        self._steps: list[_Step] = []
        self._step_number = 0
        self._ironic = ironic
        self._step = step
        self._fetched = fetched
        self._attached = attached
        self._phase = 'manage' if fetched else 'run'
        self._before: str | None = None
        self._done: Status | None = None

    def planned(self, plan: api.Document, via: str,
                outdated: bool = False, interface: str | None = None
                ) -> None:
        """Store the refused items and the devices of the plan.

        What the last inventory cannot tell is decided by the step. A
        conductor of an earlier release does not say what that is: its plan
        refuses what the agent alone can do.

        :param interface: the one of the node that has the step: accelerator,
            in an Ironic with this type. An earlier conductor does not say.
        """
        if interface:
            self._step = {**self._step, 'interface': interface}
        blocked = [{'device': 'node', 'name': b['item'], 'expected': None,
                    'seen': None, 'reason': f"{b['reason']}; next: {b['next']}"
                    } for b in plan.get('blocked') or ()]
        decided = (via == 'redfish' if 'blocked' not in plan
                   else not plan['undecided'])
        if blocked or (plan['refused'] and decided):
            self.refused = [*blocked, *plan['refused']]
            self.outdated = outdated and not blocked
        self._steps = [*_steps(plan)]
        self.devices = list(dict.fromkeys(
            i['device'] for stage in plan['stages']
            for action in stage['actions'] for i in action['items']))

    @property
    def provides(self) -> bool:
        """Whether the node is provided after a success, by this command."""
        return self._fetched

    def begin(self) -> None:
        """Start the operation, or manage the node first."""
        if self._attached is not None:
            return
        if self._phase == 'manage':
            self._ironic.provision(self.ref, 'manage')
        else:
            self._run()

    def read(self) -> Status:
        """Read the status, and request the next provision state."""
        if self._phase == 'run':
            status = run_status.read(self._ironic, self.ref, self._before,
                                     self._attached)
            status = dataclasses.replace(status, step=self._step_of(status))
            if not self._fetched or status.outcome not in run_status.GOOD:
                return status
            self._ironic.provision(self.ref, 'provide')
            self._phase, self._done = 'provide', status
        return self._passed()

    def _step_of(self, status: Status) -> str:
        """The number of the step in progress, which never falls.

        The record that remains of a run when it ends counts nothing.
        """
        begun = status.begun
        if status.outcome is not None or not self._steps:
            return ''
        if begun is not None:
            number = sum(step.is_begun(begun) for step in self._steps)
            number += max(begun.resets - sum(
                step.is_host_reset for step in self._steps), 0)
            self._step_number = max(self._step_number, number)
        if not self._step_number:
            return ''
        return (f'step {self._step_number}/'
                f'{max(len(self._steps), self._step_number)}')

    def _run(self) -> None:
        self._before = run_status.result_id(self._ironic.node(self.ref))
        asked: dict[str, Any] = {f'{self.kind}steps': [self._step]}
        if self.kind == 'clean' and self._step['step'] == STEPS['redfish']:
            # Ironic 32 boots the ramdisk for each clean otherwise; later ones
            # see by the step that it is not needed.
            asked['disable_ramdisk'] = True
        self._ironic.provision(self.ref, self.kind, **asked)
        self._phase = 'run'

    def _passed(self) -> Status:
        """The status while the node becomes manageable or available."""
        node = self._ironic.node(self.ref)
        state = str(node['provision_state'])
        goal = 'manageable' if self._phase == 'manage' else 'available'
        if state in run_status.MOVING or api.readable(
                node, 'reservation'):
            return Status(state, state)
        if state != goal:
            return Status(state, 'ended', outcome='failed', error=(
                f'the node did not become {goal}: '
                f"{api.readable(node, 'last_error') or state}"))
        if self._done is not None:
            return dataclasses.replace(self._done, state=state)
        self._run()
        return Status(state, 'started')


def operation(node: api.Document, ref: str, asked: str | None,
              stays: bool) -> str:
    """``clean`` or ``service``, by the provision state of a node.

    :param asked: the one that the caller requires, or None.
    :param stays: whether the command waits: only then can it manage an
        available node and provide it again.
    :raises: CommandError for a state in which neither of them, or not the
        required one, can be started.
    """
    state = node['provision_state']
    kind = OPERATIONS.get(state)
    if state == 'available' and stays:
        kind = 'clean'
    if kind is not None and asked in (None, kind):
        return kind
    wanted = [s for s, k in OPERATIONS.items() if asked in (None, k)]
    hint = _NEXT.get(state) if asked != 'service' else None
    raise CommandError(
        f"cannot {asked or 'apply'}: node {ref} is {state}; allowed: "
        f"{', '.join(wanted)}"
        + (f'; next: {hint.format(ref=ref)}' if hint and kind is None
           else '') + '; nothing was started on any node')


def default_transport(node: api.Document) -> str:
    """The transport if none is given.

    Without Redfish only the agent in the ramdisk can write.
    """
    return ('agent' if node.get('vendor_interface') == 'accelerator-ipmi'
            else 'redfish')


def in_progress(node: api.Document, profile: Any) -> tuple[str, str] | None:
    """Kind and id of an operation that applies the profile, or None."""
    current = keys.OPERATION.read(api.info(node))
    if current is not None and keys.has_ended(
            current, str(node['provision_state'])):
        return None
    name = profile if isinstance(profile, str) else profile['name']
    if current is not None and current['step'] in STEPS.values() \
            and current.get('profile') == name \
            and current['kind'] in OPERATIONS.values():
        return current['kind'], current.get('id', '')
    return None
