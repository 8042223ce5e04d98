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

"""What is counted and timed, by the metrics that Ironic is configured with.

The names begin with ``accelerator.``; the backend is ``[metrics]backend``.
"""

from __future__ import annotations

from typing import Any

from ironic.common import metrics_utils

METRICS = metrics_utils.get_metrics_logger('accelerator')


def count(name: str) -> None:
    """Count one event."""
    METRICS.send_counter(METRICS.get_metric_name(name), 1)


def gauge(name: str, value: float) -> None:
    """Say what a value is now."""
    METRICS.send_gauge(METRICS.get_metric_name(name), value)


def timer(name: str) -> Any:
    """Time what is done under it, in milliseconds."""
    return METRICS.timer(name)
