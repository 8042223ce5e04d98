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

"""What every test against a hostile counterpart shares."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib

import pytest

from tests.security import evil

Serve = Callable[..., evil.Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers that answer what a test tells them to."""
    with contextlib.ExitStack() as stack:

        def start(answers: dict[str, evil.Answer] | None = None
                  ) -> evil.Server:
            return stack.enter_context(evil.serve(answers))

        yield start
