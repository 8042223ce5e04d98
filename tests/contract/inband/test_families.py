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

"""The contract of every tool family, each on its own simulated tools."""

from __future__ import annotations

import contextlib
import dataclasses
from importlib import metadata
import os
from pathlib import Path
import signal

import pytest

from ironic_accel.converge.ports import Ready
from ironic_accel.converge.ports import Result
from ironic_accel.inband.machine.machine import FlashNote
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.tools import common
from ironic_accel.inband.tools.family import DeviceReading
from ironic_accel.inband.tools.family import Family
from ironic_accel.inband.tools.family import ToolReading
from ironic_accel.inband.tools import loader
from ironic_accel.inband.tools.qat import tool as qat
from ironic_accel.model import catalog
from ironic_accel.model.device import Device
from ironic_accel.model.device import Value
from ironic_accel.model.plan import Item
from ironic_accel_emulator.inside import nvml
from ironic_accel_emulator.inside import tools
from ironic_accel_emulator.inside.tools.state import State
from tests.contract.inband import families
from tests.contract.inband.families import Case
from tests.contract.inband.families import MakeImage
from tests.contract.inband import table

ALL = [pytest.param(c, id=c.name) for c in families.CASES]
BURNING = [pytest.param(c, id=c.name) for c in families.CASES if c.burn]
SETTING = [pytest.param(c, id=c.name) for c in families.CASES if c.mode]
#: sysfs does not lie: it answers with an error.
LYING = [pytest.param(c, id=c.name) for c in families.CASES
         if c.mode and c.mode.tool]
RESETTING = [pytest.param(c, id=c.name) for c in families.CASES if c.resets]
READING = [pytest.param(c, id=c.name) for c in families.CASES if c.files]
ASKING = [pytest.param(c, tool, id=f'{c.name}-{tool}')
          for c in families.CASES for tool in c.asks]


@dataclasses.dataclass
class Bench:
    """A case set up: its family, the host, the cards' state."""

    case: Case
    family: Family
    host: Machine
    state: State
    folder: Path
    flashes: list[FlashNote]
    told: list[str]

    def read(self) -> ToolReading:
        return self.family.read(self.host, [self.case.function])

    def seen(self) -> DeviceReading:
        return self.read().devices.get(
            self.case.function.address, DeviceReading())

    def device(self) -> Device:
        told = self.seen()
        return Device(
            'card', self.case.kind, address=self.case.function.address,
            pci=self.case.function.pci, serial=told.serial, fit=told.fit,
            model=told.model, part_number=told.part_number,
            components=told.components, modes=told.modes)

    def image(self, make: MakeImage) -> Ready:
        path = self.folder / 'image.bin'
        digest = make(path)
        return Ready(str(path), path.stat().st_size, digest)

    def burn(self, make: MakeImage, wanted: str | None = None
             ) -> tuple[Result, ...]:
        assert self.case.burn is not None
        item = Item('card', self.case.burn.component, 'firmware',
                    wanted or self.case.burn.wanted)
        return self.family.update(self.host, self.device(), [item],
                                self.image(make), None, False, self.progress)

    def set(self, value: Value | None = None) -> tuple[Result, ...]:
        assert self.case.mode is not None
        item = Item('card', self.case.mode.name, 'mode',
                    self.case.mode.value if value is None else value)
        return self.family.set(self.host, self.device(), [item],
                               self.progress)

    def progress(self, summary: str, percent: int | None) -> None:
        self.told.append(summary)


def _bench(case: Case, folder: Path) -> Bench:
    state = State(folder / 'state.json')
    state.create({case.function.address: case.card, **case.more})
    tools.install(folder / 'bin', state.path,
                  [t for t in case.tools if t != 'nvml'])
    (folder / 'root').mkdir()
    case.tree(folder / 'root')
    flashes: list[FlashNote] = []
    host = Machine(
        str(folder / 'root'), str(folder / 'bin'),
        {'pynvml': nvml.__name__ if 'nvml' in case.tools else None}
        ).watched(str(folder), flashes.append)
    return Bench(case, case.family(), host, state, folder, flashes, [])


@pytest.fixture
def bench(case: Case, tmp_path: Path,
          monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv('TWIN_INSIDE_STATE', str(tmp_path / 'state.json'))
    return _bench(case, tmp_path)


def test_every_cell_is_tried_or_says_why() -> None:
    """All families that are installed, against all columns."""
    names = {e.name for e in metadata.entry_points(group=loader.NAMESPACE)
             if e.module.startswith('ironic_accel.')}
    made: dict[str, set[str]] = {name: set() for name in names}
    for case in families.CASES:
        made[case.family().name] |= table.tried(case)
    cells = {(name, column) for name in names
             for column in table.COLUMNS}
    covered = {(name, c) for name, found in made.items() for c in found}
    assert cells == covered | set(table.NOT)
    assert covered & set(table.NOT) == set()
    assert all(table.NOT.values())


@pytest.mark.parametrize('case', ALL)
def test_look(bench: Bench) -> None:
    seen = bench.read()
    assert seen.warnings == ()
    told = seen.devices[bench.case.function.address]
    assert told.unread == ()
    assert {c.name: c.running for c in told.components} == \
        bench.case.versions
    assert {m.name: m.current for m in told.modes} == bench.case.modes
    assert all(c.pending is None for c in told.components)
    assert told.fit.psid == bench.case.psid
    assert told.serial == bench.case.serial


@pytest.mark.parametrize('case', ALL)
def test_claims_its_own_and_no_other(bench: Bench) -> None:
    mine = bench.case.function
    product = catalog.load().by_pci(mine.vendor_id, mine.device_id)
    assert bench.family.claims(mine, product)
    other = dataclasses.replace(mine, vendor_id='1af4', device_id='1000',
                                class_code='010000', totalvfs=None)
    assert not bench.family.claims(other, None)


@pytest.mark.parametrize('case', BURNING)
def test_update_is_pending_and_active_after_the_reset(
        bench: Bench) -> None:
    burn = bench.case.burn
    assert burn is not None
    assert burn.component in bench.family.updates(bench.host, bench.device())
    assert all(r.ok for r in bench.burn(burn.good))
    assert bench.state.read()['burns'] == [
        [bench.case.function.address, burn.component, burn.wanted]]
    assert len(bench.flashes) == 1
    assert bench.flashes[0].argv[0] == burn.tool
    bench.state.reset(burn.reset)
    card = bench.state.read()['cards'][bench.case.function.address]
    assert card['parts'][burn.component]['running'] == burn.wanted
    running = {c.name: c.running for c in bench.seen().components}
    assert running == {
        **bench.case.versions,
        **({burn.component: burn.wanted} if burn.shown else {})}


@pytest.mark.parametrize('case', BURNING)
def test_misfit_is_refused_and_nothing_written(bench: Bench) -> None:
    assert bench.case.burn is not None
    results = bench.burn(bench.case.burn.bad)
    assert [r.ok for r in results] == [False]
    assert results[0].detail is not None
    assert results[0].detail.device == 'card'
    assert bench.state.read()['burns'] == []


@pytest.mark.parametrize('case', BURNING)
@pytest.mark.parametrize('kind', ['lie', 'fail', 'garble'])
def test_success_message_alone_is_no_success(bench: Bench, kind: str) -> None:
    burn = bench.case.burn
    assert burn is not None
    bench.state.fault(burn.tool, kind, on=burn.word)
    results = bench.burn(burn.good)
    assert [r.ok for r in results] == [False]
    assert bench.state.read()['burns'] == []


@pytest.mark.parametrize('case', BURNING)
def test_update_past_its_deadline_is_still_running(
        bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    burn = bench.case.burn
    assert burn is not None
    monkeypatch.setattr(common, 'FLASH', 0.5)
    device = bench.device()
    item = Item('card', burn.component, 'firmware', burn.wanted)
    image = bench.image(burn.good)
    bench.state.fault(burn.tool, 'hang', on=burn.word)
    try:
        results = bench.family.update(bench.host, device, [item], image, None,
                                    False, bench.progress)
        assert [r.ok for r in results] == [False]
        detail = results[0].detail
        assert detail is not None and detail.running is not None
        pid = bench.flashes[0].pid
        assert str(pid) in detail.running
        os.kill(pid, 0)
    finally:
        for note in bench.flashes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(note.pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(note.pid, 0)


@pytest.mark.parametrize('case', SETTING)
def test_mode_is_set_and_read_back(bench: Bench) -> None:
    mode = bench.case.mode
    assert mode is not None
    assert mode.name in bench.family.sets(bench.host, bench.device())
    assert all(r.ok for r in bench.set())
    bench.state.reset(str(bench.case.reset_effect))
    found = next(m for m in bench.seen().modes if m.name == mode.name)
    assert mode.value in (found.current, found.pending)


@pytest.mark.parametrize('case', SETTING)
def test_a_value_that_a_card_cannot_have_is_refused(bench: Bench) -> None:
    mode = bench.case.mode
    assert mode is not None
    before = bench.seen().modes
    results = bench.set(mode.bad)
    assert [r.ok for r in results] == [False]
    assert results[0].detail is not None
    assert results[0].detail.component == mode.name
    assert bench.seen().modes == before


PPCIE = [pytest.param(families.H100_PPCIE, id='h100-ppcie')]


@pytest.mark.parametrize('case', PPCIE)
def test_protected_pcie_is_one_mode_of_gpus_and_switches(
        bench: Bench) -> None:
    assert [r.ok for r in bench.set()] == [True]
    cards = bench.state.read()['cards']
    assert [c['settings']['ppcie']['current'] for c in cards.values()] == [
        'on', 'on']
    # What has it already is not reset again.
    before = len(bench.state.read()['calls'])
    assert [r.ok for r in bench.set()] == [True]
    more = bench.state.read()['calls'][before:]
    assert not [c for c in more if any('--set' in word for word in c)]


@pytest.mark.parametrize('case', PPCIE)
def test_protected_pcie_requires_cc_off_and_no_driver(bench: Bench) -> None:
    address = bench.case.function.address
    bench.state.put(address, {'cc': 'on'})
    bench.state.reset('device-reset', address)
    (result,) = bench.set()
    assert result.detail is not None
    assert (result.detail.expected, result.detail.seen) == ('off', 'on')
    bench.state.put(address, {'cc': 'off'})
    bench.state.reset('device-reset', address)
    (bench.folder / 'root/sys/bus/pci/devices' / families.NVSWITCH
     / 'driver').symlink_to('../../drivers/nvidia-nvswitch')
    (result,) = bench.set()
    assert result.detail is not None
    assert 'nvidia-nvswitch is bound to' in result.detail.summary


@pytest.mark.parametrize('case', LYING)
def test_mode_that_did_not_change_is_a_failure(bench: Bench) -> None:
    mode = bench.case.mode
    assert mode is not None and mode.tool is not None
    bench.state.fault(mode.tool, 'lie', on=mode.word)
    assert [r.ok for r in bench.set()] == [False]


@pytest.mark.parametrize('case', RESETTING)
def test_reset(bench: Bench) -> None:
    device, activation = bench.device(), bench.case.reset_effect
    assert bench.family.resets(bench.host, device) is activation
    assert bench.family.reset(bench.host, device, activation,
                              bench.progress) == ()
    assert bench.case.resets is not None
    bench.state.fault(bench.case.resets, 'fail')
    results = bench.family.reset(
        bench.host, device, activation, bench.progress)
    assert [(r.ref, r.ok) for r in results] == [(('card', 'reset'), False)]


@pytest.mark.parametrize(('case', 'tool'), ASKING)
def test_a_missing_tool_is_one_warning(bench: Bench, tool: str) -> None:
    if tool == 'nvml':
        bench.host = Machine(str(bench.folder / 'root'),
                          str(bench.folder / 'bin'), modules={'pynvml': None})
    else:
        (bench.folder / 'bin' / tool).unlink()
    seen = bench.read()
    # A tool for devices of any vendor need not be on every machine.
    assert [w.uri for w in seen.warnings] == (
        [] if bench.family.generic else [tool])
    assert all('not installed' in w.message for w in seen.warnings)
    device = bench.device()
    if bench.case.burn is not None and bench.case.burn.tool == tool:
        assert bench.family.updates(bench.host, device) == frozenset()
    if bench.case.mode is not None and bench.case.mode.tool == tool:
        assert bench.family.sets(bench.host, device) == frozenset()


@pytest.mark.parametrize('case', READING)
@pytest.mark.parametrize('content', [None, b'', b'\0\7{"%% fault [[[\n'])
def test_missing_or_invalid_files_report_nothing(
        bench: Bench, content: bytes | None) -> None:
    for name in bench.case.files:
        path = bench.folder / 'root' / name
        path.unlink()
        if content is not None:
            path.write_bytes(content)
    told = bench.seen()
    assert told.components == ()
    assert [m.current for m in told.modes if m.current is not None] == []
    # A file that is not there is a driver that does not tell; one that
    # holds nonsense was asked in vain.
    assert content is None or bench.case.family is not qat.Qat or [
        u.facts for u in told.unread] == [('mode:services',)]


@pytest.mark.parametrize(('case', 'tool'), ASKING)
def test_a_hanging_tool_is_ended(
        bench: Bench, tool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, 'ASK', 0.5)
    bench.state.fault(tool, 'hang')
    told = bench.seen()
    assert any(u.source == tool and 'in time' in u.answer and u.facts
               for u in told.unread)


@pytest.mark.parametrize(('case', 'tool'), ASKING)
def test_garbled_output_is_a_warning(bench: Bench, tool: str) -> None:
    bench.state.fault(tool, 'garble')
    told = bench.seen()
    assert any(u.source == tool and u.facts for u in told.unread)
    case = bench.case
    known = ([c for c in told.components if c.running],
             [m for m in told.modes if m.current is not None])
    assert (len(known[0]), len(known[1]), told.serial) != (
        len(case.versions), len(case.modes), case.serial)
