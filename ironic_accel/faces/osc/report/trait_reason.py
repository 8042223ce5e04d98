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

"""A reason for which a node has a trait or has it not, and what it is of."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import shlex
from typing import Any

from ironic_accel.conductor.node import keys
from ironic_accel.faces.osc.report import compliance
from ironic_accel.faces.osc.report.fleet_profiles import FleetProfiles
from ironic_accel.faces.osc.report.node_access import VisibleNode
from ironic_accel.model import condition
from ironic_accel.model.device import Inventory
from ironic_accel.model import plan as plan_mod
from ironic_accel.model import traits as grammar

Document = Mapping[str, Any]

_ACCELERATOR = 'baremetal accelerator'
#: The words for programs; the documentation of the commands explains them.
CODES = frozenset({
    'conflict', 'conductors-differ', 'count', 'degraded', 'differs',
    'disputed', 'does-not-apply', 'due', 'expired', 'failed', 'host-off',
    'incomplete', 'last-result', 'limit', 'no-device', 'no-inventory',
    'not-counted', 'not-degraded', 'not-managed', 'not-offered',
    'not-permitted', 'not-persistent', 'not-recorded', 'not-reported',
    'operation', 'pci-not-configured', 'possible', 'present',
    'profile-changed', 'profiles-not-read', 'refused', 'short', 'staged',
    'state', 'tenant', 'uncounted', 'unhealthy', 'unknown-meaning',
    'unknown-profile', 'unknown-trait', 'unread', 'update-at-deploy',
    'verified', 'void'})


@dataclasses.dataclass(frozen=True, slots=True)
class Reason:
    """One reason.

    :ivar code: one of CODES.
    :ivar text: the sentence for people.
    :ivar devices: ids of the devices that it is about.
    :ivar group: the group of the profile.
    :ivar item: the component or mode.
    :ivar todo: the command or action to do next.
    """

    code: str
    text: str
    devices: tuple[str, ...] = ()
    group: str | None = None
    item: str | None = None
    expected: Any = None
    seen: Any = None
    todo: str | None = None

    def __post_init__(self) -> None:
        """Check the code: programs compare it."""
        if self.code not in CODES:
            raise ValueError(f'reason {self.code!r}: expected one of '
                             f'{sorted(CODES)}')

    def to_dict(self) -> dict[str, Any]:
        """One entry of ``reasons`` of the document ``trait-why/1``."""
        return {
            'reason': self.code, 'text': self.text, 'group': self.group,
            'devices': list(self.devices), 'item': self.item,
            'expected': plan_mod.plain(self.expected),
            'seen': plan_mod.plain(self.seen), 'next': self.todo}


#: What speaks for a trait, and what against it.
ForAgainst = tuple[list[Reason], list[Reason]]


@dataclasses.dataclass(frozen=True, slots=True)
class Inquiry:
    """A trait of a node, and all that the caller may read about it.

    :ivar on: what plans for the node are made of; None without an inventory.
    """

    seen: VisibleNode
    trait: str
    site: FleetProfiles
    on: compliance.Basis | None

    @property
    def tail(self) -> str:
        """The trait behind the prefix of ironic-accel."""
        return self.trait.removeprefix(grammar.PREFIX)

    @property
    def inventory(self) -> Inventory | None:
        """The last inventory, with what is unread noted on its devices."""
        return None if self.on is None else condition.marked(
            self.on.inventory)

    @property
    def options(self) -> Document:
        """The options by which the conductor of the node publishes."""
        return self.site.options.get(str(self.seen.node.get('conductor')), {})

    def next(self, verb: str, *words: str) -> str:
        """A command for the node."""
        return ' '.join((_ACCELERATOR, verb, shlex.quote(self.seen.ref),
                         *words))

    def disputed(self, devices: Iterable[str]) -> list[Reason]:
        """Those of some devices that are not published yet, because another
        node reports them too."""
        mine = set(devices)
        return [Reason(
            'disputed', f"node {wait['node']} reports the same device; it "
            'is not published here until that node was refreshed',
            (wait['device'],),
            todo=f"{_ACCELERATOR} refresh {wait['node']}")
            for wait in (keys.WAITS.read(self.seen.info) or {}).values()
            if wait['device'] in mine]


def merged(reasons: Iterable[Reason]) -> list[Reason]:
    """Reasons that differ in their devices only as one."""
    found: dict[Any, list[str]] = {}
    first: dict[Any, Reason] = {}
    for one in reasons:
        key = repr(dataclasses.replace(one, devices=()))
        first.setdefault(key, one)
        found.setdefault(key, []).extend(one.devices)
    return [dataclasses.replace(one, devices=tuple(dict.fromkeys(found[key])))
            for key, one in first.items()]
