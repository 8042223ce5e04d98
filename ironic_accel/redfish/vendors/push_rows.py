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

"""Columns of the tables that say how firmware is pushed.

The styles here are the ones that DMTF UpdateService v1.17 and DSP0266
define; a vendor may bring its own beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any, Literal

#: What a push may write: what its Targets name and nothing else; every like
#: device's component of the same name; whatever ``covers`` matches.
Reach = Literal['named', 'like', 'covered']

#: In place of a style: no push of what a row covers is known to work.
NO_PUSH = ''


@dataclasses.dataclass(frozen=True, slots=True)
class Style:
    """One way to hand an image to an update service.

    :ivar transport: ``multipart`` and ``plain`` push it, ``simple`` has
        the BMC fetch it.
    :ivar targets: ``named`` writes what is named; with ``empty`` and
        ``none`` the service writes all that the image is for.
    :ivar parameters: what the request has besides, of the vendor's own.
    :ivar force: always with ForceUpdate, which wants the profile's consent.
    :ivar start: the image is uploaded and checked, and then started by a
        second request (UpdateService v1.7, StartUpdate).
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
    Style('http-push', 'plain', 'none'),
)


@dataclasses.dataclass(frozen=True, slots=True)
class PushChoice:
    """How images are pushed to some components of a system.

    :ivar covers: matches the FirmwareInventory Ids that it is for.
    :ivar style: name of a ``Style``, or ``NO_PUSH``.
    :ivar targets: Ids of the entries to name as targets in place of the
        component's own, where the box has them.
    :ivar reach: what such a push may write. ``named`` only where a source
        says that the service heeds Targets; None is ``like`` for a style
        that names targets and ``covered`` for one that does not.
    :ivar most: how many targets one push may name, None for any number.
    :ivar apply_time: OperationApplyTime to ask for, listed or not; None asks
        for Immediate where the service lists that.
    :ivar suffixes: how names of image files have to end, in lower case.
    :ivar bare: whether the service turns down parameters besides Targets and
        the apply time.
    :ivar card: matches the Ids of entries; those with the same first group
        are about one and the same firmware (one entry for each port).
    :ivar push_uri: matches the push URI of the services that it is for.
    :ivar why: with ``NO_PUSH``: what its HttpPushUri wants, where that is
        all there is, in words that go on from "this BMC".
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
