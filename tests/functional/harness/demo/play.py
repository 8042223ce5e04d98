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

"""The demo from its first line to its last."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import TextIO

from tests.functional.harness import Lab
from tests.functional.harness import LabError
from tests.functional.harness.demo import cast as cast_mod
from tests.functional.harness.demo import closing
from tests.functional.harness.demo import opening
from tests.functional.harness.demo import profiles
from tests.functional.harness.demo import proving
from tests.functional.harness.demo import scheduling
from tests.functional.harness.demo.show import Faces
from tests.functional.harness.demo.show import Plans
from tests.functional.harness.demo.show import Show


#: Ironic hashes the BMC's password with 600,000 rounds at each power sync,
#: and its debug log has every answer of a BMC: neither is part of the story.
_SETTINGS: dict[str, dict[str, object]] = {
    'DEFAULT': {'debug': False},
    'conductor': {'sync_power_state_interval': 120}}


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """What may be chosen.

    :ivar captures: folder with captures of real machines.
    :ivar keep: leave logs and databases behind.
    :ivar nova: play the chapter with Nova as well.
    """

    captures: pathlib.Path
    keep: bool = False
    nova: bool = False


def play(faces: Faces, plans: Plans, options: Options,
         stream: TextIO) -> int:
    """Play the story.

    :returns: 0 where everything came as it is told, 4 otherwise.
    """
    show = Show(faces, plans, stream)
    lab = Lab(_SETTINGS, options.keep)
    try:
        with lab:
            _story(show, lab, options)
            if options.keep:
                show.line(f'logs and databases: {lab.folder}')
    except LabError as error:
        show.line()
        show.line(f'FAILED after {show.seconds:.0f} s: {error}')
        show.line(f'logs and databases: {lab.folder}')
        return 4
    show.line()
    show.line(f'All of it came as it is told: {show.held} expectations held '
              f'in {show.seconds:.0f} s.')
    return 0


def _story(show: Show, lab: Lab, options: Options) -> None:
    profiles.write(lab)
    crew = opening.one_services(show, lab, options.captures)
    # The HGX machine comes with ECC off, so that there is something to set.
    for gpu in range(1, 9):
        crew[cast_mod.HGX].twin.control.post(
            '/device', {'mode': f'GPU_SXM_{gpu}/ecc', 'current': False})
    opening.two_inventory(show, crew)
    opening.three_plan(show, crew)
    proving.four_burn(show, crew)
    proving.five_placement(show, crew)
    proving.six_again(show, crew)
    closing.seven_deploy(show, crew)
    closing.eight_refused(show, crew)
    if options.nova:
        scheduling.nine_nova(show, crew)
