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

"""What the lab tests with a real agent do again and again."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import importlib.resources
import itertools
import json
import pathlib
import shutil
from typing import Any

import pytest
import yaml

from ironic_accel_emulator import images
from tests.functional import stage
from tests.functional.harness import Lab
from tests.functional.harness import LabError
from tests.functional.harness import rest
from tests.functional.harness.agent import ACCOUNT
from tests.functional.harness.agent import Host
from tests.functional.harness.machines import Machine

#: The card that mstflint writes, and its firmware in the BMC's inventory.
CX7 = {'kind': 'nic', 'product': 'nvidia-connectx-7'}
BLUEFIELD = {'kind': 'dpu', 'product': 'nvidia-bluefield-3'}
CX7_PSID = 'MT_0000000834'
BLUEFIELD_PSID = 'MT_0000000884'
CX7_PART = 'NIC6_ConnectX-7'
CX7_NEW = '28.43.1014'

_numbers = itertools.count(1)


def step(profile: str | dict[str, Any], **args: Any) -> dict[str, Any]:
    """The step that brings a profile about with the ramdisk's help."""
    return {**stage.step(profile, **args), 'step': 'apply_profile_in_band'}


def boot(make: Callable[..., Machine], box: str, scale: int = 240,
         **fields: Any) -> tuple[Machine, Host]:
    """A box, off, whose host boots a ramdisk; its node is manageable."""
    try:
        made = make('--system', box, '--power', 'off',
                    '--time-scale', str(scale), **fields)
    except LabError as error:
        if 'nobody' in str(error):
            pytest.skip(str(error))
        raise
    made.ironic.api.manage(made.uuid)
    assert made.host is not None
    return made, made.host


def with_cards(lab: Lab, box: str) -> str:
    """A shipped box, with cards that its BMC shows but cannot burn.

    A BlueField-3 and a ConnectX-7: they take the place of its own adapters.
    """
    found, pcie = (yaml.safe_load((
        importlib.resources.files('ironic_accel_emulator') / 'boxes'
        / f'{name}.yaml').read_text()) for name in (box, 'pcie-a100'))
    found['hosts'][0]['adapters'] = [
        {**a, 'updateable': False} for a in pcie['hosts'][0]['adapters']]
    path = lab.folder / f'{box}-{next(_numbers)}.yaml'
    path.write_text(json.dumps(found))
    return str(path)


def image(lab: Lab, psid: str = CX7_PSID) -> dict[str, Any]:
    """An image for the ConnectX-7, as a profile names it."""
    path = pathlib.Path(lab.folder, 'images', f'nic-{next(_numbers)}.bin')
    return {'url': f'{lab.images.url}/{path.name}',
            'sha256': images.mlnx_image(path, CX7_NEW, psid),
            'fits': {'psid': CX7_PSID}}


def burning(lab: Lab, modes: Mapping[str, Any] | None = None,
            psid: str = CX7_PSID) -> dict[str, Any]:
    """Fields of a profile that burns the ConnectX-7, and sets modes of it.

    :param psid: what the image itself says that it is for.
    """
    return {'images': {'fw': image(lab, psid)}, 'devices': {'nics': {
        'match': CX7, 'count': 1, 'modes': dict(modes or {}), 'firmware': {
            'nic': {'version': CX7_NEW, 'image': 'fw'}}}}}


def settings(host: Host, psid: str = CX7_PSID) -> dict[str, Any]:
    """What a card's parameters are now, as mstconfig names them.

    :raises: AssertionError where one of them waits for a reset.
    """
    found, = [c['settings'] for c in host.inside.read()['cards'].values()
              if c['facts'].get('psid') == psid]
    assert [v for v in found.values() if v['pending'] is not None] == []
    return {name: value['current'] for name, value in found.items()}


def component(machine: Machine, name: str = CX7_PART) -> dict[str, Any]:
    """A firmware as the simulated BMC has it."""
    state = machine.twin.state()
    assert isinstance(state, dict)
    return dict(state['components'][name])


def pace(host: Host, seconds: float) -> None:
    """Let a burn take so many real seconds."""
    with host.inside.change() as state:
        state['pace'] = seconds


def debian(host: Host) -> pathlib.Path:
    """An instance as Debian lays it out, as far as a first boot needs it."""
    root = host.instance
    for name in ('usr/lib/systemd/systemd', 'usr/bin/python3',
                 'usr/lib/python3.11/os.py', 'etc/hostname', 'sbin/.keep'):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (root / 'sbin/init').symlink_to('/lib/systemd/systemd')
    for path in (root, *root.rglob('*')):
        shutil.chown(path, ACCOUNT)
    return root


def updates(host: Host) -> list[list[str]]:
    """Address, part and version of each image that was written inside."""
    return list(host.inside.read()['burns'])


def flashes(host: Host) -> bool:
    """Whether a tool writes to a card just now."""
    return any(part.get('flashing')
               for one in host.inside.read()['cards'].values()
               for part in one['parts'].values())


def reset(machine: Machine) -> None:
    """Reset the host behind Ironic's back, through its BMC."""
    rest.RestClient(machine.twin.url, {}).post(
        '/redfish/v1/Systems/1/Actions/ComputerSystem.Reset',
        {'ResetType': 'ForceRestart'})
