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
"""Rows of Ironic's tables as a cloud has them after some months.

Two nodes stand behind each BMC, each node has about 4 KiB of
``driver_internal_info`` and thirty lines of history, a third of them have
instances, and one in a thousand is being written to.
"""

from __future__ import annotations

import datetime
import json
from typing import Any
import uuid

from bench.measure import conductor
from bench.measure import passes
from ironic.db.sqlalchemy import models
from ironic import objects
from oslo_db.sqlalchemy import enginefacade
import sqlalchemy

from ironic_accel.conductor.node import guard_copy

#: Bytes of ``driver_internal_info``, about.
INFO = 4096
#: Lines of history for each node.
HISTORY = 30
#: Rows of one statement: MariaDB takes 16 MiB.
CHUNK = 500
#: When the nodes were made.
THEN = datetime.datetime(2026, 1, 1)
EVENT = 'the accelerators of this node were found as declared: ' * 2


def uuid_of(number: int) -> str:
    """The UUID of a node, by its number from 0."""
    return str(uuid.UUID(int=number + 1))


def grow(made: int, size: int) -> None:
    """Put nodes into the database, and their history.

    :param made: how many there are.
    :param size: how many there shall be.
    """
    with enginefacade.writer.get_engine().begin() as connection:
        for start in range(made, size, CHUNK):
            numbers = range(start, min(start + CHUNK, size))
            connection.execute(sqlalchemy.insert(models.Node.__table__), [
                _node(n) for n in numbers])
            events = [(n, 'accelerator', EVENT) for n in numbers
                      for _ in range(HISTORY)]
            events += [(n, guard_copy.EVENT_TYPE, json.dumps(
                {'generation': 3, **_written_to()}))
                for n in numbers if _is_written_to(n)]
            connection.execute(sqlalchemy.insert(
                models.NodeHistory.__table__), [
                {'uuid': str(uuid.uuid4()), 'node_id': n + 1,
                 'created_at': THEN, 'event': event, 'event_type': kind,
                 'severity': 'INFO'} for n, kind, event in events])
    # They are older than what a scan reads that does not read all.
    passes.age(entire=True, compare=True)


def _is_written_to(number: int) -> bool:
    return number % 1000 == 1


def _written_to() -> dict[str, Any]:
    """What a node has that is being written to."""
    return {'accel_guard': {'what': 'gpu-0', 'kind': 'action', 'since': 1.0,
                            'longest': 600.0, 'until': 0.0},
            'accel_record': {'intent': {
                'kind': 'action', 'transport': 'redfish',
                'activation': 'none'}}}


def _node(number: int) -> dict[str, Any]:
    """A row of a node."""
    info = {
        'accel_fence': '3:abcdef012345',
        'accel_claims': {'at': 1.0, 'system': 's', 'of': [
            f'{number * 16 + n:016x}' for n in range(16)]},
        'accel_traits': {f'CUSTOM_ACCEL_TRAIT_{n}': 'is something'
                         for n in range(20)},
        **(_written_to() if _is_written_to(number) else {})}
    info['agent_cached_clean_steps'] = 'step ' * (
        (INFO - len(json.dumps(info))) // 5)
    return {
        'id': number + 1, 'uuid': uuid_of(number), 'driver': 'accel-redfish',
        'version': objects.Node.VERSION,
        'created_at': THEN, 'updated_at': THEN + datetime.timedelta(
            seconds=number), 'conductor_group': '', 'maintenance': False,
        'provision_state': 'available' if number % 3 else 'active',
        'power_state': 'power on',
        **{f'{kind}_interface': name
           for kind, name in conductor.INTERFACES.items()},
        'properties': {'cpu_arch': 'x86_64', 'capabilities': 'c' * 300},
        'instance_info': {'image_source': 'i' * 400},
        'driver_internal_info': info,
        'driver_info': {
            'redfish_address': f'https://bmc-{number // 2}.rack.example.org',
            'redfish_system_id': f'/redfish/v1/Systems/{number % 2}',
            'redfish_username': 'admin', 'redfish_password': 'p' * 16,
            'deploy_kernel': 'http://images.example.org/ipa.kernel',
            'deploy_ramdisk': 'http://images.example.org/ipa.initramfs'}}
