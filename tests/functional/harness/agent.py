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

"""Simulated hosts that boot a real ironic-python-agent.

The twin starts the agent as its guest (``run_agent``), so that it comes and
goes with the host's power. Both run as ``nobody``, without capabilities and
without a way to get any.
"""

from __future__ import annotations

import json
import os
import pathlib
import pwd
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from ironic_accel_emulator.inside.tools import state
from tests.functional.harness import process
from tests.functional.harness import services

ACCOUNT = "nobody"
#: What a node has whose host boots the agent; see Ironic's API on each.
INTERFACES: dict[str, Any] = {
    "boot_interface": "ipxe",
    "deploy_interface": "direct",
    "inspect_interface": "agent",
}
#: The agent could not switch its machine off, even if it wanted to.
DRIVER_INFO: dict[str, Any] = {"deploy_forces_oob_reboot": True}


def confined() -> list[str]:
    """Words before a command that run it as nobody, for good.

    :raises: LabError where that cannot be done.
    """
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        raise process.LabError(
            "an agent runs as nobody: expected root, and setpriv")
    user = pwd.getpwnam(ACCOUNT)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}",
            "--clear-groups", "--no-new-privs", "--inh-caps=-all",
            "--bounding-set=-all"]


def find_python(python: str, folder: pathlib.Path) -> str:
    """An interpreter that nobody can start, with the packages of another.

    That one, or where it lies in a folder of root's one of the same version,
    in an environment of its own that uses its packages.

    :param folder: for that environment.
    :raises: LabError where there is none.
    """
    if _starts(python):
        return python
    found = folder / "bin" / "python"
    if not found.exists():
        name, packages = _installed(python)
        other = shutil.which(name, path=os.defpath)
        if other is None:
            raise process.LabError(f"nobody cannot start {python}, "
                                   f"and there is no other {name}")
        _environment(folder, name, pathlib.Path(other), packages)
    if not _starts(str(found)):
        raise process.LabError("nobody cannot read this checkout, or what "
                               f"is installed for {python}")
    return str(found)


def _installed(python: str) -> tuple[str, list[str]]:
    """The name of an interpreter, and where its packages are."""
    told = subprocess.run(
        [python, "-c", "import sys, json; print(json.dumps("
         "['python%d.%d' % sys.version_info[:2], sys.path]))"],
        cwd="/", capture_output=True, text=True, check=True).stdout
    name, path = json.loads(told)
    return name, [p for p in path if p.endswith("site-packages")]


def _starts(python: str) -> bool:
    # By way of a shell: setpriv itself still starts what only root may.
    return subprocess.run(
        [*confined(), "sh", "-c",
         'exec "$0" -c "import ironic_accel, tests.functional.harness, yaml"',
         python], cwd="/", env=process.environment({}), capture_output=True,
        check=False).returncode == 0


def _environment(folder: pathlib.Path, name: str,
                 python: pathlib.Path, shared: Sequence[str]) -> None:
    """What ``python -m venv`` makes (PEP 405), with shared packages."""
    packages = folder / "lib" / name / "site-packages"
    packages.mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(python)
    (folder / "pyvenv.cfg").write_text(f"home = {python.parent}\n")
    (packages / "shared.pth").write_text("".join(
        f"import site; site.addsitedir({path!r})\n" for path in shared))


class Host:
    """What one simulated host boots, and where it keeps it.

    :param server: URL at which it asks where it boots from the network.
    :raises: LabError where we cannot become nobody.
    """

    def __init__(self, site: services.Site, name: str, server: str) -> None:
        self.mac = make_mac()
        #: What runs a Python module as nobody.
        self.python = [*confined(), find_python(
            sys.executable, site.folder / "python")]
        #: What runs the agent: the services' environment.
        self._guest = self.python[-1] if site.python == sys.executable else (
            find_python(site.python, site.folder / "python-of-services"))
        self._folder = site.folder / name
        self._folder.mkdir()
        user = pwd.getpwnam(ACCOUNT)
        os.chown(self._folder, user.pw_uid, user.pw_gid)
        self._settings = self._folder / "settings.json"
        self._settings.write_text(json.dumps({
            "mac": self.mac, "port": site.ports.take(),
            "server": server, "folder": str(self._folder)}))

    @property
    def twin_arguments(self) -> list[str]:
        """What the twin is started with to have it as a guest."""
        command = [self._guest, "-m", "tests.functional.harness.run_agent",
                   str(self._settings)]
        return ["--inside", str(self._folder / "inside"),
                "--guest", shlex.join(command)]

    @property
    def written(self) -> list[dict[str, Any]]:
        """The images that the agent was asked to write to its disk."""
        try:
            lines = (self._folder / "written").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines]

    @property
    def instance(self) -> pathlib.Path:
        """What stands for the instance's file system; made by who tests."""
        return self._folder / "instance"

    @property
    def root(self) -> pathlib.Path:
        """The root of the host's /sys and /proc."""
        return self._folder / "inside" / "root"

    @property
    def inside(self) -> state.State:
        """What the simulated tools share: their calls, faults and pace."""
        return state.State(self._folder / "inside" / "state.json")

    @property
    def boots(self) -> list[dict[str, str] | None]:
        """The kernel parameters of each boot; None for one from the disk."""
        try:
            lines = (self._folder / "boots").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines]

    def wait_disk(self, seconds: float = 60) -> None:
        """Wait until the newest boot is one from the disk.

        Ironic calls a node active as soon as its power is on; the host comes
        to that a little later.

        :raises: LabError with the newest boot where ``seconds`` pass.
        """
        end = time.monotonic() + seconds
        while True:
            boots = self.boots
            if boots and boots[-1] is None:
                return
            if time.monotonic() > end:
                raise process.LabError(
                    f"the host did not boot from its disk: {boots[-1:]}")
            time.sleep(0.1)

    def kill_agent(self) -> None:
        """Kill the agent, and nothing else of its host.

        :raises: LabError where it does not run.
        """
        pid = int((self._folder / "agent.pid").read_text())
        # Ids are used again: it has to be this host's.
        file = pathlib.Path(f"/proc/{pid}/cmdline")
        words = file.read_bytes() if file.exists() else b""
        if str(self._settings).encode() not in words:
            raise process.LabError(f"no agent has the process id {pid}")
        os.kill(pid, signal.SIGKILL)


def make_mac() -> str:
    """A locally administered address."""
    return ":".join(["02", *(f"{random.randrange(256):02x}"  # noqa: S311
                             for _ in range(5))])
