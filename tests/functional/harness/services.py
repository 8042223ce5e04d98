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

"""What a lab can start: one class per service, one shape for all."""

from __future__ import annotations

import abc
import configparser
import dataclasses
import functools
import pathlib
import pwd
import subprocess
import sys
from collections.abc import Mapping

from tests.functional.harness import ports
from tests.functional.harness import process

Settings = Mapping[str, Mapping[str, object]]


@dataclasses.dataclass(frozen=True)
class Site:
    """Where a service lives: its lab's folder, ports and reaper.

    :ivar python: interpreter of the environment that the services, and the
        agents, are installed in: that of another series of OpenStack, where
        it is not ours.
    """

    folder: pathlib.Path
    ports: ports.Ports
    reaper: process.Reaper
    python: str = sys.executable

    def module(self, name: str, *arguments: object) -> list[str]:
        """Return the command that runs a module in that environment."""
        return [self.python, "-m", name, *map(str, arguments)]

    def program(self, name: str, *arguments: object) -> list[str]:
        """Return the command that runs a program of that environment."""
        return [str(pathlib.Path(self.python).with_name(name)),
                *map(str, arguments)]


class Service(abc.ABC):
    """A real service: ``start`` only starts it, ``wait_ready`` waits.

    Starting all before waiting for any is what lets a lab be up as soon as
    its slowest service is.
    """

    #: What messages call it; its folder under the lab's has this name.
    name: str

    def __init__(self, site: Site) -> None:
        self.site = site
        self.folder = site.folder / self.name
        self.folder.mkdir(parents=True)
        self.process: process.Process | None = None

    @abc.abstractmethod
    def start(self) -> None:
        """Write what it needs and start it."""

    @abc.abstractmethod
    def ready(self) -> bool:
        """Whether it answers now; OSError and LabError mean no."""

    def wait_ready(self, seconds: float = 60) -> None:
        """Wait until it answers; ProcessDied or LabError where it does not."""
        self.running().wait_ready(self.ready, seconds)

    def running(self) -> process.Process:
        """Return the process; LabError where it was not started."""
        if self.process is None:
            raise process.LabError(f"{self.name} was not started")
        return self.process

    def kill(self) -> None:
        """SIGKILL it, as a power cut or the kernel's killer would."""
        self.running().kill()

    def restart(self, seconds: float = 60) -> None:
        """Start it again on what it left behind, and wait for it."""
        if self.running().running:
            self.running().stop()
        self.running().start()
        self.wait_ready(seconds)

    def stop(self) -> None:
        """End it; nothing happens where it is not running."""
        if self.process is not None:
            self.process.stop()

    def spawn(self, command: list[str],
              env: Mapping[str, str | None] | None = None,
              user: pwd.struct_passwd | None = None) -> None:
        """Start ``command`` as this service's process."""
        self.process = process.Process(
            self.name, command, folder=self.folder, env=env, user=user,
            reaper=self.site.reaper)
        self.process.start()


@functools.cache
def ironic_of(python: str) -> int:
    """The major version of the Ironic that an environment has."""
    told = subprocess.run(
        [python, "-c", "from importlib import metadata; "
         "print(metadata.version('ironic'))"],
        check=True, capture_output=True, text=True).stdout
    return int(told.partition(".")[0])


def write_settings(path: pathlib.Path, *layers: Settings) -> pathlib.Path:
    """Write an oslo.config file; a later layer wins over an earlier one.

    A value of None leaves the option out. A list is joined with commas.
    """
    file = configparser.RawConfigParser(default_section="")
    file.optionxform = str  # type: ignore[assignment,method-assign]
    for layer in layers:
        for group, options in layer.items():
            if not file.has_section(group):
                file.add_section(group)
            for key, value in options.items():
                if isinstance(value, list | tuple):
                    value = ",".join(str(item) for item in value)
                if value is None:
                    file.remove_option(group, key)
                else:
                    file.set(group, key, str(value))
    with open(path, "w", encoding="utf-8") as handle:
        file.write(handle)
    return path


def sqlite_url(path: pathlib.Path) -> str:
    """Return the database URL of an SQLite file, with a patient timeout."""
    return f"sqlite:///{path}?timeout=60"
