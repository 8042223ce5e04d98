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

import pytest

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
