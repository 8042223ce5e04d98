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

"""How the tests of this folder look at a step that was turned down."""

from __future__ import annotations

from typing import Any

from ironic_accel.conductor.node import operation


def refused(node: Any) -> str:
    """Why a step ends as refused; its body raises nothing into Ironic."""
    current = operation.load(node)
    assert current is not None
    assert current.work == 'refuse'
    return current.why
