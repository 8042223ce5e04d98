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

"""All clocks of the conductor, as a test wants them."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
from unittest import mock

from ironic_accel.conductor.node import clock


@contextlib.contextmanager
def told(now: Callable[[], float]) -> Iterator[None]:
    """Every clock tells this time."""
    with mock.patch.object(clock, 'now', autospec=True,
                           side_effect=now), \
        mock.patch.object(clock, 'steady', autospec=True,
                          side_effect=now), \
        mock.patch.object(clock, 'database', autospec=True,
                          side_effect=now), \
        mock.patch.object(clock, 'shared', autospec=True,
                          side_effect=now):
        yield
