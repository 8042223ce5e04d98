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

"""Deploy templates and runbooks that apply a site profile.

The name of a deploy template is a trait: if the flavor of a server requires
``CUSTOM_ACCEL_CAN_X``, profile X is applied to its node during deployment. A
runbook does the same by cleaning, and can be used for automated cleaning. Its
name is a trait too: before API 1.112 Ironic takes no other, and allows the
runbook for nodes with that trait. The upgrade to 39 gives it the trait of its
name (db/sqlalchemy/api.py, migrate_runbook_names_to_traits).

The bodies are those of ``POST /v1/deploy_templates`` and ``POST
/v1/runbooks`` (ironic/api/controllers/v1/deploy_template.py, runbook.py).
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import dataclasses
from typing import Any

from ironic_accel.model.catalog import Catalog
from ironic_accel.model.profile import Profile
from ironic_accel.model import traits

#: Before Ironic boots the agent (100, ironic/drivers/modules/agent.py): an
#: out-of-band step does not need the agent, and may reset the host.
OUT_OF_BAND_PRIORITY = 150
#: While the agent runs: before and after the image is written (80).
IN_BAND_PRIORITY = 90
FIRST_BOOT_PRIORITY = 70
#: The transports by which a step can be requested.
TRANSPORTS = ('redfish', 'agent')
#: The types of interface that can have the steps, the usual one first.
INTERFACES = ('vendor', 'accelerator')


@dataclasses.dataclass(frozen=True, slots=True)
class StepNeeds:
    """What the steps of a profile depend on besides the profile itself.

    Only a conductor knows: by its catalogue and its vendor plug-ins.

    :ivar agent: whether it has firmware or modes that no BMC can write.
    :ivar volatile: its modes that do not survive a reboot on any selected
        product, with their group.
    """

    agent: bool
    volatile: frozenset[tuple[str, str]] = frozenset()

    def to_dict(self) -> dict[str, Any]:
        """The document; ``from_dict`` reads it back."""
        return {'agent': self.agent,
                'volatile': [list(one) for one in sorted(self.volatile)]}

    @classmethod
    def from_dict(cls, doc: Any) -> StepNeeds | None:
        """Read the document of a conductor; None for anything else."""
        if not isinstance(doc, Mapping) or not isinstance(
                doc.get('agent'), bool):
            return None
        volatile = doc.get('volatile')
        if not isinstance(volatile, list) or not all(
                isinstance(one, list) and len(one) == 2
                and all(isinstance(name, str) for name in one)
                for one in volatile):
            return None
        return cls(doc['agent'], frozenset((g, m) for g, m in volatile))


def needs(profile: Profile, known: Catalog,
          settable: Collection[str]) -> StepNeeds:
    """What the steps of a profile depend on.

    :param settable: names of the modes that can be set over Redfish.
    """
    agent = any(set(group.modes) - set(settable)
                or any(known.is_in_band(name) for name in group.firmware)
                for group in profile.groups)
    return StepNeeds(agent, frozenset(
        (group.name, name) for group in profile.groups
        for name in group.modes for kind in group.match.get('kind', ())
        if all((facts := known.mode(kind, name, product)) is not None
               and facts.persistent is False
               for product in group.products or (None,))))


def document(profile: Profile, wants: StepNeeds, via: str | None = None,
             interface: str = INTERFACES[0]) -> dict[str, Any]:
    """The deploy template and the runbook of a profile.

    ``deploy_template`` is null for a profile that is not offered: no node gets
    its CAN trait. Its runbook is for nodes that an operator gives a trait,
    which is none of ours.

    :param via: one of ``TRANSPORTS``; None to select what the profile needs.
    :param interface: that of the nodes that has the steps.
    """
    agent = wants.agent if via is None else via == 'agent'
    can = traits.can_trait(profile)
    name = can if profile.offered else can.replace('ACCEL_CAN', 'RUNBOOK', 1)
    apply = {'interface': interface,
             'step': 'apply_profile_in_band' if agent else 'apply_profile',
             'args': {'profile': profile.name}}
    return {
        'name': profile.name, 'digest': profile.digest,
        'deploy_template': {
            'name': can, 'steps': _deploy_steps(profile, wants, agent, apply),
        } if profile.offered else None,
        # It boots a ramdisk only for the agent.
        'runbook': {'name': name, 'disable_ramdisk': not agent,
                    'steps': [{**apply, 'order': 1}]},
        'runbook_traits': [name]}


def _deploy_steps(profile: Profile, wants: StepNeeds, agent: bool,
                  apply: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The steps of a deploy template.

    Modes that do not survive a reboot are set by a unit in the instance, if
    the profile allows that. The others are set before the image is written.

    :param apply: the step that applies the profile.
    """
    volatile = (wants.volatile if 'first_boot' in profile.allow
                else frozenset())
    steps = []
    if _all(profile) - volatile or not volatile:
        steps.append({**apply, 'priority': IN_BAND_PRIORITY if agent
                      else OUT_OF_BAND_PRIORITY})
    if volatile:
        steps.append({**apply, 'step': 'deliver_first_boot',
                      'priority': FIRST_BOOT_PRIORITY})
    return steps


def _all(profile: Profile) -> frozenset[tuple[str, str]]:
    """The components and modes that a profile declares, with their group."""
    return frozenset((group.name, name) for group in profile.groups
                     for name in (*group.firmware, *group.modes))
