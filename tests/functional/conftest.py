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

"""One lab for all lab tests of a worker; nodes are made for each test."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.functional import stage
from tests.functional.harness import brokered
from tests.functional.harness import ironic_api
from tests.functional.harness import Lab
from tests.functional.harness import machines

LOG_LINES = 60
#: Files that take more than half a minute, the longest first: two workers end
#: together where these are begun before the others.
LONGEST = ("test_agent", "test_power", "test_console_blocks",
           "test_two_conductors", "test_nova", "test_database", "test_kill",
           "test_agent_baseline", "test_story", "test_install_page",
           "test_roles")
#: The site's own rows of the catalogue, see the test of the Cray capture.
CATALOGUE = pathlib.Path(__file__).with_name("catalogue")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the longest files first."""
    ours = pathlib.Path(__file__).parent
    order = {ours / f"{name}.py": place
             for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path, len(order)))


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Ironic and Placement, up; kept on disk where a test has failed."""
    kind: type[Lab] = Lab
    if request.config.getoption("--brokers"):
        if package := brokered.missing():
            pytest.skip(f"Debian's package {package} is missing")
        kind = brokered.BrokeredLab
    running = kind({"accelerator": {"catalogue_path": CATALOGUE}}, keep=True)

    def remove() -> None:
        # The teardown of the last test counts too, and comes after ours.
        if not request.session.testsfailed:
            running.remove()

    request.config.add_cleanup(remove)
    with running:
        yield running


@pytest.fixture
def ironic(lab: Lab) -> ironic_api.IronicApi:
    """Ironic's API; the service is brought back where a test ended it."""
    if not lab.ironic.running().running:
        lab.ironic.restart()
    return lab.ironic.api


@pytest.fixture
def machine(lab: Lab, ironic: ironic_api.IronicApi,
            ) -> Iterator[machines.MakeMachine]:
    """``machine('--system', 'hgx-h100', name=..., **fields)``: twin and node.

    The twin's arguments first, then fields of the node; both go at the end
    of the test, whatever state the node is in.
    """
    with contextlib.ExitStack() as stack:
        def make(*arguments: str, **fields: Any) -> machines.Machine:
            made = lab.machine(*arguments, **fields)
            stack.callback(made.remove)
            return made
        yield make


@pytest.fixture
def host_machine(lab: Lab, ironic: ironic_api.IronicApi,
                 ) -> Iterator[machines.MakeMachine]:
    """The same with a host inside that boots a real agent."""
    with contextlib.ExitStack() as stack:
        def make(*arguments: str, **fields: Any) -> machines.Machine:
            made = lab.host_machine(*arguments, **fields)
            stack.callback(made.remove)
            return made
        yield make


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(
        item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Show the end of Ironic's log beside a failure."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    running = getattr(item, "funcargs", {}).get("lab")
    if report.failed and running is not None:
        report.sections.append((
            f"end of Ironic's log; all logs: {running.folder}",
            running.ironic.running().tail(LOG_LINES)))


def pytest_terminal_summary(
        terminalreporter: pytest.TerminalReporter) -> None:
    """Show what the tests have measured (``record_property``)."""
    figures = [value for reports in terminalreporter.stats.values()
               for report in reports
               if getattr(report, "when", "") == "teardown"
               for name, value in report.user_properties
               if name == stage.FIGURE]
    if figures:
        terminalreporter.section("figures of the lab")
        for figure in figures:
            terminalreporter.line(f"   {figure}")
