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

"""The step argument ``max_activation``: the strongest reset of a step.

Earlier versions called it ``max_effect``. Deploy templates, runbooks and
clean steps with that name are still accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ironic.common import exception
from oslo_log import log

from ironic_accel.conductor.operation import host_reset
from ironic_accel.model.device import Activation

LOG = log.getLogger(__name__)

#: What Ironic lists of the argument, under both names (``argsinfo``).
ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    'max_activation': {
        'description': 'The strongest reset that this step may perform: '
                       + ', '.join(Activation) + '. The limit in the '
                       'profile applies too. In a service step the default '
                       'is none.'},
    'max_effect': {
        'description': 'Deprecated, use max_activation. The name of this '
                       'argument in earlier versions.'}}


def asked(max_activation: str | None, max_effect: str | None) -> str | None:
    """The value of the argument, under whichever name it is given.

    :raises: InvalidParameterValue where both names are given with different
        values.
    """
    if max_effect is None or max_effect == max_activation:
        return max_activation
    if max_activation is not None:
        raise exception.InvalidParameterValue(
            f'max_activation is {max_activation!r}, but max_effect, its '
            f'deprecated name, is {max_effect!r}: set max_activation only')
    return max_effect


def warn_deprecated(node: Any, step: str) -> None:
    """Log that a step has the argument under its deprecated name."""
    LOG.warning('Node %(node)s: argument max_effect of step %(step)s is '
                'deprecated and will be removed; use max_activation in '
                'deploy templates, runbooks and requests',
                {'node': node.uuid, 'step': step})


def strongest(task: Any, kind: str, limit: str | None,
              disruption: bool) -> tuple[Activation, str]:
    """The strongest reset that step and node allow, and what limits it.

    :param kind: of the operation that the step is of.
    :param limit: ``max_activation`` of the step, or None.
    :param disruption: ``allow_disruption`` of the step.
    :raises: InvalidParameterValue.
    """
    allowed, why = host_reset.strongest_allowed(task, disruption)
    if limit is None:
        if kind != 'service':
            return allowed, why or ''
        limit = 'none'
    try:
        activation = Activation(limit)
    except ValueError:
        raise exception.InvalidParameterValue(
            f'max_activation: {limit!r}: expected one of '
            + ', '.join(Activation)) from None
    if (kind == 'service' and activation is not Activation.NONE
            and not disruption):
        raise exception.InvalidParameterValue(
            f'a service step with max_activation {activation} requires '
            'allow_disruption: true')
    if activation.rank <= allowed.rank:
        return activation, f'max_activation of the step is {activation}'
    return allowed, why or ''
