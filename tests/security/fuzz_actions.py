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

"""Fuzzing of what a BMC answers to writes, and of what is asked after them.

A box is looked at whole; then something is begun on it (a push, a setting,
a reset of a device, a commit, a power action, sensors), and every answer
from then on may be bad: that to the request, tasks, monitors, jobs, settings
objects, the device's own resource.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses
import hashlib
import json
from pathlib import Path
import random
import tempfile
from typing import Any

import requests

from ironic_accel.converge.ports import Ready
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Inventory
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Change
from ironic_accel.model.plan import Item
from ironic_accel.model.plan import Transport
from ironic_accel.redfish.actions.system_power import SystemPower
from ironic_accel.redfish.backend import RedfishBackend
from ironic_accel.redfish.client.limits import BmcSettings
from ironic_accel.redfish.inventory import sensors
from tests.security import fuzz
from tests.security import mutate

FIRMWARE = b'firmware'
TASK_URI = '/redfish/v1/TaskService/Tasks/1'
#: What services answer to a write that they took (the good ones).
TAKEN: tuple[Any, ...] = (
    fuzz.TASK, {'@odata.id': '/redfish/v1/JobService/Jobs/7', 'Id': '7',
                '@odata.type': '#Job.v1_2_0.Job', 'JobState': 'Running',
                'PercentComplete': 3},
    {'Accepted': {'@Message.ExtendedInfo': [{
        'MessageId': 'SMC.1.0.OemFirmwareUpdateStarted',
        'MessageArgs': [TASK_URI]}]}},
    {'@Message.ExtendedInfo': [{'MessageId': 'Base.1.8.Success',
                                'Severity': 'OK', 'Message': 'Success'}]},
    {'error': {'code': 'Base.1.8.GeneralError', 'message': 'no',
               '@Message.ExtendedInfo': [{
                   'MessageId': 'Base.1.8.ResourceInUse',
                   'Message': 'busy', 'Severity': 'Warning'}]}})


class Bmc(fuzz.Bmc):
    """A BMC that reads what it is sent, as a network does."""

    def send(self, request: requests.PreparedRequest, *args: Any,
             **kwargs: Any) -> requests.Response:
        """Take a request whole, and answer it."""
        read = getattr(request.body, 'read', None)
        while read is not None and read(65536):
            continue
        return super().send(request, *args, **kwargs)


@dataclasses.dataclass
class Box:
    """A box that was seen, about to be changed.

    :ivar image: what is burnt.
    """

    backend: RedfishBackend
    seen: Inventory
    transport: Transport
    host: SystemPower
    connector: Any
    image: Ready


@contextlib.contextmanager
def images() -> Iterator[Ready]:
    """An image on disk."""
    with tempfile.TemporaryDirectory(prefix='accel-fuzz-') as name:
        path = Path(name) / 'fw.bin'
        path.write_bytes(FIRMWARE)
        yield Ready(str(path), len(FIRMWARE),
                    hashlib.sha256(FIRMWARE).hexdigest())


def _burn(rng: random.Random, box: Box) -> Any:
    ref = rng.choice(sorted(box.transport.updates) or [('gpu-0', 'gpu')])
    burn = box.transport.updates.get(ref)
    return box.backend.start(Action(
        'update', 'redfish', (Change(Item(*ref, 'firmware', '9.9'), None),),
        Activation.AUX_CYCLE, 'bundle', burn.also_writes if burn else ()),
        box.image, None, rng.choice((True, False)))


def _set(rng: random.Random, box: Box) -> Any:
    ref = rng.choice(sorted(box.transport.sets) or [('gpu-0', 'ecc')])
    value = rng.choice(('enabled', 'disabled', 300, -1, 'nic', 'x' * 300))
    return box.backend.start(Action('set', 'redfish', (
        Change(Item(*ref, 'mode', value), None),), Activation.WARM_REBOOT))


def _reset(rng: random.Random, box: Box) -> Any:
    names = sorted(box.transport.resets) or [d.id for d in box.seen.devices]
    return box.backend.start(Action('reset', 'redfish', tuple(
        Change(Item(n, 'gpu', 'device', None), None)
        for n in names[:rng.randint(1, 3)]), Activation.DEVICE_RESET))


def _commit(rng: random.Random, box: Box) -> Any:
    refs = [(d.id, p.name) for d in box.seen.devices for p in d.components]
    box.backend.commit(rng.sample(refs, min(3, len(refs))))


def _power(rng: random.Random, box: Box) -> Any:
    host = box.host
    rng.choice((
        host.power_state, host.power_on, lambda: host.power_off(True),
        lambda: host.power_off(False), host.warm_reboot, host.boot_mark,
        host.aux_cycle,
        lambda: host.offers('GracefulRestart')))()


def _sensors(rng: random.Random, box: Box) -> Any:
    del rng
    sensors.read(box.connector, box.seen.devices, BmcSettings())


ACTIONS: Mapping[str, Callable[[random.Random, Box], Any]] = {
    'update': _burn, 'set': _set, 'reset': _reset, 'commit': _commit,
    'power': _power, 'sensors': _sensors}


def act(rng: random.Random, source: str, image: Ready, seed: str,
        tally: fuzz.Tally) -> None:
    """One action on a box; from its first request on answers are bad."""
    docs = fuzz.documents(source)
    begun = False
    often = rng.choice((0.2, 0.6, 1.0))

    def spoil(path: str, doc: Any) -> mutate.Said | None:
        if not begun or rng.random() > often:
            # What is written is taken by this one without a word.
            return None if doc is not None else mutate.Said(
                rng.choice((200, 202, 204)), b'')
        tally.mutated += 1
        return mutate.answer(rng, rng.choice(
            (*TAKEN, *([doc] * 3 if doc is not None else ()))))

    bmc = Bmc(docs, spoil)
    connector = fuzz.connected(bmc)
    systems = docs.get('/redfish/v1/Systems', {}).get('Members') or [{}]
    system = str(rng.choice(systems).get('@odata.id'))
    with tally.attempt(seed):
        backend = RedfishBackend(connector, system, settings=fuzz.SETTINGS)
        seen = backend.observe()
        (transport,) = backend.transports(seen)
        box = Box(backend, seen, transport, SystemPower(connector, system),
                  connector, image)
        begun = True
        ticket = ACTIONS[rng.choice(sorted(ACTIONS))](rng, box)
        for _ in range(3):
            if ticket is None:
                break
            # It is kept by whoever asks, as JSON.
            kept = json.loads(mutate.encoded(dict(ticket)))
            str(backend.poll(kept)).encode()
    if bmc.hosts - {'bmc.example.org'}:
        tally.wrong.append(f'{seed}: asked {sorted(bmc.hosts)}')
