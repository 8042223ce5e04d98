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

"""Who may be a ramdisk's agent, and what it boots with."""

from __future__ import annotations

from collections.abc import Iterator
import pathlib
import pwd
import subprocess
import sys

import pytest

from tests.functional.harness import agent
from tests.functional.harness import boot_images
from tests.functional.harness import files
from tests.functional.harness import LabError
from tests.functional.harness import run_agent

NOBODY = 65534
NONE = "0000000000000000"


def status(uid: str = "65534 65534 65534 65534", privileges: str = "1",
           groups: str = " ", **capabilities: str) -> str:
    """/proc/PID/status, as far as it is looked at."""
    sets = {name: NONE for name in (
        "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    lines = {"Name": "python", "Uid": uid, "Gid": uid, "Groups": groups,
             **sets, **capabilities,
             "NoNewPrivs": privileges}
    return "\n".join(f"{k}:\t{v}" for k, v in lines.items() if v)


def test_nobody_without_capabilities_may() -> None:
    assert run_agent.problems(status(), NOBODY, NOBODY) == []


@pytest.mark.parametrize("text, word", [
    (status(uid="0 0 0 0"), "Uid"),
    (status(uid="65534 0 65534 65534"), "Uid"),
    (status(uid=""), "Uid"),
    (status().replace("Gid:\t65534", "Gid:\t6"), "Gid"),
    (status(groups="6 65534"), "Groups"),
    (status(groups=""), "Groups"),
    (status(CapBnd="000001ffffffffff"), "CapBnd"),
    (status(CapEff="0000000000200000"), "CapEff"),
    (status(CapAmb=""), "CapAmb"),
    (status(privileges="0"), "NoNewPrivs"),
    (status(privileges=""), "NoNewPrivs"),
])
def test_anybody_else_may_not(text: str, word: str) -> None:
    found = run_agent.problems(text, NOBODY, NOBODY)
    assert found[0].startswith(f"{word}:")


def test_whoever_runs_the_tests_is_turned_down() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.functional.harness.run_agent",
         "nothing"], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr.startswith("the agent does not run here: ")


def test_the_lab_confines_what_it_starts() -> None:
    try:
        words = agent.confined()
    except LabError as error:
        pytest.skip(str(error))
    told = subprocess.run([*words, "cat", "/proc/self/status"], text=True,
                          capture_output=True, check=True).stdout
    nobody = pwd.getpwnam(run_agent.ACCOUNT)
    assert run_agent.problems(told, nobody.pw_uid, nobody.pw_gid) == []


MAC = "02:00:00:00:00:01"
#: As Ironic writes it (ironic/drivers/modules/ipxe_config.template), but for
#: what is never reached.
SCRIPT = """#!ipxe

set attempts:int32 10
set i:int32 0

goto deploy

:deploy
imgfree
kernel http://127.0.0.1:1/kernel selinux=0 text nofb {} \
BOOTIF=${{mac}} initrd=deploy_ramdisk || goto retry

initrd http://127.0.0.1:1/ramdisk || goto retry
boot

:retry
goto deploy

:boot_whole_disk
sanboot --no-describe || exit 0"""


@pytest.fixture
def server(tmp_path: pathlib.Path) -> Iterator[files.FileServer]:
    folder = tmp_path / "served"
    (folder / "pxelinux.cfg").mkdir(parents=True)
    made = files.FileServer(folder)
    yield made
    made.close()


@pytest.fixture
def settings(server: files.FileServer, tmp_path: pathlib.Path
             ) -> run_agent.Settings:
    return run_agent.Settings(MAC, 1, server.url, str(tmp_path))


def write_script(server: files.FileServer, script: str) -> None:
    server.folder.joinpath(
        "pxelinux.cfg", MAC.replace(":", "-")).write_text(script)


def test_a_host_reads_its_parameters_in_the_script_for_ipxe(
        server: files.FileServer, settings: run_agent.Settings,
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWIN_BOOT", "Pxe")
    assert run_agent.parameters(settings) is None
    write_script(server, SCRIPT.format("ipa-api-url=http://127.0.0.1:1"))
    assert run_agent.parameters(settings) == {
        "selinux": "0", "ipa-api-url": "http://127.0.0.1:1",
        "BOOTIF": MAC, "initrd": "deploy_ramdisk"}
    # From the disk: that of an instance.
    write_script(server, SCRIPT.format("").replace(
        "goto deploy", "goto boot_whole_disk", 1))
    assert run_agent.parameters(settings) is None
    monkeypatch.setenv("TWIN_BOOT", "Hdd")
    write_script(server, SCRIPT.format(""))
    assert run_agent.parameters(settings) is None


def test_a_host_reads_its_parameters_in_its_virtual_drive(
        server: files.FileServer, settings: run_agent.Settings,
        monkeypatch: pytest.MonkeyPatch) -> None:
    images = boot_images.BootImages(server.folder, server.url)
    monkeypatch.setenv("TWIN_BOOT", "Cd")
    made = images.ramdisk("http://127.0.0.1:1")["deploy_iso"]
    monkeypatch.setenv("TWIN_MEDIA", made)
    found = run_agent.parameters(settings)
    assert found is not None
    assert found["ipa-api-url"] == "http://127.0.0.1:1"
    # The instance's own, and none.
    for image in (images.instance_iso, ""):
        monkeypatch.setenv("TWIN_MEDIA", image)
        assert run_agent.parameters(settings) is None


@pytest.mark.parametrize("name", [
    "ipa-api-url", "ipa-inspection-callback-url"])
def test_an_agent_speaks_to_nobody_but_this_machine(
        server: files.FileServer, settings: run_agent.Settings,
        monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    write_script(server, SCRIPT.format(f"{name}=http://192.0.2.7:6385"))
    monkeypatch.setenv("TWIN_BOOT", "Pxe")
    with pytest.raises(SystemExit, match=r"192\.0\.2\.7"):
        run_agent.parameters(settings)


def test_a_host_boots_nothing_of_another_machine(
        settings: run_agent.Settings, monkeypatch: pytest.MonkeyPatch
        ) -> None:
    monkeypatch.setenv("TWIN_BOOT", "Cd")
    monkeypatch.setenv("TWIN_MEDIA", "http://192.0.2.7/agent.iso")
    with pytest.raises(SystemExit, match=r"192\.0\.2\.7"):
        run_agent.parameters(settings)
