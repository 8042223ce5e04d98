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

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent import futures
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
from ironic_accel.model import errors
from ironic_accel.model import loader
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


def make(ironic: api.Ironic, nodes: Sequence[Document],
         children: Sequence[Document] | None = None) -> dict[str, Any]:
    """Make the report of nodes; nodes that are not managed are only listed.

    :param nodes: as the API lists them.
    :param children: their child nodes, if those are not among them.
    """
    managed = [n for n in nodes if api.is_managed(n)]
    profiles, facts, denied, stopped = site_profiles(ironic, managed)
    family = nodes if children is None else children
    with futures.ThreadPoolExecutor(WORKERS) as pool:
        rows = list(pool.map(
            lambda n: _node(ironic, n, profiles, stopped, family), managed))
    return {
        'schema': SCHEMA, 'at': formatters.moment(time.time()),
        'profiles': facts, 'nodes': rows,
        'others': [{'uuid': n['uuid'], 'name': n.get('name'),
                    'driver': n['driver'],
                    'vendor_interface': n.get('vendor_interface')}
                   for n in nodes if not api.is_managed(n)],
        'denied': denied, 'stopped': stopped}


def site_profiles(ironic: api.Ironic, managed: Iterable[Document],
                  ) -> tuple[dict[str, Profile], list[dict[str, Any]],
                             list[str], list[str]]:
    """Read the site profiles from one node of each conductor.

    :returns: profiles by name, without those that differ between
        conductors; ``name``, ``digest`` and ``conductors`` of each version;
        errors, a sentence each; and the conductors on which writes are
        disabled.
    """
    asked: dict[str, str] = {}
    for node in managed:
        asked.setdefault(str(node.get('conductor')), str(node['uuid']))
    found: dict[tuple[str, str], tuple[Profile, list[str]]] = {}
    denied: list[str] = []
    stopped: list[str] = []
    for conductor, uuid in asked.items():
        try:
            answer = ironic.get(uuid, 'accel_profiles')
            site = answer['profiles']
            if answer.get('writes') is False:
                stopped.append(conductor)
        except CommandError as error:
            denied.append(str(error))
            if isinstance(error, Denied):
                break
            continue
        for one in site:
            try:
                profile = loader.load_data(one['profile'], inline=False)
            except errors.BadInput as error:
                # It may need catalogue rows of the site, unknown here.
                denied.append(f'{conductor}: {error.detail.summary}')
                continue
            found.setdefault((profile.name, one['digest']), (profile, [])
                             )[1].append(conductor)
    names = [name for name, _ in found]
    return ({name: profile for (name, _), (profile, _) in found.items()
             if names.count(name) == 1},
            [{'name': name, 'digest': digest, 'conductors': hosts,
              'offered': profile.offered}
             for (name, digest), (profile, hosts) in sorted(
                 found.items(), key=lambda x: x[0])], denied, stopped)


def _node(ironic: api.Ironic, node: Document,
          profiles: Mapping[str, Profile], stopped: Collection[str],
          children: Sequence[Document]) -> dict[str, Any]:
    seen, failed = _seen(ironic, node)
    denied = list(seen.denied)
    events: list[dict[str, Any]] | None = None
    try:
        events = node_access.events(ironic, str(node['uuid']))[-EVENTS:]
    except Denied as error:
        denied.append(str(error))
    except CommandError as error:
        failed = failed or str(error)
    info = seen.info or {}
    doc = seen.inventory
    compared = compliance.of(seen, profiles)
    return {
        'uuid': node['uuid'], 'name': node.get('name'),
        'driver': node['driver'], 'conductor': node.get('conductor'),
        'state': node['provision_state'], 'power': node.get('power_state'),
        'maintenance': node.get('maintenance'),
        'instance': node.get('instance_uuid'),
        'last_error': node.get('last_error'),
        'seen': ('inventory' if doc else 'failed' if failed
                 else 'partly' if denied else 'never'),
        'seen_at': formatters.moment(seen.at), 'age': seen.age(),
        'host': doc['host'] if doc else None,
        'complete': serialization.whole(doc) if doc else None,
        'health': health(seen),
        'devices': list(doc['devices']) if doc else _partial(seen),
        'traits': None if seen.traits is None else list(seen.accel_traits),
        'profiles': compared, 'drift': compliance.drift(seen, compared),
        'stopped': _stopped(node, children, stopped),
        'working': _working(info), 'last': keys.RESULT.read(info),
        'applied': keys.APPLIED.read(info), 'history': events,
        'denied': denied, 'failed': failed}


def _seen(
    ironic: api.Ironic, node: Document
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
        'step', 'kind', 'profile', 'progress', 'percent', 'started')}


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
