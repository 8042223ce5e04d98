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

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.functional.harness import ports
from tests.functional.harness import process


@pytest.fixture
def two() -> Iterator[tuple[ports.Ports, ports.Ports]]:
    first, second = ports.Ports(), ports.Ports()
    yield first, second
    first.close()
    second.close()


def test_two_labs_never_hold_the_same_port(
        two: tuple[ports.Ports, ports.Ports],
        monkeypatch: pytest.MonkeyPatch) -> None:
    # A narrow range makes a clash certain where nothing prevents it.
    monkeypatch.setattr(ports, "FIRST", 31900)
    monkeypatch.setattr(ports, "LAST", 31930)
    taken = [each.take() for _ in range(8) for each in two]
    assert len(set(taken)) == 16


def test_a_port_in_use_is_not_handed_out(
        two: tuple[ports.Ports, ports.Ports],
        monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = two
    port = first.take()
    first.close()
    monkeypatch.setattr(ports, "FIRST", port)
    monkeypatch.setattr(ports, "LAST", port)
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(process.LabError, match="no free port"):
            second.take()
    assert second.take() == port
