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

"""PATCH: modes, BIOS attributes, boot overrides."""

from __future__ import annotations

import re
from typing import Any

from ironic_accel_emulator import pointers
from ironic_accel_emulator.box import Box
from ironic_accel_emulator.documents import Document
from ironic_accel_emulator.errors import RedfishError
from ironic_accel_emulator.ledger import Write
from ironic_accel_emulator.parts import Device, Mode

# What every service lets a client write in addition to modes: (path, pointer).
_FREE = (
    (r'/Systems/[^/]+(/Settings)?', r'/Boot/(?!BootOptions).*'),
    (r'/Systems/[^/]+', r'/(AssetTag|IndicatorLED|HostName)'),
    (r'/Systems/[^/]+', r'/LocationIndicatorActive'),
    (r'/Systems/[^/]+/Bios/Settings', r'/Attributes/.*'),
    (r'/Systems/[^/]+/SecureBoot', r'/SecureBootEnable'),
    (r'/SessionService', r'/SessionTimeout'),
    (r'/UpdateService', r'/HttpPushUriTargets(Busy)?'),
)


def patch(box: Box, path: str, body: dict[str, Any]) -> None:
    """Perform a PATCH completely or not at all.

    Raises RedfishError 400 for a property that is unknown, read-only, of
    the wrong type or not in the list.
    """
    document = box.document(path)
    if document is None:
        raise RedfishError.missing(path)
    if not body:
        raise RedfishError(400, 'UnrecognizedRequestBody')
    modes: list[tuple[Mode, Any]] = []
    free: list[tuple[str, Any]] = []
    switched: list[tuple[Device, bool]] = []
    at_once = _apply_time(body) == 'Immediate'
    for pointer, value in pointers.leaves(body):
        device = _switch_at(box, path, pointer)
        if device is not None:
            if not isinstance(value, bool):
                args = (str(value), 'Enabled')
                raise RedfishError(400, 'PropertyValueTypeError', args)
            switched.append((device, value))
            continue
        mode = _mode_at(box, path, pointer)
        if mode is not None:
            _check(mode, pointer, value)
            modes.append((mode, value))
        elif _is_free(path, pointer):
            free.append((pointer, value))
        elif not _ignored(pointer, value):
            raise _refusal(document, pointer)
    _check_together(modes)
    for mode, value in modes:
        set_mode(box, mode, value)
    for device, value in switched:
        _switch(box, device, value, at_once)
    if free:
        stored = box.documents.get(path) or document
        for pointer, value in free:
            pointers.put(stored, pointer, value)
        box.documents.put(path, stored)


def writable(box: Box, path: str) -> bool:
    """Whether anything at a path can be changed."""
    place = path.removeprefix('/redfish/v1')
    if any(re.fullmatch(where, place) for where, _ in _FREE):
        return True
    if _switch_at(box, path, '/Enabled') is not None:
        return True
    return any(mode.write[0] == path for mode in box.modes.values())


def _switch_at(box: Box, path: str, pointer: str) -> Device | None:
    """The device that a property disables (Processor.Enabled, v1.12)."""
    for device in box.devices.values():
        at = device.switched_at or device.uris[0]
        there = pointer == '/Enabled' and at == path
        if there and device.enabled is not None:
            return device
    return None


def _apply_time(body: dict[str, Any]) -> Any:
    return pointers.get(body, '/@Redfish.SettingsApplyTime/ApplyTime')


def _switch(box: Box, device: Device, on: bool, at_once: bool) -> None:
    """Enable or disable a device; in its settings object only immediately."""
    name = f'{device.id}/enabled'
    box.ledger.writes.append(Write(box.timeline.now, name, str(on)))
    if box.faults.take('silent-noop', name):
        return
    if device.switched_at is None or at_once:
        box.switch(device, on)
    else:
        device.enabled_soon = on


def _ignored(pointer: str, value: Any) -> bool:
    """Whether a part of a PATCH changes nothing.

    An empty object in an array is an unchanged element.
    """
    apply_time = pointer.startswith('/@Redfish.SettingsApplyTime/')
    return apply_time or (value == {} and '/Controllers/' in pointer)


def _mode_at(box: Box, path: str, pointer: str) -> Mode | None:
    for mode in box.modes.values():
        if mode.write == (path, pointer):
            return mode
    return None


def _is_free(path: str, pointer: str) -> bool:
    place = path.removeprefix('/redfish/v1')
    return any(
        re.fullmatch(where, place) and re.fullmatch(what, pointer)
        for where, what in _FREE
    )


def _refusal(document: Document, pointer: str) -> RedfishError:
    name = pointer.rpartition('/')[2]
    there = pointers.get(document, pointer) is not None
    kind = 'PropertyNotWritable' if there else 'PropertyUnknown'
    return RedfishError(400, kind, (name,))


def _check(mode: Mode, pointer: str, value: Any) -> None:
    args = (str(value), pointer.rpartition('/')[2])
    if type(value) is not type(mode.current):
        raise RedfishError(400, 'PropertyValueTypeError', args)
    if mode.allowed is not None and value not in mode.allowed:
        raise RedfishError(400, 'PropertyValueNotInList', args)


def _check_together(modes: list[tuple[Mode, Any]]) -> None:
    """bmcweb (NVIDIA): CC and CC-dev must not be set together."""
    names = {mode.name for mode, _ in modes}
    if {'cc', 'cc-dev'} <= names:
        raise RedfishError(400, 'QueryCombinationInvalid')


def set_mode(box: Box, mode: Mode, value: Any) -> None:
    """Write a mode: immediately, or pending until its activation."""
    now = box.timeline.now
    box.ledger.writes.append(Write(now, mode.id, str(value)))
    if box.faults.take('silent-noop', mode.id):
        return
    if mode.activation == 0:
        mode.current, mode.pending = value, None
    else:
        mode.pending = None if value == mode.current else value
