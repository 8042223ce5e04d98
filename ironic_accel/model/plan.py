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

"""The changes that a profile requires: items, actions, stages, the plan.

``model.planner`` makes a plan from an inventory, a profile, the staged items
and the transports. Its JSON form is the document ``plan/2``.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import hashlib
import json
from typing import Any, Literal

from ironic_accel.model.device import Activation
from ironic_accel.model.device import Value
from ironic_accel.model import earlier_documents
from ironic_accel.model.profile import NO_NEEDS
from ironic_accel.model.profile import Push
from ironic_accel.model.profile import PushNeeds

SCHEMA = 'plan/2'

#: Of a profile whose groups all accept having no device, where there is none.
NOT_APPLIED = 'the profile does not apply: no group matches a device'

#: Transports that read and write inside of the host, with their own tools
#: and without the push methods of an update service.
INSIDE = frozenset({'agent', 'local'})

#: (device id, component or mode name): what an item is about.
Ref = tuple[str, str]


def plain(value: Value | None) -> str | int | list[str] | None:
    """A value as JSON has it."""
    return list(value) if isinstance(value, tuple) else value


def value_of(raw: Any) -> Value | None:
    """A JSON value as a mode value."""
    return tuple(raw) if isinstance(raw, list) else raw


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """The unit that is counted, staged, proved and refused.

    :ivar device: the device's id.
    :ivar name: the component's or the mode's name.
    :ivar kind: ``firmware``, ``mode``, or ``device`` where the device itself
        is meant (its count, its health).
    :ivar wanted: the version, the mode's value.
    :ivar at_least: whether a higher version is as good.
    """

    device: str
    name: str
    kind: Literal['firmware', 'mode', 'device']
    wanted: Value | None
    at_least: bool = False

    @property
    def ref(self) -> Ref:
        """What the item is about."""
        return (self.device, self.name)


@dataclasses.dataclass(frozen=True, slots=True)
class UpdateTarget:
    """That a transport can write one component.

    :ivar lane: components of one lane that take the same image are written
        by one push. One BMC's update service is one lane; a card that is
        flashed by itself is a lane of its own.
    :ivar also_writes: what the same push writes besides, whether it was
        asked for or not (a service whose push cannot name targets).
    :ivar pushes: the same for each push method that a profile selects
        instead of the transport's own; None if it does not support it.
    :ivar at_reset: whether the service writes at the next host reset, and
        not when it receives the image.
    :ivar reset_pushes: those of ``pushes`` for which that is so.
    :ivar needs: what the push requires of an image.
    :ivar push_needs: the same for each of ``pushes``.
    """

    lane: str
    also_writes: tuple[Ref, ...] = ()
    pushes: Mapping[Push, tuple[Ref, ...] | None] = dataclasses.field(
        default_factory=dict)
    at_reset: bool = False
    reset_pushes: frozenset[Push] = frozenset()
    needs: PushNeeds = NO_NEEDS
    push_needs: Mapping[Push, PushNeeds] = dataclasses.field(
        default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Transport:
    """What one backend can do on the system that was just read.

    :ivar name: redfish, agent or local.
    :ivar updates: the components that it can write.
    :ivar sets: the modes that it can set.
    :ivar resets: the devices that it can reset or whose driver it can
        reload, each with the strongest of such effects.
    :ivar commits: the components that have a fallback slot which is copied
        to only on request, each with the version in that slot, or None if it
        is not reported.
    :ivar bars: why components cannot be written by it, if that is known.
    :ivar offers_aux_cycle: tells whether the BMC has an action that cycles
        the auxiliary power of the system; None if that is not known.
    """

    name: str
    updates: Mapping[Ref, UpdateTarget] = dataclasses.field(
        default_factory=dict)
    sets: frozenset[Ref] = frozenset()
    resets: Mapping[str, Activation] = dataclasses.field(default_factory=dict)
    commits: Mapping[Ref, str | None] = dataclasses.field(default_factory=dict)
    bars: Mapping[Ref, str] = dataclasses.field(default_factory=dict)
    offers_aux_cycle: Callable[[], bool | None] = dataclasses.field(
        default=lambda: None, compare=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """An item with its value when the plan was made."""

    item: Item
    seen: Value | None

    def to_dict(self) -> dict[str, Any]:
        """``device, name, from, to``."""
        return {'device': self.item.device, 'name': self.item.name,
                'from': plain(self.seen), 'to': plain(self.item.wanted)}


@dataclasses.dataclass(frozen=True, slots=True)
class Action:
    """Items changed by one write.

    :ivar verb: ``update`` firmware, ``set`` modes, or ``reset`` devices
        (a device reset or driver reload, which is a backend's business; host
        resets are the caller's).
    :ivar image: the name of the profile's image, for ``update``.
    :ivar activation: what activates what was written.
    :ivar at_reset: whether the writing itself begins at a reset of the host.
    """

    verb: Literal['update', 'set', 'reset']
    transport: str
    changes: tuple[Change, ...]
    activation: Activation
    image: str | None = None
    also_writes: tuple[Ref, ...] = ()
    lane: str = ''
    at_reset: bool = False

    @property
    def items(self) -> tuple[Item, ...]:
        """The items without what was seen."""
        return tuple(c.item for c in self.changes)

    @property
    def writes(self) -> int:
        """How many writes it is: one for each mode of a device and for each
        device that is reset, one for an image whatever it updates."""
        return 1 if self.verb == 'update' else (
            self.device_resets or len(self.changes))

    @property
    def device_resets(self) -> int:
        """How many devices it resets; these are among its writes."""
        return (len({c.item.device for c in self.changes})
                if self.verb == 'reset' else 0)

    def to_dict(self) -> dict[str, Any]:
        """One entry of a stage's ``actions``."""
        return {'verb': self.verb, 'transport': self.transport,
                'activation': self.activation,
                'items': [c.to_dict() for c in self.changes],
                'image': self.image,
                'also_writes': [list(r) for r in self.also_writes]}


@dataclasses.dataclass(frozen=True, slots=True)
class AwaitingReset:
    """A staged item, and the reset that it waits for."""

    item: Item
    reset: Activation

    def to_dict(self) -> dict[str, Any]:
        """One entry of a stage's ``staged``."""
        return {**item_to_dict(self.item), 'reset': self.reset}


@dataclasses.dataclass(frozen=True, slots=True)
class Stage:
    """Actions and the one reset that activates all of them.

    :ivar staged: items written earlier that the reset is (also) for.
    :ivar manual: whether the reset is left to an operator, since no BMC
        offers it. A run ends before it, and it is the last stage of the plan.
    """

    actions: tuple[Action, ...]
    reset: Activation = Activation.NONE
    staged: tuple[AwaitingReset, ...] = ()
    manual: bool = False

    @property
    def device_resets(self) -> int:
        """How many devices are reset by themselves at its end, each once.
        """
        if self.reset.is_host_reset:
            return 0
        written = {i.device for a in self.actions for i in a.items
                   if a.activation is not Activation.NONE}
        return len(written | {
            s.item.device for s in self.staged
            if s.reset is not Activation.NONE})

    def to_dict(self) -> dict[str, Any]:
        """One entry of a plan's ``stages``."""
        return {'actions': [a.to_dict() for a in self.actions],
                'reset': self.reset,
                'staged': [d.to_dict() for d in self.staged],
                **({'manual': True} if self.manual else {})}


@dataclasses.dataclass(frozen=True, slots=True)
class Refusal:
    """An item that must not or cannot be changed, and why.

    :ivar unread: whether the reason is a value that was not read, or that
        two sources report differently: a refresh may resolve it.
    """

    item: Item
    reason: str
    expected: Value | None = None
    seen: Value | None = None
    unread: bool = False

    def to_dict(self) -> dict[str, Any]:
        """One entry of a plan's ``refused``."""
        return {**item_to_dict(self.item), 'reason': self.reason,
                'expected': plain(self.expected), 'seen': plain(self.seen),
                **({'unread': True} if self.unread else {})}


@dataclasses.dataclass(frozen=True, slots=True)
class Proof:
    """An item that was read back with its wanted value.

    :ivar persistent: whether it survives host resets; only such proofs
        count towards an IS trait.
    """

    item: Item
    seen: Value | None
    persistent: bool

    def to_dict(self) -> dict[str, Any]:
        """One entry of ``satisfied`` and of ``proofs``."""
        return {**item_to_dict(self.item), 'seen': plain(self.seen),
                'persistent': self.persistent}


@dataclasses.dataclass(frozen=True, slots=True)
class Counts:
    """What a run that goes as planned sends, host resets apart from the rest.

    :ivar writes: firmware images, modes (one for each device), device resets
        (one for each device), and one request to copy firmware to fallback
        slots. A value for which a BMC needs two requests is one write.
    :ivar device_resets: those of the writes that reset a device.
    :ivar resets: resets of the host.
    """

    writes: int = 0
    device_resets: int = 0
    resets: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """Ordered stages, satisfied items, and refused items.

    :ivar fallback: firmware that is copied to its fallback slot once it runs
        and is verified; ``seen`` is the version in that slot.
    :ivar applies: whether a device matches a group of the profile. A profile
        that accepts having no device (``count: {min: 0}``) does not apply
        where there is none: it is neither refused nor complied with.
    """

    stages: tuple[Stage, ...] = ()
    satisfied: tuple[Proof, ...] = ()
    refused: tuple[Refusal, ...] = ()
    fallback: tuple[Change, ...] = ()
    applies: bool = True

    @property
    def converged(self) -> bool:
        """Whether the profile applies, nothing is left to do, and nothing is
        refused."""
        return self.applies and not (
            self.stages or self.refused or self.fallback)

    @property
    def undecided(self) -> bool:
        """Whether a run would wait for values that were not read, and then
        fail. Sources that contradict each other are refused."""
        return self.untold and any(r.seen is None for r in self.refused)

    @property
    def counts(self) -> Counts:
        """What is sent where everything goes as planned.

        A refused plan sends nothing. A reset that does not activate what
        waits for it is followed by a stronger one, which nobody foresees.
        """
        if self.refused:
            return Counts()
        alone = sum(s.device_resets for s in self.stages)
        return Counts(
            sum(a.writes for s in self.stages for a in s.actions)
            + alone + bool(self.fallback and not self.manual), alone,
            sum(s.reset.is_host_reset and not s.manual for s in self.stages))

    @property
    def manual(self) -> bool:
        """Whether a run ends before a reset by hand, and before copies."""
        return any(s.manual for s in self.stages)

    @property
    def untold(self) -> bool:
        """Whether it is refused only because of values that were not read."""
        return bool(self.refused) and all(r.unread for r in self.refused)

    def to_dict(self) -> dict[str, Any]:
        """The document ``plan/2``."""
        return {'schema': SCHEMA, 'converged': self.converged,
                'stages': [s.to_dict() for s in self.stages],
                'satisfied': [p.to_dict() for p in self.satisfied],
                'refused': [r.to_dict() for r in self.refused],
                'fallback': [c.to_dict() for c in self.fallback],
                'undecided': self.undecided, 'applies': self.applies,
                'counts': dataclasses.asdict(self.counts)}


def item_to_dict(item: Item) -> dict[str, Any]:
    """An item as the documents and the record have it."""
    out: dict[str, Any] = {'device': item.device, 'name': item.name,
                           'kind': item.kind, 'wanted': plain(item.wanted)}
    if item.at_least:
        out['at_least'] = True
    return out


def item_from_dict(raw: Mapping[str, Any]) -> Item:
    """Read an item back."""
    return Item(raw['device'], raw['name'], raw['kind'],
                value_of(raw['wanted']), raw.get('at_least', False))


def current(doc: Mapping[str, Any]) -> Mapping[str, Any]:
    """A plan document in its present form, also one of ``plan/1``."""
    return earlier_documents.plan(doc, SCHEMA)


def action_key(action: Action) -> str:
    """A short name for an action that is the same for the same change.

    It is stored with an intent, so no release may give another one: an
    update has the verb of the release that gave the first.
    """
    verb = 'burn' if action.verb == 'update' else action.verb
    text = json.dumps([verb, action.transport, action.image, action.lane,
                       [item_to_dict(i) for i in action.items]],
                      sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
