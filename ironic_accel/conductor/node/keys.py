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

"""Every key that this project keeps with a node: where, what, and how long.

This is the only place that spells them. It imports nothing of Ironic, so
that the commands read by it what the conductor writes; the contributor's
table "Where state is kept" is made of ``KEYS``.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import functools
import logging
import math
from typing import Any
from typing import Generic
from typing import TypeVar

from ironic_accel.conductor.node import stored_values as values
from ironic_accel.conductor.node.stored_values import misfit

LOG = logging.getLogger(__name__)

T = TypeVar('T')

#: Prefix of all keys of ironic-accel in fields that others write to.
PREFIX = 'accel_'

INTERNAL = 'driver_internal_info'
DRIVER = 'driver_info'
PROPERTY = 'properties'
EXTRA = 'extra'
PLUGIN_DATA = 'inspection data, plugin_data'
FIRMWARE = 'firmware components'
HISTORY = 'node history'


@dataclasses.dataclass(frozen=True)
class Key(Generic[T]):
    """One key.

    :ivar where: the field of the node, or the table, that it is kept in.
    :ivar hint: what the value has to be (``stored_values.misfit``).
    :ivar holds: what it holds, in a sentence.
    :ivar writer: who writes it.
    :ivar ends: when it goes.
    :ivar instead: what is taken in the place of a value that cannot be
        read, on the safe side; None to go on as without it.
    """

    name: str
    where: str
    hint: Any
    holds: str
    writer: str
    ends: str
    instead: Callable[[Any], T | None] = lambda _value: None

    def of(self, node: Any) -> T | None:
        """The value that a node has, or None.

        :param node: a node, or anything with the field that it is kept in.
        """
        return self.read(getattr(node, self.where),
                         getattr(node, 'uuid', None))

    def read(self, field: Mapping[str, Any] | None,
             node: str | None = None) -> T | None:
        """The value in a field of a node, or None.

        A malformed value is logged, once.

        :param node: the uuid of the node, for the log.
        """
        value = (field or {}).get(self.name)
        if value is None:
            return None
        why = misfit(value, self.hint)
        if why is None:
            found: T = value
            return found
        tell(self.name, node, why)
        return self.instead(value)

    def is_there(self, node: Any) -> bool:
        """Whether a node has the key, whatever its value."""
        return self.name in (getattr(node, self.where) or {})

    def put(self, node: Any, value: T) -> None:
        """Set the value; the caller saves the node."""
        node.set_driver_internal_info(self.name, value)

    def drop(self, node: Any) -> None:
        """Remove it, if it is there; the caller saves the node."""
        node.del_driver_internal_info(self.name)


@functools.lru_cache(maxsize=1024)
def tell(name: str, node: str | None, why: str) -> None:
    """Log, once, that a value is malformed, and why."""
    LOG.warning('Ignoring malformed %(key)s of node %(node)s: '
                '%(why)s', {'node': node or '(unknown)', 'key': name,
                            'why': why})


def _readable(hint: Any, value: Any, instead: Any = None) -> dict[str, Any]:
    """The members that can be read, and what is taken for the others."""
    if not isinstance(value, Mapping):
        return {}
    return {k: v if misfit(v, hint) is None else instead
            for k, v in value.items()
            if instead is not None or misfit(v, hint) is None}


OPERATION = Key[values.StoredOperation](
    'accel_operation', INTERNAL, values.StoredOperation,
    holds='The operation in progress on the accelerators: its step, when its '
          'next tick is due, and what is restored at its end.',
    writer='Steps and refreshes that begin an operation, and each tick of it.',
    ends='At the end of the operation, or by the next cleanup if its step has '
         'ended.')
RECORD = Key[values.StoredRecord](
    'accel_record', INTERNAL, values.StoredRecord,
    holds='The record of a run: the write in progress, attempts, resets, '
          'and what is staged until a reset.',
    writer='The run, before and after each write.',
    ends='At the end of the run, unless something is still staged or in '
         'progress: the next run continues with that.',
    # A conductor leaves a node alone whose record it does not know.
    instead=lambda _value: {'schema': 'unreadable'})
PROFILE = Key[Mapping[str, Any]](
    'accel_profile', INTERNAL, Mapping[str, Any],
    holds='The profile of the run as it was when the run began; a large one '
          'is compressed.',
    writer='The step that begins the run.',
    ends='At the end of the operation.',
    instead=lambda _value: {})
RESULT = Key[Mapping[str, Any]](
    'accel_result', INTERNAL, Mapping[str, Any],
    holds='The outcome of the last operation.',
    writer='The operation, at its end; verification and inspection.',
    ends='When the next operation begins or ends.')
LEFT_OFF = Key[str](
    'accel_left_off', INTERNAL, str,
    holds='The id of the operation whose host reset left the host off: the '
          'next operation does not take it for one that was off before.',
    writer='An operation that could not power its host on again, or that was '
           'aborted before it did.',
    ends='When the host is on, or somebody else changes its power state.',
    instead=lambda _value: '')
SUMMARY = Key[values.StoredSummary](
    'accel_summary', INTERNAL, values.StoredSummary,
    holds='The last inventory in short: when it was, how many devices of '
          'each kind, and the worst health of the accelerators.',
    writer='Every inventory that is stored.',
    ends='When ironic-accel is disabled for the node.')
INSIDE_VOID = Key[float](
    'accel_inside_void', INTERNAL, float,
    holds='When a tenant left the node (epoch seconds). Data that only the '
          'ramdisk can read may have changed since they were read.',
    writer='The end of a tenancy.',
    ends='With the next inventory from the ramdisk.',
    instead=lambda _value: math.inf)
GUARD = Key[values.StoredGuard](
    'accel_guard', INTERNAL, values.StoredGuard,
    holds='The power lock: the update in progress, during which the node must '
          'not be powered off and its BMC not reset.',
    writer='The save before a write, and every inventory that finds an update '
           'in progress.',
    ends='When two inventories found the node idle, or by ``baremetal '
         'accelerator unlock``.',
    instead=lambda _value: {
        'what': 'an accelerator (the power lock is malformed)',
        'kind': 'action', 'state': 'unknown', 'until': 0.0})
HOLD = Key[values.StoredHold](
    'accel_hold', INTERNAL, values.StoredHold,
    holds='The hold of the node, while which no write and no reset begins: '
          'its reason, user and time.',
    writer='``baremetal accelerator hold``.',
    ends='By ``baremetal accelerator unhold``.',
    instead=lambda _value: {
        'reason': 'the hold is malformed', 'by': None, 'at': 0.0})
CLOCK = Key[values.StoredClock](
    'accel_clock', INTERNAL, values.StoredClock,
    holds='The elapsed time of the node, by which deadlines and power locks '
          'are measured independently of the clocks of the conductors.',
    writer='Each tick of an operation.',
    ends='When ironic-accel is disabled for the node.')
FENCE = Key[str](
    'accel_fence', INTERNAL, str,
    holds='The fencing token ``GENERATION:MARK``: a conductor that lost the '
          'node can no longer save it.',
    writer='Each save.',
    ends='When ironic-accel is disabled for the node.')
TRAITS = Key[Mapping[str, Any]](
    'accel_traits', INTERNAL, Mapping[str, Any],
    holds='The published traits by name, each with its meaning (see '
          '``model.trait_meaning``).',
    writer='Publication and withdrawal of traits.',
    ends='When ironic-accel is disabled for the node.')
VOID = Key[list[str]](
    'accel_void', INTERNAL, list[str],
    holds='Traits that are void and kept until the instance that requires '
          'them is deleted.',
    writer='Withdrawal of traits.',
    ends='When they are removed or become valid again.')
PROOFS = Key[dict[str, values.StoredProof]](
    'accel_proofs', INTERNAL, dict[str, values.StoredProof],
    holds='The verified site profiles of the node: digest, devices and time.',
    writer='Publication of a complete inventory.',
    ends='When the profile or one of its devices changes, when the '
         'verification expires, or after a tenant had the node.',
    # A digest that no profile has: it is void, and its trait goes.
    instead=lambda value: _readable(
        values.StoredProof, value, {'digest': '', 'at': 0.0, 'devices': []}))
TENANT = Key[bool](
    'accel_tenant', INTERNAL, bool,
    holds='Whether the node was deployed: earlier verifications are void once '
          'the instance is deleted.',
    writer='Deployment, and publication on a node with an instance.',
    ends='When the instance is deleted and the traits that it may have '
         'changed are withdrawn.',
    instead=lambda _value: True)
APPLIED = Key[str](
    'accel_applied', INTERNAL, str,
    holds='The site profile that was applied last. The device counts of the '
          'node are compared with it.',
    writer='Publication at the end of a run.',
    ends='When ironic-accel is disabled for the node.')
DIFFERING = Key[list[str]](
    'accel_differing', INTERNAL, list[str],
    holds='Profiles that are not published because conductors have different '
          'profiles of that name.',
    writer='Publication, and cleanup.',
    ends='When the conductors have the same profile again and the node was '
         'refreshed.')
SITE = Key[values.StoredSite](
    'accel_site', INTERNAL, values.StoredSite,
    holds='The digests of the site profiles of one conductor, which the other '
          'conductors compare with theirs, and its releases.',
    writer='Each conductor, on one of its nodes.',
    ends='When ironic-accel is disabled for the node. Digests of offline '
         'conductors are ignored.')
CLAIMS = Key[values.StoredClaims](
    'accel_claims', INTERNAL, values.StoredClaims,
    holds='The devices of the node, by digests of their serial numbers.',
    writer='Publication of a complete inventory.',
    ends='When ironic-accel is disabled for the node, or the node has no '
         'devices.')
WAITS = Key[dict[str, values.StoredWait]](
    'accel_waits', INTERNAL, dict[str, values.StoredWait],
    holds='Devices that are not published yet because another node reports '
          'them too.',
    writer='Publication of a complete inventory.',
    ends='When the other node was refreshed.',
    instead=lambda value: _readable(values.StoredWait, value))
LOOKS = Key[values.StoredLooks](
    'accel_looks', INTERNAL, values.StoredLooks,
    holds='How often the node was refreshed because another node reports one '
          'of its devices.',
    writer='The periodic that refreshes nodes with disputed devices.',
    ends='When ironic-accel is disabled for the node.')
PORTS = Key[dict[str, dict[str, Any]]](
    'accel_ports', INTERNAL, dict[str, dict[str, Any]],
    holds='What was set on the ports of a DPU or SmartNIC, by the uuid of '
          'the port.',
    writer='Publication, before it sets a field of a port.',
    ends='When it is removed from the port.',
    instead=lambda value: _readable(dict[str, Any], value))
RESOURCE_CLASS = Key[str](
    'accel_resource_class', INTERNAL, str,
    holds='The resource class that ironic-accel set. A different one was set '
          'by an operator.',
    writer='Publication.',
    ends='When the node has another resource class, or ironic-accel is '
         'disabled for it.')
PROPERTIES = Key[list[dict[str, Any]]](
    'accel_properties', INTERNAL, list[dict[str, Any]],
    holds='The value of ``properties/accelerators`` to restore after a later '
          'inspection hook overwrote it.',
    writer='The inspection hook.',
    ends='When the property was restored after the inspection.')

BASELINE = Key[str](
    'accel_baseline', DRIVER, str,
    holds='The site profile that the step ``apply_baseline`` applies to the '
          'node.',
    writer='The operator.', ends='By the operator.')
ACCEPT_UNREAD = Key[Any](
    'accel_accept_unread', DRIVER, object,
    holds='Redfish paths of sub-resources that the BMC is known not to serve.',
    writer='The operator.', ends='By the operator.')
ACCELERATORS = Key[list[dict[str, Any]]](
    'accelerators', PROPERTY, list[dict[str, Any]],
    holds='The accelerators of the node as Ironic\'s own hook lists them.',
    writer='The inspection hook.', ends='By the operator.')
ADOPTED = Key[dict[str, Any]](
    'accel_adopted', EXTRA, dict[str, Any],
    holds='The driver and the interfaces that the node had before.',
    writer='``baremetal accelerator enable``.',
    ends='With ``baremetal accelerator disable``.',
    instead=lambda _value: {})
INVENTORY = Key[Any](
    'accelerators', PLUGIN_DATA, object,
    holds='The full inventory, its transports and the last plan. The '
          'collector of the ramdisk and a hook of Ironic use this name too.',
    writer='Every inventory that is stored.',
    ends='When ironic-accel is disabled for the node.')
RAMDISK_ERROR = Key[Any](
    'accelerators_error', PLUGIN_DATA, object,
    holds='Why the ramdisk\'s collector found no inventory.',
    writer='The collector.', ends='With the next inspection.')
FIRMWARE_ROW = Key[str](
    'accel:', FIRMWARE, str,
    holds='Prefix of the firmware components of accelerators: '
          '``accel:DEVICE/COMPONENT``.',
    writer='Publication of a complete inventory.',
    ends='When the device is removed, or ironic-accel is disabled for the '
         'node.')
EVENT = Key[str](
    'accelerator', HISTORY, str,
    holds='Type of the events of ironic-accel: what was written to the node '
          'and who requested it.',
    writer='Each write, and other events that an operator needs to know of.',
    ends='By ``[conductor]node_history_max_entries``.')
GUARD_COPY = Key[str](
    'accel-guard', HISTORY, str,
    holds='Type of the event with a copy of the power lock, record, '
          'operation, clock and hold, in case Ironic overwrites them.',
    writer='Each save while the node has a power lock, an update in progress '
           'or a hold.',
    ends='When the node has none of these.')

#: All of them, in the order of the table.
KEYS: tuple[Key[Any], ...] = tuple(
    value for value in list(vars().values()) if isinstance(value, Key))

#: The provision states of Ironic's operations that have steps, by kind.
STEP_STATES = {
    'clean': frozenset({'cleaning', 'clean wait', 'clean hold'}),
    'deploy': frozenset({'deploying', 'wait call-back', 'deploy hold'}),
    'service': frozenset({'servicing', 'service wait', 'service hold'})}
#: The provision states in which a node can be refreshed. Unless it is unused,
#: its host is not powered on for it.
REFRESH_STATES = ('enroll', 'manageable', 'available', 'active',
                  'clean failed', 'deploy failed', 'service failed',
                  'inspect failed')
UNUSED_STATES = ('enroll', 'manageable', 'available')


def has_ended(current: values.StoredOperation, state: str) -> bool:
    """Whether Ironic has ended what an operation belongs to.

    An abort, a delete or a conductor that was killed leaves the operation
    behind until the next cleanup; it is in nobody's way.

    :param state: the provision state of its node.
    """
    kind = current['kind']
    if kind == 'idle':
        return current.get('work') != 'watch' and (
            current.get('state') not in (None, state))
    return state not in STEP_STATES.get(kind, frozenset())


#: The steps of refreshes that were not requested. They give way to any
#: request; conductor and commands use the same list.
FOLLOW_UP_STEP = 'look_for_moved'
VERIFY_STEP = 'verify_accelerators'
UNASKED_STEPS = frozenset({FOLLOW_UP_STEP, VERIFY_STEP})
