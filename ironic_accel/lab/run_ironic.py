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
command with three differences: SQLite is set up for concurrent requests; the
service runs in the process that we start and not in a spawned child, so that
killing it kills all of it and it starts in half the time; and a password
that was hashed is not hashed again. Ironic hashes the BMC's with 600,000
rounds at every call of a Redfish interface (ironic/drivers/modules/redfish/
utils.py, SessionCache), a third of a second of a core each.
"""

from __future__ import annotations

import functools
import hashlib
import sys
import threading
from typing import Any

from ironic.command import singleprocess
from ironic.common import service
from ironic.db import migration

from ironic_accel.lab import sqlite

CREATE = "--create-schema"
HASH = "pbkdf2_hmac"


def main() -> None:
    """Create the tables where asked, then be ``ironic`` until killed."""
    sqlite.install()
    setattr(hashlib, HASH, functools.cache(getattr(hashlib, HASH)))
    if CREATE in sys.argv:
        sys.argv.remove(CREATE)
        service.prepare_command(sys.argv)
        migration.create_schema()
        service.CONF.clear()  # the command below parses the same again
    make = service.process_launcher

    def launcher(**options: Any) -> Any:
        """What the command asks for (no_fork=False) is what changes here.

        Without a fork upstream's wait returns at once, the main thread ends
        and no executor takes work any more (the interpreter shuts down), so
        it waits; the signal handlers end the process.
        """
        made = make(**{**options, "no_fork": True})
        made.wait = threading.Event().wait
        return made

    singleprocess.ironic_service.process_launcher = launcher
    singleprocess.main()


if __name__ == "__main__":
    main()
