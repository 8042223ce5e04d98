# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Whether a FRU inventory is what it should be; pyghmi does not look.

Source: IPMI Platform Management FRU Information Storage Definition 1.0
revision 1.3, 8 Common Header Format and 10 to 12, the info areas.
"""

from __future__ import annotations

#: The info areas by the byte of the common header that points to them.
_AREAS = ((2, 'chassis'), (3, 'board'), (4, 'product'))


def defect(raw: bytes) -> str | None:
    """What is wrong with a FRU inventory, or None.

    Header and areas each sum up to zero, modulo 256.
    """
    if len(raw) < 8:
        return f'{len(raw)} bytes where at least 8 were expected'
    if raw[0] & 0x0f != 1:
        return f'format {raw[0] & 0x0f} where 1 was expected'
    if sum(raw[:8]) % 256:
        return 'the checksum of its header is wrong'
    for place, name in _AREAS:
        start = 8 * raw[place]
        if not start:
            continue
        if start + 2 > len(raw):
            return f'its {name} area is beyond its end'
        area = raw[start:start + 8 * raw[start + 1]]
        if len(area) < 8 or len(area) != 8 * raw[start + 1]:
            return f'its {name} area is cut short'
        if sum(area) % 256:
            return f'the checksum of its {name} area is wrong'
    return None
