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

"""The status of an operation, as users with few permissions read it."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest

from ironic_accel.faces.osc import api
from ironic_accel.faces.osc.jobs import run_status

REDACTED = '** Value Redacted - Requires baremetal:node:get:x permission. **'


def status(**fields: Any) -> run_status.Status:
    """The status of a node whose internal information is redacted."""
    ironic = mock.create_autospec(api.Ironic, instance=True)
    ironic.node.return_value = {
        'uuid': 'one', 'driver_internal_info': {'content': REDACTED},
        'last_error': REDACTED, 'reservation': REDACTED, **fields}
    return run_status.read(ironic, 'one', None)


def test_redacted_texts_are_neither_an_error_nor_a_lock() -> None:
    found = status(provision_state='manageable')
    assert found.outcome == 'done'
    assert 'not permitted to read the result' in str(found.error)


@pytest.mark.parametrize('state', ['cleaning', 'clean wait', 'servicing'])
def test_a_transient_state_is_in_progress(state: str) -> None:
    found = status(provision_state=state)
    assert found.outcome is None
    assert found.text == f'{state} (progress: not permitted)'


def test_a_failed_state_is_a_failure_without_its_redacted_reason() -> None:
    found = status(provision_state='clean failed')
    assert (found.outcome, found.error) == ('failed', 'clean failed')


@pytest.mark.parametrize('fields, outcome', [
    ({'last_error': 'no space'}, 'failed'),
    ({'reservation': 'conductor-1'}, None), ({'reservation': None}, 'done')])
def test_what_may_be_read_counts(fields: dict[str, Any],
                                 outcome: str | None) -> None:
    assert status(provision_state='available', **fields).outcome == outcome
