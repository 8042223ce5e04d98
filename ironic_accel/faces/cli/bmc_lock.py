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

"""The locks of BMCs: one run at a time writes to a BMC.

They belong to one user on one host. A lock is advisory (``flock``), so it
ends with its process, however that ends; the text in its file says whose it
is.
"""

from __future__ import annotations

from collections.abc import Generator
from collections.abc import Iterator
import contextlib
import fcntl
import os
import socket
import time
from typing import TextIO
from urllib import parse

from ironic_accel.faces.cli import journal
from ironic_accel.model import errors
from ironic_accel.redfish.inventory.bmc_identity import BmcIdentity

#: Seconds for which a lock is tried: ``in_use`` has it for a moment.
_TRIED, _PAUSE = 1.0, 0.02
#: Characters that are read of a lock file.
_MOST = 200


class InUse(errors.AccelError):
    """Another run has the lock of the BMC."""


@contextlib.contextmanager
def hold_url(bmc: str) -> Generator[None, None, None]:
    """Lock the URL of a BMC, before the BMC has responded.

    Both the URL as it was given, as earlier versions do, and without the
    default port of its scheme are locked.

    :raises: InUse if another run holds a lock.
    """
    with contextlib.ExitStack() as stack:
        for path in _of_url(bmc):
            stack.enter_context(_locked(path, bmc))
        yield


@contextlib.contextmanager
def hold_bmc(identity: BmcIdentity) -> Generator[None, None, None]:
    """Lock a BMC against other runs of this user on this host.

    That of the service is locked, or those of all its Systems where it has
    none (``BmcIdentity.names``).

    :raises: InUse if another run holds a lock.
    """
    with contextlib.ExitStack() as stack:
        for name, path in _of_identity(identity):
            stack.enter_context(
                _locked(path, f'{identity.url} (UUID {name})'))
        yield


def in_use(bmc: str, identity: BmcIdentity | None = None) -> InUse | None:
    """The error of a run that would begin now, or None; no lock is kept.

    :param identity: None before the BMC has responded.
    """
    found = [(path, bmc) for path in _of_url(bmc)]
    if identity is not None:
        found += [(path, f'{identity.url} (UUID {name})')
                  for name, path in _of_identity(identity)]
    for path, named in found:
        try:
            # Reading creates no file: a plan writes nothing.
            with open(path, encoding='utf-8') as file:
                if not _taken(file, fcntl.LOCK_SH):
                    return _in_use(file, named)
        except FileNotFoundError:
            continue
        except OSError as exc:
            raise _cannot(path, exc) from exc
    return None


def _of_url(bmc: str) -> Iterator[str]:
    parts = parse.urlsplit(bmc)
    default = ':80' if parts.scheme == 'http' else ':443'
    for url in sorted({bmc, bmc.removesuffix(default)}):
        yield os.path.join(journal.default_folder(), journal.named(
            url.partition('//')[2], url, 'lock'))


def _of_identity(identity: BmcIdentity) -> Iterator[tuple[str, str]]:
    for name in sorted(identity.names):
        yield name, os.path.join(journal.default_folder(),
                                 f'uuid-{name}.lock')


@contextlib.contextmanager
def _locked(path: str, bmc: str) -> Generator[None, None, None]:
    with contextlib.ExitStack() as stack:
        try:
            os.makedirs(journal.default_folder(), mode=0o700, exist_ok=True)
            file = stack.enter_context(open(path, 'a+', encoding='utf-8'))
        except OSError as exc:
            raise _cannot(path, exc) from exc
        until = time.monotonic() + _TRIED
        while not _taken(file, fcntl.LOCK_EX):
            if time.monotonic() > until:
                raise _in_use(file, bmc)
            time.sleep(_PAUSE)
        file.truncate(0)
        file.write(_owner())
        file.flush()
        yield


def _taken(file: TextIO, kind: int) -> bool:
    """Take a lock, if nobody has it; it ends when the file is closed."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _owner() -> str:
    """Whose lock it is, for the user of another terminal."""
    return (f'process {os.getpid()} on {socket.gethostname()}, since '
            f'{time.strftime("%Y-%m-%d %H:%M:%S")}')


def _in_use(file: TextIO, bmc: str) -> InUse:
    file.seek(0)
    # Earlier versions write nothing into the file.
    owner = errors.printable(file.read(_MOST)).strip()
    return InUse(
        f'another run of ironic-accel is using the BMC {bmc}'
        + (f': {owner}' if owner else ''),
        error_class=errors.ErrorClass.TRANSIENT,
        todo='wait until it ends, then run the same command again')


def _cannot(path: str, exc: OSError) -> errors.AccelError:
    return errors.AccelError(
        f'cannot open the lock {path}: {exc.strerror}',
        error_class=errors.ErrorClass.NEEDS_OPERATOR,
        todo='make the directory of the journals writable for this user: '
             '$XDG_STATE_HOME/ironic-accel')
