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

"""What belongs to one node behind a BMC that may serve several.

The node's own System is given. To it belong the accelerator baseboards
beside it, the DPUs in its chassis, and the chassis that links (or, where a
vendor links nothing, names) tie to it. Another host's never do.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import re

from ironic_accel.model.errors import BadInput
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import Unreachable
from ironic_accel.redfish import vendors
from ironic_accel.redfish.fields import Fields
from ironic_accel.redfish.fields import last
from ironic_accel.redfish.fields import normal
from ironic_accel.redfish.reader import Reader
from ironic_accel.redfish.vendors.base import Quirks


@dataclasses.dataclass(frozen=True, slots=True)
class Scope:
    """What of a BMC's tree is one node's.

    :ivar root: the service root.
    :ivar system: the node's own System.
    :ivar baseboards: the Systems of its accelerator baseboards.
    :ivar dpus: the Systems of its DPUs.
    :ivar chassis: its chassis, by path.
    :ivar alone: whether it is the only host behind the BMC.
    :ivar quirks: the vendors' ways of this box.
    """

    root: Fields
    system: Fields
    baseboards: tuple[Fields, ...]
    dpus: tuple[Fields, ...]
    chassis: Mapping[str, Fields]
    alone: bool
    quirks: tuple[Quirks, ...]

    def levels(self, name: str) -> int:
        """How deep to expand a resource, by its name in the tables."""
        return max((q.levels.get(name, 1) for q in self.quirks), default=1)

    @property
    def systems(self) -> tuple[Fields, ...]:
        """The Systems whose processors are the node's."""
        return (self.system, *(b for b in self.baseboards
                               if b.uri != self.system.uri))


def find(reader: Reader, system: str | None) -> Scope:
    """Find out what is the node's.

    :param system: path or Id of the node's System; None where the BMC has
        only one host.
    :raises: BadInput where there is no such System, or more than one to
        choose from; Unreachable where the BMC does not answer.
    """
    root = reader.root()
    systems = reader.members(root.link('Systems'))
    own = _own(reader, systems, system)
    if all(s.uri != own.uri for s in systems):
        systems = [own, *systems]
    quirks = vendors.recognise(root, systems)
    boards = [s for s in systems if _is_baseboard(s, quirks)]
    dpus = [s for s in systems if is_dpu(s)]
    hosts = [s for s in systems if s not in boards and s not in dpus]
    chassis = _contained(reader, reader.members(root.link('Chassis')))
    alone = all(h.uri == own.uri for h in hosts) or own in dpus
    theirs = [b for b in boards if b.uri != own.uri] if alone else []
    ours = _chassis(own, theirs, dpus, hosts, chassis, alone, quirks)
    if not alone:
        theirs = [b for b in boards if _tied(b, ours)]
    if own in boards:
        theirs.append(own)
    return Scope(
        root, own, tuple(theirs),
        tuple(d for d in dpus if d.uri != own.uri
              and (_tied(d, ours) or alone)),
        ours, alone, quirks)


def own_uri(reader: Reader, system: str | None) -> str:
    """Path of the node's own System.

    :raises: as ``find``.
    """
    systems = reader.members(reader.root().link('Systems'))
    return _own(reader, systems, system).uri


def _not_given(reader: Reader, uri: str) -> None:
    """Raise where a resource was there to be read and was not given.

    :raises: Unreachable.
    """
    status = reader.failures.get(uri)
    if status is None or status == 404:
        return
    said = next((w.message for w in reader.warnings if w.uri == uri), '')
    raise Unreachable(
        f'{uri}: {said}', error_class=ErrorClass.NEEDS_OPERATOR
        if status in (401, 403) else ErrorClass.TRANSIENT)


def is_dpu(system: Fields) -> bool:
    """Whether a System is a DPU's own (SystemType, ComputerSystem v1.14)."""
    return system.doc.get('SystemType') == 'DPU'


def _is_baseboard(system: Fields, quirks: Iterable[Quirks]) -> bool:
    name = last(system.uri)
    return any(q.baseboard and re.fullmatch(q.baseboard, name)
               for q in quirks)


def _own(reader: Reader, systems: list[Fields], wanted: str | None
         ) -> Fields:
    """The node's own System."""
    quirks = vendors.ALL
    if not systems and reader.failures and not (wanted or '').startswith('/'):
        # It is not the caller's input that is wrong.
        refused = {401, 403} & set(reader.failures.values())
        said = '; '.join(w.message for w in reader.warnings)
        raise Unreachable(
            f'the BMC shows no System: {said}',
            error_class=(ErrorClass.NEEDS_OPERATOR if refused
                         else ErrorClass.TRANSIENT))
    if wanted is None:
        hosts = [s for s in systems if not is_dpu(s)
                 and not _is_baseboard(s, quirks)] or systems
        if len(hosts) == 1:
            return hosts[0]
        known = ', '.join(sorted(s.uri for s in systems)) or 'none'
        raise BadInput('system: none given: expected one of those that the '
                       f'BMC has: {known}')
    for system in systems:
        if wanted in (system.uri, last(system.uri), system.doc.get('Id')):
            return system
        if wanted.startswith('/') and normal(wanted) == system.uri:
            return system
    known = ', '.join(sorted(s.uri for s in systems)) or 'none'
    found = reader.read(wanted) if wanted.startswith('/') else None
    if found is None:
        for uri in reader.failures:
            if wanted in (uri, last(uri)) or normal(wanted) == uri:
                _not_given(reader, uri)
        raise BadInput(f'system: {wanted!r}: expected one of those that the '
                       f'BMC has: {known}')
    return found


def _tied(system: Fields, ours: Mapping[str, Fields]) -> bool:
    """Whether a System stands in one of the chassis."""
    if any(c in ours for c in system.links('Links', 'Chassis')):
        return True
    return any(system.uri in c.links('Links', 'ComputerSystems')
               for c in ours.values())


def _contained(reader: Reader, chassis: list[Fields]) -> list[Fields]:
    """The chassis with those that they contain and no collection lists."""
    out = {c.uri: c for c in chassis}
    todo = [u for c in chassis for u in c.links('Links', 'Contains')]
    while todo:
        uri = todo.pop()
        shown = None if uri in out else reader.read(uri)
        if shown is not None:
            out[uri] = shown
            todo += shown.links('Links', 'Contains')
    return list(out.values())


def _chassis(own: Fields, boards: list[Fields], dpus: list[Fields],
             hosts: list[Fields], chassis: list[Fields], alone: bool,
             quirks: Iterable[Quirks]) -> dict[str, Fields]:
    """The node's chassis.

    Those that its Systems name or that name them, and what these contain as
    long as it is not another host's.
    """
    everything = {c.uri: c for c in chassis}
    linked = any(c.doc.get('Links') for c in chassis)
    if alone and (not linked or len(hosts) <= 1):
        return everything
    others = {h.uri for h in hosts if h.uri != own.uri}
    mine = {own.uri, *(b.uri for b in boards), *(d.uri for d in dpus)}
    todo = [*own.links('Links', 'Chassis')]
    todo += [c.uri for c in chassis
             if mine & set(c.links('Links', 'ComputerSystems'))]
    if any(q.chassis_by_name for q in quirks):
        todo += [c.uri for c in chassis if last(c.uri) == last(own.uri)]
    found: dict[str, Fields] = {}
    while todo:
        uri = todo.pop()
        one = everything.get(uri)
        if one is None or uri in found:
            continue
        if others & set(one.links('Links', 'ComputerSystems')):
            continue
        found[uri] = one
        todo += one.links('Links', 'Contains')
        todo += [c.uri for c in chassis
                 if c.link('Links', 'ContainedBy') == uri]
    return found
