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

"""What the lab tests of the conductor do again and again."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import itertools
import json
import time
from typing import Any

from ironic_accel_emulator import images
from tests.functional.harness import ironic_api
from tests.functional.harness import Lab
from tests.functional.harness import process
from tests.functional.harness import rest
from tests.functional.harness.machines import Machine

SYSTEM = '/redfish/v1/Systems/System_0'
NEW = {'gpu': '96.00.A6.00.01', 'fpga': '3.11'}
GPUS = {'kind': 'gpu', 'product': 'nvidia-h100-sxm'}
POLL = 0.1
#: The property under which a test records something that it has measured.
FIGURE = 'figure'
#: Simulated seconds in a real one, where nothing is to be caught midway.
SCALE = 960
#: With it a flash goes on until ``finish``: longer than any test.
LASTING = ('--timing', 'flash=1000000')

_numbers = itertools.count(1)


def step(profile: str | dict[str, Any], **args: Any) -> dict[str, Any]:
    """The step that brings a profile about."""
    return {'interface': 'vendor', 'step': 'apply_profile',
            'args': {'profile': profile, **args}}


@contextlib.contextmanager
def site_profile(lab: Lab, name: str, **fields: Any) -> Iterator[str]:
    """A site profile, as long as the test lasts; gives its name.

    Names are made unique: the lab is shared by all tests of a run.
    """
    name = f'{name}-{next(_numbers)}'
    path = lab.profiles / f'{name}.yaml'
    path.write_text(json.dumps(
        {'profile': 1, 'name': name, 'offered': True, **fields}))
    try:
        yield name
    finally:
        path.unlink()


def burning(lab: Lab, size: int = 1 << 20, **more: Any) -> dict[str, Any]:
    """Fields of a profile that burns all GPUs of the HGX box.

    :param size: of the image's part for each component, in bytes.
    """
    path = lab.folder / 'images' / f'gpus-{next(_numbers)}.fwpkg'
    digest = images.pldm_bundle(path, {'gpu': NEW['gpu']}, size=size)
    return {
        'images': {'fw': {'url': f'{lab.images.url}/{path.name}',
                          'sha256': digest,
                          'fits': {'board': 'HGX H100 8-GPU'}}},
        'devices': {'gpus': {
            'match': GPUS, 'count': 8, 'firmware': {
                'gpu': {'version': NEW['gpu'], 'image': 'fw'}}}},
        **more}


def modes(**wanted: str) -> dict[str, Any]:
    """Fields of a profile that sets modes of the HGX box's GPUs."""
    return {'devices': {'gpus': {'match': GPUS, 'count': 8,
                                 'modes': wanted}}}


def hgx(make: Callable[..., Machine], scale: int = SCALE,
        *arguments: str) -> Machine:
    """An HGX box, on, with a manageable node that was looked at."""
    return hgxs(make, scale, arguments=arguments)[0]


def hgxs(make: Callable[..., Machine], *scales: int,
         arguments: Sequence[str] = ()) -> list[Machine]:
    """HGX boxes, one for each time scale, made ready side by side."""
    made = [make('--system', 'hgx-h100', '--power', 'on', '--time-scale',
                 str(scale), *arguments, system=SYSTEM) for scale in scales]
    for machine in made:
        machine.ironic.api.set_provision(machine.uuid, 'manage')
    for machine in made:
        machine.ironic.api.wait_node(
            machine.uuid, 'manageable', lambda node: (
                node['provision_state'] == 'manageable'
                and not node['reservation']))
    return made


def progress(machine: Machine) -> dict[str, Any]:
    """What is under way, and what came of the last thing."""
    told = machine.ironic.api.passthru(machine.uuid, 'accel_progress')
    assert isinstance(told, dict)
    return told


def refresh(machine: Machine) -> dict[str, Any]:
    """Look at a machine, and give the result."""
    asked = machine.ironic.api.passthru(
        machine.uuid, 'accel_refresh', 'POST', {})
    assert isinstance(asked, dict)
    result = wait(machine, 'the refresh to end', lambda told: (
        told['result'] if (told['result'] or {}).get('id') == asked['id']
        else None))
    assert result['error'] is None, result
    return dict(result)


def wait(machine: Machine, what: str,
         test: Callable[[dict[str, Any]], Any], seconds: float = 90) -> Any:
    """Wait until ``test(progress)`` is true, and give what it gave."""
    end = time.monotonic() + seconds
    while True:
        told = progress(machine)
        found = test(told)
        if found:
            return found
        if time.monotonic() > end:
            raise process.LabError(
                f'waited {seconds:.0f} s for {what}; last: {told}')
        time.sleep(POLL)


def writing(machine: Machine, seconds: float = 90) -> dict[str, Any]:
    """Wait until the task of a flash runs; gives the guard."""
    return dict(wait(machine, 'a flash to run', lambda told: told['guard']
                     if flashing(machine) and (
                         (told['record'] or {}).get('intent') or {}).get(
                             'ticket') else None, seconds))


def flashing(machine: Machine) -> bool:
    """Whether the simulated box is being written to at this moment."""
    state = machine.twin.state()
    assert isinstance(state, dict)
    return any(part['flashing'] for part in state['components'].values())


def finish(machine: Machine) -> None:
    """Let a flash that was made to last come to its end."""
    machine.twin.control.post('/clock', {'advance': 1000000})


def ledger(machine: Machine) -> dict[str, Any]:
    """What has reached the simulated box, counted by itself."""
    return dict(machine.twin.control.get('/ledger'))


def read(machine: Machine, path: str) -> dict[str, Any]:
    """One resource of the simulated BMC."""
    return dict(rest.RestClient(machine.twin.url, {}).get(path))


def forget(machine: Machine) -> None:
    """Count from here."""
    machine.twin.control.post('/ledger', {})


def fault(machine: Machine, name: str, **fields: Any) -> None:
    """Let a fault stand on the simulated box."""
    machine.twin.control.post('/fault', {'name': name, **fields})


def held(machine: Machine) -> bool:
    """Whether a request was met by the one fault that stands."""
    state = machine.twin.state()
    assert isinstance(state, dict)
    return [f['count'] for f in state['faults']] == [0]


def lift(machine: Machine) -> None:
    """Lift all faults."""
    machine.twin.control.post('/fault', {'clear': True})


def running(machine: Machine) -> set[str]:
    """The versions that the GPUs of the HGX box run."""
    state = machine.twin.state()
    assert isinstance(state, dict)
    return {part['running'] for name, part in state['components'].items()
            if 'GPU_SXM' in name and 'FW_GPU' in name
            and 'InfoROM' not in name}


def result(machine: Machine) -> dict[str, Any]:
    """The last result record."""
    found = progress(machine)['result']
    assert found is not None
    return dict(found)


def clean_up(machine: Machine) -> None:
    """Bring a node whose clean failed back to manageable."""
    api = machine.ironic.api
    api.wait_node(machine.uuid, 'no reservation',
                  lambda node: node['reservation'] is None)
    api.set_maintenance(machine.uuid, False)
    api.manage(machine.uuid)


def refused(call: Callable[[], Any]) -> tuple[int, str]:
    """The status and the text with which the API turns something down."""
    try:
        call()
    except rest.RestError as error:
        return error.status, str(error)
    raise AssertionError('it was not refused')


def fields(api: ironic_api.IronicApi, uuid: str) -> dict[str, Any]:
    """What a refused call must not have changed."""
    node = api.node(uuid)
    return {k: node[k] for k in (
        'provision_state', 'target_provision_state', 'power_state',
        'target_power_state', 'instance_info', 'last_error', 'maintenance')}
