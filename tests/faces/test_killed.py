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

"""``ironic-accel apply`` is killed anywhere, and the same command ends it.

SIGKILL leaves no time for anything. A run is killed at moments that are drawn
for each kind of them: see ``killed``. With ``KILLED_AT_EVERY_MOMENT=1`` each
system is killed at all of them, and there are more systems; ``make kills``
does that.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses
import json
import os
import pathlib
import random
from typing import Any

import pytest

from ironic_accel_emulator import images
from tests.faces.conftest import booted
from tests.faces.conftest import in_time_of
from tests.faces.conftest import Machine
from tests.faces.conftest import MakeProfile
from tests.faces.conftest import Run
from tests.faces.conftest import Said
from tests.faces import killed
from tests.faces.killed import Moment

QUICK = ('--poll-interval', '0.02', '--soft-power-off-timeout', '0',
         '--allow-disruption', '--yes', '--json')
#: Whether runs are killed at all of their moments.
EVERY = bool(os.environ.get('KILLED_AT_EVERY_MOMENT'))
#: Moments of each kind that are drawn, of each system; ``make kills`` takes
#: all of every kind.
DRAWN = {'POST sent': 1, 'POST answered': 1, 'PATCH sent': 1, 'save done': 2}

#: The smallest system with a card that is updated and one with modes: the
#: PCIe server of the emulator has more of them.
SMALL = """\
summary: an A100 and a ConnectX-7
service:
  vendor: Supermicro
  product: PCIe server
  expand: 6
  push: [multipart, simple, http]
  max_image_size: 134217728
  bmc: '01.02.08'
hosts:
- id: '1'
  manufacturer: Supermicro
  model: PCIe server
  serial: TWIN-SMALL-0001
  cpus: 2
  cpu_manufacturer: AMD
  cpu_model: AMD EPYC 7763
  memory_gib: 1024
  bios: '2.6'
  gpus:
  - count: 1
    id: GPU{n}
    manufacturer: NVIDIA
    model: NVIDIA A100 80GB PCIe
    part_number: 900-21001-0020-100
    serial: 132452100000{n}
    pci: '10de:20b5:10de:1533'
    slot: 0
    memory_mib: 81920
    firmware: GPU{n}
    software_id: A100-PCIE
    version: 92.00.45.00.05
  adapters:
  - id: NIC6
    manufacturer: Mellanox Technologies
    model: NVIDIA ConnectX-7 HHHL Adapter Card
    part_number: MCX755106AS-HEAT
    serial: MT2245X00002
    pci: '15b3:1021:15b3:0041'
    firmware: NIC6_ConnectX-7
    version: 28.38.1002
    psid: MT_0000000834
    sriov: true
    macs: ['a0:88:c2:00:00:20', 'a0:88:c2:00:00:21']
"""
NIC = '28.43.1014'


@dataclasses.dataclass(frozen=True)
class Case:
    """A kind of system, and what is applied to it.

    :ivar system: its name or its description.
    :ivar power: whether its host is ``On`` or ``Off`` before.
    """

    system: str | pathlib.Path
    profile: pathlib.Path
    power: str = 'On'

    def boot(self) -> contextlib.AbstractContextManager[Machine]:
        """A new one."""
        return booted(self.system, power=self.power)


def words(machine: Machine, profile: pathlib.Path) -> list[str]:
    """The command that applies a profile to a system."""
    return ['apply', '--bmc', machine.url, '--profile', str(profile), *QUICK]


def cards(folder: pathlib.Path, mig: str = 'enabled') -> pathlib.Path:
    """A profile of the small system: firmware of its NIC, a mode of its GPU.

    The BMC cannot cycle the auxiliary power.
    """
    image = folder / 'nic'
    digest = images.mlnx_image(image, NIC, 'MT_0000000834')
    path = folder / f'{mig}.yaml'
    path.write_text(
        'profile: 1\nname: cards\nimages:\n  nic:\n'
        f'    url: {image.as_uri()}\n    sha256: {digest}\n'
        '    fits: {psid: MT_0000000834}\n'
        'limits: {minutes: 1440}\n'
        'devices:\n  nics:\n    match: {kind: nic}\n    firmware:\n'
        f'      nic: {{version: {NIC}, image: nic}}\n'
        '  gpus:\n    match: {kind: gpu}\n    count: 1\n'
        f'    modes: {{mig: {mig}}}\n')
    return path


@pytest.fixture
def small(tmp_path: pathlib.Path) -> pathlib.Path:
    """The description of the small system, in a file."""
    path = tmp_path / 'small.yaml'
    path.write_text(SMALL)
    return path


@pytest.fixture(params=['On', 'Off', *(['hgx'] if EVERY else [])])
def case(request: pytest.FixtureRequest, small: pathlib.Path,
         profile: MakeProfile, tmp_path: pathlib.Path) -> Case:
    """The small system, its host on or off; or an HGX, which needs a cycle
    of its auxiliary power."""
    if request.param == 'hgx':
        path = profile()
        path.write_text(json.dumps({**json.loads(path.read_text()),
                                    'limits': {'minutes': 1440}}))
        return Case('hgx-h100', path)
    return Case(small, cards(tmp_path), request.param)


@dataclasses.dataclass(frozen=True)
class Traces:
    """What a run that was not killed has left.

    :ivar moments: how many of each kind it had.
    :ivar changes: what its entry in the history has.
    """

    moments: Mapping[str, int]
    pushes: int
    writes: Mapping[Any, int]
    resets: list[str]
    changes: set[tuple[Any, ...]]


def changes(document: Mapping[str, Any]) -> set[tuple[Any, ...]]:
    """What the entry of a run in the history has of each component."""
    return {(c['device'], c['component'], c['from'], c['to'], c['result'],
             c['image_sha256']) for c in document['changes']}


def history(run: Run) -> list[dict[str, Any]]:
    """The entries of all runs."""
    found: list[dict[str, Any]] = run('history', '--json').document
    return found


def drawn(moments: Mapping[str, int], seed: str) -> Iterator[Moment]:
    """The moments at which a run is killed."""
    draw = random.Random(seed)  # noqa: S311
    for kind, count in sorted(moments.items()):
        most = count if EVERY else min(count, DRAWN.get(kind, 0))
        for number in sorted(draw.sample(range(1, count + 1), most)):
            yield kind, number


def check(case: Case, machine: Machine, whole: Traces, said: Said,
          entries: list[dict[str, Any]]) -> None:
    """The run that was killed has ended as one that was not."""
    assert said.code == 0, said.err
    assert said.document['outcome'] == 'converged'
    ledger = machine.box.ledger
    assert ledger.violations == []
    assert len(ledger.pushes) == whole.pushes
    assert ledger.updates() == whole.writes
    assert set(machine.box.as_dict()['hosts'].values()) == {case.power}
    # The command was run again after an end that was written: a run without
    # changes, which has an entry too.
    assert {e['outcome'] for e in entries} == {'converged'}
    assert [changes(e) for e in entries if e['changes']] == [whole.changes]


@pytest.mark.timeout(7200 if EVERY else 300)
def test_the_same_command_ends_a_run_that_was_killed(
        case: Case, run: Run, monkeypatch: pytest.MonkeyPatch,
        tmp_path: pathlib.Path, request: pytest.FixtureRequest) -> None:
    with case.boot() as machine:
        code, moments = killed.recorded(words(machine, case.profile))
        ledger = machine.box.ledger
        whole = Traces(moments, len(ledger.pushes), ledger.updates(),
                       machine.resets(), changes(history(run)[0]))
    assert (code, whole.pushes) == (0, 1)
    assert whole.resets
    failed, deaths = [], 0
    for kind, number in drawn(moments, request.node.name):
        folder = tmp_path / f'{kind} {number}'
        folder.mkdir()
        monkeypatch.setenv('XDG_STATE_HOME', str(folder))
        with case.boot() as machine:
            asked = words(machine, case.profile)
            died = killed.killed(asked, (kind, number), folder / 'output')
            with in_time_of(machine):
                said = run(*asked)
            entries = history(run)
        try:
            # How often a BMC is read depends on how fast it is.
            assert died or kind.startswith(('GET', 'save'))
            check(case, machine, whole, said, entries)
        except AssertionError as exc:
            failed.append(f'{kind} {number}: {exc}\n{said.err}')
        deaths += died
    print(f'killed at {deaths} of {sum(moments.values())} moments')
    assert not failed, f'{len(failed)} of {deaths}:\n' + '\n'.join(failed)


def test_an_auxiliary_cycle_that_was_not_requested_is_requested(
        profile: MakeProfile, run: Run, tmp_path: pathlib.Path) -> None:
    """The run was killed between its note of the request and the request."""
    with booted('hgx-h100') as machine:
        asked = words(machine, profile())
        assert killed.killed(asked, ('POST sent', 3), tmp_path / 'output')
        assert machine.resets() == ['ForceOff']
        said = run(*asked)
        assert said.code == 0, said.err
        assert machine.resets() == [
            'ForceOff', 'On', 'ForceOff', 'AuxPowerCycle', 'On']
        assert machine.box.ledger.violations == []
        assert len(machine.box.ledger.pushes) == 1
    assert 'verifying whether the auxiliary power was cycled' in said.err


@pytest.mark.parametrize(('trouble', 'code'), [
    ('foreign-task=20000', 4), ('foreign-job', 3)])
def test_a_host_that_a_reset_left_off_stays_one_that_was_on(
        profile: MakeProfile, run: Run, tmp_path: pathlib.Path, trouble: str,
        code: int) -> None:
    """The next run has another profile and must not power the host on."""
    with booted('hgx-h100') as machine:
        asked = words(machine, profile())
        other = words(machine, profile(ecc='enabled'))
        assert killed.killed(asked, ('POST sent', 3), tmp_path / 'output')
        machine.box.misbehave(trouble)
        # A task is waited for; a refusal must not come too late.
        with in_time_of(machine) if code == 4 else contextlib.nullcontext():
            said = run(*other)
        assert said.code == code, said.err
        assert 'the host may be off because of its reset: power it on' in (
            said.err)
        assert machine.resets() == ['ForceOff']
        machine.box.advance(20000)
        for task in machine.box.tasks.all.values():
            if task.foreign and not task.ended:
                task.foreign = False
                machine.box.tasks.end(task, 'Cancelled')
        said = run(*asked)
        assert said.code == 0, said.err
        assert {*machine.box.as_dict()['hosts'].values()} == {'On'}
        assert machine.resets()[-1] == 'On'


@pytest.mark.parametrize(('moment', 'outcomes', 'result'), [
    ('history begun', ['stopped', 'converged'], 'not verified'),
    ('history done', ['converged', 'converged'], 'verified')])
def test_a_run_killed_at_its_end_is_in_the_history_once_another_has_run(
        small: pathlib.Path, run: Run, tmp_path: pathlib.Path, moment: str,
        outcomes: list[str], result: str) -> None:
    with booted(small) as machine:
        assert killed.killed(words(machine, cards(tmp_path)), (moment, 1),
                             tmp_path / 'output')
        said = run(*words(machine, cards(tmp_path, 'disabled')))
    assert said.code == 0, said.err
    first, second = history(run)
    assert [first['outcome'], second['outcome']] == outcomes
    assert {(c['component'], c['to'], c['result'])
            for c in first['changes']} == {
                ('nic', NIC, result), ('mig', 'enabled', result)}
    assert {c['component'] for c in second['changes']} == {'mig'}
