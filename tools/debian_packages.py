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

"""Install a Debian package where root, say which one is missing elsewhere.

As a command: ``debian_packages.py PROGRAM=PACKAGE...``; a program that is
there already costs nothing, one that stays missing is no error here (what
needs it skips and says why).
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Sequence


def find_program(name: str) -> str | None:
    """Return the path of a program, /usr/sbin included, or None."""
    path = os.environ.get("PATH", os.defpath)
    return shutil.which(name, path=f"{path}:/usr/sbin:/sbin")


def install(package: str, why: str, options: Sequence[str] = ()) -> bool:
    """Install ``package`` with apt-get; True when it is there afterwards.

    :param options: of apt-get, for another archive than the machine's.
    """
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"{why}: please install the Debian package {package}",
              file=sys.stderr)
        return False
    print(f"{why}: installing the Debian package {package}", flush=True)
    command = [*options, "install", "--no-install-recommends", package]
    with forbid_services():
        # Lists that are old or were never fetched are the usual reason for
        # a first failure.
        good = apt_get(*command) or (apt_get(*options, "update")
                                      and apt_get(*command))
    if not good:
        print(f"the Debian package {package} could not be installed",
              file=sys.stderr)
    return good


def apt_get(*arguments: str) -> bool:
    """Run apt-get without questions; what it says goes to stderr if bad."""
    result = subprocess.run(
        ["apt-get", "-q", "-y", "-o", "Dpkg::Use-Pty=0", *arguments],
        env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"), check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True)
    if result.returncode:
        print(result.stdout[-2000:], file=sys.stderr)
    return result.returncode == 0


class forbid_services:
    """While it stands, a package's own service is not started.

    Debian's policy-rc.d interface: exit status 101 forbids the action. The
    lab starts what it needs as processes of its own.
    """

    path = pathlib.Path("/usr/sbin/policy-rc.d")

    def __enter__(self) -> None:
        """Put the policy in place, unless the machine has one."""
        self.ours = not self.path.exists()
        if self.ours:
            self.path.write_text("#!/bin/sh\nexit 101\n")
            self.path.chmod(0o755)

    def __exit__(self, *exc: object) -> None:
        """Take the policy away again."""
        if self.ours:
            self.path.unlink(missing_ok=True)


def main(pairs: list[str]) -> int:
    """Install each PACKAGE whose PROGRAM is missing; 2 on bad usage."""
    for pair in pairs:
        program, mark, package = pair.partition("=")
        if not mark:
            print(f"{pair!r}: PROGRAM=PACKAGE expected", file=sys.stderr)
            return 2
        if find_program(program) is None:
            install(package, f"{program} is missing")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
