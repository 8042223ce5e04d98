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

"""What a process may not have done before it was killed is not assumed."""

from __future__ import annotations


import pytest

from ironic_accel.converge.decide import Act
from ironic_accel.converge.decide import decide
from ironic_accel.converge.decide import Decision
from ironic_accel.converge.decide import Fail
from ironic_accel.converge.decide import HostReset
from ironic_accel.converge.decide import Refuse
from ironic_accel.converge.perform_reset import HostResetter
from ironic_accel.converge.reset_terms import ResetRules
from ironic_accel.converge.reset_terms import ResetTimes
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.plan import Item
from ironic_accel.model.profile import Limits
from ironic_accel.model.record import Intent
from ironic_accel.model.record import Record
from ironic_accel.model.record import Staged
from ironic_accel.model import stages
from tests.unit.converge import drive
from tests.unit.converge.box import Box
from tests.unit.converge.box import Part
from tests.unit.converge.host import Clock
from tests.unit.converge.host import Host

GPU = Item('d0', 'gpu', 'firmware', '2')


class Cycle:
    """An auxiliary cycle for a staged update, by one process or several."""

    def __init__(self) -> None:
        self.host = Host(Clock())
        self.disk = drive.Disk()
        now = self.host.clock.now
        self.disk.save(Record(
            started=now, staged=(Staged(GPU, Activation.AUX_CYCLE),),
            intent=Intent('reset', Activation.AUX_CYCLE, now, now + 1800)))

    def run(self, until: str | None = None) -> Record:
        """Go on with what was saved, in a process of its own.

        :param until: the request after whose answer the process ends.
        """
        clock = self.host.clock
        process = HostResetter(self.host, self.disk.save, ResetRules(
            f'process {self.disk.saves}', ResetTimes(soft=0)))
        found = self.disk.load()
        assert found is not None
        for _ in range(100):
            step = process.step(found, clock.now)
            found, clock.now = step.record, max(step.until, clock.now)
            if step.performed or until in self.host.asked:
                return found
        raise AssertionError('the reset does not end')

    def killed_before(self, request: str) -> None:
        """Go on in a process that is killed before a request is sent."""
        def die(what: str) -> None:
            if what == request:
                raise drive.Crash
        self.host.before = die
        with pytest.raises(drive.Crash):
            self.run()
        self.host.before = lambda what: None


def test_a_cycle_that_may_not_be_requested_counts_as_a_power_cycle() -> None:
    cycle = Cycle()
    cycle.killed_before('aux')
    assert cycle.host.state == 'off'
    (entry,) = cycle.run().staged
    assert cycle.host.asked == ['hard off', 'on']
    assert (entry.tried, entry.resets) == (Activation.POWER_CYCLE, 1)


@pytest.mark.parametrize('killed', ['aux', 'on', None])
def test_a_cycle_that_was_answered_counts_for_every_process(
        killed: str | None) -> None:
    cycle = Cycle()
    if killed == 'aux':
        cycle.run(until='aux')
    elif killed == 'on':
        cycle.killed_before('on')
    (entry,) = cycle.run().staged
    assert cycle.host.asked == ['hard off', 'aux', 'on']
    assert entry.tried is Activation.AUX_CYCLE


def test_a_cycle_of_unknown_result_counts_for_its_own_process() -> None:
    """The BMC often takes its answer with it."""
    cycle = Cycle()

    def lose(what: str) -> None:
        if what == 'aux':
            cycle.host.asked.append(what)
            raise OutcomeUnknown('the connection was closed')
    cycle.host.before = lose
    (entry,) = cycle.run().staged
    assert entry.tried is Activation.AUX_CYCLE


@pytest.mark.parametrize('tried', [None, Activation.POWER_CYCLE])
@pytest.mark.parametrize(('offers', 'sure', 'attempts', 'expected'), [
    (False, False, 1, Act),
    (False, True, 1, Refuse),
    (False, False, 2, Refuse),
    (True, False, 1, HostReset),
    (None, False, 1, HostReset)])
def test_an_unproved_write_is_repeated_before_power_is_disconnected(
        tried: Activation | None, offers: bool | None, sure: bool,
        attempts: int, expected: type[Decision]) -> None:
    record = Record(attempts={GPU: attempts}, staged=(Staged(
        GPU, Activation.AUX_CYCLE, tried=tried, sure=sure),))
    assert isinstance(_decided(record, offers), expected)


def test_a_write_is_repeated_within_the_limit_alone() -> None:
    record = Record(attempts={GPU: 1}, staged=(Staged(
        GPU, Activation.AUX_CYCLE, sure=False),))
    assert isinstance(_decided(record, False, Limits(attempts=1)), Refuse)
    assert isinstance(_decided(Record(attempts={GPU: 1}), False,
                               Limits(attempts=1)), Fail)


def _decided(record: Record, offers: bool | None,
             limits: Limits | None = None) -> Decision:
    """The decision about a GPU that shows version 1.

    What an AC power cycle by hand activates may be written.

    :param offers: whether its BMC offers an auxiliary cycle.
    """
    box = Box({'d0': {'gpu': Part('1', shows=False)}}, {}, [])
    box.offers_aux = offers
    inventory = box.observe()
    return decide(
        inventory, drive.profile({'d0': {'gpu': '2'}},
                                 limits=limits or Limits(),
                                 allow=frozenset({stages.MANUAL})), record,
        box.transports(inventory), drive.Catalogue())[0]
