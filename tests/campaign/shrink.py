# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Makes a case that went wrong as small as it stays wrong."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import dataclasses

from tests.campaign.case import Case
from tests.campaign.case import Trouble

#: How often a case is played again at the most.
TRIES = 120


def shrink(case: Case, wrong: Callable[[Case], bool]) -> Case:
    """The smallest case that is still wrong, as far as it was looked for.

    :param wrong: whether a case is wrong in the same way.
    """
    tries = 0
    again = True
    while again:
        again = False
        for smaller in _smaller(case):
            tries += 1
            if tries > TRIES:
                return case
            if wrong(smaller):
                case, again = smaller, True
                break
    return case


def _smaller(case: Case) -> Iterator[Case]:
    change = dataclasses.replace
    for name in ('events', 'deaths', 'stops', 'troubles', 'jumps'):
        whole = getattr(case, name)
        for index in range(len(whole)):
            rest = whole[:index] + whole[index + 1:]
            yield change(case, **{name: rest})
    usual = Case(case.scene)
    for name in ('power', 'login', 'expand', 'skews', 'burn'):
        if getattr(case, name) != getattr(usual, name):
            yield change(case, **{name: getattr(usual, name)})
    for index, one in enumerate(case.troubles):
        for simpler in _simpler(one):
            yield change(case, troubles=(
                *case.troubles[:index], simpler, *case.troubles[index + 1:]))


def _simpler(one: Trouble) -> Iterator[Trouble]:
    change = dataclasses.replace
    if one.phase is not None:
        yield change(one, phase=None, at=0.0)
    elif one.at:
        yield change(one, at=0.0)
    if one.skip:
        yield change(one, skip=0)
    if one.count is not None:
        yield change(one, count=None)
    if one.lasts is not None:
        yield change(one, lasts=None)
