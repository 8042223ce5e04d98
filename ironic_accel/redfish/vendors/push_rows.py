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

"""Columns of the tables of push methods.

The styles in this module are those of DMTF UpdateService v1.17 and DSP0266; a
vendor may add its own.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any, Literal

#: What a push may write: only its Targets; the same component of all similar
#: devices; everything that ``covers`` matches.
Reach = Literal['named', 'like', 'covered']

#: In place of a style: no push of the covered entries is supported.
NO_PUSH = ''


@dataclasses.dataclass(frozen=True, slots=True)
class Style:
    """One method to send an image to an UpdateService.

    :ivar transport: ``multipart`` and ``plain`` push it; with ``simple`` the
        BMC downloads it.
    :ivar targets: ``named`` writes the named targets; with ``empty`` and
        ``none`` the service writes everything that the image fits.
    :ivar parameters: additional parameters of the vendor.
    :ivar force: whether ForceUpdate is always sent, which the profile must
        allow.
    :ivar start: whether the image is uploaded and verified first, and the
        update is started by a second request (UpdateService v1.7,
        StartUpdate).
    """

    name: str
    transport: Literal['multipart', 'simple', 'plain']
    targets: Literal['named', 'empty', 'none']
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    force: bool = False
    start: bool = False


STYLES: tuple[Style, ...] = (
    Style('multipart-targets', 'multipart', 'named'),
    Style('multipart-targets-forced', 'multipart', 'named', force=True),
    Style('multipart-all', 'multipart', 'empty'),
    Style('multipart-all-forced', 'multipart', 'empty', force=True),
    Style('multipart-start', 'multipart', 'named', start=True),
    Style('multipart-plain', 'multipart', 'none'),
    Style('simple-targets', 'simple', 'named'),
    Style('simple-plain', 'simple', 'none'),
    Style('http-push', 'plain', 'none'))


@dataclasses.dataclass(frozen=True, slots=True)
class PushChoice:
    """How images are pushed to some components of a system.

    :ivar covers: pattern of the FirmwareInventory Ids of the row.
    :ivar style: name of a ``Style``, or ``NO_PUSH``.
    :ivar targets: Ids of the entries to name as targets in place of the
        component's own, if the system has them.
    :ivar reach: what such a push may write. ``named`` only if a source says
        that the service respects Targets; None is ``like`` for a style that
        names targets and ``covered`` for the others.
    :ivar most: maximum number of targets of one push, None for any number.
    :ivar apply_time: OperationApplyTime to request, listed or not; None
        requests Immediate if the service lists it.
    :ivar suffixes: required suffixes of image file names, in lower case.
    :ivar bare: whether the service rejects other parameters than Targets and
        the apply time.
    :ivar card: pattern of the Ids of entries; those with the same first group
        are the same firmware (one entry for each port).
    :ivar push_uri: pattern of the push URI of the services of the row.
    :ivar why: with ``NO_PUSH``: the requirement of a service that has only
        HttpPushUri; a text that continues "this BMC".
    """

    covers: str
    style: str
    targets: tuple[str, ...] = ()
    reach: Reach | None = None
    most: int | None = None
    apply_time: str | None = None
    suffixes: tuple[str, ...] = ()
    bare: bool = False
    card: str | None = None
    push_uri: str | None = None
    why: str = ''
