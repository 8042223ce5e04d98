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

"""Keystone as one process, on an empty database.

``run_keystone.py PORT``; ``OS_KEYSTONE_CONFIG_DIR`` holds keystone.conf, and
``OS_BOOTSTRAP_PASSWORD`` is the administrator's password. It runs upstream's
own ``keystone-manage`` commands (``db_sync``, ``fernet_setup``,
``bootstrap``), each in a fork, so that Keystone is imported once, and then
serves upstream's own WSGI application.
The user ``admin`` has the role admin in the project ``admin`` and in the
system, with the roles that it implies; the catalogue has the one service.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import pathlib
import sys

from keystone.cmd import cli
import waitress

from tests.functional.harness import sqlite

THREADS = 4


def manage(*words: str) -> None:
    """Run one command of ``keystone-manage``; RuntimeError if it fails."""
    config = pathlib.Path(
        os.environ["OS_KEYSTONE_CONFIG_DIR"], "keystone.conf")
    child = multiprocessing.get_context("fork").Process(
        target=cli.main,
        args=(["keystone-manage", "--config-file", str(config), *words],))
    child.start()
    child.join()
    if child.exitcode:
        raise RuntimeError(f"keystone-manage {words[0]}: {child.exitcode}")


def main() -> None:
    """Make tables, keys and the administrator, then serve until killed."""
    port = sys.argv[1]
    sys.argv = ["keystone"]
    sqlite.install()
    manage("db_sync")
    manage("fernet_setup", "--keystone-user", str(os.getuid()),
           "--keystone-group", str(os.getgid()))
    manage("bootstrap",
           "--bootstrap-public-url", f"http://127.0.0.1:{port}/v3",
           "--bootstrap-region-id", "lab")
    # It reads the configuration when it is imported.
    application = importlib.import_module("keystone.wsgi.api").application
    waitress.serve(application, listen=f"127.0.0.1:{port}", threads=THREADS)


if __name__ == "__main__":
    main()
