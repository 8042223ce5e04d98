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

"""Set the power limit of an NVIDIA GPU inside an instance, with nvidia-smi.

A copy of this file is delivered: it needs nothing but the standard library
of Python 3.7. Source: NVIDIA System Management Interface documentation
(``--query-gpu=power.limit``, in watts with two decimals; ``-pl``: the limit is
lost when the driver is unloaded).
"""

from __future__ import annotations

import re
from typing import Any

VALUE = int
#: After persistence mode, which keeps the limit.
ORDER = 14


def set_mode(card: Any, wanted: int, patience: float) -> bool:
    """Set the limit in watts; whether it was changed."""
    smi = ('nvidia-smi', '-i', card.address)
    changed: bool = card.set_by(
        'power limit', wanted, watts,
        (*smi, '--query-gpu=power.limit', '--format=csv,noheader,nounits'),
        (*smi, '-pl', str(wanted)), patience,
        ' (without persistence mode the driver forgets it as soon as '
        'nothing uses the GPU)')
    return changed


def watts(said: str) -> int | None:
    """The limit among the lines that nvidia-smi printed, in whole watts
    rounded down, or None; warnings are lines of their own."""
    found = {m.group(1) for m in map(
        re.compile(r'\s*([0-9]{1,5})\.[0-9]{2}\s*$').match,
        said.splitlines()) if m}
    return int(found.pop()) if len(found) == 1 else None
