# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Nodes without Redfish: driver_info, the guard, and what is published."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import pathlib
from typing import Any

from ironic.common import driver_factory
from ironic.common import exception
from ironic.common import states
from ironic.conf import CONF
from ironic.drivers import ipmi as drivers_ipmi
from ironic.drivers.modules import ipmitool
from ironic import objects
import pytest

from ironic_accel.conductor.access import ipmi_backend
from ironic_accel.conductor.drivers import hardware
from ironic_accel.conductor.drivers import power
from ironic_accel.conductor.drivers import vendor
from ironic_accel.conductor.node import clock
from ironic_accel.conductor.node import flash_guard
from ironic_accel.conductor.node import inventory_store
from ironic_accel.conductor.node import operation
from ironic_accel.conductor.node.operation import Operation
from ironic_accel.conductor.operation import backends
from ironic_accel.conductor.operation import context as ctx_mod
from ironic_accel.conductor.operation import observe
from ironic_accel.conductor.publication import traits
from ironic_accel.model.device import Activation
from ironic_accel.model.errors import AccelError
from ironic_accel.model.errors import Rejected
from ironic_accel.model.errors import Unreachable
from ironic_accel.model.plan import Action
from tests.contract.ipmi.running import bmc_process
from tests.unit.conductor import sample

Make = Callable[..., Any]

#: Stands where ipmitool would: it writes down what it was asked.
SCRIPT = '''#!/bin/sh
echo "$@" >> {log}
case "$*" in *"power status"*) echo "Chassis Power is on";; esac
'''

INFO = {'ipmi_address': '127.0.0.1', 'ipmi_username': 'admin',
        'ipmi_password': 'password'}


@pytest.fixture
def asked(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch,
          database: pathlib.Path) -> Iterator[Callable[[], list[str]]]:
    """An ipmitool of ours, and the interfaces of accel-ipmi enabled."""
    log = tmp_path / 'asked'
    tool = tmp_path / 'bin' / 'ipmitool'
    tool.parent.mkdir()
    tool.write_text(SCRIPT.format(log=log))
    tool.chmod(0o755)
    monkeypatch.setenv('PATH', str(tool.parent), prepend=':')
    before = {k: list(getattr(CONF, k)) for k in (
        'enabled_hardware_types', 'enabled_power_interfaces',
        'enabled_management_interfaces', 'enabled_vendor_interfaces')}
    for option, name in zip(before, (
            'accel-ipmi', 'accel-ipmi', 'ipmitool', 'accelerator-ipmi'),
            strict=True):
        CONF.set_override(option, [*before[option], name])
    _forget_factories()

    def lines() -> list[str]:
        return log.read_text().splitlines() if log.exists() else []

    yield lines
    for option, value in before.items():
        CONF.set_override(option, value)
    _forget_factories()


def _forget_factories() -> None:
    driver_factory.HardwareTypesFactory._extension_manager = None
    for factory in driver_factory._INTERFACE_LOADERS.values():
        factory._extension_manager = None


@pytest.fixture
def node(make_node: Make, asked: Callable[[], list[str]]) -> Any:
    return make_node(
        driver='accel-ipmi', driver_info=dict(INFO),
        boot_interface='ipxe',
        power_interface='accel-ipmi', management_interface='ipmitool',
        vendor_interface='accelerator-ipmi')


def test_the_hardware_type_loads_with_its_interfaces(
        node: Any, acquire: Make) -> None:
    task = acquire(node)
    assert type(task.driver.power) is power.AccelIpmiPower
    assert type(task.driver.vendor) is vendor.IpmiAccelerator
    assert {'send_raw', 'bmc_reset', 'accel_refresh'} <= set(
        task.driver.vendor.vendor_routes)
    assert CONF['accel-ipmi'].timeout == 60


def test_driver_info_is_read_as_ironic_reads_it(
        make_node: Make, asked: object) -> None:
    made = make_node(driver='accel-ipmi', driver_info={
        **INFO, 'ipmi_port': 6230, 'ipmi_hex_kg_key': 'ab' * 20},
        boot_interface='ipxe',
        power_interface='accel-ipmi', management_interface='ipmitool',
        vendor_interface='accelerator-ipmi')
    target = ipmi_backend.target(made)
    assert (target.address, target.port, target.kg) == (
        '127.0.0.1', 6230, 'ab' * 20)
    made.driver_info = {'ipmi_username': 'admin'}
    with pytest.raises(AccelError, match=r'driver_info: .*ipmi_address'):
        ipmi_backend.target(made)


def test_power_actions_are_refused_during_an_update(
        node: Any, acquire: Make, asked: Callable[[], list[str]]) -> None:
    task = acquire(node)
    flash_guard.put(task.node, 'card', clock.now(), 60)
    task.node.save()
    with pytest.raises(exception.InvalidState, match='update in progress'):
        task.driver.power.validate(task)
    with pytest.raises(exception.DriverOperationError):
        task.driver.power.set_power_state(task, states.POWER_OFF)
    with pytest.raises(exception.InvalidState, match='update in progress'):
        task.driver.vendor.validate(task, 'send_raw', raw_bytes='0x00 0x02')
    assert not any('power' in line for line in asked())
    flash_guard.drop(task.node)
    task.driver.vendor.validate(task, 'send_raw', raw_bytes='0x00 0x02')
    assert task.driver.power.get_power_state(task) == states.POWER_ON
    assert any('power status' in line for line in asked())


def test_refresh_keeps_in_band_data(
        node: Any, acquire: Make, profiles: pathlib.Path) -> None:
    task = acquire(node)
    inside = sample.box(sample.gpu(0), sample.gpu(1),
                        seen_via=('agent',))
    inventory_store.save(task, inside)
    with bmc_process('plain') as port:
        ctx = _context(task, port)
        end = observe.take_inventory(ctx)
    assert end is not None
    assert end.error is None
    assert sorted(traits.published(task.node)) == [
        'CUSTOM_ACCEL_GPU', 'CUSTOM_ACCEL_GPU_NVIDIA_H100_SXM',
        'CUSTOM_ACCEL_GPU_X2']
    stored = inventory_store.load(task)
    assert stored is not None
    assert [d.kind for d in stored.inventory.devices] == [
        'baseboard', 'gpu', 'gpu']
    rows = {r.component: r.current_version
            for r in objects.FirmwareComponentList.get_by_node_id(
                task.context, task.node.id)}
    assert rows == {'accel:baseboard-BRD-0042/bmc': '3.47',
                    'accel:gpu-0/gpu': sample.OLD,
                    'accel:gpu-1/gpu': sample.OLD}


def test_a_bmc_that_is_away_is_unreachable(
        node: Any, acquire: Make) -> None:
    CONF.set_override('timeout', 1, group='accel-ipmi')
    try:
        ctx = _context(acquire(node), 9)
        with pytest.raises(Unreachable, match='cannot read the BMC'):
            observe.take_inventory(ctx)
    finally:
        CONF.clear_override('timeout', group='accel-ipmi')


def test_nothing_is_written_by_ipmi(node: Any, acquire: Make) -> None:
    backend = ipmi_backend.IpmiBackend(acquire(node))
    assert backend.transports(sample.box()) == ()
    assert backend.commit([('gpu-0', 'gpu')]) == ()
    with pytest.raises(Rejected, match='apply_profile_in_band'):
        backend.start(Action('set', 'ipmi', (), Activation.NONE))


def test_node_without_transport_is_refused(
        make_node: Make, acquire: Make) -> None:
    task = acquire(make_node(driver_info={}))
    with pytest.raises(AccelError, match='no transport can reach'):
        backends.backend(task, Operation(kind='idle', step='x'))


def _context(task: Any, port: int) -> ctx_mod.Context:
    task.node.driver_info = {**task.node.driver_info, 'ipmi_port': port}
    current = Operation(
        kind='idle', step='accel_refresh', work='look',
        state=task.node.provision_state, deadline=clock.now() + 60)
    operation.store(task.node, current)
    return ctx_mod.make(task, current)


def test_hardware_type_extends_the_upstream_one() -> None:
    mine, plain = hardware.AccelIpmiHardware(), drivers_ipmi.IPMIHardware()
    assert mine.supported_power_interfaces == [power.AccelIpmiPower]
    assert issubclass(power.AccelIpmiPower, ipmitool.IPMIPower)
    assert mine.supported_vendor_interfaces == [
        vendor.IpmiAccelerator, *plain.supported_vendor_interfaces]
    for kind in ('boot', 'deploy', 'inspect', 'management', 'console',
                 'network'):
        name = f'supported_{kind}_interfaces'
        assert getattr(mine, name) == getattr(plain, name)
