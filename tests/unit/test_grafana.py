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

"""The dashboard asks for metrics that exist, with labels that they have."""

from __future__ import annotations

from importlib import resources
import json
import re
from typing import Any

from oslo_config import cfg
import pytest

NAMES = re.compile(r'\bbaremetal_\w+')


@pytest.fixture(scope='module')
def dashboard() -> Any:
    """The dashboard as it is shipped."""
    return json.loads((resources.files('ironic_accel.faces.export')
                      / 'grafana.json').read_text())


@pytest.fixture(scope='module')
def prometheus() -> Any:
    """The exporter's module, whose import registers a required option.

    Other tests of this process parse a configuration without it.
    """
    found = pytest.importorskip('ironic_accel.faces.export.prometheus')
    cfg.CONF.set_default('location', '/nonexistent',
                         group='oslo_messaging_notifications')
    return found


def test_every_query_is_of_a_metric_that_is_exported(
        dashboard: Any, prometheus: Any) -> None:
    known = {name for name, _, _ in prometheus.METRICS} | {
        prometheus.STATUS,
        # ironic-prometheus-exporter's own (parsers/header.py).
        'baremetal_last_payload_timestamp_seconds'}
    asked = set()
    for panel in dashboard['panels']:
        assert panel['targets'], panel['title']
        for target in panel['targets']:
            found = set(NAMES.findall(target['expr']))
            assert found and found <= known, target['expr']
            asked |= found
    assert asked == known


def test_legends_and_filters_name_labels_that_metrics_have(
        dashboard: Any, prometheus: Any) -> None:
    labels = set(prometheus.LABELS)
    variables = {v['name'] for v in dashboard['templating']['list']}
    for panel in dashboard['panels']:
        for target in panel['targets']:
            legend = re.findall(r'{{(\w+)}}', target['legendFormat'])
            filters = re.findall(r'(\w+)=~"\$(\w+)"', target['expr'])
            assert set(legend) <= labels
            assert {label for label, _ in filters} <= labels
            assert {name for _, name in filters} <= variables


def test_panels_do_not_overlap(dashboard: Any) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard['panels']:
        at = panel['gridPos']
        cells = {(x, y) for x in range(at['x'], at['x'] + at['w'])
                 for y in range(at['y'], at['y'] + at['h'])}
        assert not cells & taken, panel['title']
        assert max(x for x, _ in cells) < 24
        taken |= cells
