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

"""What questions about other nodes cost: ``python bench/queries.py``.

Ironic's tables on SQLite, which runs in the conductor's own process, so that
its work counts here; with another database the conductor only pays for the
rows that it gets. Two nodes stand behind each BMC, each node has about 4 KiB
of ``driver_internal_info`` and thirty lines of history, and one in a thousand
is being written to. All vendor interfaces are enabled. Prints CPU
milliseconds (the least of five: a machine that is busy adds to each) at each
size, how they grow, and what loading all nodes costs, as it was done before.

A pass is one call of each periodic of each vendor interface, as Ironic makes
them. Every 5 s those of ``poll_interval`` run, every 30 s those of
``cleanup_interval`` too. Once a minute the audit lists the nodes besides
("which nodes are ours").
"""

from __future__ import annotations

from collections.abc import Callable
import datetime
import functools
import inspect
import json
import logging
import os
import pathlib
import statistics
import sys
import tempfile
import time
import types
from typing import Any
from unittest import mock
import uuid

from oslo_service import backend as oslo_backend

oslo_backend.init_backend(oslo_backend.BackendType.THREADING)

# ruff: noqa: E402
from ironic.common import context as ironic_context
from ironic.common import driver_factory
from ironic.common import service
from ironic.conductor import base_manager
from ironic.conductor import periodics as conductor_periodics
from ironic.conf import CONF
from ironic.db.sqlalchemy import models
from ironic import objects
from oslo_db.sqlalchemy import enginefacade
import sqlalchemy

from ironic_accel.conductor.access import related_nodes
from ironic_accel.conductor.config import options as options_
from ironic_accel.conductor.node import guard_copy
from ironic_accel.conductor.node import profile_agreement
from ironic_accel.conductor.node import queries
from ironic_accel.conductor.publication import device_ownership
from ironic_accel.conductor.upkeep import cleanup
from ironic_accel.conductor.upkeep import periodics

SIZES = (1000, 4000, 10000)
TIMES = 5
#: Bytes of ``driver_internal_info``, about.
INFO = 4096
#: Lines of history for each node.
HISTORY = 30
#: How often a tick that writes asks (tests/unit/conductor/node/
#: test_queries.py counts it).
A_TICK = {'who writes through the BMC': 2, 'child nodes': 3,
          'copy of the guard': 5}
#: The most that a tick may cost at the largest size, in CPU milliseconds;
#: and a pass of the periodics.
ALLOWED = 50.0

#: What is enabled besides Ironic's own defaults.
ENABLED = {
    'hardware_types': ['accel-redfish', 'accel-idrac', 'accel-ipmi'],
    'vendor_interfaces': ['accelerator', 'accelerator-idrac',
                          'accelerator-ipmi'],
    'power_interfaces': ['accel-redfish', 'accel-idrac', 'accel-ipmi'],
    'management_interfaces': ['redfish', 'idrac-redfish', 'ipmitool'],
    'boot_interfaces': ['ipxe', 'pxe'],
    'bios_interfaces': ['no-bios'], 'firmware_interfaces': ['no-firmware'],
    'inspect_interfaces': ['no-inspect'], 'raid_interfaces': ['no-raid'],
    'network_interfaces': ['noop'], 'storage_interfaces': ['noop'],
    'console_interfaces': ['no-console'], 'rescue_interfaces': ['no-rescue'],
    'deploy_interfaces': ['direct']}
#: The periodics by the option that spaces them.
PASSES = {
    'periodics every 5 s': ('poll_interval',),
    '... and every 30 s': ('poll_interval', 'cleanup_interval')}

Question = Callable[[], object]


def main() -> int:
    """Measure; gives 1 where a tick costs more than it may."""
    sizes = [int(n) for n in sys.argv[1:]] or list(SIZES)
    costs: dict[str, list[float]] = {}
    ticks = []
    with tempfile.TemporaryDirectory() as folder:
        context = _ironic(pathlib.Path(folder))
        made = 0
        for size in sizes:
            _grow(made, size)
            made = size
            for what, question in _questions(context, size).items():
                costs.setdefault(what, []).append(_cpu(question))
            for what, options in PASSES.items():
                costs.setdefault(what, []).append(_cpu(functools.partial(
                    _pass, context, _manager(), options)))
            ticks.append(sum(costs[what][-1] * times
                             for what, times in A_TICK.items()))
            before = _cpu(lambda: _as_before(context), 2) * 2
            print(f'{size} nodes: a tick that writes asks for '
                  f'{ticks[-1]:.1f} ms; loading all nodes twice, as before, '
                  f'{before:.0f} ms: {before / ticks[-1]:.0f} times as much')
    width = max(map(len, costs))
    print(f'\n{"CPU ms":<{width}}' + ''.join(f'{n:>9}' for n in sizes)
          + '  more for each 1,000 nodes')
    for what, each in [*costs.items(), ('= a tick that writes', ticks)]:
        print(f'{what:<{width}}' + ''.join(f'{ms:9.1f}' for ms in each)
              + f'{_slope(sizes, each):9.2f}')
    longest = costs[list(PASSES)[-1]][-1]
    return int(max(ticks[-1], longest) > ALLOWED)


def _questions(context: Any, size: int) -> dict[str, Question]:
    """The public questions, by what they ask."""
    number = size // 2 + size // 2 % 2
    uuid_ = _uuid(number)
    node = objects.Node.get_by_uuid(context, uuid_)
    task = types.SimpleNamespace(context=context, node=node)
    manager = _manager()
    digests = [f'{2**63 + n:016x}' for n in range(16)]
    return {
        'who writes through the BMC': lambda: related_nodes.writing_node(task),
        'who uses the BMC': lambda: related_nodes.in_use(task),
        'child nodes': lambda: queries.children(uuid_),
        'one node': lambda: queries.node(uuid_),
        'copy of the guard': lambda: guard_copy.copy_of(node),
        'who claims 16 new devices': lambda: device_ownership._claiming(
            digests),
        'operations that are due': lambda: [
            n for n in queries.with_key(
                'accel_operation', ('provision_state', 'maintenance',
                                    'fault'), unreserved=True,
                provision_states=periodics.WORK_STATES)
            if periodics.due(n)],
        'who waits for a device': device_ownership.waiting,
        'what to clear, available': lambda: cleanup.found(('available',)),
        'what to clear, others': lambda: cleanup.found(
            periodics.OTHER_STATES),
        'who was written over': guard_copy.all_overwritten,
        'profiles of other conductors': lambda: profile_agreement.others(
            'this'),
        'which nodes are ours': lambda: sum(
            1 for _ in queries.managed(manager))}


def _manager() -> Any:
    """A conductor that serves every node."""
    made = mock.create_autospec(
        base_manager.BaseConductorManager, instance=True)
    made.host = 'this'
    made.iter_nodes.side_effect = lambda filters: (
        objects.Node.dbapi.get_nodeinfo_list(
            columns=['uuid', 'driver', 'conductor_group'], filters=filters))
    return made


def _pass(context: Any, manager: Any, options: tuple[str, ...]) -> None:
    """Call the periodics of all vendor interfaces, as Ironic does."""
    _age()
    spacings = {getattr(options_.CONF.accelerator, o) for o in options}
    for interface in driver_factory.interfaces('vendor').values():
        for _name, method in inspect.getmembers(
                interface, lambda m: hasattr(m, '_periodic_spacing')):
            conductor_periodics.refresh_periodic_attributes(method)
            if method._periodic_spacing in spacings:
                method(manager, context)


def _age() -> None:
    """A scan is not shared between two passes."""
    queries._scan._at = float('-inf')


def _as_before(context: Any) -> None:
    """What each look at the neighbours was."""
    objects.Node.list(context, filters={'include_children': True}, fields=[
        'uuid', 'provision_state', 'instance_uuid', 'driver_info',
        'driver_internal_info', 'reservation', 'parent_node'])


def _cpu(question: Question, times: int = TIMES) -> float:
    """CPU milliseconds of a question, the least of some."""
    if times > 1:
        question()
    taken = []
    for _ in range(times):
        _age()
        began = time.process_time()
        question()
        taken.append((time.process_time() - began) * 1000)
    return min(taken)


def _slope(sizes: list[int], each: list[float]) -> float:
    """CPU milliseconds more for each 1,000 nodes."""
    if len(sizes) < 2:
        return 0.0
    return statistics.linear_regression(sizes, each).slope * 1000


def _uuid(number: int) -> str:
    return str(uuid.UUID(int=number + 1))


def _grow(made: int, size: int) -> None:
    """Put nodes into the database, and their history."""
    then = datetime.datetime(2026, 1, 1)
    event = 'the accelerators of this node were found as declared: ' * 2
    with enginefacade.writer.get_engine().begin() as connection:
        connection.execute(sqlalchemy.insert(models.Node.__table__), [
            _node(n, then) for n in range(made, size)])
        for start in range(made, size, 1000):
            connection.execute(sqlalchemy.insert(
                models.NodeHistory.__table__), [
                {'uuid': str(uuid.uuid4()), 'node_id': n + 1,
                 'created_at': then, 'event': event,
                 'event_type': 'accelerator', 'severity': 'INFO'}
                for n in range(start, min(start + 1000, size))
                for _ in range(HISTORY)])
        connection.execute(sqlalchemy.insert(models.NodeHistory.__table__), [
            {'uuid': str(uuid.uuid4()), 'node_id': n + 1, 'created_at': then,
             'event': json.dumps({'generation': 3, **_written_to()}),
             'event_type': guard_copy.EVENT_TYPE, 'severity': 'INFO'}
            for n in range(made, size) if n % 1000 == 1])


def _written_to() -> dict[str, Any]:
    """What a node has that is being written to."""
    return {'accel_guard': {'what': 'gpu-0', 'kind': 'action', 'since': 1.0,
                            'longest': 600.0, 'until': 0.0},
            'accel_record': {'intent': {
                'kind': 'action', 'transport': 'redfish',
                'activation': 'none'}}}


def _node(number: int, then: datetime.datetime) -> dict[str, Any]:
    """A row of a node, as it is after some months."""
    info = {
        'accel_fence': '3:abcdef012345',
        'accel_claims': {'at': 1.0, 'system': 's', 'of': [
            f'{number * 16 + n:016x}' for n in range(16)]},
        'accel_traits': {f'CUSTOM_ACCEL_TRAIT_{n}': 'is something'
                         for n in range(20)},
        **(_written_to() if number % 1000 == 1 else {})}
    info['agent_cached_clean_steps'] = 'step ' * (
        (INFO - len(json.dumps(info))) // 5)
    return {
        'id': number + 1, 'uuid': _uuid(number), 'driver': 'accel-redfish',
        'version': objects.Node.VERSION,
        'created_at': then, 'updated_at': then + datetime.timedelta(
            seconds=number), 'conductor_group': '', 'maintenance': False,
        'provision_state': 'available' if number % 3 else 'active',
        'power_state': 'power on', 'vendor_interface': 'accelerator',
        'properties': {'cpu_arch': 'x86_64', 'capabilities': 'c' * 300},
        'instance_info': {'image_source': 'i' * 400},
        'driver_internal_info': info,
        'driver_info': {
            'redfish_address': f'https://bmc-{number // 2}.rack.example.org',
            'redfish_system_id': f'/redfish/v1/Systems/{number % 2}',
            'redfish_username': 'admin', 'redfish_password': 'p' * 16,
            'deploy_kernel': 'http://images.example.org/ipa.kernel',
            'deploy_ramdisk': 'http://images.example.org/ipa.initramfs'}}


def _ironic(folder: pathlib.Path) -> Any:
    service.prepare_command(['bench'])
    CONF.set_override('connection', f'sqlite:///{folder}/ironic.sqlite',
                      group='database')
    # Ironic's IPMI interface does not load without one.
    folder.joinpath('ipmitool').write_text('#!/bin/sh\n')
    folder.joinpath('ipmitool').chmod(0o755)
    os.environ['PATH'] = f"{folder}:{os.environ['PATH']}"
    CONF.set_override('host', 'this')
    for name, values in ENABLED.items():
        CONF.set_override(f'enabled_{name}', values)
    logging.disable(logging.INFO)
    objects.register_all()
    models.Base.metadata.create_all(enginefacade.writer.get_engine())
    return ironic_context.get_admin_context()


if __name__ == '__main__':
    sys.exit(main())
