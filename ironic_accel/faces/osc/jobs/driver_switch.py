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

"""Change the driver and interfaces of a node to accel ones and back."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses
import time
from typing import Any

from osc_lib.exceptions import CommandError

from ironic_accel.conductor.node import keys
from ironic_accel.faces.osc import api
from ironic_accel.faces.osc.jobs import run_status

Document = Mapping[str, Any]

#: Hardware types with what each is built on, and the interfaces of both:
#: (of this plug-in, Ironic's default). Other interfaces are not changed.
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

#: The hardware types of Ironic that these are built on.
PLAIN = tuple(plain for plain, _ in TYPES.values())

#: Management interfaces of this plug-in that an operator may have set (they
#: are not set when a node is enabled), and Ironic's own in their place: no
#: other hardware type supports them.
CHOSEN: Mapping[str, str] = {'accel-redfish': 'redfish',
                             'accel-idrac': 'idrac-redfish'}

#: Provision states in which Ironic lets interfaces be changed without
#: maintenance (ironic/conductor/manager.py, update_node).
OPEN = frozenset({'enroll', 'manageable', 'available', 'inspecting',
                  'inspect wait'})
_REASON = 'ironic-accel is changing the driver'


@dataclasses.dataclass(frozen=True, slots=True)
class DriverSwitch:
    """The changes of a node.

    :ivar fields: field to (present value, new value).
    :ivar before: the previous values to store in ``extra``, or None to
        remove those stored there.
    :ivar maintenance: whether the node has to be in maintenance meanwhile.
    """

    ref: str
    node: Document
    fields: Mapping[str, tuple[Any, Any]]
    before: Document | None
    maintenance: bool

    def summary(self) -> str:
        """The changes in one line."""
        parts = [f'{name} {old} > {new}'
                 for name, (old, new) in self.fields.items()]
        if self.maintenance:
            parts.append('in maintenance meanwhile')
        return f"node {self.ref}: {', '.join(parts) or 'no changes'}"

    def patch(self) -> list[dict[str, Any]]:
        """The changes as a JSON patch."""
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


def unlocked(ironic: api.Ironic, ref: str) -> dict[str, Any]:
    """Read a node, again for some seconds while it is locked.

    Most locks are short, as those of the synchronisation of power states. It
    is read as often as the client repeats a request because of a lock.

    :returns: the node as read last. It may still be locked.
    """
    retries, pause = ironic.retries
    node = ironic.node(ref)
    for _ in range(retries):
        if node['provision_state'] in run_status.MOVING or (
                api.readable(node, 'reservation') is None):
            break
        time.sleep(pause)
        node = ironic.node(ref)
    return node


def to_accel(node: Document, ref: str) -> DriverSwitch:
    """The changes that enable accelerator management on a node.

    :raises: CommandError for a hardware type without a counterpart here,
        and for a node that is locked or changing its state.
    """
    _check_unlocked(node, ref)
    for accel, (plain, interfaces) in TYPES.items():
        if node['driver'] not in (accel, plain):
            continue
        fields = {'driver': (node['driver'], accel)} | {
            name: (node.get(name), mine)
            for name, (mine, _) in interfaces.items()}
        changed = {k: v for k, v in fields.items() if v[0] != v[1]}
        # The values stored first are those from before it was enabled.
        noted = _stored(node) if node['driver'] == accel else {}
        return DriverSwitch(
            ref, node, changed,
            {k: old for k, (old, _) in changed.items()} | noted or None,
            _needs_maintenance(node) and bool(changed))
    raise CommandError(
        f"node {ref}: driver {node['driver']} is not supported; expected "
        'one of ' + ', '.join(PLAIN))


def can_be_enabled(node: Document) -> bool:
    """Whether a node is one to enable: of a known driver, and not yet."""
    return (node['driver'] in PLAIN
            or (node['driver'] in TYPES and not api.is_managed(node)))


def to_ironic(node: Document, ref: str) -> DriverSwitch:
    """The changes that disable accelerator management on a node.

    They restore the stored values, or set Ironic's defaults.

    :raises: CommandError for a node that is not enabled, one whose vendor
        interface has no passthru method to remove what is stored with it,
        and one that is locked or changing its state.
    """
    _check_unlocked(node, ref)
    if node['driver'] not in TYPES:
        raise CommandError(
            f"node {ref} is not managed by ironic-accel (driver "
            f"{node['driver']}); nothing to disable")
    if not api.is_managed(node):
        raise CommandError(
            f"node {ref}: vendor interface {node.get('vendor_interface')} "
            'cannot remove accelerator traits, firmware components and '
            'keys; next: baremetal accelerator enable --no-inventory '
            f'{ref}, then disable it again')
    plain, interfaces = TYPES[node['driver']]
    wanted = {'driver': plain} | {
        name: default for name, (_, default) in interfaces.items()} | {
        k: v for k, v in _stored(node).items()
        if k == 'driver' or k in interfaces}
    chosen = CHOSEN.get(str(node.get('management_interface')))
    if chosen is not None:
        wanted['management_interface'] = chosen
    fields = {k: (node.get(k), v) for k, v in wanted.items()
              if node.get(k) != v}
    return DriverSwitch(ref, node, fields, None, not node.get('maintenance'))


def _stored(node: Document) -> dict[str, Any]:
    """The values that a node had before it was enabled."""
    return dict(keys.ADOPTED.read(node.get('extra')) or {})


def _check_unlocked(node: Document, ref: str) -> None:
    state = node['provision_state']
    if state in run_status.MOVING:
        raise CommandError(
            f'node {ref} is {state}: the driver cannot be changed; wait '
            'until this has ended')
    if api.readable(node, 'reservation'):
        raise CommandError(
            f"node {ref}: locked by host {node['reservation']} for another "
            'request, which did not end within some seconds; next: repeat '
            'the command when the node is no longer locked: '
            f'baremetal node show {ref} --fields reservation')


def _needs_maintenance(node: Document) -> bool:
    return node['provision_state'] not in OPEN \
        and not node.get('maintenance')


@contextlib.contextmanager
def in_maintenance(ironic: api.Ironic,
                   switch: DriverSwitch) -> Iterator[None]:
    """Have a node in maintenance for the time of the block, if needed.

    In maintenance no periodic task of Ironic or this plug-in handles the node,
    and its power state is not synchronised.

    :raises: CommandError if maintenance cannot be unset afterwards.
    """
    if not switch.maintenance:
        yield
        return
    ironic.maintenance(switch.ref, True, _REASON)
    try:
        yield
    finally:
        try:
            ironic.maintenance(switch.ref, False)
        except CommandError as error:
            raise CommandError(
                f'{error}; the node is still in maintenance; next: '
                f'baremetal node maintenance unset {switch.ref}') from error


def check_served(ironic: api.Ironic, driver: str) -> None:
    """Check that a conductor has a hardware type enabled.

    :raises: CommandError with the option that enables it.
    """
    served = ironic.hardware_types()
    if driver not in served:
        raise CommandError(
            f'hardware type {driver} is not enabled on any conductor '
            f"(enabled: {', '.join(sorted(served)) or 'none'}); next: add it "
            'to [DEFAULT]enabled_hardware_types and its interfaces to the '
            'enabled interfaces, and restart the conductors')
