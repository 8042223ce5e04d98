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

"""The periodics that keep true what was published."""

from __future__ import annotations

from typing import Any

from ironic.conductor import periodics

from ironic_accel.conductor.config.options import CONF
from ironic_accel.conductor.node import profile_agreement
from ironic_accel.conductor.upkeep import audit


class Truth:
    """The audit, and what conductors tell each other.

    Every vendor interface of ours has them; they share one queue, so that
    it does not matter which one's turn it is.
    """

    @periodics.periodic(
        spacing=lambda: CONF.accelerator.poll_interval,
        enabled=lambda: CONF.accelerator.audit_interval > 0)
    def audit_accelerators(self, manager: Any, context: Any) -> None:
        """Hand the nodes whose audit is due to workers."""
        audit.begin(manager, context, Truth)

    @periodics.periodic(spacing=lambda: CONF.accelerator.void_interval)
    def tell_of_profiles(self, manager: Any, context: Any) -> None:
        """Let other conductors know the digests of the site profiles."""
        profile_agreement.announce(manager, context, Truth)
