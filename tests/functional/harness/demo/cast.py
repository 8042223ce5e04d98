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

"""Who plays in the story: machines, and what their profiles say."""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses
import json
import pathlib
from typing import Any

from ironic_accel_emulator import images
from tests.functional.harness import Lab
from tests.functional.harness.machines import Machine

#: Simulated seconds in a real one: a bundle takes twenty simulated minutes.
TIME_SCALE = '120'

HGX, PCIE, PLAIN, CAPTURED = 'hgx-h100', 'pcie-a100', 'plain', 'gb300'
CAPTURE_FILE = 'gb300-supermicro.tar.gz'


@dataclasses.dataclass
class Cast:
    """The lab, its machines by name, and the steps that they are asked."""

    lab: Lab
    machines: dict[str, Machine]

    def __getitem__(self, name: str) -> Machine:
        return self.machines[name]

    def traits(self, name: str) -> set[str]:
        """The node's traits, as Ironic has them."""
        return self.lab.ironic.api.traits(self[name].uuid)

    def all_traits(self) -> dict[str, set[str]]:
        """Traits by machine."""
        return {name: self.traits(name) for name in self.machines}


def apply_step(profile: str | dict[str, Any], **args: Any) -> dict[str, Any]:
    """The clean, deploy or service step that brings a profile about."""
    return {'interface': 'vendor', 'step': 'apply_profile',
            'args': {'profile': profile, **args}}


def gather(lab: Lab, captures: pathlib.Path) -> Cast:
    """Start the machines, powered off, and enroll a node for each."""
    found = {}
    for name, arguments, system in _boxes(captures):
        found[name] = lab.machine(
            *arguments, '--power', 'off', '--time-scale', TIME_SCALE,
            system=system, name=name)
    return Cast(lab, found)


def _boxes(captures: pathlib.Path
           ) -> Iterable[tuple[str, list[str], str | None]]:
    """Name, the twin's arguments, and the System where there are several."""
    host = '/redfish/v1/Systems/System_0'
    yield HGX, ['--system', HGX], host
    yield PCIE, ['--system', PCIE], None
    yield PLAIN, ['--system', PLAIN], None
    capture = captures / CAPTURE_FILE
    if capture.is_file():
        # The lab's processes run in folders of their own.
        yield CAPTURED, ['--capture', str(capture.resolve())], host


def write_profile(lab: Lab, profile: dict[str, Any]) -> None:
    """Make a site profile; JSON is YAML too."""
    path = lab.profiles / f"{profile['name']}.yaml"
    path.write_text(json.dumps({'profile': 1, **profile}, indent=1))


def bundle(lab: Lab, name: str, versions: dict[str, str],
           board: str = 'hgx-h100', size: int = 4 << 20) -> dict[str, Any]:
    """Build a firmware bundle, serve it, and give its ``images`` entry."""
    path = lab.folder / 'images' / f'{name}.fwpkg'
    digest = images.pldm_bundle(path, versions, board, size)
    return {'url': f'{lab.images.url}/{path.name}', 'sha256': digest}
