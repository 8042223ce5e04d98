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

``run_agent.py SETTINGS``: the guest of a twin
(``ironic_accel_emulator.guest``). It reads the parameters of its kernel where
a real host does, in the script for iPXE or in the image in its virtual drive,
and is then the upstream agent, with what it would do to the machine on which
it runs taken away (``agent_host``). A host that boots from elsewhere ends at
once.

The agent is made to erase disks, load modules and switch machines off. So
this runs as ``nobody`` without any capability, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import http
import json
import os
import pathlib
import pwd
import re
import sys
from typing import Any
import urllib.error
import urllib.parse
import urllib.request

from tests.functional.harness import boot_images

ACCOUNT = "nobody"
#: Sets of capabilities in /proc/PID/status (proc(5)).
_CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
#: Kernel parameters that name an address.
_ADDRESSES = ("ipa-api-url", "ipa-inspection-callback-url")
#: Bytes of a script or an image that are read at most.
_LONGEST = 1 << 16


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a simulated host is told when it starts.

    :ivar mac: MAC address of the card from which it boots.
    :ivar port: where its agent listens.
    :ivar server: URL of the boot server, which has a script for each MAC
        address.
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
    boot = os.environ.get("TWIN_BOOT")
    found = None
    if boot == "Pxe":
        # The path that Ironic's boot.ipxe chains to.
        name = settings.mac.replace(":", "-")
        found = of_script(_fetch(f"{settings.server}/pxelinux.cfg/{name}"))
    elif boot == "Cd":
        found = of_image(_fetch(os.environ.get("TWIN_MEDIA", "")))
    if found is None:
        return None
    found = {k: v.replace("${mac}", settings.mac) for k, v in found.items()}
    for name in _ADDRESSES:
        _check_address(name, found.get(name, ""))
    return found


def of_script(script: str) -> dict[str, str] | None:
    """The kernel's parameters in a script for iPXE, or None.

    It jumps to a label and boots what stands there
    (ironic/drivers/modules/ipxe_config.template).
    """
    jump = re.search(r"^goto (\w+)", script, re.MULTILINE)
    if jump is None:
        return None
    _, _, there = script.partition(f"\n:{jump[1]}\n")
    kernel = re.match(r"(?:\n|imgfree\n)*kernel (.*)", there)
    if kernel is None:
        return None
    return _parameters(kernel[1].partition(" || ")[0].split())


def of_image(content: str) -> dict[str, str] | None:
    """The parameters of the ramdisk in an image, or None without one."""
    first, *lines = content.splitlines() or [""]
    return _parameters(lines) if first == boot_images.RAMDISK else None


def _parameters(words: Iterable[str]) -> dict[str, str]:
    return {name: value for name, is_set, value in (
        word.partition("=") for word in words) if is_set}


def _fetch(url: str) -> str:
    """What is at an address of this machine; nothing where nothing is."""
    if not url:
        return ""
    _check_address("boot", url)
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310
            return str(answer.read(_LONGEST).decode("utf-8", "replace"))
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.NOT_FOUND:
            raise
        return ""


def _check_address(name: str, url: str) -> None:
    if url and urllib.parse.urlsplit(url).hostname != "127.0.0.1":
        sys.exit(f"{name}: {url}: expected an address of 127.0.0.1")


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
    from tests.functional.harness import services

    file = services.write_settings(
        pathlib.Path(settings.folder, "agent.conf"), configuration(settings))
    # Before the import of anything that reads them.
    from ironic_python_agent import utils

    utils._set_cached_params(dict(kernel))
    # First of all that follows: it registers the options.
    from ironic_python_agent.cmd import agent

    from tests.functional.harness import agent_host

    agent_host.install(settings.mac, pathlib.Path(settings.folder))
    os.environ["PATH"] = os.environ["TWIN_PATH"]
    sys.argv[1:] = ["--config-file", str(file)]
    agent.run()


if __name__ == "__main__":
    main()
