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

"""The help of the options."""

from __future__ import annotations

from collections.abc import Iterator
import pathlib
from typing import Any
from unittest import mock

from oslo_config import cfg
import pytest

from ironic_accel.conductor.config import metrics
from ironic_accel.conductor.config import options
from ironic_accel.conductor.node import keys


@pytest.mark.parametrize('name', ['baseline_profile', 'baseline_profiles'])
def test_help_names_the_key_of_the_node_that_overrides_it(name: str) -> None:
    (option,) = (o for o in options.OPTIONS if o.name == name)
    assert f'driver_info/{keys.BASELINE.name}' in ' '.join(
        (option.help or '').split())


def test_no_option_is_listed_twice() -> None:
    names = [o.name for o in options.OPTIONS]
    assert names
    assert len(set(names)) == len(names)


RENAMED = {'failures': 'max_failures', 'lost_timeout': 'lost_task_timeout',
           'forgotten_burn_timeout': 'lost_update_timeout',
           'proof_max_age': 'verification_max_age',
           'void_interval': 'cleanup_interval',
           'claim_scope': 'ownership_scope'}


@pytest.fixture
def conf() -> Iterator[Any]:
    """Options of a process of their own."""
    made = cfg.ConfigOpts()
    made.register_opts(options.OPTIONS, group=options.GROUP)
    yield made
    made.clear()


@pytest.mark.parametrize(('old', 'new'), RENAMED.items())
def test_an_option_is_read_by_its_deprecated_name_and_warns(
        conf: Any, tmp_path: pathlib.Path, old: str, new: str,
        caplog: pytest.LogCaptureFixture) -> None:
    value = 'bmc' if old == 'claim_scope' else '77'
    values = []
    for name in (old, new):
        file = tmp_path / f'{name}.conf'
        file.write_text(f'[accelerator]\n{name} = {value}\n')
        conf(['--config-file', str(file)])
        values.append(str(conf.accelerator[new]))
    assert values == [value, value]
    assert caplog.text.count('Deprecated: ') == 1
    assert f'Option "{old}" from group "accelerator"' in caplog.text
    assert f'Use option "{new}"' in caplog.text


def test_a_renamed_metric_is_counted_under_both_names() -> None:
    with mock.patch.object(metrics.METRICS, 'send_counter',
                           autospec=True) as send:
        metrics.count('audit.maintenance')
        metrics.count('audit.clean')
    assert [call.args[0].removeprefix('accelerator.')
            for call in send.call_args_list] == [
        'audit.maintenance', 'audit.kept', 'audit.clean']
    listed = {row.name: row.description for row in metrics.TABLE}
    for new, old in metrics.DEPRECATED.items():
        assert f'use {new}' in listed[old]
        assert new in listed
