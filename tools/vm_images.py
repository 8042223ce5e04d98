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

"""Make what the virtual machines of ``make test-vm`` boot.

``vm_images.py [--suite SUITE]...``: a kernel of Debian, a small file system
from which its modules are loaded, and a root file system of each suite
(debootstrap), in ``.vm`` of the checkout or where VM_IMAGES says. What is
there is kept until what it is made of changes. Nothing of it runs on this
machine, and no disk of this machine is used.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import hashlib
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence

from tools import debian_packages

ROOT = pathlib.Path(__file__).resolve().parent.parent
QEMU = "qemu-system-x86_64"
#: The first release of QEMU with the network adapter igb (its change log,
#: 8.0), which has virtual functions.
OLDEST_QEMU = 8
#: Programs that this machine needs, and their packages.
PROGRAMS = {"debootstrap": "debootstrap", "busybox": "busybox-static",
            "depmod": "kmod", "cpio": "cpio"}
KERNEL = "linux-image-amd64"
SUITES = ("bookworm", "trixie")
#: In the root file systems: systemd, Python, and the tools whose output is
#: read.
PACKAGES = ("systemd", "systemd-sysv", "udev", "kmod", "iproute2", "pciutils",
            "dmidecode", "ethtool", "nvme-cli", "mstflint", "fwupd", "python3",
            "dbus", "procps", "util-linux")
#: Of the kernel: what is loaded before there is a root file system.
MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")
_INIT = ROOT / "tests" / "vm" / "guest" / "init"


class ImageError(Exception):
    """An image cannot be made here; the text says why."""


def folder() -> pathlib.Path:
    """Where the images are."""
    return pathlib.Path(os.environ.get("VM_IMAGES") or ROOT / ".vm")


def qemu_release(program: str) -> int | None:
    """The major release of QEMU, or None if it does not say."""
    said = subprocess.run([program, "--version"], capture_output=True,
                          text=True, check=False).stdout
    match = re.search(r"version (\d+)\.", said)
    return int(match[1]) if match else None


def missing() -> list[str]:
    """What this machine lacks, in words; empty if images can be made."""
    found = [f"{name} (Debian package {package})"
             for name, package in PROGRAMS.items()
             if debian_packages.find_program(name) is None]
    program = debian_packages.find_program(QEMU)
    if program is None or (qemu_release(program) or 0) < OLDEST_QEMU:
        found.append(f"{QEMU} {OLDEST_QEMU} or later (Debian package "
                     "qemu-system-x86; bookworm has it in its backports)")
    return found


def install_programs() -> None:
    """Install what is missing; on bookworm QEMU is that of its backports."""
    for name, package in PROGRAMS.items():
        if debian_packages.find_program(name) is None:
            debian_packages.install(package, f"{name} is missing")
    program = debian_packages.find_program(QEMU)
    if program is not None and (qemu_release(program) or 0) >= OLDEST_QEMU:
        return
    why = f"{QEMU} {OLDEST_QEMU} is missing"
    if _codename() != "bookworm":
        debian_packages.install("qemu-system-x86", why)
        return
    with _backports() as options:
        debian_packages.apt_get(*options, "update")
        debian_packages.install("qemu-system-x86", why, (
            *options, "-t", "bookworm-backports"))


def _codename() -> str:
    return platform.freedesktop_os_release().get("VERSION_CODENAME", "")


def mirror() -> str:
    """The archive of Debian that this machine uses.

    :raises: ImageError if it uses none.
    """
    for line in subprocess.run(
            ["apt-get", "indextargets", "--format",
             "$(REPO_URI) $(CODENAME) $(ORIGIN)", "Created-By: Packages"],
            capture_output=True, text=True, check=False).stdout.splitlines():
        uri, codename, origin = [*line.split(None, 2), "", "", ""][:3]
        if origin == "Debian" and codename == _codename():
            return uri
    raise ImageError("apt knows no archive of Debian")


@contextlib.contextmanager
def _backports() -> Iterator[tuple[str, ...]]:
    """Options of apt-get with which it knows the backports too."""
    with tempfile.TemporaryDirectory() as name:
        parts = pathlib.Path(name)
        parts.chmod(0o755)
        for source in pathlib.Path("/etc/apt/sources.list.d").glob("*"):
            if source.suffix in (".list", ".sources"):
                shutil.copy(source, parts)
        (parts / "backports.list").write_text(
            f"deb {mirror()} bookworm-backports main\n")
        yield ("-o", f"Dir::Etc::sourceparts={parts}")


def make(suites: Sequence[str] = SUITES) -> None:
    """Make what is missing of the kernel and of these root file systems.

    :raises: ImageError, with what a program has said.
    """
    folder().mkdir(parents=True, exist_ok=True)
    _once("kernel", {"package": KERNEL}, _kernel)
    _once("initramfs", {"modules": MODULES, "init": _INIT.read_text(),
                        "kernel": kernel()[1]}, _initramfs)
    for suite in suites:
        _once(f"root-{suite}", {"packages": PACKAGES}, functools.partial(
            _root, suite))


def kernel() -> tuple[pathlib.Path, str]:
    """The kernel's image, and its release.

    :raises: ImageError if it is not there.
    """
    for image in folder().glob("kernel/boot/vmlinuz-*"):
        return image, image.name.partition("-")[2]
    raise ImageError("no kernel: run make vm-images")


def initramfs() -> pathlib.Path:
    """The first file system."""
    return folder() / "initramfs" / "initramfs.cpio.gz"


def root(suite: str) -> pathlib.Path:
    """The root file system of a suite."""
    return folder() / f"root-{suite}"


def _once(name: str, made_of: object,
          build: Callable[[pathlib.Path], None]) -> None:
    """Make a folder if it is not there, or was made of something else."""
    mark = folder() / f"{name}.made"
    digest = hashlib.sha256(
        json.dumps(made_of, sort_keys=True).encode()).hexdigest()
    if mark.exists() and mark.read_text().split()[0] == digest:
        return
    mark.unlink(missing_ok=True)
    target, began = folder() / name, time.monotonic()
    if target.exists():
        shutil.rmtree(target)
    with tempfile.TemporaryDirectory(dir=folder()) as scratch:
        made = pathlib.Path(scratch) / name
        made.mkdir()
        build(made)
        made.rename(target)
    seconds = time.monotonic() - began
    mark.write_text(f"{digest} {seconds:.0f} s\n")
    print(f"{name}: {seconds:.0f} s", flush=True)


def _kernel(made: pathlib.Path) -> None:
    said = _run("apt-cache", "depends", KERNEL)
    name = re.search(r"Depends: (linux-image-\S+)", said)
    if name is None:
        raise ImageError(f"apt does not know {KERNEL}")
    with tempfile.TemporaryDirectory(dir=folder()) as scratch:
        _run("apt-get", "-q", "download", name[1], cwd=scratch)
        package, = pathlib.Path(scratch).glob("*.deb")
        _run("dpkg-deb", "-x", str(package), str(made))
    release, = os.listdir(made / "lib" / "modules")
    _run("depmod", "-b", str(made), release)


def _initramfs(made: pathlib.Path) -> None:
    image, release = kernel()
    tree, within = image.parent.parent, made / "tree"
    for name in ("bin", "dev", "proc", "sys", "lower", "rw", "root"):
        (within / name).mkdir(parents=True)
    modules = pathlib.Path("lib", "modules", release)
    for line in dict.fromkeys(
            line.split()[1] for module in MODULES for line in _run(
                "modprobe", "-d", str(tree), "-S", release, "--show-depends",
                module).splitlines() if line.startswith("insmod")):
        relative = pathlib.Path(line).relative_to(tree)
        (within / relative).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tree / relative, within / relative)
    for name in ("modules.order", "modules.builtin"):
        shutil.copy(tree / modules / name, within / modules)
    _run("depmod", "-b", str(within), release)
    shutil.copy(debian_packages.find_program("busybox") or "busybox",
                within / "bin" / "busybox")
    shutil.copy(_INIT, within / "init")
    (within / "init").chmod(0o755)
    with open(made / "initramfs.cpio.gz", "wb") as file:
        find = subprocess.Popen(["find", "."], cwd=within,
                                stdout=subprocess.PIPE)
        cpio = subprocess.Popen(["cpio", "-o", "-H", "newc", "--quiet"],
                                cwd=within, stdin=find.stdout,
                                stdout=subprocess.PIPE)
        subprocess.run(["gzip", "-1"], stdin=cpio.stdout, stdout=file,
                       check=True)
        if find.wait() or cpio.wait():
            raise ImageError("cpio failed")
    shutil.rmtree(within)


def _root(suite: str, made: pathlib.Path) -> None:
    script = pathlib.Path("/usr/share/debootstrap/scripts", suite)
    if not script.exists():
        raise ImageError(f"debootstrap does not know {suite}")
    _run("debootstrap", "--variant=minbase",
         f"--include={','.join(PACKAGES)}", suite, str(made), mirror())
    for name in ("var/cache/apt", "var/lib/apt/lists"):
        shutil.rmtree(made / name)
        (made / name).mkdir()


def _run(*words: str, cwd: str | None = None) -> str:
    """Run a program; what it prints.

    :raises: ImageError.
    """
    program = debian_packages.find_program(words[0])
    if program is None:
        raise ImageError(f"{words[0]}: not found")
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    ran = subprocess.run([program, *words[1:]], capture_output=True,
                         text=True, check=False, cwd=cwd,
                         env={**os.environ, "PATH": path, "LC_ALL": "C"})
    if ran.returncode:
        raise ImageError(f"{' '.join(words)}: status {ran.returncode}:\n"
                         f"{(ran.stdout + ran.stderr)[-2000:]}")
    return ran.stdout


def main(arguments: list[str]) -> int:
    """Make the images; 1 if they cannot be made here."""
    parser = argparse.ArgumentParser(prog="vm_images")
    parser.add_argument("--suite", action="append", choices=SUITES)
    given = parser.parse_args(arguments)
    install_programs()
    lacking = missing()
    if lacking:
        print(f"missing: {'; '.join(lacking)}", file=sys.stderr)
        return 1
    if os.geteuid() != 0:
        print("debootstrap needs root", file=sys.stderr)
        return 1
    try:
        make(given.suite or SUITES)
    except ImageError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
