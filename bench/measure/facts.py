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

"""What a reader found, so that requests are not compared for nothing."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Facts:
    """Counts of what was found; None where a reader knows no such thing.

    :ivar devices: accelerators and network cards, baseboards included.
    :ivar versions: firmware versions of them.
    :ivar modes: whole-device modes of them.
    """

    devices: int | None = None
    versions: int | None = None
    modes: int | None = None
    note: str = ''
