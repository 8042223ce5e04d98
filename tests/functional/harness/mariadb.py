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

"""MariaDB as a process of ours: Debian's server, in a folder of its own."""

from __future__ import annotations

import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

import pymysql

from tests.functional.harness import process
from tests.functional.harness import services

#: Whom the server runs as where we are root; made by Debian's package.
ACCOUNTS = ("mysql", "nobody")


def find_server() -> str | None:
    """Return the path of ``mariadbd``, or None where it is not installed."""
    return shutil.which(
        "mariadbd", path=os.environ.get("PATH", "") + ":/usr/sbin")


class MariaDB(services.Service):
    """A server on loopback; its root has no password.

    The data is not under the lab's folder: that one is ours alone, and the
    server does not run as root.

    :param name: of its folder in the lab, where there are several.
    :raises: LabError from ``start`` where the server is not installed.
    """

    name = "mariadb"

    def __init__(self, site: services.Site, name: str = name) -> None:
        self.name = name
        super().__init__(site)
        self.port = site.ports.take()
        self._data: pathlib.Path | None = None
        self._account = _account()

    def start(self) -> None:
        """Make an empty system database and start the server on it."""
        server = find_server()
        install = shutil.which("mariadb-install-db")
        if server is None or install is None:
            raise process.LabError(
                "mariadbd is missing: Debian's package mariadb-server")
        data = self._data = pathlib.Path(tempfile.mkdtemp(prefix="accel-db-"))
        if self._account is not None:
            os.chown(data, self._account.pw_uid, self._account.pw_gid)
        self._run([install, "--no-defaults", f"--datadir={data}/data",
                   "--auth-root-authentication-method=normal",
                   "--skip-test-db", "--skip-name-resolve",
                   f"--tmpdir={data}"])
        self.spawn([
            server, "--no-defaults", f"--datadir={data}/data",
            f"--tmpdir={data}", f"--socket={data}/socket",
            f"--pid-file={data}/pid", f"--port={self.port}",
            "--bind-address=127.0.0.1", "--skip-log-bin",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-buffer-pool-size=64M"], user=self._account)

    def ready(self) -> bool:
        """Whether it takes a connection."""
        try:
            self._execute("SELECT 1")
        except pymysql.err.OperationalError as error:
            raise process.LabError(str(error)) from error
        return True

    def create(self, database: str) -> str:
        """Create an empty database and return SQLAlchemy's URL of it."""
        self._execute(f"CREATE DATABASE `{database}` CHARACTER SET utf8mb3")
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/{database}"

    def stop(self) -> None:
        """End it and remove its data."""
        super().stop()
        if self._data is not None:
            shutil.rmtree(self._data, ignore_errors=True)

    def _execute(self, statement: str) -> None:
        connection = pymysql.connect(
            host="127.0.0.1", port=self.port, user="root")
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)

    def _run(self, command: list[str]) -> None:
        result = subprocess.run(
            command, cwd=self._data, stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            **process.become(self._account))
        if result.returncode:
            raise process.LabError(f"{command[0]}: {result.stdout[-2000:]}")


def _account() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise process.LabError(f"no account of {', '.join(ACCOUNTS)} exists")
