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
"""Nodes with an operation of ours that is due, again and again."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from bench.measure import conductor
from ironic import objects

from ironic_accel.conductor.node import operation

#: Seconds until such an operation ends by itself: longer than any bench.
DAY = 86400.0


def node(context: Any) -> str:
    """Create a node with an operation that is due; return its UUID."""
    uuid = conductor.node(context)
    begin(context, uuid)
    return uuid


def begin(context: Any, uuid: str) -> None:
    """Store an operation that is due."""
    node = objects.Node.get_by_uuid(context, uuid)
    node.provision_state = 'manageable'
    operation.store(node, dataclasses.replace(
        operation.refresh('idle', 'accel_refresh', power_on=False),
        state='manageable', started=time.time(),
        deadline=time.time() + DAY))
    node.save()
