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

"""What every tier shares."""

from __future__ import annotations

from collections.abc import Iterator
import hashlib
import logging
import pathlib
from typing import Any

import hypothesis
import pytest

SHARED = pathlib.Path(__file__).resolve().parent.parent.parent / "shared"

# The same examples on every machine and in every run; no deadline, because
# the machine is shared.
hypothesis.settings.register_profile(
    "project", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.load_profile("project")


@pytest.fixture(scope="session", autouse=True)
def one_round() -> Iterator[None]:
    """Hash in one round what Ironic hashes in 600,000.

    It keys its sessions with the BMC's password so, a third of a second of a
    core for each address (ironic/drivers/modules/redfish/utils.py,
    SessionCache): another password or address still has another key.
    """
    hashed = hashlib.pbkdf2_hmac

    def once(name: str, password: bytes, salt: bytes, iterations: int,
             **options: Any) -> bytes:
        return hashed(name, password, salt, 1, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashlib, "pbkdf2_hmac", once)
        yield


@pytest.fixture(autouse=True)
def loggers() -> None:
    """Let our loggers speak, whatever ran before in this process.

    Ironic's migrations of its database configure logging and thereby disable
    all loggers that are there (ironic/db/sqlalchemy/alembic/env.py).
    """
    for name, one in logging.root.manager.loggerDict.items():
        if name.startswith("ironic_accel") and isinstance(
                one, logging.Logger):
            one.disabled = False


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--brokers``: the lab as separate processes over RabbitMQ."""
    parser.addoption(
        "--brokers", action="store_true",
        help="the functional tier with a process for each service, over "
             "RabbitMQ and MariaDB (Debian's packages)")


def _folder(name: str) -> pathlib.Path:
    path = SHARED / name
    if not path.is_dir():
        pytest.skip(f"../shared/{name} is not beside this checkout")
    return path


@pytest.fixture(scope="session")
def captures() -> pathlib.Path:
    """Folder of recorded BMCs (tar archives), or a skip."""
    return _folder("captures")


@pytest.fixture(scope="session")
def cases() -> pathlib.Path:
    """Folder of what real machines and tools did, or a skip."""
    return _folder("cases")


@pytest.fixture(scope="session")
def schemas() -> pathlib.Path:
    """Folder of DMTF's schemas (a tar archive), or a skip."""
    return _folder("schemas")
