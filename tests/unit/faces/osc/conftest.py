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

"""Clouds to run the commands against."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import pathlib

from ironicclient.common import filecache
import pytest

from tests.unit.faces.osc import cloud


@pytest.fixture(autouse=True)
def own_cache(tmp_path: pathlib.Path,
              monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions of APIs are remembered by port: not from run to run."""
    monkeypatch.setattr(filecache, 'CACHE', None)
    monkeypatch.setattr(filecache, 'CACHE_DIR', str(tmp_path))
    monkeypatch.setattr(filecache, 'CACHE_FILENAME',
                        str(tmp_path / 'version.dbm'))
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.delenv('OS_CLIENT_CONFIG_FILE', raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def make_cloud() -> Iterator[Callable[..., cloud.Cloud]]:
    """``make_cloud(role)``: a cloud as a caller with that role sees it."""
    with contextlib.ExitStack() as stack:
        def make(role: str = 'admin') -> cloud.Cloud:
            return stack.enter_context(cloud.serving(cloud.Cloud(role)))
        yield make
