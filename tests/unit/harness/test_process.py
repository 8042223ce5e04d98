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

import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator

import pytest

from tests.functional.harness import process

SECONDS = 20


@pytest.fixture
def make(tmp_path: pathlib.Path,
         ) -> Iterator[Callable[..., process.Process]]:
    """Make a process that is ended with the test."""
    made: list[process.Process] = []

    def make(script: str, name: str = "child",
             **options: object) -> process.Process:
        child = process.Process(name, ["sh", "-c", script], folder=tmp_path,
                                **options)  # type: ignore[arg-type]
        made.append(child)
        return child

    yield make
    for child in made:
        child.kill()


def lives(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rsplit(")", 1)[1].split()[0] not in "ZX"


def wait_until(test: Callable[[], bool]) -> bool:
    end = time.monotonic() + SECONDS
    while not test():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_ready_when_the_probe_is_true(
        make: Callable[..., process.Process]) -> None:
    child = make("echo ready; exec sleep 1000")
    child.start()
    child.wait_ready(lambda: "ready" in child.tail(), SECONDS)
    assert child.running


def test_death_while_waiting_shows_status_and_last_lines(
        make: Callable[..., process.Process]) -> None:
    child = make("echo the reason; exit 3")
    child.start()
    with pytest.raises(process.ProcessDied,
                       match=r"child ended with status 3(.|\n)*the reason"):
        child.wait_ready(lambda: False, SECONDS)


def test_a_probe_that_stays_false_fails_in_time(
        make: Callable[..., process.Process]) -> None:
    child = make("echo still here; exec sleep 1000")
    child.start()
    child.wait_ready(lambda: "still here" in child.tail(), SECONDS)

    def refuse() -> bool:
        raise ConnectionRefusedError("nobody home")

    with pytest.raises(process.LabError,
                       match=r"nobody home(.|\n)*still here"):
        child.wait_ready(refuse, 0.1)
    assert child.running


def test_kill_ends_the_grandchildren(
        make: Callable[..., process.Process]) -> None:
    child = make("sleep 1000 & echo pid $!; wait")
    child.start()
    child.wait_ready(lambda: "pid" in child.tail(), SECONDS)
    grandchild = int(child.tail().split()[-1])
    assert lives(grandchild)
    child.kill()
    assert not child.running
    assert wait_until(lambda: not lives(grandchild))


def test_stop_kills_what_does_not_heed_sigterm(
        make: Callable[..., process.Process]) -> None:
    child = make("trap '' TERM; echo ready; while :; do sleep 1000; done")
    child.start()
    child.wait_ready(lambda: "ready" in child.tail(), SECONDS)
    child.stop(0.1)
    assert not child.running


def test_a_second_life_adds_to_the_same_log(
        make: Callable[..., process.Process]) -> None:
    child = make("echo one more life; exec sleep 1000")
    for life in (1, 2):
        child.start()
        child.wait_ready(
            lambda: child.tail().count("one more life") == life,  # noqa: B023
            SECONDS)
        child.kill()


def test_starting_twice_is_refused(
        make: Callable[..., process.Process]) -> None:
    child = make("exec sleep 1000")
    child.start()
    with pytest.raises(process.LabError, match="child is running already"):
        child.start()


def test_a_variable_of_none_is_taken_away(
        make: Callable[..., process.Process],
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_GONE", "x")
    child = make("echo gone=${LAB_GONE-unset} kept=$LAB_KEPT; exec sleep 99",
                 env={"LAB_GONE": None, "LAB_KEPT": "y"})
    child.start()
    child.wait_ready(lambda: "kept" in child.tail(), SECONDS)
    assert child.tail() == "gone=unset kept=y"


def test_the_reaper_ends_what_a_killed_lab_leaves(
        tmp_path: pathlib.Path) -> None:
    script = textwrap.dedent("""
        import pathlib, sys, time
        from tests.functional.harness import process
        child = process.Process("sleeper", ["sleep", "1000"],
                                folder=pathlib.Path(sys.argv[1]),
                                reaper=process.Reaper())
        child.start()
        print(child.pid, flush=True)
        time.sleep(1000)
    """)
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)],
                          stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        try:
            assert lives(pid)
        finally:
            owner.send_signal(signal.SIGKILL)
        assert wait_until(lambda: not lives(pid))


def test_the_reaper_forgets_what_has_ended(
        make: Callable[..., process.Process]) -> None:
    reaper = process.Reaper()
    ended = make("exec sleep 1000", "ended", reaper=reaper)
    ended.start()
    ended.kill()
    spared = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    try:
        reaper.watch(spared.pid)
        reaper.release(spared.pid)
        reaper.close()
        assert lives(spared.pid)
    finally:
        os.kill(spared.pid, signal.SIGKILL)
        spared.wait()
