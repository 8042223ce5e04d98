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

"""POST .../Actions/...: resets, commits and OEM actions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ironic_accel_emulator.bmc import accepted
from ironic_accel_emulator.bmc.messages import Reply
from ironic_accel_emulator.bmc.patching import set_mode
from ironic_accel_emulator.box import Box
from ironic_accel_emulator.documents import Document, normal
from ironic_accel_emulator.errors import RedfishError, message
from ironic_accel_emulator.families.hardware import host_of
from ironic_accel_emulator.parts import Device, Activation
from ironic_accel_emulator.templates import virtual_media

Action = Callable[[Box, str, dict[str, Any]], Reply | None]


def offered(document: Document | None) -> Iterator[str]:
    """Yield the action targets that a resource offers."""
    stack: list[Any] = [(document or {}).get('Actions')]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            if isinstance(value.get('target'), str):
                yield normal(value['target'])
            stack.extend(value.values())


def perform(box: Box, path: str, body: dict[str, Any]) -> Reply:
    """Perform an action that a resource offers.

    Raises RedfishError 404 if no resource offers it, and the errors of the
    action.
    """
    owner, _, name = path.partition('/Actions/')
    if path not in offered(box.document(owner)):
        raise RedfishError.missing(path)
    action = _ACTIONS.get(name.rpartition('/')[2])
    if action is None:
        raise RedfishError(501, 'ActionNotSupported', (name,))
    return action(box, owner, body) or Reply(204)


def _parameter(body: dict[str, Any], name: str, action: str) -> Any:
    if name not in body:
        raise RedfishError(400, 'ActionParameterMissing', (action, name))
    return body[name]


def _system_reset(box: Box, owner: str, body: dict[str, Any]) -> None:
    kind = _parameter(body, 'ResetType', 'Reset')
    box.power.reset(box.hosts[host_of(box, owner)], kind)


def _chassis_reset(box: Box, owner: str, body: dict[str, Any]) -> None:
    card = (box.document(owner) or {}).get('ChassisType') == 'Card'
    if not card:
        _system_reset(box, owner, body)
        return
    kind = _parameter(body, 'ResetType', 'Reset')
    if kind != 'PowerCycle':
        raise RedfishError.bad_parameter('ResetType', kind)
    for device in box.devices.values():
        if owner in device.uris:
            box.device_reset(device, Activation.POWER_CYCLE)


def _manager_reset(box: Box, owner: str, body: dict[str, Any]) -> None:
    kind = body.get('ResetType', 'GracefulRestart')
    if kind not in ('GracefulRestart', 'ForceRestart'):
        raise RedfishError.bad_parameter('ResetType', kind)
    box.power.bmc_reset(owner)


def _aux_reset(box: Box, owner: str, body: dict[str, Any]) -> None:
    kind = _parameter(body, 'ResetType', 'AuxPowerReset')
    if kind not in ('AuxPowerCycle', 'AuxPowerCycleForce'):
        raise RedfishError.bad_parameter('ResetType', kind)
    if box.faults.take('aux-refused'):
        raise RedfishError(400, 'ChassisPowerStateOffRequired', ('0',))
    box.power.aux_cycle(kind.endswith('Force'))


def _extended_reset(box: Box, owner: str, body: dict[str, Any]) -> None:
    """Dell's DellOemChassis.ExtendedReset (iDRAC 7.00.60).

    Dell's own clients power the server off first. The response of an iDRAC
    to a server that is on is not published; here it is refused.
    """
    kind = _parameter(body, 'ResetType', 'ExtendedReset')
    if kind != 'PowerCycle':
        raise RedfishError.bad_parameter('ResetType', kind)
    final = body.get('FinalPowerState', 'Off')
    if final not in ('On', 'Off'):
        raise RedfishError.bad_parameter('FinalPowerState', final)
    box.power.aux_cycle(False, then_on=final == 'On')


def _owner_device(box: Box, owner: str) -> Device:
    for device in box.devices.values():
        if owner == device.uris[0]:
            return device
    raise RedfishError.missing(owner)


def _device_reset(box: Box, owner: str, body: dict[str, Any]) -> None:
    kind = body.get('ResetType', 'ForceRestart')
    if kind not in ('ForceRestart', 'GracefulRestart', 'PowerCycle'):
        raise RedfishError.bad_parameter('ResetType', kind)
    box.device_reset(_owner_device(box, owner), Activation.DEVICE_RESET)


def _mode_set(box: Box, owner: str, body: dict[str, Any]) -> None:
    value = _parameter(body, 'Mode', 'Mode.Set')
    for mode in box.modes.values():
        if mode.write == (owner, '/Mode'):
            if value not in (mode.allowed or ()):
                raise RedfishError.bad_parameter('Mode', value)
            set_mode(box, mode, value)


def _commit(box: Box, owner: str, body: dict[str, Any]) -> Reply:
    """NvidiaUpdateService.CommitImage: copy the running image."""
    targets = {normal(str(t)) for t in body.get('Targets') or []}
    for part in box.components.values():
        if part.copies and (not targets or part.uri in targets):
            box.updates.copy(part.copies, part)
    return Reply(200, {'@Message.ExtendedInfo': [message('Success')]})


def _start_update(box: Box, owner: str, body: dict[str, Any]) -> Reply:
    started = box.updates.start_waiting()
    if not started:
        return Reply(204)
    task = started[0]
    fault = box.faults.find('upload-waits')
    if fault is not None:
        # X13 returns only a success: the same task continues.
        return accepted.named(task) if fault.value == 'new' else Reply(202)
    document = box.tasks.document(task.uri)
    return Reply(202, document, {'Location': task.monitor})


def _insert_media(box: Box, owner: str, body: dict[str, Any]) -> None:
    """VirtualMedia.InsertMedia: Redfish requires the URI of an image."""
    image = _parameter(body, 'Image', 'InsertMedia')
    drive = box.documents.get(owner) or {}
    if drive.get('Inserted'):
        raise RedfishError(409, 'ResourceInUse', ())
    drive.update(
        Image=image, ImageName=str(image).rpartition('/')[2],
        Inserted=bool(body.get('Inserted', True)), ConnectedVia='URI',
        WriteProtected=bool(body.get('WriteProtected', True)),
    )  # fmt: skip
    box.documents.put(owner, drive)


def _eject_media(box: Box, owner: str, body: dict[str, Any]) -> None:
    drive = box.documents.get(owner) or {}
    box.documents.put(owner, {**drive, **virtual_media.EMPTY})


_ACTIONS: dict[str, Action] = {
    'ComputerSystem.Reset': _system_reset,
    'Chassis.Reset': _chassis_reset,
    'Manager.Reset': _manager_reset,
    'NvidiaChassis.AuxPowerReset': _aux_reset,
    'DellOemChassis.ExtendedReset': _extended_reset,
    'VirtualMedia.InsertMedia': _insert_media,
    'VirtualMedia.EjectMedia': _eject_media,
    'Processor.Reset': _device_reset,
    'NetworkAdapter.Reset': _device_reset,
    'Mode.Set': _mode_set,
    'NvidiaUpdateService.CommitImage': _commit,
    'UpdateService.StartUpdate': _start_update,
}
