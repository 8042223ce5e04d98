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

"""Comparison of the site profiles, and the releases, of all conductors.

A verification and its trait refer to the profile of that name. If two
conductors have different profiles of one name, the trait would be ambiguous,
and neither publishes it until the profiles are the same again.

Ironic's table of conductors has no field for this, and every conductor reads
the nodes. So each conductor stores a beacon on one of its nodes: its name, and
the digest of each of its site profiles, and the releases that it runs. Beacons
of conductors that Ironic
counts as offline are ignored. The later one of two beacons is decided by their
number, not by a clock: one that was left on a node that the conductor lost
would win after a clock was set back.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import functools
from importlib import metadata
import threading
from typing import Any

from ironic.objects import conductor
from oslo_log import log

from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.config import profiles as profiles_module
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import db_retry
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node import queries
from ironic_accel.conductor.node import saving
from ironic_accel.conductor.node.stored_values import StoredSite

LOG = log.getLogger(__name__)

#: Characters of a digest; enough to tell profiles apart.
SHORT = 16
#: Seconds for which the digests of other conductors are kept.
FRESH = 10.0
#: Nodes that are tried for one beacon: a locked one is no place.
TRIED = 20


@dataclasses.dataclass(frozen=True, slots=True)
class Beacon:
    """The last digests of one conductor.

    :ivar number: the serial number of this beacon of the conductor.
    :ivar node: the uuid of the node that stores it.
    :ivar releases: of Ironic and of ironic-accel; of an earlier version None.
    """

    host: str
    number: int
    profiles: Mapping[str, str]
    node: str
    releases: tuple[str | None, str | None] = (None, None)


@dataclasses.dataclass(frozen=True, slots=True)
class OnlineConductor:
    """A conductor that Ironic counts as online.

    :ivar group: its conductor group.
    :ivar drivers: its hardware types.
    :ivar ironic: its release of Ironic, and ``accel``: that of ironic-accel;
        None if it has stored none.
    """

    host: str
    group: str
    drivers: tuple[str, ...]
    ironic: str | None
    accel: str | None


class Agreement:
    """The comparison with the profiles of other conductors."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = float('-inf')
        self._others: tuple[Beacon, ...] = ()
        self._told: dict[str, str] = {}
        #: What Ironic calls this conductor, once that is known.
        self.host: str | None = None

    def differing(self) -> Mapping[str, str]:
        """The site profiles that differ from those of another conductor.

        A profile that another conductor does not have is no difference: no
        trait is ambiguous then.

        :returns: the conductor, by name of the profile.
        """
        now = clock.steady()
        with self._lock:
            if not 0 <= now - self._asked < FRESH:
                self._others = others(self.host or CONF.host)
                self._asked = now
            ours = own()
            found = {}
            for beacon in self._others:
                for name, digest in beacon.profiles.items():
                    if ours.get(name, digest) != digest:
                        found[name] = beacon.host
            self._tell(found)
        return found

    def forget(self) -> None:
        """Ask the others again next time."""
        with self._lock:
            self._asked = float('-inf')

    def _tell(self, found: dict[str, str]) -> None:
        """Log the changes, once."""
        for name, host in found.items():
            if self._told.get(name) != host:
                LOG.error('Profile %(name)s differs from the one on conductor '
                          '%(host)s: neither conductor publishes it', {
                              'name': name, 'host': host})
        for name in set(self._told) - set(found):
            LOG.info('Profile %s is the same on all conductors again', name)
        self._told = found


_instance = Agreement()


def agreement() -> Agreement:
    """What this conductor knows of the others' profiles."""
    return _instance


def differing() -> Mapping[str, str]:
    """The site profiles that another conductor has otherwise."""
    return agreement().differing()


def own() -> dict[str, str]:
    """The digests of this conductor's site profiles, by name."""
    return {name: profile.digest[:SHORT]
            for name, profile in profiles_module.site_profiles().all().items()}


def others(host: str) -> tuple[Beacon, ...]:
    """The newest beacon of every other conductor that is online.

    :param host: the conductor whose others they are.
    """
    newest: dict[str, Beacon] = {}
    for beacon in _beacons():
        known = newest.get(beacon.host)
        if known is None or known.number < beacon.number:
            newest[beacon.host] = beacon
    newest.pop(host, None)
    if not newest:
        return ()
    there = online()
    return tuple(b for name, b in sorted(newest.items()) if name in there)


def announce(manager: Any, context: Any, interface: type) -> None:
    """Store a beacon of this conductor with its current digests.

    :param interface: base class of the vendor interfaces of its nodes.
    """
    _announce(manager, context, interface)
    # A difference is logged whether or not anything is published.
    differing()


def _announce(manager: Any, context: Any, interface: type) -> None:
    profiles = own()
    host = getattr(manager, 'host', None) or CONF.host
    agreement().host = host
    if not online() - {host}:
        # No other conductor reads it; the next pass stores it for one that
        # starts.
        return
    mine = [b for b in _beacons() if b.host == host]
    last = max(mine, key=lambda b: b.number, default=None)
    ironic, accel = own_releases()
    if last is not None and (last.profiles, last.releases) == (
            profiles, (ironic, accel)):
        return
    nodes = list(queries.managed(manager, reserved=False))
    if last is not None and last.node in nodes:
        nodes = [last.node, *(n for n in nodes if n != last.node)]
    number = 1 if last is None else last.number + 1
    for uuid in nodes[:TRIED]:
        if _put(context, uuid, interface, {
                'host': host, 'number': number, 'at': clock.now(),
                'profiles': profiles, 'ironic': ironic, 'accel': accel}):
            break


def _put(context: Any, uuid: str, interface: type,
         value: StoredSite) -> bool:
    def put(task: Any) -> bool:
        operation.check_size({**task.node.driver_internal_info,
                              keys.SITE.name: value})
        keys.SITE.put(task.node, value)
        saving.save(task.node)
        return True

    return bool(db_retry.visit(
        context, uuid, 'publishing the digests of the site profiles', put,
        interface=interface))


@functools.cache
def own_releases() -> tuple[str, str]:
    """The releases of Ironic and of ironic-accel that this process runs."""
    return metadata.version('ironic'), metadata.version('ironic-accel')


def conductors() -> list[OnlineConductor]:
    """The conductors that are online, by name."""
    there = online()
    newest = {b.host: b for b in sorted(_beacons(), key=lambda b: b.number)}
    rows = db_retry.call(conductor.Conductor.dbapi.get_conductor_list)
    return [OnlineConductor(
        row.hostname, row.conductor_group, tuple(row.drivers or ()),
        *(newest[row.hostname].releases if row.hostname in newest
          else (None, None)))
        for row in sorted(rows, key=lambda row: str(row.hostname))
        if row.hostname in there]


def online() -> set[str]:
    """The names of the conductors that Ironic counts as online."""
    return set(db_retry.call(
        conductor.Conductor.dbapi.get_online_conductors))


def _beacons() -> list[Beacon]:
    found = []
    for row in queries.with_key(keys.SITE.name):
        raw = keys.SITE.of(row)
        if raw:
            # One of an earlier version has no number: it is the first.
            found.append(Beacon(
                raw['host'], raw.get('number', 0), dict(raw['profiles']),
                row.uuid, (raw.get('ironic'), raw.get('accel'))))
    return found
