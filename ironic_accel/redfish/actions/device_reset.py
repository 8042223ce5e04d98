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

"""Reset devices by the least disruptive method that the BMC offers.

In this order: the device's own action ``Reset`` (Processor v1.6,
NetworkAdapter v1.11); its property ``Enabled``, written false and then true
(``processor_enable``); a power cycle of the Chassis that contains only this
card (``Chassis.Reset`` with ``PowerCycle``). The last one stands in for slot
power, for which PCIeSlots v1.6 and PCIeDevice v1.21 have neither a property
nor an action.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Poll
from ironic_accel.converge.ports import Result
from ironic_accel.converge.ports import Running
from ironic_accel.converge.ports import Unknown
from ironic_accel.model.device import Device
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import Detail
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.plan import Action
from ironic_accel.redfish.actions import processor_enable
from ironic_accel.redfish.actions import tasks
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.read_history import WaitTimes
from ironic_accel.redfish.client.reader import Reader
from ironic_accel.redfish.client import session
from ironic_accel.redfish.client.writer import Writer

#: Devices by the ids that the caller uses.
Devices = Mapping[str, Device]

_RESETS = ('#Processor.Reset', '#NetworkAdapter.Reset')
_RESET_TYPES = ('ForceRestart', 'GracefulRestart', 'PowerCycle')


def offered(reader: Reader, devices: Devices) -> dict[str, Activation]:
    """The devices that the service can reset. Makes no request."""
    out = {}
    for name, device in devices.items():
        shown = reader.known(device.uri) if device.uri else None
        if shown is not None and (
            _action(shown) is not None
            or processor_enable.offered(reader, shown)
            or _slot_power_target(reader, shown) is not None
        ):
            out[name] = Activation.DEVICE_RESET
    return out


def _action(shown: Fields) -> Fields | None:
    """The device's own ``Reset`` action, or None."""
    for name in _RESETS:
        action = shown.part('Actions', name)
        if action.has('target'):
            return action
    return None


def _slot_power_target(reader: Reader, shown: Fields) -> str | None:
    """Target of the power cycle of a Chassis that holds only this device.

    A Chassis.Reset may reset Systems and anything else in the Chassis
    (Chassis v1.28). A Chassis that holds anything else, or lists no
    ResetTypes, is therefore not used.
    """
    uri = shown.link('Links', 'Chassis')
    card = reader.known(uri) if uri else None
    if card is None or card.doc.get('ChassisType') != 'Card':
        return None
    if (card.links('Links', 'Processors') != [shown.uri]
            or card.links('Links', 'ComputerSystems')
            or card.links('Links', 'Contains')):
        return None
    action = card.part('Actions', '#Chassis.Reset')
    if 'PowerCycle' not in action.texts('ResetType@Redfish.AllowableValues'):
        return None
    return action.target('target')


def start(reader: Reader, writer: Writer, devices: Devices,
          action: Action) -> dict[str, Any]:
    """Reset devices with one request each; returns the ticket.

    A device that is reset by ``Enabled`` is disabled afterwards. Polling the
    ticket enables it again.

    :raises: Rejected, Unreachable if nothing was written; OutcomeUnknown if
        the result of the first request is unknown.
    """
    done: list[dict[str, Any]] = []
    names = dict.fromkeys(i.device for i in action.items)
    for name in names:
        refs = [list(i.ref) for i in action.items if i.device == name]
        try:
            entry = _reset_one(reader, writer, devices, name)
        except (Rejected, Unreachable, OutcomeUnknown) as error:
            if not done:
                raise
            entry = {'failed': error.detail.summary,
                     'message_id': error.detail.message_id}
        done.append({'refs': refs, **entry})
    return {'kind': 'reset', 'items': done}


def _reset_one(reader: Reader, writer: Writer, devices: Devices,
               name: str) -> dict[str, Any]:
    device = devices.get(name)
    doc = reader.fresh(device.uri) if device and device.uri else None
    if doc is None:
        raise Rejected(f'cannot read {name} before its reset', device=name)
    shown = reader.fields(doc)
    action = _action(shown)
    slot = _slot_power_target(reader, shown)
    target: str | None
    if action is not None:
        target, kind = action.target('target'), _kind(action, name)
    elif processor_enable.offered(reader, shown):
        return processor_enable.disable(reader, writer, shown)
    else:
        target, kind = slot, 'PowerCycle'
    if target is None:
        raise Rejected(f'the BMC offers no reset of {name}', device=name)
    answer = writer.send('POST', target, {'ResetType': kind})
    told = tasks.ticket(answer, [])
    if told['kind'] == 'task':
        return {'task': told}
    # 202 without a task: the end of the reset cannot be followed.
    return {'unknown': told['said']} if answer.status == 202 else {}


def _kind(action: Fields, name: str) -> str:
    """The ResetType that restarts a device.

    :raises: Rejected.
    """
    allowed = action.texts('ResetType@Redfish.AllowableValues')
    kind = next((t for t in _RESET_TYPES if t in allowed), None)
    if allowed and kind is None:
        raise Rejected(f'the BMC offers no ResetType that restarts {name}',
                       device=name, expected=', '.join(_RESET_TYPES),
                       seen=', '.join(allowed))
    return kind or 'ForceRestart'


def poll(connector: session.Connector, reader: Reader, writer: Writer,
         ticket: Mapping[str, Any], waits: WaitTimes) -> Poll:
    """Check whether the resets have ended; enable disabled devices again.

    Enabling is idempotent, so it may be sent twice. If the result of one
    reset is unknown, the result of the whole ticket is unknown.
    """
    results: list[Result] = []
    running: Running | None = None
    unknown: Unknown | None = None
    for entry in ticket.get('items', ()):
        refs = [(str(r[0]), str(r[1])) for r in entry['refs']]
        now: Poll | Detail | None = None
        if 'failed' in entry:
            now = Detail(entry['failed'], message_id=entry.get('message_id'))
        elif entry.get('switch'):
            now = processor_enable.enable(reader, writer, entry, waits)
        elif entry.get('task'):
            now = tasks.poll(connector, {
                **entry['task'], 'parts': [[*r, ''] for r in refs]})
        elif entry.get('unknown'):
            now = Unknown(
                f'the BMC accepted the reset ({entry["unknown"]})', True)
        if isinstance(now, Running):
            running = now
        elif isinstance(now, Unknown):
            unknown = now
        elif isinstance(now, Ended):
            results += now.results
        else:
            wrong = now if isinstance(now, Detail) else None
            results += [Result(r, wrong is None, wrong) for r in refs]
    return running or unknown or Ended(tuple(results))
