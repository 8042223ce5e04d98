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

"""``ironic-accel templates``: deploy templates and runbooks of profiles.

The name of a deploy template is a trait: if the flavor of a server requires
``CUSTOM_ACCEL_CAN_X``, profile X is applied to its node during deployment. A
runbook does the same by cleaning, and can be used for automated cleaning.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from ironic_accel.faces.cli import profile_options
from ironic_accel.faces import profile_file
from ironic_accel.model.catalog import Catalog
from ironic_accel.model.profile import Profile
from ironic_accel.model import traits
from ironic_accel.redfish.inventory import modes

#: Before Ironic boots the agent (100, ironic/drivers/modules/agent.py): an
#: out-of-band step does not need the agent, and may reset the host.
OUT_OF_BAND_PRIORITY = 150
#: While the agent runs: before and after the image is written (80).
IN_BAND_PRIORITY = 90
FIRST_BOOT_PRIORITY = 70


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    profile_options.add_profile(parser)
    parser.add_argument(
        '--via', choices=('redfish', 'agent'),
        help='transport: redfish for an out-of-band step before the ramdisk '
             'boots, agent for a step that uses both the ramdisk and the BMC '
             '(default: agent if the profile has firmware or modes that no '
             'BMC can write)')


def run(args: argparse.Namespace) -> int:
    """Print a JSON document with the objects of each profile.

    ``deploy_template`` and ``runbook`` are bodies of ``POST
    /v1/deploy_templates`` and ``POST /v1/runbooks``; ``runbook_traits`` go
    to ``PUT /v1/runbooks/NAME/traits`` (API 1.112).

    :returns: 0.
    :raises: BadInput for an invalid file or an unknown name.
    """
    known = profile_options.catalogue(args)
    chosen = ([profile_options.choose(args)] if args.name is not None
              else profile_file.read(args.profile, known))
    print(json.dumps({'schema': 'templates/1', 'profiles': [
        document(profile, known, args.via) for profile in chosen]},
        indent=2))
    return 0


def document(profile: Profile, known: Catalog,
             via: str | None = None) -> dict[str, Any]:
    """The deploy template and the runbook of a profile.

    ``deploy_template`` is null and ``runbook_traits`` is empty for a profile
    that is not offered: no node gets its CAN trait.

    :param via: ``redfish`` or ``agent``; None to select what the profile
        needs.
    """
    agent = needs_agent(profile, known) if via is None else via == 'agent'
    return {
        'name': profile.name, 'digest': profile.digest,
        'deploy_template': deploy_template(profile, known, agent),
        'runbook': runbook(profile, agent),
        'runbook_traits': ([traits.can_trait(profile)] if profile.offered
                           else [])}


def needs_agent(profile: Profile, known: Catalog) -> bool:
    """Whether a profile needs the agent.

    It does for firmware that the catalogue has as in-band, and for a mode
    that no BMC can set.
    """
    return any(set(group.modes) - modes.names()
               or any(known.is_in_band(name) for name in group.firmware)
               for group in profile.groups)


def deploy_template(profile: Profile, known: Catalog,
                    agent: bool = False) -> dict[str, Any] | None:
    """The deploy template of an offered profile, else None.

    Modes that do not survive a reboot are set by a unit in the instance, if
    the profile allows that. The others are set before the image is written.
    """
    if not profile.offered:
        return None
    volatile = (_volatile(profile, known) if 'first_boot' in profile.allow
                else frozenset())
    steps = []
    if _all(profile) - volatile or not volatile:
        steps.append({
            **_step(profile, agent), 'priority':
                IN_BAND_PRIORITY if agent else OUT_OF_BAND_PRIORITY})
    if volatile:
        steps.append({**_step(profile), 'step': 'deliver_first_boot',
                      'priority': FIRST_BOOT_PRIORITY})
    return {'name': traits.can_trait(profile), 'steps': steps}


def _all(profile: Profile) -> frozenset[tuple[str, str]]:
    """The components and modes that a profile declares, with their group."""
    return frozenset((group.name, name) for group in profile.groups
                     for name in (*group.firmware, *group.modes))


def _volatile(profile: Profile, known: Catalog) -> frozenset[tuple[str, str]]:
    """The modes that do not survive a reboot on any selected product."""
    return frozenset(
        (group.name, name) for group in profile.groups
        for name in group.modes for kind in group.match.get('kind', ())
        if all((facts := known.mode(kind, name, product)) is not None
               and facts.persistent is False
               for product in group.products or (None,)))


def runbook(profile: Profile, agent: bool = False) -> dict[str, Any]:
    """The runbook; it boots a ramdisk only for the agent."""
    return {'name': f'accel-{profile.name}', 'disable_ramdisk': not agent,
            'steps': [{**_step(profile, agent), 'order': 1}]}


def _step(profile: Profile, agent: bool = False) -> dict[str, Any]:
    return {'interface': 'vendor',
            'step': 'apply_profile_in_band' if agent else 'apply_profile',
            'args': {'profile': profile.name}}
