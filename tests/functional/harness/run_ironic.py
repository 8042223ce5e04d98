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

"""Ironic's single-process command, for a lab.

``run_ironic.py [--create-schema] --config-file FILE``. It is the upstream
command with three differences: a step of ours waits, before it saves, as long
as a file ``FILE.hold`` stands, so that it can be killed there; the service
runs in the process that we start and not in a spawned child, so that killing
it kills all of it and it starts in half the time; and a password is hashed in
one round. Ironic hashes the BMC's in 600,000 at every call of a Redfish
interface (ironic/drivers/modules/redfish/utils.py, SessionCache), a third of a
second of a core each. Its database is as Ironic
sets it up: SQLite with a rollback journal and a busy timeout of five seconds.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import pathlib
import sys
import threading
import time
import types
from typing import Any

from ironic.command import singleprocess
from ironic.common import service
from ironic.db import migration

CREATE = "--create-schema"
CONFIG = "--config-file"
HASH = "pbkdf2_hmac"


def hold_steps(path: pathlib.Path) -> None:
    """Let steps that apply a profile wait as long as a file stands.

    They keep the profile last before they save. The lab is built on none of
    the plug-in's modules; this one is known to it by its name alone.
    """
    kept: Any = importlib.import_module(
        "ironic_accel.conductor.node.profile_snapshot")
    keep = kept.keep

    def held(*args: Any) -> None:
        while path.exists():
            time.sleep(0.05)
        keep(*args)

    kept.keep = held


def hash_once() -> None:
    """Hash passwords in one round."""
    hashed: Any = getattr(hashlib, HASH)

    def once(name: str, password: bytes, salt: bytes, iterations: int,
             **options: Any) -> Any:
        return hashed(name, password, salt, 1, **options)

    setattr(hashlib, HASH, once)


def enable_loggers() -> None:
    """Let every module log again.

    The migration configures logging from Alembic's file, which disables what
    was there (``logging.config.fileConfig``, disable_existing_loggers).
    """
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.disabled = False


def main() -> None:
    """Create the tables where asked, then be ``ironic`` until killed."""
    hold_steps(pathlib.Path(
        sys.argv[sys.argv.index(CONFIG) + 1] + ".hold"))
    hash_once()
    if CREATE in sys.argv:
        sys.argv.remove(CREATE)
        service.prepare_command(sys.argv)
        migration.create_schema()
        service.CONF.clear()  # the command below parses the same again
        enable_loggers()
    stay_in_this_process()
    singleprocess.main()


def stay_in_this_process() -> None:
    """Launch services in this process, which the signal handlers end.

    Ironic 32 asks oslo.service 4.3 for a ServiceLauncher with ``no_fork``,
    which that does not take (ironic/command/singleprocess.py): its command
    could not start at all. Later ones ask for a ProcessLauncher.
    """
    make = service.process_launcher

    def launcher(*_settings: object, **_options: object) -> Any:
        """A launcher that does not fork.

        Without a fork upstream's wait returns at once, the main thread ends
        and no executor takes work any more (the interpreter shuts down), so
        it waits.
        """
        made = make(no_fork=True)
        made.wait = threading.Event().wait
        return made

    singleprocess.ironic_service.process_launcher = launcher
    if hasattr(singleprocess, "service"):
        singleprocess.service = types.SimpleNamespace(
            ServiceLauncher=launcher)


if __name__ == "__main__":
    main()
