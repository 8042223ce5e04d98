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

"""A BMC that offers no auxiliary power cycle, which an update needs."""

from __future__ import annotations

from collections.abc import Collection
import dataclasses
import functools
from typing import Any

import pytest

from ironic_accel.converge import advance as loop
from ironic_accel.converge import forecast
from ironic_accel.converge import outcome
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Inventory
from ironic_accel.model.plan import Counts
from ironic_accel.model.plan import Plan
from ironic_accel.model.plan import Transport
from ironic_accel.model.profile import Limits
from ironic_accel.model.profile import Profile
from ironic_accel.model.profile import Push
from ironic_accel.model import refusals
from ironic_accel.model import stages
from ironic_accel.model import transport_document
from tests.unit.converge import drive
from tests.unit.converge.box import Box
from tests.unit.converge.box import Part

WANTED = drive.profile({'d0': {'gpu': '2'}})
#: The same, and an operator disconnects the AC power.
BY_HAND = dataclasses.replace(WANTED, allow=frozenset({stages.MANUAL}))
NEEDS = ('its activation needs an auxiliary power cycle, and the BMC offers '
         'none')


class Bmc(Box):
    """A box whose transports are read from where they are stored."""

    def __init__(self, parts: dict[str, dict[str, Part]]) -> None:
        super().__init__(parts, {}, [])
        self.offers_aux = False

    def transports(self, inventory: Inventory, pushes: Collection[Push] = ()
                   ) -> tuple[Transport, ...]:
        """As they are stored with a node."""
        return tuple(
            transport_document.from_dict(transport_document.to_dict(t))
            for t in super().transports(inventory, pushes))


def one(offers: bool | None = False, **changes: Any) -> Bmc:
    """A device with firmware that an auxiliary power cycle activates."""
    made = Bmc({'d0': {'gpu': Part('1', **changes)}})
    made.offers_aux = offers
    return made


def foresee(box: Bmc, wanted: Profile, disk: drive.Disk | None = None
            ) -> Plan:
    """The plan of the next run."""
    inventory = box.observe()
    earlier = disk.load() if disk else None
    return forecast.plan(
        inventory, wanted, loop.begin(wanted, earlier, box.now),
        box.transports(inventory), drive.Catalogue())


def refused(plan: Plan) -> list[tuple[str, str]]:
    """What is refused, and why."""
    return [(r.item.device, r.reason) for r in plan.refused]


def test_nothing_is_written_that_no_reset_can_activate() -> None:
    box = one()
    plan = foresee(box, WANTED)
    out = drive.run(box, WANTED, drive.Disk())
    assert isinstance(out, outcome.Refused)
    assert refused(out.plan) == refused(plan) == [(
        'd0', f'{NEEDS}; to write it and disconnect the AC power of the '
        'system by hand afterwards, add manual_ac_cycle to allow of the '
        'profile')]
    assert plan.counts == Counts()
    assert (box.writes, box.resets) == (0, [])


@pytest.mark.parametrize('offers', [True, None])
def test_a_bmc_that_may_offer_it_is_asked(offers: bool | None) -> None:
    """What is not known is not refused: the reset decides."""
    box = one(offers)
    assert foresee(box, WANTED).counts == Counts(writes=1, resets=1)
    assert isinstance(drive.run(box, WANTED, drive.Disk()), outcome.Converged)
    assert box.resets == [Activation.AUX_CYCLE]
    # Nobody has to disconnect anything, also if that is allowed.
    assert foresee(one(offers), BY_HAND).counts.resets == 1


@pytest.mark.parametrize('shows', [True, False])
def test_an_operator_activates_what_the_profile_allows(shows: bool) -> None:
    box, disk = one(shows=shows), drive.Disk()
    plan = foresee(box, BY_HAND)
    assert not plan.refused
    assert plan.stages[-1].manual
    assert plan.counts == Counts(writes=1)
    first = drive.run(box, BY_HAND, disk)
    assert isinstance(first, outcome.Failed)
    assert f'{NEEDS}: it is staged; disconnect' in first.error.summary
    assert (box.writes, box.resets) == (1, [])
    # Nothing is written again before somebody has done it.
    assert [why for _, why in refused(foresee(box, BY_HAND, disk))] == [
        f'{NEEDS}: it is staged; {stages.BY_HAND}']
    assert isinstance(drive.run(box, BY_HAND, disk), outcome.Refused)
    assert box.writes == 1
    box.host_reset(Activation.AUX_CYCLE)
    assert isinstance(drive.run(box, WANTED, disk), outcome.Converged)
    assert box.writes == 1


def test_all_is_written_before_an_operator_is_asked() -> None:
    """Also what a weaker reset activates, which the power cut includes."""
    wanted = drive.profile({'d0': {'gpu': '2'}, 'd1': {'gpu': '2'}})
    box = Bmc({'d0': {'gpu': Part('1')}, 'd1': {'gpu': Part(
        '1', claimed=Activation.WARM_REBOOT, real=Activation.WARM_REBOOT,
        transport='agent')}})
    assert [device for device, _ in refused(foresee(box, wanted))] == ['d0']
    assert isinstance(drive.run(box, wanted, drive.Disk()), outcome.Refused)
    assert box.writes == 0
    out = drive.run(box, dataclasses.replace(wanted, allow=BY_HAND.allow),
                    drive.Disk())
    assert isinstance(out, outcome.Failed)
    assert (box.writes, box.resets) == (2, [])


@pytest.mark.parametrize(('told', 'by_hand'), [
    ({'redfish': False}, True),
    ({'redfish': False, 'agent': None, 'local': None}, True),
    # The BMC of a child node, and that of the host.
    ({'redfish': False, 'redfish-dpu': False}, True),
    ({'redfish': None, 'redfish-dpu': False}, False),
    ({'redfish': True, 'redfish-dpu': False}, False),
    # No BMC was asked.
    ({'agent': None}, False),
    ({}, False)])
def test_only_the_answers_of_all_bmcs_count(
        told: dict[str, bool | None], by_hand: bool) -> None:
    assert stages.is_by_hand([
        Transport(name, offers_aux_cycle=functools.partial(told.get, name))
        for name in told]) is by_hand


def test_what_others_staged_waits_for_an_operator() -> None:
    plan = foresee(one(waiting='2'), BY_HAND)
    assert refused(plan) == [('d0', f'{NEEDS}: it is staged; '
                              f'{stages.BY_HAND}')]


def test_a_reset_that_proves_too_weak_is_not_followed_by_a_missing_one(
        ) -> None:
    box = one(claimed=Activation.WARM_REBOOT, real=Activation.AUX_CYCLE,
              shows=False)
    out = drive.run(box, WANTED, drive.Disk())
    assert isinstance(out, outcome.Failed)
    assert out.error.summary.startswith('not applied')
    assert out.error.todo == f'check the device, or {stages.BY_HAND}'
    assert box.resets == [Activation.WARM_REBOOT, Activation.POWER_CYCLE]


def test_a_lower_limit_of_the_profile_is_named_alone() -> None:
    wanted = dataclasses.replace(
        BY_HAND, limits=Limits(reset=Activation.POWER_CYCLE))
    assert refused(foresee(one(), wanted)) == [('d0', refusals.TOO_STRONG)]


def test_a_run_without_resets_may_write_for_an_operator() -> None:
    wanted = dataclasses.replace(BY_HAND, limits=Limits(resets=0))
    assert foresee(one(), wanted).counts == Counts(writes=1)
    assert foresee(one(True), wanted).refused
