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

"""Vendor passthru methods: stored data with its age, refresh, plan, disable.

A passthru method runs inside an RPC call of at most 60 s, so none of them
communicates with a BMC.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ironic.common import exception
from ironic.drivers import base
from oslo_log import log

from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.config import catalogue
from ironic_accel.conductor.config import declared_steps
from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.config import profiles
from ironic_accel.conductor.drivers import activation_limit
from ironic_accel.conductor.drivers import admission
from ironic_accel.conductor.drivers import steps
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import history
from ironic_accel.conductor.node import inventory_store
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node.operation import Operation
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.operation import baseline
from ironic_accel.conductor.operation import node_plan
from ironic_accel.conductor.publication import release
from ironic_accel.model.errors import AccelError
from ironic_accel.model import loader
from ironic_accel.model import serialization
from ironic_accel.model import step_templates
from ironic_accel.redfish.inventory import modes

LOG = log.getLogger(__name__)

OURS = frozenset({'accel_inventory', 'accel_progress', 'accel_refresh',
                  'accel_plan', 'accel_profiles', 'accel_disable',
                  'accel_release'})
_KNOWN = {'accel_inventory': frozenset[str](),
          'accel_progress': frozenset[str](),
          'accel_refresh': frozenset({'power_on'}),
          'accel_plan': frozenset({'profile', 'kind', 'via', 'max_activation',
                                   'allow_disruption'}),
          'accel_profiles': frozenset[str](),
          'accel_disable': frozenset[str](),
          'accel_release': frozenset[str]()}


class Passthru:
    """The passthru methods of the vendor interfaces."""

    def validate(self, task: Any, method: str | None = None,
                 **kwargs: Any) -> None:
        """Check a passthru call before anything is done.

        :raises: InvalidParameterValue; InvalidState for a refresh of a node
            that something is done to.
        """
        if method not in OURS:
            super().validate(task, method, **kwargs)  # type: ignore[misc]
            return
        unknown = set(kwargs) - _KNOWN[method] - {'http_method'}
        if unknown:
            known = ', '.join(sorted(_KNOWN[method])) or 'none'
            raise exception.InvalidParameterValue(
                f"{method}: {', '.join(sorted(unknown))}: unknown argument; "
                f'supported arguments: {known}')
        if method == 'accel_refresh':
            bmc_session.check(task.node)
            _check_refresh(task, kwargs.get('power_on'))
        if method in ('accel_disable', 'accel_release'):
            release.check(task)

    @base.passthru(['GET'], async_call=False, require_exclusive_lock=False,
                   description='The stored inventory of the accelerators, '
                               'with its age in seconds.')
    def accel_inventory(self, task: Any, **kwargs: Any) -> dict[str, Any]:
        """The stored inventory.

        :raises: NodeInventoryNotFound if no inventory is stored.
        """
        stored = _stored(task)
        return {'age': _age(stored.at),
                'inventory': serialization.inventory_to_dict(stored.inventory)}

    @base.passthru(['GET'], async_call=False, require_exclusive_lock=False,
                   description='The operation in progress on the '
                               'accelerators, and the result of the last one.')
    def accel_progress(self, task: Any, **kwargs: Any) -> dict[str, Any]:
        """The operation in progress, the last result, and the power lock."""
        node = task.node
        current = operation.load(node)
        stored = inventory_store.load(task)
        return {
            'operation': _progress(node, current) if current else None,
            'record': keys.RECORD.of(node),
            'result': keys.RESULT.of(node),
            'guard': flash_guard.lock_of(node),
            'stopped': flash_guard.why_held(task),
            'summary': keys.SUMMARY.of(node),
            'plan': dict(stored.plan) if stored and stored.plan else None,
            'age': _age(stored.at) if stored else None}

    @base.passthru(['POST'], async_call=False, require_exclusive_lock=True,
                   description='Start an inventory of the accelerators and '
                               'publish the result. Returns immediately with '
                               'the id that accel_progress shows. Optional '
                               'argument: power_on, whether a host that is '
                               'off is powered on (default: true on an '
                               'unused node that is not in maintenance).')
    def accel_refresh(self, task: Any, **kwargs: Any) -> dict[str, str]:
        """Begin a refresh, which the periodic continues.

        The inventory is asynchronous, the call is not: a following request for
        the progress shows this refresh and not the result of an earlier one.
        """
        node = task.node
        power_on = kwargs.get('power_on')
        # Powering a child on would power its parent on.
        free = (node.provision_state in keys.UNUSED_STATES
                and not node.parent_node and not node.maintenance)
        history.replaced(node, operation.REFRESH_STEP)
        current = operation.begin_refresh(
            node, power_on=free if power_on is None else power_on,
            asked=operation.asked_by(task.context))
        keys.RESULT.drop(node)
        saving.save(node)
        return {'id': current.id}

    @base.passthru(['GET'], async_call=False, require_exclusive_lock=False,
                   description='The site profiles of the conductor that '
                               'manages the node, with their digests.')
    def accel_profiles(self, task: Any, **kwargs: Any) -> dict[str, Any]:
        """The site profiles of this conductor, and what it publishes by."""
        known, settable = catalogue.catalogue(), modes.names()
        options = CONF.accelerator
        return {
            'conductor': CONF.host, 'writes': flash_guard.writes_allowed(),
            'interface': declared_steps.interface_type(task.driver, Passthru),
            'traits': {
                'pci': list(options.pci_traits),
                'verification_max_age': options.verification_max_age,
                'baseline_profile': options.baseline_profile},
            'profiles': [{
                'digest': p.digest, 'profile': loader.normalise(p),
                'products': {g.name: list(g.products) for g in p.groups
                             if g.products is not None},
                'steps': step_templates.needs(p, known, settable).to_dict()}
                for _, p in sorted(profiles.site_profiles().all().items())]}

    @base.passthru(['POST'], async_call=False, require_exclusive_lock=True,
                   description='Remove the accelerator traits, firmware '
                               'components, stored inventory and keys of '
                               'the node. Change the driver and interfaces '
                               'through the API afterwards.')
    def accel_disable(self, task: Any, **kwargs: Any) -> dict[str, Any]:
        """Remove everything that is stored with the node."""
        return release.disable(task)

    @base.passthru(['POST'], async_call=False, require_exclusive_lock=True,
                   description='Deprecated, use accel_disable.')
    def accel_release(self, task: Any, **kwargs: Any) -> dict[str, Any]:
        """Remove everything that is stored with the node."""
        LOG.warning('Node %s: passthru method accel_release is deprecated '
                    'and will be removed; use accel_disable',
                    task.node.uuid)
        return release.disable(task)

    @base.passthru(['POST'], async_call=False, require_exclusive_lock=False,
                   description='Plan a profile from the stored inventory. '
                               'Optional arguments: profile, the name of a '
                               'site profile or an inline profile (default: '
                               'the baseline profile of the node; the '
                               'response contains the reason for its '
                               'selection); kind (clean, deploy or service; '
                               'default: by the state of the node); via '
                               '(redfish or agent); max_activation and '
                               'allow_disruption as of the step '
                               'apply_profile.')
    def accel_plan(self, task: Any, **kwargs: Any) -> dict[str, Any]:
        """Plan what a step that applies a profile would do.

        :raises: InvalidParameterValue; NodeInventoryNotFound if no inventory
            is stored.
        """
        given = kwargs.get('profile')
        chosen: dict[str, Any] = {}
        if given is None:
            try:
                given, tried = baseline.explain(task)
            except AccelError as exc:
                raise exception.InvalidParameterValue(str(exc)) from exc
            chosen = {'baseline': tried}
            if given is None:
                return {'profile': None, 'plan': None, **chosen}
        request, why = _plan_request(task, given, kwargs)
        try:
            found = node_plan.make(task, request)
        except AccelError as exc:
            raise exception.InvalidState(str(exc)) from exc
        if found is None:
            raise exception.NodeInventoryNotFound(node=task.node.uuid)
        profile = request.profile
        return {'age': found.age, 'profile': profile.name,
                'digest': profile.digest, 'kind': request.kind,
                'via': 'agent' if request.in_band else 'redfish',
                'interface': declared_steps.interface_type(
                    task.driver, Passthru),
                'limit': {'activation': str(request.limit), 'why': why},
                'plan': {**found.to_dict(), 'blocked': admission.blocked(
                    task, request.kind, request.in_band)},
                'outdated': _outdated(task.node, found.age),
                'stopped': flash_guard.why_held(task), **chosen}


def _outdated(node: Any, age: float) -> bool:
    """Whether the last operation failed after the inventory was taken.

    What it left behind, a plan does not see.

    :param age: of the inventory, in seconds.
    """
    result = keys.RESULT.of(node) or {}
    return (result.get('outcome') == 'failed'
            and result.get('finished', 0.0) > clock.shared() - age)


def _plan_request(task: Any, given: object, args: Mapping[str, Any]
                  ) -> tuple[node_plan.Request, str]:
    """The step that a plan is made for, and why its reset is limited.

    :raises: InvalidParameterValue.
    """
    kind = args.get('kind') or admission.kind_for(task.node)
    via = args.get('via') or (
        'agent' if steps.without_redfish(task.node) else 'redfish')
    disruption = steps.boolean(args.get('allow_disruption', False))
    for name, value, known in (
            ('kind', kind, ('clean', 'deploy', 'service')),
            ('via', via, ('redfish', 'agent'))):
        if value not in known:
            raise steps.invalid(
                f'{name}: {value!r}: expected ' + ' or '.join(known))
    profile, _inline = steps.given_profile(given)
    limit, why = activation_limit.strongest(
        task, kind, args.get('max_activation'), disruption)
    return node_plan.Request(
        kind, profile, limit, disruption, via == 'agent'), why


def _check_refresh(task: Any, power_on: object) -> None:
    node = task.node
    if power_on is not None and not isinstance(power_on, bool):
        raise exception.InvalidParameterValue(
            f'power_on: {power_on!r}: expected true or false')
    if node.provision_state not in keys.REFRESH_STATES:
        raise exception.InvalidState(
            f'cannot refresh node {node.uuid} in state {node.provision_state}'
            f"; allowed states: {', '.join(keys.REFRESH_STATES)}")
    if power_on and node.maintenance:
        raise exception.InvalidState(
            f'power_on: node {node.uuid} is in maintenance, so its host is '
            'not powered on for a refresh; next: baremetal node power on '
            f'{node.uuid}')
    operation.check_free(node)


def _progress(node: Any, current: Operation) -> dict[str, Any]:
    return {'id': current.id, 'step': current.step, 'kind': current.kind,
            'profile': current.profile or None, 'phase': current.phase,
            'progress': current.progress, 'percent': current.percent,
            'writes': current.writes,
            'device_resets': current.device_resets, 'resets': current.resets,
            'seconds': round(clock.elapsed(node) - current.started, 1)}


def _stored(task: Any) -> inventory_store.Stored:
    stored = inventory_store.load(task)
    if stored is None:
        raise exception.NodeInventoryNotFound(node=task.node.uuid)
    return stored


def _age(at: float) -> float:
    return round(max(0.0, clock.shared() - at), 1)
