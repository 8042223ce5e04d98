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

"""The metrics, sent to the backend in ``[metrics]backend`` of Ironic.

``TABLE`` lists every metric; the documentation is generated from it.
"""

from __future__ import annotations

from typing import Any
from typing import NamedTuple

from ironic.common import metrics_utils

PREFIX = 'accelerator'
METRICS = metrics_utils.get_metrics_logger(PREFIX)


class MetricRow(NamedTuple):
    """A metric: its name below ``PREFIX``, its type and what it counts."""

    name: str
    type: str
    description: str


TABLE = (
    MetricRow('audit.clean', 'counter', 'Audits that found no difference.'),
    MetricRow('audit.drift', 'counter',
              'Audits that found a difference, or changed the traits.'),
    MetricRow('audit.off', 'counter', 'Audits of hosts that are off.'),
    MetricRow('audit.busy', 'counter',
              'Audits skipped because the node is in use by an operation or '
              'in a state that is not audited.'),
    MetricRow('audit.silent', 'counter',
              'Audits that failed because the BMC did not respond or the '
              'inventory did not become complete.'),
    MetricRow('audit.partial', 'counter',
              'Audits that could not read a part of the inventory, within '
              'stable_timeout.'),
    MetricRow('audit.void', 'counter',
              'Audits that voided the verifications of a node after '
              'audit_unreachable_timeout.'),
    MetricRow('audit.overtaken', 'counter',
              'Audits discarded because the node changed in the meantime.'),
    MetricRow('audit.maintenance', 'counter',
              'Audits skipped because the node is in maintenance and was '
              'not inventoried yet.'),
    MetricRow('audit.kept', 'counter',
              'Deprecated, use audit.maintenance. The same number.'),
    MetricRow('audit.foreign', 'counter',
              'Audits skipped because the node has no accelerator vendor '
              'interface.'),
    MetricRow('audit.gone', 'counter',
              'Audits skipped because the node was deleted.'),
    MetricRow('audit.failed', 'counter',
              'Audits that ended with an unexpected error; see the log.'),
    MetricRow('audit.node', 'timer', 'Duration of an audit of a node.'),
    MetricRow('audit.due', 'gauge', 'Nodes whose audit is due.'),
    MetricRow('drift.vanished', 'counter', 'Devices no longer listed.'),
    MetricRow('drift.appeared', 'counter', 'Devices newly listed.'),
    MetricRow('drift.unread', 'counter', 'Devices that could not be read.'),
    MetricRow('drift.health', 'counter', 'Changes of device health.'),
    MetricRow('drift.firmware', 'counter', 'Changes of firmware versions.'),
    MetricRow('drift.mode', 'counter', 'Changes of device modes.'),
    MetricRow('drift.withdrawn', 'counter', 'Traits withdrawn by audits.'),
    MetricRow('drift.void', 'counter',
              'Nodes whose traits were withdrawn because the BMC did not '
              'respond or the inventory did not become complete.'),
    MetricRow('workers.operations.busy', 'gauge',
              'Nodes on which a tick of an operation runs.'),
    MetricRow('workers.operations.full', 'counter',
              'Times that a due node waited because all max_workers were '
              'in use.'),
    MetricRow('workers.operations.waited', 'gauge',
              'Seconds for which the node waits that waits longest for a '
              'worker.'),
    MetricRow('workers.audit.busy', 'gauge', 'Nodes that are audited.'),
    MetricRow('workers.audit.full', 'counter',
              'Times that a due node waited because all audit_workers were '
              'in use.'),
    MetricRow('workers.audit.waited', 'gauge',
              'Seconds for which the node waits that waits longest for an '
              'audit.'),
    MetricRow('workers.verify.busy', 'gauge',
              'Reads of BMCs by verify steps and inspections.'),
    MetricRow('workers.verify.full', 'counter',
              'Reads that waited because all verify_workers were in use.'),
    MetricRow('workers.images.busy', 'gauge', 'Images being downloaded.'),
    MetricRow('workers.images.full', 'counter',
              'Downloads that waited because all image_workers were in use.'))


#: Counters that are also published under the name of earlier versions.
DEPRECATED = {'audit.maintenance': 'audit.kept'}


def count(name: str) -> None:
    """Increment a counter by one, under its deprecated name too."""
    METRICS.send_counter(METRICS.get_metric_name(name), 1)
    old = DEPRECATED.get(name)
    if old is not None:
        METRICS.send_counter(METRICS.get_metric_name(old), 1)


def gauge(name: str, value: float) -> None:
    """Set the current value of a gauge."""
    METRICS.send_gauge(METRICS.get_metric_name(name), value)


def timer(name: str) -> Any:
    """Return a context manager that measures its duration in ms."""
    return METRICS.timer(name)
