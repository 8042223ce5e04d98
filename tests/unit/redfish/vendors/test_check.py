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

"""Reasons for which a vendor plug-in is not used."""

from __future__ import annotations

from typing import Any

import pytest

from ironic_accel.redfish.vendors.base import Layer
from ironic_accel.redfish.vendors.base import Quirks
from ironic_accel.redfish.vendors.base import Vendor
from ironic_accel.redfish.vendors import check
from ironic_accel.redfish.vendors.device_rows import FirmwareRule
from ironic_accel.redfish.vendors.push_rows import PushChoice
from ironic_accel.redfish.vendors.push_rows import Style
from ironic_accel.redfish.vendors import registry
from ironic_accel.redfish.vendors.task_rows import NotNow
from ironic_accel.redfish.vendors.task_rows import Phase
from ironic_accel.redfish.vendors.task_rows import TaskRows
from ironic_accel.redfish.vendors.task_rows import TaskState

BY = (('root.Vendor', 'Acme'),)


def quirks(**columns: Any) -> Vendor:
    return Vendor(Layer.SERVER, (Quirks(
        'acme', **{'recognised_by': BY, **columns}),))


def states(*rows: TaskState) -> Vendor:
    return Vendor(Layer.SERVER, tasks=TaskRows(states=rows))


@pytest.mark.parametrize('name', registry.installed().vendors)
def test_our_own_vendors_are_valid(name: str) -> None:
    others = dict(registry.installed().vendors)
    made = others.pop(name)
    assert check.problems(made, others.values()) == []
    assert not registry.installed().left_out


@pytest.mark.parametrize(('made', 'said'), [
    ('VENDOR', 'is not a Vendor'),
    (quirks(recognised_by=()), 'match no service'),
    (quirks(at_once=0), "at_once 0 of quirks 'acme': expected a number from"),
    (quirks(at_once=5), 'at_once 5'),
    (quirks(at_once='4'), "at_once '4'"),
    (quirks(recognised_by=(('root.vendor', 'Acme'),)), 'expected one of'),
    (quirks(recognised_by=(('root.Vendor', '.*'),)),
     'also matches a service without root.Vendor'),
    (quirks(recognised_by=(('root.Vendor', '('),)), 'unterminated'),
    (quirks(firmware=(FirmwareRule('(', 'card', 'gpu'),)), 'regular'),
    (quirks(pushes=(PushChoice('[', 'http-push'),)), 'regular'),
    (quirks(pushes=(PushChoice('.+', 'multipart'),)), "'multipart' is not"),
    (quirks(pushes=(PushChoice('.+', 'http-push', reach='none'),)),  # type: ignore[arg-type]
     "reach 'none'"),
    (Vendor(Layer.SERVER, ({},)), 'is not a Quirks object'),  # type: ignore[arg-type]
    (Vendor(Layer.SERVER, (None,)), 'is not a Quirks object'),  # type: ignore[arg-type]
    (Vendor(Layer.SERVER, tasks=None), 'NoneType'),  # type: ignore[arg-type]
    (Vendor(Layer.SERVER, pushes=(PushChoice('.+', 'http-push'),)),
     'set its push_uri'),
    (Vendor(Layer.SERVER, styles=(
        Style('http-push', 'plain', 'named'),)), 'already defined'),
    (Vendor(Layer.SERVER, styles=(
        Style('multipart-stage-only', 'plain', 'named'),)), 'already defined'),
    (states(TaskState('Running', Phase.OVER)), 'already defined as going'),
    (states(TaskState('RebootPending', Phase.OVER, good=True)),
     'already defined as waiting'),
    (Vendor(Layer.SERVER, not_now=(
        NotNow(statuses=frozenset({400})),)), 'a row needs ids'),
    (Vendor(Layer.SERVER, not_now=(NotNow(),)), 'a row needs ids'),
])
def test_problems_of_a_plug_in_are_reported(made: object, said: str) -> None:
    wrong = check.problems(made, registry.vendors())
    assert said in '; '.join(wrong)


def test_a_state_may_be_named_twice_with_one_meaning() -> None:
    made = states(TaskState('Running', Phase.GOING))
    assert check.problems(made, registry.vendors()) == []
