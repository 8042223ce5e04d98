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

"""The values of a profile that have a shape of their own."""

from __future__ import annotations

from ironic_accel.model.catalog_types import ModeFacts
from ironic_accel.model.device import Value
from ironic_accel.model.profile import Count
from ironic_accel.model.schema_reader import Node
from ironic_accel.model.schema_reader import shown


def mode(node: Node, known: ModeFacts) -> Value:
    """A mode's value, of the type and the words that the catalogue says."""
    data = node.data
    words = ', '.join(known.values)
    if isinstance(data, bool) and known.values:
        example = known.values[0]
        node.say(f'{shown(data)} is a boolean where one of {words} was '
                 f'expected: write {example}, not {shown(data)}')
        return ''
    if known.type == 'integer':
        return node.integer(0)
    if known.type == 'word':
        return node.word(known.values)
    if not isinstance(data, list):
        node.fail(f'a list of words ({words})')
        return ()
    value = tuple(n.word(known.values) for n in node.items())
    if not value:
        node.fail(f'at least one of {words}')
    if known.unordered:
        if len(set(value)) < len(value):
            node.say('the same word is there twice')
        value = tuple(sorted(value))
    return value


def count(node: Node | None) -> Count:
    """How many devices: a number, or ``min`` and ``max``."""
    if node is None:
        return Count()
    if not isinstance(node.data, dict):
        if type(node.data) is not int or node.data < 0:
            node.fail('a whole number, or {min, max}')
            return Count()
        return Count(node.data, node.data)
    fields = node.fields(('min', 'max'))
    if not fields:
        node.fail('min, max or both')
    low = fields['min'].integer(0) if 'min' in fields else 1
    high = fields['max'].integer(0) if 'max' in fields else None
    if high is not None and high < low:
        node.fail(f'max not below min ({low})')
    return Count(low, high)
