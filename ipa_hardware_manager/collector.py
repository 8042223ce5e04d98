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

LOG = log.getLogger(__name__)

#: Looks until tools that are slow have answered.
_LOOKS = 3


def collect(data: dict[str, Any], failures: Any) -> None:
    """Put a document inventory/1 under ``accelerators``.

    :param data: what the inspection sends, changed in place. Where the look
        fails, ``accelerators_error`` says why: an inspection without
        accelerators is better than none.
    :param failures: of the agent; a failure there fails the inspection, so
        nothing is added.
    """
    try:
        from ironic_accel.model import document

        local = backend.get()
        seen = local.observe()
        for _ in range(_LOOKS - 1):
            if seen.complete or seen.busy:
                break
            seen = local.observe()
        data['accelerators'] = document.inventory_to_dict(seen)
    except Exception as exc:
        LOG.exception('cannot inspect the accelerators')
        data['accelerators_error'] = f'{type(exc).__name__}: {exc}'
