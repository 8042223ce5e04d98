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

"""The agent is not believed: what a hostile ramdisk can say, and gets."""

from __future__ import annotations

from collections.abc import Iterator
import copy
import dataclasses
import json
import time
from typing import Any
from unittest import mock

from ironic.drivers.modules import agent_client
import pytest

from ironic_accel.conductor.access.agent_backend import AgentBackend
from ironic_accel.conductor.access.agent_client import AgentCalls
from ironic_accel.conductor.access.agent_client import Lost
from ironic_accel.converge import agent_answers
from ironic_accel.converge import agent_schema
from ironic_accel.model import catalog
from ironic_accel.model.activity import Busy
from ironic_accel.model.device import Component
from ironic_accel.model.device import Device
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Mode
from ironic_accel.model.device import PciIds
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import OutcomeUnknown
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.plan import Action
from ironic_accel.model.plan import UpdateTarget
from ironic_accel.model.plan import Change
from ironic_accel.model.plan import Item
from ironic_accel.model.plan import Transport
from ironic_accel.model import serialization
from ironic_accel.model import traits
from tests.security.conftest import Serve
from tests.security import evil

FACTS = catalog.load()
SEEN = Inventory(
    'sys',
    'on',
    True,
    'boot-1',
    seen_via=('agent',),
    busy=(
        Busy(
            'flash',
            'job-1',
            targets=(('gpu-1', 'gpu'),),
            ticket={'job': 'job-1'},
        ),
    ),
    devices=(
        Device(
            'gpu-1',
            'gpu',
            'nvidia',
            'NVIDIA H100 80GB HBM3',
            'nvidia-h100-sxm',
            serial='1',
            address='0000:17:00.0',
            pci=PciIds('10de', '2330'),
            health='OK',
            macs=('aa:bb:cc:dd:ee:ff',),
            components=(
                Component(
                    'gpu',
                    'vbios',
                    '96.00.A6.00.01',
                    updateable=True,
                    activation=Activation.POWER_CYCLE,
                ),
            ),
            modes=(
                Mode(
                    'ecc',
                    'enabled',
                    activation=Activation.WARM_REBOOT,
                    persistent=True,
                ),
            ),
        ),
    ),
)
TRANSPORT = Transport('agent', {('gpu-1', 'gpu'): UpdateTarget('gpu-1')},
          frozenset({('gpu-1', 'ecc')}),
          {'gpu-1': Activation.DEVICE_RESET})


def answer() -> dict[str, Any]:
    """What an honest agent says."""
    found: dict[str, Any] = json.loads(json.dumps({
        'inventory': serialization.inventory_to_dict(SEEN),
        'transports': [agent_schema.transport_to_dict(TRANSPORT)]}))
    return found


class Says(AgentCalls):
    """An agent that says whatever it is told to."""

    def __init__(self, said: dict[str, Any]) -> None:
        self.said = said

    def ask(self, command: str, **params: Any) -> dict[str, Any]:
        """That."""
        return self.said


def look(said: dict[str, Any]) -> Inventory:
    return AgentBackend(Says(said)).observe()


def named(inventory: Inventory) -> set[str]:
    """All traits that such an inventory alone can make."""
    return {t.name for t in (*traits.presence(inventory, FACTS),
                             *traits.modes(inventory, FACTS),
                             *traits.pci(inventory, ['10de:2330']))}


def test_an_honest_agent_is_heard() -> None:
    backend = AgentBackend(Says(answer()))
    seen = backend.observe()
    device, = seen.devices
    assert (device.id, device.serial, device.product) == (
        'gpu-1', '1', 'nvidia-h100-sxm')
    assert seen.busy == SEEN.busy
    transport, = backend.transports(seen)
    assert transport == TRANSPORT
    assert named(seen) == {
        'CUSTOM_ACCEL_GPU', 'CUSTOM_ACCEL_GPU_X1', 'CUSTOM_ACCEL_GPU_ECC',
        'CUSTOM_ACCEL_GPU_NVIDIA_H100_SXM', 'CUSTOM_ACCEL_PCI_10DE_2330'}


@pytest.mark.parametrize('kind', [
    'is-h100-strict', 'can-anything', 'pci-10de-2330', 'degraded', 'IS',
    'gpu-x8', 'gpu-nvidia-b200', 'GPU', 'x' * 60])
def test_a_kind_that_is_none_says_nothing(kind: str) -> None:
    said = answer()
    said['inventory']['devices'][0]['kind'] = kind
    seen = look(said)
    assert not seen.devices
    assert any('device of unknown kind' in w.message for w in seen.warnings)
    assert named(seen) == set()
    # One that was stored before anybody looked: its trait goes.
    stored = dataclasses.replace(SEEN, devices=(
        dataclasses.replace(SEEN.devices[0], kind=kind),))
    wanted = traits.wanted(traits.presence(stored, FACTS))
    assert not any(kind.upper().replace('-', '_') in n for n in wanted)
    wrong = traits.trait_name(kind)
    if wrong != traits.DEGRADED:
        assert wrong in traits.reconcile({wrong}, wanted).remove


def test_eighty_kinds_fill_no_trait() -> None:
    said = answer()
    one = said['inventory']['devices'][0]
    said['inventory']['devices'] += [
        {**copy.deepcopy(one), 'id': f'd{i}', 'serial': f's{i}',
         'kind': f'kind-{i}'} for i in range(80)]
    assert named(look(said)) == named(SEEN)


@pytest.mark.parametrize('product', [
    'is-h100-strict', 'x8', 'nvidia-b200', 'nvidia-bluefield-3', '', None])
def test_a_product_is_what_the_catalogue_says(product: str | None) -> None:
    said = answer()
    said['inventory']['devices'][0]['product'] = product
    assert look(said).devices[0].product == 'nvidia-h100-sxm'
    said['inventory']['devices'][0] |= {
        'pci': None, 'model': 'Never Heard Of', 'product': product}
    found = look(said).devices[0].product
    assert found is None or FACTS.products[found].kind == 'gpu'


@pytest.mark.parametrize(('activation', 'persistent'), [
    ('none', True), ('aux-cycle', True), ('nonsense', 7), (None, None)])
def test_what_a_change_takes_is_the_catalogues_to_say(
        activation: Any, persistent: Any) -> None:
    said = answer()
    device = said['inventory']['devices'][0]
    device['components'][0]['activation'] = activation
    for name in ('ecc', 'mig'):
        device['modes'][name] = {
            **device['modes']['ecc'], 'activation': activation,
            'persistent': persistent, 'allowed': ['enabled', 'is-h100-strict']}
    seen, = look(said).devices
    part = FACTS.component('gpu', 'gpu', 'nvidia-h100-sxm')
    assert part is not None
    assert seen.components[0].activation is part.activation
    for mode in seen.modes:
        facts = FACTS.mode('gpu', mode.name, 'nvidia-h100-sxm')
        assert facts is not None
        assert (mode.activation, mode.persistent) == (
            facts.activation,
            facts.persistent,
        )
        assert mode.allowed == ('enabled',)
    assert 'CUSTOM_ACCEL_GPU_MIG' not in named(look(said))


@pytest.mark.parametrize('value', [
    'is-h100', 'ENABLED', 3, ['enabled'], True, 'x' * 60, {'a': 1}, 1.5])
def test_a_value_that_a_mode_has_not_is_unread(value: Any) -> None:
    said = answer()
    said['inventory']['devices'][0]['modes']['ecc']['current'] = value
    seen = look(said)
    mode = seen.devices[0].mode('ecc')
    assert mode is not None
    assert (mode.current, mode.standing) == (None, 'unread')
    assert 'CUSTOM_ACCEL_GPU_ECC' not in named(seen)


@pytest.mark.parametrize(('where', 'name'), [
    ('components', 'bmc'), ('components', 'is-h100'), ('modes', 'turbo'),
    ('modes', 'services')])
def test_a_name_that_the_kind_has_not_is_left_out(
        where: str, name: str) -> None:
    said = answer()
    device = said['inventory']['devices'][0]
    if where == 'modes':
        device['modes'][name] = device['modes']['ecc']
    else:
        device['components'].append({'name': name, 'id': 'x'})
    seen = look(said)
    assert len(seen.devices[0].components) == 1
    assert len(seen.devices[0].modes) == 1
    assert any(name in w.message for w in seen.warnings)


def adapter(**modes: Any) -> dict[str, Any]:
    """The answer of an agent about a BlueField-3."""
    said = answer()
    device = said['inventory']['devices'][0]
    device |= {'id': 'dpu-1', 'kind': 'dpu', 'model': None,
               'product': 'nvidia-bluefield-3', 'components': [],
               'modes': {name: {'current': value, 'pending': None,
                                'status': 'reported'}
                         for name, value in modes.items()}}
    device['pci'] |= {'vendor_id': '15b3', 'device_id': 'a2dc'}
    said['transports'] = []
    return said


@pytest.mark.parametrize(('name', 'value', 'current'), [
    ('CNP_DSCP_P1', 26, 26), ('CNP_DSCP_P1', 64, None),
    ('ATS_ENABLED', 'true', 'true'), ('ATS_ENABLED', 'True(1)', None),
    ('mode', 'separated-host', 'separated-host'), ('mode', 'mixed', None),
    ('relaxed-ordering', 'mixed', 'mixed')])
def test_a_parameter_has_the_values_of_the_allow_list(
        name: str, value: Any, current: Any) -> None:
    (mode,) = look(adapter(**{name: value})).devices[0].modes
    facts = FACTS.mode('dpu', name, 'nvidia-bluefield-3')
    assert facts is not None
    assert (mode.current, mode.activation, mode.persistent) == (
        current, facts.activation, facts.persistent)


@pytest.mark.parametrize('name', [
    'NON_PREFETCHABLE_PF_BAR', 'CNP_DSCP', 'CNP_DSCP_P9', 'X' * 60])
def test_a_parameter_that_the_allow_list_has_not_is_left_out(
        name: str) -> None:
    assert look(adapter(**{name: 1})).devices[0].modes == ()


@pytest.mark.parametrize('bound', [-1, 'x', 2**40, 1.5, True, [1]])
def test_a_bound_that_is_none_is_an_error(bound: Any) -> None:
    said = answer()
    modes = said['inventory']['devices'][0]['modes']
    modes['power-limit'] = {
        **modes['ecc'], 'current': 700, 'minimum': 200, 'maximum': 700}
    seen = look(said).devices[0].mode('power-limit')
    assert seen is not None
    assert (seen.minimum, seen.maximum, seen.read_only) == (200, 700, False)
    modes['power-limit']['maximum'] = bound
    with pytest.raises(Unreachable):
        look(said)


def test_it_does_not_speak_for_the_bmc() -> None:
    said = answer()
    said['inventory'] |= {'seen_via': ['redfish'], 'requests': 10**9}
    device = said['inventory']['devices'][0]
    device['uri'] = '/redfish/v1/Systems/1'
    device['modes']['ecc']['uri'] = '/redfish/v1/Systems/1'
    seen = look(said)
    assert seen.seen_via == ('agent',)
    assert seen.devices[0].uri is None
    assert seen.devices[0].modes[0].uri is None
    said['transports'][0]['name'] = 'redfish'
    with pytest.raises(Unreachable):
        look(said)


@pytest.mark.parametrize('activation', ['warm-reboot', 'power-cycle',
                                    'aux-cycle', 'bmc', '', None])
def test_it_offers_no_reset_of_the_host(activation: Any) -> None:
    said = answer()
    said['transports'][0]['resets'] = {'gpu-1': activation}
    with pytest.raises(Unreachable, match='resets'):
        look(said)


def test_ways_are_about_what_was_seen() -> None:
    said = answer()
    said['transports'][0]['updates'].append({
        'device': 'other', 'name': 'gpu', 'lane': 'x', 'also_writes': []})
    said['transports'][0]['sets'] += [['gpu-1', 'mig'], ['other', 'ecc']]
    said['transports'][0]['resets']['other'] = 'device-reset'
    backend = AgentBackend(Says(said))
    assert backend.transports(backend.observe()) == (TRANSPORT,)


def inside(value: Any, path: tuple[Any, ...] = ()
           ) -> Iterator[tuple[Any, ...]]:
    """The path of every value within a document."""
    items = (value.items() if isinstance(value, dict)
             else enumerate(value) if isinstance(value, list) else ())
    for key, inner in items:
        yield (*path, key)
        yield from inside(inner, (*path, key))


def spoil(doc: Any, path: tuple[Any, ...], value: Any) -> Any:
    doc = copy.deepcopy(doc)
    there = doc
    for key in path[:-1]:
        there = there[key]
    there[path[-1]] = value
    return doc


BAD = [None, True, -1, 10**30, 1.5, float('nan'), '', ' ', 'x' * 5000, [],
       ['x'], [None] * 1000, {}, {'a': 1}, [[['x']]], '\x1b[2J', '\ud800',
       'is-h100-strict', {str(i): i for i in range(1000)}]


@pytest.mark.parametrize('path', sorted(inside(answer()), key=str), ids=str)
def test_whatever_it_says_instead_is_bounded(path: tuple[Any, ...]) -> None:
    for value in BAD:
        backend = AgentBackend(Says(spoil(answer(), path, value)))
        try:
            seen = backend.observe()
            backend.transports(seen)
        except Unreachable as exc:
            assert exc.detail.error_class is ErrorClass.TRANSIENT
            assert len(str(exc)) < 1500
            continue
        text = json.dumps(serialization.inventory_to_dict(seen),
                          allow_nan=False).encode()
        assert len(text) < 20_000
        assert named(seen) <= named(SEEN) | {traits.DEGRADED}


@pytest.mark.parametrize('said', [
    {}, {'inventory': None}, {'inventory': []}, {'inventory': {}},
    {'inventory': 'x', 'transports': []}, {'inventory': answer()['inventory'],
                                     'transports': 'x'}])
def test_no_inventory_is_no_answer_yet(said: Any) -> None:
    with pytest.raises(Unreachable) as caught:
        look(said)
    assert caught.value.detail.error_class is ErrorClass.TRANSIENT


@pytest.mark.parametrize('poll', [
    None, 'done', {}, {'state': 'converged'}, {'state': 'ended'},
    {'state': 'ended', 'results': 7}, {'state': 'running', 'percent': 500},
    {'state': 'ended', 'results': [{'ref': ['a', 'b'], 'ok': 'yes'}]},
    {'state': 'ended', 'results': [{'ref': ['a'], 'ok': True}]},
    {'state': 'ended', 'results': [{'ref': ['a', 'b'], 'ok': False,
                                    'detail': {'class': 'x'}}]},
    {'state': 'ended', 'results': [{'ref': ['a', 'b'], 'ok': True}] * 1000}])
def test_a_poll_that_is_none_ends_no_write(poll: Any) -> None:
    if poll == {'state': 'ended'}:
        # No result at all: nothing failed, and nothing is believed.
        assert AgentBackend(Says({'poll': poll})).poll({}) is not None
        return
    with pytest.raises(Unreachable, match='unknown'):
        AgentBackend(Says({'poll': poll})).poll({'job': 'x'})


@pytest.mark.parametrize('ticket', [
    None, 'x', [], 7, {'job': 'x' * 3000}, {str(i): i for i in range(500)}])
def test_a_ticket_that_is_none_leaves_the_write_unknown(ticket: Any) -> None:
    said = answer()
    backend = AgentBackend(Says(said))
    backend.transports(backend.observe())
    said['ticket'] = ticket
    action = Action('set', 'agent', (Change(
        Item('gpu-1', 'ecc', 'mode', 'disabled'), 'enabled'),),
        Activation.WARM_REBOOT)
    with pytest.raises(OutcomeUnknown):
        backend.start(action)


@pytest.mark.parametrize('raw', [
    None, 'x', [], {}, {'kind': 'SystemExit', 'detail': {}},
    {'kind': 'Rejected'}, {'kind': 'Rejected', 'detail': {
        'summary': 'x', 'class': 'fatal'}},
    {'kind': 'Rejected', 'detail': {'summary': 'x', 'class': 'transient'},
     'retry_after': 'soon'}])
def test_an_error_that_is_none_is_ours(raw: Any) -> None:
    with pytest.raises(agent_answers.Wrong):
        agent_answers.error(raw)


@pytest.mark.parametrize(('after', 'waits'), [
    (5, 5.0), (31536000, 600.0), (-1, 1.0), (1e300, 600.0), (None, None)])
def test_an_error_is_bounded(after: Any, waits: float | None) -> None:
    error = agent_answers.error({
        'kind': 'Rejected', 'retry_after': after, 'detail': {
            'class': 'transient', 'summary': 'x' * 10**6, 'node': 'other',
            'todo': '\x1b[2J' * 10**5, 'unknown': 1}})
    assert isinstance(error, Rejected)
    assert error.retry_after == waits
    assert len(str(error)) < 3000
    assert '\x1b' not in str(error)


def calls(url: str) -> AgentCalls:
    task = mock.Mock()
    task.node.driver_internal_info = {'agent_secret_token': 'the-token'}
    client = mock.create_autospec(agent_client.AgentClient, instance=True)
    client._get_command_url.return_value = f'{url}/v1/commands'
    client._get_command_body.return_value = '{}'
    client._get_verify.return_value = True
    found = AgentCalls(task)
    mock.patch.object(agent_client, 'get_client', autospec=True,
                      return_value=client).start()
    return found


@pytest.fixture(autouse=True)
def _stop() -> Iterator[None]:
    yield
    mock.patch.stopall()


@pytest.mark.parametrize('body', [
    b'', b'busy', b'[]', b'{"error": "busy"}', b'{"command_status": 1}',
    b'{"command_status": "SUCCEEDED"}', b'[' * 100_000,
    b'{"command_status": "SUCCEEDED", "command_result": []}',
    b'{"command_status": "SUCCEEDED", "command_result": {"error": 1}}',
    b'{"command_status": "FAILED", "command_error": ["x"]}'])
@pytest.mark.parametrize('status', [200, 302, 400, 409, 500])
def test_an_answer_that_is_none_is_typed(
        serve: Serve, body: bytes, status: int) -> None:
    agent = serve({'*': evil.plain(status, body,
                                   Location='http://127.0.0.1:1/')})
    with pytest.raises(AccelError):
        calls(agent.url).ask('accel_observe')
    assert len(agent.asked) == 1


def test_no_command_and_no_token_follow_a_redirect(serve: Serve) -> None:
    other = serve()
    agent = serve({'*': evil.plain(307, b'{}', Location=other.url + '/x')})
    with pytest.raises(AccelError):
        calls(agent.url).ask('accel_start')
    assert not other.asked


@pytest.mark.parametrize('piece', [b' ', b' ' * 65536])
def test_an_agent_that_drips_or_floods_ends(
        serve: Serve, piece: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    from ironic_accel.conductor.access import (
        agent_client as agent_client_module)
    from ironic_accel.conductor.config.options import CONF
    monkeypatch.setattr(agent_client_module, 'CONNECT', 0.5)
    CONF.set_override('command_timeout', 1, group='agent')
    agent = serve({'*': evil.forever(
        b'HTTP/1.1 200 OK\r\n\r\n', piece, 0.1 if len(piece) == 1 else 0)})
    start = time.monotonic()
    try:
        with pytest.raises(Lost):
            calls(agent.url).ask('accel_observe')
    finally:
        CONF.clear_override('command_timeout', group='agent')
    assert time.monotonic() - start < 4
