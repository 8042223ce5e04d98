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

#: What all keys of ours in a field that others write to begin with.
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
        """The value out of a field of a node, or None.

        One that cannot be read is told in the log, once.

        :param node: the uuid of the node, to be told.
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
    """Say in the log, once, that a value cannot be read, and why."""
    LOG.warning('Node %(node)s: the value of %(key)s cannot be read: '
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
    holds='The operation that is under way on the accelerators: which step '
          'it belongs to, when it is due, and what is restored at its end.',
    writer='Whoever begins an operation, and each tick of it.',
    ends='With the operation, or with the next cleanup where its step is '
         'over.')
RECORD = Key[values.StoredRecord](
    'accel_record', INTERNAL, values.StoredRecord,
    holds='The record of a run: the write in progress, attempts, resets, '
          'and what is staged until a reset.',
    writer='The run, before and after each write.',
    ends='At the end of the run, unless something is still staged or in '
         'progress: the next run takes that over.',
    # A conductor leaves a node alone whose record it does not know.
    instead=lambda _value: {'schema': 'unreadable'})
PROFILE = Key[Mapping[str, Any]](
    'accel_profile', INTERNAL, Mapping[str, Any],
    holds='The profile of the run as it was when the run began; a large one '
          'is compressed.',
    writer='The step that begins the run.',
    ends='With the operation.',
    instead=lambda _value: {})
RESULT = Key[Mapping[str, Any]](
    'accel_result', INTERNAL, Mapping[str, Any],
    holds='The outcome of the last operation.',
    writer='The operation, at its end; verification and inspection.',
    ends='With the next operation or its outcome.')
SUMMARY = Key[values.StoredSummary](
    'accel_summary', INTERNAL, values.StoredSummary,
    holds='The last inventory in short: when it was, and how many devices of '
          'each kind.',
    writer='Whatever stores an inventory.',
    ends='When the node is released.')
INSIDE_VOID = Key[float](
    'accel_inside_void', INTERNAL, float,
    holds='When a tenant left the node (epoch seconds): what only the '
          'ramdisk sees may have changed since it was seen.',
    writer='The end of a tenancy.',
    ends='With the next inventory out of the ramdisk.',
    instead=lambda _value: math.inf)
GUARD = Key[values.StoredGuard](
    'accel_guard', INTERNAL, values.StoredGuard,
    holds='What is being written: the power of the node must not be cut, '
          'nor its BMC reset.',
    writer='The save of a write that is about to begin, and whatever sees '
           'an update in progress.',
    ends='When the node was seen idle twice, or by '
         '``baremetal accelerator unlock``.',
    instead=lambda _value: {
        'what': 'an accelerator (the guard cannot be read)',
        'kind': 'action', 'state': 'unknown', 'until': 0.0})
HOLD = Key[values.StoredHold](
    'accel_hold', INTERNAL, values.StoredHold,
    holds='That no write and no reset may begin on the node: why, by whom '
          'and since when.',
    writer='``baremetal accelerator hold``.',
    ends='With ``baremetal accelerator unhold``.',
    instead=lambda _value: {
        'reason': 'the hold cannot be read', 'by': None, 'at': 0.0})
CLOCK = Key[values.StoredClock](
    'accel_clock', INTERNAL, values.StoredClock,
    holds='The time of the node, by which deadlines and guards are measured '
          'whatever clocks are set to.',
    writer='Each tick of an operation.',
    ends='When the node is released.')
FENCE = Key[str](
    'accel_fence', INTERNAL, str,
    holds='The fencing token ``GENERATION:MARK``: a conductor that lost the '
          'node cannot save it any more.',
    writer='Each save.',
    ends='When the node is released.')
TRAITS = Key[Mapping[str, Any]](
    'accel_traits', INTERNAL, Mapping[str, Any],
    holds='The published traits by name, with what each stands for '
          '(``model.trait_meaning`` reads it).',
    writer='Publication and withdrawal of traits.',
    ends='When the node is released.')
VOID = Key[list[str]](
    'accel_void', INTERNAL, list[str],
    holds='Traits that are void and stay until the instance that names them '
          'is gone.',
    writer='Withdrawal of traits.',
    ends='When they could be removed, or hold again.')
PROOFS = Key[dict[str, values.StoredProof]](
    'accel_proofs', INTERNAL, dict[str, values.StoredProof],
    holds='The site profiles that the node was read back to comply with: '
          'digest, devices and time.',
    writer='Publication of a complete inventory.',
    ends='When the profile or one of its devices changes, when it is too '
         'old, or when a tenant had the node.',
    # A digest that no profile has: it is void, and its trait goes.
    instead=lambda value: _readable(
        values.StoredProof, value, {'digest': '', 'at': 0.0, 'devices': []}))
TENANT = Key[bool](
    'accel_tenant', INTERNAL, bool,
    holds='That the node was deployed: what was proved before is void once '
          'the instance is gone.',
    writer='Deployment, and publication on a node with an instance.',
    ends='When the instance is gone and what it may have changed is '
         'withdrawn.',
    instead=lambda _value: True)
APPLIED = Key[str](
    'accel_applied', INTERNAL, str,
    holds='The site profile that was applied last: the node is held to its '
          'counts of devices.',
    writer='Publication at the end of a run.',
    ends='When the node is released.')
DIFFERING = Key[list[str]](
    'accel_differing', INTERNAL, list[str],
    holds='Profiles that are not published because conductors have '
          'different files under one name.',
    writer='Publication, and cleanup.',
    ends='When the conductors agree again and the node was refreshed.')
SITE = Key[values.StoredSite](
    'accel_site', INTERNAL, values.StoredSite,
    holds='The digests of the site profiles of a conductor, for the other '
          'conductors to compare with theirs.',
    writer='Each conductor, on one of its nodes.',
    ends='When the node is released; those of a conductor that is offline '
         'do not count.')
CLAIMS = Key[values.StoredClaims](
    'accel_claims', INTERNAL, values.StoredClaims,
    holds='The devices of the node, by digests of their serial numbers.',
    writer='Publication of a complete inventory.',
    ends='When the node is released, or has no devices to claim.')
WAITS = Key[dict[str, values.StoredWait]](
    'accel_waits', INTERNAL, dict[str, values.StoredWait],
    holds='Devices that are not published yet because another node claims '
          'them.',
    writer='Publication of a complete inventory.',
    ends='When the other node was refreshed.',
    instead=lambda value: _readable(values.StoredWait, value))
LOOKS = Key[values.StoredLooks](
    'accel_looks', INTERNAL, values.StoredLooks,
    holds='How often the node was refreshed because of a device that another '
          'node claims.',
    writer='The periodic that follows up claims.',
    ends='When the node is released.')
PORTS = Key[dict[str, dict[str, Any]]](
    'accel_ports', INTERNAL, dict[str, dict[str, Any]],
    holds='What was set on the ports of a DPU or SmartNIC, by the uuid of '
          'the port.',
    writer='Publication, before it sets a field of a port.',
    ends='When it is taken back.',
    instead=lambda value: _readable(dict[str, Any], value))
RESOURCE_CLASS = Key[str](
    'accel_resource_class', INTERNAL, str,
    holds='The resource class that was set: another one is an operator\'s.',
    writer='Publication.',
    ends='When the node has another resource class, or is released.')
PROPERTIES = Key[list[dict[str, Any]]](
    'accel_properties', INTERNAL, list[dict[str, Any]],
    holds='What ``properties/accelerators`` has to be once a later '
          'inspection hook has written over it.',
    writer='The inspection hook.',
    ends='When the property was set after the inspection.')

BASELINE = Key[str](
    'accel_baseline', DRIVER, str,
    holds='The site profile that the step ``apply_baseline`` applies to the '
          'node.',
    writer='The operator.', ends='By the operator.')
ACCEPT_UNREAD = Key[Any](
    'accel_accept_unread', DRIVER, object,
    holds='Redfish paths of sub-resources that the BMC is known not to '
          'answer for.',
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
    holds='The whole inventory, what could be done on it, and the last '
          'plan; the ramdisk\'s collector and Ironic\'s own hook use that '
          'name too.',
    writer='Whatever stores an inventory.',
    ends='When the node is released.')
RAMDISK_ERROR = Key[Any](
    'accelerators_error', PLUGIN_DATA, object,
    holds='Why the ramdisk\'s collector found no inventory.',
    writer='The collector.', ends='With the next inspection.')
FIRMWARE_ROW = Key[str](
    'accel:', FIRMWARE, str,
    holds='What the names of the firmware components of ours begin with: '
          '``accel:DEVICE/COMPONENT``.',
    writer='Publication of a complete inventory.',
    ends='When the device is gone, or the node is released.')
EVENT = Key[str](
    'accelerator', HISTORY, str,
    holds='The type of the events of ours: what was written to the node, '
          'and who asked for it.',
    writer='Each write, and whoever has something to tell.',
    ends='By ``[conductor]node_history_max_entries``.')
GUARD_COPY = Key[str](
    'accel-guard', HISTORY, str,
    holds='The type of the event with a copy of guard, record, operation, '
          'clock and hold, for what Ironic may write over.',
    writer='Each save while a guard stands, a write is in progress or the '
           'node is held.',
    ends='With the last of these.')

#: All of them, in the order of the table.
KEYS: tuple[Key[Any], ...] = tuple(
    value for value in list(vars().values()) if isinstance(value, Key))

#: The steps of refreshes that nobody asked for. They are in nobody's way:
#: conductor and commands have to agree about that.
FOLLOW_UP_STEP = 'look_for_moved'
VERIFY_STEP = 'verify_accelerators'
UNASKED_STEPS = frozenset({FOLLOW_UP_STEP, VERIFY_STEP})
