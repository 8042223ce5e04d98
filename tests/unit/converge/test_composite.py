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

"""Two ways to one box: one plan spans them, each does what it can."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any
from typing import cast
from unittest import mock

import pytest

from ironic_accel.converge.composite import Both
from ironic_accel.converge import outcome
from ironic_accel.converge import ports
from ironic_accel.model.device import Device
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Inventory
from ironic_accel.model import errors
from ironic_accel.model.identity import Source
from ironic_accel.model import plan
from ironic_accel.model.plan import Action
from ironic_accel.model import profile
from tests.unit.converge.box import Box
from tests.unit.converge.box import burn_of
from tests.unit.converge.box import Part
from tests.unit.converge import drive


class Late(Box):
    """A way that does not answer the first few looks."""

    silent = 0

    def sources(self) -> tuple[Source, ...]:
        """No answer, or what there is."""
        if self.silent:
            self.silent -= 1
            raise errors.Unreachable('the agent is not up yet')
        return super().sources()


class Host(Box):
    """One host with two ways into it, as ``drive.run`` drives one box."""

    def __init__(self, outside: Box, inside: Box) -> None:
        super().__init__({}, {}, [])
        self.outside, self.inside = outside, inside
        self.both = Both({'redfish': outside, 'agent': inside})

    def _sync(self) -> None:
        self.outside.now = self.inside.now = self.now

    def sources(self) -> tuple[Source, ...]:
        """Look by both."""
        self._sync()
        return self.both.sources()

    def transports(self, inventory: Inventory,
             pushes: Collection[profile.Push] = ()
             ) -> tuple[plan.Transport, ...]:
        """What both can."""
        return self.both.transports(inventory, pushes)

    def start(self, action: Action, image: ports.Ready | None = None,
              spec: profile.Image | None = None, force: bool = False
              ) -> dict[str, Any]:
        """Begin by the way named."""
        self._sync()
        return dict(self.both.start(action, image, spec, force))

    def commit(self, refs: Sequence[plan.Ref]) -> tuple[str, ...]:
        """By both."""
        return self.both.commit(refs)

    def poll(self, ticket: Mapping[str, Any]) -> ports.Poll:
        """Ask whom the ticket names."""
        self._sync()
        return self.both.poll(ticket)

    def host_reset(self, activation: Activation) -> None:
        """Both ways see the one host go through it."""
        self._sync()
        self.resets.append(activation)
        self.outside.host_reset(activation)
        self.inside.host_reset(activation)


def host(silent: int = 0) -> Host:
    """A device with one firmware out of band and one in band."""
    outside = Box({'d0': {'gpu': Part('1')}}, {}, [])
    inside = Late({'d0': {'nic': Part(
        '1', transport='agent', claimed=Activation.POWER_CYCLE,
        real=Activation.POWER_CYCLE)}}, {}, [])
    inside.silent = silent
    outside.slots = {('d0', 'gpu'): '1'}
    return Host(outside, inside)


WANTED = drive.profile({'d0': {'gpu': '2', 'nic': '2'}})


@pytest.mark.parametrize('silent', [0, 5])
def test_one_plan_uses_both_transports_and_shares_the_reset(
        silent: int) -> None:
    box = host(silent)
    out = drive.run(box, WANTED, drive.Disk())
    assert isinstance(out, outcome.Converged)
    assert {p.item.name for p in out.proofs} == {'gpu', 'nic'}
    assert (box.outside.writes, box.inside.writes) == (1, 1)
    assert box.resets == [Activation.AUX_CYCLE]
    assert not box.outside.sins + box.inside.sins
    assert box.outside.commits == box.inside.commits
    assert box.outside.commits == [(('d0', 'gpu'),)]


def test_second_transport_that_does_not_answer_makes_the_inventory_incomplete(
        ) -> None:
    seen = host(silent=1).both.observe()
    assert not seen.complete
    assert [(w.uri, w.message) for w in seen.warnings] == [
        ('agent', 'the agent is not up yet')]
    (unread,) = seen.unread
    assert unread.words == 'cannot read agent: the agent is not up yet'
    assert not any(map(seen.complete_of, unread.kinds))


def test_first_transport_that_does_not_answer_is_unreachable() -> None:
    class Silent(Box):
        def sources(self) -> tuple[Source, ...]:
            raise errors.Unreachable('no route')

    both = Both({'redfish': Silent({}, {}, []), 'agent': Box({}, {}, [])})
    with pytest.raises(errors.Unreachable, match='no route'):
        both.observe()


def test_a_ticket_goes_back_to_who_gave_it() -> None:
    box = host()
    transports = box.transports(box.observe())
    assert [w.name for w in transports] == ['redfish', 'agent']
    assert isinstance(box.both.poll({'transport': 'other'}), ports.Unknown)
    busy = Box({'d0': {'gpu': Part('1')}}, {}, [])
    both = Both({'redfish': busy})
    ticket = both.start(burn_of('d0'))
    assert ticket['transport'] == 'redfish'
    assert both.observe().busy[0].ticket == ticket
    assert isinstance(both.poll(ticket), ports.Running)
    nameless = {k: v for k, v in ticket.items() if k != 'transport'}
    assert isinstance(both.poll(nameless), ports.Running)


def test_action_of_a_transport_that_is_gone_is_rejected() -> None:
    both = Both({'agent': Box({'d0': {'gpu': Part('1')}}, {}, [])})
    with pytest.raises(errors.Rejected, match="'redfish' is not available"):
        both.start(burn_of('d0'))


def test_no_backend_at_all_is_a_mistake() -> None:
    with pytest.raises(ValueError, match='expected at least one'):
        Both({})


@pytest.mark.parametrize('needed', [True, False])
def test_required_transport_that_does_not_answer_is_unreachable(
        needed: bool) -> None:
    box = host(silent=1)
    both = Both({'redfish': box.outside, 'agent': box.inside},
                needed=['agent'] if needed else ())
    if needed:
        with pytest.raises(errors.Unreachable, match='not up yet'):
            both.observe()
    else:
        assert not both.observe().complete


def test_a_host_that_is_off_explains_the_silence() -> None:
    box = host(silent=1)
    box.outside.host = 'off'
    both = Both({'redfish': box.outside, 'agent': box.inside},
                needed=['agent'])
    assert both.observe().host == 'off'


def test_a_device_that_both_see_and_nothing_joins_is_one() -> None:
    def transport(name: str, *gpus: Device) -> ports.Backend:
        made = mock.create_autospec(ports.Backend, instance=True)
        made.sources.return_value = (Source(Inventory(
            name, 'on', True, seen_via=(name,), devices=gpus)),)
        return cast('ports.Backend', made)

    outside = transport('redfish', Device('gpu-1', 'gpu', serial='1'))
    inside = Device('gpu@x', 'gpu', address='0000:17:00.0')
    seen = Both({'redfish': outside, 'agent': transport('agent', inside)})
    assert [d.id for d in seen.observe().devices] == ['gpu-1']
    assert seen.observe().uncounted == ()
    more = Both({'redfish': outside, 'agent': transport(
        'agent', inside, dataclasses.replace(
            inside, id='gpu@y', address='0000:18:00.0'))}).observe()
    assert [d.id for d in more.devices] == ['gpu-1']
    assert more.uncounted == ('gpu',)
    assert len(more.warnings) == 2
