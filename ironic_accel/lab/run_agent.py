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

"""ironic-python-agent as the ramdisk of a simulated host.

``run_agent.py SETTINGS``: the guest of a twin (``ironic_accel.twin.guest``).
It reads what the boot server has for the host's MAC address, and is then the
upstream agent, with what it would do to the machine on which it runs taken
away (``agent_host``). A host that boots from elsewhere ends at once.

The agent is made to erase disks, load modules and switch machines off. So
this runs as ``nobody`` without any capability, or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import json
import os
import pathlib
import pwd
import sys
from typing import Any
import urllib.parse

ACCOUNT = "nobody"
#: Sets of capabilities in /proc/PID/status (proc(5)).
_CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
#: Kernel parameters that name an address.
_ADDRESSES = ("ipa-api-url", "ipa-inspection-callback-url")


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a simulated host is told when it starts.

    :ivar mac: MAC address of the card from which it boots.
    :ivar port: where its agent listens.
    :ivar server: folder of the boot server: a file for each MAC address.
    :ivar folder: its own.
    """

    mac: str
    port: int
    server: str
    folder: str

    @classmethod
    def read(cls, path: pathlib.Path) -> Settings:
        """Read them from a file."""
        return cls(**json.loads(path.read_text("utf-8")))


def problems(status: str, uid: int, gid: int) -> list[str]:
    """Why the agent must not run with such a ``/proc/PID/status``.

    :param uid: the one that it has to have, in all four places.
    :param gid: the same of its group; it has no other.
    """
    fields = dict(line.split(":", 1) for line in status.splitlines()
                  if ":" in line)
    found = []
    if fields.get("Uid", "").split() != [str(uid)] * 4:
        found.append(f"Uid: {fields.get('Uid')}: expected {uid} alone")
    if fields.get("Gid", "").split() != [str(gid)] * 4:
        found.append(f"Gid: {fields.get('Gid')}: expected {gid} alone")
    # The group "disk" may write to every disk.
    if fields.get("Groups", "?").split() not in ([], [str(gid)]):
        found.append(f"Groups: {fields.get('Groups')}: expected none")
    for name in _CAPABILITIES:
        if int(fields.get(name, "1"), 16):
            found.append(f"{name}: {fields.get(name)}: expected none")
    if fields.get("NoNewPrivs", "").strip() != "1":
        found.append(f"NoNewPrivs: {fields.get('NoNewPrivs')}: expected 1")
    return found


def parameters(settings: Settings) -> dict[str, str] | None:
    """The kernel's parameters, or None where no ramdisk is to be booted.

    :raises: SystemExit for an address beyond this machine.
    """
    if os.environ.get("TWIN_BOOT") != "Pxe":
        return None
    try:
        text = pathlib.Path(settings.server, settings.mac).read_text("utf-8")
    except FileNotFoundError:
        return None
    found: dict[str, str] = json.loads(text)
    for name in _ADDRESSES:
        url = found.get(name)
        if url and urllib.parse.urlsplit(url).hostname != "127.0.0.1":
            sys.exit(f"{name}: {url}: expected an address of 127.0.0.1")
    return found


def configuration(settings: Settings) -> dict[str, dict[str, object]]:
    """The agent's configuration for this boot."""
    root, folder = os.environ["TWIN_ROOT"], pathlib.Path(settings.folder)
    boot = pathlib.Path(root, "proc/sys/kernel/random/boot_id")
    # As in a tmpfs, nothing of an earlier boot is there.
    run = folder / f"run-{boot.read_text().strip()}"
    return {
        "DEFAULT": {
            "debug": True, "listen_host": "127.0.0.1",
            "listen_port": settings.port, "advertise_host": "127.0.0.1",
            "advertise_port": settings.port, "enable_auto_tls": False,
            "lookup_timeout": 60, "lookup_interval": 1,
            "ip_lookup_attempts": 1, "disk_wait_attempts": 0},
        "mdns": {"use_mdns": False},
        "accelerator": {
            "root": root, "tool_path": os.environ["TWIN_PATH"],
            "run_dir": run, "image_cache_dir": run / "images",
            "instance_root": folder / "instance"},
    }


def main() -> None:
    """Be the agent, until the power goes."""
    user = pwd.getpwnam(ACCOUNT)
    found = problems(pathlib.Path("/proc/self/status").read_text(),
                     user.pw_uid, user.pw_gid)
    if found:
        sys.exit("the agent does not run here: " + "; ".join(found))
    settings = Settings.read(pathlib.Path(sys.argv[1]))
    kernel = parameters(settings)
    folder = pathlib.Path(settings.folder)
    with open(folder / "boots", "a", encoding="utf-8") as boots:
        print(json.dumps(kernel), file=boots)
    if kernel is None:
        return
    with open(folder / "agent.log", "ab", 0) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    (folder / "agent.pid").write_text(str(os.getpid()))
    _run(settings, kernel)


def _run(settings: Settings, kernel: Mapping[str, Any]) -> None:
    from ironic_accel.lab import services

    file = services.write_settings(
        pathlib.Path(settings.folder, "agent.conf"), configuration(settings))
    # Before the import of anything that reads them.
    from ironic_python_agent import utils

    utils._set_cached_params(dict(kernel))
    # First of all that follows: it registers the options.
    from ironic_python_agent.cmd import agent

    from ironic_accel.lab import agent_host

    agent_host.install(settings.mac)
    os.environ["PATH"] = os.environ["TWIN_PATH"]
    sys.argv[1:] = ["--config-file", str(file)]
    agent.run()


if __name__ == "__main__":
    main()
