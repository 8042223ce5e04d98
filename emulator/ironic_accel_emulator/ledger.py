# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The record of all operations on a system, for the checks of tests."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Exchange:
    """One request that the BMC answered; ``cost`` is simulated ms."""

    time: float
    method: str
    path: str
    status: int
    cost: float


@dataclass(frozen=True)
class Push:
    """One firmware image that the BMC received completely.

    ``source`` is the URI from which the BMC downloaded it, if it did.
    """

    time: float
    digest: str
    size: int
    transport: str
    targets: tuple[str, ...] | None
    task: str | None
    source: str | None = None


@dataclass(frozen=True)
class Write:
    """One version or mode that was written to a device."""

    time: float
    item: str
    value: str
    digest: str | None = None


@dataclass(frozen=True)
class ResetRecord:
    """One reset that was performed."""

    time: float
    kind: str
    target: str


@dataclass(frozen=True)
class Violation:
    """An operation that would have damaged real hardware."""

    time: float
    kind: str
    detail: str


@dataclass
class Ledger:
    """All operations on the system, in the order of time.

    ``connections`` is the number of TCP connections that were accepted.
    """

    requests: list[Exchange] = field(default_factory=list)
    pushes: list[Push] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    resets: list[ResetRecord] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    connections: int = 0

    @property
    def cost(self) -> float:
        """Simulated milliseconds of all requests."""
        return sum(exchange.cost for exchange in self.requests)

    def count(self, *methods: str) -> int:
        """The number of requests with these methods, or of all."""
        return sum(
            1
            for exchange in self.requests
            if not methods or exchange.method in methods
        )

    def updates(self) -> Counter[tuple[str, str]]:
        """How often each (component, digest) was written."""
        return Counter(
            (write.item, write.digest)
            for write in self.writes
            if write.digest is not None
        )

    def clear(self) -> None:
        """Forget everything, so that a test counts from now on."""
        for entries in (
            self.requests,
            self.pushes,
            self.writes,
            self.resets,
            self.violations,
        ):
            entries.clear()
        self.connections = 0

    def as_dict(self, last: int = 200) -> dict[str, Any]:
        """The ledger as JSON; only the last requests are listed."""
        methods = Counter(entry.method for entry in self.requests)
        return {
            'connections': self.connections,
            'requests': len(self.requests),
            'by_method': dict(methods),
            'cost_ms': self.cost,
            'last_requests': [asdict(e) for e in self.requests[-last:]],
            'pushes': [asdict(entry) for entry in self.pushes],
            'writes': [asdict(entry) for entry in self.writes],
            'resets': [asdict(entry) for entry in self.resets],
            'violations': [asdict(entry) for entry in self.violations],
        }
