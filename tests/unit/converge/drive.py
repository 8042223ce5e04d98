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

"""A caller for the loop: drives it to its end, dies where it is told to."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import json
from typing import Any

from ironic_accel.converge import advance as loop
from ironic_accel.converge import outcome
from ironic_accel.converge import ports
from ironic_accel.converge.ports import Pace
from ironic_accel.model import profile as profile_mod
from ironic_accel.model import record as record_mod
from tests.unit.converge.box import Box

PACE = Pace()


@dataclasses.dataclass(frozen=True)
class Facts:
    """A component as a catalogue would know it."""

    order: int = 10
    alone: bool = False
    form: str = 'auto'
    longest: float | None = None


class Catalogue:
    """Components by name; what is not named has the usual facts."""

    def __init__(self, **known: Facts) -> None:
        self.known = known

    def component(self, kind: str, name: str, product: str | None = None,
                  vendor: str | None = None) -> Facts | None:
        """The facts of a component."""
        return self.known.get(name, Facts())

    def mode(self, kind: str, name: str, product: str | None = None,
             vendor: str | None = None) -> None:
        """Nothing is known of any mode."""


class Crash(BaseException):
    """The process dies: nothing may catch it."""


class Disk:
    """A journal that outlives the process, which may die while saving."""

    def __init__(self) -> None:
        self.text: str | None = None
        self.saves = 0
        self.die_before: set[int] = set()
        self.die_after: set[int] = set()

    def save(self, record: record_mod.Record) -> None:
        """Keep a record as JSON."""
        self.saves += 1
        if self.saves in self.die_before:
            raise Crash
        self.text = json.dumps(record_mod.dump(record))
        if self.saves in self.die_after:
            raise Crash

    def load(self) -> record_mod.Record | None:
        """What a new process finds."""
        raw: Mapping[str, Any] | None = (
            json.loads(self.text) if self.text else None)
        return record_mod.load(raw)


class AllImages:
    """Every image is here."""

    def get(self, image: profile_mod.Image) -> ports.Ready:
        """At once."""
        return ports.Ready('/nowhere', 1000, image.sha256)


End = outcome.Converged | outcome.Refused | outcome.Failed


def run(box: Box, profile: profile_mod.Profile, disk: Disk,
        facts: Catalogue | None = None, steps: int = 5000,
        pace: Pace = PACE) -> End:
    """Run once to the end; a crash is survived as a new process would.

    :raises: AssertionError where it does not end.
    """
    facts = facts or Catalogue()
    record = loop.begin(profile, disk.load(), box.now)
    first: record_mod.Record | None = record
    for _ in range(steps):
        try:
            if first is not None:
                disk.save(first)
                first = None
            out, record = loop.advance(
                box, AllImages(), disk, profile, record, box.now, facts,
                pace)
            if isinstance(out, outcome.Wait):
                box.now = max(box.now + 0.5, out.until)
            elif isinstance(out, outcome.PowerOn):
                box.power_on()
            elif isinstance(out, outcome.Reset):
                box.host_reset(out.activation)
                record = loop.reset_performed(record, box.now)
                disk.save(record)
            else:
                return out
        except Crash:
            box.now += 20
            found = disk.load()
            if found is None or not found.started:
                # The run had ended or had not begun: it is asked for anew.
                found = first = loop.begin(profile, found, box.now)
            record = found
    raise AssertionError('the loop does not end')


def profile(items: Mapping[str, Mapping[str, str]],
            modes: Mapping[str, Mapping[str, Any]] | None = None,
            **more: Any) -> profile_mod.Profile:
    """A profile with one group for each device."""
    image = profile_mod.Image('img', 'file:///x', 'a' * 64,
                              {'model': ('*',)})
    groups = tuple(
        profile_mod.Group(
            f'g{n}', {'location': (device,)},
            firmware={c: profile_mod.Firmware(v, image='img')
                      for c, v in wants.items()},
            modes=(modes or {}).get(device, {}))
        for n, (device, wants) in enumerate(items.items()))
    return profile_mod.Profile('p', groups, {'img': image}, digest='d' * 64,
                               **more)
