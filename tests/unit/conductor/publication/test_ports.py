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

"""Ports of DPUs, and resource classes, follow what was proved."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import dataclasses
import importlib
from typing import Any

from ironic.common import states
from ironic.conf import CONF
from ironic import objects
import pytest

from ironic_accel.conductor.config import ironic_series
from ironic_accel.conductor.node import keys
from ironic_accel.conductor.publication import ports as ports_module
from ironic_accel.conductor.publication import resource_class
from ironic_accel.conductor.publication import withdraw
from ironic_accel.conductor.upkeep import audit_result
from ironic_accel.model import catalog
from ironic_accel.model.device import Device
from ironic_accel.model.device import Activation
from ironic_accel.model.device import Inventory
from ironic_accel.model.device import Mode
from tests.unit.conductor import sample

Make = Callable[..., Any]
MACS = ('02:00:00:00:00:01', '02:00:00:00:00:02')
SMART = {'port_id': 'p0hpf', 'hostname': 'bf3-rack-7'}
NOTHING = (None, None, False)


def card(mode: str = 'dpu', **fields: Any) -> Device:
    """A BlueField-3 with two ports."""
    return Device(**{
        'id': 'dpu-1', 'kind': 'dpu', 'vendor': 'nvidia', 'health': 'OK',
        'model': 'BlueField-3 DPU', 'product': 'nvidia-bluefield-3',
        'macs': tuple(m.upper() for m in MACS),
        'modes': (Mode('mode', mode, activation=Activation.POWER_CYCLE,
                       persistent=True),), **fields})


def pending(device: Device) -> Device:
    """The same, with another mode waiting."""
    return dataclasses.replace(device, modes=tuple(
        dataclasses.replace(m, pending='nic') for m in device.modes))


class Ports:
    """A node with three ports, two of them the card's."""

    def __init__(self, make_node: Make, acquire: Make, context: Any) -> None:
        self.context = context
        self.node = make_node()
        for number, mac in enumerate((*MACS, '02:00:00:00:00:99')):
            port = objects.Port(
                context, node_id=self.node.id, address=mac,
                uuid=f'00000000-0000-0000-0000-{number:012}')
            port.create()
        self._acquire = acquire

    def set(self, number: int, **fields: Any) -> None:
        """What an operator does to a port."""
        port = self.all()[number]
        for name, value in fields.items():
            setattr(port, name, value)
        port.save()

    def all(self) -> list[Any]:
        """The ports, in order."""
        found = objects.Port.list_by_node_id(self.context, self.node.id)
        return sorted(found, key=lambda p: str(p.address))

    def shown(self) -> list[tuple[Any, ...]]:
        """What the ports say."""
        return [(p.category, p.vendor, p.is_smartnic) for p in self.all()]

    def do(self, work: Callable[[Any], object]) -> None:
        """Do something with the node locked."""
        task = self._acquire(self.node)
        try:
            work(task)
            task.node.save()
        finally:
            task.release_resources()

    def follow(self, *devices: Device, **more: Any) -> None:
        """Let the ports follow what was seen."""
        self.do(lambda task: ports_module.follow(
            task, sample.box(*devices), catalog.load(), **more))

    def remove(self) -> None:
        """The ports go with the node."""
        for port in self.all():
            port.destroy()


@pytest.fixture
def ports(make_node: Make, acquire: Make, context: Any) -> Iterator[Ports]:
    """A node with a card in it."""
    made = Ports(make_node, acquire, context)
    yield made
    made.remove()
    for name in ('port_is_smartnic', 'port_categories', 'resource_class'):
        CONF.clear_override(name, group='accelerator')


DPU = ('dpu', 'nvidia', False)


def test_the_ports_of_a_dpu_are_found_by_trait_based_scheduling(
        ports: Ports) -> None:
    ports.follow(card())
    assert ports.shown() == [DPU, DPU, NOTHING]
    if not ironic_series.TRAIT_NETWORKING.present:
        pytest.skip('TRAIT_NETWORKING')
    networking = importlib.import_module(
        'ironic.common.trait_based_networking.base')
    wanted = networking.FilterExpression.parse(
        "port.category == 'dpu' && port.vendor == 'nvidia'")
    network = networking.Network('id', 'net', frozenset())
    first = networking.Port.from_ironic_port(ports.all()[0])
    assert wanted.eval(first, network)


@pytest.mark.parametrize('devices', [
    [card('nic')], [pending(card())], [card(health='Critical')], [],
    [card(modes=())],
    [card(modes=(Mode('mode', 'dpu', persistent=None),))]])
def test_they_lose_it_when_the_mode_goes(
        ports: Ports, devices: list[Device]) -> None:
    ports.follow(card())
    ports.follow(*(devices or [sample.gpu(0)]))
    assert ports.shown() == [NOTHING] * 3
    ports.node.refresh()
    assert keys.PORTS.name not in ports.node.driver_internal_info


def test_fields_set_by_an_operator_are_kept(ports: Ports) -> None:
    ports.set(0, category='storage')
    ports.follow(card())
    assert ports.shown()[:2] == [('storage', 'nvidia', False), DPU]
    ports.set(1, category='green', vendor='acme')
    ports.follow(card('nic'))
    assert ports.shown()[:2] == [('storage', None, False),
                                 ('green', 'acme', False)]


def test_smart_nics_are_marked_where_neutron_can_use_them(
        ports: Ports) -> None:
    CONF.set_override('port_is_smartnic', True, group='accelerator')
    ports.set(0, local_link_connection=SMART)
    ports.follow(card())
    assert ports.shown()[:2] == [('dpu', 'nvidia', True), DPU]
    ports.follow(card('nic'))
    assert ports.shown() == [NOTHING] * 3


def test_an_operator_s_smart_nic_stays_one(ports: Ports) -> None:
    CONF.set_override('port_is_smartnic', True, group='accelerator')
    ports.set(0, local_link_connection=SMART, is_smartnic=True)
    ports.follow(card('nic'))
    assert ports.shown()[0] == (None, None, True)
    ports.follow(card())
    ports.do(ports_module.clear)
    # What they had set is never counted as ours.
    assert ports.shown()[0] == (None, None, True)


def test_a_change_takes_it_back_before(ports: Ports) -> None:
    ports.follow(card())
    ports.do(lambda task: withdraw.withdraw(
        task, withdraw.changing({'gpu-0'}, {'gpu'})))
    assert ports.shown()[0] == DPU
    ports.do(lambda task: withdraw.withdraw(
        task, withdraw.changing({'dpu-0'}, {'dpu'})))
    assert ports.shown() == [NOTHING] * 3


def test_port_fields_left_by_a_kill_are_still_ours(
        ports: Ports) -> None:
    def killed(task: Any) -> None:
        ports_module.follow(task, sample.box(card()), catalog.load())
        task.node.obj_reset_changes()

    ports.do(killed)
    assert ports.shown()[:2] == [DPU, DPU]
    ports.node.refresh()
    ports.follow(card('nic'))
    assert ports.shown() == [NOTHING] * 3


def test_unreachable_node_clears_its_ports(
        ports: Ports) -> None:
    ports.follow(card())
    ports.node.refresh()
    ports.node.provision_state = states.ACTIVE
    ports.node.save()
    ports.do(lambda task: audit_result.void(task, 'not seen'))
    assert ports.shown()[:2] == [DPU, DPU]
    ports.node.refresh()
    ports.node.provision_state = states.AVAILABLE
    ports.node.save()
    ports.do(lambda task: audit_result.void(task, 'not seen'))
    assert ports.shown() == [NOTHING] * 3


def test_ports_of_an_instance_are_not_changed(
        ports: Ports) -> None:
    ports.follow(card())
    ports.do(lambda task: withdraw.note_tenant(task.node))
    ports.node.refresh()
    ports.node.provision_state = states.ACTIVE
    ports.node.save()
    ports.follow(card('nic'))
    assert ports.shown()[0] == DPU
    ports.do(withdraw.after_tenant)
    assert ports.shown() == [NOTHING] * 3


def test_categories_are_the_operator_s_to_choose(ports: Ports) -> None:
    CONF.set_override('port_categories', {'nic': 'supernic'},
                      group='accelerator')
    ports.follow(card('nic'))
    assert ports.shown()[0] == ('supernic', 'nvidia', False)
    ports.follow(card('dpu'))
    assert ports.shown() == [NOTHING] * 3


def test_disputed_device_sets_no_port(ports: Ports) -> None:
    ports.follow(card(), doubtful={'dpu-1'})
    assert ports.shown() == [NOTHING] * 3


def suggest(ports: Ports, seen: Inventory) -> str | None:
    """The resource class that the node has after a look."""
    ports.do(lambda task: resource_class.suggest(task, seen, catalog.load()))
    ports.node.refresh()
    found = ports.node.resource_class
    return None if found is None else str(found)


def choose(template: str) -> None:
    CONF.set_override('resource_class', template, group='accelerator')


def test_a_node_gets_a_resource_class(ports: Ports) -> None:
    assert suggest(ports, sample.box()) is None
    choose('baremetal.accel.{product}.x{count}')
    assert suggest(ports, sample.box()) == (
        'baremetal.accel.nvidia-h100-sxm.x2')
    assert suggest(ports, sample.box(sample.gpu(0), card())) == (
        'baremetal.accel.nvidia-h100-sxm.x1')


def test_an_operator_s_resource_class_is_never_overwritten(
        ports: Ports) -> None:
    choose('baremetal.{kind}.{vendor}')
    assert suggest(ports, sample.box()) == 'baremetal.gpu.nvidia'
    ports.node.resource_class = 'theirs'
    ports.node.save()
    assert suggest(ports, sample.box(card())) == 'theirs'
    ports.node.resource_class = 'baremetal.gpu.nvidia'
    ports.node.save()
    # The same words, but no longer ours.
    assert suggest(ports, sample.box(card())) == 'baremetal.gpu.nvidia'


@pytest.mark.parametrize(('template', 'seen'), [
    ('{product}', sample.box(sample.gpu(0), dataclasses.replace(
        sample.gpu(1), product='nvidia-a100-sxm4-80gb'))),
    ('{count}', sample.box(sample.gpu(0), dataclasses.replace(
        sample.gpu(1), health='Critical'))),
    ('{product}', sample.box(dataclasses.replace(
        sample.gpu(0), product=None))),
    ('{serial}', sample.box()), ('{count.real}', sample.box()),
    ('{count!r}', sample.box()), ('{', sample.box()),
    ('x' * 81, sample.box())])
def test_unknown_value_sets_no_port(
        ports: Ports, template: str, seen: Inventory) -> None:
    choose(template)
    assert suggest(ports, seen) is None


def test_a_node_in_use_keeps_its_resource_class(ports: Ports) -> None:
    choose('{kind}')
    ports.node.provision_state = states.ACTIVE
    ports.node.save()
    assert suggest(ports, sample.box()) is None
