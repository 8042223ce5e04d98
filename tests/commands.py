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

"""The commands in this process, with what they print.

Each start of the client as a process costs a second and more; the class is
the same.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses
import io
import json
import logging
import os
import sys
from typing import Any
from unittest import mock

from ironicclient import shell
from openstack.config import loader


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """What a command has come to."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What it printed as JSON."""
        return json.loads(self.out)


def run(url: str, *words: str) -> Told:
    """Run ``baremetal WORDS`` against an Ironic without Keystone."""
    return bare('--os-auth-type', 'none', '--os-endpoint', url, *words)


def bare(*words: str) -> Told:
    """Run ``baremetal WORDS`` with no cloud but the one that they name."""
    out, err = io.StringIO(), io.StringIO()
    given = ['--max-retries', '0', *words]
    # The client looks there for the way to log in, and for its options.
    argv = mock.patch.object(sys, 'argv', ['baremetal', *given])
    with _alone(), argv, contextlib.redirect_stdout(out), \
            contextlib.redirect_stderr(err):
        try:
            status = shell.App().run(given)
        except SystemExit as exc:
            status = exc.code if isinstance(exc.code, int) else 2
    return Told(status, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Without what the machine's user has set; logging as it was.

    Up to version 4.10 openstacksdk adds the files that environment variables
    name to lists that it keeps for the next start in this process
    (openstack/config/loader.py, OpenStackConfig).
    """
    root = logging.getLogger()
    before = root.handlers[:], root.level
    clean = {k: v for k, v in os.environ.items()
             if k == 'OS_CLIENT_CONFIG_FILE' or not (
                 k.startswith('OS_') or 'proxy' in k.lower())}
    try:
        with mock.patch.dict(os.environ, clean, clear=True), \
                mock.patch.multiple(
                    loader, CONFIG_FILES=[*loader.CONFIG_FILES],
                    SECURE_FILES=[*loader.SECURE_FILES]):
            yield
    finally:
        root.handlers[:], level = before
        root.setLevel(level)
