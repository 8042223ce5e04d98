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

"""Draws cases: any box, any subset of reads failing in any way, any time."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import functools
import random

from ironic_accel_emulator import FakeClock
from ironic_accel_emulator.documents import members
from tests.campaign import scenes
from tests.campaign import world
from tests.campaign.case import Case
from tests.campaign.case import drawn
from tests.campaign.case import Event
from tests.campaign.case import Trouble

#: What a read answers instead of what it should: (fault, values).
READS: tuple[tuple[str, tuple[str | None, ...]], ...] = (
    ('status', ('500', '502', '503', '504', '404', '405', '501', '403',
                '400', '429')),
    ('busy', ('5', '120', '\u00b2', '-3', '31536000', 'a year', '',
              'Fri, 31 Dec 2027 23:59:59 GMT')),
    ('body', ('503:{"error": "busy"}', '{"error": "busy"}', '[]', 'null',
              '"text"', '17', '{"Members": null}', '{"Members": {}}',
              '{"@odata.id": "/redfish/v1"}', '404:', '500:<html/>',
              '{"error": {}}', '{"error": null, "@odata.id": "/redfish/v1"}',
              '{"error": {"code": "Base.1.8.GeneralError", "message": "busy",'
              ' "@Message.ExtendedInfo": [{"MessageId": '
              '"Base.1.8.ServiceTemporarilyUnavailable"}]}}', '202:{}',
              '503:{}', '{"Id": "\\ud800"}', '{"a": NaN}',
              '[' * 200 + ']' * 200)),
    ('expire-session', (None,)),
    ('empty', (None,)), ('garbage', (None,)), ('cut', (None,)),
    ('refuse', (None,)), ('drop', (None,)), ('redirect', (None,)),
    ('hang', ('600', '45')), ('slow', ('20',)),
    ('other', (None, '/redfish/v1/Systems')),
)
#: What a document lacks or has wrong: (fault, pointers).
POINTERS = (
    '/Status', '/Status/Health', '/Status/State', '/SerialNumber', '/Model',
    '/Manufacturer', '/PartNumber', '/ProcessorType', '/Members', '/Id',
    '/Version', '/Links', '/UUID', '/PowerState', '/BootProgress',
    '/Actions', '/Oem', '/@odata.id', '/@odata.type', '/TaskState',
    '/TaskStatus', '/PercentComplete', '/Messages', '/Updateable',
    '/RelatedItem', '/SoftwareId', '/Members@odata.count', '/Processors',
    '/NetworkAdapters', '/PCIeDevices', '/FirmwareInventory', '/Controllers',
    '/Oem/Nvidia', '/Oem/Nvidia/MIGModeEnabled',
    '/MemorySummary/ECCModeEnabled', '/@Redfish.Settings', '/LastResetTime',
    '/StartTime', '/Location', '/PCIeInterface', '/Firmware', '/Mode')
PROPERTIES = ('null', 'absent', 'wrong-type', 'unknown-enum')
#: What an update service does: (fault, values).
UPDATES: tuple[tuple[str, tuple[str | None, ...]], ...] = (
    ('task-purged', (None,)), ('task-forgotten', ('5', '60', '200')),
    ('task-new', ('60',)), ('task-warning', (None,)),
    ('task-stuck', (None,)), ('task-early', (None,)),
    ('fail-component', (None,)), ('silent-noop', (None,)),
    ('foreign-task', ('120', '600', '3600')), ('weak-reset', (None,)),
    ('late-devices', ('120', '400', '1200')), ('renumber', (None,)),
)
#: Faults that an update service may learn later; drawn where it has them.
LATER: tuple[tuple[str, tuple[str | None, ...]], ...] = (
    ('task-waits', (None,)), ('monitor-error', (None,)),
    ('bare', ('200', '202')), ('success', (None,)), ('jobs', (None,)),
    ('push-refused', ('400', '503', '409', '500')), ('one-target', (None,)),
    ('targets-ignored', (None,)),
    ('if-match', ('weak', 'strong', 'quoted')),
)
#: What a tool inside does: (tool, faults).
TOOLS: tuple[tuple[str, tuple[str | None, ...]], ...] = (
    ('nvml', ('hang', 'garble', 'error-15', 'error-16', 'error-14',
              'error-999', 'error-3', 'error-6', 'lost', 'lie', 'fail')),
    ('mstflint', ('hang', 'garble', 'fail', 'lie')),
    ('mstconfig', ('hang', 'garble', 'half', 'lie', 'no-json', 'tlv',
                   'no-json-tlv', 'no-current')),
    ('mstfwreset', ('hang', 'fail', 'lie')),
    ('nvidia-smi', ('hang', 'fail', 'lie')),
    ('xbmgmt', ('hang', 'garble', 'fail', 'lie')))
PHASES = ('start', 'verify', 'flash', 'landed', 'reset', 'boot', 'copy',
          'off', 'bmc-away', 'after')

#: How often a scene is drawn, beside the others: small boxes are played in
#: a few hundredths of a second, and large ones in up to a second. None never.
SHARES: Mapping[str, int] = {
    'nic': 12, 'bf2-mode': 12, 'bf3-mode': 12, 'modes': 8, 'two-nodes': 8,
    'count-offline': 8, 'count-health': 8, 'count-cards': 6,
    'count-gb300': 4, 'count-cray': 4, 'count-hgx': 2, 'count-dell': 2,
    'cards': 2, 'inside': 3, 'inside-modes': 3, 'both': 2, 'both-modes': 2,
    'dell': 1, 'hgx-mode': 1, 'hgx': 1, 'gb300': 1}
#: Seconds between two looks. Where nothing is done a run is a row of looks.
PACES = (30.0, 60.0, 120.0, 300.0)
#: Seconds by which a clock is off.
SKEWS = (-86400.0, -7200.0, -3600.0, -60.0, 60.0, 3600.0, 7200.0, 86400.0)


@functools.cache
def paths(name: str) -> tuple[str, ...]:
    """What a scene's box has: its resources, and those of its tasks."""
    box = world.make_box(scenes.named(name), FakeClock(), None)
    found = [p for p in box.documents if p.startswith('/redfish/v1')]
    found += [f'/redfish/v1/TaskService/Tasks{tail}'
              for tail in ('', '/0', '/0/Monitor', '/1')]
    return tuple(sorted(found))


@functools.cache
def telling(name: str) -> tuple[str, ...]:
    """The resources that a look at a scene's box reads, without a fault."""
    played = world.World(Case(name))
    with played.open(), played.ports() as (backend, _):
        backend.observe()
    return tuple(sorted({r.path for r in played.box.ledger.requests}
                        | set(_members(name, played))))


def _members(name: str, played: world.World) -> list[str]:
    """Members that came with their collection, by ``$expand``."""
    known = set(paths(name))
    return [uri for r in played.box.ledger.requests
            for uri in members(played.box.documents.see(r.path))
            if uri in known]


def _where(dice: random.Random, name: str) -> str:
    """A resource, mostly one that is read; sometimes all below it."""
    pool = (dice.random() < 0.9 and telling(name)) or paths(name)
    path = dice.choice(pool)
    kind = dice.random()
    if kind < 0.75:
        return path + '$'
    if kind < 0.9:
        return path
    return '/' + path.rstrip('/').rpartition('/')[2]


def _when(dice: random.Random) -> dict[str, object]:
    """When it begins and how long it stands."""
    out: dict[str, object] = {}
    if dice.random() < 0.5:
        out['at'] = dice.choice((0.0, 0.0, 0.1, 1.0, 40.0, 100.0, 250.0))
    else:
        out.update(at=None, phase=dice.choice(PHASES))
    out['lasts'] = dice.choice((None, None, 2.0, 45.0, 200.0, 1000.0))
    if dice.random() < 0.3:
        out['count'] = dice.choice((1, 1, 2, 3, 10))
    if dice.random() < 0.2:
        out['skip'] = dice.choice((1, 2, 5))
    return out


def _of(dice: random.Random,
        table: Sequence[tuple[str, tuple[str | None, ...]]]
        ) -> tuple[str, str | None]:
    name, values = dice.choice(table)
    return name, dice.choice(values)


def trouble(dice: random.Random, scene: str) -> Trouble:
    """One trouble of any kind."""
    kind = dice.random()
    when = _when(dice)
    if 'agent' in scenes.named(scene).transports and dice.random() < 0.7:
        tool, how = _of(dice, TOOLS)
        card = dice.choice((None, *(f'{n:02x}:00.0' for n in range(16, 23))))
        when.pop('skip', None)
        when.pop('count', None)
        return Trouble('tool', f'{tool}={how}', card,
                       **when)  # type: ignore[arg-type]
    if kind < 0.6:
        name, value = _of(dice, READS)
        method = None if name in ('busy', 'refuse', 'drop', 'hang') and (
            dice.random() < 0.3) else 'GET'
        return Trouble(name, value, _where(dice, scene), method,
                       **when)  # type: ignore[arg-type]
    if kind < 0.75:
        return Trouble(dice.choice(PROPERTIES), dice.choice(POINTERS),
                       _where(dice, scene), **when)  # type: ignore[arg-type]
    if kind < 0.85:
        name, value = dice.choice((
            ('short', '1'), ('pages', '1'), ('pages', '3'),
            ('absolute', None), ('expand-drops', 'ProcessorType'),
            ('expand-drops', 'Status'), ('expand-drops', 'Version'),
            ('expand-drops', 'Model'), ('expand-error', None),
            ('expand-truncated', None), ('expand-wrong', None)))
        return Trouble(name, value, _where(dice, scene),
                       **when)  # type: ignore[arg-type]
    table = UPDATES if dice.random() < 0.6 else LATER
    name, value = _of(dice, table)
    if (
        name == 'foreign-task'
        and 'redfish' not in scenes.named(scene).transports
    ):
        name, value = 'weak-reset', None  # nobody would see it
    if name in ('late-devices', 'renumber', 'weak-reset'):
        when = {'at': 0.0}
    when.pop('skip', None)
    return Trouble(name, value, None, **when)  # type: ignore[arg-type]


def _event(dice: random.Random, scene: str) -> Event:
    # What a BMC does nobody sees who does not ask it.
    asked = 'redfish' in scenes.named(scene).transports
    real = not scenes.named(scene).source.startswith('cases/')
    what = dice.choice((
        *(('foreign', 'foreign', 'copy') if asked else ('none',)),
        *(('gone',) if whole(scene) else ()),
        # No tool inside tells of it.
        *(('health',) if whole(scene) and asked else ()),
        *(('off', 'mains') if real else ()),
        *(('agent',) if 'agent' in scenes.named(scene).transports else ())))
    return Event(what, dice.choice((0.0, 5.0, 60.0, 200.0, 500.0)),
                 dice.choice(whole(scene) or ('',)),
                 dice.choice((60.0, 600.0, 3000.0)))


@functools.cache
def whole(scene: str) -> tuple[str, ...]:
    """The devices that go with all that shows them; others leave traces."""
    box = world.make_box(scenes.named(scene), FakeClock(), None)
    return tuple(sorted(d.id for d in box.devices.values()
                        if d.kind == 'gpu' and len(d.uris) > 1))


def _switched(scene: scenes.Scene) -> bool:
    """Whether a run can switch the host on: a BMC has the switch."""
    return 'redfish' in scene.transports and not scene.source.startswith(
        'cases/')


def case(seed: int, number: int) -> Case:
    """The case of that number; the same wherever it is drawn."""
    dice = drawn(seed, number)
    names = [s.name for s in scenes.here()]
    scene, = dice.choices(names, [SHARES[name] for name in names])
    many = dice.choice((1, 1, 1, 2, 2, 3, 5, 9))
    two = dice.random() < 0.12
    return Case(
        scene, seed, number,
        power=dice.choice((None, None, None, 'Off' if _switched(
            scenes.named(scene)) else None)),
        expand=dice.random() < 0.75,
        login=dice.random() < 0.15,
        pace=dice.choice(PACES),
        troubles=tuple(trouble(dice, scene) for _ in range(many)),
        events=tuple(_event(dice, scene) for _ in range(
            dice.choice((0, 0, 0, 1, 2)))),
        deaths=() if two else tuple(
            dice.randint(1, 12) * dice.choice((1, -1))
            for _ in range(dice.choice((0, 0, 0, 0, 1, 2)))),
        stops=((dice.randint(1, 40), dice.choice((
            0.0, 100.0, 400.0, 4000.0))),) if two else (),
        skews=(0.0, dice.choice(SKEWS), dice.choice(SKEWS)) if (
            dice.random() < 0.15) else (),
        jumps=tuple((dice.choice((0.5, 60.0, 200.0, 600.0)),
                     dice.choice(SKEWS)) for _ in range(
            dice.choice((0,) * 9 + (1, 2)))),
        burn=dice.choice((0.0, 0.0, 40.0, 400.0)) if (
            'agent' in scenes.named(scene).transports) else 0.0)
