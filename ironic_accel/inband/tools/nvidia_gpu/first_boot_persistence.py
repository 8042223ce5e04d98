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

"""Set persistence mode of an NVIDIA GPU inside an instance, with nvidia-smi.

A copy of this file is delivered: it needs nothing but the standard library
of Python 3.7. Source: NVIDIA System Management Interface documentation
(``--query-gpu=persistence_mode``, ``-pm``); NVIDIA Driver Persistence: where
nvidia-persistenced runs, nvidia-smi asks it.
"""

from __future__ import annotations

from typing import Any

VALUE = str
#: Before the power limit, which it keeps.
ORDER = 12


def set_mode(card: Any, wanted: str, patience: float) -> bool:
    """Set the mode; whether it was changed."""
    smi = ('nvidia-smi', '-i', card.address)
    changed: bool = card.set_by(
        'persistence mode', wanted, card.switch,
        (*smi, '--query-gpu=persistence_mode', '--format=csv,noheader'),
        (*smi, '-pm', '1' if wanted == 'enabled' else '0'), patience)
    return changed
