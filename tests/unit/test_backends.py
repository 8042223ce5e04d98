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

"""Every backend has every method of the port, and no wrapper forgets one."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pathlib
import re
from typing import Any
from unittest import mock

import pytest

import ironic_accel
from ironic_accel.conductor.access import bmc_session
from ironic_accel.conductor.operation.backends import ChildBackend
from ironic_accel.converge.composite import Both
from ironic_accel.converge.composite import Delegating
from ironic_accel.converge.ports import Backend
from ironic_accel.model.device import Device
from ironic_accel.model.device import Inventory
from ironic_accel.model.identity import Source

ROOT = pathlib.Path(ironic_accel.__file__).parent

#: The methods of the port.
PORT = {name: inspect.signature(member)
        for name, member in vars(Backend).items()
        if inspect.isfunction(member) and not name.startswith('_')}
#: Those that each backend has of its own; ``observe`` is the port's.
OWN = [name for name in PORT if name != 'observe']

#: What each method is called with.
CALLS: dict[str, tuple[Any, ...]] = {
    'sources': (), 'starting': (), 'transports': ('inventory', ('pushes',)),
    'announce': ('action', 'image'),
    'start': ('action', 'image', 'spec', True), 'commit': (['ref'],),
    'poll': ({'ticket': 1},)}

#: Those that return nothing.
SILENT = frozenset({'announce'})


def backends() -> list[type[Any]]:
    """The classes of the product that are, or look like, a backend."""
    found: dict[str, type[Any]] = {}
    for path in sorted(ROOT.rglob('*.py')):
        if not re.search(r'^    def (?:sources|poll)\(self', path.read_text(),
                         re.M):
            continue
        parts = path.relative_to(ROOT.parent).with_suffix('').parts
        module = importlib.import_module('.'.join(parts))
        for member in vars(module).values():
            if (inspect.isclass(member) and member is not Backend
                    and member.__module__ == module.__name__
                    and {'sources', 'poll'} <= set(dir(member))):
                found[member.__qualname__] = member
    return list(found.values())


def test_the_wrappers_are_found() -> None:
    assert {'GuardedBackend', 'ChildBackend', 'ReadOnlyBackend',
            'CountingBackend', 'Both', 'Delegating', 'RedfishBackend',
            'AgentBackend', 'IpmiBackend', 'LocalBackend'} <= {
                b.__name__ for b in backends()}
    assert set(OWN) == set(CALLS)


@pytest.mark.parametrize('name', PORT)
@pytest.mark.parametrize('backend', backends())
def test_every_backend_has_every_method_of_the_port(
        backend: type[Any], name: str) -> None:
    method = inspect.getattr_static(backend, name)
    names = list(inspect.signature(method).parameters)
    assert names[:len(PORT[name].parameters)] == list(PORT[name].parameters)


@pytest.mark.parametrize('name', OWN)
def test_what_chooses_among_backends_says_where_each_call_goes(
        name: str) -> None:
    assert name in vars(Both)
    assert not issubclass(Both, Delegating)


@pytest.mark.parametrize('name', OWN)
def test_a_call_is_passed_on_as_it_is(name: str) -> None:
    inner = mock.create_autospec(Backend, instance=True)
    asked = getattr(Delegating(inner), name)(*CALLS[name])
    passed = getattr(inner, name)
    passed.assert_called_once_with(*CALLS[name])
    assert asked is (None if name in SILENT else passed.return_value)
    assert len(inner.method_calls) == 1


def test_a_child_is_connected_to_when_it_is_first_asked(
        monkeypatch: pytest.MonkeyPatch) -> None:

    inner = mock.create_autospec(Backend, instance=True)
    connect = mock.create_autospec(bmc_session.backend, return_value=inner)
    monkeypatch.setattr(bmc_session, 'backend', connect)
    node = mock.Mock(spec_set=['uuid', 'name'])
    child = ChildBackend(node, 'redfish-dpu')
    connect.assert_not_called()
    shown = Source(Inventory('1', 'on', True))
    inner.sources.return_value = (shown,)
    assert child.sources() == (
        dataclasses.replace(shown, whole=False),)
    for name, args in CALLS.items():
        if name == 'sources':
            continue
        assert getattr(child, name)(*args) is (
            None if name in SILENT else getattr(inner, name).return_value)
        getattr(inner, name).assert_called_once_with(*args)
    connect.assert_called_once_with(node, 'redfish-dpu', None)


def test_ids_are_given_to_all_sources_at_once() -> None:
    """A wrapper observes what it stands before by ``sources`` alone."""
    inner = mock.create_autospec(Backend, instance=True)
    inner.sources.return_value = (
        Source(Inventory('1', 'on', True, seen_via=('redfish',), devices=(
            Device('/G/0', 'gpu', serial='7', uri='/G/0'),))),
        Source(Inventory('1', 'on', True, seen_via=('agent',), devices=(
            Device('0000:17:00.0', 'gpu', serial='7'),))))
    seen = Delegating(inner).observe({'gpu-old': ('gpu', '7', None)})
    assert [d.id for d in seen.devices] == ['gpu-old']
    seen = Delegating(inner).observe({'gpu-old': ('gpu', None, None)})
    assert [d.id for d in seen.devices] == ['gpu-7']
