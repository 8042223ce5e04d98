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

"""The record of a run: what must outlive the process.

A versioned JSON document of at most 8 KiB. It is kept by a journal (the
node's ``driver_internal_info`` on a conductor, a file elsewhere); an inline
profile is kept beside it under a key of its own, so that both have their
8 KiB. Everything else is read from the system.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import json
from typing import Any, Literal

from ironic_accel.model.device import Activation
from ironic_accel.model import earlier_documents
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import BadInput
from ironic_accel.model.plan import Item
from ironic_accel.model.plan import plain
from ironic_accel.model.plan import Ref
from ironic_accel.model.plan import value_of

SCHEMA = 'record/2'
#: What is read: a run may have been begun by the release before.
READ = (SCHEMA, earlier_documents.RECORD)
MAX_BYTES = 8192


class Names:
    """Device ids by number: each is written out once."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = sorted(set(names))
        self.number = {name: n for n, name in enumerate(self.names)}

    def out(self, items: Iterable[Item]) -> list[list[Any]]:
        """Items as rows over devices: eight alike are one row."""
        rows: dict[tuple[Any, ...], list[int]] = {}
        for item in items:
            key = (item.name, item.kind, item.wanted, item.at_least)
            rows.setdefault(key, []).append(self.number[item.device])
        return [[name, kind, plain(wanted), int(at_least), devices]
                for (name, kind, wanted, at_least), devices in rows.items()]

    def read(self, rows: Iterable[Any]) -> tuple[Item, ...]:
        """Rows as items."""
        return tuple(Item(self.names[number], name, kind, value_of(wanted),
                          bool(at_least))
                     for name, kind, wanted, at_least, numbers in rows
                     for number in numbers)

    def refs_out(self, refs: Iterable[Ref]) -> list[list[Any]]:
        """What items are about, as rows: ``name, [devices]``."""
        rows: dict[str, list[int]] = {}
        for device, name in refs:
            rows.setdefault(name, []).append(self.number[device])
        return [[name, devices] for name, devices in rows.items()]

    def read_refs(self, rows: Iterable[Any]) -> tuple[Ref, ...]:
        """Those rows back, in the order of the devices."""
        return tuple(sorted((self.names[number], name)
                            for name, numbers in rows for number in numbers))


@dataclasses.dataclass(frozen=True, slots=True)
class Intent:
    """A change that is about to be made, saved before it is made.

    :ivar kind: ``action``, or ``reset`` for a host reset.
    :ivar key: ``plan.action_key`` of the action, or empty.
    :ivar items: what the action writes; for a reset, nothing.
    :ivar activation: what activates the action, or the reset itself.
    :ivar since: epoch seconds.
    :ivar deadline: epoch seconds after which we stop waiting for it.
    :ivar boot: the boot mark that was seen before.
    :ivar ticket: what the backend gave for it, or None between the save and
        the act; for a reset, the caller's own notes.
    :ivar digest: SHA-256 of the image.
    :ivar also: what the same write may write besides.
    :ivar at_reset: whether the writing begins at a reset of the host.
    """

    kind: Literal['action', 'reset']
    activation: Activation
    since: float
    deadline: float
    key: str = ''
    verb: str = ''
    transport: str = ''
    items: tuple[Item, ...] = ()
    boot: str | None = None
    ticket: Mapping[str, Any] | None = None
    digest: str | None = None
    also: tuple[Ref, ...] = ()
    at_reset: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Staged:
    """An item that is written but not yet active.

    :ivar activation: what is believed to activate it.
    :ivar resets: resets spent on it.
    :ivar tried: the strongest reset spent on it, or None.
    :ivar sure: False where it is only assumed to be written: its starter
        died, or the connection broke, and the device cannot show it.
    :ivar at_reset: whether the BMC reports that it waits for a host reset:
        the write itself may only start then.
    :ivar boot: the boot mark before it was written.
    :ivar begun: since when (epoch seconds) it may be written, because the
        host was reset, or None.
    :ivar also: what the same write may write besides.
    :ivar job: path of the task or job that waits with it, or None.
    """

    item: Item
    activation: Activation
    resets: int = 0
    tried: Activation | None = None
    digest: str | None = None
    sure: bool = True
    at_reset: bool = False
    boot: str | None = None
    begun: float | None = None
    also: tuple[Ref, ...] = ()
    job: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it may not be written before a reset of the host."""
        return self.item.kind == 'firmware' and (
            self.at_reset or not self.sure)


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """All that is remembered of a run.

    :ivar profile: name of the profile.
    :ivar digest: digest of the normalised profile.
    :ivar started: epoch seconds at which the run began.
    :ivar deadline: epoch seconds at which the run fails.
    :ivar attempts: writes begun, by item.
    :ivar resets: host resets used.
    :ivar waiting: since when (epoch seconds) the system is waited for, or
        None.
    :ivar awaited: for what: the name of the bound that this wait counts on.
    :ivar spent: seconds already waited, by that name, since the last host
        reset: an answer in between does not restart the count.
    :ivar kinds: the devices of each kind in the last complete inventory, by
        their marks (``device_marks.mark``).
    :ivar fewer: the marks of devices that the last complete inventory
        lacked: they count as gone if the next one lacks them too.
    :ivar booted: when (epoch seconds) the host was last powered on or reset
        in this run, or None: devices may be long in coming then.
    :ivar devices: how many were seen before that.
    :ivar uncommitted: updated components that are not copied to their fallback
        slots yet; the next run inherits them.
    :ivar committed: when (epoch seconds) this run requested the copies, or
        None.
    :ivar failure: what the last failed write said (``errors.Detail`` as
        data), for the case that no attempt is left.
    :ivar identities: (kind, serial, location) by device id, of the devices
        of these items: ids may change after a reboot.
    """

    profile: str = ''
    digest: str = ''
    started: float = 0.0
    deadline: float = 0.0
    attempts: Mapping[Item, int] = dataclasses.field(default_factory=dict)
    resets: int = 0
    intent: Intent | None = None
    staged: tuple[Staged, ...] = ()
    progress: str = ''
    waiting: float | None = None
    awaited: str = ''
    spent: Mapping[str, float] = dataclasses.field(default_factory=dict)
    kinds: Mapping[str, tuple[str, ...]] = dataclasses.field(
        default_factory=dict)
    fewer: str = ''
    booted: float | None = None
    devices: int = 0
    uncommitted: tuple[Ref, ...] = ()
    committed: float | None = None
    failure: Mapping[str, Any] | None = None
    identities: Mapping[str, tuple[str, str | None, str | None]] = (
        dataclasses.field(default_factory=dict))

    def find_staged(self, ref: Ref) -> Staged | None:
        """The staged entry of a component or mode, or None."""
        return next((x for x in self.staged if x.item.ref == ref), None)

    def without_staged(self, refs: Iterable[Ref]) -> Record:
        """The record with those entries forgotten."""
        gone = set(refs)
        return dataclasses.replace(self, staged=tuple(
            x for x in self.staged if x.item.ref not in gone))

    def finished(self) -> Record:
        """What remains past the end of a run: the next one inherits it."""
        kept = {x.item.device for x in self.staged}
        kept |= {device for device, _ in self.uncommitted}
        kept |= {device for x in self.staged for device, _ in x.also}
        if self.intent:
            kept |= {i.device for i in self.intent.items}
            kept |= {device for device, _ in self.intent.also}
        return Record(
            profile=self.profile, digest=self.digest, intent=self.intent,
            staged=self.staged, uncommitted=self.uncommitted, identities={
                k: v for k, v in self.identities.items() if k in kept})

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing for a next run to inherit."""
        return self.intent is None and not self.staged and not self.uncommitted


def _intent_out(intent: Intent, names: Names) -> dict[str, Any]:
    out = {f.name: getattr(intent, f.name)
           for f in dataclasses.fields(intent)}
    if intent.kind == 'reset':
        # A conductor of the release before asks for it by this name, of
        # other nodes behind the same BMC: does the reset take the BMC down?
        out['effect'] = intent.activation
    out['items'] = names.out(intent.items)
    out['also'] = names.refs_out(intent.also)
    return out


def _attempts_out(attempts: Mapping[Item, int], names: Names
                  ) -> list[list[Any]]:
    groups: dict[int, list[Item]] = {}
    for item, number in attempts.items():
        groups.setdefault(number, []).append(item)
    return [[n, names.out(items)] for n, items in groups.items()]


def _staged_out(staged: Iterable[Staged], names: Names) -> list[list[Any]]:
    """Entries that differ in their item alone share a row."""
    groups: dict[tuple[Any, ...], list[Item]] = {}
    for x in staged:
        key = (x.activation, x.resets, x.tried, x.digest, x.sure, x.at_reset,
               x.boot, x.begun, x.also, x.job)
        groups.setdefault(key, []).append(x.item)
    return [[*key[:8], names.refs_out(key[8]), key[9], names.out(items)]
            for key, items in groups.items()]


def _staged_in(rows: Iterable[Any], names: Names) -> tuple[Staged, ...]:
    """The entries back; those of earlier records have fewer columns."""
    new: list[Any] = [False, None, None, (), None]
    out: list[Staged] = []
    for row in rows:
        given = list(row[:-1])
        (activation, resets, tried, digest, sure, at_reset, boot, begun, also,
         job) = given + new[len(given) - 5:]
        out += [Staged(item, Activation(activation), resets,
                       Activation(tried) if tried else None, digest, sure,
                       at_reset, boot, begun, names.read_refs(also), job)
                for item in names.read(row[-1])]
    return tuple(out)


def to_dict(record: Record) -> dict[str, Any]:
    """The document ``record/2``."""
    items = [*record.attempts, *(x.item for x in record.staged),
             *(record.intent.items if record.intent else ())]
    also = [*(record.intent.also if record.intent else ()),
            *(ref for x in record.staged for ref in x.also)]
    names = Names([*(i.device for i in items), *record.identities,
                   *(device for device, _ in (*record.uncommitted, *also))])
    return {
        'schema': SCHEMA, 'profile': record.profile,
        'digest': record.digest, 'started': record.started,
        'deadline': record.deadline, 'resets': record.resets,
        'progress': record.progress, 'waiting': record.waiting,
        'awaited': record.awaited, 'spent': dict(record.spent),
        'kinds': {k: ' '.join(m) for k, m in record.kinds.items()},
        'fewer': record.fewer,
        'booted': record.booted, 'seen': record.devices,
        'committed': record.committed,
        'owed': [[names.number[d], n] for d, n in record.uncommitted],
        'failure': dict(record.failure) if record.failure else None,
        'devices': [[n, *record.identities.get(n, ())]
                    for n in names.names],
        'attempts': _attempts_out(record.attempts, names),
        'intent': (_intent_out(record.intent, names)
                   if record.intent else None),
        'staged': _staged_out(record.staged, names)}


def dump(record: Record) -> dict[str, Any]:
    """``to_dict`` with the size checked, as a journal saves it.

    :raises: AccelError where it would pass 8 KiB: nothing is done then.
    """
    out = to_dict(record)
    size = len(json.dumps(out, separators=(',', ':')).encode())
    if size > MAX_BYTES:
        raise AccelError(
            'the record of the run is too large to store',
            expected=f'at most {MAX_BYTES} bytes', seen=f'{size} bytes',
            todo='split the profile and apply it in parts')
    return out


def load(raw: Mapping[str, Any] | None) -> Record | None:
    """Read a record back; None of None.

    :raises: BadInput for a schema that this version does not know: whoever
        wrote it knows more than we do, so hands off.
    """
    if raw is None:
        return None
    if raw.get('schema') not in READ:
        raise BadInput(f"record schema: {raw.get('schema')!r}, expected "
                       f'{SCHEMA!r}')
    if raw['schema'] != SCHEMA:
        raw = earlier_documents.record(raw, SCHEMA)
    names = Names(row[0] for row in raw['devices'])
    intent = None
    if raw['intent']:
        src = dict(raw['intent'])
        src.pop('effect', None)
        src['activation'] = Activation(src['activation'])
        src['items'] = names.read(src['items'])
        src['also'] = names.read_refs(src.get('also') or ())
        intent = Intent(**src)
    return Record(
        profile=raw['profile'], digest=raw['digest'],
        started=raw['started'], deadline=raw['deadline'],
        attempts={i: n for n, rows in raw['attempts']
                  for i in names.read(rows)},
        resets=raw['resets'], booted=raw['booted'], devices=raw['seen'],
        committed=_asked(raw['committed']),
        uncommitted=tuple(
            (names.names[d], n) for d, n in raw.get('owed') or ()),
        intent=intent, staged=_staged_in(raw['staged'], names),
        progress=raw['progress'], waiting=raw['waiting'],
        awaited=raw.get('awaited', ''), spent=raw.get('spent') or {},
        kinds={k: tuple(m.split()) for k, m in (
            raw.get('kinds') or {}).items() if isinstance(m, str)},
        fewer=raw.get('fewer', ''),
        failure=raw['failure'], identities={
            row[0]: (row[1], row[2], row[3])
            for row in raw['devices'] if len(row) > 1})


def _asked(raw: float | bool | None) -> float | None:
    """When a commit was asked for; earlier records say only whether."""
    if isinstance(raw, bool):
        return 0.0 if raw else None
    return raw
