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

from ironic_accel import profile_file
from ironic_accel.cli import catalogue
from ironic_accel.cli import profiles
from ironic_accel.model import traits
from ironic_accel.model.profile import Profile

#: Before Ironic boots the agent at 100 (ironic/drivers/modules/agent.py):
#: an out-of-band step needs none, and may reset the host.
OUT_OF_BAND_PRIORITY = 150


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    profiles.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print one JSON document with what belongs to each profile.

    ``deploy_template`` and ``runbook`` are bodies of ``POST
    /v1/deploy_templates`` and ``POST /v1/runbooks``; ``runbook_traits`` go
    to ``PUT /v1/runbooks/NAME/traits`` (API 1.112).

    :returns: 0.
    :raises: BadInput for a bad file, or a name that is not in it.
    """
    chosen = ([profiles.choose(args)] if args.name is not None
              else profile_file.read(args.profile, catalogue.of(args)))
    print(json.dumps({'schema': 'templates/1', 'profiles': [
        document(profile) for profile in chosen]}, indent=2))
    return 0


def document(profile: Profile) -> dict[str, Any]:
    """What Ironic is to be told of one profile.

    ``deploy_template`` is null and ``runbook_traits`` is empty for a profile
    that is not offered: no node gets its CAN trait.
    """
    return {
        'name': profile.name, 'digest': profile.digest,
        'deploy_template': deploy_template(profile),
        'runbook': runbook(profile),
        'runbook_traits': ([traits.can_trait(profile)] if profile.offered
                           else [])}


def deploy_template(profile: Profile) -> dict[str, Any] | None:
    """The deploy template of an offered profile."""
    if not profile.offered:
        return None
    return {'name': traits.can_trait(profile), 'steps': [
        {**_step(profile), 'priority': OUT_OF_BAND_PRIORITY}]}


def runbook(profile: Profile) -> dict[str, Any]:
    """The runbook of clean steps; it boots no ramdisk."""
    return {'name': f'accel-{profile.name}', 'disable_ramdisk': True,
            'steps': [{**_step(profile), 'order': 1}]}


def _step(profile: Profile) -> dict[str, Any]:
    return {'interface': 'vendor', 'step': 'apply_profile',
            'args': {'profile': profile.name}}
