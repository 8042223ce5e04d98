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

"""/_twin: the control interface for state, clock, faults and hardware.

Its requests are not BMC requests, and are not counted.
"""

from __future__ import annotations

from typing import Any

from ironic_accel_emulator.bmc.messages import Reply, Request
from ironic_accel_emulator.box import Box
from ironic_accel_emulator.errors import RedfishError
from ironic_accel_emulator.parts import Activation
from ironic_accel_emulator.slot import RemoteCard


def handle(box: Box, request: Request) -> Reply:
    """Answer a control request; 400 has the error of an invalid one."""
    path = request.path.rstrip('/')
    try:
        with box.lock:
            box.tick()
            if request.method == 'GET':
                return _read(box, path)
            return Reply(200, _change(box, path, request.json()))
    except RedfishError as error:
        return Reply.of_error(error)
    except (KeyError, TypeError, ValueError) as error:
        return Reply(400, {'error': f'{type(error).__name__}: {error}'})


def _read(box: Box, path: str) -> Reply:
    if path == '/_twin/state':
        return Reply(200, box.as_dict())
    if path == '/_twin/ledger':
        return Reply(200, box.ledger.as_dict())
    if path == '/_twin/fault':
        return Reply(200, box.faults.as_dict())
    return Reply(404, {'error': f'{path}: expected /_twin/state, ledger or '
                                'fault'})


def _change(box: Box, path: str, body: dict[str, Any]) -> Any:
    if path == '/_twin/clock':
        box.advance(float(body['advance']))
        return {'time': box.timeline.now}
    if path == '/_twin/fault':
        return _fault(box, body)
    if path == '/_twin/device':
        change_device(box, body)
        return box.as_dict()['devices']
    if path == '/_twin/effect':
        box.take_effect(body.get('host'), Activation.named(body['effect']))
        return box.as_dict()['modes']
    if path == '/_twin/ledger':
        box.ledger.clear()
        return box.ledger.as_dict()
    if path == '/_twin/card':
        box.attach(RemoteCard(str(body['url'])))
        return {'cards': len(box.children)}
    raise ValueError(
        f'{path}: expected card, clock, fault, device, effect or ledger'
    )


def _fault(box: Box, body: dict[str, Any]) -> Any:
    if 'clear' in body:
        name = body['clear']
        box.faults.clear(None if name is True else name)
    elif str(body.get('name')).startswith('foreign-'):
        value = f'={body["value"]}' if body.get('value') else ''
        box.misbehave(f'{body["name"]}{value}')
    else:
        box.faults.add(**body)
    return box.faults.as_dict()


def start_foreign_task(box: Box, seconds: float = 600.0) -> str:
    """Start an update of another client; return its task's URI."""
    return box.updates.start_foreign(seconds).uri


def start_foreign_copy(box: Box) -> None:
    """Start background copies of another client."""
    for path in box.copying:
        box.updates.copy(path)


def change_device(box: Box, body: dict[str, Any]) -> None:
    """Change the hardware without the BMC.

    Keys: ``device`` with ``present``, ``health``, ``serial``;
    ``component`` with ``running``, ``pending``, ``effect``; ``mode`` with
    ``current``.
    Raises KeyError for an unknown id.
    """
    if 'device' in body:
        device = box.devices[body['device']]
        device.present = bool(body.get('present', device.present))
        device.health = str(body.get('health', device.health))
        if 'serial' in body:
            _replace_serial(box, device.uris[0], str(body['serial']))
    if 'component' in body:
        part = box.components[body['component']]
        part.running = str(body.get('running', part.running))
        part.pending = body.get('pending', part.pending)
        if 'effect' in body:
            part.activation = Activation.named(body['effect'])
    if 'mode' in body:
        mode = box.modes[body['mode']]
        mode.current = body.get('current', mode.current)


def _replace_serial(box: Box, uri: str, serial: str) -> None:
    document = box.documents.get(uri) or {}
    document['SerialNumber'] = serial
    box.documents.put(uri, document)
