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


"""Inspection collector ``accel``: the accelerators of the machine."""

from __future__ import annotations

from typing import Any

from oslo_log import log

from ipa_hardware_manager import backend
from ironic_accel.inband.inventory import detect
from ironic_accel.inband.machine.machine import Machine

LOG = log.getLogger(__name__)

#: Maximum number of inventories until slow tools have responded.
_LOOKS = 3


def collect(data: dict[str, Any], failures: Any) -> None:
    """Store the inventory under ``accelerators``.

    ``inventory`` is a document inventory/3, ``transports`` what can be changed
    in this ramdisk (``converge.agent_schema``).

    :param data: the data of the inspection, changed in place. If the inventory
        fails, ``accelerators_error`` has the reason: an inspection without
        accelerators is better than none.
    :param failures: of the agent; a failure there fails the inspection, so
        nothing is added.
    """
    try:
        host = backend.host()
        data['accelerators'] = _seen() if detect.has_accelerator(
            host, backend.site_ids()) else _nothing(host)
    except Exception as exc:
        # The agent fails the whole inspection if a collector raises.
        LOG.exception('Failed to inspect the accelerators')
        data['accelerators_error'] = f'{type(exc).__name__}: {exc}'


def _seen() -> dict[str, Any]:
    from ironic_accel.converge import agent_schema
    from ironic_accel.model import serialization

    local = backend.get()
    seen = local.observe()
    for _ in range(_LOOKS - 1):
        # What is unread for good stays so: the inventory names it.
        if (seen.complete and not seen.partial) or seen.busy:
            break
        seen = local.observe()
    return {
        'inventory': serialization.inventory_to_dict(seen),
        'transports': [
            agent_schema.transport_to_dict(w) for w in local.transports(seen)]}


def _nothing(host: Machine) -> dict[str, Any]:
    """An inventory without accelerators, made without catalogue and tools.

    Most machines have none, and their inspection must not be slowed down.
    """
    from ironic_accel.model.device import Inventory
    from ironic_accel.model import serialization

    system = host.read('/sys/class/dmi/id/product_uuid')
    return {'transports': [], 'inventory': serialization.inventory_to_dict(
        Inventory(
        system=system.lower() if system else backend.NAME, host='on',
        complete=True, seen_via=(backend.NAME,)))}
