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

"""Validate a vendor plug-in before any row of it is used.

An invalid row must not be discovered during a firmware update. A plug-in with
one is ignored as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
import re
import typing

from ironic_accel.redfish.vendors.base import Quirks
from ironic_accel.redfish.vendors.base import Vendor
from ironic_accel.redfish.vendors.push_rows import NO_PUSH
from ironic_accel.redfish.vendors.push_rows import PushChoice
from ironic_accel.redfish.vendors.push_rows import Reach
from ironic_accel.redfish.vendors.push_rows import STYLES
from ironic_accel.redfish.vendors.task_rows import STANDARD

#: Keys of ``Quirks.recognised_by``.
KEYS = ('root.Vendor', 'root.Product', 'system.Id', 'system.Manufacturer',
        'system.Model')
#: The most reads at a time that a plug-in may allow.
MOST_AT_ONCE = 4


def problems(made: object, others: Iterable[Vendor]) -> list[str]:
    """The problems of a plug-in; empty if it is valid.

    :param made: the object of its entry point.
    :param others: the vendors that were accepted before it.
    """
    if not isinstance(made, Vendor):
        return [f'{made!r} is not a Vendor']
    strange = [q for q in made.quirks if not isinstance(q, Quirks)]
    if strange:
        return [f'{q!r} is not a Quirks object' for q in strange]
    try:
        return [*_patterns(made), *_services(made),
                *_pushes(made, list(others)), *_tasks(made, list(others))]
    except (TypeError, ValueError, AttributeError, re.error) as error:
        # A column has the wrong type.
        return [f'{type(error).__name__}: {error}']


def _patterns(made: Vendor) -> Iterator[str]:
    """Patterns that are not regular expressions."""
    texts = [made.parameter_set, made.dpu, made.root_of_trust, made.unsure,
             made.tasks.reset_words]
    texts += [w.pattern for w in made.component_words]
    texts += [p for p, _ in (*made.processor_ids, *made.tasks.places)]
    texts += [p.part_number for p in made.products]
    texts += [r.registry for r in made.not_now]
    texts += [m.maker for m in made.memory]
    texts += [s.going_ids for s in made.tasks.states]
    for rule in (*made.entries, *(r for q in made.quirks
                                  for r in q.firmware)):
        texts += [rule.pattern, rule.board]
    for quirks in made.quirks:
        texts += [p for _, p in (*quirks.recognised_by, *quirks.structure)]
        texts += [quirks.baseboard, quirks.product_name,
                  quirks.commit.covers if quirks.commit else None]
    for row in _push_rows(made):
        texts += [row.covers, row.card, row.push_uri]
    for text in texts:
        if text is None:
            continue
        try:
            re.compile(text)
        except re.error as error:
            yield f'{text!r} is not a regular expression: {error}'


def _services(made: Vendor) -> Iterator[str]:
    """Quirks that match no service, or any service."""
    for quirks in made.quirks:
        rows = (*quirks.recognised_by, *quirks.structure)
        if not rows:
            yield (f'quirks {quirks.name!r} match no service: recognised_by '
                   'and structure are empty')
        if quirks.at_once not in (None, *range(1, MOST_AT_ONCE + 1)):
            yield (f'at_once {quirks.at_once!r} of quirks {quirks.name!r}: '
                   f'expected a number from 1 to {MOST_AT_ONCE}')
        for key, pattern in rows:
            if key not in KEYS:
                yield f'{key!r}: expected one of {", ".join(KEYS)}'
            if re.fullmatch(pattern, ''):
                yield (f'{pattern!r} of quirks {quirks.name!r} also matches '
                       f'a service without {key}')


def _pushes(made: Vendor, others: list[Vendor]) -> Iterator[str]:
    """Push rows with unknown styles, and styles that already exist."""
    known = {s.name for s in STYLES} | {
        s.name for v in others for s in v.styles}
    for style in made.styles:
        if style.name in known or style.name == NO_PUSH:
            yield f'push style {style.name!r} is already defined'
    known |= {s.name for s in made.styles}
    for row in _push_rows(made):
        if row.style not in known | {NO_PUSH}:
            yield f'push style {row.style!r} is not defined'
        if row.reach not in (None, *typing.get_args(Reach)):
            yield (f'reach {row.reach!r}: expected one of '
                   f'{", ".join(typing.get_args(Reach))}')
    for row in made.pushes:
        if row.push_uri is None:
            yield (f'the push row {row.covers!r} matches any service: set '
                   'its push_uri')


def _push_rows(made: Vendor) -> Iterator[PushChoice]:
    for quirks in made.quirks:
        yield from quirks.pushes
    yield from made.pushes


def _tasks(made: Vendor, others: list[Vendor]) -> Iterator[str]:
    """States with a changed meaning, and rejections without a MessageId."""
    known = {s.word: s for s in STANDARD}
    known |= {s.word: s for v in others for s in v.tasks.states}
    for state in made.tasks.states:
        if known.get(state.word, state) != state:
            yield (f'state {state.word!r} is already defined as '
                   f'{known[state.word].phase}, not {state.phase}')
    for row in made.not_now:
        if row.statuses or not row.ids:
            yield 'not_now: a row needs ids and must have no statuses'
