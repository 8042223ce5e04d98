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

"""The document ``report/2``: the accelerators of a fleet.

The table, the saved document and the HTML page are made from it. Data that
the caller may not read is null, with the reason in ``denied``.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent import futures
import dataclasses
import time
from typing import Any

from osc_lib.exceptions import CommandError

from ironic_accel.conductor.node import keys
from ironic_accel.faces.osc import api
from ironic_accel.faces.osc.errors import Denied
from ironic_accel.faces.osc import formatters
from ironic_accel.faces.osc.report import compliance
from ironic_accel.faces.osc.report import node_access
from ironic_accel.faces.osc.report.node_access import VisibleNode
from ironic_accel.faces.osc.report import node_status
from ironic_accel.faces.osc.report import fleet_profiles
from ironic_accel.faces.osc.report.fleet_profiles import FleetProfiles
from ironic_accel.faces.osc.report import totals
from ironic_accel.model.profile import Profile
from ironic_accel.model import serialization
from ironic_accel.model import traits as grammar

Document = Mapping[str, Any]

SCHEMA = 'report/2'
#: Number of nodes that are read concurrently.
WORKERS = 8
#: Number of events in the report of a node.
EVENTS = 10
#: From good to bad; a node has the health of its worst device.
HEALTHS = ('OK', None, 'Warning', 'Critical')


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """What a report is to have besides the nodes.

    :ivar profile: the profile whose changes it has: the name of a site
        profile, or a profile out of a file. None: those of all site profiles.
    :ivar max_age: seconds after which an inventory counts as not seen; None
        if it never does.
    """

    profile: str | Profile | None = None
    max_age: float | None = None


def make(ironic: api.Ironic, nodes: Sequence[Document],
         children: Sequence[Document] | None = None,
         options: Options = Options(),
         tick: Callable[[int, int], None] = lambda read, nodes: None,
         ) -> dict[str, Any]:
    """Make the report of nodes; nodes that are not managed are only listed.

    :param nodes: as the API lists them.
    :param children: their child nodes, if those are not among them.
    :param tick: called with the number of nodes that are read, and of all.
    :raises: CommandError if no conductor has the profile of the options.
    """
    managed = [n for n in nodes if api.is_managed(n)]
    site = fleet_profiles.read(ironic, managed)
    if isinstance(options.profile, str) and managed:
        site.check(options.profile)
    family = nodes if children is None else children
    rows = []
    with futures.ThreadPoolExecutor(WORKERS) as pool:
        for row in pool.map(
                lambda n: _node(ironic, n, site, family, options), managed):
            rows.append(row)
            tick(len(rows), len(managed))
    others = [{'uuid': n['uuid'], 'name': n.get('name'),
               'driver': n['driver'],
               'vendor_interface': n.get('vendor_interface')}
              for n in nodes if not api.is_managed(n)]
    return {
        'schema': SCHEMA, 'at': formatters.moment(time.time()),
        **totals.of(rows, [p.name for p, _ in site.versions]),
        'profiles': site.to_list(), 'nodes': rows, 'others': others,
        'denied': list(site.denied), 'stopped': list(site.stopped)}


def _node(ironic: api.Ironic, node: Document, site: FleetProfiles,
          children: Sequence[Document], options: Options) -> dict[str, Any]:
    seen, failed = _seen(ironic, node)
    denied = list(seen.denied)
    events: list[dict[str, Any]] | None = None
    try:
        events = [
            {k: v for k, v in event.items() if k != 'document'}
            for event in node_access.events(
                ironic, str(node['uuid']))[-EVENTS:]]
    except Denied as error:
        denied.append(error.reason)
    except CommandError as error:
        failed = failed or str(error)
    info = seen.info or {}
    doc, last = seen.inventory, keys.RESULT.read(info)
    on = compliance.basis(seen)
    compared = compliance.of(seen, on, site.agreed)
    return node_status.marked({
        'uuid': node['uuid'], 'name': node.get('name'),
        'driver': node['driver'], 'conductor': node.get('conductor'),
        'state': node['provision_state'], 'power': node.get('power_state'),
        'maintenance': node.get('maintenance'),
        'maintenance_reason': node.get('maintenance_reason'),
        'fault': node.get('fault'), 'instance': node.get('instance_uuid'),
        'last_error': api.readable(node, 'last_error'),
        'seen': ('inventory' if doc else 'failed' if failed
                 else 'partly' if denied else 'never'),
        'seen_at': formatters.moment(seen.at), 'age': seen.age(),
        'host': doc['host'] if doc else None,
        'complete': serialization.whole(doc) if doc else None,
        'busy': [b['summary'] or b['kind'] for b in doc['busy']]
        if doc else None,
        'health': health(seen),
        'devices': list(doc['devices']) if doc else _partial(seen),
        'traits': None if seen.traits is None else list(seen.accel_traits),
        'profiles': compared, 'drift': compliance.drift(seen, compared),
        'change': _change(node, on, site, options.profile),
        'stopped': _stopped(node, children, site.stopped),
        'working': _working(info), 'lock': _lock(info),
        'last': last, 'seen_after_last': _is_after(seen.at, last),
        'applied': keys.APPLIED.read(info), 'history': events,
        'denied': denied, 'failed': failed}, options.max_age)


def _change(node: Document, on: compliance.Basis | None, site: FleetProfiles,
            profile: str | Profile | None) -> dict[str, Any] | None:
    """What the profile of the options would change on a node."""
    if profile is None:
        return None
    if isinstance(profile, Profile):
        return {'profile': profile.name, 'digest': profile.digest,
                **compliance.change(on, profile)}
    found = site.of_node(profile, node)
    if found is not None:
        return {'profile': profile, 'digest': found.digest,
                **compliance.change(on, found)}
    changed = compliance.outcome(
        'refused', 'its conductor has no profile of this name')
    if str(node.get('conductor')) not in site.answered:
        changed = compliance.outcome(
            'not known', 'the profiles of its conductor could not be read')
    return {'profile': profile, 'digest': None, **changed}


def _seen(ironic: api.Ironic, node: Document
         ) -> tuple[VisibleNode, str | None]:
    """Read a node; the node as far as it was read, and the error.

    An error of one node, for example because it was deleted meanwhile, does
    not stop the report.
    """
    try:
        return node_access.gather(ironic, node), None
    except CommandError as error:
        names = node.get('traits')
        return VisibleNode(node, api.info(node), traits=None if names is None
                    else tuple(sorted(names))), str(error)


def _stopped(node: Document, children: Sequence[Document],
             stopped: Collection[str]) -> str | None:
    """Why no write is started on a node, or None."""
    hold = api.held(node, children)
    if hold:
        return hold
    if str(node.get('conductor')) in stopped:
        return f"writes are disabled on conductor {node.get('conductor')}"
    return None


def _working(info: Document) -> dict[str, Any] | None:
    current = keys.OPERATION.read(info)
    if not current:
        return None
    return {k: current.get(k) for k in (
        'step', 'kind', 'work', 'profile', 'progress', 'percent', 'started')}


def _is_after(at: float | None, last: Document | None) -> bool | None:
    """Whether an inventory is later than the end of the last operation."""
    ended = None if last is None else last.get('finished')
    if at is None or not isinstance(ended, int | float):
        return None
    return at > ended


def _lock(info: Document) -> str | None:
    """What the power lock of a node protects, or None."""
    guard = keys.GUARD.read(info)
    return None if guard is None else str(guard['what'])


def _partial(seen: VisibleNode) -> list[dict[str, Any]]:
    """The devices known from firmware components."""
    return [{'id': device, 'model': parts[0].get('model'),
             'vendor': parts[0].get('vendor'),
             'serial': parts[0].get('serial_number'),
             'components': [{'name': p['name'], 'pending': None,
                             'running': p['current_version']}
                            for p in parts]}
            for device, parts in node_access.devices_by_firmware(
                seen.firmware or ()).items()]


def health(seen: VisibleNode) -> str | None:
    """The worst health of the devices; without an inventory, by traits."""
    if seen.inventory is None:
        if seen.traits is None:
            return None
        return 'Warning' if grammar.DEGRADED in seen.traits else None
    found = [d['health'] for d in seen.inventory['devices']]
    return max(found, default=None, key=lambda h: (
        HEALTHS.index(h) if h in HEALTHS else len(HEALTHS)))
