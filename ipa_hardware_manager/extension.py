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


"""Commands for the conductor: short, synchronous, JSON both ways.

The agent's command lock is held during each: a write continues in the
background, and an inventory waits for slow tools for a limited time only.
"""

from __future__ import annotations

from typing import Any

from ironic_python_agent.extensions import base

from ipa_hardware_manager import backend


class AccelExtension(base.BaseAgentExtension):
    """The commands ``accel.accel_observe`` and so on.

    An error is in ``error`` of the response (``converge.agent_schema``), so
    that it reaches the conductor unchanged.
    """

    @base.sync_command('accel_observe')
    def accel_observe(self) -> dict[str, Any]:
        """``inventory`` (a document inventory/3) and ``transports``."""
        from ironic_accel.inband import agent_rpc

        return agent_rpc.observe(backend.get())

    @base.sync_command('accel_start')
    def accel_start(self, request: dict[str, Any]) -> dict[str, Any]:
        """Begin an action; ``ticket``.

        :param request: a document accel-start/2.
        """
        from ironic_accel.inband import agent_rpc

        return agent_rpc.start(backend.get(), request, backend.images)

    @base.sync_command('accel_poll')
    def accel_poll(self, ticket: dict[str, Any]) -> dict[str, Any]:
        """``poll``: what became of a write."""
        from ironic_accel.inband import agent_rpc

        return agent_rpc.poll(backend.get(), ticket)

    @base.sync_command('accel_first_boot')
    def accel_first_boot(self, document: dict[str, Any],
                         look_only: bool = False,
                         configdrive: str | None = None,
                         node: str = '') -> dict[str, Any]:
        """Bring a first boot into the instance; ``first_boot``.

        :param document: a document first-boot/1; the rest as in
            ``firstboot.bring``.
        """
        from ipa_hardware_manager import firstboot
        from ironic_accel.inband import agent_rpc

        return agent_rpc.told(lambda: {'first_boot': firstboot.bring(
            document, look_only, configdrive, node)})
