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

"""Serve a WSGI application on loopback: ``run_wsgi.py PORT MODULE:NAME``.

OpenStack's WSGI modules parse ``sys.argv`` with oslo.config when imported, so
ours is taken away first.
"""

from __future__ import annotations

import importlib
import sys

import waitress

from tests.functional.harness import sqlite

THREADS = 8


def main() -> None:
    """Serve until killed."""
    port, target = sys.argv[1:3]
    sys.argv = sys.argv[:1]
    sqlite.install()
    module, _, name = target.partition(":")
    application = getattr(importlib.import_module(module), name)
    waitress.serve(application, listen=f"127.0.0.1:{port}", threads=THREADS)


if __name__ == "__main__":
    main()
