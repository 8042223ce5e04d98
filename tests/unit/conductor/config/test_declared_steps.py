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


"""A step is declared once, by its decorator."""

from __future__ import annotations

from collections.abc import Iterator
import inspect

import pytest

from ironic_accel.conductor.config import declared_steps
from ironic_accel.conductor.config import ironic_series
from ironic_accel.conductor.drivers import agent_steps
from ironic_accel.conductor.drivers import vendor
from ironic_accel.conductor.operation import context

KINDS = ('clean', 'deploy', 'service')


@pytest.fixture(autouse=True)
def declared() -> Iterator[None]:
    """What a test declares is gone after it."""
    before = dict(declared_steps._declared)
    yield
    declared_steps._declared.clear()
    declared_steps._declared.update(before)


def test_every_step_that_ironic_lists_is_declared() -> None:
    listed = {
        name for name, method in inspect.getmembers(
            vendor.Accelerator, inspect.isfunction)
        if any(getattr(method, f'_is_{kind}_step', False) for kind in KINDS)}
    assert {*listed, agent_steps.STEP} <= declared_steps.names()
    assert listed == {
        'apply_profile', 'apply_baseline', 'reset_devices', 'refresh_traits',
        'note_tenant', 'deliver_first_boot'}


def test_declaration_gives_ironic_its_attributes() -> None:
    arguments = {'color': {'description': 'Color.', 'required': True}}

    @declared_steps.step('clean', 'deploy', priority=7, arguments=arguments)
    def blink(self: object, task: object, color: str) -> None:
        """Blink."""

    for kind in ('clean', 'deploy'):
        assert getattr(blink, f'_is_{kind}_step') is True
        assert getattr(blink, f'_{kind}_step_priority') == 7
        if kind == 'clean' or ironic_series.ABORTABLE_DEPLOY_STEP.present:
            assert getattr(blink, f'_{kind}_step_abortable') is False
        assert getattr(blink, f'_{kind}_step_argsinfo') == arguments
    assert vars(blink)['_clean_step_requires_ramdisk'] is False
    assert not hasattr(blink, '_is_service_step')
    found = declared_steps.get({'interface': 'vendor', 'step': 'blink'})
    assert found is not None and found.writes
    assert found.misfit({'color': 'red'}) is None
    assert found.misfit({}) == (
        'blink: color: required argument missing: Color.')
    assert found.misfit({'color': 1, 'hue': 2}) == (
        'blink: hue: unknown argument; supported arguments: color')


def test_step_of_another_interface_is_not_ours() -> None:
    assert declared_steps.get(
        {'interface': 'deploy', 'step': 'apply_profile'}) is None
    assert declared_steps.get({'interface': 'vendor'}) is None
    assert declared_steps.get({}) is None
    assert declared_steps.get(None) is None


def test_name_is_declared_once() -> None:
    with pytest.raises(ValueError, match='declared twice'):
        declared_steps.declare('apply_profile', {})
    with pytest.raises(ValueError, match='registered twice'):
        context.register_work('look')(lambda _ctx: None)


def test_only_steps_that_read_are_accepted_while_writes_are_held() -> None:
    assert {name for name in declared_steps.names()
            if not declared_steps._declared[name].writes} == {
        'refresh_traits', 'note_tenant'}
