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

"""The steps: each begins an operation and returns at once.

A step validates its arguments, stores the operation and the record, and
returns the wait state. It does not communicate with the BMC: a restart of the
conductor fails nodes in CLEANING, DEPLOYING and SERVICING, and resumes those
in a wait state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ironic.common import async_steps
from ironic.common import exception
from ironic.drivers import base

from ironic_accel.conductor.access import ramdisk as ramdisk_module
from ironic_accel.conductor.access import related_nodes
from ironic_accel.conductor.config import catalogue
from ironic_accel.conductor.config import declared_steps
from ironic_accel.conductor.config import ironic_series
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.config import profiles
from ironic_accel.conductor.drivers import activation_limit
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import db_retry
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import history
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node.operation import Operation
from ironic_accel.conductor.node import profile_snapshot
from ironic_accel.conductor.node import queries
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.operation import baseline
from ironic_accel.conductor.operation import observe
from ironic_accel.conductor.operation import step_end
from ironic_accel.conductor.publication import withdraw
from ironic_accel.converge import advance as converge
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import AccelError
from ironic_accel.model import loader
from ironic_accel.model.profile import Profile

PROFILE = {
    'description': 'Name of a site profile, or an inline profile as a mapping '
                   '(at most 8 KiB). IS traits are published for site '
                   'profiles only.',
    'required': True}
_DISRUPTION = {
    'description': 'Whether the instance on the node may be interrupted. A '
                   'service step requires true for any reset.'}
APPLY: declared_steps.Arguments = {
    'profile': PROFILE, **activation_limit.ARGUMENTS,
    'allow_disruption': _DISRUPTION}
_DEVICES = {
    'devices': {'description': 'List of device ids, as shown by '
                               'accel_inventory. Default: all devices that '
                               'support a reset.'},
    'allow_disruption': _DISRUPTION}

#: Before the agent is booted (ironic/drivers/modules/agent.py: 100). It is
#: what a deploy template for an out-of-band profile gives its step.
OUT_OF_BAND_PRIORITY = 150


def _request_to_apply(task: Any, kind: str, args: Mapping[str, Any]
                      ) -> tuple[Profile, tuple[Activation, str]]:
    check_out_of_band(task.node)
    return check_apply(task, kind, **args)


def _request_to_reset(task: Any, kind: str, args: Mapping[str, Any]
                      ) -> None:
    check_reset(task.node, kind, **args)


class Steps:
    """The steps of the vendor interfaces."""

    @declared_steps.step('clean', 'deploy', 'service', arguments=APPLY,
                         check=_request_to_apply)
    def apply_profile(self, task: Any,
                      profile: str | Mapping[str, Any],
                      max_activation: str | None = None,
                      allow_disruption: bool = False,
                      max_effect: str | None = None) -> str:
        """Apply a profile to the accelerators, out of band.

        :param max_effect: the deprecated name of ``max_activation``.
        :raises: InvalidParameterValue.
        """
        check_out_of_band(task.node)
        asked = activation_limit.asked(max_activation, max_effect)
        if max_effect is not None:
            activation_limit.warn_deprecated(task.node, 'apply_profile')
        return begin_apply(task, 'apply_profile', profile, asked,
                           allow_disruption)

    @declared_steps.step('clean')
    def apply_baseline(self, task: Any) -> str | None:
        """Apply the baseline profile of the node.

        It is set by ``driver_info/accel_baseline`` or
        ``[accelerator]baseline_profile``, or it is the first of
        ``[accelerator]baseline_profiles`` that matches the devices of the
        node. Without any of them the step does nothing.

        :raises: InvalidParameterValue.
        """
        name = baseline.named(task.node)
        if not name and not baseline.by_inventory(task.node):
            return None
        in_band = without_redfish(task.node) or ramdisk_module.can_help(
            task.node, 'clean')
        if in_band and ironic_series.is_ramdisk_disabled(task.node):
            raise invalid('the node has no redfish_address, so apply_baseline '
                          'requires the ramdisk, but disable_ramdisk is set')
        if not name:
            return _begin_choice(task, in_band)
        return begin_apply(task, 'apply_baseline', name, in_band=in_band)

    @declared_steps.step('clean', 'service', arguments=_DEVICES,
                         check=_request_to_reset)
    def reset_devices(self, task: Any, devices: list[str] | None = None,
                      allow_disruption: bool = False) -> str:
        """Reset individual devices while the host is on.

        :raises: InvalidParameterValue.
        """
        kind = operation.kind_of(task.node)
        check_reset(task.node, kind, devices, allow_disruption)
        return begin(task, Operation(
            kind=str(kind), step='reset_devices', work='reset',
            devices=tuple(devices or ())))

    @declared_steps.step('clean', 'deploy', 'service', writes=False)
    def refresh_traits(self, task: Any) -> str:
        """Take an inventory of the accelerators and publish it."""
        kind = str(operation.kind_of(task.node))
        # Powering a child on would power its parent on.
        return begin(task, operation.refresh(
            kind, 'refresh_traits',
            in_band=ramdisk_module.can_help(task.node, kind),
            power_on=kind != 'service' and not task.node.parent_node))

    @declared_steps.step('deploy', priority=200, writes=False)
    def note_tenant(self, task: Any) -> None:
        """Record that a tenant gets the node, which voids its verifications
        later.
        """
        withdraw.note_tenant(task.node)
        saving.save(task.node)

    @base.verify_step(priority=10)
    def verify_accelerators(self, task: Any) -> None:
        """Take an inventory if the host is on. Missing devices do not fail it.
        """
        observe.verify(task)

    def get_clean_steps(self, task: Any) -> list[dict[str, Any]]:
        """The clean steps, with ``[accelerator]baseline_priority`` applied."""
        steps = super().get_clean_steps(task)  # type: ignore[misc]
        return [{**s, 'priority': CONF.accelerator.baseline_priority}
                if s['step'] == 'apply_baseline' else dict(s) for s in steps]


def begin(task: Any, current: Operation) -> str:
    """Store an operation, which the periodic continues.

    Everything is saved at once, so that a kill leaves all of it or nothing.

    :returns: the wait state to return from the step.
    :raises: InvalidState if the node is in no operation that has steps, a
        later version of ironic-accel manages it, or writes are held.
    """
    node = task.node
    if current.kind not in operation.WAIT_STATES:
        raise exception.InvalidState(
            f'a step cannot run in provision state {node.provision_state}')
    saving.restore_overwritten(node)
    _check_known(node)
    # What is refused begins nothing either: the end of a step that a stop
    # switch turned down is written down like any other.
    if current.work not in (operation.REFRESH_WORK, 'refuse'):
        check_stopped(task, current.step)
    history.replaced(node, current.step)
    now = clock.mark(node)
    ramdisk = current.in_band or ramdisk_module.has_ramdisk(node, current.kind)
    if not ramdisk:
        ironic_series.note_service_without_ramdisk(task)
    operation.store(node, current.but(
        due=now, started=now, ramdisk=ramdisk,
        asked=operation.asked_by(task.context),
        changed_before=step_end.changed_before(node, current.kind),
        deadline=now + CONF.accelerator.stable_timeout))
    keys.RESULT.drop(node)
    db_retry.call(lambda: async_steps.set_node_flags(
        node, polling=True, skip_current_step=True, step_type=current.kind))
    return str(operation.WAIT_STATES[current.kind])


def refuse(task: Any, step: str, why: str) -> str:
    """Let a step that cannot begin end as refused.

    If a step method raises, Ironic tears down a ramdisk that was never booted,
    and some boot interfaces power the host off for that.

    :param why: the reason.
    :returns: the wait state to return from the step.
    :raises: InvalidState as ``begin`` does.
    """
    return begin(task, Operation(
        kind=str(operation.kind_of(task.node)), step=step, work='refuse',
        why=why, power_on=False, progress='refused'))


def check_stopped(task: Any, step: str) -> None:
    """Refuse a step that writes, resets or lets an instance do so.

    :raises: InvalidState while writes are held.
    """
    stopped = flash_guard.why_held(task)
    if stopped:
        raise exception.InvalidState(f'{step} refused: {stopped}')


def _check_known(node: Any) -> None:
    foreign = operation.later_version(node)
    if foreign:
        raise exception.InvalidState(f'node {node.uuid}: {foreign}')


def begin_apply(task: Any, step: str, given: object,
                max_activation: str | None = None,
                allow_disruption: object = False,
                in_band: bool = False) -> str:
    """Begin to apply a profile to a node.

    :param given: the argument ``profile`` of the step; the next ones are its
        arguments of those names.
    :param in_band: whether the agent in the ramdisk is one of the transports.
    :returns: the wait state to return from the step.
    :raises: InvalidParameterValue; InvalidState as ``begin`` does.
    """
    node = task.node
    saving.restore_overwritten(node)
    check_stopped(task, step)
    kind = str(operation.kind_of(node))
    profile, (activation, why) = check_apply(
        task, kind, given, max_activation, allow_disruption)
    inline = not isinstance(given, str)
    disruption = allow_disruption is True
    try:
        record = converge.begin(
            profile, operation.load_record(node), clock.mark(node))
        profile_snapshot.drop(node)
        operation.store_record(node, record)
        profile_snapshot.keep(node, profile)
    except AccelError as exc:
        raise exception.InvalidParameterValue(str(exc)) from exc
    return begin(task, Operation(
        kind=kind, step=step, profile=profile.name, inline=inline,
        activation=str(activation), why=why, disruption=disruption,
        in_band=in_band,
        power_on=kind != 'service' or disruption))


def check_apply(task: Any, kind: str, profile: object,
                max_activation: str | None = None,
                allow_disruption: object = False,
                max_effect: str | None = None
                ) -> tuple[Profile, tuple[Activation, str]]:
    """Check the arguments of a step that applies a profile.

    :param kind: of the operation that the step is of.
    :returns: the profile, and the strongest reset with why it is no stronger.
    :raises: InvalidParameterValue.
    """
    related_nodes.refuse_child(task.node)
    disruption = boolean(allow_disruption)
    found, _inline = given_profile(profile)
    asked = activation_limit.asked(max_activation, max_effect)
    return found, activation_limit.strongest(task, kind, asked, disruption)


def check_reset(node: Any, kind: str | None,
                devices: object = None,
                allow_disruption: object = False) -> None:
    """Check the arguments of a step that resets devices.

    :raises: InvalidParameterValue.
    """
    related_nodes.refuse_child(node)
    if devices is not None and not (
            isinstance(devices, list)
            and all(isinstance(d, str) for d in devices)):
        raise invalid(f'devices: {devices!r}: expected a list of device ids')
    if kind == 'service' and not boolean(allow_disruption):
        raise invalid('a service step that resets devices requires '
                      'allow_disruption: true')


def check_out_of_band(node: Any) -> None:
    """Check that a node can be reached out of band.

    :raises: InvalidParameterValue.
    """
    if without_redfish(node):
        raise invalid('apply_profile requires redfish_address in driver_info; '
                      'use apply_profile_in_band for this node')


def _begin_choice(task: Any, in_band: bool) -> str:
    """Begin to select the baseline of a node and to apply it.

    :raises: InvalidParameterValue.
    """
    check_stopped(task, 'apply_baseline')
    kind = str(operation.kind_of(task.node))
    activation, why = activation_limit.strongest(task, kind, None, False)
    profile_snapshot.drop(task.node)
    return begin(task, Operation(
        kind=kind, step='apply_baseline', work=baseline.WORK,
        activation=str(activation), why=why, in_band=in_band))


def given_profile(given: object) -> tuple[Profile, bool]:
    """The profile of a step argument, and whether it is an inline profile.

    :raises: InvalidParameterValue.
    """
    try:
        if isinstance(given, str):
            return profiles.site_profiles().get(given), False
        if isinstance(given, Mapping):
            return loader.load_data(
                given, catalog=catalogue.catalogue()), True
    except AccelError as exc:
        raise exception.InvalidParameterValue(str(exc)) from exc
    raise invalid(f'profile: {type(given).__name__}: expected the name of a '
                  'site profile, or a mapping')


def boolean(value: object) -> bool:
    """The argument ``allow_disruption``.

    :raises: InvalidParameterValue where it is neither true nor false.
    """
    if isinstance(value, bool):
        return value
    raise invalid(f'allow_disruption: {value!r}: expected true or false')


def without_redfish(node: Any) -> bool:
    """Whether the agent is the only transport that can change a node."""
    return queries.bmc_address(node) is None


def invalid(text: str) -> exception.InvalidParameterValue:
    """The error for an invalid argument of a step."""
    return exception.InvalidParameterValue(text)
