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

"""Find the resources of one node in a BMC that may serve several.

The node's own System is given. To it belong the accelerator baseboards, the
DPUs in its chassis, and the chassis that are related to it by links (or by
their names, if a vendor has no links). Resources of another host never do.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import re

from ironic_accel.model.device import KINDS
from ironic_accel.model.errors import BadInput
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import NoAccess
from ironic_accel.model.errors import Unreachable
from ironic_accel.redfish.client.json_document import Fields
from ironic_accel.redfish.client.json_document import last
from ironic_accel.redfish.client.json_document import normal
from ironic_accel.redfish.client.json_document import stem
from ironic_accel.redfish.client.read_failures import Role
from ironic_accel.redfish.client.read_failures import Impact
from ironic_accel.redfish.client.reader import Reader
from ironic_accel.redfish.inventory import unread_members
from ironic_accel.redfish.inventory.device_builder import CARD_KINDS
from ironic_accel.redfish.inventory import scope as scope_module
from ironic_accel.redfish.inventory.scope import Scope
from ironic_accel.redfish.vendors import registry
from ironic_accel.redfish.vendors.base import Quirks


def find(reader: Reader, system: str | None) -> Scope:
    """Find the resources of the node.

    :param system: path or Id of the node's System; None if the BMC has only
        one host.
    :raises: BadInput if there is no such System, or if several are possible;
        Unreachable if the BMC does not respond.
    """
    root = reader.root()
    systems, lost = _systems(reader, root)
    own = _own_system(reader, root, systems, system)
    if all(s.uri != own.uri for s in systems):
        systems = [own, *systems]
    recognised = scope_module.recognise(root, systems, lost)
    quirks = recognised.quirks
    for said in (*recognised.refused,
                 *(q.no_updates for q in quirks if q.no_updates)):
        reader.warn(root.uri, said)
    boards = [s for s in systems if _is_baseboard(s.uri, quirks)]
    dpus = [s for s in systems if is_dpu(s)]
    hosts = [s.uri for s in systems if s not in boards and s not in dpus]
    hosts += [u for u in lost if _is_another_host(u, own, quirks)]
    alone = set(hosts) <= {own.uri} or own in dpus
    theirs = [b for b in boards if b.uri != own.uri] if alone else []
    reader.at_once = recognised.at_once
    _read_ahead(reader, root, recognised.levels.get('TaskService', 1),
                [own, *theirs, *dpus] if alone else [])
    chassis, unread = _with_contained(reader, *reader.listing(
        root.link('Chassis'), Impact(
            Role.COLLECTION, (*CARD_KINDS, 'baseboard'), holds=True,
            optional=False)))
    ours = _chassis(own, theirs, dpus, hosts, chassis, alone)
    if not alone:
        theirs = [b for b in boards if _is_in_chassis(b, ours)]
    if own in boards:
        theirs.append(own)
    scope = Scope(
        root, own, tuple(theirs),
        tuple(d for d in dpus if d.uri != own.uri
              and (_is_in_chassis(d, ours) or alone)),
        ours, alone, quirks, recognised.levels,
        tuple(u for u in lost if _is_baseboard(u, quirks)), tuple(unread))
    unread_members.systems(reader, scope, lost, _is_another_host)
    unread_members.chassis(reader, scope, chassis, unread)
    return scope


def _read_ahead(reader: Reader, root: Fields, task_levels: int,
                systems: list[Fields]) -> None:
    """Read the Chassis together with what is read after them.

    Nothing that has a version: tasks are read before versions.

    :param systems: those of the node, or none if their Chassis show which
        they are.
    """
    managers = {uri for s in systems for uri in s.links('Links', 'ManagedBy')}
    reader.ahead(
        (root, 'Chassis', 1, False),
        (root, 'Tasks', task_levels if task_levels > 1 else 0, False),
        *([(root, 'Managers', 1, False)]
          if len(managers) > 1 and reader.expands else []))


def without_chassis(reader: Reader, system: str | None) -> Scope:
    """Only the node's Systems, to read the state of the host.

    :raises: as ``find``.
    """
    root = reader.root()
    systems, lost = _systems(reader, root)
    own = _own_system(reader, root, systems, system)
    recognised = scope_module.recognise(root, [own, *systems], lost)
    return Scope(
        root, own, tuple(s for s in systems if s.uri != own.uri
                         and _is_baseboard(s.uri, recognised.quirks)),
        (), {}, False, recognised.quirks, recognised.levels)


def _systems(reader: Reader, root: Fields) -> tuple[list[Fields], list[str]]:
    """The Systems of a BMC, and the paths of those that were not read."""
    impact = Impact(Role.COLLECTION, KINDS, optional=False)
    return reader.listing(reader.follow(root, 'Systems', impact), impact)


def own_system(reader: Reader, system: str | None
               ) -> tuple[Fields, list[Fields], Fields]:
    """The service root, all Systems of the BMC, and the node's own.

    :raises: as ``find``.
    """
    root = reader.root()
    systems = _systems(reader, root)[0]
    return root, systems, _own_system(reader, root, systems, system)


def _raise_if_unread(reader: Reader, root: Fields, uri: str) -> None:
    """Raise if a System that may exist could not be read.

    One that the BMC lists exists, whatever the answer to its read.

    :raises: Unreachable.
    """
    failure = reader.failures.get(uri)
    listing = reader.known(root.link('Systems') or '')
    listed = listing is not None and uri in map(
        normal, listing.links('Members'))
    if failure is None or (failure.status == 404 and not listed):
        return
    raise _unread(reader, f'{uri}: {failure.answer}',
                  failure.status in (401, 403))


def _unread(reader: Reader, summary: str, refused: bool) -> Unreachable:
    """The error for a System that could not be read.

    :param refused: whether the BMC does not let the user read it.
    """
    if refused:
        return NoAccess(summary, error_class=ErrorClass.NEEDS_OPERATOR,
                        todo='check the role of the user in '
                        + reader.options.credentials)
    return Unreachable(summary, error_class=ErrorClass.TRANSIENT)


def is_dpu(system: Fields) -> bool:
    """Whether a System is a DPU (SystemType, ComputerSystem v1.14)."""
    return system.doc.get('SystemType') == 'DPU'


def _is_baseboard(uri: str, quirks: Iterable[Quirks]) -> bool:
    name = last(uri)
    return any(q.baseboard and re.fullmatch(q.baseboard, name)
               for q in quirks)


def _is_another_host(uri: str, own: Fields, quirks: Iterable[Quirks]) -> bool:
    """Whether an unread System has an Id like that of the node's own."""
    return stem(uri) == stem(own.uri) and uri != own.uri and (
        not _is_baseboard(uri, quirks))


def _own_system(reader: Reader, root: Fields, systems: list[Fields],
                wanted: str | None) -> Fields:
    """The node's own System."""
    quirks = [q for v in registry.vendors() for q in v.quirks]
    if not systems and reader.failures and not (wanted or '').startswith('/'):
        # The caller's input is not the cause.
        failures = reader.failures
        refused = all(f.status in (401, 403) for f in failures.values())
        said = '; '.join(f'{u}: {f.answer}' for u, f in failures.items())
        raise _unread(
            reader, f'cannot read any System of the BMC: {said}', refused)
    if not systems and not (wanted or '').startswith('/'):
        raise BadInput(unread_members.no_system(reader, root))
    if wanted is None:
        hosts = [s for s in systems if not is_dpu(s)
                 and not _is_baseboard(s.uri, quirks)] or systems
        if len(hosts) == 1:
            return hosts[0]
        known = ', '.join(sorted(s.uri for s in systems)) or 'none'
        raise BadInput(f'{reader.names.system}: not given: expected one of '
                       f'the Systems of the BMC: {known}')
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
                _raise_if_unread(reader, root, uri)
        raise BadInput(f'{reader.names.system}: {wanted!r}: expected one of '
                       f'the Systems of the BMC: {known}')
    return found


def _is_in_chassis(system: Fields, ours: Mapping[str, Fields]) -> bool:
    """Whether a System is in one of the chassis."""
    if any(c in ours for c in system.links('Links', 'Chassis')):
        return True
    return any(system.uri in c.links('Links', 'ComputerSystems')
               for c in ours.values())


def _with_contained(reader: Reader, chassis: list[Fields], unread: list[str]
               ) -> tuple[list[Fields], list[str]]:
    """The chassis, with contained ones that no collection lists."""
    out = {c.uri: c for c in chassis}
    lost = dict.fromkeys(unread)
    todo = [u for c in chassis for u in c.links('Links', 'Contains')]
    while todo:
        uri = todo.pop()
        if uri in out or uri in lost:
            continue
        shown = reader.read(uri)
        if shown is None:
            lost[uri] = None
            continue
        out[uri] = shown
        todo += shown.links('Links', 'Contains')
    return list(out.values()), list(lost)


def _chassis(own: Fields, boards: list[Fields], dpus: list[Fields],
             hosts: list[str], chassis: list[Fields], alone: bool
             ) -> dict[str, Fields]:
    """The node's chassis.

    Those that its Systems link to or that link to them, and the chassis in
    these unless they are another host's. Without any link, a Chassis with the
    Id of a System belongs to that System.
    """
    everything = {c.uri: c for c in chassis}
    linked = any(c.doc.get('Links') for c in chassis)
    if alone and (not linked or len(hosts) <= 1):
        return everything
    others = {h for h in hosts if h != own.uri}
    mine = {own.uri, *(b.uri for b in boards), *(d.uri for d in dpus)}
    todo = [*own.links('Links', 'Chassis')]
    todo += [c.uri for c in chassis
             if mine & set(c.links('Links', 'ComputerSystems'))]
    if not any(u in everything for u in todo):
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
