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

"""The judge: what is so, and what was done, whatever any document says.

It looks at the twin's own state: what runs on each device, what is being
flashed or copied, which resets were done and which pushes taken.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Sequence
import fnmatch
import io

from ironic_accel.model import traits as trait_names
from ironic_accel.model.device import Inventory
from ironic_accel_emulator import Box
from ironic_accel_emulator.bmc.messages import Reply
from ironic_accel_emulator.bmc.messages import Request
from ironic_accel_emulator.bmc.service import Service
from ironic_accel_emulator.parts import Device
from tests.campaign.scenes import Want

#: Seconds past the profile's own limit by which a run has to have ended:
#: what one call may take (a push and its timeouts).
SLACK = 3600.0
_WRITES = ('POST', 'PATCH', 'PUT', 'DELETE')
_SESSIONS = '/redfish/v1/SessionService'


def running(box: Box) -> frozenset[str]:
    """What is under way on a box, by names that are never used again."""
    return frozenset(
        [f'{task.name} {task.id}' for task in box.tasks.running
         if task.state not in ('Pending', 'UserIntervention')]
        + [f'flash of {part.id}' for part in box.components.values()
           if part.flashing]
        + [f'copy of {path}' for path, state in box.copying.items()
           if state == 'InProgress'])


def moment(box: Box) -> str:
    """What a box does just now, in one word."""
    if box.power.bmc_away:
        return 'bmc-away'
    if any(host.change is not None for host in box.hosts.values()):
        return 'reset'
    if any(part.flashing for part in box.components.values()):
        return 'flash'
    if box.tasks.running:
        return 'verify'
    if 'InProgress' in box.copying.values():
        return 'copy'
    if any(host.power != 'On' for host in box.hosts.values()):
        return 'off'
    if not all(box.shown(d) for d in box.devices.values() if d.present):
        return 'boot'
    if any(part.pending is not None for part in box.components.values()
           ) or any(m.pending is not None for m in box.modes.values()):
        return 'landed'
    return 'after' if box.ledger.writes else 'start'


class Watch(Service):
    """A box's service that notes every write and what ran meanwhile.

    :ivar sins: what must never have happened, in words.
    :ivar before: what was under way when the present call of the loop
        began: what began after it could not have been seen.
    """

    def __init__(self, box: Box) -> None:
        super().__init__(box)
        self.sins: list[str] = []
        self.before: frozenset[str] = frozenset()

    def begin(self) -> None:
        """A call of the loop begins."""
        self.before = running(self.box)

    def handle(self, request: Request) -> Reply:
        """As ever; a write is looked at before it is carried out."""
        wrote = request.method in _WRITES
        if wrote and not request.path.startswith(_SESSIONS):
            self.box.tick()
            under_way = running(self.box) & self.before
            away = self.box.power.bmc_away
            if under_way and not away and not _powers_on(request):
                self.sins.append(
                    f'{request.method} {request.path} during '
                    f'{", ".join(sorted(under_way))}')
        return super().handle(request)


def _powers_on(request: Request) -> bool:
    """Whether a request asks for power on alone, which cuts nothing."""
    if not request.path.endswith('.Reset') or request.body is None:
        return False
    body = b''
    while piece := request.body.read(65536):
        body += piece
    request.body = io.BytesIO(body)
    return b'"On"' in body or b'"ForceOn"' in body


def _of(box: Box, want: Want) -> list[Device]:
    return [d for d in box.devices.values()
            if fnmatch.fnmatch(d.id, want.devices)]


def untrue(box: Box, wants: tuple[Want, ...]) -> Iterator[str]:
    """Why a box is not as its profile wants it, if it is not."""
    for want in wants:
        there = [d for d in _of(box, want) if d.present and not d.bricked]
        if len(there) < want.count:
            yield f'{len(there)} of {want.count} {want.devices} are there'
        for device in there:
            yield from _untrue_device(box, want, device)
        for pattern, version in want.components.items():
            for part in box.components.values():
                if fnmatch.fnmatch(part.id, pattern) and (
                        part.running != version):
                    yield f'{part.id} runs {part.running}, not {version}'


def _untrue_device(box: Box, want: Want, device: Device) -> Iterator[str]:
    for part in box.components.values():
        version = want.parts.get(part.key)
        meant = part.device == device.id and version is not None
        if meant and part.running != version and part.updateable:
            yield f'{part.id} runs {part.running}, not {version}'
    for mode in box.modes.values():
        if mode.device != device.id or mode.name not in want.modes:
            continue
        value = want.modes[mode.name]
        if mode.current != value or mode.pending not in (None, value):
            yield (f'{mode.id} is {mode.current} (pending {mode.pending}), '
                   f'not {value}')


def pushed_again(box: Box, honest: int) -> Iterator[str]:
    """Components that were written oftener than there was reason to.

    :param honest: how many failures there were, each of which is a reason.
    """
    for (part, digest), times in box.ledger.updates().items():
        if times > 1 + honest:
            yield f'{part} was written {times} times with {digest[:8]}'


def left_off(box: Box, host: str, found: str | None, end: tuple[str, str],
             downs: Sequence[float]) -> Iterator[str]:
    """That a host which was on was left off by a run that does not say so.

    :param found: how the case has it: None is on.
    :param end: outcome and words of the run.
    :param downs: when somebody else took its power.
    """
    if found is not None or box.hosts[host].power == 'On':
        return
    ours = [r.time for r in box.ledger.resets if r.target == host]
    if downs and max(downs) > max(ours, default=-1.0):
        return
    outcome, said = end
    if outcome in ('Converged', 'Refused', 'Failed') or (
            outcome == 'ResetFailed' and 'power it on' not in said):
        yield 'the host was left off'


def overrun(seconds: float, minutes: float) -> Iterator[str]:
    """That a run took longer than it may.

    :param seconds: that it took.
    :param minutes: its profile's limit.
    """
    if seconds > 60 * minutes + SLACK:
        yield f'ended after {seconds:.0f} s'


def neighbours_reset(box: Box, host: str) -> Iterator[str]:
    """Resets of hosts behind the same BMC that are not the run's.

    What reaches the whole box reaches them too.
    """
    others = {name for name in box.hosts if name != host}
    for reset in box.ledger.resets:
        if reset.target in others or (others and not reset.target):
            yield (f'{reset.kind} of {reset.target or "the whole box"}, '
                   f'which is not of {host} alone')


def sound(box: Box, host: str, kind: str) -> list[Device]:
    """The devices of a kind that are there and well."""
    return [d for d in box.devices.values()
            if d.host == host and d.kind == kind and d.present
            and not d.bricked and d.health == 'OK']


def lies(box: Box, host: str, names: list[str],
         kinds: tuple[str, ...] = ('gpu', 'fpga', 'dpu'),
         unsure: Collection[str] = ()) -> Iterator[str]:
    """Traits that are not so.

    :param names: traits as they would be published now.
    :param unsure: devices that are not well, which nothing that a BMC has
        tells: they may or may not be counted.
    """
    for kind in kinds:
        found = len(sound(box, host, kind))
        may = [n for n in unsure if box.devices[n].kind == kind]
        found = max(found, min(found + len(may), _told(kind, names)))
        stem = trait_names.trait_name(kind)
        if stem in names and not found:
            yield f'{stem}: there is none'
        for name in names:
            number = name.removeprefix(f'{stem}_X')
            if name == number or not number.isdigit():
                continue
            # One that is not read is not counted, and degrades the node.
            fewer = int(number) < found and trait_names.DEGRADED in names
            if int(number) != found and not fewer:
                yield f'{name}: there are {found}'
        yield from _mode_lies(box, host, kind, names)


def _told(kind: str, names: list[str]) -> int:
    """How many devices of a kind traits say that there are."""
    stem = trait_names.trait_name(kind)
    told = [name.removeprefix(f'{stem}_X') for name in names
            if name.startswith(f'{stem}_X')]
    return max([int(n) for n in told if n.isdigit()], default=0)


_WORDS = {('gpu', 'mig'): (True, 'MIG'), ('gpu', 'ecc'): (True, 'ECC'),
          ('dpu', 'mode'): ('NicMode', 'MODE_NIC')}


def _mode_lies(box: Box, host: str, kind: str,
               names: list[str]) -> Iterator[str]:
    well = {d.id for d in sound(box, host, kind)}
    for (of, mode), (value, word) in _WORDS.items():
        name = trait_names.trait_name(of, word)
        if of != kind or name not in names:
            continue
        wrong = [m.id for m in box.modes.values()
                 if m.device in well and m.name == mode
                 and m.current != value]
        # Those that are not counted are none of the healthy ones of which it
        # speaks: a tool may call a card lost that is not.
        told = _told(kind, names)
        left_out = max(0, len(well) - told) if told else 0
        if trait_names.DEGRADED in names and len(wrong) <= left_out:
            continue
        if wrong:
            yield f'{name}: not so on {", ".join(wrong)}'


def uncounted(inventory: Inventory) -> bool:
    """Whether nothing may be published of a look at all."""
    return inventory.host != 'on' or not inventory.complete
