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

"""The site profiles of all conductors, as the report compares with them."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
from typing import Any

from osc_lib.exceptions import CommandError

from ironic_accel.faces.osc import api
from ironic_accel.faces.osc.errors import Denied
from ironic_accel.faces.osc.errors import reason
from ironic_accel.model import errors
from ironic_accel.model import loader
from ironic_accel.model.profile import Profile
from ironic_accel.model.step_templates import StepNeeds

Document = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class FleetProfiles:
    """What the conductors answered.

    :ivar versions: each profile with the conductors that have it. A name has
        several if conductors have different profiles of that name.
    :ivar answered: the conductors that told their profiles.
    :ivar denied: what could not be read, a sentence each.
    :ivar stopped: conductors on which writes are disabled.
    :ivar steps: what the steps of each profile depend on, by name and digest;
        conductors of earlier releases do not report it.
    :ivar options: by which each conductor publishes traits; the same holds
        for them.
    :ivar interfaces: by conductor, the type of the interface of the node that
        was asked that has the steps; the same holds for it.
    """

    versions: tuple[tuple[Profile, tuple[str, ...]], ...] = ()
    answered: frozenset[str] = frozenset()
    denied: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    steps: Mapping[tuple[str, str], StepNeeds] = dataclasses.field(
        default_factory=dict)
    options: Mapping[str, Document] = dataclasses.field(default_factory=dict)
    interfaces: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def agreed(self) -> dict[str, Profile]:
        """The profiles by name, without those that differ between
        conductors."""
        names = [p.name for p, _ in self.versions]
        return {p.name: p for p, _ in self.versions
                if names.count(p.name) == 1}

    def of_node(self, name: str, node: Document) -> Profile | None:
        """The profile of that name on the conductor of a node, or None."""
        host = str(node.get('conductor'))
        return next((p for p, hosts in self.versions
                     if p.name == name and host in hosts), None)

    def single(self, name: str, option: str,
               ) -> tuple[Profile, tuple[str, ...]]:
        """The one profile of a name, and the conductors that have it.

        :param option: what the name was given by.
        :raises: CommandError if there is none, or if conductors differ.
        """
        self.check(name, option)
        found = [v for v in self.versions if v[0].name == name]
        if len(found) > 1:
            raise CommandError(
                f'profile {name} differs between conductors: '
                + '; '.join(f"{p.digest} on {', '.join(on)}"
                            for p, on in found)
                + '; next: give all conductors the same file')
        return found[0]

    def check(self, name: str, option: str = '--profile') -> None:
        """Check that a conductor has a profile.

        :param option: what the name was given by.
        :raises: CommandError with the names of those that there are.
        """
        names = sorted({p.name for p, _ in self.versions})
        if name in names:
            return
        if self.denied and not names:
            raise CommandError(
                f'{option}: {name!r}: the site profiles cannot be read: '
                f'{reason(self.denied[0])}; next: give the profile as a '
                'file')
        raise CommandError(
            f'{option}: {name!r} is not a site profile of the conductors of '
            f"these nodes; their profiles: {', '.join(names) or 'none'}")

    def to_list(self) -> list[dict[str, Any]]:
        """The ``profiles`` of the report."""
        return [{'name': p.name, 'digest': p.digest,
                 'conductors': list(hosts), 'offered': p.offered}
                for p, hosts in self.versions]


def read(ironic: api.Ironic, managed: Iterable[Document]) -> FleetProfiles:
    """Read the site profiles from one node of each conductor.

    :param managed: nodes, as the API lists them.
    """
    asked: dict[str, str] = {}
    for node in managed:
        asked.setdefault(str(node.get('conductor')), str(node['uuid']))
    found: dict[tuple[str, str], tuple[Profile, list[str]]] = {}
    denied: list[str] = []
    stopped: list[str] = []
    steps: dict[tuple[str, str], StepNeeds] = {}
    options: dict[str, Document] = {}
    interfaces: dict[str, str] = {}
    answered: set[str] = set()
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
        answered.add(conductor)
        if isinstance(answer.get('traits'), Mapping):
            options[conductor] = answer['traits']
        if isinstance(answer.get('interface'), str):
            interfaces[conductor] = answer['interface']
        for one in site:
            try:
                profile = loader.load_data(one['profile'], inline=False)
            except errors.BadInput as error:
                # It may need catalogue rows of the site, unknown here.
                denied.append(f'{conductor}: {error.detail.summary}')
                continue
            products = one.get('products')
            if isinstance(products, Mapping):
                # The conductor's catalogue may have rows of the site.
                profile = profile.selecting({
                    group: names for group, names in products.items()
                    if isinstance(names, list)})
            wants = StepNeeds.from_dict(one.get('steps'))
            if wants is not None:
                steps.setdefault((profile.name, one['digest']), wants)
            found.setdefault(
                (profile.name, one['digest']),
                (dataclasses.replace(profile, digest=one['digest']), []),
            )[1].append(conductor)
    return FleetProfiles(
        tuple((profile, tuple(hosts)) for _, (profile, hosts) in sorted(
            found.items(), key=lambda x: x[0])), frozenset(answered),
        tuple(denied), tuple(stopped), steps, options, interfaces)
