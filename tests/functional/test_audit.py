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

"""What was published follows the boxes, without anybody asking."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import functools
import json

import pytest

from ironic_accel.model.traits import is_trait
from tests import commands
from tests.functional import stage
from tests.functional.harness import Lab
from tests.functional.harness.ironic import Ironic
from tests.functional.harness.machines import Machine

DEGRADED = 'CUSTOM_ACCEL_DEGRADED'
MODE = 'CUSTOM_ACCEL_GPU_ECC'
GPU = 'GPU_SXM_1'


@pytest.fixture(scope='module')
def watchful(lab: Lab) -> Iterator[Ironic]:
    """One more Ironic, which audits every second."""
    more = lab.ironic_on(None, 'ironic-watchful', {'DEFAULT': {
        'enabled_management_interfaces':
            'redfish,idrac-redfish,accel-redfish'},
        'accelerator': {
            'audit_interval': 1, 'audit_retry': 1, 'cleanup_interval': 1,
            'audit_unreachable_timeout': 3}})
    try:
        yield more
    finally:
        more.stop()


def wait(box: Machine, has: set[str], lacks: set[str]) -> None:
    """Wait until a node is published to have some traits, and not others."""
    box.ironic.api.wait_node(
        box.uuid, f'{has} and not {lacks}', lambda node: (
            has <= set(node['traits']) and not lacks & set(node['traits'])))


def events(box: Machine) -> str:
    """The node's history, as one text."""
    return ' | '.join(e['event']
                      for e in box.ironic.api.history(box.uuid))


def ecc(box: Machine, on: bool) -> None:
    """Change ECC behind everybody's back."""
    box.twin.control.post('/device', {'mode': f'{GPU}/ecc', 'current': on})


def wait_told(box: Machine, words: str) -> None:
    """Wait until the history has it: it is told after it was withdrawn."""
    box.ironic.api.wait_node(
        box.uuid, f'{words!r} in its history',
        lambda _node: words in events(box))


def test_drift_silence_and_a_changed_profile(
        lab: Lab, watchful: Ironic) -> None:
    with contextlib.ExitStack() as stack:
        box = stage.hgx(functools.partial(lab.machine, into=watchful))
        stack.callback(box.remove)
        profile = stack.enter_context(stage.site_profile(
            lab, 'ecc-on', **stage.modes(ecc='enabled')))
        is_ecc = is_trait(profile)
        ecc(box, True)
        wait(box, {is_ecc, MODE}, {DEGRADED})
        # Somebody sets a GPU otherwise: nobody asks, and it is seen.
        stage.forget(box)
        ecc(box, False)
        wait(box, set(), {is_ecc, MODE})
        wait_told(box, 'ecc enabled > disabled')
        ecc(box, True)
        wait(box, {is_ecc, MODE}, set())
        # Looking is all that was done.
        told = stage.ledger(box)
        assert (told['writes'], told['resets']) == ([], [])
        # The BMC is silent: for a while nothing changes, then all is void.
        stage.fault(box, 'refuse', match='/redfish')
        wait(box, {DEGRADED}, {is_ecc, MODE})
        wait_told(box, 'not reachable for')
        stage.lift(box)
        wait(box, {is_ecc, MODE}, {DEGRADED})
        # The profile says something else now: what was proved is void.
        path = lab.profiles / f'{profile}.yaml'
        path.write_text(json.dumps({
            'profile': 1, 'name': profile, 'offered': True,
            **stage.modes(ecc='disabled')}))
        wait(box, {MODE}, {is_ecc})


def wait_health(box: Machine, health: str | None) -> None:
    """Wait until a node has a health."""
    box.ironic.api.wait_node(box.uuid, f'health {health}',
                             lambda node: node['health'] == health)


def test_health_of_a_node_is_that_of_its_worst_accelerator(
        lab: Lab, watchful: Ironic) -> None:
    """Ironic's power sync tells it, and nothing more is asked for it."""
    with contextlib.ExitStack() as stack:
        box = stage.hgx(functools.partial(
            lab.machine, into=watchful, management_interface='accel-redfish'))
        stack.callback(box.remove)
        if 'health' not in box.ironic.api.node(box.uuid):
            pytest.skip('NODE_HEALTH')
        stage.refresh(box)
        wait_health(box, 'OK')
        box.twin.control.post('/device', {'device': GPU,
                                          'health': 'Critical'})
        wait_health(box, 'Critical')
        shown = commands.run(watchful.url, 'node', 'show', box.uuid,
                             '-f', 'value', '-c', 'health')
        assert shown.out.strip() == 'Critical', shown
        wait_told(box, "Node health status changed: health='Critical'")
        box.twin.control.post('/device', {'device': GPU, 'health': 'OK'})
        wait_health(box, 'OK')
