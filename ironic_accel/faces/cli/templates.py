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

"""``ironic-accel templates``: what Ironic is to be told of site profiles.

A deploy template is found by its name, which is that of a trait: a server
whose flavor requires ``CUSTOM_ACCEL_CAN_X`` has the node converted to X while
it is deployed. A runbook does the same by cleaning, and may be a node's
automated cleaning.
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

#: Before Ironic boots the agent at 100 (ironic/drivers/modules/agent.py):
#: an out-of-band step needs none, and may reset the host.
OUT_OF_BAND_PRIORITY = 150
#: While the agent is there: before the image is written (80), and after it.
IN_BAND_PRIORITY = 90
FIRST_BOOT_PRIORITY = 70


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    profile_options.add_profile(parser)
    parser.add_argument(
        '--via', choices=('redfish', 'agent'),
        help='by which way the profile is brought about: out of band before '
             'a ramdisk boots, or with the ramdisk, which reaches what the '
             'BMC reaches too (default: agent where the profile has what no '
             'BMC can do)')


def run(args: argparse.Namespace) -> int:
    """Print one JSON document with what belongs to each profile.

    ``deploy_template`` and ``runbook`` are bodies of ``POST
    /v1/deploy_templates`` and ``POST /v1/runbooks``; ``runbook_traits`` go
    to ``PUT /v1/runbooks/NAME/traits`` (API 1.112).

    :returns: 0.
    :raises: BadInput for a bad file, or a name that is not in it.
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
    """What Ironic is to be told of one profile.

    ``deploy_template`` is null and ``runbook_traits`` is empty for a profile
    that is not offered: no node gets its CAN trait.

    :param via: ``redfish`` or ``agent``; None is what the profile needs.
    """
    agent = needs_agent(profile, known) if via is None else via == 'agent'
    return {
        'name': profile.name, 'digest': profile.digest,
        'deploy_template': deploy_template(profile, known, agent),
        'runbook': runbook(profile, agent),
        'runbook_traits': ([traits.can_trait(profile)] if profile.offered
                           else [])}


def needs_agent(profile: Profile, known: Catalog) -> bool:
    """Whether a profile has what the catalogue says is written in band, or
    a mode that no BMC can set."""
    return any(set(group.modes) - modes.names()
               or any(known.is_in_band(name) for name in group.firmware)
               for group in profile.groups)


def deploy_template(profile: Profile, known: Catalog,
                    agent: bool = False) -> dict[str, Any] | None:
    """The deploy template of an offered profile.

    What no reboot survives is brought into the instance where the profile
    allows that; what is left is brought about before it.
    """
    if not profile.offered:
        return None
    fleeting = (_fleeting(profile, known) if 'first_boot' in profile.allow
                else frozenset())
    steps = []
    if _all(profile) - fleeting or not fleeting:
        steps.append({
            **_step(profile, agent), 'priority':
                IN_BAND_PRIORITY if agent else OUT_OF_BAND_PRIORITY})
    if fleeting:
        steps.append({**_step(profile), 'step': 'deliver_first_boot',
                      'priority': FIRST_BOOT_PRIORITY})
    return {'name': traits.can_trait(profile), 'steps': steps}


def _all(profile: Profile) -> frozenset[tuple[str, str]]:
    """Each component and mode that a profile declares, by group."""
    return frozenset((group.name, name) for group in profile.groups
                     for name in (*group.firmware, *group.modes))


def _fleeting(profile: Profile, known: Catalog) -> frozenset[tuple[str, str]]:
    """The modes that survive no reboot on any product that is selected."""
    return frozenset(
        (group.name, name) for group in profile.groups
        for name in group.modes for kind in group.match.get('kind', ())
        if all((facts := known.mode(kind, name, product)) is not None
               and facts.persists is False
               for product in group.match.get('product') or (None,)))


def runbook(profile: Profile, agent: bool = False) -> dict[str, Any]:
    """The runbook of clean steps; it boots a ramdisk where it needs one."""
    return {'name': f'accel-{profile.name}', 'disable_ramdisk': not agent,
            'steps': [{**_step(profile, agent), 'order': 1}]}


def _step(profile: Profile, agent: bool = False) -> dict[str, Any]:
    return {'interface': 'vendor',
            'step': 'apply_profile_in_band' if agent else 'apply_profile',
            'args': {'profile': profile.name}}
