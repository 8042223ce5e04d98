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

"""One mode set on several cards: one job, a call of the tool for each."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import pathlib

import pytest

from ironic_accel.converge.ports import Ended
from ironic_accel.converge.ports import Result
from ironic_accel.inband.backend import LocalBackend
from ironic_accel.inband.machine.machine import Machine
from ironic_accel.inband.tools.family import Progress
from ironic_accel.model.device import Device
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import Change
from ironic_accel.model.plan import Item
from ironic_accel_emulator.inside.tree import Card
from tests.contract.inband.test_core_backend import wait
from tests.unit.inband import sample

CARDS = ('0000:31:00.0', '0000:4b:00.0', '0000:b1:00.0')


class _Fails(sample.Burner):
    """A family that fails on some cards.

    :ivar asked: addresses of the cards that it was to set, in order.
    """

    def __init__(self, folder: pathlib.Path,
                 errors: Mapping[str, Exception]) -> None:
        super().__init__(folder)
        self._errors = errors
        self.asked: list[str] = []

    def set(self, host: Machine, device: Device, items: Sequence[Item],
            progress: Progress) -> tuple[Result, ...]:
        address = device.address or ''
        self.asked.append(address)
        if address in self._errors:
            raise self._errors[address]
        return tuple(Result(i.ref, True) for i in items)


def begun(folder: pathlib.Path, errors: Mapping[str, Exception]
          ) -> tuple[LocalBackend, _Fails, dict[str, str]]:
    """A host with three cards more; the ids by address."""
    _, host = sample.machine(folder, *(Card(
        address, ('15b3', '101d', '15b3', '0016'), '020000',
        vpd={'SN': f'MT{n}'}, driver='mlx5_core')
        for n, address in enumerate(CARDS)))
    family = _Fails(folder, errors)
    backend = sample.backend(folder, host, family)
    return backend, family, {d.address or '': d.id
                             for d in backend.observe().devices}


def sriov(ids: Mapping[str, str]) -> Action:
    """SR-IOV on the three cards."""
    return Action('set', 'local', tuple(Change(Item(
        ids[a], 'sriov', 'mode', 'enabled'), 'disabled') for a in CARDS),
        Activation.DEVICE_RESET)


@pytest.mark.parametrize(('error', 'asked', 'answers'), [
    (AccelError('the tool says no'), CARDS, ('told', 'told', 'told')),
    (ZeroDivisionError('oh'), CARDS, ('told', 'told', 'told')),
    (OutcomeUnknown('it hangs'), CARDS[:2], ('told', 'unknown', 'not-sent')),
])
def test_result_of_a_card_is_its_own(
        tmp_path: pathlib.Path, error: Exception, asked: tuple[str, ...],
        answers: tuple[str, ...]) -> None:
    backend, family, ids = begun(tmp_path, {CARDS[1]: error})
    end = wait(backend, backend.start(sriov(ids)))
    assert isinstance(end, Ended)
    assert family.asked == list(asked)
    assert [r.ref for r in end.results] == [(ids[a], 'sriov') for a in CARDS]
    assert [r.ok for r in end.results] == [True, False, len(asked) == 3]
    assert tuple(r.answer for r in end.results) == answers
    failed = end.results[1].detail
    assert failed is not None and str(error).partition(' [')[0] in (
        failed.summary)
