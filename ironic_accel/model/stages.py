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

"""How changes are put into actions and stages.

One stage is closed by one reset, the weakest that activates all of it. What
can share a reset shares it; what must not ("never both in one cycle") stands
in stages of its own; what does not survive a host reset stands last.

A reset also activates what others staged (a scheduled job, pending settings,
staged firmware), which the operator did not ask for: ``refused_by_others``.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses

from ironic_accel.model.device import Activation
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import strongest
from ironic_accel.model.device import Value
from ironic_accel.model.device import Waiting
from ironic_accel.model.matching import ComponentKnowledge
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import AwaitingReset
from ironic_accel.model.plan import Change
from ironic_accel.model.plan import INSIDE
from ironic_accel.model.plan import Item
from ironic_accel.model.plan import plain
from ironic_accel.model.plan import Ref
from ironic_accel.model.plan import Refusal
from ironic_accel.model.plan import Stage
from ironic_accel.model.plan import Transport
from ironic_accel.model.plan import UpdateTarget
from ironic_accel.model.profile import Profile
from ironic_accel.model.record import Staged

#: Where a component stands that neither profile nor catalogue ranks.
_LAST = 1000

#: What a profile allows that has changes written which wait for an operator.
MANUAL = 'manual_ac_cycle'

#: What to do with what only an AC power cycle activates.
BY_HAND = ('disconnect and reconnect the AC power of the system, then run it '
           'again')
_TO_WRITE = ('; to write it and disconnect the AC power of the system by hand '
             f'afterwards, add {MANUAL} to allow of the profile')

#: Devices on which one action sets a mode. What each of them answered is
#: kept in the record of the run, which has 8 KiB for everything.
MOST_DEVICES = 8


@dataclasses.dataclass(frozen=True, slots=True)
class Todo:
    """A change that may be made, before it is put into an action.

    :ivar activation: what activates it, by the device or the catalogue.
    :ivar real: the same, raised to what can really be done here.
    :ivar alone: must not share a reset with another such of its device.
    :ivar late: lost at a host reset, hence last.
    :ivar after: firmware of another value that waits under it, unseen.
    """

    item: Item
    seen: Value | None
    transport: str
    activation: Activation
    real: Activation
    image: str | None = None
    target: UpdateTarget | None = None
    order: tuple[int, int] = (1, _LAST)
    alone: bool = False
    late: bool = False
    after: Staged | None = None


def mode_order(order: int) -> tuple[int, int]:
    """The rank of a mode: behind all firmware, by the catalogue's order."""
    return (1, _LAST + order)


def order_of(name: str, facts: ComponentKnowledge | None, profile: Profile
             ) -> tuple[int, int]:
    """The rank of a component: the profile's order before the catalogue's.

    Modes come with the last: set when the firmware that they depend on has
    been written.
    """
    if name in profile.order:
        return (0, profile.order.index(name))
    return (1, facts.order if facts else _LAST)


def real_activation(device: str, activation: Activation,
                    transports: Sequence[Transport]) -> Activation:
    """The reset that is possible: if no transport can reset a device, a warm
    reboot of its host does."""
    if activation is Activation.NONE or activation.is_host_reset:
        return activation
    if any(w.resets.get(device, Activation.NONE).rank >= activation.rank
           for w in transports):
        return activation
    return Activation.WARM_REBOOT


def next_reset(entry: Staged) -> Activation | None:
    """The reset to try next on a staged item; None past the strongest.

    A reset that did not activate it is followed by the next stronger one. If
    none should be needed and it is still pending, the weakest is tried.
    """
    if entry.tried is None:
        return (Activation.DRIVER_RELOAD if entry.activation is Activation.NONE
                else entry.activation)
    up = entry.tried.stronger()
    if up is None or up.rank > entry.activation.rank:
        return up
    return entry.activation


def _actions(todo: Iterable[Todo]) -> list[Action]:
    """One update for all components that one image writes by one transport
    in one lane; one action for a mode with the same value on several devices.
    """
    out: list[list[Todo]] = []
    for x in sorted(todo, key=lambda t: t.order):
        at = next((n for n, members in enumerate(out)
                   if _shared(members[0]) == _shared(x)
                   and (x.target or _has_room(out, n, x))), None)
        if at is None:
            out.append([x])
        else:
            out[at].append(x)
    return [_action(members) for members in out]


def _shared(x: Todo) -> tuple[object, ...]:
    """What the changes of one action have in common."""
    if x.target:
        return ('update', x.transport, x.target.lane, x.image)
    return ('set', x.transport, x.item.name, x.item.wanted, x.activation,
            x.real)


def _has_room(actions: Sequence[Sequence[Todo]], at: int, x: Todo) -> bool:
    """Whether a mode can be set with others: not too many devices, and what
    was to be written to its device before it still is."""
    return len(actions[at]) < MOST_DEVICES and not any(
        member.item.device == x.item.device
        for members in actions[at + 1:] for member in members)


def _action(members: Sequence[Todo]) -> Action:
    first = members[0]
    written = {x.item.ref for x in members}
    more = {ref for x in members if x.target for ref in x.target.also_writes}
    return Action(
        'update' if first.target else 'set', first.transport,
        tuple(Change(x.item, x.seen) for x in members),
        strongest([x.activation for x in members]), first.image,
        tuple(sorted(more - written)),
        first.target.lane if first.target else '',
        any(x.target is not None and x.target.at_reset for x in members))


def _rounds(todo: Sequence[Todo], taken: frozenset[str]
            ) -> list[list[Todo]]:
    """Split so that no two ``alone`` changes of a device share a round.

    :param taken: devices with such a change staged already: the first round
        ends with its reset.
    """
    rounds: list[list[Todo]] = [[]]
    alone: list[set[str]] = [set(taken)]
    for x in sorted(todo, key=lambda t: t.order):
        at = 0
        while x.alone and at < len(alone) and x.item.device in alone[at]:
            at += 1
        if at == len(rounds):
            rounds.append([])
            alone.append(set())
        rounds[at].append(x)
        if x.alone:
            alone[at].add(x.item.device)
    return rounds


def build(todo: Sequence[Todo], staged: Sequence[Staged],
          profile: Profile, transports: Sequence[Transport],
          alone: frozenset[str] = frozenset()
          ) -> tuple[list[Stage], list[Refusal]]:
    """The stages, and what the profile's limits refuse about them.

    :param alone: devices with a staged item that must not share its reset
        with certain others of the same device.
    """
    stages: list[Stage] = []
    buried = [x.after for x in todo if x.after is not None]
    if buried:
        stages.append(_close([], buried, transports))
    waiting = list(staged)
    for members in _rounds([x for x in todo if not x.late], alone):
        if members or waiting:
            stages.append(_close(members, waiting, transports))
        waiting = []
    late = [x for x in todo if x.late]
    if late:
        stages.append(_close(late, [], transports))
    no = _manual(stages, todo, profile, transports)
    return stages, no + _too_many(stages, profile)


def _close(members: Sequence[Todo], staged: Sequence[Staged],
           transports: Sequence[Transport]) -> Stage:
    """A stage of some changes, closed by the reset that they need."""
    due = []
    for entry in staged:
        up = next_reset(entry) or entry.activation
        due.append(AwaitingReset(entry.item, real_activation(
            entry.item.device, up, transports)))
    reset = strongest([x.real for x in members] + [d.reset for d in due])
    return Stage(tuple(_actions(members)), reset, tuple(due))


def _too_many(stages: Sequence[Stage], profile: Profile) -> list[Refusal]:
    needed = [s for s in stages if s.reset.is_host_reset and not s.manual]
    if len(needed) <= profile.limits.resets:
        return []
    first = needed[profile.limits.resets]
    items = [i for a in first.actions for i in a.items]
    items += [d.item for d in first.staged]
    return [Refusal(i, 'its activation needs more host resets than '
                    'limits.resets allows', profile.limits.resets,
                    len(needed)) for i in items]


def is_by_hand(transports: Sequence[Transport]) -> bool:
    """Whether no BMC of the system offers an auxiliary power cycle.

    Where one of them does not tell, the reset decides.
    """
    return {t.offers_aux_cycle() for t in transports
            if t.name not in INSIDE} == {False}


def _manual(stages: list[Stage], todo: Sequence[Todo], profile: Profile,
            transports: Sequence[Transport]) -> list[Refusal]:
    """What needs an auxiliary power cycle where no BMC offers one.

    It is written only if the profile allows that an operator activates it:
    the run, and so the plan, ends there. What is staged already waits for the
    operator alone.
    """
    last = Activation.AUX_CYCLE
    due = [s for s in stages if s.reset is last]
    if not due or profile.limits.reset is not last or (
            not is_by_hand(transports)):
        return []
    if MANUAL in profile.allow and due[0].actions:
        stages[stages.index(due[0]):] = [
            dataclasses.replace(due[0], manual=True)]
        return []
    return [Refusal(item, 'its activation needs an auxiliary power cycle, and '
                    f'the BMC offers none{then}', Activation.POWER_CYCLE, last)
            for item, then in (
                *((x.item, _TO_WRITE) for x in todo if x.real is last),
                *((x.item, f': it is staged; {BY_HAND}') for s in due
                  for x in s.staged if x.reset is last))]


#: The word of a profile's ``allow`` that consents to it.
CONSENT = 'staged'


def by_others(inventory: Inventory, staged: Iterable[Staged],
              wanted: Collection[Ref], reset: Activation
              ) -> tuple[Waiting, ...]:
    """What a host reset would activate that does not belong to the run.

    The items of the record and of the profile belong to it. An update of the
    run whose job the service did not name counts as a waiting one, if there
    are as many of them.

    :param wanted: what the profile is about.
    """
    known = [*staged]
    mine = {*wanted, *(x.item.ref for x in known),
            *(ref for x in known for ref in x.also)}
    jobs = {_job_name(x.job) for x in known if x.job}
    left = [w for w in (*inventory.waiting, *_pending(inventory, mine))
            if _job_name(w.ref) not in jobs
            and w.activation.rank <= reset.rank]
    nameless = {(x.digest, x.boot) for x in known
                if x.at_reset and x.job is None and x.begun is None}
    updates = [w for w in left if w.kind == 'task' and w.updates]
    if 0 < len(updates) <= len(nameless):
        left = [w for w in left if w not in updates]
    return tuple(left)


def refused_by_others(inventory: Inventory, staged: Iterable[Staged],
                      wanted: Collection[Ref], reset: Activation,
                      profile: Profile) -> list[Refusal]:
    """The refusals of a host reset because of changes of others."""
    if not reset.is_host_reset or CONSENT in profile.allow:
        return []
    return [Refusal(
        Item(w.ref, w.kind, 'device', None),
        f'the {reset} of the host would also activate a change that another '
        f'party staged: {w.words}; remove it or wait for it, or add {CONSENT} '
        'to allow of the profile', 'no staged changes', w.summary)
        for w in by_others(inventory, staged, wanted, reset)]


def _job_name(ref: str) -> str:
    """A job has one name in all the places that show it."""
    return ref.rstrip('/').rsplit('/', 1)[-1]


def _pending(inventory: Inventory, mine: Collection[Ref]
             ) -> Iterator[Waiting]:
    """What devices show as waiting and is none of ours.

    A change whose activation is not known, such as SecureBootEnable of a
    BlueField, may be activated by any reset of the host.
    """
    for device in inventory.devices:
        for part in device.components:
            if part.pending is not None and (device.id, part.name) not in mine:
                yield Waiting('firmware', f'{device.id}/{part.name}',
                              f'{part.name} {part.pending} of {device.id}',
                              part.activation or Activation.WARM_REBOOT)
        for mode in device.modes:
            if mode.pending is not None and (device.id, mode.name) not in mine:
                yield Waiting(
                    'settings', f'{device.id}/{mode.name}',
                    f'{mode.name} {plain(mode.pending)} of {device.id}' + (
                        '' if mode.activation is not None
                        else ', active after an unknown reset'),
                    mode.activation or Activation.WARM_REBOOT)
