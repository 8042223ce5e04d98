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

"""The way of a node into our care and out of it: driver and interfaces."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses
from typing import Any

from osc_lib.exceptions import CommandError

from ironic_accel.conductor.node import keys
from ironic_accel.faces.osc import api
from ironic_accel.faces.osc.jobs import run_status

Document = Mapping[str, Any]

#: Hardware types with what each is built on, and the interfaces of both:
#: (ours, Ironic's own default). All others stay as they are.
TYPES: Mapping[str, tuple[str, Mapping[str, tuple[str, str]]]] = {
    'accel-redfish': ('redfish', {
        'power_interface': ('accel-redfish', 'redfish'),
        'vendor_interface': ('accelerator', 'redfish')}),
    'accel-idrac': ('idrac', {
        'power_interface': ('accel-idrac', 'idrac-redfish'),
        'vendor_interface': ('accelerator-idrac', 'idrac-redfish')}),
    'accel-ipmi': ('ipmi', {
        'power_interface': ('accel-ipmi', 'ipmitool'),
        'vendor_interface': ('accelerator-ipmi', 'ipmitool')})}

#: Interfaces of ours that an operator may have chosen beside them (adopt
#: leaves them alone), and Ironic's own: no other hardware type takes ours.
CHOSEN: Mapping[str, str] = {'accel-redfish': 'redfish',
                             'accel-idrac': 'idrac-redfish'}

#: Provision states in which Ironic lets interfaces be changed without
#: maintenance (ironic/conductor/manager.py, update_node).
OPEN = frozenset({'enroll', 'manageable', 'available', 'inspecting',
                  'inspect wait'})
_WHY = 'ironic-accel changes its driver'


@dataclasses.dataclass(frozen=True, slots=True)
class Move:
    """What is to be changed about a node.

    :ivar fields: field to (value now, value wanted).
    :ivar before: what ``extra`` is to remember, or None to forget it.
    :ivar maintenance: whether the node goes through maintenance for it.
    """

    ref: str
    node: Document
    fields: Mapping[str, tuple[Any, Any]]
    before: Document | None
    maintenance: bool

    def words(self) -> str:
        """What will be changed, in one line."""
        parts = [f'{name} {old} > {new}'
                 for name, (old, new) in self.fields.items()]
        if self.maintenance:
            parts.append('through maintenance')
        return f"node {self.ref}: {', '.join(parts) or 'nothing to change'}"

    def patch(self) -> list[dict[str, Any]]:
        """The changes as the API takes them."""
        changes: list[dict[str, Any]] = [
            {'op': 'replace', 'path': f'/{name}', 'value': new}
            for name, (_, new) in self.fields.items()]
        path = f'/extra/{keys.ADOPTED.name}'
        if self.before is not None:
            changes.append({'op': 'add', 'path': path,
                            'value': dict(self.before)})
        elif keys.ADOPTED.name in (self.node.get('extra') or {}):
            changes.append({'op': 'remove', 'path': path})
        return changes


def into(node: Document, ref: str) -> Move:
    """What makes a node one of ours.

    :raises: CommandError for a hardware type that we build on none of.
    """
    _settled(node, ref)
    for ours, (theirs, interfaces) in TYPES.items():
        if node['driver'] not in (ours, theirs):
            continue
        fields = {'driver': (node['driver'], ours)} | {
            name: (node.get(name), mine)
            for name, (mine, _) in interfaces.items()}
        changed = {k: v for k, v in fields.items() if v[0] != v[1]}
        # What was noted first stays: that is how the node came to us.
        noted = _noted(node) if node['driver'] == ours else {}
        return Move(ref, node, changed,
                    {k: old for k, (old, _) in changed.items()} | noted
                    or None, _closed(node) and bool(changed))
    raise CommandError(
        f"node {ref}: no hardware type of ours is built on "
        f"{node['driver']}; expected one of "
        + ', '.join(theirs for theirs, _ in TYPES.values()))


def out(node: Document, ref: str) -> Move:
    """What gives a node back: as it was, or Ironic's own where not known.

    :raises: CommandError for a node that is none of ours, and for one
        whose vendor interface cannot remove what we put on it.
    """
    _settled(node, ref)
    if node['driver'] not in TYPES:
        raise CommandError(
            f"node {ref}: its driver is {node['driver']}, which is none of "
            'ours: there is nothing to release')
    if not api.ours(node):
        raise CommandError(
            f"node {ref}: its vendor interface is "
            f"{node.get('vendor_interface')}, which cannot remove our "
            'traits, firmware rows and keys; next: baremetal accelerator '
            f'adopt --no-inventory {ref}, then release it')
    theirs, interfaces = TYPES[node['driver']]
    wanted = {'driver': theirs} | {
        name: default for name, (_, default) in interfaces.items()} | {
        k: v for k, v in _noted(node).items()
        if k == 'driver' or k in interfaces}
    chosen = CHOSEN.get(str(node.get('management_interface')))
    if chosen is not None:
        wanted['management_interface'] = chosen
    fields = {k: (node.get(k), v) for k, v in wanted.items()
              if node.get(k) != v}
    return Move(ref, node, fields, None, not node.get('maintenance'))


def _noted(node: Document) -> dict[str, Any]:
    """What adopt has noted of a node as it was."""
    return dict(keys.ADOPTED.read(node.get('extra')) or {})


def _settled(node: Document, ref: str) -> None:
    state = node['provision_state']
    if state in run_status.MOVING:
        raise CommandError(
            f'node {ref} is {state}: its driver is changed when that is '
            'over; wait for it')
    if node.get('reservation'):
        raise CommandError(
            f"node {ref}: locked by {node['reservation']}, which is working "
            'on it; try again in a moment')


def _closed(node: Document) -> bool:
    return node['provision_state'] not in OPEN \
        and not node.get('maintenance')


@contextlib.contextmanager
def door(ironic: api.Ironic, move: Move) -> Iterator[None]:
    """Keep a node in maintenance meanwhile, where that is called for.

    In maintenance no periodic of ours or Ironic's takes the node up, and its
    power is left alone.

    :raises: CommandError where it cannot be taken out again.
    """
    if not move.maintenance:
        yield
        return
    ironic.maintenance(move.ref, True, _WHY)
    try:
        yield
    finally:
        try:
            ironic.maintenance(move.ref, False)
        except CommandError as error:
            raise CommandError(
                f'{error}; it is still in maintenance, next: baremetal node '
                f'maintenance unset {move.ref}') from error


def check_served(ironic: api.Ironic, driver: str) -> None:
    """Make sure that some conductor serves a hardware type.

    :raises: CommandError that says how it comes to be.
    """
    served = ironic.hardware_types()
    if driver not in served:
        raise CommandError(
            f'no conductor serves the hardware type {driver}; served: '
            f"{', '.join(sorted(served)) or 'none'}; next: add it to "
            '[DEFAULT]enabled_hardware_types, and its interfaces beside it, '
            'and restart the conductors')
