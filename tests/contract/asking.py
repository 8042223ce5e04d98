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

"""Profiles for one kind of card, and what is refused of a profile."""

from __future__ import annotations

from ironic_accel.converge import outcome
from tests.contract.machine import Machine

#: A digest that no image has: good for what is refused before it is read.
NONE_YET = '0' * 64

NO_WAY = 'no transport can update it, of: redfish'
UNPROVED = ('the reset that activates it is unknown (activation: null in the '
            'catalogue), so it is not updated')
LOCKED = 'the device reports it as not updateable'
UNSEEN = ('its running version is not reported, so an update could not be '
          'verified; try in band (apply_profile_in_band)')


def writes(box: Machine) -> int:
    """Requests that would change something."""
    return box.box.ledger.count('POST', 'PATCH', 'PUT', 'DELETE')


def refused(box: Machine, profile: str) -> list[tuple[str, str]]:
    """What is refused of a profile, and why; nothing may be written."""
    out = box.run(profile)
    assert isinstance(out, outcome.Refused), out
    assert writes(box) == 0
    return sorted({(r.item.name, r.reason) for r in out.plan.refused})


def card(match: str, version: str, fits: str, digest: str = NONE_YET,
         push: str = '', component: str = 'nic') -> str:
    """One image for one kind of card."""
    return f"""
profile: 1
name: card
images:
  fw:
    url: file:///i/fw.exe
    sha256: {digest}
    fits: {{{fits}}}
    {push}
devices:
  cards:
    match: {{{match}}}
    firmware: {{{component}: {{version: "{version}", image: fw}}}}
"""
