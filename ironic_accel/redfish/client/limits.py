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

"""What a caller may choose about the way a BMC is talked to."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses

from ironic_accel.converge.ports import Ready
from ironic_accel.model.profile import Image
from ironic_accel.redfish.client.read_history import LookHistory
from ironic_accel.redfish.client.read_history import PROCESS

#: Gives the URI at which a BMC can fetch an image, or None.
ImageUri = Callable[[Ready, Image | None], str | None]


@dataclasses.dataclass(frozen=True, slots=True)
class BmcSettings:
    """Bounds and choices; times in seconds, sizes in bytes.

    :ivar connect_timeout: to open a connection.
    :ivar read_timeout: of silence within an answer, and before it.
    :ivar request_timeout: for a read as a whole: redirects, headers, body.
    :ivar look_timeout: for all reads of one observation together.
    :ivar write_timeout: for a BMC to answer a small write.
    :ivar push_timeout: for a BMC to answer once an image is sent whole, and
        for each piece of it to go out.
    :ivar push_rate: bytes a second that a BMC takes of an image at least, on
        average, with ``push_timeout`` to spare.
    :ivar body_limit: largest answer that is read.
    :ivar member_limit: members of one collection that are looked at.
    :ivar request_limit: requests of one observation.
    :ivar expand: whether ``$expand`` is used where it is offered.
    :ivar warm_up: how long after a host reset a tree is not believed to be
        complete; where the box does not tell when the last reset was, how
        long its looks have to have shown the same.
    :ivar accept_unread: paths of sub-resources that the operator accepts as
        unread (``spoils.refusal`` says which cannot be).
    :ivar history: what earlier looks of this process found. Looks in another
        time than the process's own need one of their own.
    :ivar image_uri: where a BMC can fetch an image; without it a service
        that can only fetch (SimpleUpdate) cannot be used.
    :ivar before_write: called before each request that changes something; it
        raises where this process may write no more, and nothing is sent.
    """

    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    request_timeout: float = 60.0
    look_timeout: float = 600.0
    write_timeout: float = 60.0
    push_timeout: float = 600.0
    push_rate: int = 8 * 1024
    body_limit: int = 2 * 1024 * 1024
    member_limit: int = 512
    request_limit: int = 1000
    expand: bool = True
    warm_up: float = 30.0
    accept_unread: frozenset[str] = frozenset()
    history: LookHistory = PROCESS
    image_uri: ImageUri | None = None
    before_write: Callable[[], None] | None = None
