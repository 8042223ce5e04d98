# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Reads a BMC, in a process of its own for each inventory.

pyghmi keeps the sessions of a whole process in one event loop, so that what
one BMC garbles is raised in whatever thread waits for another one. A process
of its own also ends when its time is over.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from typing import Any

from ironic_accel.model.errors import ErrorClass
from ironic_accel.model.errors import NoAccess
from ironic_accel.model.errors import Unreachable

PORT = 623

_READER = 'ironic_accel.ipmi.reader'


@dataclasses.dataclass(frozen=True, slots=True)
class IpmiTarget:
    """The address and the credentials of a BMC.

    :ivar kg: the BMC's key in hexadecimal, where it has one.
    """

    address: str
    username: str
    password: str = dataclasses.field(repr=False)
    port: int = PORT
    kg: str | None = dataclasses.field(default=None, repr=False)


def ask(target: IpmiTarget, seconds: float) -> dict[str, Any]:
    """Read a BMC, within a time limit.

    :param seconds: after which it counts as one that does not answer.
    :returns: a document ``ipmi/1``: ``bmc`` (``version``, ``manufacturer``,
        ``product``), ``uuid``, ``units`` (``id``, ``name``, ``fields``) and
        ``warnings``.
    :raises: Unreachable where it does not answer or does not let us in.
    """
    # Secrets go by the pipe: arguments and environment can be read.
    try:
        ran = subprocess.run(  # noqa: S603 - ourselves, nothing of a caller
            [sys.executable, '-P', '-m', _READER], check=False,
            input=json.dumps(dataclasses.asdict(target)),
            capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise unreachable(target, f'no answer within {seconds:g} s',
                          ErrorClass.TRANSIENT) from None
    try:
        answer: dict[str, Any] = json.loads(ran.stdout)
    except ValueError:
        last = (ran.stderr.strip().splitlines() or ['no output'])[-1]
        raise unreachable(
            target, f'the reader exited with {ran.returncode}: {last}',
            ErrorClass.NEEDS_OPERATOR,
            'check that the extra ipmi is installed') from None
    if 'error' in answer:
        kind = ErrorClass(answer['class'])
        raise unreachable(target, answer['error'], kind)
    return answer


def unreachable(target: IpmiTarget, why: str, kind: ErrorClass,
                todo: str | None = None) -> Unreachable:
    """The error of a BMC that cannot be read.

    :returns: NoAccess where an operator has to change something first.
    """
    if todo is None and kind is ErrorClass.NEEDS_OPERATOR:
        todo = 'check ipmi_address, ipmi_username and ipmi_password'
    error = NoAccess if kind is ErrorClass.NEEDS_OPERATOR else Unreachable
    return error(
        f'cannot read the BMC at {target.address}:{target.port} by '
        f'IPMI: {why}', error_class=kind, todo=todo)
